//! Derived code compiles under the strictest lints.
#![forbid(unsafe_code)]
#![deny(missing_docs, warnings)]

use millstream_engine::record::View;
use millstream_engine::{Key, Record};

/// A plain record.
#[derive(Record)]
#[repr(C)]
pub struct Tick {
    price: i64,
    side: Side,
    _pad: [u8; 7],
}

/// A plain enum.
#[derive(Record, Key, Clone)]
#[repr(u8)]
pub enum Side {
    /// Bid.
    Buy,
    /// Ask.
    Sell,
}

/// A general record.
#[derive(Record)]
pub struct Order<T> {
    /// Documented.
    pub r#type: String,
    inner: Option<T>,
}

/// A general enum.
#[derive(Record)]
pub enum Event {
    /// Documented.
    Placed {
        /// Documented.
        order: Order<u64>,
    },
    /// Documented.
    Cancelled(u64),
}

/// A key.
#[derive(Key, Clone)]
pub struct Account(u32, u32);

mod elsewhere {
    pub use millstream_engine as engine;
}

/// Found through another crate.
#[derive(Record)]
#[record(crate = crate::elsewhere::engine, no_accessors)]
pub struct Reexported {
    name: String,
}

impl Reexported {
    fn name(&self) -> usize {
        self.name.len()
    }
}

#[test]
fn derived_code_keeps_to_the_strictest_lints() {
    fn of_view(view: &View<Order<u64>>) -> (&str, Option<u64>) {
        (view.r#type(), view.inner())
    }
    let _ = of_view;
    let named = Reexported { name: "an accessor of one's own".to_owned() };
    assert_eq!(named.name(), 24);
    let _ = (Side::Buy, Side::Sell, Account(1, 2));
}

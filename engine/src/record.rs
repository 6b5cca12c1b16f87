//! Records: one representation everywhere. A record that leaves its chain is archived once with rkyv; the same bytes lie
//! on the ring, in the state page and in the checkpoint file.
//!
//! A record is a type that derives [`Record`], a number, `bool`, `char`, `()`, `String`, or an array, tuple, `Option`, `Vec`, map
//! or set of these. What operators see of it after an exchange is its [`View`]: the archived bytes, in place, with native
//! members.
//!
//! ```
//! use millstream_engine::record::{Record, RecordBuf};
//!
//! #[derive(Record, Debug, PartialEq)]
//! struct Order {
//!     id: u64,
//!     who: String,
//!     price: i64,
//!     tag: Option<u32>,
//! }
//!
//! let order = Order { id: 7, who: "ada".into(), price: 250, tag: Some(3) };
//! let mut bytes = RecordBuf::new();
//! order.encode(&mut bytes);
//!
//! let view = Order::view(&bytes)?;
//! assert_eq!(view.price() + 1, 251); // an `i64`, on the owner and on the view
//! assert_eq!(view.price, order.price);
//! assert!(view.who().starts_with('a'));
//! assert!(matches!(view.tag(), Some(3)));
//! assert_eq!(Order::owned(view), order);
//! assert_eq!(Order::layout().text, "Order { id: u64, who: String, price: i64, tag: Option<u32> }");
//! # Ok::<(), millstream_engine::record::RecordError>(())
//! ```
//!
//! # Plain records
//!
//! A `#[repr(C)]` struct of numbers (or of other plain records) is archived as itself: its view is `&Self`, and it can be copied
//! and changed in place. Padding would be uninitialised bytes, and is refused with a message that says where it is:
//!
//! ```compile_fail
//! # use millstream_engine::Record;
//! #[derive(Record)]
//! #[repr(C)]
//! struct Tick {
//!     price: i64,
//!     side: u8, // "`Tick` has 7 bytes of padding after field `side`"
//! }
//! ```
//!
//! Likewise an enum without data that names its width (`#[repr(u8)]`). Without `#[repr(..)]` the order of a type's fields is the
//! compiler's affair, which no file may depend on; so it is archived field by field, and its view is a type of its own (`OrderView`).

mod archive;
mod coded;
mod compound;
mod debug;
mod field;
mod layout;
mod plain;
mod sequence;
#[cfg(test)]
mod tests;

pub use coded::{Codec, Coded, CodedView};
pub use field::{Field, Plain};
pub use layout::Description;
pub(crate) use layout::key_layout;
pub use millstream_derive::Record;
pub(crate) use plain::show_apart;

use crate::checkpoint::codec::Writer;
use crate::schema::{Misfit, Schema, Type, Types, Value};

/// What derived code calls.
pub(crate) mod derived {
    pub use crate::checkpoint::codec::Writer;
    pub use crate::schema::{Member as SchemaMember, Variant as SchemaVariant};
    pub use crate::schema::{Members, Misfit, Shape, Type, Types, Value, load};

    pub use super::archive::{
        Checker, Decoder, Encoder, check_field, decode_field, encode, layout, owned, resolve_field, size,
        unknown_variant, view, view_unchecked,
    };
    pub use super::debug::{ShowDebug, ShowNothing, Shown};
    pub use super::plain::{FieldBytes, assert_no_padding, copy_plain, encode_plain};
    pub use super::{Description, Field, Layout, Plain, RECORD_ALIGN, Record, RecordBuf, RecordError};
}

/// A growable, 16-byte-aligned byte buffer that records are archived into.
pub type RecordBuf = rkyv::util::AlignedVec<RECORD_ALIGN>;

/// Every archived record starts at a multiple of this.
pub const RECORD_ALIGN: usize = 16;

/// What operators see of a `T` after an exchange.
pub type View<T> = <T as Record>::View;

/// A type that can cross an exchange, lie in state and be saved in a checkpoint.
///
/// Derive it with `#[derive(Record)]`; see the [module](self) for what that gives.
///
/// # Safety
/// - `encode` appends bytes that `view_unchecked` and `view` accept, whatever their address, as long as it is a multiple of [`RECORD_ALIGN`],
///   and that hold no uninitialised byte and no pointer.
/// - Where `SIZE` is `Some(n)`, `encode` appends exactly `n` bytes.
/// - Where `PLAIN` is true, `SIZE` is `Some(size_of::<Self>())`, `Self` has no padding, its alignment is at most [`RECORD_ALIGN`], `View` is
///   `Self`, and the encoding is the value's own bytes.
#[allow(unsafe_code)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record",
    label = "cannot cross an exchange or lie in state",
    note = "add `#[derive(Record)]` to `{Self}` if it is yours"
)]
pub unsafe trait Record: Sized + 'static {
    /// The archived form, as operators see it after an exchange.
    type View: ?Sized + 'static;

    /// How many bytes the archived form has, where that is the same for all values.
    const SIZE: Option<usize>;

    /// Whether a value's own bytes are its archived form, so that it can be copied and changed in place.
    const PLAIN: bool;

    /// Whether it is a part of a list, so that a migration is one of its elements.
    #[doc(hidden)]
    const ELEMENTS: bool = false;

    /// Archives the value at the end of `out`, whose length is a multiple of [`RECORD_ALIGN`] (the caller pads).
    fn encode(&self, out: &mut RecordBuf);

    /// The view of archived bytes.
    ///
    /// # Safety
    /// `bytes` is the whole of what [`Record::encode`] of this very type and layout appended, at an address that is a multiple of
    /// [`RECORD_ALIGN`]: bytes that this process wrote, or that passed a checksum and a layout comparison.
    unsafe fn view_unchecked(bytes: &[u8]) -> &Self::View;

    /// The view of bytes from anywhere, after checking them.
    fn view(bytes: &[u8]) -> Result<&Self::View, RecordError>;

    /// The value a view stands for.
    fn owned(view: &Self::View) -> Self;

    /// What the archived form looks like, for comparison with what a checkpoint was written with.
    fn layout() -> Layout;

    /// The type as data. A type that is implemented by hand and says nothing is [opaque](Type::Opaque).
    fn record_type(types: &mut Types) -> Type {
        let _ = types;
        let Layout { text, fingerprint } = Self::layout();
        Type::Opaque { text, fingerprint }
    }

    /// Appends the value that a view stands for, in the portable encoding of the type that [`Record::record_type`] gives.
    fn save_record(view: &Self::View, out: &mut Writer) {
        let mut archived = RecordBuf::new();
        Self::owned(view).encode(&mut archived);
        out.put_bytes(&archived);
    }

    /// The record that a value stands for, which may be one of an earlier form of the type.
    ///
    /// # Errors
    /// It does not fit.
    fn load_record(value: Value) -> Result<Self, Misfit> {
        let Value::Opaque(bytes) = &value else {
            return Err(Misfit::found(&value, format_args!("a {}", Self::layout().text)));
        };
        // Archived records are looked at where they are aligned.
        let mut archived = RecordBuf::with_capacity(bytes.len());
        archived.extend_from_slice(bytes);
        Self::view(&archived).map(Self::owned).map_err(|error| Misfit::new(error.to_string()))
    }

    /// The type as data, with all that it is made of.
    fn schema() -> Schema {
        Schema::of(Self::record_type)
    }
}

/// The layout of a record, key or state value: its description, and a fingerprint that covers it and the archive format's own
/// settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// In words: `Order { id: u64, who: String, price: i64 }`.
    pub text: String,
    /// A stable hash of the text and of rkyv's version and layout features.
    pub fingerprint: u64,
}

/// Bytes that are not a record of the expected type.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not an archived {expected}: {reason}")]
pub struct RecordError {
    /// The expected layout in words.
    pub expected: String,
    /// What is wrong with the bytes.
    pub reason: String,
}

//! Levels of price, by which bids are counted.

/// A level: below 100 dollars, below 10,000, or above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    One,
    Two,
    Three,
}

impl Level {
    /// The one of a price in cents.
    #[inline(always)]
    pub fn of(price: i64) -> Level {
        match price {
            ..10_000 => Level::One,
            10_000..1_000_000 => Level::Two,
            _ => Level::Three,
        }
    }
}

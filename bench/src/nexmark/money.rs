//! Prices in another currency, to the digit: what SQL has a decimal with three places for.

use std::fmt;

/// So many thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thousandths(pub i64);

impl Thousandths {
    /// A price in dollars times 0.908. Prices have nine digits at most.
    #[inline(always)]
    pub fn in_euros(dollars: i64) -> Thousandths {
        Thousandths(dollars * 908)
    }
}

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

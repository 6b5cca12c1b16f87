//! Trades on a market, by the microsecond.

use std::time::Duration;

use millstream_engine::record::Record;

use super::arrivals::{Arrival, Arrivals};
use super::dice::Dice;

/// A trade every quarter of a millisecond, give or take.
const SPACING_US: i64 = 250;
/// How many instruments are traded.
pub const INSTRUMENTS: u64 = 5;
const SIZE_MAX: u64 = 500;
/// One trade in so many is told of three seconds later.
const ONE_IS_LATE: u64 = 300;

/// Somebody has bought, and somebody sold.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Trade {
    /// What, below [`INSTRUMENTS`].
    pub instrument: u64,
    /// When, in microseconds: the event time. No two trades have the same.
    pub at: i64,
    /// The price of one, in cents.
    pub price: i64,
    /// How many.
    pub size: u64,
}

/// Trades of five instruments, four in a millisecond: the same ones for the same seed, beginning at event time 0.
///
/// They arrive up to two milliseconds late and so out of order; one in 300 arrives three seconds late.
///
/// ```
/// let trades = millstream_io::demos::Trades::seeded(7).trades(1000);
/// assert_eq!(trades.all().count(), 1000);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Trades {
    seed: u64,
    trades: Option<u64>,
}

impl Trades {
    /// Trades without end.
    pub fn seeded(seed: u64) -> Self {
        Trades { seed, trades: None }
    }

    /// Ends after so many trades.
    pub fn trades(mut self, trades: u64) -> Self {
        self.trades = Some(trades);
        self
    }

    /// How much older a trade can be than the newest one before it, apart from those that are very late: the bound for watermarks.
    pub fn disorder(&self) -> Duration {
        Duration::from_millis(2)
    }

    /// All trades, in the order of their arrival.
    pub fn all(&self) -> impl Iterator<Item = Trade> + use<> {
        let trades = *self;
        Arrivals::new(SPACING_US, self.trades, move |number| [trades.trade(number)]).map(|(trade, _)| trade)
    }

    fn trade(&self, number: u64) -> Arrival<Trade> {
        let mut dice = Dice::of(self.seed, number);
        let instrument = dice.below(INSTRUMENTS);
        let at = number as i64 * SPACING_US + dice.between(0, SPACING_US - 1);
        let price = 10_000 * (instrument as i64 + 1) + dice.between(-100, 100);
        let size = 1 + dice.below(SIZE_MAX);
        let delay = match dice.one_in(ONE_IS_LATE) {
            true => 3_000_000,
            false => dice.between(0, self.disorder().as_micros() as i64),
        };
        Arrival { event: Trade { instrument, at, price, size }, at, delay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_trades_are_in_time_and_none_is_at_the_time_of_another() {
        let trades = Trades::seeded(5).trades(20_000);
        let (mut newest, mut late, mut times) = (0, 0, std::collections::BTreeSet::new());
        for trade in trades.all() {
            late += u64::from(newest - trade.at > trades.disorder().as_micros() as i64);
            newest = newest.max(trade.at);
            times.insert(trade.at);
        }
        assert_eq!(times.len(), 20_000);
        assert!((20..150).contains(&late), "{late}");
    }
}

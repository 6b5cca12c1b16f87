//! Which events there are.

use super::event::Draft;

/// A division by a number that is not known at compile time, by multiplication with its reciprocal.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Divisor {
    by: u64,
    reciprocal: u64,
}

impl Divisor {
    /// Right for dividends below 2^64 / `by`.
    fn of(by: u64) -> Divisor {
        Divisor { by, reciprocal: (u64::MAX / by).wrapping_add(1) }
    }

    #[inline(always)]
    fn divide(self, dividend: u64) -> (u64, u64) {
        if self.by == 1 {
            return (dividend, 0);
        }
        let quotient = ((u128::from(dividend) * u128::from(self.reciprocal)) >> 64) as u64;
        (quotient, dividend - quotient * self.by)
    }
}

/// The settings of the published generator that make a difference to its events, under its own names where they have some.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// How many events of each kind follow each other.
    pub persons: u64,
    pub auctions: u64,
    pub bids: u64,
    /// One bid of so many is not on a hot auction.
    pub hot_auction_ratio: i32,
    /// One auction of so many is not of a hot seller.
    pub hot_seller_ratio: i32,
    /// One bid of so many is not of a hot bidder.
    pub hot_bidder_ratio: i32,
    /// So many auctions are open at a time, about.
    pub in_flight_auctions: u64,
    /// So many of the people that came last sell and bid.
    pub active_people: u64,
    /// Of so many events that follow each other the order is mixed; 1 leaves it.
    pub out_of_order_group_size: u64,
    /// How many events there are in a second of event time.
    pub first_event_rate: u32,
    /// The time of the first event, in milliseconds since 1970.
    pub base_time: i64,
    pub first_event_id: u64,
    pub first_event_number: u64,
    total: Divisor,
    group: Divisor,
    delay_us: f64,
}

impl Default for Config {
    /// The published defaults, beginning with the first person, at the time that Beam begins at.
    fn default() -> Self {
        let rate = 10_000;
        Config {
            persons: 1,
            auctions: 3,
            bids: 46,
            hot_auction_ratio: 2,
            hot_seller_ratio: 4,
            hot_bidder_ratio: 4,
            in_flight_auctions: 100,
            active_people: 1000,
            out_of_order_group_size: 1,
            first_event_rate: rate,
            base_time: 1_436_918_400_000,
            first_event_id: 0,
            first_event_number: 0,
            total: Divisor::of(50),
            group: Divisor::of(1),
            delay_us: delay_us(rate),
        }
    }
}

fn delay_us(rate: u32) -> f64 {
    1_000_000.0 / f64::from(rate)
}

impl Config {
    /// At another rate of events per second of event time, which is above 0.
    pub fn rate(self, first_event_rate: u32) -> Config {
        Config { first_event_rate, delay_us: delay_us(first_event_rate), ..self }
    }

    /// With events out of order: so many that follow each other are mixed. At least 1.
    pub fn out_of_order(self, group_size: u64) -> Config {
        Config { out_of_order_group_size: group_size, group: Divisor::of(group_size), ..self }
    }

    /// From another event on.
    #[cfg(test)]
    pub fn from(self, first_event_id: u64, first_event_number: u64) -> Config {
        Config { first_event_id, first_event_number, ..self }
    }

    /// The event that comes after so many.
    #[inline(always)]
    pub fn draft(&self, events_so_far: u64) -> Draft<'_> {
        let number = self.first_event_number + events_so_far;
        let adjusted = match self.out_of_order_group_size {
            1 => number,
            size => {
                let (group, _) = self.group.divide(number);
                group * size + number * 953 % size
            }
        };
        Draft { config: self, number: adjusted }
    }

    /// The event time of the event with this number, in milliseconds.
    #[inline(always)]
    pub(super) fn time(&self, number: u64) -> i64 {
        self.base_time + (number as f64 * self.delay_us) as i64 / 1000
    }

    /// How many events come before this event time, in milliseconds; 0 where that is before the first one.
    pub fn events_before(&self, at: i64) -> u64 {
        let since = at.saturating_sub(self.base_time).max(0);
        (since as f64 * f64::from(self.first_event_rate) / 1000.0) as u64
    }

    /// In which cycle an event is, and where.
    #[inline(always)]
    pub(super) fn place(&self, id: u64) -> (u64, u64) {
        self.total.divide(id)
    }

    /// How many events a cycle has.
    pub(super) fn total(&self) -> u64 {
        self.persons + self.auctions + self.bids
    }

    /// The number of the person that came last, from 0; of a person, its own.
    #[inline(always)]
    pub(super) fn last_person(&self, (cycle, at): (u64, u64)) -> u64 {
        cycle * self.persons + at.min(self.persons - 1)
    }

    /// The number of the auction that came last, from 0; of an auction, its own. Not for persons.
    #[inline(always)]
    pub(super) fn last_auction(&self, (cycle, at): (u64, u64)) -> u64 {
        cycle * self.auctions + (at - self.persons).min(self.auctions - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Divisor;

    #[test]
    fn reciprocals_divide() {
        for by in [1, 2, 3, 50, 64, 997, 1000] {
            for dividend in (0..2000).chain([by * 12_345_678_901, by * 12_345_678_901 - 1, 1 << 53]) {
                assert_eq!(
                    Divisor::of(by).divide(dividend),
                    (dividend / by, dividend % by),
                    "{dividend} / {by}"
                );
            }
        }
    }
}

//! When records are due: an open loop's schedule, which does not wait for anything.

use std::time::Duration;

pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// What is sent when, and which part of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When the first record is due, by [`monotonic_nanos`](crate::clock::monotonic_nanos).
    pub start: u64,
    /// Records per second.
    pub rate: u64,
    /// How long records come before those that count.
    pub warm_up: Duration,
    /// How many seconds count.
    pub seconds: u64,
}

impl Plan {
    /// From when on records count.
    pub fn from(&self) -> u64 {
        self.start + self.warm_up.as_nanos() as u64
    }

    /// When nothing is due any more.
    pub fn end(&self) -> u64 {
        self.from() + self.seconds * NANOS_PER_SECOND
    }

    /// The times at which records are due, in order.
    pub fn dues(&self) -> Dues {
        Dues {
            next: self.start,
            end: self.end(),
            whole: NANOS_PER_SECOND / self.rate,
            rest: NANOS_PER_SECOND % self.rate,
            carried: 0,
            rate: self.rate,
        }
    }

    /// How many records there are.
    pub fn records(&self) -> u64 {
        // Record n is due n / rate seconds after the start, rounded down: it is there if that is before the end.
        let nanos = u128::from(self.end() - self.start) * u128::from(self.rate);
        nanos.div_ceil(u128::from(NANOS_PER_SECOND)) as u64
    }
}

/// Times at which records are due: the nth is due `n / rate` seconds after the start, to the nanosecond, without a division per record.
#[derive(Clone, Debug)]
pub struct Dues {
    next: u64,
    end: u64,
    whole: u64,
    rest: u64,
    /// Of the nanosecond after `next`, how many rate-ths have gone.
    carried: u64,
    rate: u64,
}

impl Dues {
    /// The next one, if it is due by now.
    #[inline(always)]
    pub fn due(&self, now: u64) -> Option<u64> {
        (self.next <= now && self.next < self.end).then_some(self.next)
    }

    /// The next one, if there is one.
    #[inline(always)]
    pub fn peek(&self) -> Option<u64> {
        (self.next < self.end).then_some(self.next)
    }

    /// Goes on to the one after it.
    #[inline(always)]
    pub fn advance(&mut self) {
        self.next += self.whole;
        self.carried += self.rest;
        if self.carried >= self.rate {
            self.carried -= self.rate;
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(start: u64, rate: u64, warm_up: Duration, seconds: u64) -> Plan {
        Plan { start, rate, warm_up, seconds }
    }

    #[test]
    fn records_are_due_at_their_share_of_a_second_and_never_drift() {
        for rate in [1, 3, 7, 10_000, 300_007, 1_000_000, 3_000_000_000] {
            let mut dues = plan(17, rate, Duration::ZERO, 100).dues();
            for n in 0..5000u64 {
                let exact = 17 + u128::from(n) * u128::from(NANOS_PER_SECOND) / u128::from(rate);
                match dues.peek() {
                    Some(due) => assert_eq!(u128::from(due), exact, "record {n} at {rate}/s"),
                    None => assert!(exact >= 17 + 100 * u128::from(NANOS_PER_SECOND)),
                }
                dues.advance();
            }
        }
    }

    #[test]
    fn there_are_as_many_as_the_plan_says() {
        for (rate, warm_up, seconds) in [(1, 0, 1), (3, 500, 2), (7, 1, 1), (999, 250, 3), (10_000, 2000, 1)]
        {
            let plan = plan(5, rate, Duration::from_millis(warm_up), seconds);
            let mut dues = plan.dues();
            let mut records = 0;
            while let Some(due) = dues.peek() {
                assert!((plan.start..plan.end()).contains(&due));
                records += 1;
                dues.advance();
            }
            assert_eq!(records, plan.records(), "{plan:?}");
        }
    }

    #[test]
    fn what_is_late_is_due_still_and_at_its_own_time() {
        let mut dues = plan(1000, 1_000_000, Duration::ZERO, 1).dues();
        assert_eq!(dues.due(999), None);
        // Nothing was sent for 5 us: the records of that time are due at the times that they had.
        let mut late = Vec::new();
        while let Some(due) = dues.due(6000) {
            late.push(6000 - due);
            dues.advance();
        }
        assert_eq!(late, [5000, 4000, 3000, 2000, 1000, 0]);
    }

    #[test]
    fn the_warm_up_comes_before_what_counts() {
        let plan = plan(10, 100, Duration::from_secs(2), 3);
        assert_eq!(plan.from(), 10 + 2 * NANOS_PER_SECOND);
        assert_eq!(plan.end(), 10 + 5 * NANOS_PER_SECOND);
    }
}

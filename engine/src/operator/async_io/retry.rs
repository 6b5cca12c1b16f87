//! When a call that failed is made again.

use std::time::Duration;

/// When a call that failed is made again (Flink's `AsyncRetryStrategy`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    times: u32,
    first: Duration,
    factor: f64,
    longest: Duration,
}

impl Retry {
    /// Never.
    pub(crate) const NEVER: Retry =
        Retry { times: 0, first: Duration::ZERO, factor: 1.0, longest: Duration::ZERO };

    /// Up to so many `times` after the first one, each `delay` after the failure before (Flink's `FixedDelayRetryStrategy`).
    pub fn fixed(times: u32, delay: Duration) -> Retry {
        Retry { times, first: delay, factor: 1.0, longest: delay }
    }

    /// Up to so many `times` after the first one: `first` after the first failure, and each further time `factor` times as long, at most `longest`
    /// (Flink's `ExponentialBackoffDelayRetryStrategy`).
    pub fn exponential(times: u32, first: Duration, factor: f64, longest: Duration) -> Retry {
        Retry { times, first, factor, longest }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        let grows = self.factor.is_finite() && self.factor >= 1.0;
        (!grows).then(|| {
            format!("the pauses between attempts grow by a factor of {}: it has to be 1 or more", self.factor)
        })
    }

    /// How long to wait after so many failed attempts, where there is to be another one.
    pub(super) fn pause_after(&self, attempts: u32) -> Option<Duration> {
        if attempts > self.times {
            return None;
        }
        let seconds = self.first.as_secs_f64() * self.factor.powf(f64::from(attempts.saturating_sub(1)));
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Some(pause.min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn pauses_stay_or_grow_up_to_the_longest() {
        let fixed = Retry::fixed(2, MS(7));
        assert_eq!([1, 2, 3].map(|attempts| fixed.pause_after(attempts)), [Some(MS(7)), Some(MS(7)), None]);
        let growing = Retry::exponential(5, MS(10), 2.0, MS(50));
        let pauses = [1, 2, 3, 4, 5].map(|attempts| growing.pause_after(attempts).unwrap());
        assert_eq!(pauses, [10, 20, 40, 50, 50].map(MS));
        assert_eq!(growing.pause_after(6), None);
        assert_eq!(Retry::NEVER.pause_after(1), None);
        // What grows without bounds is as long as it may be.
        let wild = Retry::exponential(u32::MAX, MS(1), 1e9, MS(9));
        assert_eq!(wild.pause_after(u32::MAX), Some(MS(9)));
    }

    #[test]
    fn a_factor_that_does_not_grow_is_pointed_out() {
        for factor in [0.5, f64::NAN, f64::INFINITY] {
            assert!(Retry::exponential(1, MS(1), factor, MS(9)).fault().is_some(), "{factor}");
        }
        assert_eq!(Retry::fixed(1, MS(1)).fault(), None);
    }
}

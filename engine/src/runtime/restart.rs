//! What a job does after a failure: the restart strategies of Flink, as pure functions of time.
//!
//! See <https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/state/task_failure_recovery/>.

use std::collections::VecDeque;
use std::time::Duration;

use crate::element::Nanos;

/// When a failed job is started again.
#[derive(Clone, Debug, PartialEq)]
pub enum RestartStrategy {
    /// Never: the first failure ends the job.
    None,
    /// Up to `attempts` times over the life of the job, each time after `delay`.
    FixedDelay {
        /// How many restarts in all.
        attempts: u32,
        /// How long to wait before each.
        delay: Duration,
    },
    /// As long as no more than `max_failures` restarts fall into any span of `interval`, each after `delay`.
    ///
    /// Flink itself fails the job at the `max_failures`-th failure within the interval; `flink_exact` does the same.
    FailureRate {
        /// How many restarts any interval may hold.
        max_failures: u32,
        /// The span.
        interval: Duration,
        /// How long to wait before each restart.
        delay: Duration,
        /// Whether to count as Flink does: one restart fewer, the interval's ends included.
        flink_exact: bool,
    },
    /// Without end, waiting longer each time.
    ExponentialDelay {
        /// The first wait.
        initial: Duration,
        /// The longest wait.
        max: Duration,
        /// By how much the wait grows each time.
        multiplier: f64,
        /// After this long without a failure the wait is the first one again.
        reset_after: Duration,
        /// By which part of itself, up or down, each wait is changed at random (0 to 1): jobs that failed together do not all start
        /// again at the same moment.
        jitter: f64,
    },
}

impl RestartStrategy {
    /// [`RestartStrategy::FixedDelay`].
    pub fn fixed_delay(attempts: u32, delay: Duration) -> Self {
        RestartStrategy::FixedDelay { attempts, delay }
    }

    /// [`RestartStrategy::FailureRate`] with at most `max_failures` restarts in any interval.
    pub fn failure_rate(max_failures: u32, interval: Duration, delay: Duration) -> Self {
        RestartStrategy::FailureRate { max_failures, interval, delay, flink_exact: false }
    }

    /// [`RestartStrategy::ExponentialDelay`] from 100 ms to 30 s, beginning anew after a quiet minute: the default where
    /// checkpoints are on.
    pub fn exponential_delay() -> Self {
        RestartStrategy::ExponentialDelay {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(30),
            multiplier: 2.0,
            reset_after: Duration::from_secs(60),
            jitter: 0.0,
        }
    }

    /// The same with waits changed at random by up to this part of themselves (0 to 1); another strategy stays as it is.
    pub fn with_jitter(mut self, part: f64) -> Self {
        if let RestartStrategy::ExponentialDelay { jitter, .. } = &mut self {
            *jitter = part;
        }
        self
    }

    /// Whether it goes on for ever.
    pub(crate) fn is_endless(&self) -> bool {
        matches!(
            self,
            RestartStrategy::ExponentialDelay { .. } | RestartStrategy::FixedDelay { attempts: u32::MAX, .. }
        )
    }

    /// What is wrong with its numbers.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let RestartStrategy::ExponentialDelay { multiplier, jitter, .. } = self else { return None };
        if !(1.0..=1000.0).contains(multiplier) {
            return Some("the multiplier of an exponential delay lies between 1 and 1000");
        }
        (!(0.0..=1.0).contains(jitter)).then_some("the jitter of an exponential delay lies between 0 and 1")
    }
}

/// A strategy with its memory of failures: says after each failure whether to go on, and when. It reads no clock.
///
/// ```
/// use millstream_engine::element::Nanos;
/// use millstream_engine::runtime::restart::{RestartStrategy, Restarts};
/// use std::time::Duration;
///
/// let mut restarts = Restarts::new(RestartStrategy::fixed_delay(1, Duration::from_secs(10)), 0);
/// assert_eq!(restarts.after_failure(Nanos(5)), Some(Duration::from_secs(10)));
/// assert_eq!(restarts.after_failure(Nanos(6)), None);
/// assert_eq!(restarts.done(), 1);
/// ```
#[derive(Debug)]
pub struct Restarts {
    strategy: RestartStrategy,
    done: u32,
    failures: VecDeque<Nanos>,
    delay: Duration,
    last: Option<Nanos>,
    /// What the next jitter is made of.
    random: u64,
}

impl Restarts {
    /// With jitter that follows from `seed`.
    pub fn new(strategy: RestartStrategy, seed: u64) -> Self {
        let (failures, delay) = (VecDeque::new(), Duration::ZERO);
        Restarts { strategy, done: 0, failures, delay, last: None, random: seed }
    }

    /// How often the job was started again.
    pub fn done(&self) -> u32 {
        self.done
    }

    /// The job failed at `now`: how long to wait before the next attempt, or `None` where there is to be none.
    pub fn after_failure(&mut self, now: Nanos) -> Option<Duration> {
        let delay = self.decide(now)?;
        self.done += 1;
        self.last = Some(now);
        Some(delay)
    }

    fn decide(&mut self, now: Nanos) -> Option<Duration> {
        match &self.strategy {
            RestartStrategy::None => None,
            RestartStrategy::FixedDelay { attempts, delay } => (self.done < *attempts).then_some(*delay),
            RestartStrategy::FailureRate { max_failures, interval, delay, flink_exact } => {
                let outside = |failure: &Nanos| match flink_exact {
                    true => now.since(*failure) > *interval,
                    false => now.since(*failure) >= *interval,
                };
                while self.failures.front().is_some_and(outside) {
                    self.failures.pop_front();
                }
                self.failures.push_back(now);
                let allowed = if *flink_exact { max_failures.saturating_sub(1) } else { *max_failures };
                (self.failures.len() <= allowed as usize).then_some(*delay)
            }
            RestartStrategy::ExponentialDelay { initial, max, multiplier, reset_after, jitter } => {
                let quiet = self.last.is_none_or(|last| now.since(last) >= *reset_after + self.delay);
                self.delay = match quiet {
                    true => *initial,
                    false => self.delay.mul_f64(*multiplier),
                };
                self.delay = self.delay.min(*max);
                // Flink's rule: the jitter is added to the wait of this time, and does not go into the next one's.
                let factor = 1.0 + jitter * (2.0 * next_part(&mut self.random) - 1.0);
                Some(self.delay.mul_f64(factor).min(*max))
            }
        }
    }
}

/// The next number from 0 to 1 (SplitMix64, see <https://prng.di.unimi.it/splitmix64.c>).
fn next_part(random: &mut u64) -> f64 {
    *random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *random;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(strategy: RestartStrategy, failures_s: &[u64]) -> Vec<Option<u64>> {
        let mut restarts = Restarts::new(strategy, 1);
        let answer = |at: &u64| {
            let delay = restarts.after_failure(Nanos(at * 1_000_000_000));
            delay.map(|delay| delay.as_millis() as u64)
        };
        failures_s.iter().map(answer).collect()
    }

    #[test]
    fn rs_02_none() {
        assert_eq!(run(RestartStrategy::None, &[0]), [None]);
    }

    #[test]
    fn rs_03_fixed_delay() {
        let strategy = RestartStrategy::fixed_delay(3, Duration::from_secs(10));
        assert_eq!(run(strategy, &[0, 100, 200, 300]), [Some(10_000), Some(10_000), Some(10_000), None]);
    }

    #[test]
    fn rs_04_failure_rate() {
        let rate = |flink_exact| RestartStrategy::FailureRate {
            max_failures: 3,
            interval: Duration::from_secs(30),
            delay: Duration::from_secs(1),
            flink_exact,
        };
        let second = Some(1000);
        assert_eq!(run(rate(false), &[0, 10, 20, 25]), [second, second, second, None]);
        assert_eq!(run(rate(true), &[0, 10, 20]), [second, second, None]);
        assert_eq!(run(rate(false), &[0, 16, 32, 48, 64]), [second; 5]);
    }

    #[test]
    fn rs_05_exponential_delay() {
        let strategy = RestartStrategy::exponential_delay();
        assert_eq!(run(strategy.clone(), &[0, 1, 2, 3]), [Some(100), Some(200), Some(400), Some(800)]);
        assert_eq!(run(strategy.clone(), &[0, 1, 100]), [Some(100), Some(200), Some(100)]);
        let many: Vec<u64> = (0..20).collect();
        assert_eq!(run(strategy, &many).last(), Some(&Some(30_000)));
    }

    #[test]
    fn rs_05_jitter_changes_each_wait_and_not_the_next() {
        let strategy = RestartStrategy::exponential_delay().with_jitter(0.5);
        let many: Vec<u64> = (0..20).collect();
        let waits = run(strategy.clone(), &many);
        let (mut plain, mut different) = (100.0f64, 0);
        for wait in waits.iter().flatten() {
            assert!(
                (plain * 0.5 - 1.0..=plain * 1.5).contains(&(*wait as f64)) && *wait <= 30_000,
                "{waits:?}"
            );
            different += usize::from(*wait as f64 != plain);
            plain = (plain * 2.0).min(30_000.0);
        }
        assert!(different > 5, "{waits:?}");
        assert_eq!(waits, run(strategy, &many), "one seed gives one order of waits");
    }
}

//! What an idle shard does: look again, let others run, or sleep. A pure state machine; the drivers carry out what it says.

use crate::element::Nanos;
use std::time::Duration;

/// How an idle shard waits for input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitPolicy {
    /// Never sleeps: the lowest latency, a whole core per shard.
    Spin,
    /// Never sleeps, but offers its core to other threads between two looks: [`WaitPolicy::Spin`] where shards share cores.
    Yield,
    /// Looks again for up to `spin`, then sleeps until woken. The time spent looking shrinks where it proves useless (gaps longer
    /// than `spin`) and grows back where it would have paid, so an idle shard costs next to nothing.
    Adaptive {
        /// The longest time spent looking before a sleep.
        spin: Duration,
    },
    /// Sleeps at once: the least CPU time, a wake-up (about 5 us) more latency.
    Park,
}

impl WaitPolicy {
    /// This policy for shards that share their cores with each other: none that keeps others from the core.
    pub fn on_shared_cores(self) -> WaitPolicy {
        match self {
            WaitPolicy::Spin => WaitPolicy::Yield,
            WaitPolicy::Adaptive { spin } => WaitPolicy::Adaptive { spin: spin.min(SPIN_SHARED_MAX) },
            other => other,
        }
    }
}

impl Default for WaitPolicy {
    fn default() -> Self {
        WaitPolicy::Adaptive { spin: SPIN_DEFAULT }
    }
}

/// How long [`WaitPolicy::Adaptive`] looks before it sleeps, unless told otherwise: ten times what a wake-up costs.
pub const SPIN_DEFAULT: Duration = Duration::from_micros(50);

/// The longest look of an adaptive shard that shares its core.
const SPIN_SHARED_MAX: Duration = Duration::from_micros(5);

/// A deadline nearer than this is met by looking: a sleep and its wake-up would take about as long, and would be less punctual.
const SPIN_DEADLINE: Duration = Duration::from_micros(20);

/// A look shorter than this is not worth its clock readings.
const SPIN_MIN: Duration = Duration::from_micros(1);

/// What to do until the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Look again.
    Spin,
    /// Let another thread of this core run, then look again.
    Yield,
    /// Sleep until woken, at most this long.
    Park(Option<Duration>),
}

/// Turns what a shard's steps report into [`Rest`]s.
#[derive(Debug)]
pub struct Pace {
    policy: WaitPolicy,
    /// How long an adaptive shard looks at present; follows the gaps between two pieces of work.
    window: Duration,
    idle_since: Option<Nanos>,
}

impl Pace {
    /// The pace of a shard that has not stepped yet.
    pub fn new(policy: WaitPolicy) -> Self {
        let window = match policy {
            WaitPolicy::Adaptive { spin } => spin,
            _ => Duration::ZERO,
        };
        Pace { policy, window, idle_since: None }
    }

    /// The step at `now` found work.
    #[inline]
    pub fn worked(&mut self, now: Nanos) {
        if let Some(since) = self.idle_since.take() {
            self.learn(now.since(since));
        }
    }

    /// The step at `now` found nothing to do, and nothing will be due before `until`.
    pub fn idle(&mut self, now: Nanos, until: Option<Nanos>) -> Rest {
        let idle_for = now.since(*self.idle_since.get_or_insert(now));
        let left = until.map(|until| until.since(now));
        if left == Some(Duration::ZERO) {
            return Rest::Spin;
        }
        match self.policy {
            WaitPolicy::Spin => Rest::Spin,
            WaitPolicy::Yield => Rest::Yield,
            _ if left.is_some_and(|left| left < SPIN_DEADLINE) => Rest::Spin,
            WaitPolicy::Adaptive { .. } if idle_for < self.window => Rest::Spin,
            WaitPolicy::Adaptive { .. } | WaitPolicy::Park => Rest::Park(left),
        }
    }

    /// Fits the window to a gap between two pieces of work: a full look either would have covered it or would have been in vain.
    fn learn(&mut self, gap: Duration) {
        if let WaitPolicy::Adaptive { spin } = self.policy {
            if gap <= spin {
                self.window = (self.window * 2).max(spin / 8).min(spin);
            } else {
                self.window /= 2;
                if self.window < SPIN_MIN {
                    self.window = Duration::ZERO;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn us(us: u64) -> Nanos {
        Nanos(us * 1000)
    }

    const SPIN_50: WaitPolicy = WaitPolicy::Adaptive { spin: Duration::from_micros(50) };

    #[test]
    fn adaptive_looks_then_sleeps() {
        let mut pace = Pace::new(SPIN_50);
        pace.worked(us(0));
        assert_eq!(pace.idle(us(10), None), Rest::Spin);
        assert_eq!(pace.idle(us(59), None), Rest::Spin);
        assert_eq!(pace.idle(us(60), None), Rest::Park(None));
        // A wake-up without work does not start a new look.
        assert_eq!(pace.idle(us(5_000), None), Rest::Park(None));
    }

    #[test]
    fn useless_looks_get_shorter_and_useful_ones_come_back() {
        let mut pace = Pace::new(SPIN_50);
        let mut now = 0;
        for _ in 0..8 {
            assert!(matches!(pace.idle(us(now), None), Rest::Spin | Rest::Park(None)));
            now += 1_000;
            pace.worked(us(now));
        }
        assert_eq!(pace.idle(us(now), None), Rest::Park(None), "gaps of 1 ms: no look pays");
        for _ in 0..5 {
            pace.worked(us(now));
            pace.idle(us(now), None);
            now += 10;
        }
        pace.worked(us(now));
        assert_eq!(pace.idle(us(now), None), Rest::Spin, "gaps of 10 us: a look pays");
        assert_eq!(pace.idle(us(now + 49), None), Rest::Spin);
    }

    #[test]
    fn near_deadlines_are_spun_for_and_far_ones_slept_for() {
        for policy in [WaitPolicy::Park, WaitPolicy::Adaptive { spin: Duration::ZERO }] {
            let mut pace = Pace::new(policy);
            assert_eq!(pace.idle(us(0), Some(us(19))), Rest::Spin);
            assert_eq!(pace.idle(us(0), Some(us(200))), Rest::Park(Some(Duration::from_micros(200))));
            assert_eq!(pace.idle(us(200), Some(us(200))), Rest::Spin, "due");
            assert_eq!(pace.idle(us(300), Some(us(200))), Rest::Spin, "overdue");
        }
    }

    #[test]
    fn shared_cores_are_not_hogged() {
        assert_eq!(WaitPolicy::Spin.on_shared_cores(), WaitPolicy::Yield);
        assert_eq!(WaitPolicy::Park.on_shared_cores(), WaitPolicy::Park);
        assert_eq!(
            WaitPolicy::default().on_shared_cores(),
            WaitPolicy::Adaptive { spin: Duration::from_micros(5) }
        );
        assert_eq!(Pace::new(WaitPolicy::Yield).idle(us(9), None), Rest::Yield);
    }

    proptest! {
        /// Whatever happens: `Spin` never sleeps, no sleep outlasts the deadline, and an adaptive shard sleeps once its full
        /// look is over.
        #[test]
        fn rests_are_sane(steps in proptest::collection::vec((0u64..200, any::<bool>(), proptest::option::of(0u64..500)), 1..200)) {
            for policy in [WaitPolicy::Spin, WaitPolicy::Yield, SPIN_50, WaitPolicy::Park] {
                let mut pace = Pace::new(policy);
                let (mut now, mut idle_since) = (0, None);
                for &(gap, worked, until) in &steps {
                    now += gap;
                    if worked {
                        pace.worked(us(now));
                        idle_since = None;
                        continue;
                    }
                    let since = *idle_since.get_or_insert(now);
                    let rest = pace.idle(us(now), until.map(|d| us(now + d)));
                    match (policy, rest) {
                        (WaitPolicy::Spin, rest) => prop_assert_eq!(rest, Rest::Spin),
                        (_, Rest::Park(left)) => prop_assert_eq!(left, until.map(Duration::from_micros)),
                        (SPIN_50, _) => prop_assert!(now - since < 50 || until.is_some_and(|d| d < 20)),
                        _ => {}
                    }
                }
            }
        }
    }
}

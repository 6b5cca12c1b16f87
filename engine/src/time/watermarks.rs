//! How watermarks are made: the strategy that a program states, and the generators that follow it, one per source partition.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::span::{Span, SpanError, Tick};
use crate::element::Timestamp;

/// Makes the watermark of one source partition from the timestamps of its records.
///
/// `on_record` is called for every record: keep it to a few instructions.
pub trait WatermarkGenerator: 'static {
    /// A record with this timestamp came. A record without a timestamp ([`Timestamp::MIN`]) must change nothing.
    fn on_record(&mut self, at: Timestamp);

    /// The watermark as of now. It may go back: what is sent out does not.
    fn watermark(&self) -> Timestamp;

    /// All that the generator has to remember across a restart.
    fn save(&self) -> i64;

    /// Goes on where a saved generator of the same kind was.
    fn restore(&mut self, saved: i64);
}

/// The watermark trails the largest timestamp by a fixed bound: `max - bound - 1`. Records may come out of order by up to
/// the bound without being late. A bound of 0 is for timestamps that never go back.
///
/// After Flink's `BoundedOutOfOrdernessWatermarks`. Saturates at [`Timestamp::MIN`].
#[derive(Clone, Copy, Debug)]
pub struct BoundedOutOfOrderness {
    max: i64,
    bound: i64,
}

impl BoundedOutOfOrderness {
    /// A generator with a bound in ticks; a negative bound counts as 0.
    pub fn new(bound: i64) -> Self {
        BoundedOutOfOrderness { max: i64::MIN, bound: bound.max(0) }
    }
}

impl WatermarkGenerator for BoundedOutOfOrderness {
    #[inline]
    fn on_record(&mut self, at: Timestamp) {
        self.max = self.max.max(at.0);
    }

    #[inline]
    fn watermark(&self) -> Timestamp {
        Timestamp(self.max.saturating_sub(self.bound).saturating_sub(1))
    }

    fn save(&self) -> i64 {
        self.max
    }

    fn restore(&mut self, saved: i64) {
        self.max = saved;
    }
}

type Factory = Rc<dyn Fn() -> Box<dyn WatermarkGenerator>>;

/// How a source's watermarks are made. Stated once per source; every partition gets a generator of its own, because order within
/// a partition says nothing about the order across partitions.
///
/// ```
/// use millstream_engine::time::Watermarks;
/// use std::time::Duration;
///
/// let strategy = Watermarks::bounded_out_of_orderness(Duration::from_secs(3)).with_idleness(Duration::from_secs(10));
/// ```
#[derive(Clone)]
pub struct Watermarks {
    kind: Kind,
    idle_after: Option<Duration>,
}

#[derive(Clone)]
enum Kind {
    None,
    Bounded(Span),
    Custom(Factory),
}

impl Watermarks {
    /// Timestamps may be out of order by up to `bound` (a [`Duration`], or [`Ticks`](super::Ticks)).
    pub fn bounded_out_of_orderness(bound: impl Into<Span>) -> Self {
        Watermarks { kind: Kind::Bounded(bound.into()), idle_after: None }
    }

    /// Timestamps never go back within a partition.
    pub fn monotonous() -> Self {
        Watermarks::bounded_out_of_orderness(Duration::ZERO)
    }

    /// No watermarks at all until the source ends: event time does not move.
    pub fn none() -> Self {
        Watermarks { kind: Kind::None, idle_after: None }
    }

    /// Watermarks from generators of the program's own, one call of `make` per partition. Costs a virtual call per record.
    pub fn custom<G: WatermarkGenerator>(make: impl Fn() -> G + 'static) -> Self {
        Watermarks { kind: Kind::Custom(Rc::new(move || Box::new(make()))), idle_after: None }
    }

    /// A partition without records for this long (in processing time) is idle: the others no longer wait for it. The
    /// time in which the shard could not take records because downstream was full does not count.
    pub fn with_idleness(mut self, after: Duration) -> Self {
        self.idle_after = Some(after);
        self
    }

    /// Checks the strategy and puts it into ticks of the job.
    pub fn plan(&self, tick: Tick) -> Result<WatermarkPlan, WatermarksError> {
        let kind = match &self.kind {
            Kind::None => PlanKind::None,
            Kind::Bounded(span) => {
                let bound = span.in_ticks(tick).map_err(WatermarksError::Bound)?;
                if bound < 0 {
                    return Err(WatermarksError::NegativeBound { bound: span.to_string() });
                }
                PlanKind::Bounded(bound)
            }
            Kind::Custom(factory) => PlanKind::Custom(factory.clone()),
        };
        if self.idle_after == Some(Duration::ZERO) {
            return Err(WatermarksError::ZeroIdleness);
        }
        Ok(WatermarkPlan { kind, idle_after: self.idle_after })
    }
}

impl fmt::Debug for Watermarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind: &dyn fmt::Debug = match &self.kind {
            Kind::None => &"none",
            Kind::Bounded(bound) => bound,
            Kind::Custom(_) => &"custom",
        };
        f.debug_struct("Watermarks").field("kind", kind).field("idle_after", &self.idle_after).finish()
    }
}

/// A watermark strategy that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatermarksError {
    /// The bound cannot be told in ticks.
    #[error("bound of out-of-orderness: {0}")]
    Bound(#[source] SpanError),
    /// The bound is negative.
    #[error("bound of out-of-orderness: {bound} is negative; use 0 or more")]
    NegativeBound {
        /// What was given.
        bound: String,
    },
    /// Everything would be idle at once.
    #[error(
        "idleness of 0: every partition would be idle at once; give it the longest pause that is normal, or leave it out"
    )]
    ZeroIdleness,
}

/// A [`Watermarks`] strategy in ticks of the job, ready to make generators. The default makes no watermarks.
#[derive(Clone, Default)]
pub struct WatermarkPlan {
    kind: PlanKind,
    idle_after: Option<Duration>,
}

#[derive(Clone, Default)]
enum PlanKind {
    #[default]
    None,
    Bounded(i64),
    Custom(Factory),
}

impl WatermarkPlan {
    /// After how long without records a partition is idle.
    pub fn idle_after(&self) -> Option<Duration> {
        self.idle_after
    }

    pub(super) fn generator(&self) -> Generator {
        match &self.kind {
            PlanKind::None => Generator::None,
            PlanKind::Bounded(bound) => Generator::Bounded(BoundedOutOfOrderness::new(*bound)),
            PlanKind::Custom(factory) => Generator::Custom(factory()),
        }
    }
}

/// The generator of a partition. Built-in kinds are reached by a predictable branch, not by a virtual call.
pub(super) enum Generator {
    None,
    Bounded(BoundedOutOfOrderness),
    Custom(Box<dyn WatermarkGenerator>),
}

impl Generator {
    #[inline]
    pub(super) fn on_record(&mut self, at: Timestamp) {
        match self {
            Generator::Bounded(generator) => generator.on_record(at),
            Generator::None => {}
            Generator::Custom(generator) => generator.on_record(at),
        }
    }

    pub(super) fn watermark(&self) -> Timestamp {
        match self {
            Generator::None => Timestamp::MIN,
            Generator::Bounded(generator) => generator.watermark(),
            Generator::Custom(generator) => generator.watermark(),
        }
    }

    pub(super) fn save(&self) -> i64 {
        match self {
            Generator::None => i64::MIN,
            Generator::Bounded(generator) => generator.save(),
            Generator::Custom(generator) => generator.save(),
        }
    }

    pub(super) fn restore(&mut self, saved: i64) {
        match self {
            Generator::None => {}
            Generator::Bounded(generator) => generator.restore(saved),
            Generator::Custom(generator) => generator.restore(saved),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ticks;
    use super::*;

    fn trace(strategy: &Watermarks, timestamps: &[i64]) -> Vec<i64> {
        let mut generator = strategy.plan(Tick::Millisecond).unwrap().generator();
        timestamps
            .iter()
            .map(|at| {
                generator.on_record(Timestamp(*at));
                generator.watermark().0
            })
            .collect()
    }

    #[test]
    fn tm_03_bounded_out_of_orderness_is_max_minus_bound_minus_one() {
        let strategy = Watermarks::bounded_out_of_orderness(Duration::from_secs(3));
        assert_eq!(trace(&strategy, &[1000, 7999, 8000]), [-2001, 4998, 4999]);
        let strategy = Watermarks::bounded_out_of_orderness(Ticks(3000));
        assert_eq!(trace(&strategy, &[1000, 7999, 8000]), [-2001, 4998, 4999]);
    }

    #[test]
    fn tm_04_monotonous_is_max_minus_one() {
        assert_eq!(trace(&Watermarks::monotonous(), &[5, 7, 6]), [4, 6, 6]);
    }

    #[test]
    fn tm_07_a_record_without_a_timestamp_moves_nothing() {
        let strategy = Watermarks::bounded_out_of_orderness(Ticks(1));
        assert_eq!(trace(&strategy, &[i64::MIN, 10, i64::MIN]), [i64::MIN, 8, 8]);
    }

    #[test]
    fn near_the_ends_of_time_it_saturates() {
        let strategy = Watermarks::bounded_out_of_orderness(Ticks(i64::MAX));
        assert_eq!(trace(&strategy, &[i64::MIN + 5, -2, i64::MAX]), [i64::MIN, i64::MIN, -1]);
        assert_eq!(trace(&Watermarks::monotonous(), &[i64::MAX]), [i64::MAX - 1]);
    }

    #[test]
    fn none_says_nothing() {
        assert_eq!(trace(&Watermarks::none(), &[1, 2, 3]), [i64::MIN; 3]);
    }

    #[test]
    fn custom_generators_are_one_per_partition() {
        struct EveryThird(i64, u32);
        impl WatermarkGenerator for EveryThird {
            fn on_record(&mut self, at: Timestamp) {
                self.1 += 1;
                if self.1.is_multiple_of(3) {
                    self.0 = at.0;
                }
            }
            fn watermark(&self) -> Timestamp {
                Timestamp(self.0)
            }
            fn save(&self) -> i64 {
                self.0
            }
            fn restore(&mut self, saved: i64) {
                self.0 = saved;
            }
        }
        let strategy = Watermarks::custom(|| EveryThird(i64::MIN, 0));
        for _ in 0..2 {
            assert_eq!(trace(&strategy, &[1, 2, 3, 4]), [i64::MIN, i64::MIN, 3, 3]);
        }
    }

    #[test]
    fn senseless_strategies_are_refused() {
        let plan = |strategy: Watermarks| strategy.plan(Tick::Millisecond).err().unwrap().to_string();
        assert_eq!(
            plan(Watermarks::bounded_out_of_orderness(Ticks(-1))),
            "bound of out-of-orderness: -1 ticks is negative; use 0 or more"
        );
        assert!(plan(Watermarks::bounded_out_of_orderness(Duration::from_nanos(1))).contains("1 ns"));
        assert!(plan(Watermarks::none().with_idleness(Duration::ZERO)).starts_with("idleness of 0"));
    }
}

//! How watermarks are made: the strategy that a program states, and the plan that is made of it.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::generators::{
    AdaptiveBound, AdaptiveBoundError, BoundedOutOfOrderness, Generator, Reported, WatermarkGenerator,
};
use super::span::{Span, SpanError, Tick};
use super::timestamps::TimestampRange;
use crate::element::Timestamp;

type Factory = Rc<dyn Fn() -> Box<dyn WatermarkGenerator>>;

/// How often a source with ingestion time says what time it is while no records come.
const INGESTION_INTERVAL: Duration = Duration::from_millis(10);

/// How a source's watermarks are made. Stated once per source; every partition gets a generator of its own, because order within
/// a partition says nothing about the order across partitions.
///
/// ```
/// use millstream_engine::time::Watermarks;
/// use std::time::Duration;
///
/// let strategy = Watermarks::bounded_out_of_orderness(Duration::from_secs(3))
///     .with_idleness(Duration::from_secs(10))
///     .with_max_drift(Duration::from_secs(60));
/// ```
///
/// A watermark is let out after each batch that the source gives. [`Watermarks::every`] lets out fewer, and
/// [`punctuated`](crate::stream::Stream::punctuated) lets them out at records that the program picks.
#[derive(Clone)]
pub struct Watermarks {
    kind: Kind,
    every: Option<Duration>,
    idle_after: Option<Duration>,
    advance_on_idle: bool,
    max_drift: Option<Span>,
    earliest: Timestamp,
}

#[derive(Clone)]
enum Kind {
    None,
    Bounded(Span),
    Adaptive { p: f64, bound_max: Span },
    Reported,
    Ingestion,
    Custom(Factory),
}

impl Watermarks {
    fn of(kind: Kind) -> Self {
        Watermarks {
            kind,
            every: None,
            idle_after: None,
            advance_on_idle: false,
            max_drift: None,
            earliest: Timestamp::MIN,
        }
    }

    /// Timestamps may be out of order by up to `bound` (a [`Duration`], or [`Ticks`](super::Ticks)).
    pub fn bounded_out_of_orderness(bound: impl Into<Span>) -> Self {
        Watermarks::of(Kind::Bounded(bound.into()))
    }

    /// Timestamps never go back within a partition.
    pub fn monotonous() -> Self {
        Watermarks::bounded_out_of_orderness(Duration::ZERO)
    }

    /// Timestamps are out of order by an amount that is to be found out: so that the part `p` of the records (such as 0.999) is in time,
    /// but by no more than `bound_max`. See [`AdaptiveBound`].
    pub fn adaptive_bound(p: f64, bound_max: impl Into<Span>) -> Self {
        Watermarks::of(Kind::Adaptive { p, bound_max: bound_max.into() })
    }

    /// The source says its watermarks itself, by [`Records::watermark`](crate::source::Records::watermark).
    pub fn from_source() -> Self {
        Watermarks::of(Kind::Reported)
    }

    /// No watermarks at all until the source ends: event time does not move.
    pub fn none() -> Self {
        Watermarks::of(Kind::None)
    }

    /// Watermarks from generators of the program's own, one call of `make` per partition. Costs a virtual call per record.
    pub fn custom<G: WatermarkGenerator>(make: impl Fn() -> G + 'static) -> Self {
        Watermarks::of(Kind::Custom(Rc::new(move || Box::new(make()))))
    }

    /// For records that get the processing time as their timestamp: the watermark is the time that has passed, records or not.
    pub(crate) fn ingestion() -> Self {
        Watermarks::of(Kind::Ingestion).every(INGESTION_INTERVAL)
    }

    /// Lets a watermark out at the multiples of this interval on the job's clock, where there is a new one, and not after each batch: Flink's
    /// `setAutoWatermarkInterval`. Windows fire that much later, and fewer watermarks travel.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = Some(interval);
        self
    }

    /// A partition without records for this long (in processing time) is idle: the others no longer wait for it. The
    /// time in which the shard could not take records because downstream was full does not count.
    pub fn with_idleness(mut self, after: Duration) -> Self {
        self.idle_after = Some(after);
        self
    }

    /// When all partitions of all sources of the job are idle, event time goes on with processing time, so that the last windows close
    /// although no record comes. It starts from the greatest watermark there is. Records that come later may be late then. Needs
    /// [`Watermarks::with_idleness`]; off by default, as in Flink.
    pub fn advance_on_idle(mut self) -> Self {
        self.advance_on_idle = true;
        self
    }

    /// Pauses a partition that is ahead of the slowest one of this source, on whichever shard, by this much: fast partitions do not fill
    /// the state with windows that wait for slow ones. Flink's watermark alignment. A partition stops at the first batch (of at most 32
    /// records) that brings its watermark that far. Partitions that are idle or have ended are not waited for, and being paused
    /// does not make a partition idle.
    pub fn with_max_drift(mut self, drift: impl Into<Span>) -> Self {
        self.max_drift = Some(drift.into());
        self
    }

    /// A record with an earlier timestamp than this fails the job, as one without a timestamp does: such as `Timestamp(0)`, where a time
    /// before 1970 can only be a mistake. Without it, negative timestamps are as good as others.
    pub fn refuse_before(mut self, earliest: Timestamp) -> Self {
        self.earliest = earliest;
        self
    }

    /// Checks the strategy and puts it into ticks of the job.
    ///
    /// # Errors
    /// What makes no sense, and what would.
    pub fn plan(&self, tick: Tick) -> Result<WatermarkPlan, WatermarksError> {
        let ingestion = matches!(self.kind, Kind::Ingestion);
        let kind = match &self.kind {
            Kind::None => PlanKind::None,
            Kind::Bounded(span) => PlanKind::Bounded(bound_in_ticks(span, tick)?),
            Kind::Adaptive { p, bound_max } => {
                let generator = AdaptiveBound::new(*p, bound_in_ticks(bound_max, tick)?)
                    .map_err(WatermarksError::Adaptive)?;
                PlanKind::Adaptive(Rc::new(generator))
            }
            Kind::Reported => PlanKind::Reported,
            Kind::Ingestion => PlanKind::Bounded(0),
            Kind::Custom(factory) => PlanKind::Custom(factory.clone()),
        };
        if self.idle_after == Some(Duration::ZERO) {
            return Err(WatermarksError::ZeroIdleness);
        }
        if self.advance_on_idle && self.idle_after.is_none() {
            return Err(WatermarksError::AdvanceWithoutIdleness);
        }
        let release = match self.every {
            None => Release::Batch,
            Some(Duration::ZERO) => return Err(WatermarksError::ZeroInterval),
            Some(interval) => Release::Every(interval),
        };
        let max_drift = match &self.max_drift {
            None => None,
            Some(span) => match span.in_ticks(tick).map_err(WatermarksError::Drift)? {
                drift if drift > 0 => Some(drift),
                _ => return Err(WatermarksError::NoDrift { drift: span.to_string() }),
            },
        };
        Ok(WatermarkPlan {
            kind,
            release,
            follows_clock: ingestion,
            idle_after: self.idle_after,
            advance_on_idle: self.advance_on_idle,
            max_drift,
            earliest: self.earliest,
        })
    }
}

fn bound_in_ticks(span: &Span, tick: Tick) -> Result<i64, WatermarksError> {
    let bound = span.in_ticks(tick).map_err(WatermarksError::Bound)?;
    if bound < 0 {
        return Err(WatermarksError::NegativeBound { bound: span.to_string() });
    }
    Ok(bound)
}

impl fmt::Debug for Watermarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind: &dyn fmt::Debug = match &self.kind {
            Kind::None => &"none",
            Kind::Bounded(bound) => bound,
            Kind::Adaptive { p, .. } => p,
            Kind::Reported => &"from the source",
            Kind::Ingestion => &"ingestion time",
            Kind::Custom(_) => &"custom",
        };
        f.debug_struct("Watermarks")
            .field("kind", kind)
            .field("every", &self.every)
            .field("idle_after", &self.idle_after)
            .field("advance_on_idle", &self.advance_on_idle)
            .field("max_drift", &self.max_drift)
            .field("earliest", &self.earliest)
            .finish()
    }
}

/// A watermark strategy that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
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
    /// The adaptive bound makes no sense.
    #[error(transparent)]
    Adaptive(AdaptiveBoundError),
    /// Everything would be idle at once.
    #[error(
        "idleness of 0: every partition would be idle at once; give it the longest pause that is normal, or leave it out"
    )]
    ZeroIdleness,
    /// Nothing would ever be idle.
    #[error("advance_on_idle has no effect without idleness; add .with_idleness(..)")]
    AdvanceWithoutIdleness,
    /// No time between two watermarks.
    #[error("a watermark every 0 ns; leave .every(..) out for one after each batch")]
    ZeroInterval,
    /// Watermarks were to come at marked records and also by the clock.
    #[error("watermarks both .every(..) so often and .punctuated(..); choose one")]
    PunctuatedInterval,
    /// There are no timestamps for watermarks to come from.
    #[error(
        ".punctuated(..) says when watermarks are let out, but this source has no event time; call .event_time(..) before it"
    )]
    PunctuatedWithoutTime,
    /// The drift cannot be told in ticks.
    #[error("largest drift between partitions: {0}")]
    Drift(#[source] SpanError),
    /// The drift is zero or negative: every partition would wait for every other.
    #[error("largest drift between partitions: {drift} is not positive; use at least one tick")]
    NoDrift {
        /// What was given.
        drift: String,
    },
}

/// A [`Watermarks`] strategy in ticks of the job, ready to make generators. The default makes no watermarks.
#[derive(Clone)]
pub struct WatermarkPlan {
    kind: PlanKind,
    pub(super) release: Release,
    /// The processing time counts like a record's timestamp.
    pub(super) follows_clock: bool,
    idle_after: Option<Duration>,
    advance_on_idle: bool,
    max_drift: Option<i64>,
    earliest: Timestamp,
}

impl Default for WatermarkPlan {
    fn default() -> Self {
        WatermarkPlan {
            kind: PlanKind::None,
            release: Release::Batch,
            follows_clock: false,
            idle_after: None,
            advance_on_idle: false,
            max_drift: None,
            earliest: Timestamp::MIN,
        }
    }
}

#[derive(Clone)]
enum PlanKind {
    None,
    Bounded(i64),
    /// A generator that has seen nothing yet.
    Adaptive(Rc<AdaptiveBound>),
    Reported,
    Custom(Factory),
}

/// When a partition's watermark is let out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// After each batch.
    Batch,
    /// So often.
    Every(Duration),
    /// At records that the program picks.
    Marks,
}

impl WatermarkPlan {
    /// After how long without records a partition is idle.
    pub fn idle_after(&self) -> Option<Duration> {
        self.idle_after
    }

    /// Whether the source itself says how far event time has come.
    pub(super) fn is_reported(&self) -> bool {
        matches!(self.kind, PlanKind::Reported)
    }

    /// Whether event time follows processing time when everything is idle.
    pub fn advances_on_idle(&self) -> bool {
        self.advance_on_idle
    }

    /// How far a partition may be ahead of the slowest one, in ticks.
    pub fn max_drift(&self) -> Option<i64> {
        self.max_drift
    }

    /// The timestamps that records may have.
    pub(crate) fn timestamps(&self) -> TimestampRange {
        TimestampRange::from(self.earliest)
    }

    /// The same plan, with watermarks at marked records only.
    ///
    /// # Errors
    /// It has an interval already.
    pub fn at_marks(mut self) -> Result<Self, WatermarksError> {
        match self.release {
            Release::Every(_) => Err(WatermarksError::PunctuatedInterval),
            Release::Batch | Release::Marks => {
                self.release = Release::Marks;
                Ok(self)
            }
        }
    }

    pub(super) fn generator(&self) -> Generator {
        match &self.kind {
            PlanKind::None => Generator::None,
            PlanKind::Bounded(bound) => Generator::Bounded(BoundedOutOfOrderness::new(*bound)),
            PlanKind::Adaptive(fresh) => Generator::Adaptive(Box::new(fresh.as_ref().clone())),
            PlanKind::Reported => Generator::Reported(Reported::new()),
            PlanKind::Custom(factory) => Generator::Custom(factory()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ticks, Timestamp};
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
            fn save(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0.to_le_bytes());
            }
            fn restore(&mut self, saved: &[u8]) {
                self.0 = i64::from_le_bytes(saved.try_into().unwrap());
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
        assert!(plan(Watermarks::none().every(Duration::ZERO)).contains(".every(..)"));
        assert!(plan(Watermarks::monotonous().advance_on_idle()).contains(".with_idleness(..)"));
        assert!(plan(Watermarks::monotonous().with_max_drift(Ticks(0))).contains("0 ticks is not positive"));
        assert!(plan(Watermarks::adaptive_bound(2.0, Ticks(5))).contains("such as 0.999"));
        assert!(plan(Watermarks::adaptive_bound(0.9, Ticks(-5))).contains("negative"));
        let periodic =
            Watermarks::monotonous().every(Duration::from_secs(1)).plan(Tick::Millisecond).unwrap();
        assert_eq!(periodic.at_marks().err(), Some(WatermarksError::PunctuatedInterval));
    }
}

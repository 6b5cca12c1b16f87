//! A source among the others: which of its partitions may be read, and where event time goes when all are silent.

use std::sync::Arc;
use std::time::Duration;

use super::clock::ProcessingTime;
use super::job_time::JobTime;
use super::source_clock::SourceClock;
use super::watermarks::WatermarkPlan;
use crate::element::{Nanos, ShardId, Timestamp};

/// How often event time follows processing time while everything is idle.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(10);

/// One instance of a source, and what it knows of the other instances and of the other sources. In each step: [`SourcePace::begin`], then
/// [`SourcePace::may_read`] before each poll, [`SourcePace::lead`] before the clock advances, [`SourcePace::finish`] after it.
pub(crate) struct SourcePace {
    job: Arc<JobTime>,
    source: usize,
    shard: ShardId,
    processing: ProcessingTime,
    max_drift: Option<i64>,
    advances_on_idle: bool,
    timed: bool,
    /// Whether this instance counts as idle.
    away: bool,
    /// How far the source had come when the step began.
    least: Timestamp,
    any_paused: bool,
}

impl SourcePace {
    /// The instance of a source (by its number among the job's sources) on a shard. Without a plan it has no event time.
    pub(crate) fn new(
        job: Arc<JobTime>,
        source: usize,
        shard: ShardId,
        plan: Option<&WatermarkPlan>,
        processing: ProcessingTime,
    ) -> Self {
        SourcePace {
            job,
            source,
            shard,
            processing,
            max_drift: plan.and_then(WatermarkPlan::max_drift),
            advances_on_idle: plan.is_some_and(WatermarkPlan::advances_on_idle),
            timed: plan.is_some(),
            away: false,
            least: Timestamp::MIN,
            any_paused: false,
        }
    }

    /// A step begins.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if self.max_drift.is_some() {
            self.least = self.job.alignments[self.source].least();
            self.any_paused = false;
        }
    }

    /// Whether a partition may be read. One that is too far ahead is paused.
    #[inline]
    pub(crate) fn may_read(&mut self, clock: &mut SourceClock, partition: usize, now: Nanos) -> bool {
        let Some(drift) = self.max_drift else { return true };
        let ahead = clock.progress(partition).0 >= self.least.0.saturating_add(drift);
        clock.set_paused(partition, ahead, now);
        self.any_paused |= ahead;
        !ahead
    }

    /// Lets the clock follow processing time where everything is idle. Gives when to do so again.
    #[inline]
    pub(crate) fn lead(&mut self, clock: &mut SourceClock, now: Nanos) -> Option<Nanos> {
        if !(self.advances_on_idle && self.away) {
            return None;
        }
        let Some((since, from)) = self.job.all_idle.since() else {
            clock.follow(None);
            return None;
        };
        let passed = self.processing.ticks_in(now.since(since));
        // The end of time comes only with the end of the sources.
        clock.follow(Some(Timestamp(from.0.saturating_add(passed).min(i64::MAX - 1))));
        Some(now.after(FOLLOW_INTERVAL))
    }

    /// Tells the others where this instance is, after its clock has advanced. Gives whether to look again at once.
    #[inline]
    pub(crate) fn finish(&mut self, clock: &SourceClock, now: Nanos) -> bool {
        let at_work = self.timed && clock.is_at_work();
        if at_work == self.away {
            self.away = !at_work;
            if at_work {
                self.job.all_idle.come_back();
            } else {
                self.job.all_idle.leave(clock.watermark(), now);
            }
        }
        if self.max_drift.is_none() {
            return false;
        }
        let alignment = &self.job.alignments[self.source];
        alignment.publish(self.shard, clock.slowest().unwrap_or(Timestamp::MAX));
        alignment.set_paused(self.shard, self.any_paused);
        self.any_paused && alignment.least() != self.least
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Signal, Tick, Watermarks};
    use super::*;
    use crate::graph::ShardRange;
    use crate::runtime::Waker;
    use crate::source::PartitionId;

    /// The instances of one source on some shards, with a partition each.
    fn instances(strategy: &Watermarks, shards: usize) -> Vec<(SourcePace, SourceClock)> {
        let plan = strategy.plan(Tick::Millisecond).unwrap();
        let job = Arc::new(JobTime::new(&[ShardRange::all(shards as u16)], &vec![Waker::new(); shards]));
        let instance = |shard| {
            let mut clock = SourceClock::new(false);
            clock.add(PartitionId(format!("p{shard}")), &plan, Nanos(0));
            let time = ProcessingTime::from_epoch(Tick::Millisecond);
            let pace = SourcePace::new(job.clone(), 0, ShardId(shard as u16), Some(&plan), time);
            (pace, clock)
        };
        (0..shards).map(instance).collect()
    }

    /// A step in which the partition gives its next record, if there is one and it may. They are a tenth of a second apart.
    fn step(
        (pace, clock): &mut (SourcePace, SourceClock),
        next: &mut Option<i64>,
        now: Nanos,
    ) -> Vec<Signal> {
        pace.begin();
        if pace.may_read(clock, 0, now)
            && let Some(at) = next
        {
            clock.on_record(0, Timestamp(*at));
            clock.on_batch(0, now);
            *at += 100;
        }
        let _ = pace.lead(clock, now);
        let signals = clock.advance(now).into_iter().collect();
        pace.finish(clock, now);
        signals
    }

    #[test]
    fn tm_17_a_partition_on_another_shard_holds_the_fast_one_within_the_drift() {
        let strategy = Watermarks::monotonous().with_max_drift(Duration::from_secs(1));
        let mut both = instances(&strategy, 2);
        let (mut fast, mut slow) = (Some(0), Some(0));
        for _ in 0..21 {
            step(&mut both[1], &mut slow, Nanos(0));
        }
        for _ in 0..100 {
            step(&mut both[0], &mut fast, Nanos(0));
        }
        assert_eq!(slow, Some(100), "one record, then it waited for the one that had said nothing");
        assert_eq!(both[0].1.watermark(), Timestamp(999));
        for _ in 0..20 {
            step(&mut both[1], &mut slow, Nanos(0));
            if slow > Some(2_000) {
                break;
            }
            step(&mut both[0], &mut fast, Nanos(0));
        }
        for _ in 0..100 {
            step(&mut both[0], &mut fast, Nanos(0));
        }
        assert_eq!((both[1].1.watermark(), both[0].1.watermark()), (Timestamp(1_999), Timestamp(2_999)));
    }

    #[test]
    fn tm_12_event_time_goes_on_with_the_clock_once_all_are_idle() {
        let ms = |ms: u64| Nanos(ms * 1_000_000);
        let strategy = Watermarks::monotonous().with_idleness(Duration::from_millis(50)).advance_on_idle();
        let mut both = instances(&strategy, 2);
        step(&mut both[0], &mut Some(1_000), ms(0));
        step(&mut both[1], &mut Some(3_000), ms(20));
        assert_eq!(step(&mut both[0], &mut None, ms(60)), [Signal::Idle]);
        assert_eq!(step(&mut both[0], &mut None, ms(65)), [], "the other one is not idle yet");
        assert_eq!(step(&mut both[1], &mut None, ms(70)), [Signal::Idle]);
        let at = |at| vec![Signal::Active, Signal::Advance(Timestamp(at))];
        assert_eq!(step(&mut both[0], &mut None, ms(80)), at(3_009));
        assert_eq!(step(&mut both[1], &mut None, ms(100)), at(3_029));
        // A record comes: the other one is idle again, and nobody waits for it.
        assert_eq!(step(&mut both[1], &mut Some(3_500), ms(110)), [Signal::Advance(Timestamp(3_499))]);
        assert_eq!(step(&mut both[0], &mut None, ms(120)), [Signal::Idle]);
    }

    #[test]
    fn tm_12_it_stands_where_that_was_not_asked_for() {
        let mut one = instances(&Watermarks::monotonous().with_idleness(Duration::from_nanos(5)), 1);
        step(&mut one[0], &mut Some(1_000), Nanos(0));
        assert_eq!(step(&mut one[0], &mut None, Nanos(5)), [Signal::Idle]);
        assert_eq!(step(&mut one[0], &mut None, Nanos(u64::MAX)), []);
    }
}

//! The event time of one source partition, and whether it is idle.

use std::time::Duration;

use super::generators::Generator;
use super::saved::PartitionTime;
use super::watermarks::{Release, WatermarkPlan};
use crate::element::{Nanos, Timestamp};

/// Watermark and idleness of one source partition.
///
/// Processing time is given from outside; [`SourceClock`](super::SourceClock) gives it without the time in which the shard was blocked where
/// idleness is concerned.
pub struct PartitionClock {
    generator: Generator,
    release: Release,
    follows_clock: bool,
    /// When the next watermark may be let out, where that is a matter of time.
    next_release: Option<Nanos>,
    /// What was let out. It never goes back, also where the strategy has changed in a restart.
    out: Timestamp,
    /// What the generator said when it was last looked at.
    said: Timestamp,
    regressions: u64,
    idle_after: Option<Duration>,
    last_record: Nanos,
    paused_since: Option<Nanos>,
    idle: bool,
    /// Whether it is idle because the source said so.
    said_idle: bool,
    ended: bool,
}

impl PartitionClock {
    /// The clock of a partition that has not been read yet. Idleness counts from `now`.
    pub fn new(plan: &WatermarkPlan, now: Nanos) -> Self {
        PartitionClock {
            generator: plan.generator(),
            release: plan.release,
            follows_clock: plan.follows_clock,
            next_release: None,
            out: Timestamp::MIN,
            said: Timestamp::MIN,
            regressions: 0,
            idle_after: plan.idle_after(),
            last_record: now,
            paused_since: None,
            idle: false,
            said_idle: false,
            ended: false,
        }
    }

    /// The clock of a partition that goes on from a checkpoint. One that was idle stays so until its next record; otherwise idleness
    /// counts from `now`.
    pub fn restore(plan: &WatermarkPlan, saved: &PartitionTime, now: Nanos) -> Self {
        let mut clock = PartitionClock::new(plan, now);
        clock.generator.restore(&saved.generator);
        clock.said = clock.generator.watermark();
        clock.out = saved.watermark;
        clock.idle = saved.idle && (plan.idle_after().is_some() || plan.is_reported());
        clock.said_idle = clock.idle && plan.is_reported();
        clock.ended = saved.ended;
        clock
    }

    /// What a checkpoint has to hold.
    pub fn save(&self) -> PartitionTime {
        let mut generator = Vec::new();
        self.generator.save(&mut generator);
        PartitionTime { generator, watermark: self.out, idle: self.idle, ended: self.ended }
    }

    /// A record with this timestamp came. To be followed by [`PartitionClock::on_batch`] once per batch.
    #[inline]
    pub fn on_record(&mut self, at: Timestamp) {
        self.generator.on_record(at);
    }

    /// The source itself says that event time has come to `at`.
    pub fn on_reported(&mut self, at: Timestamp) {
        self.generator.on_reported(at);
        if std::mem::take(&mut self.said_idle) {
            self.idle = false;
        }
    }

    /// The source itself says that nothing is to be expected for a while: the partition is idle until its next record or the next
    /// watermark that the source says.
    pub fn on_said_idle(&mut self) {
        if !self.ended {
            self.said_idle = true;
            self.become_idle();
        }
    }

    /// Whether it has to be told of every record; see [`SourceClock::needs_every_record`](super::SourceClock::needs_every_record).
    pub fn needs_every_record(&self) -> bool {
        self.generator.needs_every_record()
    }

    /// Records came, at `now`: the partition is active.
    #[inline]
    pub fn on_batch(&mut self, now: Nanos) {
        self.last_record = now;
        self.idle = false;
        self.said_idle = false;
    }

    /// A record came at which the watermark is to be let out.
    pub fn mark(&mut self) {
        self.let_out();
    }

    /// There will be no more records.
    pub fn end(&mut self) {
        self.let_out();
        self.ended = true;
        self.idle = false;
    }

    /// The partition is not to be read for a while: its silence says nothing. Repeating it changes nothing.
    pub fn pause(&mut self, now: Nanos) {
        self.paused_since.get_or_insert(now);
    }

    /// The partition is read again. Repeating it changes nothing.
    pub fn resume(&mut self, now: Nanos) {
        if let Some(since) = self.paused_since.take() {
            self.last_record = self.last_record.after(now.since(since));
        }
    }

    /// Whether it is not to be read.
    pub fn is_paused(&self) -> bool {
        self.paused_since.is_some()
    }

    /// Looks whether the partition has become idle by `now`: exactly its idleness after the last record, or later.
    pub fn check_idle(&mut self, now: Nanos) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.become_idle();
        }
    }

    fn become_idle(&mut self) {
        self.idle = true;
        if self.release != Release::Marks {
            self.let_out();
        }
    }

    /// When the partition will become idle if no record comes; `None` where it never will, or is already.
    pub fn deadline(&self) -> Option<Nanos> {
        if self.idle || self.ended || self.is_paused() {
            return None;
        }
        self.idle_after.map(|after| self.last_record.after(after))
    }

    /// Lets the watermark out if it is time to, and gives it. `processing` is the processing time in ticks.
    pub fn look(&mut self, now: Nanos, processing: Timestamp) -> Timestamp {
        let due = match self.release {
            Release::Batch => true,
            Release::Marks => false,
            Release::Every(interval) => {
                let due = now >= *self.next_release.get_or_insert_with(|| next_multiple(now, interval));
                if due {
                    self.next_release = Some(next_multiple(now, interval));
                }
                due
            }
        };
        if due {
            if self.follows_clock {
                self.generator.on_record(processing);
            }
            self.let_out();
        }
        self.out
    }

    fn let_out(&mut self) {
        let says = self.generator.watermark();
        if says < self.said && self.generator.must_not_go_back() {
            self.regressions += 1;
        }
        self.said = says;
        // The end of time comes with the end of the partition, whatever its generator says.
        self.out = self.out.max(says.min(Timestamp(i64::MAX - 1)));
    }

    /// When [`PartitionClock::look`] will let something out although no record comes.
    pub fn next_release(&self) -> Option<Nanos> {
        let waits = self.follows_clock || self.generator.watermark() > self.out;
        self.next_release.filter(|_| waits && !self.ended)
    }

    /// The partition's watermark, as far as it was let out.
    #[inline]
    pub fn watermark(&self) -> Timestamp {
        self.out
    }

    /// How far the partition has come, let out or not.
    #[inline]
    pub fn progress(&self) -> Timestamp {
        self.generator.watermark().max(self.out)
    }

    /// Whether the watermark is made of the processing time.
    pub fn follows_clock(&self) -> bool {
        self.follows_clock
    }

    /// After how long without records it is idle.
    pub fn idle_after(&self) -> Option<Duration> {
        self.idle_after
    }

    /// How often its generator has gone back.
    pub fn regressions(&self) -> u64 {
        self.regressions
    }

    /// Whether it is idle.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ended
    }
}

/// The next time after `now` that is a multiple of the interval.
fn next_multiple(now: Nanos, interval: Duration) -> Nanos {
    let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    Nanos((now.0 / interval).saturating_add(1).saturating_mul(interval))
}

#[cfg(test)]
mod tests {
    use super::super::{Tick, Ticks, WatermarkGenerator, Watermarks};
    use super::*;

    fn planned(strategy: Watermarks) -> WatermarkPlan {
        strategy.plan(Tick::Millisecond).unwrap()
    }

    fn plan(bound: i64, idle_nanos: u64) -> WatermarkPlan {
        planned(
            Watermarks::bounded_out_of_orderness(Ticks(bound))
                .with_idleness(Duration::from_nanos(idle_nanos)),
        )
    }

    fn look(clock: &mut PartitionClock, now: u64) -> Timestamp {
        clock.look(Nanos(now), Timestamp::MIN)
    }

    /// A record and the watermark that is let out after it.
    fn record(clock: &mut PartitionClock, at: i64, now: u64) -> i64 {
        clock.on_record(Timestamp(at));
        clock.on_batch(Nanos(now));
        look(clock, now).0
    }

    #[test]
    fn tm_11_idle_exactly_at_d_after_the_last_record() {
        let mut clock = PartitionClock::new(&plan(0, 10), Nanos(100));
        assert_eq!(clock.deadline(), Some(Nanos(110)));
        record(&mut clock, 1, 105);
        clock.check_idle(Nanos(114));
        assert!(!clock.is_idle());
        clock.check_idle(Nanos(115));
        assert!(clock.is_idle());
        assert_eq!(clock.deadline(), None);
        clock.on_batch(Nanos(200));
        assert!(!clock.is_idle());
        assert_eq!(clock.deadline(), Some(Nanos(210)));
        clock.end();
        assert_eq!(clock.deadline(), None);
    }

    #[test]
    fn tm_16_a_restored_watermark_never_goes_back() {
        let mut clock = PartitionClock::new(&plan(5, 10), Nanos(0));
        assert_eq!(record(&mut clock, 100, 0), 94);
        let saved = clock.save();
        assert_eq!(saved.watermark, Timestamp(94));

        let mut same = PartitionClock::restore(&plan(5, 10), &saved, Nanos(7));
        assert_eq!(same.watermark(), Timestamp(94));
        assert_eq!(record(&mut same, 101, 7), 95);

        // The program's new version has a wider bound.
        let mut wider = PartitionClock::restore(&plan(50, 10), &saved, Nanos(7));
        assert_eq!(look(&mut wider, 7), Timestamp(94));
        assert_eq!(record(&mut wider, 146, 7), 95);
        assert_eq!(wider.regressions(), 0);
    }

    #[test]
    fn an_idle_partition_is_restored_idle() {
        let mut clock = PartitionClock::new(&plan(0, 10), Nanos(0));
        clock.check_idle(Nanos(10));
        let saved = clock.save();
        assert!(PartitionClock::restore(&plan(0, 10), &saved, Nanos(0)).is_idle());
        // Without idleness in the new version it would never wake up on its own terms.
        let never = planned(Watermarks::monotonous());
        assert!(!PartitionClock::restore(&never, &saved, Nanos(0)).is_idle());
    }

    #[test]
    fn a_source_that_says_its_partition_is_idle_says_when_it_is_back_too() {
        let reported = planned(Watermarks::from_source());
        let mut clock = PartitionClock::new(&reported, Nanos(0));
        clock.on_reported(Timestamp(5));
        clock.on_said_idle();
        assert_eq!((clock.is_idle(), clock.watermark()), (true, Timestamp(5)));
        let mut restored = PartitionClock::restore(&reported, &clock.save(), Nanos(0));
        assert!(restored.is_idle());
        restored.on_reported(Timestamp(6));
        assert!(!restored.is_idle(), "a watermark is a sign of life");
        record(&mut clock, 7, 0);
        assert!(!clock.is_idle(), "so is a record");
    }

    #[test]
    fn tm_05_an_interval_lets_out_one_watermark_where_batches_let_out_ten() {
        let let_out = |strategy: Watermarks| {
            let mut clock = PartitionClock::new(&planned(strategy), Nanos(0));
            let mut seen = vec![look(&mut clock, 0)];
            for n in 1..=10 {
                seen.push(Timestamp(record(&mut clock, n, n as u64 * 5)));
            }
            seen.push(look(&mut clock, 200));
            seen.dedup();
            (seen.len() - 1, *seen.last().unwrap())
        };
        let every = Watermarks::monotonous().every(Duration::from_nanos(200));
        assert_eq!(let_out(every), (1, Timestamp(9)));
        assert_eq!(let_out(Watermarks::monotonous()), (10, Timestamp(9)));
    }

    #[test]
    fn tm_05_what_waits_for_its_interval_has_a_deadline_and_idleness_lets_it_out() {
        let strategy = Watermarks::monotonous()
            .every(Duration::from_nanos(200))
            .with_idleness(Duration::from_nanos(100));
        let mut clock = PartitionClock::new(&planned(strategy), Nanos(0));
        look(&mut clock, 0);
        assert_eq!(clock.next_release(), None);
        record(&mut clock, 8, 50);
        assert_eq!((clock.watermark(), clock.next_release()), (Timestamp::MIN, Some(Nanos(200))));
        clock.check_idle(Nanos(150));
        assert_eq!((clock.watermark(), clock.next_release()), (Timestamp(7), None));
    }

    #[test]
    fn tm_06_marks_let_watermarks_out_and_nothing_else_does() {
        let marked = plan(0, 10).at_marks().unwrap();
        let mut clock = PartitionClock::new(&marked, Nanos(0));
        let mut let_out = Vec::new();
        for n in 1..=7 {
            clock.on_record(Timestamp(n));
            if n % 3 == 0 {
                clock.mark();
            }
            let_out.push(look(&mut clock, 0).0);
        }
        assert_eq!(let_out, [i64::MIN, i64::MIN, 2, 2, 2, 5, 5]);
        clock.check_idle(Nanos(10));
        assert_eq!((clock.watermark(), clock.is_idle()), (Timestamp(5), true));
    }

    #[test]
    fn tm_17_a_paused_partition_is_not_idle() {
        let mut clock = PartitionClock::new(&plan(0, 10), Nanos(0));
        record(&mut clock, 1, 4);
        clock.pause(Nanos(6));
        clock.pause(Nanos(9));
        clock.check_idle(Nanos(1_000));
        assert_eq!((clock.is_idle(), clock.deadline()), (false, None));
        clock.resume(Nanos(1_006));
        clock.resume(Nanos(1_007));
        assert_eq!(clock.deadline(), Some(Nanos(1_014)));
    }

    #[test]
    fn a_generator_that_goes_back_is_counted_and_not_followed() {
        struct Says(i64);
        impl WatermarkGenerator for Says {
            fn on_record(&mut self, at: Timestamp) {
                self.0 = at.0;
            }
            fn watermark(&self) -> Timestamp {
                Timestamp(self.0)
            }
            fn save(&self, _: &mut Vec<u8>) {}
            fn restore(&mut self, _: &[u8]) {}
        }
        let mut clock = PartitionClock::new(&planned(Watermarks::custom(|| Says(i64::MIN))), Nanos(0));
        let seen: Vec<_> = [5, 9, 7, 7, 8, 3, 12].map(|at| record(&mut clock, at, 0)).to_vec();
        assert_eq!((seen, clock.regressions()), (vec![5, 9, 9, 9, 9, 9, 12], 2));
    }

    #[test]
    fn tm_08_what_the_source_says_counts_and_its_records_do_not() {
        let mut clock = PartitionClock::new(&planned(Watermarks::from_source()), Nanos(0));
        assert_eq!(record(&mut clock, 100, 0), i64::MIN);
        clock.on_reported(Timestamp(42));
        assert_eq!(look(&mut clock, 0), Timestamp(42));
        clock.on_reported(Timestamp(40));
        assert_eq!((look(&mut clock, 0), clock.regressions()), (Timestamp(42), 1));
    }

    #[test]
    fn tm_01_ingestion_time_goes_on_by_itself() {
        let mut clock = PartitionClock::new(&planned(Watermarks::ingestion()), Nanos(0));
        let ms = |ms: u64| Nanos(ms * 1_000_000);
        assert_eq!(clock.look(ms(0), Timestamp(1000)), Timestamp::MIN);
        assert_eq!(clock.next_release(), Some(ms(10)));
        assert_eq!(clock.look(ms(10), Timestamp(1010)), Timestamp(1009));
        assert_eq!(clock.look(ms(15), Timestamp(1015)), Timestamp(1009));
        assert_eq!(clock.look(ms(20), Timestamp(1020)), Timestamp(1019));
    }
}

//! The event time of one source partition, and whether it is idle.

use std::time::Duration;

use super::saved::PartitionTime;
use super::watermarks::{Generator, WatermarkPlan};
use crate::element::{Nanos, Timestamp};

/// Watermark and idleness of one source partition.
///
/// Processing time is given from outside; [`SourceClock`](super::SourceClock) gives it without the time in which the shard was blocked.
pub struct PartitionClock {
    generator: Generator,
    /// What was sent before a restart: the watermark does not go below it, even if the strategy has changed since.
    floor: Timestamp,
    idle_after: Option<Duration>,
    last_record: Nanos,
    idle: bool,
    ended: bool,
}

impl PartitionClock {
    /// The clock of a partition that has not been read yet. Idleness counts from `now`.
    pub fn new(plan: &WatermarkPlan, now: Nanos) -> Self {
        PartitionClock {
            generator: plan.generator(),
            floor: Timestamp::MIN,
            idle_after: plan.idle_after(),
            last_record: now,
            idle: false,
            ended: false,
        }
    }

    /// The clock of a partition that goes on from a checkpoint. One that was idle stays so until its next record; otherwise idleness
    /// counts from `now`.
    pub fn restore(plan: &WatermarkPlan, saved: &PartitionTime, now: Nanos) -> Self {
        let mut clock = PartitionClock::new(plan, now);
        clock.generator.restore(saved.generator);
        clock.floor = saved.watermark;
        clock.idle = saved.idle && plan.idle_after().is_some();
        clock.ended = saved.ended;
        clock
    }

    /// What a checkpoint has to hold.
    pub fn save(&self) -> PartitionTime {
        PartitionTime {
            generator: self.generator.save(),
            watermark: self.watermark(),
            idle: self.idle,
            ended: self.ended,
        }
    }

    /// A record with this timestamp came. To be followed by [`PartitionClock::on_batch`] once per batch.
    #[inline]
    pub fn on_record(&mut self, at: Timestamp) {
        self.generator.on_record(at);
    }

    /// Whether it has to be told of every record; see [`SourceClock::needs_every_record`](super::SourceClock::needs_every_record).
    pub fn needs_every_record(&self) -> bool {
        matches!(self.generator, Generator::Custom(_))
    }

    /// Records came, at `now`: the partition is active.
    #[inline]
    pub fn on_batch(&mut self, now: Nanos) {
        self.last_record = now;
        self.idle = false;
    }

    /// There will be no more records.
    pub fn end(&mut self) {
        self.ended = true;
        self.idle = false;
    }

    /// Looks whether the partition has become idle by `now`: exactly its idleness after the last record, or later.
    pub fn check_idle(&mut self, now: Nanos) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.idle = true;
        }
    }

    /// When the partition will become idle if no record comes; `None` where it never will, or is already.
    pub fn deadline(&self) -> Option<Nanos> {
        if self.idle || self.ended {
            return None;
        }
        self.idle_after.map(|after| self.last_record.after(after))
    }

    /// The partition's watermark.
    #[inline]
    pub fn watermark(&self) -> Timestamp {
        self.generator.watermark().max(self.floor)
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

#[cfg(test)]
mod tests {
    use super::super::{Tick, Ticks, Watermarks};
    use super::*;

    fn plan(bound: i64, idle_nanos: u64) -> WatermarkPlan {
        Watermarks::bounded_out_of_orderness(Ticks(bound))
            .with_idleness(Duration::from_nanos(idle_nanos))
            .plan(Tick::Millisecond)
            .unwrap()
    }

    #[test]
    fn tm_11_idle_exactly_at_d_after_the_last_record() {
        let mut clock = PartitionClock::new(&plan(0, 10), Nanos(100));
        assert_eq!(clock.deadline(), Some(Nanos(110)));
        clock.on_record(Timestamp(1));
        clock.on_batch(Nanos(105));
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
        clock.on_record(Timestamp(100));
        let saved = clock.save();
        assert_eq!(saved.watermark, Timestamp(94));

        let mut same = PartitionClock::restore(&plan(5, 10), &saved, Nanos(7));
        assert_eq!(same.watermark(), Timestamp(94));
        same.on_record(Timestamp(101));
        assert_eq!(same.watermark(), Timestamp(95));

        // The program's new version has a wider bound.
        let mut wider = PartitionClock::restore(&plan(50, 10), &saved, Nanos(7));
        assert_eq!(wider.watermark(), Timestamp(94));
        wider.on_record(Timestamp(146));
        assert_eq!(wider.watermark(), Timestamp(95));
    }

    #[test]
    fn an_idle_partition_is_restored_idle() {
        let mut clock = PartitionClock::new(&plan(0, 10), Nanos(0));
        clock.check_idle(Nanos(10));
        let saved = clock.save();
        assert!(PartitionClock::restore(&plan(0, 10), &saved, Nanos(0)).is_idle());
        // Without idleness in the new version it would never wake up on its own terms.
        let never = Watermarks::monotonous().plan(Tick::Millisecond).unwrap();
        assert!(!PartitionClock::restore(&never, &saved, Nanos(0)).is_idle());
    }
}

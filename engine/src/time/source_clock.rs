//! The event time of a source on one shard: the minimum over its partitions.

use super::clock::ProcessingTime;
use super::partition_clock::PartitionClock;
use super::report::{PartitionReport, PartitionState};
use super::saved::PartitionTime;
use super::signal::{Combined, Output, Signals};
use super::span::Tick;
use super::standstill::{InputView, Standstill, explain};
use super::unblocked::UnblockedTime;
use super::watermarks::WatermarkPlan;
use crate::element::{Nanos, Timestamp};
use crate::source::PartitionId;

/// Merges the partitions that one shard reads of a source.
///
/// The watermark is the minimum over the partitions that are neither idle nor ended. When all are idle it concludes on the largest
/// watermark among them, once. A partition that comes back from idleness counts at once, as in Flink's `WatermarkOutputMultiplexer`: the
/// watermark waits until it has caught up, so that only those of its records are late that already were.
///
/// A shard that reads no partition of the source is idle from the start, or has ended if the source ends with its partitions.
///
/// Use per batch of a partition: `on_record` for each record, or for the latest alone where it does not need every one; `on_batch` once;
/// then, once per step, `advance`.
pub struct SourceClock {
    partitions: Vec<Partition>,
    output: Output,
    bounded: bool,
    unblocked: UnblockedTime,
    processing: ProcessingTime,
    /// Where event time goes although all partitions are idle.
    following: Option<Timestamp>,
}

struct Partition {
    name: PartitionId,
    clock: PartitionClock,
    /// The watermark as last looked at, and since when it has been that.
    seen: Timestamp,
    since: Nanos,
    /// When the last records came.
    heard: Option<Nanos>,
}

impl SourceClock {
    /// The clock of a source with no partitions yet; they follow by [`SourceClock::add`] and [`SourceClock::restore`], before the
    /// first [`SourceClock::advance`]. `bounded`: the source ends
    /// with its partitions.
    pub fn new(bounded: bool) -> Self {
        SourceClock {
            partitions: Vec::new(),
            output: Output::starting_at(Timestamp::MIN),
            bounded,
            unblocked: UnblockedTime::default(),
            processing: ProcessingTime::from_epoch(Tick::Millisecond),
            following: None,
        }
    }

    /// Says how processing time is told, for partitions whose watermarks are made of it.
    pub fn tells_time_by(&mut self, processing: ProcessingTime) {
        self.processing = processing;
    }

    /// Adds a partition that is read from its beginning, and gives its number.
    pub fn add(&mut self, name: PartitionId, plan: &WatermarkPlan, now: Nanos) -> usize {
        let clock = PartitionClock::new(plan, self.unblocked.at(now));
        self.push(name, clock, now)
    }

    /// Adds a partition that goes on from a checkpoint, and gives its number.
    pub fn restore(
        &mut self,
        name: PartitionId,
        plan: &WatermarkPlan,
        saved: &PartitionTime,
        now: Nanos,
    ) -> usize {
        let clock = PartitionClock::restore(plan, saved, self.unblocked.at(now));
        self.push(name, clock, now)
    }

    fn push(&mut self, name: PartitionId, clock: PartitionClock, now: Nanos) -> usize {
        let seen = clock.watermark();
        self.partitions.push(Partition { name, clock, seen, since: now, heard: None });
        self.partitions.len() - 1
    }

    /// What a checkpoint has to hold: one entry per partition, by name, because a restart may deal them to other shards.
    pub fn save(&self) -> impl Iterator<Item = (&PartitionId, PartitionTime)> {
        self.partitions.iter().map(|partition| (&partition.name, partition.clock.save()))
    }

    /// After a restart with the same shards: the watermark that was sent out last. Nothing below it will be.
    pub fn restore_output(&mut self, watermark: Timestamp) {
        self.output.watermark = self.output.watermark.max(watermark);
    }

    /// A record of a partition came.
    #[inline]
    pub fn on_record(&mut self, partition: usize, at: Timestamp) {
        self.partitions[partition].clock.on_record(at);
    }

    /// Whether a partition has to be told of every record. Otherwise of each batch only the greatest timestamp matters, and it will do to
    /// tell that by [`SourceClock::on_record`].
    pub fn needs_every_record(&self, partition: usize) -> bool {
        self.partitions[partition].clock.needs_every_record()
    }

    /// Records of a partition came, at `now`. Once per batch.
    #[inline]
    pub fn on_batch(&mut self, partition: usize, now: Nanos) {
        let partition = &mut self.partitions[partition];
        partition.clock.on_batch(self.unblocked.at(now));
        partition.heard = Some(now);
    }

    /// The source itself says how far a partition's event time has come.
    pub fn on_reported(&mut self, partition: usize, at: Timestamp) {
        self.partitions[partition].clock.on_reported(at);
    }

    /// The source itself says that a partition is idle, until its next record or watermark.
    pub fn on_said_idle(&mut self, partition: usize) {
        self.partitions[partition].clock.on_said_idle();
    }

    /// The last record of a partition is one at which its watermark is to be let out.
    pub fn mark(&mut self, partition: usize) {
        self.partitions[partition].clock.mark();
    }

    /// A partition is not to be read for a while, or is read again: while it is paused it does not become idle.
    pub fn set_paused(&mut self, partition: usize, paused: bool, now: Nanos) {
        let now = self.unblocked.at(now);
        let clock = &mut self.partitions[partition].clock;
        if paused { clock.pause(now) } else { clock.resume(now) }
    }

    /// How far a partition has come, whether its watermark was let out or not.
    pub fn progress(&self, partition: usize) -> Timestamp {
        self.partitions[partition].clock.progress()
    }

    /// How far the slowest partition has come that is neither idle nor ended, if there is one.
    pub fn slowest(&self) -> Option<Timestamp> {
        self.at_work().map(PartitionClock::progress).min()
    }

    /// Whether any partition is neither idle nor ended.
    pub fn is_at_work(&self) -> bool {
        self.at_work().next().is_some()
    }

    fn at_work(&self) -> impl Iterator<Item = &PartitionClock> {
        let clocks = self.partitions.iter().map(|partition| &partition.clock);
        clocks.filter(|clock| !clock.is_idle() && !clock.has_ended())
    }

    /// Where event time is to go while all partitions are idle, if anywhere: it counts from the next [`SourceClock::advance`] on, until a
    /// record comes.
    pub fn follow(&mut self, to: Option<Timestamp>) {
        self.following = to;
    }

    /// How often the generators of all partitions have gone back.
    pub fn regressions(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.clock.regressions()).sum()
    }

    /// A partition has no more records.
    pub fn end(&mut self, partition: usize) {
        self.partitions[partition].clock.end();
    }

    /// Nothing more comes, of any partition, even if the source could have gone on for ever.
    pub fn end_all(&mut self) {
        self.bounded = true;
        self.partitions.iter_mut().for_each(|partition| partition.clock.end());
    }

    /// The shard cannot read because downstream is full: idleness stops counting. Repeating it changes nothing.
    pub fn block(&mut self, now: Nanos) {
        self.unblocked.block(now);
    }

    /// The shard can read again. Repeating it changes nothing.
    pub fn unblock(&mut self, now: Nanos) {
        self.unblocked.unblock(now);
    }

    /// Looks at all partitions and says what is new. Its costs are in proportion to the partitions: once per step, not per record.
    pub fn advance(&mut self, now: Nanos) -> Signals {
        let read_time = self.unblocked.at(now);
        let mut active_min = None;
        let mut max = Timestamp::MIN;
        let mut any_open = false;
        for partition in &mut self.partitions {
            partition.clock.check_idle(read_time);
            let processing =
                if partition.clock.follows_clock() { self.processing.at(now) } else { Timestamp::MIN };
            let watermark = partition.clock.look(now, processing);
            if watermark != partition.seen {
                partition.seen = watermark;
                partition.since = now;
            }
            max = max.max(watermark);
            if !partition.clock.has_ended() {
                any_open = true;
                if !partition.clock.is_idle() {
                    active_min = Some(active_min.map_or(watermark, |min: Timestamp| min.min(watermark)));
                }
            }
        }
        let combined = match active_min {
            Some(min) => Combined::Active(Some(min)),
            None if any_open && self.following.is_some() => Combined::Active(self.following),
            None if any_open => Combined::Idle(max),
            None if self.partitions.is_empty() && !self.bounded => Combined::Idle(Timestamp::MIN),
            None => Combined::Ended,
        };
        self.output.say(combined)
    }

    /// When [`SourceClock::advance`] has to be called next even if no record comes. While blocked, nothing becomes idle.
    pub fn next_deadline(&self) -> Option<Nanos> {
        let clocks = || self.partitions.iter().map(|partition| &partition.clock);
        let idle = clocks().filter_map(PartitionClock::deadline).min();
        let release = clocks().filter_map(PartitionClock::next_release);
        idle.and_then(|idle| self.unblocked.real(idle)).into_iter().chain(release).min()
    }

    /// The watermark of the source on this shard.
    #[inline]
    pub fn watermark(&self) -> Timestamp {
        self.output.watermark
    }

    /// All that a listener has to be told that knows nothing yet: the watermark, and whether the source is idle or has ended.
    pub fn restate(&self) -> Signals {
        self.output.restate()
    }

    /// The name of a partition.
    pub fn name(&self, partition: usize) -> &PartitionId {
        &self.partitions[partition].name
    }

    /// What there is to say of each partition, in order.
    pub fn report(&self, now: Nanos) -> Vec<PartitionReport> {
        let one = |partition: &Partition| {
            let clock = &partition.clock;
            let state = match clock {
                clock if clock.has_ended() => PartitionState::Ended,
                clock if clock.is_idle() => PartitionState::Idle,
                clock if clock.is_paused() => PartitionState::Paused,
                _ => PartitionState::Active,
            };
            PartitionReport {
                name: partition.name.0.clone(),
                watermark: partition.seen,
                stands_for: now.since(partition.since),
                silent_for: partition.heard.map(|heard| now.since(heard)),
                idle_after: clock.idle_after(),
                state,
            }
        };
        self.partitions.iter().map(one).collect()
    }

    /// Whether the shard cannot read because downstream is full.
    pub fn is_blocked(&self) -> bool {
        self.unblocked.is_blocked()
    }

    /// Why the watermark stands where it stands, as of the last [`SourceClock::advance`].
    pub fn held_back_by(&self) -> Standstill {
        if self.partitions.is_empty() && !self.bounded {
            return Standstill::AllIdle;
        }
        explain(self.partitions.iter().map(|partition| {
            let (idle, open) = (partition.clock.is_idle(), !partition.clock.has_ended());
            InputView { watermark: partition.seen, since: partition.since, open, idle, counts: open && !idle }
        }))
    }
}

#[cfg(test)]
mod tests;

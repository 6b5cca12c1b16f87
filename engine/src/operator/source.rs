//! A chain whose head is a source: reads partitions, gives records their event time, and says how far event time has come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::assign::{Assign, Untimed};
use super::failure::{Blame, Cause, Cursor, Failure, raise};
use super::segment::{OpenContext, Progress, Said, Segment, StepContext, Tail};
use super::suspects::{Blamed, PartitionWatch};
use super::{Chain, Driven, OpId, Push, owned_items};
use crate::arena::Arena;
use crate::channel::Inlet;
use crate::disk::{DiskDone, ShardDisk};
use crate::element::{Epoch, Nanos, ShardId, Timestamp};
use crate::graph::{Lanes, Port};
use crate::record::show_apart;
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::{PartitionSnapshot, ShardSnapshot};
use crate::source::{PartitionId, Reader, ReaderContext, Records, Replay, Source, SourcePoll};
use crate::time::{
    ClockReport, Head, Signal, SourceClock, SourcePace, TimestampRange, WatermarkPlan, WatermarksError,
};

/// How many records a partition is asked for at a time: few enough to stay in the processor's nearest cache on their way.
const RECORDS_PER_POLL: usize = 512;

/// The same where partitions are kept in step with each other: a batch is how far one can go beyond the largest drift.
const RECORDS_PER_ALIGNED_POLL: usize = 32;

/// How often a partition that has more is polled in one step.
const POLLS_PER_STEP: usize = 4;

/// The same while a record in it is suspect: each poll gives but one.
const WATCHED_POLLS_PER_STEP: usize = 256;

/// The beginning of a chain with a source.
pub struct FromSource<S, A> {
    source: S,
    assign: A,
    watermarks: Option<WatermarkPlan>,
    op: OpId,
}

impl<S: Source> FromSource<S, Untimed> {
    pub(crate) fn new(source: S, op: OpId) -> Self {
        FromSource { source, assign: Untimed, watermarks: None, op }
    }

    pub(crate) fn timed<A>(self, watermarks: WatermarkPlan, assign: A) -> FromSource<S, A> {
        FromSource { source: self.source, assign, watermarks: Some(watermarks), op: self.op }
    }
}

impl<S: Source, A> FromSource<S, A> {
    /// The same with watermarks at the records that `assign` marks.
    pub(crate) fn marked<B>(
        self,
        assign: impl FnOnce(A) -> B,
    ) -> (FromSource<S, B>, Result<(), WatermarksError>) {
        let at_marks = match self.watermarks {
            Some(plan) => plan.at_marks(),
            None => Err(WatermarksError::PunctuatedWithoutTime),
        };
        let (watermarks, result) = match at_marks {
            Ok(plan) => (Some(plan), Ok(())),
            Err(error) => (None, Err(error)),
        };
        (FromSource { source: self.source, assign: assign(self.assign), watermarks, op: self.op }, result)
    }
}

impl<S: Source, A: Assign<S::Item>> Chain for FromSource<S, A> {
    owned_items!(S::Item);

    fn drive<P: Push<Self>>(self, _: &mut dyn Lanes, push: P) -> Driven {
        let aligned = self.watermarks.as_ref().is_some_and(|plan| plan.max_drift().is_some());
        let limit = if aligned { RECORDS_PER_ALIGNED_POLL } else { RECORDS_PER_POLL };
        Ok(Box::new(SourceSegment {
            clock: SourceClock::new(self.source.ends_with_partitions()),
            pace: None,
            timestamps: self.watermarks.as_ref().map_or(TimestampRange::ANY, WatermarkPlan::timestamps),
            source: self.source,
            assign: self.assign,
            watermarks: self.watermarks,
            op: self.op,
            push,
            name: String::new(),
            partitions: Vec::new(),
            batch: Records::with_limit(limit),
            first: 0,
            last: 0,
            due: VecDeque::new(),
            offsets: VecDeque::new(),
            at_end: false,
            announced: false,
            draining: Arc::default(),
            said: Said::NOTHING,
            records: 0,
            epoch: Epoch(0),
        }))
    }
}

/// What a poll came to.
enum Polled {
    /// As many records as may come at a time: more of the same batch may follow.
    Part,
    /// A batch, with more to follow.
    Batch,
    /// Nothing more is at hand.
    Last,
}

struct Partition<R> {
    name: PartitionId,
    reader: R,
    ended: bool,
    until: Option<Nanos>,
    /// While a record in it is suspect.
    watch: Option<Box<PartitionWatch>>,
}

struct SourceSegment<S: Source, A, P> {
    source: S,
    assign: A,
    watermarks: Option<WatermarkPlan>,
    op: OpId,
    push: P,
    name: String,
    partitions: Vec<Partition<S::Reader>>,
    clock: SourceClock,
    /// Made when the shard opens.
    pace: Option<SourcePace>,
    /// The timestamps that records may have.
    timestamps: TimestampRange,
    batch: Records<S::Item>,
    /// The partition that is polled first in the next step.
    first: usize,
    /// The partition that was polled last: a failing record is one of its.
    last: usize,
    due: VecDeque<Signal>,
    /// Per epoch whose checkpoint may still be restored: the offsets at its switch, for trimming.
    offsets: VecDeque<(Epoch, Vec<Vec<u8>>)>,
    /// Whether event time is known in full before anything is made of it: then it goes on once, to its end.
    at_end: bool,
    /// Whether downstream has been told, after the start, where event time stands.
    announced: bool,
    /// Whether the source is to end, whatever there is still to be read.
    draining: Arc<AtomicBool>,
    said: Said,
    records: u64,
    /// The newest epoch that it has switched to.
    epoch: Epoch,
}

impl<S: Source, A: Assign<S::Item>, P: Push<FromSource<S, A>>> SourceSegment<S, A, P> {
    fn failed(&self, cause: impl Into<Cause>) -> Box<Failure> {
        Box::new(Failure::of(self.op, cause))
    }

    /// Polls one partition and pushes what it gives.
    fn poll(
        &mut self,
        number: usize,
        context: &StepContext,
        progress: &mut Progress,
    ) -> Result<Polled, Box<Failure>> {
        self.last = number;
        self.batch.clear();
        let Partition { reader, watch, .. } = &mut self.partitions[number];
        match watch {
            Some(watch) => {
                self.batch.take_one();
                watch.begin(reader);
            }
            None => self.batch.take_many(),
        }
        self.assign.begin(context, &self.clock, number);
        let (op, assign, push, clock) = (self.op, &self.assign, &mut self.push, &mut self.clock);
        let (timestamps, due, said, at_end) = (self.timestamps, &mut self.due, &mut self.said, self.at_end);
        let tell_all = A::MARKS || clock.needs_every_record(number);
        // One question for the two that hardly any record has to be asked.
        let usual = if tell_all { TimestampRange::NONE } else { timestamps };
        let mut cursor = Cursor::new();
        let (mut count, mut latest) = (0, Timestamp::MIN);
        let mut let_out = Ok(());
        let epoch = self.epoch;
        let mut watching = watch.as_deref_mut();
        let answer = reader.poll_each(context.now, &mut self.batch, |record, from_source| {
            cursor.index = count;
            count += 1;
            if let Some(watch) = &mut watching
                && !show_apart(&record, |record| watch.admits(record, epoch))
            {
                return;
            }
            let at = Blame::on(op, || assign.at(&record, from_source));
            cursor.at = at;
            if !usual.surely_holds(at) {
                check_and_tell(op, timestamps, clock, number, at);
            }
            latest = latest.max(at);
            let marked = A::MARKS && !at_end && Blame::on(op, || assign.marks(&record));
            push.push(record, at);
            if marked && let_out.is_ok() {
                clock.on_batch(number, context.now);
                clock.mark(number);
                due.extend(signals(at_end, clock.advance(context.now)));
                let_out = due.drain(..).try_for_each(|signal| said.say(signal, push.tail()));
            }
        });
        drop(cursor);
        let_out?;
        let answer = answer.map_err(|error| Box::new(Failure::of(op, error)))?;
        if watching.is_some_and(|watch| !watch.passed(reader)) {
            *watch = None;
        }
        if count > 0 {
            progress.worked = true;
            self.records += count as u64;
            clock.on_batch(number, context.now);
            if !tell_all {
                // The watermark is looked at when the batch is over: nothing is lost by telling the clock only now.
                clock.on_record(number, latest);
            }
        }
        let reported = self.batch.take_watermark();
        if let Some(at) = reported {
            progress.worked = true;
            clock.on_reported(number, at);
        }
        let said_idle = self.batch.take_idle();
        if said_idle {
            progress.worked = true;
            clock.on_said_idle(number);
        }
        let partition = &mut self.partitions[number];
        match answer {
            SourcePoll::More => {
                progress.worked = true;
                partition.until = Some(context.now);
            }
            SourcePoll::Idle { until } => {
                partition.until = until;
                progress.wake_at(until);
            }
            SourcePoll::End => {
                progress.worked = true;
                partition.ended = true;
                self.clock.end(number);
            }
        }
        Ok(match answer {
            // The batch is empty again: its room is all that there was.
            SourcePoll::More if reported.is_none() && !said_idle && count >= self.batch.room() => {
                Polled::Part
            }
            SourcePoll::More => Polled::Batch,
            SourcePoll::Idle { .. } | SourcePoll::End => Polled::Last,
        })
    }

    /// Polls one partition as long as it has more and there is room downstream, a bounded number of times. Returns whether there is
    /// room still.
    fn poll_often(
        &mut self,
        number: usize,
        context: &StepContext,
        progress: &mut Progress,
    ) -> Result<bool, Box<Failure>> {
        let watched = self.partitions[number].watch.is_some();
        for _ in 0..if watched { WATCHED_POLLS_PER_STEP } else { POLLS_PER_STEP } {
            if !self.push.tail().ready() {
                return Ok(false);
            }
            let pace = self.pace.as_mut().expect("made when the shard opened");
            if !pace.may_read(&mut self.clock, number, context.now) {
                break;
            }
            match self.poll(number, context, progress)? {
                Polled::Part => {}
                Polled::Batch => self.let_out(context, progress)?,
                Polled::Last => break,
            }
        }
        Ok(true)
    }

    /// The step is over: passes on what event time has done.
    fn signal(&mut self, context: &StepContext, progress: &mut Progress) -> Result<(), Box<Failure>> {
        let pace = self.pace.as_mut().expect("made when the shard opened");
        progress.wake_at(pace.lead(&mut self.clock, context.now));
        self.let_out(context, progress)?;
        let pace = self.pace.as_mut().expect("made when the shard opened");
        progress.worked |= pace.finish(&self.clock, context.now);
        Ok(())
    }

    /// Lets watermarks out, as far as there is room.
    fn let_out(&mut self, context: &StepContext, progress: &mut Progress) -> Result<(), Box<Failure>> {
        self.due.extend(signals(self.at_end, self.clock.advance(context.now)));
        self.let_out_due(context, progress)
    }

    /// Lets out what is due, as far as there is room.
    fn let_out_due(&mut self, context: &StepContext, progress: &mut Progress) -> Result<(), Box<Failure>> {
        while let Some(&signal) = self.due.front() {
            if !context.room || !self.push.tail().ready() {
                progress.blocked = true;
                break;
            }
            self.said.say(signal, self.push.tail())?;
            progress.worked = true;
            self.due.pop_front();
        }
        Ok(())
    }

    fn offsets(&self) -> Vec<Vec<u8>> {
        let offset = |partition: &Partition<S::Reader>| {
            let mut offset = Vec::new();
            partition.reader.offset(&mut offset);
            offset
        };
        self.partitions.iter().map(offset).collect()
    }
}

/// What is passed on of event time: in batch mode only its end.
fn signals(at_end: bool, signals: impl IntoIterator<Item = Signal>) -> impl Iterator<Item = Signal> {
    let is_end = |signal: &Signal| matches!(signal, Signal::Advance(Timestamp::MAX) | Signal::End);
    signals.into_iter().filter(move |signal| !at_end || is_end(signal))
}

/// Fails a record whose timestamp is out of range, and tells the clock of any other: apart, so that the loop of a source whose clock need
/// not hear of every record is straight.
#[cold]
#[inline(never)]
fn check_and_tell(
    op: OpId,
    timestamps: TimestampRange,
    clock: &mut SourceClock,
    partition: usize,
    at: Timestamp,
) {
    if !timestamps.holds(at) {
        raise(op, Cause::User(Box::new(timestamps.error(at))));
    }
    clock.on_record(partition, at);
}

impl<S: Source, A: Assign<S::Item>, P: Push<FromSource<S, A>>> Segment for SourceSegment<S, A, P> {
    fn head(&self) -> OpId {
        self.op
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.name = context.name(self.op).to_owned();
        self.at_end = context.plan.mode.batch;
        self.draining = context.draining.clone();
        self.epoch = context.restored_epoch();
        self.push.tail().open(context)?;
        self.clock.tells_time_by(context.processing);
        let number = context.plan.sources().position(|op| op == self.op).expect("a source is in the plan");
        self.pace = Some(SourcePace::new(
            context.time.clone(),
            number,
            context.shard,
            self.watermarks.as_ref().filter(|_| !self.at_end),
            context.processing,
        ));
        let reader_context = ReaderContext {
            waker: context.waker.clone(),
            job: context.job.clone(),
            operator: self.name.clone(),
            state_dir: context.state_dir.clone(),
        };
        let (instance, instances) = context.instance();
        let all = self.source.partitions().map_err(|error| self.failed(error))?;
        let restored = context.restored.as_ref().map(|restored| restored.partitions(&self.name));
        let mine = all
            .into_iter()
            .enumerate()
            .filter(|(number, _)| number % usize::from(instances) == instance.index());
        let untimed = WatermarkPlan::default();
        // In batch mode no partition waits for another: all of their records come before any is late.
        let plan = self.watermarks.as_ref().filter(|_| !self.at_end).unwrap_or(&untimed);
        let skipped = context.skips(self.op);
        for (_, name) in mine {
            let saved = restored.as_ref().and_then(|restored| restored.get(name.0.as_str()).copied());
            let offset = saved.map(|saved| saved.offset.as_slice());
            let reader = self
                .source
                .open(&name, offset, &reader_context)
                .map_err(|error| Box::new(Failure::of(self.op, error)))?;
            let has_ended = saved.is_some_and(|saved| saved.time.ended);
            if has_ended && !self.source.bounded() {
                tracing::warn!(
                    "{}: the stream had ended when the checkpoint was made, and nothing more is read from it; to go on with it another time, stop the \
                     job (JobHandle::stop) before the last handle is dropped",
                    self.name
                );
            }
            let ended = skipped || has_ended;
            let number = match saved {
                Some(saved) => self.clock.restore(name.clone(), plan, &saved.time, Nanos(0)),
                None => self.clock.add(name.clone(), plan, Nanos(0)),
            };
            if ended {
                self.clock.end(number);
            }
            // What does not come again cannot be looked out for.
            let comes_again = self.source.replay() == Replay::Yes;
            let watch = PartitionWatch::of(&context.suspects, &self.name, &name.0).filter(|_| comes_again);
            self.partitions.push(Partition { name, reader, ended, until: Some(Nanos(0)), watch });
        }
        Ok(())
    }

    fn step(&mut self, context: &StepContext) -> Result<Progress, Box<Failure>> {
        let mut progress = Progress::default();
        if self.said.ended {
            return Ok(progress);
        }
        if !self.announced {
            self.announced = true;
            // The clocks were made at 0; no partition could say anything before now.
            self.clock.block(Nanos(0));
            self.clock.unblock(context.now);
            self.due.extend(signals(self.at_end, self.clock.restate()));
        }
        if self.draining.load(Ordering::Acquire) {
            // Once is enough.
            self.draining = Arc::default();
            self.partitions.iter_mut().for_each(|partition| partition.ended = true);
            self.clock.end_all();
            progress.worked = true;
        }
        // Before any more records: where those always take up all the room, there would never be any for event time.
        self.let_out_due(context, &mut progress)?;
        self.pace.as_mut().expect("made when the shard opened").begin();
        let partitions = self.partitions.len();
        for turn in 0..partitions {
            let number = (self.first + turn) % partitions;
            if self.partitions[number].ended {
                continue;
            }
            if !context.room || !self.poll_often(number, context, &mut progress)? {
                progress.blocked = true;
                break;
            }
        }
        self.first = if partitions == 0 { 0 } else { (self.first + 1) % partitions };
        if progress.blocked {
            self.clock.block(context.now);
        } else {
            self.clock.unblock(context.now);
        }
        self.signal(context, &mut progress)?;
        progress.wake_at(self.clock.next_deadline());
        Ok(progress)
    }

    fn has_input(&self) -> bool {
        self.partitions.iter().any(|partition| partition.reader.has_input())
    }

    fn ended(&self) -> bool {
        self.said.ended
    }

    fn said(&self) -> Said {
        self.said
    }

    fn switch(&mut self, epoch: Epoch, snapshot: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
        let offsets = self.offsets();
        for (offset, (partition, time)) in offsets.iter().zip(self.clock.save()) {
            snapshot.partitions.push(PartitionSnapshot {
                operator: self.name.clone(),
                partition: partition.0.clone(),
                offset: offset.clone(),
                time,
            });
        }
        self.offsets.push_back((epoch, offsets));
        self.epoch = epoch;
        self.push.tail().switch(epoch, snapshot)
    }

    fn input_name(&self) -> Option<&str> {
        None
    }

    fn inlets(&mut self) -> &mut [Inlet] {
        &mut []
    }

    fn lane(&self, _: usize) -> (Port, ShardId) {
        unreachable!("a source has no lanes to read from")
    }

    fn arena(&mut self) -> Option<&mut Arena> {
        None
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.push.tail()
    }

    fn use_disk(&mut self, _: &mut dyn ShardDisk) -> Result<bool, Box<Failure>> {
        Ok(false)
    }

    fn on_disk(&mut self, done: DiskDone) -> Option<DiskDone> {
        Some(done)
    }

    fn trim(&mut self, epoch: Epoch) -> Result<(), Box<Failure>> {
        while self.offsets.front().is_some_and(|(of, _)| *of < epoch) {
            self.offsets.pop_front();
        }
        if let Some((of, offsets)) = self.offsets.front()
            && *of == epoch
        {
            for (partition, offset) in self.partitions.iter_mut().zip(offsets) {
                partition.reader.trim(offset).map_err(|error| Box::new(Failure::of(self.op, error)))?;
            }
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        self.said.ended
    }

    fn committed(&mut self, _: Epoch) {}

    fn aborted(&mut self, _: Epoch) {}

    fn blame_record(&mut self, index: usize) -> Blamed {
        let mut blamed = Blamed::default();
        let Some(partition) = self.partitions.get_mut(self.last) else { return blamed };
        if let Some(watch) = &partition.watch {
            watch.blame(&mut blamed);
        }
        let place = partition.reader.place(index);
        if let Err(error) = partition.reader.mark_failed(index) {
            tracing::error!(operator = self.name, partition = partition.name.0, %place, %error, "cannot mark the failed record");
        }
        blamed.place = Some((partition.name.0.clone(), place));
        blamed
    }

    fn clock_report(&self, now: Nanos) -> Option<ClockReport> {
        let standstill = self.clock.held_back_by();
        Some(ClockReport {
            watermark: self.clock.watermark(),
            stands_for: standstill.input().map_or_else(Default::default, |held| now.since(held.since)),
            standstill,
            of: Head::Source {
                partitions: self.clock.report(now),
                timed: self.watermarks.is_some(),
                blocked: self.clock.is_blocked(),
            },
        })
    }

    fn gauge(&mut self, gauges: &mut Gauges) {
        gauges.records_in += self.records;
        gauges.watermark_regressions += self.clock.regressions();
        if self.watermarks.is_some() {
            gauges.watermark(self.op, self.clock.watermark());
        }
        self.push.tail().gauge(gauges);
    }
}

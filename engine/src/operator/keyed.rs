//! A chain whose head is fed by an exchange: how inputs become batches, watermarks and the end for its operator.

use std::collections::VecDeque;

use super::failure::Failure;
use super::filter::items_of;
use super::segment::{OpenContext, Progress, Segment, StepContext, Tail};
use super::typed::{BatchOf, trust};
use super::{Chain, Driven, OpId, Push};
use crate::arena::Arena;
use crate::channel::{BatchShape, ChannelError, Frame, Inlet, Outlet, Peek};
use crate::element::{Epoch, KeyHash, Nanos, ShardId, Timestamp};
use crate::graph::{ExchangeId, Lanes, Partitioner};
use crate::key::Key;
use crate::record::Record;
use crate::runtime::metrics::Gauges;
use crate::runtime::restored::Restored;
use crate::runtime::snapshot::{InputsSnapshot, OperatorSnapshot, ShardSnapshot};
use crate::time::{ClockReport, Head, InputMerge, Side, Signal};

/// How many frames one input may give in one step: keeps inputs fair.
const FRAMES_PER_INPUT: usize = 16;

/// How many batches all inputs together may give in one step: keeps steps short.
const BATCHES_PER_STEP: usize = 8;

/// A step takes no more input once it has copied aside or brought in so many pages of state: a batch right after a switch may cost a
/// hundred times what it costs otherwise.
const PAGES_MOVED_PER_STEP: u64 = 32;

/// How many pieces of a firing one step does.
const FIRING_PIECES_PER_STEP: usize = 8;

/// What the records are that an operator fed by an exchange gives out: the item part of [`Chain`].
pub trait Fed: Sized + 'static {
    /// See [`Chain::Record`].
    type Record: 'static;
    /// See [`Chain::Item`].
    type Item<'a>;
    /// See [`Chain::Arg`].
    type Arg<'a>;
    /// See [`Chain::Ref`].
    type Ref: ?Sized + 'static;

    /// See [`Chain::arg`].
    fn arg<'a>(item: Self::Item<'a>) -> Self::Arg<'a>;
    /// See [`Chain::by_ref`].
    fn by_ref<'b>(item: &'b Self::Item<'_>) -> &'b Self::Ref;
    /// See [`Chain::append`].
    fn append<K: Key + ?Sized>(
        item: &Self::Item<'_>,
        at: Timestamp,
        hash: KeyHash,
        key: &K,
        outlet: &mut Outlet,
    ) -> Result<(), ChannelError>
    where
        Self::Record: Record;
    /// See [`Chain::append_unkeyed`].
    fn append_unkeyed(item: &Self::Item<'_>, at: Timestamp, outlet: &mut Outlet) -> Result<(), ChannelError>
    where
        Self::Record: Record;
}

/// Whether an operator has done all that a watermark asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// Yes: the watermark may go on.
    Done,
    /// Not yet: call again before any more input.
    More,
}

/// An operator at the head of a chain, fed by an exchange.
pub trait Operator: Fed {
    /// What it is fed.
    type In: Record;

    /// Its number in the graph.
    fn op(&self) -> OpId;

    /// Called once, before any input: makes or restores state.
    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>>;

    /// Takes a batch. Failures unwind.
    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, Self::In>, push: &mut P);

    /// Event time has come to `at`: does a bounded piece of what falls due.
    fn watermark<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, push: &mut P) -> Firing {
        let _ = (at, push);
        Firing::Done
    }

    /// The shard switches epoch: notes what is not in pages. Returns what a checkpoint has to know of the operator, where it keeps
    /// state.
    fn switch(&mut self, epoch: Epoch) -> Option<OperatorSnapshot> {
        let _ = epoch;
        None
    }

    /// The pages of its state, where it has any.
    fn arena(&mut self) -> Option<&mut Arena> {
        None
    }

    /// How many records came too late for it.
    fn late_records(&self) -> u64 {
        0
    }

    /// Adds its figures.
    fn gauge(&self, gauges: &mut Gauges) {
        let _ = gauges;
    }
}

/// The beginning of a chain fed by an exchange.
pub struct FromExchange<H> {
    head: H,
    exchange: ExchangeId,
    partitioner: Partitioner,
    shape: BatchShape,
}

impl<H: Operator> FromExchange<H> {
    pub(crate) fn new(head: H, exchange: ExchangeId, partitioner: Partitioner, shape: BatchShape) -> Self {
        FromExchange { head, exchange, partitioner, shape }
    }
}

impl<H: Operator> Chain for FromExchange<H> {
    items_of!(H);

    fn drive<P: Push<Self>>(self, lanes: &mut dyn Lanes, push: P) -> Driven {
        let inlets = lanes.inlets(self.exchange, self.shape)?;
        let side = Side { inputs: inlets.len(), producers: lanes.producers(self.exchange) };
        Ok(Box::new(OperatorSegment {
            merge: InputMerge::new(&[side], Timestamp::MIN, Nanos(0)),
            side,
            head: self.head,
            push,
            name: String::new(),
            inlets,
            partitioner: self.partitioner,
            first: 0,
            shape: self.shape,
            due: VecDeque::new(),
            late_after_idle: 0,
            ended: false,
        }))
    }
}

struct OperatorSegment<H, P> {
    head: H,
    push: P,
    name: String,
    inlets: Vec<Inlet>,
    partitioner: Partitioner,
    shape: BatchShape,
    side: Side,
    merge: InputMerge,
    /// The input that is looked at first in the next step.
    first: usize,
    /// What event time has done and is still to be carried out, before any more input is taken. A watermark stays at the front until
    /// all that it makes due has been fired.
    due: VecDeque<Signal>,
    /// How many of its late records came from an input that had been idle and was behind the others.
    late_after_idle: u64,
    ended: bool,
}

impl<H: Operator, P: Push<FromExchange<H>>> OperatorSegment<H, P> {
    /// Carries out what is due. Returns whether input may be taken again.
    fn fire(&mut self, progress: &mut Progress) -> Result<bool, Box<Failure>> {
        let mut pieces = 0;
        while let Some(&signal) = self.due.front() {
            if !self.push.tail().ready() {
                progress.blocked = true;
                return Ok(false);
            }
            progress.worked = true;
            match signal {
                Signal::Advance(at) => {
                    if pieces == FIRING_PIECES_PER_STEP {
                        return Ok(false);
                    }
                    pieces += 1;
                    if self.head.watermark(at, &mut self.push) == Firing::More {
                        continue;
                    }
                    self.push.tail().watermark(at)?;
                }
                // Repeating the watermark tells those downstream to wait for us again.
                Signal::Active => self.push.tail().watermark(self.merge.current())?,
                Signal::Idle => self.push.tail().idle()?,
                Signal::End => {
                    self.push.tail().end()?;
                    self.ended = true;
                }
            }
            self.due.pop_front();
        }
        Ok(!self.ended)
    }

    /// Takes frames of one input, and at most so many `batches`. Returns whether other inputs may be looked at.
    fn take(
        &mut self,
        input: usize,
        batches: &mut usize,
        context: &StepContext,
        progress: &mut Progress,
    ) -> Result<bool, Box<Failure>> {
        let moved = self.pages_moved();
        for _ in 0..FRAMES_PER_INPUT {
            if *batches == 0 || self.pages_moved() - moved >= PAGES_MOVED_PER_STEP {
                return Ok(false);
            }
            if !self.push.tail().ready() {
                progress.blocked |= self.inlets[input].has_input();
                return Ok(false);
            }
            let signals = match self.inlets[input].peek() {
                Peek::Empty => return Ok(true),
                Peek::Switch(epoch) => {
                    progress.switch = progress.switch.max(Some(epoch));
                    return Ok(true);
                }
                Peek::Frame(Frame::Batch(batch)) => {
                    *batches -= 1;
                    let late_before = self.merge.is_behind(input).then(|| self.head.late_records());
                    self.head.batch(&trust(batch), &mut self.push);
                    if let Some(before) = late_before {
                        self.late_after_idle += self.head.late_records() - before;
                    }
                    self.merge.active(input)
                }
                Peek::Frame(Frame::Watermark(at)) => self.merge.watermark(input, at, context.now),
                Peek::Frame(Frame::Idle) => self.merge.idle(input),
                Peek::Frame(Frame::End) => self.merge.end(input),
            };
            self.inlets[input].consume();
            progress.worked = true;
            if !signals.is_empty() {
                self.due.extend(signals);
                if !self.fire(progress)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn pages_moved(&mut self) -> u64 {
        self.head.arena().map_or(0, |arena| arena.pages_moved())
    }

    fn restore(&mut self, restored: &Restored, shard: ShardId, shards: u16) -> Result<(), Box<Failure>> {
        let failed = |op: OpId, error| Box::new(Failure::of(op, error));
        let op = self.head.op();
        restored
            .check_in_flight(&self.name, &H::In::layout())
            .map_err(|error| failed(op, super::Cause::fatal(error)))?;
        for (from, frames) in restored
            .in_flight(&self.name, self.partitioner, self.shape, shard, shards)
            .map_err(|error| failed(op, super::Cause::fatal(error)))?
        {
            let lane = from.index() % self.inlets.len();
            self.inlets[lane].restore(&frames).map_err(|error| failed(op, super::Cause::fatal(error)))?;
        }
        if restored.shards() == shards {
            if let Some(inputs) = restored.inputs(shard, &self.name) {
                // What has ended says so again, from the sources on; a source with new partitions does not.
                self.merge = InputMerge::restore(&[self.side], &inputs.merge.reopened(), Nanos(0));
                // A firing that the checkpoint interrupted goes on where it was.
                self.due.extend(inputs.due.iter().filter(|signal| **signal != Signal::End));
            }
        } else {
            let start = restored.least_watermark(&self.name);
            self.merge = InputMerge::new(&[self.side], start, Nanos(0));
            // What an interrupted firing had left fires now: nobody will announce this watermark again.
            self.due.extend((start > Timestamp::MIN).then_some(Signal::Advance(start)));
        }
        Ok(())
    }
}

impl<H: Operator, P: Push<FromExchange<H>>> Segment for OperatorSegment<H, P> {
    fn head(&self) -> OpId {
        self.head.op()
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.name = context.name(self.head.op()).to_owned();
        self.head.open(context)?;
        self.push.tail().open(context)?;
        match &context.restored {
            Some(restored) => self.restore(restored, context.shard, context.shards),
            None => Ok(()),
        }
    }

    fn step(&mut self, context: &StepContext) -> Result<Progress, Box<Failure>> {
        let mut progress = Progress::default();
        if !self.fire(&mut progress)? {
            return Ok(progress);
        }
        let inputs = self.inlets.len();
        let first = self.first;
        self.first = (first + 1) % inputs;
        let mut batches = BATCHES_PER_STEP;
        for turn in 0..inputs {
            if !self.take((first + turn) % inputs, &mut batches, context, &mut progress)? {
                break;
            }
        }
        Ok(progress)
    }

    fn has_input(&self) -> bool {
        !self.ended && (!self.due.is_empty() || self.inlets.iter().any(Inlet::has_input))
    }

    fn ended(&self) -> bool {
        self.ended
    }

    fn switch(&mut self, epoch: Epoch, snapshot: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
        for inlet in &mut self.inlets {
            inlet
                .switch(epoch)
                .map_err(|error| Box::new(Failure::of(self.head.op(), super::Cause::fatal(error))))?;
        }
        snapshot.inputs.push(InputsSnapshot {
            operator: self.name.clone(),
            merge: self.merge.save(),
            due: self.due.iter().copied().collect(),
            record: H::In::layout(),
        });
        if let Some(operator) = self.head.switch(epoch) {
            snapshot.operators.push(operator);
        }
        if let Some(arena) = self.head.arena() {
            arena.begin_checkpoint(epoch);
        }
        self.push.tail().switch(epoch, snapshot)
    }

    fn input_name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn inlets(&mut self) -> &mut [Inlet] {
        &mut self.inlets
    }

    fn arena(&mut self) -> Option<&mut Arena> {
        self.head.arena()
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.push.tail()
    }

    fn trim(&mut self, _: Epoch) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn blame_record(&mut self, _: usize) -> Option<String> {
        None
    }

    fn clock_report(&self, now: Nanos) -> ClockReport {
        let standstill = self.merge.held_back_by();
        ClockReport {
            watermark: self.merge.current(),
            stands_for: standstill.input().map_or_else(Default::default, |held| now.since(held.since)),
            standstill,
            of: Head::Operator { firing: !self.due.is_empty() },
        }
    }

    fn gauge(&mut self, gauges: &mut Gauges) {
        gauges.late_after_idle += self.late_after_idle;
        gauges.watermark(self.head.op(), self.merge.current());
        for inlet in &self.inlets {
            gauges.ring(inlet.fill());
        }
        self.head.gauge(gauges);
        if let Some(arena) = self.head.arena() {
            gauges.state_bytes += arena.bytes_charged();
        }
        self.push.tail().gauge(gauges);
    }
}

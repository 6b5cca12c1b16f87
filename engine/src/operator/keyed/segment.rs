//! A chain with an operator at its head, on one shard: how inputs become batches, watermarks and the end.

use super::super::failure::{Cause, Failure};
use super::super::inputs::Inputs;
use super::super::segment::{OpenContext, Progress, Said, Segment, StepContext, Tail};
use super::super::suspects::{Blamed, LeftOut, RecordId};
use super::super::{OpId, Push};
use super::hot_keys::{HotKeys, SeenKeys};
use super::sorted::Sorting;
use super::{Firing, FromExchange, Given, InputEnd, LateReport, Operator, ShowKey};
use crate::arena::Arena;
use crate::channel::{Batch, Frame, Inlet, Peek};
use crate::disk::{DiskDone, ShardDisk};
use crate::element::{Epoch, Nanos, ShardId, Timestamp};
use crate::graph::{Port, ShardRange};
use crate::key::HashSeed;
use crate::record::Layout;
use crate::runtime::metrics::Gauges;
use crate::runtime::reads::{Read, StateRead};
use crate::runtime::restored::Restored;
use crate::runtime::snapshot::{InputsSnapshot, ShardSnapshot};
use crate::sort::SorterPlan;
use crate::time::{ClockReport, Head, InputMerge, Side, Signal};
use std::collections::VecDeque;
use std::ops::Range;

/// How many frames one input may give in one step: keeps inputs fair.
const FRAMES_PER_INPUT: usize = 16;

/// How many batches all inputs together may give in one step: keeps steps short.
const BATCHES_PER_STEP: usize = 2;

/// A step takes no more input once it has copied aside or brought in so many pages of state.
const PAGES_MOVED_PER_STEP: u64 = 12;

/// How many records are taken at a time while the running checkpoint has pages to save: each may have to copy one aside, at a hundred
/// times what it costs otherwise.
const RECORDS_WHILE_SAVING: usize = 8;

/// How many records are taken at a time while pages lie on disk: each may need some, and memory for them, and room is made between steps. As
/// many as tables look ahead.
const RECORDS_WHILE_SPILLED: usize = 64;

/// How many pieces of a firing one step does.
pub(super) const FIRING_PIECES_PER_STEP: usize = 8;

/// How many pieces one step gives out of what an operator has taken before.
const GIVEN_PIECES_PER_STEP: usize = 8;

/// One input of an operator.
pub(super) struct OpenPort {
    /// Its first lane.
    pub(super) first: usize,
    pub(super) side: Side,
    pub(super) end: InputEnd,
    /// The shards at the other ends of its lanes.
    pub(super) from: ShardRange,
}

pub(super) struct OperatorSegment<H, P> {
    pub(super) head: H,
    pub(super) push: P,
    name: String,
    /// What records look like, per input: put into words once.
    layouts: Vec<Layout>,
    shard: ShardId,
    /// Of all inputs, one after the other.
    pub(super) inlets: Vec<Inlet>,
    pub(super) ports: Vec<OpenPort>,
    pub(super) merge: InputMerge,
    /// In batch mode, where an input is by key.
    pub(super) sorting: Option<Box<Sorting>>,
    /// The input that is looked at first in the next step.
    first: usize,
    /// How many records were taken of the batch that comes next from that input.
    taken: usize,
    /// The input that records were last taken from, and how many of their batch had been taken before.
    pub(super) last: (usize, usize),
    /// What event time has done and is still to be carried out, before any more input is taken. A watermark stays at the front until
    /// all that it makes due has been fired.
    pub(super) due: VecDeque<Signal>,
    pub(super) said: Said,
    /// How many of its late records came from an input that had been idle and was behind the others.
    late_after_idle: u64,
    hot_keys: HotKeys,
    seed: HashSeed,
    /// Records to be left out, while there are any.
    left_out: Option<Box<LeftOut>>,
    /// The newest epoch that it has switched to.
    epoch: Epoch,
}

impl<H: Operator, P: Push<FromExchange<H>>> OperatorSegment<H, P> {
    pub(super) fn new(
        head: H,
        push: P,
        inlets: Vec<Inlet>,
        ports: Vec<OpenPort>,
        plans: Vec<Option<SorterPlan>>,
    ) -> Self {
        let sides: Vec<Side> = ports.iter().map(|port| port.side).collect();
        OperatorSegment {
            merge: InputMerge::new(&sides, Timestamp::MIN, Nanos(0)),
            head,
            push,
            name: String::new(),
            layouts: H::In::layouts(ports.len()),
            shard: ShardId(0),
            inlets,
            ports,
            sorting: Sorting::new(plans),
            first: 0,
            taken: 0,
            last: (0, 0),
            due: VecDeque::new(),
            said: Said::NOTHING,
            late_after_idle: 0,
            hot_keys: HotKeys::default(),
            seed: HashSeed(0),
            left_out: None,
            epoch: Epoch(0),
        }
    }

    /// The input that a lane belongs to.
    #[inline]
    pub(super) fn port_of(&self, inlet: usize) -> usize {
        match self.ports.len() {
            1 => 0,
            _ => self.ports.iter().rposition(|port| port.first <= inlet).expect("the first one begins at 0"),
        }
    }

    /// What shows the operator's keys, where it works by keys.
    fn show_key(&self) -> Option<ShowKey> {
        self.ports.iter().find_map(|port| port.end.show_key)
    }

    /// Carries out what is due. Returns whether input may be taken again.
    pub(super) fn fire(&mut self, progress: &mut Progress) -> Result<bool, Box<Failure>> {
        let mut pieces = 0;
        while let Some(&signal) = self.due.front() {
            if !self.push.tail().ready() {
                progress.blocked = true;
                return Ok(false);
            }
            progress.worked = true;
            if let Signal::Advance(at) = signal {
                if pieces == FIRING_PIECES_PER_STEP {
                    return Ok(false);
                }
                pieces += 1;
                if self.head.watermark(at, &mut self.push) == Firing::More {
                    continue;
                }
            }
            let said = held_back(signal, self.head.holds_back());
            if !self.head.hold(said) {
                self.said.say(said, self.push.tail())?;
            }
            self.due.pop_front();
        }
        Ok(!self.said.ended)
    }

    /// Lets the operator look at the clock. Returns whether it has done all that is due.
    fn tick(&mut self, context: &StepContext, progress: &mut Progress) -> bool {
        if !self.push.tail().ready() {
            progress.blocked = true;
            return false;
        }
        let now = context.processing_time();
        let had = self.head.next_clock().is_some_and(|next| next <= now);
        let done = self.head.clock(now, &mut self.push) == Firing::Done;
        progress.worked |= had;
        progress.wake_at(self.head.next_clock().map(|next| context.when(next)));
        done
    }

    /// Lets the operator go on with what it has taken, and gives out what is ready, as far as there is room. Returns whether input may be taken.
    fn resume(&mut self, context: &StepContext, progress: &mut Progress) -> Result<bool, Box<Failure>> {
        progress.worked |= self.head.resume(context.now);
        progress.wake_at(self.head.wakes_at());
        for _ in 0..GIVEN_PIECES_PER_STEP {
            if !self.push.tail().ready() {
                progress.blocked = true;
                return Ok(false);
            }
            match self.head.give(&mut self.push) {
                Given::Nothing => break,
                Given::Records => {}
                Given::Signal(signal) => self.said.say(signal, self.push.tail())?,
            }
            progress.worked = true;
        }
        Ok(!self.said.ended)
    }

    /// Takes frames of one input, and at most so many `batches`. Returns whether other inputs may be looked at.
    pub(super) fn take(
        &mut self,
        input: usize,
        batches: &mut usize,
        context: &StepContext,
        progress: &mut Progress,
    ) -> Result<bool, Box<Failure>> {
        let moved = self.pages_moved();
        let port = self.port_of(input);
        let mut frames = FRAMES_PER_INPUT;
        while frames > 0 {
            if *batches == 0 || self.pages_moved() - moved >= PAGES_MOVED_PER_STEP {
                return Ok(false);
            }
            if !self.push.tail().ready() {
                progress.blocked |= self.inlets[input].has_input();
                return Ok(false);
            }
            let room = self.head.room();
            if room == 0 {
                progress.full |= self.inlets[input].has_input();
                return Ok(false);
            }
            let signals = match self.inlets[input].peek() {
                Peek::Empty => return Ok(true),
                Peek::Switch(epoch) => {
                    progress.switch = progress.switch.max(Some(epoch));
                    return Ok(true);
                }
                Peek::Frame(Frame::Batch(batch)) => {
                    let stretch = stretch(batch.len(), self.taken, room, self.head.arena());
                    let (stretch, next) = LeftOut::cut(&mut self.left_out, port, &batch, stretch, self.epoch);
                    self.last = (input, stretch.start);
                    if self.taken == 0 && self.ports[port].end.show_key.is_some() {
                        self.hot_keys.look(&batch, context.now);
                    }
                    self.taken = if next < batch.len() { next } else { 0 };
                    if !stretch.is_empty() {
                        let late_before = self.head.late_records();
                        self.head.batch(&H::In::batch(port, batch, stretch), &mut self.push);
                        self.count_late(input, late_before);
                    }
                    let signals = self.merge.active(input);
                    if self.taken > 0 {
                        progress.worked = true;
                        self.due.extend(signals);
                        continue;
                    }
                    *batches -= 1;
                    signals
                }
                Peek::Frame(Frame::Watermark(at)) => self.merge.watermark(input, at, context.now),
                Peek::Frame(Frame::Idle) => self.merge.idle(input),
                Peek::Frame(Frame::End) => self.merge.end(input),
            };
            self.inlets[input].consume();
            frames -= 1;
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

    /// Takes the rest of a batch of which a part has been taken: a switch falls between batches.
    fn take_rest(&mut self) {
        let (input, mut from) = (self.first, std::mem::take(&mut self.taken));
        if from == 0 {
            return;
        }
        let port = self.port_of(input);
        loop {
            let Peek::Frame(Frame::Batch(batch)) = self.inlets[input].peek() else {
                unreachable!("the batch that was begun is still there")
            };
            if from == batch.len() {
                break;
            }
            let rest = from..batch.len();
            let (rest, next) = LeftOut::cut(&mut self.left_out, port, &batch, rest, self.epoch);
            self.last = (input, from);
            if !rest.is_empty() {
                let late_before = self.head.late_records();
                self.head.batch(&H::In::batch(port, batch, rest), &mut self.push);
                self.count_late(input, late_before);
            }
            from = next;
        }
        self.inlets[input].consume();
    }

    /// Notes which of the records that were late in a batch came from an input that had been idle.
    #[inline]
    fn count_late(&mut self, input: usize, late_before: u64) {
        if self.merge.is_behind(input) {
            self.late_after_idle += self.head.late_records() - late_before;
        }
    }

    fn pages_moved(&mut self) -> u64 {
        self.head.arena().map_or(0, |arena| arena.pages_moved())
    }

    fn restore(&mut self, restored: &Restored, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.restore_in_flight(restored, context)
            .map_err(|cause| Box::new(Failure::of(self.head.op(), cause)))?;
        let sides: Vec<Side> = self.ports.iter().map(|port| port.side).collect();
        if restored.keeps_channels(context, self.head.op()) {
            if let Some(inputs) = restored.inputs(self.shard, &self.name) {
                // What has ended says so again, from the sources on; a source with new partitions does not.
                self.merge = InputMerge::restore(&sides, &inputs.merge.reopened(), Nanos(0));
                // A firing that the checkpoint interrupted goes on where it was.
                self.due.extend(inputs.due.iter().filter(|signal| **signal != Signal::End));
            }
        } else {
            let start = restored.least_watermark(&self.name);
            self.merge = InputMerge::new(&sides, start, Nanos(0));
            // What an interrupted firing had left fires now: nobody will announce this watermark again.
            self.due.extend((start > Timestamp::MIN).then_some(Signal::Advance(start)));
        }
        if let Some((watermark, idle)) = self.head.said() {
            (self.said.watermark, self.said.idle) = (watermark, idle);
            return Ok(());
        }
        self.said.watermark = at_most(self.merge.current(), self.head.holds_back());
        if self.due.iter().any(|signal| matches!(signal, Signal::Advance(_))) {
            // Something earlier was said; what, is known to those it was said to.
            self.said.watermark = Timestamp::MIN;
        }
        self.said.idle = self.merge.is_idle();
        for signal in self.due.iter().rev() {
            match signal {
                // What is still to be said has not been said.
                Signal::Idle => self.said.idle = false,
                Signal::Active => self.said.idle = true,
                Signal::Advance(_) | Signal::End => {}
            }
        }
        Ok(())
    }

    /// Brings back the records that were on their way here.
    fn restore_in_flight(&mut self, restored: &Restored, context: &OpenContext) -> Result<(), Cause> {
        let types = H::In::types(self.ports.len());
        restored.check_in_flight(&self.name, &self.layouts, &types).map_err(Cause::fatal)?;
        for ((number, port), of) in self.ports.iter().enumerate().zip(types) {
            let frames = restored
                .in_flight(self.head.op(), Port(number as u8), (&port.end, of), context)
                .map_err(Cause::fatal)?;
            for (from, frames) in frames {
                let lane = if port.from.contains(from) {
                    usize::from(port.from.number_of(from))
                } else {
                    from.index() % port.side.inputs
                };
                let lane = port.first + lane;
                self.inlets[lane].restore(&frames).map_err(Cause::fatal)?;
            }
        }
        Ok(())
    }
}

impl<H: Operator, P: Push<FromExchange<H>>> Segment for OperatorSegment<H, P> {
    fn head(&self) -> OpId {
        self.head.op()
    }

    fn declare(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.name = context.name(self.head.op()).to_owned();
        let types = H::In::types(self.ports.len()).into_iter();
        let inputs = types.zip(&self.ports).map(|(of, port)| (of, port.end.shape));
        context.types.inputs(&self.name, inputs.collect());
        self.head.open(context)
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.shard = context.shard;
        self.seed = context.seed;
        self.epoch = context.restored_epoch();
        self.declare(context)?;
        self.left_out = LeftOut::of(&context.suspects, &self.name);
        self.push.tail().open(context)?;
        self.open_sorting(context)?;
        match &context.restored {
            Some(restored) => self.restore(restored, context),
            None => Ok(()),
        }
    }

    fn step(&mut self, context: &StepContext) -> Result<Progress, Box<Failure>> {
        let mut progress = Progress::default();
        if !context.room {
            progress.blocked = self.has_input();
            return Ok(progress);
        }
        if self.sorting.is_some() {
            return self.step_sorted(context);
        }
        if H::HAS_CLOCK {
            self.head.set_clock(context.processing_time());
        }
        if !self.fire(&mut progress)? {
            return Ok(progress);
        }
        if H::HAS_CLOCK && !self.tick(context, &mut progress) {
            return Ok(progress);
        }
        if H::RESUMES && !self.resume(context, &mut progress)? {
            return Ok(progress);
        }
        let inputs = self.inlets.len();
        let first = self.first;
        let mut batches = BATCHES_PER_STEP;
        for turn in 0..inputs {
            let input = (first + turn) % inputs;
            if !self.take(input, &mut batches, context, &mut progress)? {
                if self.taken > 0 {
                    self.first = input;
                    return Ok(progress);
                }
                break;
            }
        }
        self.first = (first + 1) % inputs;
        Ok(progress)
    }

    fn has_input(&self) -> bool {
        let has_room = |input| {
            let sorting = self.sorting.as_ref();
            sorting.is_none_or(|sorting| sorting.has_room(self.port_of(input)))
        };
        let has_input = |(input, inlet): (usize, &Inlet)| inlet.has_input() && has_room(input);
        let may_take = || self.head.room() > 0 && self.inlets.iter().enumerate().any(has_input);
        !self.said.ended && (!self.due.is_empty() || may_take())
    }

    fn ended(&self) -> bool {
        self.said.ended
    }

    fn said(&self) -> Said {
        self.said
    }

    fn switch(&mut self, epoch: Epoch, snapshot: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
        self.take_rest();
        self.epoch = epoch;
        for inlet in &mut self.inlets {
            inlet
                .switch(epoch)
                .map_err(|error| Box::new(Failure::of(self.head.op(), Cause::fatal(error))))?;
        }
        snapshot.inputs.push(InputsSnapshot {
            operator: self.name.clone(),
            merge: self.merge.save(),
            due: self.due.iter().copied().collect(),
            records: self.layouts.clone(),
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

    fn lane(&self, inlet: usize) -> (Port, ShardId) {
        let number = self.port_of(inlet);
        let port = &self.ports[number];
        (Port(number as u8), port.from.nth(inlet - port.first))
    }

    fn arena(&mut self) -> Option<&mut Arena> {
        self.head.arena()
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.push.tail()
    }

    fn use_disk(&mut self, disk: &mut dyn ShardDisk) -> Result<bool, Box<Failure>> {
        let Some(sorting) = &mut self.sorting else { return Ok(false) };
        sorting.use_disk(disk).map_err(|error| Box::new(Failure::of(self.head.op(), error)))
    }

    fn on_disk(&mut self, done: DiskDone) -> Option<DiskDone> {
        match &mut self.sorting {
            Some(sorting) => sorting.on_disk(done),
            None => Some(done),
        }
    }

    fn trim(&mut self, _: Epoch) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        self.due.is_empty() && self.head.is_quiet()
    }

    fn committed(&mut self, epoch: Epoch) {
        self.head.committed(epoch);
    }

    fn aborted(&mut self, epoch: Epoch) {
        self.head.aborted(epoch);
    }

    fn blame_record(&mut self, index: usize) -> Blamed {
        let mut blamed = Blamed::default();
        let (input, index) = (self.last.0, self.last.1 + index);
        let port = self.port_of(input);
        let batch = batch_at_hand(&mut self.inlets[input], self.sorting.as_deref(), port);
        if let Some(batch) = batch.filter(|batch| index < batch.len()) {
            let (hash, at) = (batch.hashes().get(index).copied(), batch.timestamps()[index]);
            let bytes = batch.record_bytes(index);
            blamed.id = Some(RecordId::exchanged(port, hash, at, bytes));
            blamed.bytes = Some(bytes.to_vec());
        }
        blamed
    }

    fn key_of_record(&mut self, index: usize) -> Option<String> {
        let (input, index) = (self.last.0, self.last.1 + index);
        let port = self.port_of(input);
        let batch = batch_at_hand(&mut self.inlets[input], self.sorting.as_deref(), port)?;
        self.head.show_key(batch, index)
    }

    fn clock_report(&self, now: Nanos) -> Option<ClockReport> {
        let standstill = self.merge.held_back_by();
        Some(ClockReport {
            watermark: self.merge.current(),
            stands_for: standstill.input().map_or_else(Default::default, |held| now.since(held.since)),
            standstill,
            of: Head::Operator { firing: !self.due.is_empty(), under_way: self.head.holds_back_signals() },
        })
    }

    fn seen_keys(&self, now: Nanos) -> Option<SeenKeys> {
        let show = self.show_key()?;
        Some(self.hot_keys.report(now, |hash, bytes| show(hash, bytes, self.seed)))
    }

    fn read_state(&mut self, read: &StateRead) -> Read {
        self.head.read_state(read)
    }

    fn late_records(&self) -> Option<LateReport> {
        let ledger = self.head.late_ledger()?.clone();
        Some(LateReport { ledger, show_key: self.show_key()?, seed: self.seed })
    }

    fn gauge(&mut self, gauges: &mut Gauges) {
        gauges.late_after_idle += self.late_after_idle;
        gauges.watermark(self.head.op(), self.merge.current());
        for inlet in &self.inlets {
            gauges.ring(inlet.fill());
        }
        self.head.gauge(gauges);
        if let Some(arena) = self.head.arena() {
            gauges.memory.state += arena.bytes_charged();
            gauges.memory.page_index += arena.bytes_beside();
            let (read, written) = arena.pages_spilled();
            gauges.spilled_pages_read += read;
            gauges.spilled_pages_written += written;
        }
        gauges.memory.sorting += self.sorting.as_ref().map_or(0, |sorting| sorting.bytes());
        self.push.tail().gauge(gauges);
    }
}

/// The batch that records of an input were last taken from.
fn batch_at_hand<'a>(inlet: &'a mut Inlet, sorting: Option<&'a Sorting>, port: usize) -> Option<Batch<'a>> {
    if let Some(sorting) = sorting.filter(|sorting| sorting.sorts(port)) {
        return sorting.batch(port);
    }
    match inlet.peek() {
        Peek::Frame(Frame::Batch(batch)) => Some(batch),
        _ => None,
    }
}

/// The watermark that goes on from an operator at this one. At the end of time there is nothing more to come.
fn at_most(watermark: Timestamp, held_back: i64) -> Timestamp {
    match watermark {
        Timestamp::MAX => watermark,
        Timestamp(at) => Timestamp(at.saturating_sub(held_back)),
    }
}

fn held_back(signal: Signal, ticks: i64) -> Signal {
    match signal {
        Signal::Advance(at) => Signal::Advance(at_most(at, ticks)),
        other => other,
    }
}

/// Which records of a batch are taken next, of which some may have been taken.
#[inline]
fn stretch(len: usize, taken: usize, room: usize, arena: Option<&mut Arena>) -> Range<usize> {
    let most = match arena {
        Some(arena) if arena.pages_to_save() > 0 => RECORDS_WHILE_SAVING,
        Some(arena) if arena.has_spilled() => RECORDS_WHILE_SPILLED,
        _ => len,
    };
    taken..len.min(taken + most.min(room))
}

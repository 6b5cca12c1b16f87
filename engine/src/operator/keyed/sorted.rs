//! Batch mode: an operator's inputs are sorted by key, and it handles one key after the other.
//!
//! All records are there before the first is handled, so that event time is known in full: for each key it stands at the beginning of time while
//! its records are handled, and comes to its end with the last of them. That makes all windows fire, and all timers. Then the key is
//! forgotten; what an operator keeps is no more than what it keeps for one key.

use std::time::Duration;

use super::super::Push;
use super::super::failure::{Cause, Failure};
use super::super::inputs::Inputs;
use super::super::segment::{OpenContext, Progress, StepContext};
use super::segment::{FIRING_PIECES_PER_STEP, OperatorSegment};
use super::{Firing, FromExchange, Operator};
use crate::channel::{Frame, Inlet, Peek};
use crate::disk::{DiskDone, ShardDisk};
use crate::element::{KeyHash, Timestamp};
use crate::key::KeyShape;
use crate::sort::{Front, SortError, Sorter, SorterPlan};

/// How many frames one lane gives in one step.
const FRAMES_PER_LANE: usize = 16;

/// How many records and ends of keys one step handles, give or take a batch.
const RECORDS_PER_STEP: usize = 512;

/// How often a shard looks whether the others have sealed a stage that it has.
const LOOK_AT_OTHERS_EVERY: Duration = Duration::from_millis(1);

/// How many pieces of work a sorter does in one step.
const PIECES_PER_STEP: usize = 4;

/// The sorted inputs of an operator on one shard.
pub(super) struct Sorting {
    /// By input: none for those that are not sorted. Taken when the shard opens.
    plans: Vec<Option<SorterPlan>>,
    sorters: Vec<Option<Sorted>>,
    /// The key at hand.
    key: Option<AtHand>,
}

struct Sorted {
    sorter: Sorter,
    /// How many lanes have not ended.
    open_lanes: usize,
    /// How many records of the batch at hand have been taken.
    taken: usize,
}

struct AtHand {
    hash: KeyHash,
    bytes: Vec<u8>,
    /// Whether event time has come to its end for it.
    fired: bool,
}

/// Which records come next.
enum Next {
    /// They are not there yet.
    Wait,
    /// None.
    Over,
    /// The key at hand has no more.
    EndOfKey,
    /// Those of this input, up to this one of its batch.
    Records(usize, usize),
}

impl Sorting {
    /// How many bytes of memory it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.sorters.iter().flatten().map(|sorted| sorted.sorter.bytes()).sum()
    }

    /// Where at least one input is sorted.
    pub(super) fn new(plans: Vec<Option<SorterPlan>>) -> Option<Box<Self>> {
        let is_sorted = plans.iter().any(Option::is_some);
        is_sorted.then(|| Box::new(Sorting { plans, sorters: Vec::new(), key: None }))
    }

    /// Whether this input is sorted.
    pub(super) fn sorts(&self, port: usize) -> bool {
        self.sorters[port].is_some()
    }

    /// Whether records that wait on a lane of this input can be taken.
    pub(super) fn has_room(&self, port: usize) -> bool {
        self.sorters[port].as_ref().is_none_or(|sorted| sorted.sorter.has_room())
    }

    /// The batch of an input that records were last taken from.
    pub(super) fn batch(&self, port: usize) -> Option<crate::channel::Batch<'_>> {
        self.sorters[port].as_ref().map(|sorted| sorted.sorter.batch())
    }

    pub(super) fn use_disk(&mut self, disk: &mut dyn ShardDisk) -> Result<bool, SortError> {
        let mut worked = false;
        for sorted in self.sorters.iter_mut().flatten() {
            for _ in 0..PIECES_PER_STEP {
                if !sorted.sorter.work(disk)? {
                    break;
                }
                worked = true;
            }
        }
        Ok(worked)
    }

    pub(super) fn on_disk(&mut self, done: DiskDone) -> Option<DiskDone> {
        let mut sorters = self.sorters.iter_mut().flatten();
        sorters.try_fold(done, |done, sorted| sorted.sorter.on_disk(done))
    }

    fn waits_for_others(&self) -> bool {
        self.sorters.iter().flatten().any(|sorted| sorted.sorter.waits_for_others())
    }

    /// Takes what waits on a lane of a sorted input.
    fn collect(&mut self, port: usize, inlet: &mut Inlet, progress: &mut Progress) {
        let sorted = self.sorters[port].as_mut().expect("a sorted input");
        for _ in 0..FRAMES_PER_LANE {
            if !sorted.sorter.has_room() {
                return;
            }
            match inlet.peek() {
                Peek::Empty => return,
                Peek::Switch(epoch) => {
                    progress.switch = progress.switch.max(Some(epoch));
                    return;
                }
                Peek::Frame(Frame::Batch(batch)) => sorted.sorter.add(&batch),
                Peek::Frame(Frame::Watermark(_) | Frame::Idle) => {}
                Peek::Frame(Frame::End) => {
                    sorted.open_lanes -= 1;
                    if sorted.open_lanes == 0 {
                        sorted.sorter.end();
                    }
                }
            }
            inlet.consume();
            progress.worked = true;
        }
    }

    /// Which records come next.
    fn next(&mut self) -> Result<Next, SortError> {
        let mut first: Option<(usize, KeyHash, Timestamp)> = None;
        for port in 0..self.sorters.len() {
            let Some(sorted) = &mut self.sorters[port] else { continue };
            match sorted.sorter.front()? {
                Front::Wait => return Ok(Next::Wait),
                Front::Over => continue,
                Front::Batch => {}
            }
            let batch = self.sorted(port).sorter.batch();
            let taken = self.sorted(port).taken;
            let (hash, at) = (batch.hashes()[taken], batch.timestamps()[taken]);
            let precedes = first.is_none_or(|(other, other_hash, other_at)| {
                let by_key = hash.cmp(&other_hash).then_with(|| self.key_of(port).cmp(self.key_of(other)));
                by_key.then(at.cmp(&other_at)).is_lt()
            });
            if precedes {
                first = Some((port, hash, at));
            }
        }
        let Some((port, hash, _)) = first else {
            return Ok(if self.key.is_some() { Next::EndOfKey } else { Next::Over });
        };
        match &self.key {
            Some(key) if (key.hash, &key.bytes[..]) != (hash, self.key_of(port)) => Ok(Next::EndOfKey),
            Some(_) => Ok(Next::Records(port, self.stretch(port))),
            None => {
                let bytes = self.key_of(port).to_vec();
                self.key = Some(AtHand { hash, bytes, fired: false });
                Ok(Next::Records(port, self.stretch(port)))
            }
        }
    }

    fn sorted(&self, port: usize) -> &Sorted {
        self.sorters[port].as_ref().expect("a sorted input")
    }

    /// The key of the record of an input that comes next.
    fn key_of(&self, port: usize) -> &[u8] {
        let sorted = self.sorted(port);
        sorted.sorter.batch().key_bytes(sorted.taken)
    }

    /// Up to which record of its batch an input comes before all others: those of one key, in the order of event time.
    fn stretch(&self, port: usize) -> usize {
        let Sorted { sorter, taken, .. } = self.sorted(port);
        let (batch, key) = (sorter.batch(), self.key_of(port));
        let hash = batch.hashes()[*taken];
        let mut last = Timestamp::MAX;
        for (number, other) in self.sorters.iter().enumerate() {
            let Some(other) = other.as_ref().filter(|_| number != port) else { continue };
            let others = other.sorter.batch();
            let same_key = others.hashes().get(other.taken) == Some(&hash) && self.key_of(number) == key;
            if same_key {
                last = last.min(others.timestamps()[other.taken]);
            }
        }
        let compares_keys = batch.shape().key != KeyShape::InHash;
        let is_in = |index: usize| {
            let same_hash = batch.hashes()[index] == hash && batch.timestamps()[index] <= last;
            same_hash && (!compares_keys || batch.key_bytes(index) == key)
        };
        // The first one comes next whatever the others say.
        (taken + 1..batch.len()).find(|index| !is_in(*index)).unwrap_or(batch.len())
    }

    /// Records have been taken.
    fn took(&mut self, port: usize, up_to: usize) {
        let sorted = self.sorters[port].as_mut().expect("a sorted input");
        sorted.taken = up_to;
        if up_to == sorted.sorter.batch().len() {
            sorted.taken = 0;
            sorted.sorter.consume();
        }
    }
}

impl<H: Operator, P: Push<FromExchange<H>>> OperatorSegment<H, P> {
    /// Makes the sorters.
    pub(super) fn open_sorting(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        let Some(sorting) = &mut self.sorting else { return Ok(()) };
        let layouts = H::In::layouts(self.ports.len());
        for (number, (port, plan)) in self.ports.iter().zip(sorting.plans.drain(..)).enumerate() {
            let layout = layouts.get(number).unwrap_or(&layouts[0]);
            let sorter = plan.map(|plan| Sorter::new(plan, &context.budget, port.end.shape, layout));
            let sorter = sorter.transpose().map_err(|error| Box::new(Failure::of(self.head.op(), error)))?;
            let sorted = sorter.map(|sorter| Sorted { sorter, open_lanes: port.side.inputs, taken: 0 });
            sorting.sorters.push(sorted);
        }
        Ok(())
    }

    /// One step in batch mode.
    pub(super) fn step_sorted(&mut self, context: &StepContext) -> Result<Progress, Box<Failure>> {
        let mut progress = Progress::default();
        if H::HAS_CLOCK {
            self.head.set_clock(context.processing_time());
        }
        if !self.fire(&mut progress)? {
            return Ok(progress);
        }
        for input in 0..self.inlets.len() {
            let port = self.port_of(input);
            let sorting = self.sorting.as_mut().expect("a step of batch mode");
            if sorting.sorts(port) {
                sorting.collect(port, &mut self.inlets[input], &mut progress);
            } else {
                // What is not by key, such as rules that are broadcast, comes before all that is.
                let mut batches = 2;
                self.take(input, &mut batches, context, &mut progress)?;
            }
        }
        self.replay(&mut progress)?;
        if self.sorting.as_ref().is_some_and(|sorting| sorting.waits_for_others()) {
            progress.wake_at(Some(context.now.after(LOOK_AT_OTHERS_EVERY)));
        }
        Ok(progress)
    }

    /// Handles records in order, as far as they are there.
    fn replay(&mut self, progress: &mut Progress) -> Result<(), Box<Failure>> {
        let op = self.head.op();
        let failed = |error: SortError| Box::new(Failure::of(op, error));
        let is_sorted = |port| self.sorting.as_ref().is_some_and(|sorting| sorting.sorts(port));
        let unsorted = (0..self.inlets.len()).filter(|input| !is_sorted(self.port_of(*input)));
        if self.said.ended || unsorted.into_iter().any(|input| self.merge.is_open(input)) {
            return Ok(());
        }
        let mut budget = RECORDS_PER_STEP;
        while budget > 0 {
            let sorting = self.sorting.as_mut().expect("a step of batch mode");
            match sorting.next().map_err(failed)? {
                Next::Wait => break,
                Next::Over => {
                    for input in 0..self.inlets.len() {
                        self.due.extend(self.merge.end(input));
                    }
                    progress.worked |= !self.due.is_empty();
                    break;
                }
                Next::EndOfKey => {
                    if !self.end_key(progress) {
                        break;
                    }
                    budget -= 1;
                }
                Next::Records(port, up_to) => {
                    if !self.push.tail().ready() {
                        progress.blocked = true;
                        break;
                    }
                    let sorted = sorting.sorted(port);
                    let from = sorted.taken;
                    self.last = (self.ports[port].first, from);
                    self.head.batch(&H::In::batch(port, sorted.sorter.batch(), from..up_to), &mut self.push);
                    sorting.took(port, up_to);
                    budget = budget.saturating_sub(up_to - from);
                    progress.worked = true;
                }
            }
        }
        Ok(())
    }

    /// Does a piece of what the end of the key at hand makes due. Returns whether that is all done, and the key forgotten.
    fn end_key(&mut self, progress: &mut Progress) -> bool {
        let key = &mut self.sorting.as_mut().expect("a step of batch mode").key;
        let Some(at_hand) = key else { return true };
        for _ in 0..FIRING_PIECES_PER_STEP {
            if !self.push.tail().ready() {
                progress.blocked = true;
                return false;
            }
            progress.worked = true;
            if !at_hand.fired {
                at_hand.fired = self.head.watermark(Timestamp::MAX, &mut self.push) == Firing::Done;
            } else if self.head.fire_waiting(&mut self.push) == Firing::Done {
                self.head.end_key((at_hand.hash, &at_hand.bytes), &mut self.push);
                *key = None;
                return true;
            }
        }
        false
    }
}

impl From<SortError> for Cause {
    fn from(error: SortError) -> Cause {
        match error {
            SortError::NoRoom { .. } | SortError::OtherRecords { .. } => Cause::fatal(error),
            SortError::Disk(_) | SortError::Damaged { .. } => Cause::engine(error),
        }
    }
}

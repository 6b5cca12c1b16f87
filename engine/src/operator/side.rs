//! Side outputs: what an operator gives out beside its main output, by typed tags (Flink's `OutputTag`).
//!
//! A side output is a lane to the same shard, where a chain of its own begins. The chain that writes it is wrapped, types erased, in a
//! segment that tells the lanes beside what the chain's tail was told.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;

use super::Driven;
use super::OpId;
use super::exchange::Outlets;
use super::failure::{Cause, Failure, raise};
use super::keyed::{LateReport, SeenKeys};
use super::segment::{OpenContext, Progress, Said, Segment, StepContext, Tail};
use super::suspects::Blamed;
use crate::arena::Arena;
use crate::channel::{BatchShape, Inlet};
use crate::disk::{DiskDone, ShardDisk};
use crate::element::{Epoch, Nanos, ShardId, Timestamp};
use crate::graph::{ExchangeId, Lanes, Port};
use crate::record::Record;
use crate::runtime::metrics::Gauges;
use crate::runtime::reads::{Read, StateRead};
use crate::runtime::snapshot::ShardSnapshot;
use crate::time::ClockReport;

/// Names a side output and the type of its records. Made by [`Flow::tag`](crate::graph::Flow::tag), written by the functions that hold
/// it, read by [`Stream::side_output`](crate::stream::Stream::side_output).
pub struct Tag<T> {
    pub(crate) slot: Rc<Slot>,
    record: PhantomData<fn() -> T>,
}

impl<T> Clone for Tag<T> {
    fn clone(&self) -> Self {
        Tag { slot: self.slot.clone(), record: PhantomData }
    }
}

/// What the tags of one name share.
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) built_at: &'static std::panic::Location<'static>,
    /// The head of the chain whose side output it is, once somebody reads it.
    pub(crate) of: Cell<Option<OpId>>,
    pub(crate) outlets: RefCell<Option<Outlets>>,
}

/// A function has written to a tag that is read from another operator's stream.
#[derive(Debug, thiserror::Error)]
#[error(
    "side output `{tag}` is read from the stream of another operator; give each operator a tag of its own"
)]
struct ForeignTag {
    tag: String,
}

impl<T: Record> Tag<T> {
    pub(crate) fn new(name: String, built_at: &'static std::panic::Location<'static>) -> Self {
        let slot = Slot { name, built_at, of: Cell::new(None), outlets: RefCell::new(None) };
        Tag { slot: Rc::new(slot), record: PhantomData }
    }

    /// Gives a record out; `op` is the head of the chain that does. Where nobody reads the side output, it is forgotten.
    pub(crate) fn emit(&self, op: OpId, record: &T, at: Timestamp) {
        let Some(of) = self.slot.of.get() else { return };
        if of != op {
            raise(op, Cause::fatal(ForeignTag { tag: self.slot.name.clone() }));
        }
        let mut outlets = self.slot.outlets.borrow_mut();
        let outlets = outlets.as_mut().expect("a side output that is read is opened with its chain");
        let appended = outlets.lane().push_unkeyed(at, record);
        outlets.appended(appended);
    }
}

/// The side outputs of a chain that is being built.
#[derive(Default)]
pub(crate) struct Sides(RefCell<Vec<SideEnd>>);

struct SideEnd {
    exchange: ExchangeId,
    shape: BatchShape,
    from: OpId,
    slot: Rc<Slot>,
}

impl Sides {
    pub(crate) fn add(&self, exchange: ExchangeId, shape: BatchShape, from: OpId, slot: Rc<Slot>) {
        self.0.borrow_mut().push(SideEnd { exchange, shape, from, slot });
    }

    pub(crate) fn exchanges(&self) -> Vec<ExchangeId> {
        self.0.borrow().iter().map(|side| side.exchange).collect()
    }

    /// Opens the lanes, and puts them beside the chain.
    pub(crate) fn beside(self, chain: Box<dyn Segment>, lanes: &mut dyn Lanes) -> Driven {
        let sides = self.0.into_inner();
        if sides.is_empty() {
            return Ok(chain);
        }
        let mut slots = Vec::with_capacity(sides.len());
        for SideEnd { exchange, shape, from, slot } in sides {
            let outlets = Outlets::new(from, exchange, shape, lanes)?;
            *slot.outlets.borrow_mut() = Some(outlets);
            slots.push(slot);
        }
        Ok(Box::new(WithSides { chain, slots, said: Said::NOTHING }))
    }
}

/// A chain and its side outputs.
struct WithSides {
    chain: Box<dyn Segment>,
    slots: Vec<Rc<Slot>>,
    /// What the lanes beside have been told of event time. They hear of it after the chain's step, behind the records that the step
    /// gave out: later than it holds, which is always right.
    said: Said,
}

impl WithSides {
    fn each(
        &self,
        mut act: impl FnMut(&mut Outlets) -> Result<(), Box<Failure>>,
    ) -> Result<(), Box<Failure>> {
        self.slots.iter().try_for_each(|slot| {
            act(slot.outlets.borrow_mut().as_mut().expect("opened when the chain was put together"))
        })
    }

    fn say(&mut self) -> Result<(), Box<Failure>> {
        let (said, now) = (self.said, self.chain.said());
        if said == now {
            return Ok(());
        }
        self.said = now;
        // A watermark also says that its input is active again.
        if now.watermark > said.watermark || (said.idle && now != said) {
            self.each(|side| side.each(|lane| lane.watermark(now.watermark)))?;
        }
        if now.idle && now.pauses != said.pauses {
            self.each(|side| side.each(|lane| lane.idle()))?;
        }
        if now.ended && !said.ended {
            self.each(|side| side.each(|lane| lane.end()))?;
        }
        Ok(())
    }
}

impl Segment for WithSides {
    fn head(&self) -> OpId {
        self.chain.head()
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.each(|side| {
            side.open(context);
            Ok(())
        })?;
        self.chain.open(context)?;
        self.said = self.chain.said();
        Ok(())
    }

    fn step(&mut self, context: &StepContext) -> Result<Progress, Box<Failure>> {
        let ready = |slot: &Rc<Slot>| slot.outlets.borrow_mut().as_mut().is_none_or(Outlets::ready);
        let room = context.room && self.slots.iter().all(ready);
        let progress = self.chain.step(&StepContext { room, ..*context })?;
        self.say()?;
        Ok(progress)
    }

    fn has_input(&self) -> bool {
        self.chain.has_input()
    }

    fn ended(&self) -> bool {
        self.chain.ended()
    }

    fn switch(&mut self, epoch: Epoch, snapshot: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
        self.chain.switch(epoch, snapshot)?;
        self.each(|side| side.switch(epoch, snapshot))
    }

    fn input_name(&self) -> Option<&str> {
        self.chain.input_name()
    }

    fn inlets(&mut self) -> &mut [Inlet] {
        self.chain.inlets()
    }

    fn lane(&self, inlet: usize) -> (Port, ShardId) {
        self.chain.lane(inlet)
    }

    fn said(&self) -> Said {
        self.chain.said()
    }

    fn flush(&mut self) -> Result<(), Box<Failure>> {
        self.each(|side| side.each(|lane| lane.flush()))?;
        self.chain.flush()
    }

    fn holds_back(&mut self) -> bool {
        let beside =
            self.slots.iter().any(|slot| slot.outlets.borrow().as_ref().is_some_and(Outlets::holds_back));
        beside || self.chain.holds_back()
    }

    fn arena(&mut self) -> Option<&mut Arena> {
        self.chain.arena()
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.chain.tail()
    }

    fn use_disk(&mut self, disk: &mut dyn ShardDisk) -> Result<bool, Box<Failure>> {
        self.chain.use_disk(disk)
    }

    fn on_disk(&mut self, done: DiskDone) -> Option<DiskDone> {
        self.chain.on_disk(done)
    }

    fn trim(&mut self, epoch: Epoch) -> Result<(), Box<Failure>> {
        self.chain.trim(epoch)
    }

    fn is_quiet(&self) -> bool {
        self.chain.is_quiet()
    }

    fn committed(&mut self, epoch: Epoch) {
        self.chain.committed(epoch);
    }

    fn aborted(&mut self, epoch: Epoch) {
        self.chain.aborted(epoch);
    }

    fn blame_record(&mut self, index: usize) -> Blamed {
        self.chain.blame_record(index)
    }

    fn key_of_record(&mut self, index: usize) -> Option<String> {
        self.chain.key_of_record(index)
    }

    fn clock_report(&self, now: Nanos) -> Option<ClockReport> {
        self.chain.clock_report(now)
    }

    fn seen_keys(&self, now: Nanos) -> Option<SeenKeys> {
        self.chain.seen_keys(now)
    }

    fn read_state(&mut self, read: &StateRead) -> Read {
        self.chain.read_state(read)
    }

    fn late_records(&self) -> Option<LateReport> {
        self.chain.late_records()
    }

    fn gauge(&mut self, gauges: &mut Gauges) {
        self.chain.gauge(gauges);
        for slot in &self.slots {
            if let Some(outlets) = &*slot.outlets.borrow() {
                outlets.gauge(gauges);
            }
        }
    }
}

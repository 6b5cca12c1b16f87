//! Iterations: records that a part of the job gives back to an operator before it (Flink's `iterate` and `closeWith`).
//!
//! What is given back lies in a lane of the shard to itself, behind which nothing is full: the lane grows beyond its headroom within the
//! job's overflow budget, and the head of the loop empties it before it takes anything new. So a loop cannot come to stand because all of
//! its rings are full. The lane's records are state of the head: a checkpoint holds them.
//!
//! Event time does not go round. The watermark of the head is that of what comes in; a record that goes round may be late.
//!
//! # The end
//!
//! What comes in has ended, but is the loop empty? A checkpoint is a consistent cut of all shards and all channels (Chandy and Lamport,
//! "Distributed snapshots", 1985). Where it holds no record on its way anywhere, and the sources have ended before it, there never will be
//! one: the loop is over. The coordinator makes such checkpoints, with a state directory or without, once all sources have ended.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::{Cause, Failure, raise};
use super::inputs::One;
use super::keyed::{Fed, FromExchange, Given, Operator};
use super::segment::{OpenContext, Tail};
use super::typed::{BatchOf, trust};
use super::views::{Viewed, hand_on, viewed_items};
use super::{Chain, OpId, Push};
use crate::channel::{BatchShape, ChannelError, Frame, Inlet, Outlet, Peek};
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::graph::Port;
use crate::key::Key;
use crate::record::{Record, View};
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::{OperatorSnapshot, ShardSnapshot, StateSnapshot};
use crate::savepoint::{Form, RecordType, save_frames};
use crate::time::Signal;

/// What the two ends of a loop share on a shard.
#[derive(Default)]
pub(crate) struct Loop {
    outlet: RefCell<Option<Outlet>>,
    inlet: RefCell<Option<Inlet>>,
    /// How many records have been given back and not been taken.
    waiting: Cell<u64>,
    /// Whether the head is on this shard.
    has_head: Cell<bool>,
}

impl Loop {
    /// The lane is there.
    pub(crate) fn lay(&self, (outlet, inlet): (Outlet, Inlet)) {
        *self.outlet.borrow_mut() = Some(outlet);
        *self.inlet.borrow_mut() = Some(inlet);
    }
}

/// The beginning of a loop: what comes in, and what is given back.
pub struct Iterate<T: Record> {
    op: OpId,
    name: String,
    lane: Rc<Loop>,
    inlet: Option<Inlet>,
    /// The end of time, and the end: they wait until the loop is over.
    held: VecDeque<Signal>,
    /// What has gone on of event time: the watermark, and whether all that comes in is idle. None where nothing says so yet.
    said: Option<(Timestamp, bool)>,
    over: Arc<AtomicBool>,
    record: PhantomData<fn() -> T>,
}

impl<T: Record> Iterate<T> {
    pub(crate) fn new(op: OpId, lane: Rc<Loop>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let held = VecDeque::new();
        Iterate { op, name: String::new(), lane, inlet: None, held, said: None, over, record: PhantomData }
    }

    fn restore(&mut self, context: &OpenContext) -> Result<(), Cause> {
        let Some(restored) = &context.restored else { return Ok(()) };
        let Some(inlet) = &mut self.inlet else { return Ok(()) };
        let mine = usize::from(context.on.number_of(context.shard));
        for (number, (_, snapshot)) in restored.operators(&self.name).enumerate() {
            if number % context.on.len() != mine {
                continue;
            }
            let mut words = Reader::new(&snapshot.data);
            let watermark = Timestamp(words.i64("watermark").map_err(Cause::fatal)?);
            let idle = words.bool("idle").map_err(Cause::fatal)?;
            let before = self.said.unwrap_or((watermark, idle));
            self.said = Some((before.0.min(watermark), before.1 && idle));
            let waiting = words.u64("records given back").map_err(Cause::fatal)?;
            let frames = words.bytes("frames").map_err(Cause::fatal)?;
            words.finish().map_err(Cause::fatal)?;
            let of = (RecordType::of::<T>(), BatchShape::unkeyed::<T>());
            let frames = restored.frames(&self.name, Port(0), frames, of).map_err(Cause::fatal)?;
            inlet.restore(&frames).map_err(Cause::fatal)?;
            self.lane.waiting.set(self.lane.waiting.get() + waiting);
        }
        Ok(())
    }

    /// A signal goes on.
    fn note(&mut self, signal: Signal) {
        let (watermark, idle) = self.said.unwrap_or((Timestamp::MIN, false));
        self.said = match signal {
            Signal::Advance(at) => Some((at, false)),
            Signal::Active => Some((watermark, false)),
            Signal::Idle => Some((watermark, true)),
            Signal::End => Some((watermark, idle)),
        };
    }

    /// What has been given back and not been taken, in frames. The lane goes over to the epoch.
    fn save(&mut self, epoch: Epoch) -> Result<Vec<u8>, ChannelError> {
        let Some(inlet) = &mut self.inlet else { return Ok(Vec::new()) };
        let mut unsent = Vec::new();
        if let Some(outlet) = &mut *self.lane.outlet.borrow_mut() {
            outlet.switch(epoch, &mut unsent)?;
        }
        inlet.switch(epoch)?;
        while !inlet.capture_some(usize::MAX) {}
        let mut frames = inlet.take_capture().unwrap_or_default();
        frames.append(&mut unsent);
        Ok(frames)
    }
}

impl<T: Record> Fed for Iterate<T> {
    viewed_items!();
}

impl<T: Record> Operator for Iterate<T> {
    type In = One<T>;

    const RESUMES: bool = true;

    fn op(&self) -> OpId {
        self.op
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.name = context.name(self.op).to_owned();
        self.over = context.loops_over.clone();
        self.lane.has_head.set(true);
        self.inlet = self.lane.inlet.borrow_mut().take();
        context.types.form(&self.name, Form::Words(Arc::new(portable_words::<T>)));
        self.restore(context).map_err(|cause| Box::new(Failure::of(self.op, cause)))
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        hand_on(batch, |item, at| push.push(item, at));
    }

    fn room(&self) -> usize {
        // What goes round comes first.
        if self.lane.waiting.get() > 0 { 0 } else { usize::MAX }
    }

    fn give<P: Push<FromExchange<Self>>>(&mut self, push: &mut P) -> Given {
        if let Some(inlet) = &mut self.inlet {
            match inlet.peek() {
                Peek::Frame(Frame::Batch(batch)) => {
                    let records = batch.len();
                    self.lane.waiting.set(self.lane.waiting.get() - records as u64);
                    hand_on(&trust::<T>(batch, 0..records), |item, at| push.push(item, at));
                    inlet.consume();
                    return Given::Records;
                }
                Peek::Frame(_) => {
                    inlet.consume();
                    return Given::Records;
                }
                Peek::Empty | Peek::Switch(_) => {}
            }
        }
        if !self.over.load(Ordering::Acquire) {
            return Given::Nothing;
        }
        let Some(signal) = self.held.pop_front() else { return Given::Nothing };
        self.note(signal);
        Given::Signal(signal)
    }

    fn hold(&mut self, signal: Signal) -> bool {
        let is_last = matches!(signal, Signal::End | Signal::Advance(Timestamp::MAX));
        if is_last && !self.over.load(Ordering::Acquire) || !self.held.is_empty() {
            self.held.push_back(signal);
            return true;
        }
        self.note(signal);
        false
    }

    fn said(&self) -> Option<(Timestamp, bool)> {
        self.said
    }

    fn is_quiet(&self) -> bool {
        self.lane.waiting.get() == 0
    }

    fn switch(&mut self, epoch: Epoch) -> Option<OperatorSnapshot> {
        let frames = self.save(epoch).unwrap_or_else(|error| raise(self.op, Cause::fatal(error)));
        let mut words = Writer::new();
        let (watermark, idle) = self.said.unwrap_or((Timestamp::MIN, false));
        words.put_i64(watermark.0).put_bool(idle).put_u64(self.lane.waiting.get()).put_bytes(&frames);
        let given_back =
            StateSnapshot { state: "given back".to_owned(), key: <() as Key>::layout(), value: T::layout() };
        let operator = self.name.clone();
        Some(OperatorSnapshot { operator, states: vec![given_back], data: words.into_bytes(), arena: 0 })
    }
}

/// The words with values in the place of frames.
fn portable_words<T: Record>(words: &[u8]) -> Result<Vec<u8>, String> {
    let words_of = |error: CodecError| error.to_string();
    let mut input = Reader::new(words);
    let head = input.raw("watermark, idle mark, number of records", HEAD_BYTES).map_err(words_of)?;
    let frames = input.bytes("frames").map_err(words_of)?;
    let records = save_frames(frames, &BatchShape::unkeyed::<T>(), RecordType::of::<T>())?;
    let mut out = Writer::new();
    out.put_raw(head).put_bytes(&records);
    Ok(out.into_bytes())
}

/// What stands before the frames.
const HEAD_BYTES: usize = 17;

/// The end of a loop: gives records back.
pub(crate) struct Feedback<T> {
    op: OpId,
    name: String,
    lane: Rc<Loop>,
    over: Arc<AtomicBool>,
    record: PhantomData<fn() -> T>,
}

impl<T> Feedback<T> {
    pub(crate) fn new(op: OpId, lane: Rc<Loop>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        Feedback { op, name: String::new(), lane, over, record: PhantomData }
    }
}

/// The two ends of a loop are not on the same shards.
#[derive(Debug, thiserror::Error)]
#[error(
    "the iteration does not begin on shard {shard}, where this gives records back; give both the same parallelism"
)]
struct NoHead {
    shard: u16,
}

/// A record comes back to a loop that is over.
#[derive(Debug, thiserror::Error)]
#[error(
    "a record comes back to an iteration that is over: something in the loop has kept it until its input ended, such as a window; let what is \
     given back not depend on the end of the input"
)]
struct Over;

impl<T: Record, C: Chain<Record = T>> Push<C> for Feedback<T> {
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        if self.over.load(Ordering::Acquire) {
            raise(self.op, Cause::fatal(Over));
        }
        let mut outlet = self.lane.outlet.borrow_mut();
        let outlet = outlet.as_mut().expect("the lane is laid with this chain");
        if let Err(error) = C::append_unkeyed(&item, at, outlet) {
            raise(self.op, Cause::fatal(error));
        }
        self.lane.waiting.set(self.lane.waiting.get() + 1);
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self
    }
}

impl<T> Tail for Feedback<T> {
    fn op(&self) -> OpId {
        self.op
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.name = context.name(self.op).to_owned();
        self.over = context.loops_over.clone();
        match self.lane.has_head.get() {
            true => Ok(()),
            false => {
                let no_head = NoHead { shard: context.shard.0 };
                Err(Box::new(Failure::of(self.op, Cause::fatal(no_head))))
            }
        }
    }

    fn ready(&mut self) -> bool {
        // Whatever the body makes of what it was given has to come back, or the loop would stand.
        true
    }

    fn flush(&mut self) -> Result<(), Box<Failure>> {
        match &mut *self.lane.outlet.borrow_mut() {
            Some(outlet) => {
                outlet.flush().map_err(|error| Box::new(Failure::of(self.op, Cause::fatal(error))))
            }
            None => Ok(()),
        }
    }

    fn watermark(&mut self, _: Timestamp) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn switch(&mut self, _: Epoch, _: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
        // The head has saved the lane: all chains of a shard switch at once.
        Ok(())
    }

    fn gauge(&mut self, _: &mut Gauges) {}
}

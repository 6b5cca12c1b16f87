//! The operator: takes records in as long as there is room, makes their calls, and gives out what they come to.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use super::answer::{Answer, Otherwise, Settings};
use super::call::{Slot, State};
use super::life::at_hand;
use super::queue::{Next, Queue};
use super::saved::{Saved, SavedStretch};
use super::surroundings::Surroundings;
use super::woken::Woken;
use crate::element::{Epoch, Nanos, ShardId, Timestamp};
use crate::operator::failure::{Cause, Cursor, Failure};
use crate::operator::inputs::One;
use crate::operator::keyed::{Fed, FromExchange, Given, Operator};
use crate::operator::segment::OpenContext;
use crate::operator::typed::BatchOf;
use crate::operator::{OpId, Push, owned_items};
use crate::record::Record;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::savepoint::Form;
use crate::time::Signal;

/// How many records are given out in one piece: there is room for a whole batch.
const GIVEN_PER_PIECE: usize = if cfg!(test) { 2 } else { crate::limits::BATCH_RECORDS_MAX / 2 };

/// Never.
pub(super) const NEVER: Nanos = Nanos(u64::MAX);

/// Makes a call for each record. `A` says how what the futures `C` give becomes an answer.
pub struct AsyncWait<T: Record, F, C: Future, A: Answer<C::Output>> {
    pub(super) op: OpId,
    pub(super) name: String,
    pub(super) shard: ShardId,
    pub(super) f: F,
    pub(super) settings: Settings,
    pub(super) otherwise: Otherwise<T, A::Value>,
    pub(super) slots: Vec<Slot<C, A::Value>>,
    pub(super) free: Vec<usize>,
    /// Records for which no call has been made yet: more than there may be at a time, taken in at a switch or after a rescaling.
    pub(super) waiting: VecDeque<usize>,
    /// How many records have a call under way, or another one to come.
    pub(super) calling: usize,
    pub(super) queue: Queue,
    pub(super) woken: Option<Woken>,
    pub(super) to_poll: Vec<usize>,
    pub(super) surroundings: Rc<Surroundings>,
    pub(super) now: Nanos,
    /// No record has to be looked at before, unless it is woken.
    pub(super) due: Nanos,
    /// How many records came in.
    pub(super) received: u64,
    /// What has gone on of event time.
    pub(super) said: (Timestamp, bool),
    pub(super) types: PhantomData<fn() -> A>,
}

impl<T, F, C, A> AsyncWait<T, F, C, A>
where
    T: Record,
    F: FnMut(T) -> C + 'static,
    C: Future + 'static,
    A: Answer<C::Output>,
{
    pub(crate) fn new(op: OpId, f: F, settings: Settings, otherwise: Otherwise<T, A::Value>) -> Self {
        AsyncWait {
            op,
            name: String::new(),
            shard: ShardId(0),
            f,
            settings,
            otherwise,
            slots: Vec::new(),
            free: Vec::new(),
            waiting: VecDeque::new(),
            calling: 0,
            queue: Queue::new(settings.ordered),
            woken: None,
            to_poll: Vec::new(),
            surroundings: Surroundings::new(settings.capacity),
            now: Nanos(0),
            due: NEVER,
            received: 0,
            said: (Timestamp::MIN, false),
            types: PhantomData,
        }
    }

    /// Brings back what a checkpoint holds.
    fn restore(&mut self, context: &OpenContext) -> Result<(), Cause> {
        context.types.form(&self.name, Form::Words(Arc::new(super::saved::portable_words::<T>)));
        let Some(restored) = &context.restored else { return Ok(()) };
        let saved = Saved::restore::<T>(restored, context, self.op)?;
        self.said = (saved.watermark, saved.idle);
        for SavedStretch { requests, marks } in saved.stretches {
            for (at, request) in requests {
                self.received += 1;
                let slot = self.a_slot();
                self.wait(slot, at, &request);
            }
            self.queue.restore_marks(marks);
        }
        Ok(())
    }
}

impl<T, F, C, A> Fed for AsyncWait<T, F, C, A>
where
    T: Record,
    F: FnMut(T) -> C + 'static,
    C: Future + 'static,
    A: Answer<C::Output>,
{
    owned_items!(A::Value);
}

impl<T, F, C, A> Operator for AsyncWait<T, F, C, A>
where
    T: Record,
    F: FnMut(T) -> C + 'static,
    C: Future + 'static,
    A: Answer<C::Output>,
{
    type In = One<T>;

    const RESUMES: bool = true;

    fn op(&self) -> OpId {
        self.op
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.name = context.name(self.op).to_owned();
        self.shard = context.shard;
        self.woken = Some(Woken::new(context.waker.clone()));
        self.restore(context).map_err(|cause| Box::new(Failure::of(self.op, cause)))
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        let _here = self.surroundings.enter();
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            self.take(T::owned(batch.record(index)), at, batch.record_bytes(index), push);
        }
    }

    fn is_quiet(&self) -> bool {
        self.occupied() == 0
    }

    fn room(&self) -> usize {
        self.settings.capacity.saturating_sub(self.occupied())
    }

    fn resume(&mut self, now: Nanos) -> bool {
        self.now = now;
        self.surroundings.set_clock(now);
        let _here = self.surroundings.enter();
        // First: an answer that is there counts, however late it is looked at.
        let woken = self.poll_woken();
        let due = self.due <= now;
        if due {
            self.look_at_due();
        }
        let called = !self.waiting.is_empty() && self.call_waiting();
        due || woken || called
    }

    fn give<P: Push<FromExchange<Self>>>(&mut self, push: &mut P) -> Given {
        for given in 0..GIVEN_PER_PIECE {
            match self.queue.next() {
                None if given == 0 => return Given::Nothing,
                None => return Given::Records,
                Some(Next::Signal(signal)) => {
                    self.note(signal);
                    return Given::Signal(signal);
                }
                Some(Next::Record(number)) => {
                    let slot = &mut self.slots[number];
                    let at = slot.at;
                    let state = slot.free();
                    self.free.push(number);
                    if let State::Answered(Some(value)) = state {
                        let _cursor = at_hand(at);
                        push.push(value, at);
                    }
                }
            }
        }
        Given::Records
    }

    fn hold(&mut self, signal: Signal) -> bool {
        let held = self.queue.hold(signal);
        if !held {
            self.note(signal);
        }
        held
    }

    fn wakes_at(&self) -> Option<Nanos> {
        let due = (self.due < NEVER).then_some(self.due);
        match (due, self.surroundings.next_waking()) {
            (Some(due), Some(waking)) => Some(due.min(waking)),
            (due, waking) => due.or(waking),
        }
    }

    fn holds_back_signals(&self) -> usize {
        if self.queue.holds_signals() { self.occupied() } else { 0 }
    }

    fn said(&self) -> Option<(Timestamp, bool)> {
        Some(self.said)
    }

    fn switch(&mut self, _: Epoch) -> Option<OperatorSnapshot> {
        let mut places: Vec<_> =
            self.slots.iter().filter(|slot| !matches!(slot.state, State::Free)).collect();
        places.sort_unstable_by_key(|slot| slot.place);
        let mut saved = super::saved::Saving::<T>::new(self.said);
        let mut rest = places.as_slice();
        for (number, marks) in self.queue.stretches() {
            let (stretch, behind) = rest.split_at(rest.partition_point(|slot| slot.place.stretch <= number));
            rest = behind;
            saved.stretch(stretch.iter().map(|slot| (slot.at, slot.request.as_slice())), marks);
        }
        Some(OperatorSnapshot {
            operator: self.name.clone(),
            states: Vec::new(),
            data: saved.finish(),
            arena: 0,
        })
    }
}

impl<T: Record, F, C: Future, A: Answer<C::Output>> AsyncWait<T, F, C, A> {
    /// A signal goes on.
    fn note(&mut self, signal: Signal) {
        match signal {
            Signal::Advance(at) => self.said = (at, false),
            Signal::Active => self.said.1 = false,
            Signal::Idle => self.said.1 = true,
            Signal::End => {}
        }
    }
}

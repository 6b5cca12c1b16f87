//! The operator: takes records in as long as there is room, makes their calls, and gives out what they come to.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::rc::Rc;
use std::task::Poll;

use super::answer::{Answer, NoAnswer, Otherwise, Settings, Unanswered, UserError};
use super::call::{Slot, State};
use super::queue::{Next, Queue};
use super::saved::{Saved, SavedStretch};
use super::surroundings::Surroundings;
use super::woken::Woken;
use crate::element::{Epoch, Nanos, ShardId, Timestamp};
use crate::operator::failure::{Blame, Cause, Cursor, Failure, raise};
use crate::operator::inputs::One;
use crate::operator::keyed::{Fed, FromExchange, Given, Operator};
use crate::operator::segment::OpenContext;
use crate::operator::typed::BatchOf;
use crate::operator::{OpId, Push, owned_items};
use crate::record::Record;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::time::Signal;

/// How many records are given out in one piece: there is room for a whole batch.
const GIVEN_PER_PIECE: usize = if cfg!(test) { 2 } else { crate::limits::BATCH_RECORDS_MAX / 2 };

/// Never.
const NEVER: Nanos = Nanos(u64::MAX);

/// Makes a call for each record. `A` says how what the futures `C` give becomes an answer.
pub struct AsyncWait<T: Record, F, C: Future, A: Answer<C::Output>> {
    op: OpId,
    name: String,
    shard: ShardId,
    f: F,
    settings: Settings,
    otherwise: Otherwise<T, A::Value>,
    slots: Vec<Slot<C, A::Value>>,
    free: Vec<usize>,
    /// Records for which no call has been made yet: more than there may be at a time, taken in at a switch or after a rescaling.
    waiting: VecDeque<usize>,
    /// How many records have a call under way, or another one to come.
    calling: usize,
    queue: Queue,
    woken: Option<Woken>,
    to_poll: Vec<usize>,
    surroundings: Rc<Surroundings>,
    now: Nanos,
    /// No record has to be looked at before, unless it is woken.
    due: Nanos,
    /// How many records came in.
    received: u64,
    /// What has gone on of event time.
    said: (Timestamp, bool),
    types: PhantomData<fn() -> A>,
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

    /// A slot that is free.
    fn a_slot(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            let woken = self.woken.as_mut().expect("open comes before the first record");
            self.slots.push(Slot::new(self.slots.len(), woken));
            self.slots.len() - 1
        })
    }

    fn occupied(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether another call may be made.
    fn may_call(&self) -> bool {
        self.calling < self.settings.capacity
    }

    /// Makes the first or another call for a record.
    #[inline]
    fn call(&mut self, slot: usize, record: T) -> Poll<Result<A::Value, UserError>> {
        let (f, slot) = (&mut self.f, &mut self.slots[slot]);
        let polled = Blame::on(self.op, || self.surroundings.enter(|| slot.call(f(record))));
        polled.map(A::of)
    }

    /// Takes a record in, and makes its call where that may be. What is answered at once goes on at once, if nothing is before it.
    #[inline]
    fn take<P: Push<FromExchange<Self>>>(&mut self, record: T, at: Timestamp, bytes: &[u8], push: &mut P) {
        self.received += 1;
        let slot = self.a_slot();
        if !self.may_call() || !self.waiting.is_empty() {
            self.wait(slot, at, bytes);
            return;
        }
        let polled = self.call(slot, record);
        match polled {
            Poll::Ready(Ok(value)) if self.queue.is_passable() => {
                self.slots[slot].free();
                self.free.push(slot);
                push.push(value, at);
            }
            polled => {
                self.slots[slot].fill(at, self.received, bytes);
                self.slots[slot].place = self.queue.push(slot);
                self.called(slot, polled);
            }
        }
    }

    /// Takes a record in whose call has to wait.
    fn wait(&mut self, slot: usize, at: Timestamp, bytes: &[u8]) {
        self.slots[slot].fill(at, self.received, bytes);
        self.slots[slot].place = self.queue.push(slot);
        self.waiting.push_back(slot);
    }

    /// The first call for a record was made.
    fn called(&mut self, slot: usize, polled: Poll<Result<A::Value, UserError>>) {
        self.calling += 1;
        if let Some(timeout) = self.settings.timeout {
            self.slots[slot].expires = self.now.after(timeout);
        }
        self.polled(slot, polled);
    }

    /// The call of a record was polled.
    fn polled(&mut self, number: usize, polled: Poll<Result<A::Value, UserError>>) {
        let slot = &mut self.slots[number];
        match polled {
            Poll::Pending => {
                slot.state = State::Calling;
                self.due = self.due.min(slot.due());
            }
            Poll::Ready(Ok(value)) => self.answered(number, Some(value)),
            Poll::Ready(Err(error)) => match self.settings.retry.pause_after(slot.attempts) {
                Some(pause) => {
                    slot.state = State::Pausing(self.now.after(pause));
                    self.due = self.due.min(slot.due());
                }
                None => {
                    let attempts = slot.attempts;
                    self.not_answered(number, NoAnswer::Failed { attempts, error });
                }
            },
        }
    }

    /// A record has its answer.
    fn answered(&mut self, number: usize, value: Option<A::Value>) {
        let slot = &mut self.slots[number];
        slot.state = State::Answered(value);
        self.calling -= 1;
        self.queue.answered(number, slot.place);
    }

    /// A record will have no answer.
    #[cold]
    fn not_answered(&mut self, number: usize, why: NoAnswer) {
        let (op, slot) = (self.op, &mut self.slots[number]);
        slot.end_call();
        let value = match &mut self.otherwise {
            Otherwise::Fail => {
                let unanswered = Unanswered { number: slot.number, shard: self.shard, why };
                raise_for(op, slot.at, Cause::User(Box::new(unanswered)));
            }
            Otherwise::Value(value) => Some(Blame::on(op, || value(slot.record(), &why))),
            Otherwise::Side(tag) => {
                tag.emit(op, &slot.record(), slot.at);
                None
            }
        };
        self.answered(number, value);
    }

    /// Polls the calls that have been woken. Returns whether there were any.
    fn poll_woken(&mut self) -> bool {
        let mut to_poll = std::mem::take(&mut self.to_poll);
        if let Some(woken) = &mut self.woken {
            woken.take(&mut to_poll);
        }
        let any = !to_poll.is_empty();
        for number in to_poll.drain(..) {
            let slot = &mut self.slots[number];
            if matches!(slot.state, State::Calling) {
                let cursor = at_hand(slot.at);
                let polled = Blame::on(self.op, || self.surroundings.enter(|| slot.poll()));
                self.polled(number, polled.map(A::of));
                drop(cursor);
            }
        }
        self.to_poll = to_poll;
        any
    }

    /// Gives up what has taken too long, and makes the calls again that have paused long enough.
    fn look_at_due(&mut self) {
        self.due = NEVER;
        for number in 0..self.slots.len() {
            let slot = &mut self.slots[number];
            if slot.due() <= self.now {
                let cursor = at_hand(slot.at);
                if slot.expires <= self.now {
                    let attempt = slot.attempts;
                    let within = self.settings.timeout.unwrap_or_default();
                    self.not_answered(number, NoAnswer::TimedOut { within, attempt });
                } else {
                    let record = slot.record();
                    let polled = self.call(number, record);
                    self.polled(number, polled);
                }
                drop(cursor);
            }
            self.due = self.due.min(self.slots[number].due());
        }
    }

    /// Makes the calls that had to wait. Returns whether there were any.
    fn call_waiting(&mut self) -> bool {
        let mut any = false;
        while self.may_call()
            && let Some(number) = self.waiting.pop_front()
        {
            any = true;
            let slot = &self.slots[number];
            let (record, cursor) = (slot.record(), at_hand(slot.at));
            let polled = self.call(number, record);
            self.called(number, polled);
            drop(cursor);
        }
        any
    }

    /// Brings back what a checkpoint holds.
    fn restore(&mut self, context: &OpenContext) -> Result<(), Cause> {
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

/// Notes the event time of the record whose call is at work, should it fail.
fn at_hand(at: Timestamp) -> Cursor {
    Cursor { index: 0, at }
}

#[cold]
fn raise_for(op: OpId, at: Timestamp, cause: Cause) -> ! {
    let _cursor = at_hand(at);
    raise(op, cause)
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
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            self.take(T::owned(batch.record(index)), at, batch.record_bytes(index), push);
        }
    }

    fn room(&self) -> usize {
        self.settings.capacity.saturating_sub(self.occupied())
    }

    fn resume(&mut self, now: Nanos) -> bool {
        self.now = now;
        self.surroundings.set_clock(now);
        let due = self.due <= now;
        if due {
            self.look_at_due();
        }
        let woken = self.poll_woken();
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

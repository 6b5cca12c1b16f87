//! The life of a record in the operator: its calls, its pauses, its answer.

use std::task::Poll;

use super::answer::{Answer, NoAnswer, Otherwise, Unanswered, UserError};
use super::call::{Slot, State};
use super::operator::{AsyncWait, NEVER};
use crate::element::Timestamp;
use crate::operator::failure::{Blame, Cause, Cursor, raise};
use crate::operator::keyed::FromExchange;
use crate::operator::{OpId, Push};
use crate::record::Record;

/// What polling a call has come to: nothing yet, an answer that may be empty, or an error.
type Polled<U> = Poll<Result<Option<U>, UserError>>;

impl<T, F, C, A> AsyncWait<T, F, C, A>
where
    T: Record,
    F: FnMut(T) -> C + 'static,
    C: Future + 'static,
    A: Answer<C::Output>,
{
    /// A slot that is free.
    pub(super) fn a_slot(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            let woken = self.woken.as_mut().expect("open comes before the first record");
            self.slots.push(Slot::new(self.slots.len(), woken));
            self.slots.len() - 1
        })
    }

    pub(super) fn occupied(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether another call may be made.
    pub(super) fn may_call(&self) -> bool {
        self.calling < self.settings.capacity
    }

    /// Makes the first or another call for a record.
    #[inline]
    pub(super) fn call(&mut self, slot: usize, record: T) -> Polled<A::Value> {
        let (f, slot) = (&mut self.f, &mut self.slots[slot]);
        let polled = Blame::on(self.op, || slot.call(f(record)));
        polled.map(A::of)
    }

    /// Takes a record in, and makes its call where that may be. What is answered at once goes on at once, if nothing is before it.
    #[inline]
    pub(super) fn take<P: Push<FromExchange<Self>>>(
        &mut self,
        record: T,
        at: Timestamp,
        bytes: &[u8],
        push: &mut P,
    ) {
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
                if let Some(value) = value {
                    push.push(value, at);
                }
            }
            polled => {
                self.slots[slot].fill(at, self.received, bytes);
                self.slots[slot].place = self.queue.push(slot);
                self.called(slot, polled);
            }
        }
    }

    /// Takes a record in whose call has to wait.
    pub(super) fn wait(&mut self, slot: usize, at: Timestamp, bytes: &[u8]) {
        self.slots[slot].fill(at, self.received, bytes);
        self.slots[slot].place = self.queue.push(slot);
        self.waiting.push_back(slot);
    }

    /// The first call for a record was made.
    pub(super) fn called(&mut self, slot: usize, polled: Polled<A::Value>) {
        self.calling += 1;
        if let Some(timeout) = self.settings.timeout {
            self.slots[slot].expires = self.now.after(timeout);
        }
        self.polled(slot, polled);
    }

    /// The call of a record was polled.
    pub(super) fn polled(&mut self, number: usize, polled: Polled<A::Value>) {
        let slot = &mut self.slots[number];
        match polled {
            Poll::Pending => {
                slot.state = State::Calling;
                self.due = self.due.min(slot.due());
            }
            Poll::Ready(Ok(value)) => self.answered(number, value),
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
    pub(super) fn answered(&mut self, number: usize, value: Option<A::Value>) {
        let slot = &mut self.slots[number];
        slot.state = State::Answered(value);
        self.calling -= 1;
        self.queue.answered(number, slot.place);
    }

    /// A record will have no answer.
    #[cold]
    pub(super) fn not_answered(&mut self, number: usize, why: NoAnswer) {
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
    pub(super) fn poll_woken(&mut self) -> bool {
        let mut to_poll = std::mem::take(&mut self.to_poll);
        if let Some(woken) = &mut self.woken {
            woken.take(&mut to_poll);
        }
        let any = !to_poll.is_empty();
        for number in to_poll.drain(..) {
            let slot = &mut self.slots[number];
            if matches!(slot.state, State::Calling) {
                let cursor = at_hand(slot.at);
                let polled = Blame::on(self.op, || slot.poll());
                self.polled(number, polled.map(A::of));
                drop(cursor);
            }
        }
        self.to_poll = to_poll;
        any
    }

    /// Gives up what has taken too long, and makes the calls again that have paused long enough.
    pub(super) fn look_at_due(&mut self) {
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
    pub(super) fn call_waiting(&mut self) -> bool {
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
}

/// Notes the event time of the record whose call is at work, should it fail.
pub(super) fn at_hand(at: Timestamp) -> Cursor {
    Cursor { index: 0, at }
}

#[cold]
fn raise_for(op: OpId, at: Timestamp, cause: Cause) -> ! {
    let _cursor = at_hand(at);
    raise(op, cause)
}

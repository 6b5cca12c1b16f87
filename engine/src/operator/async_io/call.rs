//! The slots of records that are under way, each with room for its call.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::queue::Place;
use super::woken::Woken;
use crate::element::{Nanos, Timestamp};
use crate::record::{Record, RecordBuf};

/// Where a record stands.
pub(super) enum State<U> {
    /// No record.
    Free,
    /// No call has been made yet.
    Waiting,
    /// Its call is under way.
    Calling,
    /// Its call failed; there is another one then.
    Pausing(Nanos),
    /// It can be given out. Nothing goes on where there is nothing in the answer, or the record went to a side output.
    Answered(Option<U>),
}

/// A record under way.
pub(super) struct Slot<F, U> {
    pub(super) state: State<U>,
    pub(super) at: Timestamp,
    pub(super) place: Place,
    /// How many records had come when it came.
    pub(super) number: u64,
    /// Its archived bytes.
    pub(super) request: RecordBuf,
    /// How many calls have been made for it.
    pub(super) attempts: u32,
    /// When its time is over.
    pub(super) expires: Nanos,
    /// Pinned once and filled again for each call.
    future: Pin<Box<Option<F>>>,
    waker: Waker,
}

impl<F: Future, U> Slot<F, U> {
    pub(super) fn new(number: usize, woken: &mut Woken) -> Self {
        Slot {
            state: State::Free,
            at: Timestamp::MIN,
            place: Place::default(),
            number: 0,
            request: RecordBuf::new(),
            attempts: 0,
            expires: Nanos(u64::MAX),
            future: Box::pin(None),
            waker: woken.waker(number),
        }
    }

    /// Puts a record in, for which no call has been made.
    pub(super) fn fill(&mut self, at: Timestamp, number: u64, request: &[u8]) {
        self.state = State::Waiting;
        (self.at, self.number) = (at, number);
        self.request.clear();
        self.request.extend_from_slice(request);
    }

    /// The record.
    pub(super) fn record<T: Record>(&self) -> T {
        let view = T::view(&self.request);
        T::owned(view.expect("what an exchange or a checkpoint of `T`s gave is an archived `T`"))
    }

    /// Makes a call, and polls it for the first time.
    #[inline]
    pub(super) fn call(&mut self, future: F) -> Poll<F::Output> {
        self.attempts += 1;
        self.future.set(Some(future));
        self.poll()
    }

    /// Polls the call that is under way.
    #[inline]
    pub(super) fn poll(&mut self) -> Poll<F::Output> {
        let Some(future) = self.future.as_mut().as_pin_mut() else { return Poll::Pending };
        let answer = future.poll(&mut Context::from_waker(&self.waker));
        if answer.is_ready() {
            self.end_call();
        }
        answer
    }

    /// Drops the call, if there is one.
    pub(super) fn end_call(&mut self) {
        self.future.set(None);
    }

    /// Makes room for another record.
    pub(super) fn free(&mut self) -> State<U> {
        self.attempts = 0;
        self.expires = Nanos(u64::MAX);
        std::mem::replace(&mut self.state, State::Free)
    }

    /// When it has to be looked at although nothing has woken it.
    pub(super) fn due(&self) -> Nanos {
        match self.state {
            State::Calling => self.expires,
            State::Pausing(until) => until.min(self.expires),
            State::Free | State::Waiting | State::Answered(_) => Nanos(u64::MAX),
        }
    }
}

//! Requests and replies, as they go through the job.

use crate::record::{Field, Record};

/// Which call a request is of: goes with the request through the job, and with the reply back. No two calls have the same, not even in
/// different processes.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct CallId {
    /// Drawn when the handle was made.
    pub(super) desk: u64,
    /// Where the outcome is waited for.
    pub(super) slot: u32,
    /// How often the slot was used before.
    pub(super) generation: u32,
}

/// A request, and which call it is of: what a job is given by [`Flow::ask`](crate::graph::Flow::ask).
#[derive(Record, Clone, Debug, PartialEq)]
pub struct Asked<Q> {
    /// Which call it is of.
    pub call: CallId,
    /// The request.
    pub request: Q,
}

/// The reply to a call: what a job gives to [`Stream::reply`](crate::stream::Stream::reply).
#[derive(Record, Clone, Debug, PartialEq)]
pub struct Reply<R> {
    /// Which call it is of.
    pub call: CallId,
    /// The reply.
    pub reply: R,
}

impl<Q> Asked<Q> {
    /// The reply to this request.
    pub fn reply<R>(&self, reply: R) -> Reply<R> {
        Reply { call: self.call, reply }
    }
}

impl<Q: Field> AskedView<Q> {
    /// The reply to this request.
    pub fn reply<R>(&self, reply: R) -> Reply<R> {
        Reply { call: *self.call(), reply }
    }
}

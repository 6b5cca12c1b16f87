//! Questions for what a state holds under a key, from any thread to the shard that the key belongs to. The shard answers in its next step;
//! nobody else touches its pages, and it waits for nobody.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use crate::element::KeyHash;
use crate::operator::OpId;
use crate::record::Layout;

/// A question.
#[derive(Clone, Debug)]
pub struct StateRead {
    pub(crate) op: OpId,
    pub(crate) state: Arc<str>,
    pub(crate) hash: KeyHash,
    pub(crate) key: Vec<u8>,
    /// Fingerprints of what keys and values are to look like.
    pub(crate) layouts: (u64, u64),
    pub(crate) answer: SyncSender<Read>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// The archived value, if there is one.
    Value(Option<Vec<u8>>),
    /// The operator keeps nothing of that name that can be read so. These can be.
    NoSuchState(Vec<String>),
    /// The state has keys and values of other types.
    OtherTypes { key: Layout, value: Layout },
    /// It cannot be read.
    Failed(String),
}

/// The questions that a shard has not answered.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    waiting: AtomicUsize,
    queue: Mutex<Vec<StateRead>>,
}

impl Reads {
    /// Adds a question. Whoever asks wakes the shard then.
    pub(crate) fn push(&self, read: StateRead) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(read);
        self.waiting.store(queue.len(), Ordering::Release);
    }

    /// Whether there are any.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Takes them.
    pub(crate) fn take(&self) -> Vec<StateRead> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.store(0, Ordering::Release);
        std::mem::take(&mut queue)
    }
}

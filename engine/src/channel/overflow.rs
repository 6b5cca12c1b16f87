//! What waits for room: frames that a full ring could not take, counted against one budget per job.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::ChannelError;
use super::frame::{WORD_BYTES, Word, bytes_of};
use super::ring::RingWriter;

/// The setting that limits an [`OverflowBudget`], as messages name it.
const SETTING: &str = "overflow_bytes";

/// How much memory all channels of a job may take for records that wait for a full ring (or for the own shard to get to them).
/// Clones share one account.
#[derive(Clone, Debug)]
pub struct OverflowBudget {
    account: Arc<Account>,
}

#[derive(Debug)]
struct Account {
    used: AtomicU64,
    limit: u64,
}

impl OverflowBudget {
    /// A budget of this many bytes.
    pub fn new(limit_bytes: u64) -> Self {
        OverflowBudget { account: Arc::new(Account { used: AtomicU64::new(0), limit: limit_bytes }) }
    }

    /// How many bytes wait now.
    pub fn used_bytes(&self) -> u64 {
        self.account.used.load(Ordering::Relaxed)
    }

    /// How many bytes may wait.
    pub fn limit_bytes(&self) -> u64 {
        self.account.limit
    }

    /// Takes bytes out of the budget, until the charge is dropped.
    pub(super) fn charge(&self, bytes: u64) -> Result<Charge, ChannelError> {
        let limit = self.account.limit;
        self.account
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= limit)
            })
            .map(|_| Charge { account: self.account.clone(), bytes })
            .map_err(|used| ChannelError::OverflowBudget { bytes, used, limit, setting: SETTING })
    }
}

/// Bytes taken out of a budget; dropping it gives them back.
pub(super) struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The frames of one outlet that wait for room on its ring, oldest first.
pub(super) struct Overflow {
    frames: VecDeque<(Box<[Word]>, Charge)>,
    words: usize,
    budget: OverflowBudget,
}

impl Overflow {
    pub(super) fn new(budget: OverflowBudget) -> Self {
        Overflow { frames: VecDeque::new(), words: 0, budget }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn bytes(&self) -> u64 {
        (self.words * WORD_BYTES) as u64
    }

    /// Adds a frame of `words` words.
    pub(super) fn push(&mut self, words: usize, fill: impl FnOnce(&mut [Word])) -> Result<(), ChannelError> {
        let charge = self.budget.charge((words * WORD_BYTES) as u64)?;
        let mut frame = vec![Word::ZERO; words].into_boxed_slice();
        fill(&mut frame);
        self.words += words;
        self.frames.push_back((frame, charge));
        Ok(())
    }

    /// Writes as many frames as there is room for. Whether it wrote any.
    pub(super) fn drain_into(&mut self, ring: &mut RingWriter) -> bool {
        let mut wrote = false;
        while let Some((frame, _)) = self.frames.front() {
            if !ring.room_for(frame.len()) {
                break;
            }
            ring.write(frame.len(), |place| place.copy_from_slice(frame));
            self.words -= frame.len();
            self.frames.pop_front();
            wrote = true;
        }
        wrote
    }

    /// Appends all frames to the bytes of a checkpoint.
    pub(super) fn save(&self, save: &mut Vec<u8>) {
        save.reserve(self.words * WORD_BYTES);
        for (frame, _) in &self.frames {
            save.extend_from_slice(bytes_of(frame));
        }
    }
}

//! A shard's lane to itself: a queue of whole batches, recycled, and control frames.
//!
//! The producer's end switches epoch first and leaves a mark in the queue. The consumer's end switches in the same step, or, where chains
//! switch one by one, when it has come to the mark: its capture is what lies before the mark then.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::batch::BatchShape;
use super::error::{ChannelError, FrameError};
use super::frame::{Control, Frame, HEADER_WORDS, WORD_BYTES, bytes_of};
use super::inlet::Peek;
use super::open_batch::OpenBatch;
use super::overflow::{Charge, OverflowBudget};
use super::saved::SavedFrames;
use crate::element::Epoch;

/// The lane is ready while fewer items than this are queued; what goes beyond counts against the overflow budget.
const HEADROOM: usize = 4;

/// What the two ends share. Each borrow is as short as one call.
pub(super) struct OwnQueue {
    shape: BatchShape,
    budget: OverflowBudget,
    items: RefCell<VecDeque<Item>>,
    /// How many items were ever sent.
    sent: Cell<u64>,
    /// The producer's last switch: to which epoch, and after how many items.
    mark: Cell<(Epoch, u64)>,
    /// Empty batches, last used first.
    spare: RefCell<Vec<OpenBatch>>,
}

struct Item {
    content: Content,
    bytes: u64,
    charge: Option<Charge>,
}

enum Content {
    Batch(OpenBatch),
    Control(Control),
}

impl OwnQueue {
    pub(super) fn new(shape: BatchShape, budget: OverflowBudget) -> Self {
        OwnQueue {
            shape,
            budget,
            items: RefCell::default(),
            sent: Cell::new(0),
            mark: Cell::default(),
            spare: RefCell::default(),
        }
    }

    fn push(&self, words: usize, content: impl FnOnce() -> Content) -> Result<(), ChannelError> {
        let mut items = self.items.borrow_mut();
        let bytes = (words * WORD_BYTES) as u64;
        let charge = if items.len() < HEADROOM { None } else { Some(self.budget.charge(bytes)?) };
        items.push_back(Item { content: content(), bytes, charge });
        self.sent.set(self.sent.get() + 1);
        Ok(())
    }

    /// How much memory the batches take that do not count as waiting, and those that are kept for the next use: as many times the last of
    /// them, as they are all of one shape.
    fn bytes_held(&self) -> u64 {
        let (items, spare) = (self.items.borrow(), self.spare.borrow());
        let queued = items.iter().take(HEADROOM).map(|item| match &item.content {
            Content::Batch(batch) => batch.bytes_held(),
            Content::Control(_) => 0,
        });
        let each = spare.last().map_or(0, OpenBatch::bytes_held);
        queued.sum::<u64>() + spare.len() as u64 * each
    }

    fn bytes(&self, waiting: bool) -> u64 {
        let items = self.items.borrow();
        items.iter().filter(|item| item.charge.is_some() == waiting).map(|item| item.bytes).sum()
    }
}

impl Item {
    fn save(&self, save: &mut Vec<u8>) {
        match &self.content {
            Content::Batch(batch) => batch.save(save),
            Content::Control(control) => save.extend_from_slice(bytes_of(&control.words())),
        }
    }
}

/// The producer's part behind its open batch.
pub(super) struct OwnOutlet {
    queue: Rc<OwnQueue>,
}

impl OwnOutlet {
    pub(super) fn new(queue: Rc<OwnQueue>) -> Self {
        OwnOutlet { queue }
    }

    /// Queues the batch and leaves an empty one in its place.
    pub(super) fn send_batch(&mut self, batch: &mut OpenBatch) -> Result<(), ChannelError> {
        let queue = &*self.queue;
        queue.push(batch.frame_words(), || {
            let empty = queue.spare.borrow_mut().pop().unwrap_or_else(|| OpenBatch::new(queue.shape));
            Content::Batch(std::mem::replace(batch, empty))
        })
    }

    pub(super) fn send_control(&mut self, control: Control) -> Result<(), ChannelError> {
        self.queue.push(HEADER_WORDS, || Content::Control(control))
    }

    pub(super) fn switch(&mut self, epoch: Epoch) -> Result<(), ChannelError> {
        let (current, _) = self.queue.mark.get();
        if epoch <= current {
            return Err(ChannelError::SwitchBackwards { epoch, current });
        }
        self.queue.mark.set((epoch, self.queue.sent.get()));
        Ok(())
    }

    pub(super) fn ready(&self) -> bool {
        self.queue.items.borrow().len() < HEADROOM
    }

    pub(super) fn queued_bytes(&self) -> u64 {
        self.queue.bytes(false)
    }

    pub(super) fn overflow_bytes(&self) -> u64 {
        self.queue.bytes(true)
    }

    pub(super) fn bytes_held(&self) -> u64 {
        self.queue.bytes_held()
    }

    pub(super) fn fill(&self) -> f32 {
        (self.queue.items.borrow().len() as f32 / HEADROOM as f32).min(1.0)
    }
}

/// The consumer's end of a shard's lane to itself; see [`Inlet`](super::Inlet) for what its methods promise.
pub struct OwnInlet {
    queue: Rc<OwnQueue>,
    restored: SavedFrames,
    /// The item peeked at, taken out of the queue.
    current: Option<Item>,
    peeked: Peeked,
    epoch: Epoch,
    /// How many items were ever consumed.
    taken: u64,
    /// Whether marks do not stop it.
    passes: bool,
    capture: Option<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Peeked {
    Nothing,
    Restored,
    Current,
}

impl OwnInlet {
    pub(super) fn new(queue: Rc<OwnQueue>) -> Self {
        OwnInlet {
            queue,
            restored: SavedFrames::default(),
            current: None,
            peeked: Peeked::Nothing,
            epoch: Epoch(0),
            taken: 0,
            passes: false,
            capture: None,
        }
    }

    pub(super) fn peek(&mut self) -> Peek<'_> {
        if let Some(frame) = self.restored.front() {
            self.peeked = Peeked::Restored;
            return Peek::Frame(frame);
        }
        if let Some(epoch) = self.marked().filter(|_| !self.passes) {
            return Peek::Switch(epoch);
        }
        if self.current.is_none() {
            self.current = self.queue.items.borrow_mut().pop_front();
        }
        match &self.current {
            None => Peek::Empty,
            Some(item) => {
                self.peeked = Peeked::Current;
                Peek::Frame(match &item.content {
                    Content::Batch(batch) => Frame::Batch(batch.as_batch()),
                    Content::Control(control) => control.frame(),
                })
            }
        }
    }

    /// The epoch that the producer has switched to behind all that was consumed, where this end has not.
    fn marked(&self) -> Option<Epoch> {
        let (epoch, position) = self.queue.mark.get();
        (epoch > self.epoch && self.taken >= position).then_some(epoch)
    }

    pub(super) fn has_come_to(&self, epoch: Epoch) -> bool {
        self.restored.is_empty() && self.marked().is_some_and(|marked| marked >= epoch)
    }

    pub(super) fn pass_switches(&mut self, passes: bool) {
        self.passes = passes;
    }

    pub(super) fn consume(&mut self) {
        match std::mem::replace(&mut self.peeked, Peeked::Nothing) {
            Peeked::Nothing => panic!("only a frame that was peeked at is consumed"),
            Peeked::Restored => self.restored.pop(),
            Peeked::Current => {
                self.taken += 1;
                if let Some(Item { content: Content::Batch(mut batch), .. }) = self.current.take() {
                    let mut spare = self.queue.spare.borrow_mut();
                    if spare.len() <= HEADROOM {
                        batch.clear();
                        spare.push(batch);
                    }
                }
            }
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn switch(&mut self, epoch: Epoch) -> Result<(), ChannelError> {
        if epoch <= self.epoch {
            return Err(ChannelError::SwitchBackwards { epoch, current: self.epoch });
        }
        if self.capture.is_some() {
            return Err(ChannelError::CaptureUnfinished { epoch, current: self.epoch });
        }
        let (marked, position) = self.queue.mark.get();
        if marked != epoch {
            return Err(ChannelError::SwitchTooEarly { epoch, pending: marked });
        }
        self.epoch = epoch;
        self.peeked = Peeked::Nothing;
        let mut save = Vec::new();
        self.restored.save_from(0, usize::MAX, &mut save);
        let before_mark = position.saturating_sub(self.taken) as usize;
        for item in self.current.iter().chain(self.queue.items.borrow().iter()).take(before_mark) {
            item.save(&mut save);
        }
        self.capture = Some(save);
        Ok(())
    }

    pub(super) fn take_capture(&mut self) -> Option<Vec<u8>> {
        self.capture.take()
    }

    pub(super) fn restore(&mut self, frames: &[u8]) -> Result<(), FrameError> {
        self.restored.append(SavedFrames::parse(frames, &self.queue.shape)?);
        Ok(())
    }

    pub(super) fn has_input(&self) -> bool {
        self.current.is_some() || !self.queue.items.borrow().is_empty()
    }

    pub(super) fn fill_bytes(&self) -> u64 {
        self.queue.bytes(false) + self.queue.bytes(true) + self.current.as_ref().map_or(0, |item| item.bytes)
    }

    pub(super) fn fill(&self) -> f32 {
        (self.queue.items.borrow().len() as f32 / HEADROOM as f32).min(1.0)
    }
}

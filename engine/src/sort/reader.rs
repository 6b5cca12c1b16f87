//! Reading a run.

use std::collections::VecDeque;

use super::Item;
use super::blocks::Run;
use super::error::{DamagedBlock, SortError};
use super::tickets::{Ask, Tickets};
use crate::channel::{Batch, BatchShape, Frame, WORD_BYTES, Word, bytes_of, bytes_of_mut};
use crate::disk::{DiskBuffer, DiskOp, FileHandle, ShardDisk};
use crate::element::{KeyHash, Timestamp};

/// How many blocks are read ahead of their use.
const READ_AHEAD: usize = 2;

/// See the [module](self). Gives records in order.
pub(super) struct RunReader {
    run: Run,
    number: usize,
    file: FileHandle,
    shape: BatchShape,
    state: State,
    /// The next block to be asked for, and where it lies.
    next: (usize, u64),
    /// Blocks that were asked for: those that have come have their words.
    ahead: VecDeque<(usize, Option<Vec<Word>>)>,
    words: Vec<Word>,
    /// The block that `words` are of.
    block: usize,
    /// Where the frame at hand lies in them, and the number of the record at hand in it.
    frame: std::ops::Range<usize>,
    index: usize,
    head: Option<Head>,
    spare: Vec<Box<dyn DiskBuffer>>,
}

/// What the record at hand is sorted by, beside its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    pub(super) hash: KeyHash,
    pub(super) at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Opening,
    Open,
    Closed,
}

impl RunReader {
    pub(super) fn new(run: Run, number: usize, file: FileHandle, shape: BatchShape) -> Self {
        RunReader {
            run,
            number,
            file,
            shape,
            state: State::New,
            next: (0, 0),
            ahead: VecDeque::new(),
            words: Vec::new(),
            block: 0,
            frame: 0..0,
            index: 0,
            head: None,
            spare: Vec::new(),
        }
    }

    /// Asks the disk for what will be needed. Returns whether it asked for anything.
    pub(super) fn work(&mut self, disk: &mut dyn ShardDisk, tickets: &mut Tickets) -> bool {
        match self.state {
            State::New => {
                let open = DiskOp::Open { file: self.file, path: self.run.path.clone() };
                tickets.submit(disk, open, Ask::Open(self.number));
                self.state = State::Opening;
                true
            }
            State::Open => {
                let mut asked = false;
                while self.ahead.len() < READ_AHEAD
                    && let Some(block) = self.run.blocks.get(self.next.0)
                {
                    let bytes = block.bytes_on_disk();
                    let spare = self.spare.iter().position(|spare| spare.bytes().len() == bytes);
                    let buffer = match spare {
                        Some(number) => self.spare.swap_remove(number),
                        None => disk.buffer(bytes),
                    };
                    let read = DiskOp::Read { file: self.file, offset: self.next.1, buffer };
                    tickets.submit(disk, read, Ask::Read { run: self.number, block: self.next.0 });
                    self.ahead.push_back((self.next.0, None));
                    self.next = (self.next.0 + 1, self.next.1 + bytes as u64);
                    asked = true;
                }
                if self.is_over() {
                    tickets.submit(disk, DiskOp::Close { file: self.file }, Ask::CloseRead);
                    self.state = State::Closed;
                    asked = true;
                }
                asked
            }
            State::Opening | State::Closed => false,
        }
    }

    /// The file is open.
    pub(super) fn opened(&mut self) {
        self.state = State::Open;
    }

    /// A block has come.
    pub(super) fn came(
        &mut self,
        block: usize,
        buffer: Option<Box<dyn DiskBuffer>>,
    ) -> Result<(), SortError> {
        let buffer = buffer.expect("a read gives its buffer back");
        let expected = self.run.blocks[block];
        let mut words = vec![Word::ZERO; expected.words as usize];
        bytes_of_mut(&mut words).copy_from_slice(&buffer.bytes()[..expected.words as usize * WORD_BYTES]);
        self.spare.push(buffer);
        if crc32fast::hash(bytes_of(&words)) != expected.crc {
            return Err(self.damaged(block, DamagedBlock::Checksum));
        }
        if let Some((_, place)) = self.ahead.iter_mut().find(|(number, _)| *number == block) {
            *place = Some(words);
        }
        if self.head.is_none() {
            self.find_head()?;
        }
        Ok(())
    }

    fn damaged(&self, block: usize, what: impl Into<DamagedBlock>) -> SortError {
        SortError::Damaged { path: self.run.path.clone(), block, what: what.into() }
    }

    /// Whether all records have been given.
    pub(super) fn is_over(&self) -> bool {
        self.head.is_none() && self.next.0 == self.run.blocks.len() && self.ahead.is_empty()
    }

    /// What the record at hand is sorted by. None where it has not come yet, or there is none.
    pub(super) fn head(&self) -> Option<Head> {
        self.head
    }

    fn batch(&self) -> Batch<'_> {
        match Frame::parse_trusted(&self.words[self.frame.clone()]) {
            Frame::Batch(batch) => batch,
            Frame::Watermark(_) | Frame::Idle | Frame::End => unreachable!("looked at before"),
        }
    }

    /// The key of the record at hand.
    pub(super) fn key(&self) -> &[u8] {
        self.batch().key_bytes(self.index)
    }

    /// Gives the record at hand, and goes on to the next one.
    pub(super) fn give(&mut self, give: impl FnOnce(Item<'_>)) -> Result<(), SortError> {
        let batch = self.batch();
        let index = self.index;
        let (at, hash) = (batch.timestamps()[index], batch.hashes()[index]);
        give(Item { at, hash, key: batch.key_bytes(index), record: batch.record_bytes(index) });
        let next = index + 1;
        if next < batch.len() {
            self.head = Some(Head { hash: batch.hashes()[next], at: batch.timestamps()[next] });
            self.index = next;
            return Ok(());
        }
        self.head = None;
        self.find_head()
    }

    /// Goes on to the first record of the next frame.
    fn find_head(&mut self) -> Result<(), SortError> {
        if self.frame.end == self.words.len() {
            let Some((block, Some(_))) = self.ahead.front() else { return Ok(()) };
            self.block = *block;
            self.words = self.ahead.pop_front().and_then(|(_, words)| words).unwrap_or_default();
            self.frame = 0..0;
        }
        let from = self.frame.end;
        let parsed = Frame::parse(&self.words[from..]);
        let (frame, length) = parsed.map_err(|fault| self.damaged(self.block, fault))?;
        let Frame::Batch(batch) = frame else {
            return Err(self.damaged(self.block, DamagedBlock::NotRecords));
        };
        if batch.shape() != self.shape {
            return Err(self.damaged(self.block, DamagedBlock::NotRecords));
        }
        self.head = Some(Head { hash: batch.hashes()[0], at: batch.timestamps()[0] });
        (self.frame, self.index) = (from..from + length, 0);
        Ok(())
    }
}

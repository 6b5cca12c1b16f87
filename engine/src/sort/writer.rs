//! Writing a run.

use std::path::PathBuf;

use super::blocks::{Block, Run};
use super::tickets::{Ask, Tickets};
use super::{BLOCK_BYTES, Item};
use crate::channel::{BatchShape, OpenBatch, WORD_BYTES, Word, bytes_of};
use crate::disk::{DiskBuffer, DiskOp, FileHandle, ShardDisk};

/// How many blocks may be on their way to the disk.
const WRITES_MAX: usize = 8;

/// See the [module](self). Takes records in order.
pub(super) struct RunWriter {
    path: PathBuf,
    file: FileHandle,
    state: State,
    /// Where the next block goes.
    offset: u64,
    open: OpenBatch,
    /// Frames of the next block.
    frames: Vec<Word>,
    blocks: Vec<Block>,
    writes: usize,
    spare: Vec<Box<dyn DiskBuffer>>,
    /// Whether all records have come.
    whole: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Creating,
    Open,
    Closing,
    Closed,
}

impl RunWriter {
    pub(super) fn new(path: PathBuf, file: FileHandle, shape: BatchShape) -> Self {
        RunWriter {
            path,
            file,
            state: State::New,
            offset: 0,
            open: OpenBatch::new(shape),
            frames: Vec::new(),
            blocks: Vec::new(),
            writes: 0,
            spare: Vec::new(),
            whole: false,
        }
    }

    /// Whether records are to be given to it now.
    pub(super) fn wants_more(&self) -> bool {
        !self.whole && self.frames.len() * WORD_BYTES < BLOCK_BYTES
    }

    /// Takes a record.
    pub(super) fn push(&mut self, item: Item<'_>) {
        self.open.push_bytes(item.at, item.hash, item.key, item.record);
        if self.open.is_full() {
            self.seal();
        }
    }

    /// Makes a frame of the open batch.
    fn seal(&mut self) {
        let (at, words) = (self.frames.len(), self.open.frame_words());
        self.frames.resize(at + words, Word::ZERO);
        self.open.write_frame(&mut self.frames[at..]);
        self.open.clear();
    }

    /// All records have come.
    pub(super) fn finish(&mut self) {
        if !self.open.is_empty() {
            self.seal();
        }
        self.whole = true;
    }

    /// Asks the disk for what can be done. Returns whether it asked for anything.
    pub(super) fn work(&mut self, disk: &mut dyn ShardDisk, tickets: &mut Tickets) -> bool {
        match self.state {
            State::New => {
                let create = DiskOp::Create { file: self.file, path: self.path.clone() };
                tickets.submit(disk, create, Ask::Create);
                self.state = State::Creating;
                true
            }
            State::Open => {
                let is_due = self.whole || self.frames.len() * WORD_BYTES >= BLOCK_BYTES;
                if is_due && !self.frames.is_empty() && self.writes < WRITES_MAX {
                    self.write(disk, tickets);
                    return true;
                }
                if self.whole && self.frames.is_empty() && self.writes == 0 {
                    tickets.submit(disk, DiskOp::Close { file: self.file }, Ask::CloseWritten);
                    self.state = State::Closing;
                    return true;
                }
                false
            }
            State::Creating | State::Closing | State::Closed => false,
        }
    }

    fn write(&mut self, disk: &mut dyn ShardDisk, tickets: &mut Tickets) {
        let bytes = bytes_of(&self.frames);
        let block = Block { words: self.frames.len() as u32, crc: crc32fast::hash(bytes) };
        let on_disk = block.bytes_on_disk();
        let spare = self.spare.iter().position(|spare| spare.bytes().len() == on_disk);
        let mut buffer = match spare {
            Some(number) => self.spare.swap_remove(number),
            None => disk.buffer(on_disk),
        };
        let (used, rest) = buffer.bytes_mut().split_at_mut(bytes.len());
        used.copy_from_slice(bytes);
        rest.fill(0);
        tickets.submit(disk, DiskOp::Write { file: self.file, offset: self.offset, buffer }, Ask::Write);
        self.offset += on_disk as u64;
        self.writes += 1;
        self.blocks.push(block);
        self.frames.clear();
    }

    /// The file is there.
    pub(super) fn created(&mut self) {
        self.state = State::Open;
    }

    /// A block has been written.
    pub(super) fn written(&mut self, buffer: Option<Box<dyn DiskBuffer>>) {
        self.writes -= 1;
        self.spare.extend(buffer);
    }

    /// The file has been closed.
    pub(super) fn closed(&mut self) {
        self.state = State::Closed;
    }

    /// The run, once all of it is written.
    pub(super) fn run(&mut self) -> Option<Run> {
        let run = || Run { path: std::mem::take(&mut self.path), blocks: std::mem::take(&mut self.blocks) };
        (self.state == State::Closed).then(run)
    }
}

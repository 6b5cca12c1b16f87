//! Writing the seal of a stage.

use std::path::PathBuf;

use super::sealed::Sealed;
use super::tickets::{Ask, Tickets};
use crate::disk::{DiskOp, FileHandle, ShardDisk};

/// See the [module](self): one step of the disk after the other.
pub(super) struct SealWriter {
    path: PathBuf,
    file: FileHandle,
    bytes: Vec<u8>,
    next: Step,
    /// Whether the disk has not answered yet.
    waits: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Write,
    Close,
    Done,
}

impl SealWriter {
    pub(super) fn new(path: PathBuf, file: FileHandle, sealed: &Sealed) -> Self {
        SealWriter { path, file, bytes: sealed.encode(), next: Step::Create, waits: false }
    }

    /// Asks the disk for the next step. Returns whether it asked for anything.
    pub(super) fn work(&mut self, disk: &mut dyn ShardDisk, tickets: &mut Tickets) -> bool {
        if self.waits {
            return false;
        }
        let file = self.file;
        let (op, ask, next) = match self.next {
            Step::Create => (DiskOp::Create { file, path: self.path.clone() }, Ask::Create, Step::Write),
            Step::Write => {
                let mut buffer = disk.buffer(self.bytes.len());
                buffer.bytes_mut().copy_from_slice(&self.bytes);
                (DiskOp::Write { file, offset: 0, buffer }, Ask::Write, Step::Close)
            }
            Step::Close => (DiskOp::Close { file }, Ask::CloseWritten, Step::Done),
            Step::Done => return false,
        };
        tickets.submit(disk, op, ask);
        (self.next, self.waits) = (next, true);
        true
    }

    /// The disk has done what it was asked for.
    pub(super) fn answered(&mut self) {
        self.waits = false;
    }

    pub(super) fn is_done(&self) -> bool {
        self.next == Step::Done && !self.waits
    }
}

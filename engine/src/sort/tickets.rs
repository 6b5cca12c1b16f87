//! What the disk has been asked for.

use std::collections::HashMap;

use super::error::SortError;
use crate::disk::{DiskBuffer, DiskDone, DiskOp, ShardDisk};

/// What an operation of the disk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The file that is written.
    Create,
    Write,
    CloseWritten,
    /// A run of those that are merged, by its number.
    Open(usize),
    /// A block of a run.
    Read {
        run: usize,
        block: usize,
    },
    CloseRead,
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Tickets {
    asked: HashMap<u64, Ask>,
    failed: Option<SortError>,
}

impl Tickets {
    pub(super) fn submit(&mut self, disk: &mut dyn ShardDisk, op: DiskOp, ask: Ask) {
        let ticket = disk.submit(op);
        self.asked.insert(ticket, ask);
    }

    /// Takes an answer. Gives it back where nothing was asked here, and what it was about where all went well.
    pub(super) fn take(
        &mut self,
        done: DiskDone,
    ) -> Result<Option<(Ask, Option<Box<dyn DiskBuffer>>)>, DiskDone> {
        let Some(ask) = self.asked.remove(&done.ticket) else { return Err(done) };
        match done.result {
            Ok(()) => Ok(Some((ask, done.buffer))),
            Err(error) => {
                self.failed.get_or_insert(match ask {
                    // What a power cut has taken, or the disk cannot read any more: it can be made anew.
                    Ask::Open(_) => SortError::unreadable(0, error),
                    Ask::Read { block, .. } => SortError::unreadable(block, error),
                    Ask::Create | Ask::Write | Ask::CloseWritten | Ask::CloseRead => SortError::Disk(error),
                });
                Ok(None)
            }
        }
    }

    /// Notes what was wrong with an answer.
    pub(super) fn note(&mut self, result: Result<(), SortError>) {
        if let Err(error) = result {
            self.failed.get_or_insert(error);
        }
    }

    /// The first thing that went wrong.
    pub(super) fn check(&self) -> Result<(), SortError> {
        self.failed.clone().map_or(Ok(()), Err)
    }
}

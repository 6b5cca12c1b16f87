//! The simulated disk as one shard sees it.

use std::io;
use std::path::Path;

use super::SimDisk;
use crate::disk::{BLOCK_BYTES, DiskBuffer, DiskDone, DiskError, DiskOp, HeapBuffer, OpenFiles, ShardDisk};

/// A shard's front to a [`SimDisk`]: operations take a random number of polls and come to their end in any order. It refuses what direct I/O
/// refuses: offsets and lengths that are no multiples of [`BLOCK_BYTES`].
pub struct SimShardDisk {
    disk: SimDisk,
    files: OpenFiles,
    waiting: Vec<(u64, DiskOp, u32)>,
    next_ticket: u64,
}

impl SimShardDisk {
    pub(super) fn new(disk: SimDisk) -> Self {
        SimShardDisk { disk, files: OpenFiles::default(), waiting: Vec::new(), next_ticket: 1 }
    }
}

impl ShardDisk for SimShardDisk {
    fn buffer(&mut self, len: usize) -> Box<dyn DiskBuffer> {
        Box::new(HeapBuffer::zeroed(len))
    }

    fn submit(&mut self, op: DiskOp) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let delay = {
            let mut world = self.disk.world();
            let delay_max = u64::from(world.faults.delay_polls_max);
            world.random.below(delay_max + 1) as u32
        };
        self.waiting.push((ticket, op, delay));
        ticket
    }

    fn poll(&mut self) -> Option<DiskDone> {
        let due = self.waiting.iter().position(|(_, _, delay)| *delay == 0);
        for (_, _, delay) in &mut self.waiting {
            *delay = delay.saturating_sub(1);
        }
        let (ticket, op, _) = self.waiting.remove(due?);
        if let DiskOp::Write { offset, buffer, .. } | DiskOp::Read { offset, buffer, .. } = &op
            && !(offset.is_multiple_of(BLOCK_BYTES as u64)
                && buffer.bytes().len().is_multiple_of(BLOCK_BYTES))
        {
            let unaligned =
                io::Error::new(io::ErrorKind::InvalidInput, "offset or length is no multiple of a block");
            let result = Err(DiskError::new("cannot do direct I/O on", Path::new("file"), &unaligned));
            return Some(DiskDone { ticket, result, buffer: None });
        }
        let (result, buffer) = self.files.carry_out(&self.disk, op);
        Some(DiskDone { ticket, result, buffer })
    }

    fn outstanding(&self) -> usize {
        self.waiting.len()
    }
}

//! What a checkpoint takes from a shard: first writes to pages that are not saved yet, and pages that are copied, checksummed and sent off.

use std::error::Error;
use std::path::PathBuf;
use std::task::Poll;

use millstream_engine::arena::{Arena, ArenaConfig, StateName};
use millstream_engine::checkpoint::{ArenaNo, DeltaWriter, PageId, PageNo};
use millstream_engine::disk::{DiskBuffer, DiskDone, DiskOp, FileHandle, ShardDisk};
use millstream_engine::element::{Epoch, KeyHash, ShardId};
use millstream_engine::key::{HashSeed, Key};
use millstream_engine::state::Table;

const SEED: HashSeed = HashSeed(7);

/// A few hundred pages.
const KEYS: u64 = 40_000;

/// How many records come between two slices of a checkpoint, and how many pages a slice saves.
const BATCH: u64 = 64;
const PAGES_PER_SLICE: usize = 4;

/// A disk that is done at once and keeps nothing.
#[derive(Default)]
struct Nowhere {
    tickets: u64,
    done: Vec<DiskDone>,
}

struct Buffer(Vec<u8>);

impl DiskBuffer for Buffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl ShardDisk for Nowhere {
    fn buffer(&mut self, len: usize) -> Box<dyn DiskBuffer> {
        Box::new(Buffer(vec![0; len]))
    }

    fn submit(&mut self, op: DiskOp) -> u64 {
        self.tickets += 1;
        let buffer = match op {
            DiskOp::Write { buffer, .. } | DiskOp::Read { buffer, .. } => Some(buffer),
            _ => None,
        };
        self.done.push(DiskDone { ticket: self.tickets, result: Ok(()), buffer });
        self.tickets
    }

    fn poll(&mut self) -> Option<DiskDone> {
        self.done.pop()
    }

    fn outstanding(&self) -> usize {
        self.done.len()
    }
}

/// A running count per key.
struct Counts {
    arena: Arena,
    table: Table<u64, u64>,
    next: u64,
}

impl Counts {
    fn count(&mut self, hashes: &[KeyHash]) -> Result<(), Box<dyn Error>> {
        Ok(self.table.update_batch(&mut self.arena, hashes, |_| &[], |_| 0, |_, count, _| *count += 1)?)
    }

    /// Keys one after the other: their hashes lie in no order.
    fn count_some(&mut self) -> Result<(), Box<dyn Error>> {
        let hashes: Vec<KeyHash> =
            (self.next..self.next + BATCH).map(|number| (number % KEYS).hash(SEED)).collect();
        self.next += BATCH;
        self.count(&hashes)
    }
}

/// Checkpoints, one after the other, while records come, until so many pages were saved. One more checkpoint saves less than all pages.
pub fn dirty_pages(pages: u64) -> Result<(), Box<dyn Error>> {
    let mut arena = Arena::new(ArenaConfig::new("count"))?;
    let table = Table::new(&mut arena, &StateName::new("count", "value"));
    let mut counts = Counts { arena, table, next: 0 };
    for _ in 0..KEYS / BATCH {
        counts.count_some()?;
    }
    let mut writer = DeltaWriter::new(ShardId(0), PathBuf::from("/nowhere"), FileHandle(1));
    let mut disk = Nowhere::default();
    let (mut saved, mut epoch) = (0, Epoch(0));
    while saved < pages {
        epoch.0 += 1;
        counts.arena.begin_checkpoint(epoch);
        writer.begin(epoch, counts.arena.pages_to_save());
        loop {
            counts.count_some()?;
            let all = counts.arena.save_some(PAGES_PER_SLICE, &mut |page| {
                let id = PageId { arena: ArenaNo(0), page: PageNo(page.page.0) };
                writer.add_page(&mut disk, id, page.info.encode(), page.bytes);
                saved += 1;
            })?;
            settle(&mut writer, &mut disk);
            if all {
                break;
            }
        }
        writer.finish(Vec::new(), Vec::new());
        let summary = loop {
            settle(&mut writer, &mut disk);
            if let Poll::Ready(summary) = writer.poll(&mut disk) {
                break summary?;
            }
        };
        counts.arena.finish_checkpoint();
        if summary.pages.is_empty() {
            return Err(format!("checkpoint {} saved no pages", epoch.0).into());
        }
    }
    Ok(())
}

fn settle(writer: &mut DeltaWriter, disk: &mut Nowhere) {
    while let Some(done) = disk.poll() {
        writer.on_done(done);
    }
}

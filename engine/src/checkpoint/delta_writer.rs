//! Writes a shard's delta file behind the running shard.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::task::Poll;

use super::delta::{
    DeltaSummary, META_INLINE_BYTES_MAX, META_PIECE_BYTES, MetaLocation, delta_file_name, put_header,
};
use super::error::CheckpointError;
use super::page_map::{FileNo, PageEntry, PageId, PageInfo};
use crate::disk::{BLOCK_BYTES, DiskBuffer, DiskDone, DiskError, DiskOp, FileHandle, ShardDisk};
use crate::element::{Epoch, ShardId};
use crate::limits::PAGE_BYTES;

/// How much is written at once: each write costs its shard a wake-up of a worker of the kernel and an interrupt at its end.
pub(super) const BUFFER_BYTES: usize = 512 * 1024;

/// How many buffers wait for the disk before the writer asks for a pause.
const BUFFERS_IN_FLIGHT_MAX: usize = 4;

const _: () = assert!(BUFFER_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(META_PIECE_BYTES.is_multiple_of(BUFFER_BYTES));

/// What a writer is doing.
///
/// ```text
/// Idle --begin--> Collecting --finish--> Draining --all written--> Syncing --> Closing --> Idle   (Ok)
///                     |                     |                        |            |
///                     +--- a failed operation, or `give_up` ---------+------------+--> GivingUp --> Idle   (Err)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No checkpoint under way.
    Idle,
    /// Takes pages, writes full buffers.
    Collecting,
    /// Copies the metadata, writes what is left.
    Draining,
    /// Everything is written and being made durable.
    Syncing,
    /// Durable; the file is being closed.
    Closing,
    /// Waits for what is outstanding, then closes the file.
    GivingUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileState {
    /// Not asked for yet (a checkpoint without pages needs none), or closed.
    None,
    Creating,
    Created,
}

/// Writes one shard's delta files, one after the other, without ever blocking: every call does a bounded amount of work.
///
/// ```text
/// begin -> (add_page | adopt_page)* -> finish -> poll .. poll = Ready(summary)
/// ```
///
/// The writer shares the shard's disk with others: whoever polls the disk offers each answer to [`DeltaWriter::on_done`] first.
pub struct DeltaWriter {
    shard: ShardId,
    dir: PathBuf,
    handle: FileHandle,
    phase: Phase,
    epoch: Epoch,
    file: FileState,
    /// The buffer being filled, and how far it is.
    filling: Option<(Box<dyn DiskBuffer>, usize)>,
    /// Full buffers that wait for their turn, with their places in the file.
    full: VecDeque<(u64, Box<dyn DiskBuffer>)>,
    /// Tickets of writes under way.
    writes: Vec<u64>,
    /// The ticket of a create, sync or close under way.
    control: Option<u64>,
    spare: Vec<Box<dyn DiskBuffer>>,
    blocks: u32,
    pages: Vec<(PageId, PageEntry)>,
    removed: Vec<PageId>,
    meta: Vec<u8>,
    meta_copied: usize,
    meta_block: u32,
    meta_crcs: Vec<u32>,
    meta_crc: crc32fast::Hasher,
    error: Option<CheckpointError>,
}

impl DeltaWriter {
    /// A writer for the files of `shard` in `delta_dir`. It alone uses `handle`.
    pub fn new(shard: ShardId, delta_dir: PathBuf, handle: FileHandle) -> Self {
        DeltaWriter {
            shard,
            dir: delta_dir,
            handle,
            phase: Phase::Idle,
            epoch: Epoch(0),
            file: FileState::None,
            filling: None,
            full: VecDeque::new(),
            writes: Vec::new(),
            control: None,
            spare: Vec::new(),
            blocks: 0,
            pages: Vec::new(),
            removed: Vec::new(),
            meta: Vec::new(),
            meta_copied: 0,
            meta_block: 0,
            meta_crcs: Vec::new(),
            meta_crc: crc32fast::Hasher::new(),
            error: None,
        }
    }

    /// Begins a checkpoint that will have about `pages_expected` pages. Nothing is asked of the disk yet.
    ///
    /// # Panics
    /// Where the checkpoint before was not polled to its end.
    pub fn begin(&mut self, epoch: Epoch, pages_expected: usize) {
        assert_eq!(self.phase, Phase::Idle, "the checkpoint before has not come to its end");
        self.phase = Phase::Collecting;
        self.epoch = epoch;
        self.file = FileState::None;
        self.blocks = 0;
        self.pages = Vec::with_capacity(pages_expected);
        self.removed = Vec::new();
        self.meta_copied = 0;
        self.meta_crcs = Vec::new();
    }

    /// How many bytes of memory it takes.
    pub fn bytes_held(&self) -> u64 {
        let buffers =
            self.full.len() + self.writes.len() + self.spare.len() + usize::from(self.filling.is_some());
        let pages = self.pages.capacity() * size_of::<(PageId, PageEntry)>();
        (buffers * BUFFER_BYTES
            + pages
            + self.removed.capacity() * size_of::<PageId>()
            + self.meta.capacity()) as u64
    }

    /// Whether a checkpoint is under way.
    pub fn is_active(&self) -> bool {
        self.phase != Phase::Idle
    }

    /// Whether pages can be added without the disk falling behind. One more page than that does no harm: it costs memory.
    pub fn wants_more(&self) -> bool {
        self.phase == Phase::Collecting && self.full.len() + self.writes.len() < BUFFERS_IN_FLIGHT_MAX
    }

    /// Adds a page: its bytes are copied and checksummed, its buffer is sent off when it is full. After a failure, pages are ignored.
    pub fn add_page(
        &mut self,
        disk: &mut dyn ShardDisk,
        id: PageId,
        info: PageInfo,
        bytes: &[u8; PAGE_BYTES],
    ) {
        debug_assert!(matches!(self.phase, Phase::Collecting | Phase::GivingUp), "pages come before finish");
        if self.phase != Phase::Collecting {
            return;
        }
        let block = self.append(disk, bytes);
        let crc = crc32fast::hash(bytes);
        self.pages.push((id, PageEntry { info, file: FileNo::NONE, block, crc }));
    }

    /// Adds a page that already lies in a file of a retained checkpoint: a page that came over from another shard and has not been
    /// touched since.
    pub fn adopt_page(&mut self, id: PageId, entry: PageEntry) {
        debug_assert!(entry.is_present(), "an adopted page lies somewhere");
        self.pages.push((id, entry));
    }

    /// Ends the checkpoint with what is gone and the shard's metadata. From here on [`DeltaWriter::poll`] does the rest.
    pub fn finish(&mut self, removed: Vec<PageId>, meta: Vec<u8>) {
        if self.phase == Phase::Collecting {
            self.removed = removed;
            self.meta = meta;
            self.phase = Phase::Draining;
        }
    }

    /// Gives the checkpoint up; [`DeltaWriter::poll`] says when nothing of it is under way any more. The file is left for the store to
    /// remove.
    pub fn give_up(&mut self) {
        if self.phase != Phase::Idle {
            self.fail(CheckpointError::GivenUp { epoch: self.epoch, shard: self.shard });
        }
    }

    /// Takes an answer of the disk, or gives it back where it belongs to someone else.
    pub fn on_done(&mut self, done: DiskDone) -> Option<DiskDone> {
        if let Some(place) = self.writes.iter().position(|ticket| *ticket == done.ticket) {
            self.writes.swap_remove(place);
        } else if self.control == Some(done.ticket) {
            self.control = None;
            if self.file == FileState::Creating {
                self.file = if done.result.is_ok() { FileState::Created } else { FileState::None };
            }
        } else {
            return Some(done);
        }
        if let Some(buffer) = done.buffer {
            self.keep(buffer);
        }
        if let Err(error) = done.result {
            self.fail_on_disk(error);
        }
        None
    }

    /// Goes on; to be called in every step of the shard while a checkpoint is under way.
    pub fn poll(&mut self, disk: &mut dyn ShardDisk) -> Poll<Result<DeltaSummary, CheckpointError>> {
        self.submit_full(disk);
        match self.phase {
            Phase::Idle | Phase::Collecting => Poll::Pending,
            Phase::Draining => self.drain(disk),
            Phase::Syncing if self.control.is_none() => {
                self.close(disk);
                self.phase = Phase::Closing;
                Poll::Pending
            }
            Phase::Closing if self.control.is_none() => Poll::Ready(Ok(self.summary())),
            Phase::Syncing | Phase::Closing => Poll::Pending,
            Phase::GivingUp => self.wind_up(disk),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.join(delta_file_name(self.epoch, self.shard))
    }

    /// Copies up to a page into the buffer being filled, and says which block it became.
    fn append(&mut self, disk: &mut dyn ShardDisk, bytes: &[u8]) -> u32 {
        if self.file == FileState::None {
            self.control = Some(disk.submit(DiskOp::Create { file: self.handle, path: self.path() }));
            self.file = FileState::Creating;
            let (epoch, shard) = (self.epoch, self.shard);
            put_header(self.next_block(disk), epoch, shard);
        }
        let block = self.blocks;
        let place = self.next_block(disk);
        place[..bytes.len()].copy_from_slice(bytes);
        place[bytes.len()..].fill(0);
        if matches!(&self.filling, Some((buffer, filled)) if *filled == buffer.bytes().len()) {
            self.send_off(disk);
        }
        block
    }

    /// The bytes of the next block of the file, in the buffer being filled.
    fn next_block(&mut self, disk: &mut dyn ShardDisk) -> &mut [u8] {
        self.blocks = self.blocks.checked_add(1).expect("no disk holds a file of 2^32 blocks");
        let spare = &mut self.spare;
        let (buffer, filled) =
            self.filling.get_or_insert_with(|| (spare.pop().unwrap_or_else(|| disk.buffer(BUFFER_BYTES)), 0));
        let start = *filled;
        *filled += BLOCK_BYTES;
        &mut buffer.bytes_mut()[start..start + BLOCK_BYTES]
    }

    /// Puts the buffer being filled, full or not, among those to be written.
    fn send_off(&mut self, disk: &mut dyn ShardDisk) {
        let Some((buffer, filled)) = self.filling.take() else { return };
        let offset = u64::from(self.blocks) * BLOCK_BYTES as u64 - filled as u64;
        if filled == buffer.bytes().len() {
            self.full.push_back((offset, buffer));
        } else {
            // A whole buffer is written, always; so the last one gets a buffer of its own size.
            let mut last = disk.buffer(filled);
            last.bytes_mut().copy_from_slice(&buffer.bytes()[..filled]);
            self.keep(buffer);
            self.full.push_back((offset, last));
        }
        self.submit_full(disk);
    }

    fn submit_full(&mut self, disk: &mut dyn ShardDisk) {
        while self.file == FileState::Created && self.writes.len() < BUFFERS_IN_FLIGHT_MAX {
            let Some((offset, buffer)) = self.full.pop_front() else { return };
            self.writes.push(disk.submit(DiskOp::Write { file: self.handle, offset, buffer }));
        }
    }

    fn drain(&mut self, disk: &mut dyn ShardDisk) -> Poll<Result<DeltaSummary, CheckpointError>> {
        if self.blocks == 0 && self.meta.len() <= META_INLINE_BYTES_MAX {
            return Poll::Ready(Ok(self.summary()));
        }
        if self.meta_copied < self.meta.len() {
            if self.full.len() + self.writes.len() < BUFFERS_IN_FLIGHT_MAX {
                self.copy_meta(disk);
            }
            return Poll::Pending;
        }
        self.send_off(disk);
        if self.control.is_none() && self.full.is_empty() && self.writes.is_empty() {
            self.control = Some(disk.submit(DiskOp::Sync { file: self.handle }));
            self.phase = Phase::Syncing;
        }
        Poll::Pending
    }

    /// Copies the next part of the metadata: a buffer's worth, so that a step stays short.
    fn copy_meta(&mut self, disk: &mut dyn ShardDisk) {
        let meta = std::mem::take(&mut self.meta);
        let end = meta.len().min(self.meta_copied + BUFFER_BYTES);
        let part = &meta[self.meta_copied..end];
        for piece in part.chunks(BLOCK_BYTES) {
            let block = self.append(disk, piece);
            if self.meta_copied == 0 && self.meta_crcs.is_empty() {
                self.meta_block = block;
            }
            self.meta_copied += piece.len();
        }
        self.meta_crc.update(part);
        if end.is_multiple_of(META_PIECE_BYTES) || end == meta.len() {
            let crc = std::mem::replace(&mut self.meta_crc, crc32fast::Hasher::new());
            self.meta_crcs.push(crc.finalize());
        }
        self.meta = meta;
    }

    fn close(&mut self, disk: &mut dyn ShardDisk) {
        self.control = Some(disk.submit(DiskOp::Close { file: self.handle }));
        self.file = FileState::None;
    }

    fn summary(&mut self) -> DeltaSummary {
        self.phase = Phase::Idle;
        let meta = std::mem::take(&mut self.meta);
        let meta = if self.meta_crcs.is_empty() {
            MetaLocation::Inline(meta)
        } else {
            MetaLocation::InFile {
                block: self.meta_block,
                len: meta.len() as u64,
                crcs: std::mem::take(&mut self.meta_crcs),
            }
        };
        DeltaSummary {
            epoch: self.epoch,
            shard: self.shard,
            blocks: self.blocks,
            pages: std::mem::take(&mut self.pages),
            removed: std::mem::take(&mut self.removed),
            meta,
        }
    }

    fn keep(&mut self, buffer: Box<dyn DiskBuffer>) {
        if buffer.bytes().len() == BUFFER_BYTES && self.spare.len() <= BUFFERS_IN_FLIGHT_MAX {
            self.spare.push(buffer);
        }
    }

    fn fail_on_disk(&mut self, error: DiskError) {
        let blocks_left = self.meta.len().saturating_sub(self.meta_copied).div_ceil(BLOCK_BYTES) as u64;
        let needed_bytes = (u64::from(self.blocks) + blocks_left) * BLOCK_BYTES as u64;
        self.fail(CheckpointError::writing(error, needed_bytes));
    }

    /// The first failure is the one that is told.
    fn fail(&mut self, error: CheckpointError) {
        self.error.get_or_insert(error);
        self.phase = Phase::GivingUp;
    }

    fn wind_up(&mut self, disk: &mut dyn ShardDisk) -> Poll<Result<DeltaSummary, CheckpointError>> {
        while let Some((_, buffer)) = self.full.pop_front() {
            self.keep(buffer);
        }
        if let Some((buffer, _)) = self.filling.take() {
            self.keep(buffer);
        }
        if self.control.is_some() || !self.writes.is_empty() {
            return Poll::Pending;
        }
        if self.file == FileState::Created {
            self.close(disk);
            return Poll::Pending;
        }
        self.phase = Phase::Idle;
        self.pages = Vec::new();
        self.removed = Vec::new();
        self.meta = Vec::new();
        self.meta_crc = crc32fast::Hasher::new();
        Poll::Ready(Err(self.error.take().expect("a checkpoint is given up for a reason")))
    }
}

impl std::fmt::Debug for DeltaWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeltaWriter")
            .field("shard", &self.shard)
            .field("epoch", &self.epoch)
            .field("phase", &self.phase)
            .field("blocks", &self.blocks)
            .finish_non_exhaustive()
    }
}

//! The entries of tables in blocks of a file, one file for each shard that there was.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::SavepointError;
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::disk::{Disk, DiskError, DiskFile};
use crate::element::{KeyHash, ShardId};

/// A block is closed when it has so many bytes or more.
const BLOCK_BYTES: usize = 64 * 1024;

/// How many bytes are written at a time.
const WRITE_BYTES: usize = 1024 * 1024;

/// The name of a shard's file.
pub(super) fn data_file(dir: &Path, shard: ShardId) -> PathBuf {
    dir.join(format!("shard-{}.data", shard.0))
}

/// A block of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Where it begins in the file.
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
    pub(crate) entries: u32,
    /// The least and the largest hash in it.
    pub(crate) first: KeyHash,
    pub(crate) last: KeyHash,
    pub(crate) crc: u32,
}

impl Block {
    /// Bytes on disk.
    pub(super) const BYTES: usize = 36;

    pub(super) fn put(&self, out: &mut Writer) {
        out.put_u64(self.offset).put_u32(self.bytes).put_u32(self.entries);
        out.put_u64(self.first.0).put_u64(self.last.0).put_u32(self.crc);
    }

    pub(super) fn get(input: &mut Reader<'_>) -> Result<Block, CodecError> {
        Ok(Block {
            offset: input.u64("place of a block")?,
            bytes: input.u32("length of a block")?,
            entries: input.u32("entries of a block")?,
            first: KeyHash(input.u64("first hash of a block")?),
            last: KeyHash(input.u64("last hash of a block")?),
            crc: input.u32("checksum of a block")?,
        })
    }
}

/// Writes one shard's file.
pub(super) struct BlockWriter {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// How many bytes have been written.
    written: u64,
    /// What is to be written next: closed blocks, and behind them the open one.
    buffer: Writer,
    /// Where in the buffer the open block begins.
    begin: usize,
    entries: u32,
    first: KeyHash,
    last: KeyHash,
}

impl BlockWriter {
    pub(super) fn create(disk: &dyn Disk, path: PathBuf) -> Result<BlockWriter, DiskError> {
        let file = disk.create(&path).map_err(|error| DiskError::new("cannot create", &path, &error))?;
        let (first, last) = (KeyHash(u64::MAX), KeyHash(0));
        Ok(BlockWriter { file, path, written: 0, buffer: Writer::new(), begin: 0, entries: 0, first, last })
    }

    /// Adds an entry to the open block, which is closed where it is full.
    pub(super) fn add(
        &mut self,
        (hash, key): (KeyHash, &[u8]),
        value: &[u8],
        blocks: &mut Vec<Block>,
    ) -> Result<(), DiskError> {
        self.buffer.put_u64(hash.0);
        self.buffer.put_u32(key.len() as u32).put_raw(key).put_u32(value.len() as u32).put_raw(value);
        self.entries += 1;
        (self.first, self.last) = (self.first.min(hash), self.last.max(hash));
        if self.buffer.len() - self.begin >= BLOCK_BYTES {
            self.close(blocks)?;
        }
        Ok(())
    }

    /// Closes the open block.
    pub(super) fn close(&mut self, blocks: &mut Vec<Block>) -> Result<(), DiskError> {
        if self.entries == 0 {
            return Ok(());
        }
        let bytes = &self.buffer.bytes()[self.begin..];
        blocks.push(Block {
            offset: self.written + self.begin as u64,
            bytes: bytes.len() as u32,
            entries: self.entries,
            first: self.first,
            last: self.last,
            crc: crc32fast::hash(bytes),
        });
        self.begin = self.buffer.len();
        (self.entries, self.first, self.last) = (0, KeyHash(u64::MAX), KeyHash(0));
        if self.buffer.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), DiskError> {
        let bytes = std::mem::take(&mut self.buffer).into_bytes();
        let written = self.file.write_all_at(&bytes, self.written);
        written.map_err(|error| DiskError::new("cannot write to", &self.path, &error))?;
        self.written += bytes.len() as u64;
        self.begin = 0;
        Ok(())
    }

    /// Makes all durable; gives the length of the file.
    pub(super) fn finish(mut self) -> Result<u64, DiskError> {
        self.write()?;
        self.file.sync().map_err(|error| DiskError::new("cannot sync", &self.path, &error))?;
        Ok(self.written)
    }
}

/// Reads one shard's file.
pub(super) struct BlockReader {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    len: u64,
}

impl BlockReader {
    /// Opens a file that is known to have had `expected` bytes.
    pub(super) fn open(disk: &dyn Disk, path: PathBuf, expected: u64) -> Result<BlockReader, SavepointError> {
        let opened = disk.open(&path).and_then(|file| Ok((file.len()?, file)));
        let (len, file) = opened.map_err(|error| DiskError::new("cannot open", &path, &error))?;
        if len != expected {
            let problem = format!("the file has {len} bytes where {expected} were written");
            return Err(SavepointError::damaged(&path, len.min(expected), problem));
        }
        Ok(BlockReader { file, path, len })
    }

    /// Shows the entries of a block.
    pub(super) fn each(
        &self,
        block: &Block,
        mut each: impl FnMut(KeyHash, &[u8], &[u8]) -> Result<(), SavepointError>,
    ) -> Result<(), SavepointError> {
        let end = block.offset.checked_add(u64::from(block.bytes));
        if end.is_none_or(|end| end > self.len) {
            return Err(SavepointError::damaged(&self.path, block.offset, "a block lies behind the end"));
        }
        // The file is as long as that.
        let mut bytes = vec![0; block.bytes as usize];
        let read = self.file.read_exact_at(&mut bytes, block.offset);
        read.map_err(|error| DiskError::new("cannot read", &self.path, &error))?;
        let found = crc32fast::hash(&bytes);
        if found != block.crc {
            let problem = format!("a block has the checksum {found:08x} where {:08x} was written", block.crc);
            return Err(SavepointError::damaged(&self.path, block.offset, problem));
        }
        let mut input = Reader::new(&bytes);
        let in_file = |error| SavepointError::in_file(&self.path, block.offset, error);
        for _ in 0..block.entries {
            let hash = KeyHash(input.u64("hash").map_err(in_file)?);
            let key = part(&mut input, "key").map_err(in_file)?;
            let value = part(&mut input, "value").map_err(in_file)?;
            each(hash, key, value)?;
        }
        input.finish().map_err(in_file)
    }
}

fn part<'a>(input: &mut Reader<'a>, what: &'static str) -> Result<&'a [u8], CodecError> {
    let len = input.u32(what)?;
    input.raw(what, len as usize)
}

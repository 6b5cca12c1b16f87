//! The delta file: what one shard saved for one checkpoint. Drawn in `docs/formats/delta.md`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codec::{CodecError, Reader, Writer};
use super::page_map::{FileNo, PageEntry, PageId};
use super::state_dir::{DELTA_DIR, FORMAT_VERSION};
use crate::disk::BLOCK_BYTES;
use crate::element::{Epoch, ShardId};
use crate::limits::PAGE_BYTES;

// A page is a block of the file, so that a block number is enough to find it.
const _: () = assert!(PAGE_BYTES == BLOCK_BYTES);

/// Metadata in a file has a CRC for each piece of this many bytes.
pub(crate) const META_PIECE_BYTES: usize = 1024 * 1024;

/// Metadata up to this size lies in the manifest, if the shard has no pages to save: then there is no file at all.
pub(crate) const META_INLINE_BYTES_MAX: usize = 16 * 1024;

const MAGIC: [u8; 8] = *b"MSDELTA\0";
const HEADER_BYTES: usize = 32;

/// The name of the file that a shard writes for a checkpoint: `7-0.delta`.
pub fn delta_file_name(epoch: Epoch, shard: ShardId) -> String {
    format!("{epoch}-{shard}.delta")
}

/// Writes the header into the file's first block.
pub(crate) fn put_header(block: &mut [u8], epoch: Epoch, shard: ShardId) {
    let mut out = Writer::with_capacity(HEADER_BYTES);
    out.put_raw(&MAGIC).put_u32(FORMAT_VERSION).put_u16(shard.0).put_u16(0).put_u64(epoch.0).put_u32(0);
    let crc = crc32fast::hash(out.bytes());
    out.put_u32(crc);
    block.fill(0);
    block[..HEADER_BYTES].copy_from_slice(out.bytes());
}

/// Makes sure that a file's first block is the header of this checkpoint and shard.
pub(crate) fn check_header(block: &[u8], epoch: Epoch, shard: ShardId) -> Result<(), CodecError> {
    let mut expected = [0; HEADER_BYTES];
    put_header(&mut expected, epoch, shard);
    let found = Reader::new(block).raw("delta header", HEADER_BYTES)?;
    match (0..HEADER_BYTES).find(|i| found[*i] != expected[*i]) {
        None => Ok(()),
        Some(offset) => Err(CodecError {
            what: "delta header",
            offset,
            problem: format!("it is not that of checkpoint {epoch}, shard {shard}, format {FORMAT_VERSION}"),
        }),
    }
}

/// Where a shard's metadata lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetaLocation {
    /// In the manifest itself.
    Inline(Vec<u8>),
    /// In the shard's delta file.
    InFile {
        /// The block it begins at.
        block: u32,
        /// How many bytes it has.
        len: u64,
        /// The CRC-32 of each piece of 1 MiB.
        crcs: Vec<u32>,
    },
}

impl MetaLocation {
    /// Bytes on disk, at least.
    pub(crate) const BYTES_MIN: usize = 9;

    /// How many bytes of metadata there are.
    pub fn bytes(&self) -> u64 {
        match self {
            MetaLocation::Inline(bytes) => bytes.len() as u64,
            MetaLocation::InFile { len, .. } => *len,
        }
    }

    pub(crate) fn put(&self, out: &mut Writer) {
        match self {
            MetaLocation::Inline(bytes) => out.put_u8(0).put_bytes(bytes),
            MetaLocation::InFile { block, len, crcs } => {
                out.put_u8(1).put_u32(*block).put_u64(*len).put_list(crcs, |out, crc| {
                    out.put_u32(*crc);
                })
            }
        };
    }

    pub(crate) fn get(fields: &mut Reader<'_>) -> Result<Self, CodecError> {
        match fields.u8("kind of metadata")? {
            0 => Ok(MetaLocation::Inline(fields.bytes("metadata")?.to_vec())),
            1 => {
                let (block, len) = (fields.u32("block of metadata")?, fields.u64("length of metadata")?);
                let crcs = fields.list("CRCs of metadata", 4, |fields| fields.u32("CRC of metadata"))?;
                if len.div_ceil(META_PIECE_BYTES as u64) != crcs.len() as u64 {
                    return Err(fields
                        .error("CRCs of metadata", format_args!("{len} bytes do not have {}", crcs.len())));
                }
                Ok(MetaLocation::InFile { block, len, crcs })
            }
            other => Err(fields.error("kind of metadata", format_args!("{other} is unknown"))),
        }
    }
}

/// What a shard has saved for a checkpoint, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaSummary {
    /// The checkpoint.
    pub epoch: Epoch,
    /// The shard.
    pub shard: ShardId,
    /// The file's length in blocks; 0 where no file was needed.
    pub blocks: u32,
    /// The pages that are new or different, with [`FileNo::NONE`] for those that lie in this delta's own file. Where a page comes twice,
    /// the later one counts.
    pub pages: Vec<(PageId, PageEntry)>,
    /// The pages that are no more.
    pub removed: Vec<PageId>,
    /// The shard's metadata.
    pub meta: MetaLocation,
}

impl DeltaSummary {
    /// How many bytes the checkpoint takes for this shard.
    pub fn bytes(&self) -> u64 {
        u64::from(self.blocks) * BLOCK_BYTES as u64
    }
}

/// Which file a [`FileNo`] stands for. A snapshot: it stays true as long as something of its checkpoint is needed.
#[derive(Clone, Debug)]
pub struct DeltaFiles {
    dir: Arc<Path>,
    files: Arc<Vec<Option<DeltaFile>>>,
}

/// A delta file as the manifest knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeltaFile {
    pub(crate) epoch: Epoch,
    pub(crate) shard: ShardId,
    pub(crate) blocks: u32,
}

impl DeltaFile {
    /// Bytes on disk (in the manifest).
    pub(crate) const BYTES: usize = 14;

    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.blocks) * BLOCK_BYTES as u64
    }
}

impl DeltaFiles {
    /// The files by their numbers, in the delta directory of a state directory.
    pub(crate) fn new(state_dir: &Path, files: Vec<Option<DeltaFile>>) -> Self {
        DeltaFiles { dir: state_dir.join(DELTA_DIR).into(), files: Arc::new(files) }
    }

    /// The path of a file.
    ///
    /// # Panics
    /// Where the number did not come from the same checkpoint.
    pub fn path(&self, file: FileNo) -> PathBuf {
        let known = self.files.get(file.0 as usize).copied().flatten();
        let known = known.expect("the manifest was checked to name no file that it does not know");
        self.dir.join(delta_file_name(known.epoch, known.shard))
    }

    /// Where a page begins in its file, in bytes.
    pub fn offset(entry: &PageEntry) -> u64 {
        u64::from(entry.block) * BLOCK_BYTES as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_good_for_its_own_checkpoint_and_shard_only() {
        let mut block = [7; BLOCK_BYTES];
        put_header(&mut block, Epoch(9), ShardId(2));
        assert!(check_header(&block, Epoch(9), ShardId(2)).is_ok());
        assert_eq!(check_header(&block, Epoch(9), ShardId(3)).unwrap_err().offset, 12);
        assert_eq!(check_header(&block, Epoch(8), ShardId(2)).unwrap_err().offset, 16);
        assert!(check_header(&block[..31], Epoch(9), ShardId(2)).is_err());
        for bit in 0..HEADER_BYTES * 8 {
            block[bit / 8] ^= 1 << (bit % 8);
            assert!(check_header(&block, Epoch(9), ShardId(2)).is_err());
            block[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn the_pieces_of_metadata_must_match_its_length() {
        let good = MetaLocation::InFile { block: 3, len: META_PIECE_BYTES as u64 + 1, crcs: vec![1, 2] };
        let bad = MetaLocation::InFile { block: 3, len: META_PIECE_BYTES as u64, crcs: vec![1, 2] };
        for (location, ok) in [(good, true), (bad, false)] {
            let mut out = Writer::new();
            location.put(&mut out);
            assert_eq!(MetaLocation::get(&mut Reader::new(out.bytes())).ok(), ok.then_some(location));
        }
    }
}

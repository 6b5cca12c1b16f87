//! What a run is made of: blocks of frames, each read and checked as one.

use std::path::PathBuf;

use crate::channel::WORD_BYTES;
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::disk;

/// Some frames in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// How many words of frames there are. They are followed by what fills the last unit of direct I/O.
    pub(super) words: u32,
    /// The checksum of the words.
    pub(super) crc: u32,
}

impl Block {
    /// How much of the file it takes.
    pub(super) fn bytes_on_disk(self) -> usize {
        (self.words as usize * WORD_BYTES).next_multiple_of(disk::BLOCK_BYTES)
    }
}

/// Records in order, in a file of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) path: PathBuf,
    pub(super) blocks: Vec<Block>,
}

impl Run {
    pub(super) fn put(&self, out: &mut Writer) {
        // A file that this program named: it is text.
        out.put_str(&self.path.file_name().unwrap_or_default().to_string_lossy());
        out.put_list(&self.blocks, |out, block| {
            out.put_u32(block.words).put_u32(block.crc);
        });
    }

    pub(super) fn read(input: &mut Reader<'_>, dir: &std::path::Path) -> Result<Run, CodecError> {
        let path = dir.join(input.str("run")?);
        let blocks = input.list("blocks", 8, |input| {
            Ok(Block { words: input.u32("words of a block")?, crc: input.u32("checksum of a block")? })
        })?;
        Ok(Run { path, blocks })
    }
}

//! What a stage of a job has come to on one shard, as it lies on disk: `docs/formats/stage.md`.

use std::path::Path;

use super::blocks::Run;
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::disk::{BLOCK_BYTES, Disk};

const MAGIC: u64 = u64::from_le_bytes(*b"MSTAGE01");

/// Magic number, length and checksum of what follows.
const HEADER_BYTES: usize = 20;

/// The runs that hold all records of an exchange for one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// The job that it belongs to: a stage is of use to the very same program only.
    pub(crate) job: u64,
    /// The fingerprint of the records' layout.
    pub(super) layout: u64,
    pub(super) runs: Vec<Run>,
}

/// Why a file does not say what a stage has come to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealedFault {
    #[error(transparent)]
    Disk(#[from] std::io::Error),
    #[error("it is not the seal of a stage, or was not written to its end")]
    NotWhole,
    #[error(transparent)]
    Content(#[from] CodecError),
}

impl Sealed {
    /// Its bytes, in whole blocks.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut content = Writer::new();
        content.put_u64(self.job).put_u64(self.layout);
        content.put_list(&self.runs, |out, run| run.put(out));
        let content = content.into_bytes();
        let mut out = Writer::new();
        out.put_u64(MAGIC).put_u64(content.len() as u64).put_u32(crc32fast::hash(&content)).put_raw(&content);
        let mut bytes = out.into_bytes();
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        bytes
    }

    /// Reads what [`Sealed::encode`] wrote. `dir` is where the runs lie.
    pub(crate) fn read(disk: &dyn Disk, path: &Path, dir: &Path) -> Result<Sealed, SealedFault> {
        let file = disk.open(path)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(|_| SealedFault::NotWhole)?];
        file.read_exact_at(&mut bytes, 0)?;
        Sealed::decode(&bytes, dir)
    }

    fn decode(bytes: &[u8], dir: &Path) -> Result<Sealed, SealedFault> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(SealedFault::NotWhole)?;
        let mut header = Reader::new(header);
        let (magic, length) = (header.u64("magic number")?, header.u64("length")?);
        let crc = header.u32("checksum")?;
        let content = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let content = content.filter(|content| magic == MAGIC && crc32fast::hash(content) == crc);
        let mut input = Reader::new(content.ok_or(SealedFault::NotWhole)?);
        let (job, layout) = (input.u64("job")?, input.u64("layout of records")?);
        let runs = input.list("runs", 16, |input| Run::read(input, dir))?;
        input.finish()?;
        Ok(Sealed { job, layout, runs })
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocks::Block;
    use super::*;

    #[test]
    fn it_comes_back_and_no_part_of_it_is_taken_for_all() {
        let dir = Path::new("/stages");
        let blocks = vec![Block { words: 7, crc: 8 }, Block { words: 9, crc: 10 }];
        let run = Run { path: dir.join("stage-0-shard-1-run-2"), blocks };
        let sealed = Sealed { job: 1, layout: 2, runs: vec![run] };
        let bytes = sealed.encode();
        assert_eq!(bytes.len(), BLOCK_BYTES);
        assert_eq!(Sealed::decode(&bytes, dir).unwrap(), sealed);
        let used = HEADER_BYTES + u64::from_le_bytes(bytes[8..16].try_into().unwrap()) as usize;
        for length in 0..used {
            assert!(Sealed::decode(&bytes[..length], dir).is_err(), "{length}");
        }
        for byte in 0..used {
            let mut damaged = bytes.clone();
            damaged[byte] ^= 1;
            assert!(Sealed::decode(&damaged, dir).is_err(), "{byte}");
        }
    }
}

//! The names of part files, and how a committable lists them.

use std::path::{Path, PathBuf};

/// A part file that is complete: pending or committed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartFile {
    /// The shard that wrote it.
    pub(super) shard: u16,
    /// The epoch at whose beginning it was cut.
    pub(super) epoch: u64,
    /// Goes up with every file of the shard.
    pub(super) number: u64,
    /// Its length in bytes.
    pub(super) bytes: u64,
}

/// What a file in the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// `.inprogress-<shard>-<number>`
    InProgress { shard: u16, number: u64 },
    /// `.pending-<shard>-<epoch>-<number>`
    Pending { shard: u16, epoch: u64, number: u64 },
    /// `part-<shard>-<epoch>-<number>`
    Part { shard: u16, epoch: u64, number: u64 },
    /// Matches `part-*` and is not ours.
    Intruder,
    /// Anything else; none of our business.
    Other,
}

pub(super) fn in_progress(dir: &Path, shard: u16, number: u64) -> PathBuf {
    dir.join(format!(".inprogress-{shard}-{number}"))
}

impl PartFile {
    pub(super) fn pending(&self, dir: &Path) -> PathBuf {
        dir.join(format!(".pending-{}-{}-{}", self.shard, self.epoch, self.number))
    }

    pub(super) fn committed(&self, dir: &Path) -> PathBuf {
        dir.join(format!("part-{}-{}-{}", self.shard, self.epoch, self.number))
    }
}

/// What the name says.
pub(super) fn parse(name: &str) -> Found {
    /// Numbers as this module writes them: no sign, no leading zero.
    fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
        text.parse().ok().filter(|number: &T| number.to_string() == text)
    }
    fn three(text: &str) -> Option<(u16, u64, u64)> {
        let mut parts = text.split('-');
        let three = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
        parts.next().is_none().then_some(three)
    }
    if let Some(rest) = name.strip_prefix("part-") {
        return three(rest).map_or(Found::Intruder, |(shard, epoch, number)| Found::Part {
            shard,
            epoch,
            number,
        });
    }
    if let Some(rest) = name.strip_prefix(".pending-") {
        return three(rest).map_or(Found::Other, |(shard, epoch, number)| Found::Pending {
            shard,
            epoch,
            number,
        });
    }
    name.strip_prefix(".inprogress-")
        .and_then(|rest| rest.split_once('-'))
        .and_then(|(shard, n)| Some(Found::InProgress { shard: number(shard)?, number: number(n)? }))
        .unwrap_or(Found::Other)
}

/// The bytes of one file in a committable: shard, epoch, number, length; little endian.
const ENTRY_BYTES: usize = 2 + 8 + 8 + 8;
/// The first byte of a committable.
const VERSION: u8 = 1;

/// Lists files for a checkpoint's manifest.
pub(super) fn encode<'a>(files: impl IntoIterator<Item = &'a PartFile>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for file in files {
        bytes.extend_from_slice(&file.shard.to_le_bytes());
        bytes.extend_from_slice(&file.epoch.to_le_bytes());
        bytes.extend_from_slice(&file.number.to_le_bytes());
        bytes.extend_from_slice(&file.bytes.to_le_bytes());
    }
    bytes
}

/// The inverse of [`encode`]; `None` where the bytes are not such a list.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<PartFile>> {
    let (&version, entries) = bytes.split_first()?;
    if version != VERSION || entries.len() % ENTRY_BYTES != 0 {
        return None;
    }
    let word = |entry: &[u8], at: usize| {
        u64::from_le_bytes(entry[at..at + 8].try_into().expect("a range of 8 bytes"))
    };
    let file = |entry: &[u8]| PartFile {
        shard: u16::from_le_bytes([entry[0], entry[1]]),
        epoch: word(entry, 2),
        number: word(entry, 10),
        bytes: word(entry, 18),
    };
    Some(entries.chunks_exact(ENTRY_BYTES).map(file).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_and_lists_come_back(shard: u16, epoch: u64, number: u64, bytes: u64, noise: Vec<u8>) {
            let file = PartFile { shard, epoch, number, bytes };
            let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            prop_assert_eq!(parse(&name(file.pending("d".as_ref()))), Found::Pending { shard, epoch, number });
            prop_assert_eq!(parse(&name(file.committed("d".as_ref()))), Found::Part { shard, epoch, number });
            prop_assert_eq!(
                parse(&name(in_progress("d".as_ref(), shard, number))),
                Found::InProgress { shard, number }
            );
            prop_assert_eq!(decode(&encode([&file, &file])), Some(vec![file.clone(), file]));
            decode(&noise);
        }
    }

    #[test]
    fn strange_names_are_not_ours() {
        for name in [
            "part-",
            "part-1-2",
            "part-1-2-3-4",
            "part-01-2-3",
            "part-70000-1-1",
            "part-a.txt",
            "part-+1-2-3",
        ] {
            assert_eq!(parse(name), Found::Intruder, "{name}");
        }
        for name in [".pending-1", ".inprogress-x-1", ".lock", "notes.txt", "PART-1-2-3", ""] {
            assert_eq!(parse(name), Found::Other, "{name}");
        }
    }
}

//! The file of marks: which records made their job fail. Drawn in `docs/formats/journal.md`.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::segment::{u32_at, u64_at};

const MARK_BYTES: usize = 16;

fn path(dir: &Path) -> PathBuf {
    dir.join("failed")
}

fn encode(id: u64, seq: u64) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[8..].copy_from_slice(&seq.to_le_bytes());
    let crc = checksum(id, &bytes);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn checksum(id: u64, mark: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&id.to_le_bytes());
    hasher.update(&mark[4..MARK_BYTES]);
    hasher.finalize()
}

/// Reads the marks, leaving out a torn last one and those of records before `first`, and makes the file hold just them.
pub(super) fn load(dir: &Path, id: u64, first: u64) -> Result<BTreeSet<u64>, JournalError> {
    let path = path(dir);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(JournalError::io("read the marks in", &path, error)),
    };
    let mut marks = BTreeSet::new();
    let whole = bytes.chunks_exact(MARK_BYTES);
    let count = whole.len();
    for (n, mark) in whole.enumerate() {
        if u32_at(mark, 0) == checksum(id, mark) {
            marks.insert(u64_at(mark, 8));
        } else if n + 1 < count {
            let what = "the checksum of a mark is wrong".to_owned();
            return Err(JournalError::Corrupt { path, at: (n * MARK_BYTES) as u64, what });
        }
    }
    let marks = marks.split_off(&first);
    let content: Vec<u8> = marks.iter().flat_map(|seq| encode(id, *seq)).collect();
    if content != bytes {
        replace(dir, &path, &content).map_err(|e| JournalError::io("tidy the marks in", &path, e))?;
    }
    Ok(marks)
}

fn replace(dir: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = dir.join("failed.new");
    let mut file = File::create(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    File::open(dir)?.sync_all()
}

/// Adds a mark, durably.
pub(super) fn add(dir: &Path, id: u64, seq: u64) -> Result<(), JournalError> {
    let path = path(dir);
    let append = || {
        let is_new = !path.exists();
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.write_all(&encode(id, seq))?;
        file.sync_all()?;
        if is_new { File::open(dir)?.sync_all() } else { Ok(()) }
    };
    append().map_err(|e| JournalError::io("add a mark to", &path, e))
}

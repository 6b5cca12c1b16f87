//! The file that records wait in for which memory has no room. It has no name: it is gone when the process is.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::journal::JournalError;

/// Length of an entry, before it.
const HEAD_BYTES: u64 = 4;

/// How much is read at a time.
const READ_BYTES: usize = 256 * 1024;

/// See the [module](self).
pub(super) struct Spill {
    dir: PathBuf,
    max_bytes: u64,
    file: Option<File>,
    /// Where the next entry goes, and where the oldest one lies.
    end: u64,
    begin: u64,
    /// Kept for its room.
    bytes: Vec<u8>,
}

impl Spill {
    pub(super) fn new(dir: PathBuf, max_bytes: u64) -> Self {
        Spill { dir, max_bytes, file: None, end: 0, begin: 0, bytes: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    /// Adds an entry. False where the file is full.
    ///
    /// # Errors
    /// The file cannot be made or written to.
    pub(super) fn push(&mut self, entry: &[u8]) -> Result<bool, JournalError> {
        let bytes = HEAD_BYTES + entry.len() as u64;
        // An entry that is larger than the limit by itself goes into an empty file: otherwise it would never go anywhere.
        if !self.is_empty() && self.end - self.begin + bytes > self.max_bytes {
            return Ok(false);
        }
        let Spill { dir, file, .. } = self;
        let file = match file {
            Some(file) => file,
            None => file.insert(
                nameless(dir).map_err(|e| JournalError::io("make a file to spill records to in", dir, e))?,
            ),
        };
        self.bytes.clear();
        self.bytes.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(entry);
        file.write_all_at(&self.bytes, self.end)
            .map_err(|e| JournalError::io("spill records to a file in", dir, e))?;
        self.end += bytes;
        Ok(true)
    }

    /// Takes up to `most` of the oldest entries out, in order.
    ///
    /// # Errors
    /// The file cannot be read, or `each` does not take an entry.
    pub(super) fn pop(
        &mut self,
        most: usize,
        mut each: impl FnMut(&[u8]) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let Some(file) = &self.file else { return Ok(()) };
        let (mut popped, mut wanted) = (0, READ_BYTES);
        while popped < most && !self.is_empty() {
            let there = (self.end - self.begin).min(wanted as u64) as usize;
            self.bytes.resize(there, 0);
            file.read_exact_at(&mut self.bytes, self.begin)
                .map_err(|e| JournalError::io("read spilled records back from a file in", &self.dir, e))?;
            let mut rest = &self.bytes[..];
            while popped < most
                && let Some((head, behind)) = rest.split_first_chunk::<{ HEAD_BYTES as usize }>()
            {
                let len = u32::from_le_bytes(*head) as usize;
                let Some(entry) = behind.get(..len) else {
                    // The next read begins with it, and is long enough for it.
                    wanted = READ_BYTES.max(HEAD_BYTES as usize + len);
                    break;
                };
                each(entry)?;
                rest = &behind[len..];
                popped += 1;
            }
            self.begin += (self.bytes.len() - rest.len()) as u64;
        }
        if self.is_empty() {
            // The space goes back to the disk; a file that keeps it is only larger than need be.
            (self.begin, self.end) = (0, 0);
            let _ = file.set_len(0);
        }
        Ok(())
    }
}

/// A file without a name in this directory.
fn nameless(dir: &Path) -> std::io::Result<File> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join(format!("spilled-{}-{:x}", std::process::id(), crate::job::random()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn entries_come_back_in_order(
            steps in proptest::collection::vec((any::<bool>(), 0usize..3000), 1..60),
            max_bytes in 1u64..20_000,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let (mut spill, mut model) = (Spill::new(dir.path().to_owned(), max_bytes), VecDeque::new());
            for (number, (push, size)) in steps.into_iter().enumerate() {
                if push {
                    let entry = vec![number as u8; size];
                    let waiting: usize = model.iter().map(|entry: &Vec<u8>| entry.len() + 4).sum();
                    let fits = model.is_empty() || (waiting + size + 4) as u64 <= max_bytes;
                    prop_assert_eq!(spill.push(&entry).unwrap(), fits);
                    if fits {
                        model.push_back(entry);
                    }
                } else {
                    let most = size % 5;
                    let mut popped = Vec::new();
                    spill.pop(most, |entry| { popped.push(entry.to_vec()); Ok(()) }).unwrap();
                    let expected: Vec<_> = model.drain(..most.min(model.len())).collect();
                    prop_assert_eq!(popped, expected);
                }
                prop_assert_eq!(spill.is_empty(), model.is_empty());
            }
            prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the file has no name");
        }
    }

    #[test]
    fn an_entry_longer_than_a_read_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = Spill::new(dir.path().to_owned(), u64::MAX);
        let long = vec![7; 3 * READ_BYTES];
        spill.push(b"before").unwrap();
        spill.push(&long).unwrap();
        let mut popped = Vec::new();
        spill
            .pop(9, |entry| {
                popped.push(entry.to_vec());
                Ok(())
            })
            .unwrap();
        assert_eq!(popped, [b"before".to_vec(), long]);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = Spill::new(file.join("below"), 100).push(b"entry").unwrap_err().to_string();
        assert!(error.contains("below"), "{error}");
    }
}

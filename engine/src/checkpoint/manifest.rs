//! The manifest log: one file that only grows, in which the last durable record decides. Drawn in `docs/formats/manifest.md`.
//!
//! Three things make it fast and safe:
//!
//! - The file is filled with zeros ahead of use, so that a sync has only data to write, no new length or block.
//! - After a record has been synced, a **seal** is written behind it, which is not synced: it costs nothing, and it is nearly always
//!   there. A damaged last record with a seal was durable once: that is damage, and an error. Without a seal it is a torn tail.
//! - Each record names the place of the one before, so that a lost seal is told from a lost record.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codec::{Reader, Writer};
use super::record::RecordKind;
use super::state_dir::{FORMAT_VERSION, MANIFEST, MANIFEST_NEW};
use crate::disk::{Disk, DiskError, DiskFile};

/// Records begin at multiples of this, so that a torn write never touches the record before.
const SECTOR_BYTES: usize = 512;

/// How far ahead the file is filled with zeros.
const PREALLOCATED_BYTES: u64 = 1024 * 1024;

const MAGIC: [u8; 16] = *b"millstream state";
const IDENTITY_BYTES: usize = 24;
const PREAMBLE_BYTES: usize = 36;
const RECORD_MAGIC: u32 = u32::from_le_bytes(*b"MREC");
const RECORD_HEADER_BYTES: usize = 32;

/// A manifest log that is being appended to.
pub(crate) struct ManifestLog {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// Where the next record goes.
    end: u64,
    /// Where the last record (not seal) begins.
    last: u64,
    /// Up to where the file is filled.
    filled: u64,
    /// Where the base record ends.
    base_end: u64,
}

/// What a log held at some moment. It is never written again: a log only grows, and one that replaces it is another file.
pub(crate) struct ManifestPart {
    file: Arc<dyn DiskFile>,
    end: u64,
}

impl ManifestPart {
    /// Puts a copy in the place of the manifest of another directory, durably.
    pub(crate) fn copy_to(&self, disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
        let (new, path) = (dir.join(MANIFEST_NEW), dir.join(MANIFEST));
        let mut bytes = vec![0; self.end as usize];
        // The length that its preamble names may change at this moment; the copy has its own.
        let copied = self.file.read_exact_at(&mut bytes, 0).and_then(|()| {
            let preamble = preamble(self.end);
            bytes[..preamble.len()].copy_from_slice(&preamble);
            let file = disk.create(&new)?;
            file.write_all_at(&bytes, 0)?;
            file.sync()?;
            disk.rename(&new, &path)?;
            disk.sync_dir(dir)
        });
        copied.map_err(|error| DiskError::new("cannot copy the manifest to", &path, &error))
    }
}

/// How far an [`ManifestLog::append`] came before it failed.
pub(crate) enum AppendError {
    /// Nothing of the record was written.
    Untouched(DiskError),
    /// It is unknown what a crash would leave of the record.
    Doubtful(DiskError),
}

/// What was found behind the last good record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Zeros.
    Clean,
    /// A record that was being written when the process or the machine died.
    Torn { offset: u64, bytes: u64 },
    /// A record that had been durable.
    Damaged { offset: u64, problem: String },
}

/// Why a manifest cannot be read at all.
#[derive(Clone, Debug)]
pub(crate) enum ScanError {
    OtherFormat(u32),
    Damaged { offset: u64, problem: String },
    Disk(DiskError),
}

impl ManifestLog {
    /// Writes a new log that begins with `base`, and puts it in the place of the old one, durably.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, base: &[u8]) -> Result<ManifestLog, DiskError> {
        let (new, path) = (dir.join(MANIFEST_NEW), dir.join(MANIFEST));
        let at_new = |error: io::Error| DiskError::new("cannot write the manifest", &new, &error);
        let file = disk.create(&new).map_err(at_new)?;
        let mut bytes = preamble(0);
        let last = bytes.len() as u64;
        append_record(&mut bytes, RecordKind::Base, 0, base);
        let base_end = bytes.len() as u64;
        append_record(&mut bytes, RecordKind::Seal, last, &[]);
        let end = bytes.len() as u64;
        let filled = end + PREALLOCATED_BYTES;
        bytes.resize(filled as usize, 0);
        bytes[..SECTOR_BYTES].copy_from_slice(&preamble(filled));
        file.write_all_at(&bytes, 0).and_then(|()| file.sync()).map_err(at_new)?;
        disk.rename(&new, &path).and_then(|()| disk.sync_dir(dir)).map_err(at_new)?;
        Ok(ManifestLog { file, path, end, last, filled, base_end })
    }

    /// Reads a log: hands each good record to `visit`, in order, and says what lies behind the last one. `visit` may refuse a record,
    /// which then counts as damaged.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        visit: impl FnMut(RecordKind, &[u8]) -> Result<(), String>,
    ) -> Result<(ManifestLog, Tail), ScanError> {
        let at_path =
            |error: io::Error| ScanError::Disk(DiskError::new("cannot read the manifest", path, &error));
        let file = disk.open_or_create(path).map_err(at_path)?;
        let filled = file.len().map_err(at_path)?;
        let mut bytes = vec![0; filled as usize];
        file.read_exact_at(&mut bytes, 0).map_err(at_path)?;
        let Scanned { end, last, base_end, tail } = scan(&bytes, visit)?;
        Ok((ManifestLog { file, path: path.to_owned(), end, last, filled, base_end }, tail))
    }

    /// Reads a log that another process may be appending to, as [`ManifestLog::open`] does.
    pub(crate) fn look(
        disk: &dyn Disk,
        path: &Path,
        visit: impl FnMut(RecordKind, &[u8]) -> Result<(), String>,
    ) -> Result<(), ScanError> {
        let at_path =
            |error: io::Error| ScanError::Disk(DiskError::new("cannot read the manifest", path, &error));
        let file = disk.open(path).map_err(at_path)?;
        let mut bytes = vec![0; file.len().map_err(at_path)? as usize];
        file.read_exact_at(&mut bytes, 0).map_err(at_path)?;
        scan(&bytes, visit).map(drop)
    }

    /// Appends a record and makes it durable: the commit point of a checkpoint.
    pub(crate) fn append(&mut self, kind: RecordKind, body: &[u8]) -> Result<(), AppendError> {
        let place = |error: io::Error| DiskError::new("cannot write to", &self.path, &error);
        let mut bytes = Vec::with_capacity(RECORD_HEADER_BYTES + body.len() + SECTOR_BYTES);
        append_record(&mut bytes, kind, self.last, body);
        let needed = self.end + (bytes.len() + SECTOR_BYTES) as u64;
        if needed > self.filled {
            let zeros = vec![0; (needed - self.filled + PREALLOCATED_BYTES) as usize];
            let filled = self.filled + zeros.len() as u64;
            // The new length is written down only when it is true; it becomes durable along with the record.
            let write = self.file.write_all_at(&zeros, self.filled).and_then(|()| self.file.sync());
            let write = write.and_then(|()| self.file.write_all_at(&preamble(filled), 0));
            write.map_err(|error| AppendError::Untouched(place(error)))?;
            self.filled = filled;
        }
        let written = self.file.write_all_at(&bytes, self.end).and_then(|()| self.file.sync());
        written.map_err(|error| AppendError::Doubtful(place(error)))?;
        self.last = self.end;
        self.end += bytes.len() as u64;
        bytes.clear();
        append_record(&mut bytes, RecordKind::Seal, self.last, &[]);
        // The seal is a help, not a promise: the record is durable without it.
        if let Err(error) = self.file.write_all_at(&bytes, self.end) {
            tracing::debug!(%error, "the manifest record has no seal");
        }
        self.end += SECTOR_BYTES as u64;
        Ok(())
    }

    /// The log as it is now, to be copied while it grows, or even while it is replaced.
    pub(crate) fn part(&self) -> ManifestPart {
        ManifestPart { file: self.file.clone(), end: self.end }
    }

    /// How many bytes the log has, without what is filled ahead.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    /// How many of them are the base.
    pub(crate) fn base_bytes(&self) -> u64 {
        self.base_end
    }
}

/// The first sector: what this is (the same in every format), and how long the file is at least.
fn preamble(filled: u64) -> Vec<u8> {
    let mut out = Writer::with_capacity(SECTOR_BYTES);
    out.put_raw(&MAGIC).put_u32(FORMAT_VERSION);
    let crc = crc32fast::hash(out.bytes());
    out.put_u32(crc).put_u64(filled);
    let crc = crc32fast::hash(out.bytes());
    out.put_u32(crc);
    let mut bytes = out.into_bytes();
    bytes.resize(SECTOR_BYTES, 0);
    bytes
}

fn append_record(bytes: &mut Vec<u8>, kind: RecordKind, previous: u64, body: &[u8]) {
    let mut out = Writer::append_to(std::mem::take(bytes));
    let start = out.len();
    out.put_u32(RECORD_MAGIC).put_u16(kind.number()).put_u16(0).put_u64(body.len() as u64).put_u64(previous);
    out.put_u32(crc32fast::hash(body));
    let crc = crc32fast::hash(&out.bytes()[start..]);
    out.put_u32(crc).put_raw(body);
    *bytes = out.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(SECTOR_BYTES), 0);
}

struct RecordHeader {
    kind: RecordKind,
    body_bytes: u64,
    previous: u64,
    body_crc: u32,
}

/// The header at `at`, if there is a good one.
fn header_at(bytes: &[u8], at: usize) -> Option<RecordHeader> {
    let header = bytes.get(at..at + RECORD_HEADER_BYTES)?;
    let mut fields = Reader::new(header);
    if fields.u32("magic").ok()? != RECORD_MAGIC {
        return None;
    }
    let (kind, _) = (fields.u16("kind").ok()?, fields.u16("reserved").ok()?);
    let header_without_crc = &header[..RECORD_HEADER_BYTES - 4];
    let read = RecordHeader {
        kind: RecordKind::from_number(kind)?,
        body_bytes: fields.u64("length").ok()?,
        previous: fields.u64("previous").ok()?,
        body_crc: fields.u32("body CRC").ok()?,
    };
    (fields.u32("CRC").ok()? == crc32fast::hash(header_without_crc)).then_some(read)
}

impl RecordHeader {
    /// The body of the record that begins at `at`, if it is whole.
    fn body<'a>(&self, bytes: &'a [u8], at: usize) -> Option<&'a [u8]> {
        let start = at + RECORD_HEADER_BYTES;
        let end = start.checked_add(usize::try_from(self.body_bytes).ok()?)?;
        bytes.get(start..end).filter(|body| crc32fast::hash(body) == self.body_crc)
    }
}

struct Scanned {
    end: u64,
    last: u64,
    base_end: u64,
    tail: Tail,
}

/// Reads a log. Only a first record that cannot be used is an error; everything later is said in the tail.
fn scan(
    bytes: &[u8],
    mut visit: impl FnMut(RecordKind, &[u8]) -> Result<(), String>,
) -> Result<Scanned, ScanError> {
    let filled = check_preamble(bytes)?;
    let (mut at, mut last, mut base_end) = (SECTOR_BYTES, 0, 0);
    let tail = loop {
        let header = header_at(bytes, at);
        let body = header.as_ref().and_then(|header| header.body(bytes, at));
        if let (Some(header), Some(body)) = (header, body)
            && header.previous == last as u64
            && (header.kind == RecordKind::Base) == (last == 0)
        {
            if header.kind != RecordKind::Seal {
                match visit(header.kind, body) {
                    Ok(()) => last = at,
                    Err(problem) => break Tail::Damaged { offset: at as u64, problem },
                }
            }
            at = (at + RECORD_HEADER_BYTES + body.len()).next_multiple_of(SECTOR_BYTES);
            base_end = if base_end == 0 { at } else { base_end };
            continue;
        }
        // Either the log ends here, or something that was here is gone. What follows knows what was before it.
        let sectors = (at + SECTOR_BYTES..bytes.len()).step_by(SECTOR_BYTES);
        let follower = sectors.clone().find_map(|place| Some((place, header_at(bytes, place)?.previous)));
        match follower {
            // Only a seal, which nobody waits for, can be missing between a record and its follower.
            Some((place, previous)) if previous == last as u64 && last > 0 => at = place,
            Some((place, _)) => {
                let problem = format!("no whole record is here, but the one at byte {place} comes after it");
                break Tail::Damaged { offset: at as u64, problem };
            }
            None => break end_of_log(bytes, at, filled),
        }
    };
    match tail {
        tail if last > 0 => {
            Ok(Scanned { end: at as u64, last: last as u64, base_end: base_end as u64, tail })
        }
        Tail::Damaged { offset, problem } => Err(ScanError::Damaged { offset, problem }),
        Tail::Clean | Tail::Torn { .. } => Err(ScanError::Damaged {
            offset: at as u64,
            problem: "the first record is not a whole base record".to_owned(),
        }),
    }
}

/// What lies at the end of the log, which has no whole record from `at` on.
fn end_of_log(bytes: &[u8], at: usize, filled: u64) -> Tail {
    if (bytes.len() as u64) < filled {
        let problem = format!("the file is cut off here, it had at least {filled} bytes");
        return Tail::Damaged { offset: bytes.len() as u64, problem };
    }
    match bytes[at.min(bytes.len())..].iter().rposition(|byte| *byte != 0) {
        None => Tail::Clean,
        Some(place) => Tail::Torn { offset: at as u64, bytes: place as u64 + 1 },
    }
}

/// Makes sure that this is a manifest of our format. Gives back how long the file is at least.
fn check_preamble(bytes: &[u8]) -> Result<u64, ScanError> {
    let damaged = |problem: &str| ScanError::Damaged { offset: 0, problem: problem.to_owned() };
    let preamble = bytes.get(..PREAMBLE_BYTES).ok_or_else(|| damaged("the file is too short"))?;
    let (identity, rest) = preamble.split_at(IDENTITY_BYTES);
    let mut fields = Reader::new(&identity[MAGIC.len()..]);
    let (version, crc) = (fields.u32("format").unwrap_or(0), fields.u32("CRC").unwrap_or(0));
    if identity[..MAGIC.len()] != MAGIC || crc != crc32fast::hash(&identity[..IDENTITY_BYTES - 4]) {
        return Err(damaged("it does not begin like a manifest"));
    }
    if version != FORMAT_VERSION {
        return Err(ScanError::OtherFormat(version));
    }
    let mut fields = Reader::new(rest);
    let (filled, crc) = (fields.u64("length").unwrap_or(0), fields.u32("CRC").unwrap_or(0));
    if crc != crc32fast::hash(&preamble[..PREAMBLE_BYTES - 4]) {
        return Err(damaged("its length is damaged"));
    }
    Ok(filled)
}

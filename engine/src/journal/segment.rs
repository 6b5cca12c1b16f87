//! Segment files: header, records, and how a torn end is told from damage. Drawn in `docs/formats/journal.md`.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::JournalError;

pub(super) const HEADER_BYTES: usize = 32;
pub(super) const RECORD_HEADER_BYTES: usize = 16;
const MAGIC: [u8; 8] = *b"MILLJRNL";
const VERSION: u32 = 1;

/// The largest record: 256 MiB less one byte.
pub const PAYLOAD_BYTES_MAX: usize = (1 << 28) - 1;
/// Stands above the length of every record, so that a run of zeros is no record.
const RECORD_MARK: u32 = 0xA << 28;

/// What a segment file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The journal's number.
    pub(super) id: u64,
    /// The sequence number of the segment's first record.
    pub(super) first: u64,
}

/// A segment open for appending.
pub(super) struct SegmentFile {
    pub(super) file: File,
    pub(super) header: Header,
    /// Its length.
    pub(super) bytes: u64,
    /// The sequence number after its last record.
    pub(super) next: u64,
}

/// Where the segment that begins with this record is.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("segment-{first:020}"))
}

/// First sequence numbers of the segments in a directory, oldest first.
pub(super) fn list(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let failed = |e| JournalError::io("list the journal in", dir, e);
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("segment-"));
        segments.extend(number.filter(|n| n.len() == 20).and_then(|n| n.parse::<u64>().ok()));
    }
    segments.sort_unstable();
    Ok(segments)
}

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        let crc = Self::checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Over the whole header except the checksum itself.
    fn checksum(bytes: &[u8; HEADER_BYTES]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[..12]);
        hasher.update(&bytes[16..]);
        hasher.finalize()
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES], path: &Path) -> Result<Header, JournalError> {
        let corrupt =
            |what: &str| JournalError::Corrupt { path: path.to_owned(), at: 0, what: what.to_owned() };
        if bytes[0..8] != MAGIC {
            return Err(corrupt("it does not begin like a journal segment"));
        }
        let found = u32_at(bytes, 8);
        if found != VERSION {
            return Err(JournalError::Version { path: path.to_owned(), found, expected: VERSION });
        }
        if u32_at(bytes, 12) != Self::checksum(bytes) {
            return Err(corrupt("the checksum of its header is wrong"));
        }
        Ok(Header { id: u64_at(bytes, 16), first: u64_at(bytes, 24) })
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a range of 4 bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a range of 8 bytes"))
}

/// The journal's number goes into the checksum: a record of another journal, or a payload that looks like a record, does not
/// pass.
fn record_checksum(id: u64, rest: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&id.to_le_bytes());
    hasher.update(rest);
    hasher.update(payload);
    hasher.finalize()
}

/// Appends a record.
pub(super) fn encode(id: u64, seq: u64, payload: &[u8], out: &mut Vec<u8>) -> Result<(), JournalError> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(JournalError::TooLarge { bytes: payload.len(), max: PAYLOAD_BYTES_MAX });
    }
    let mut rest = [0; RECORD_HEADER_BYTES - 4];
    rest[..4].copy_from_slice(&(RECORD_MARK | payload.len() as u32).to_le_bytes());
    rest[4..].copy_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&record_checksum(id, &rest, payload).to_le_bytes());
    out.extend_from_slice(&rest);
    out.extend_from_slice(payload);
    Ok(())
}

/// The length of the payload that a record header announces.
pub(super) fn payload_len(header: &[u8; RECORD_HEADER_BYTES]) -> Option<usize> {
    let word = u32_at(header, 4);
    (word & !(PAYLOAD_BYTES_MAX as u32) == RECORD_MARK).then_some((word & PAYLOAD_BYTES_MAX as u32) as usize)
}

/// The sequence number of a record whose checksum is right.
pub(super) fn verified_seq(id: u64, header: &[u8; RECORD_HEADER_BYTES], payload: &[u8]) -> Option<u64> {
    (u32_at(header, 0) == record_checksum(id, &header[4..], payload)).then(|| u64_at(header, 8))
}

/// The record at the beginning of these bytes: sequence number and length.
fn first_record(id: u64, bytes: &[u8]) -> Option<(u64, usize)> {
    let (header, rest) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let length = payload_len(header)?;
    let seq = verified_seq(id, header, rest.get(..length)?)?;
    Some((seq, RECORD_HEADER_BYTES + length))
}

impl SegmentFile {
    /// Makes an empty segment, durably.
    pub(super) fn create(dir: &Path, header: Header) -> Result<SegmentFile, JournalError> {
        let path = path(dir, header.first);
        let failed = |e| JournalError::io("make the journal segment", &path, e);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(failed)?;
        file.write_all_at(&header.encode(), 0).and_then(|()| file.sync_all()).map_err(failed)?;
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| JournalError::io("sync the journal's directory", dir, e))?;
        Ok(SegmentFile { file, header, bytes: HEADER_BYTES as u64, next: header.first })
    }

    /// Opens the last segment, cutting off a torn end. `has_others` says that the journal has earlier segments.
    pub(super) fn recover(dir: &Path, first: u64, has_others: bool) -> Result<SegmentFile, JournalError> {
        let path = path(dir, first);
        let failed = |e| JournalError::io("read the journal segment", &path, e);
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            // The crash came before the header was durable, so there is no record either; it is made anew.
            let id = if has_others { previous_id(dir, first)? } else { super::fresh_id() };
            return SegmentFile::create(dir, Header { id, first });
        };
        let header = Header::decode(header, &path)?;
        if header.first != first {
            let what = format!("it says that it begins with record {}", header.first);
            return Err(JournalError::Corrupt { path, at: 24, what });
        }
        let (mut at, mut next) = (HEADER_BYTES, first);
        while let Some((seq, length)) = first_record(header.id, &bytes[at..]) {
            if seq != next {
                let what = format!("record {seq} stands where record {next} should");
                return Err(JournalError::Corrupt { path, at: at as u64, what });
            }
            at += length;
            next += 1;
        }
        if at < bytes.len() {
            // A crash tears the end. A whole record behind the damage means that something else happened.
            let behind = (at + 1..bytes.len()).find_map(|later| first_record(header.id, &bytes[later..]));
            if let Some((seq, _)) = behind {
                let what = format!("record {next} is not whole, and yet record {seq} follows");
                return Err(JournalError::Corrupt { path, at: at as u64, what });
            }
            tracing::warn!(
                "{}: cut off {} bytes from byte {at} on: a record that was not wholly written when the last run ended",
                path.display(),
                bytes.len() - at
            );
            file.set_len(at as u64)
                .and_then(|()| file.sync_all())
                .map_err(|e| JournalError::io("cut the torn end of", &path, e))?;
        }
        Ok(SegmentFile { file, header, bytes: at as u64, next })
    }
}

/// The journal's number as an earlier segment has it.
fn previous_id(dir: &Path, before: u64) -> Result<u64, JournalError> {
    let segments = list(dir)?;
    let first =
        segments.iter().rev().find(|first| **first < before).expect("the caller saw an earlier segment");
    let path = path(dir, *first);
    let mut bytes = [0; HEADER_BYTES];
    File::open(&path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| JournalError::io("read the journal segment", &path, e))?;
    Ok(Header::decode(&bytes, &path)?.id)
}

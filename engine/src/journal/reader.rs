//! Reads a journal from a sequence number on, segment by segment.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::segment::{self, HEADER_BYTES, Header, RECORD_HEADER_BYTES};

/// A record of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its sequence number.
    pub seq: u64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// The records of a journal from one sequence number up to another, in order and without gap. Ends after the first error.
#[derive(Debug)]
pub struct Entries {
    dir: PathBuf,
    id: u64,
    /// Segments not opened yet.
    segments: VecDeque<u64>,
    open: Option<OpenSegment>,
    /// The record wanted next, and the one to stop at.
    next: u64,
    end: u64,
}

#[derive(Debug)]
struct OpenSegment {
    path: PathBuf,
    file: BufReader<File>,
    at: u64,
    /// The record that comes next in the file.
    seq: u64,
}

impl Entries {
    pub(super) fn new(dir: &Path, id: u64, segments: &[u64], next: u64, end: u64) -> Self {
        let before = segments.partition_point(|first| *first <= next).saturating_sub(1);
        let segments = segments[before..].iter().copied().collect();
        Entries { dir: dir.to_owned(), id, segments, open: None, next, end }
    }

    fn advance(&mut self) -> Result<Option<Entry>, JournalError> {
        while self.next < self.end {
            let mut segment = match self.open.take() {
                Some(segment) => segment,
                None => match self.segments.pop_front() {
                    Some(first) => OpenSegment::open(segment::path(&self.dir, first), self.id, first)?,
                    None => return Err(self.gap(self.end)),
                },
            };
            if segment.seq > self.next {
                return Err(self.gap(segment.seq));
            }
            if let Some(payload) = segment.read(self.id)? {
                let seq = segment.seq;
                segment.seq += 1;
                self.open = Some(segment);
                if seq == self.next {
                    self.next += 1;
                    return Ok(Some(Entry { seq, payload }));
                }
            }
        }
        Ok(None)
    }

    fn gap(&self, until: u64) -> JournalError {
        JournalError::Gap { dir: self.dir.clone(), from: self.next, to: until - 1 }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.advance();
        if result.is_err() {
            self.next = self.end;
        }
        result.transpose()
    }
}

impl OpenSegment {
    fn open(path: PathBuf, id: u64, first: u64) -> Result<Self, JournalError> {
        let failed = |e| JournalError::io("read the journal segment", &path, e);
        let mut file = BufReader::with_capacity(64 * 1024, File::open(&path).map_err(failed)?);
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact(&mut bytes).map_err(failed)?;
        let header = Header::decode(&bytes, &path)?;
        if header != (Header { id, first }) {
            let what = "it belongs to another journal, or elsewhere in this one".to_owned();
            return Err(JournalError::Corrupt { path, at: 16, what });
        }
        Ok(OpenSegment { path, file, at: HEADER_BYTES as u64, seq: first })
    }

    /// The next payload, `None` at the end of the segment.
    fn read(&mut self, id: u64) -> Result<Option<Vec<u8>>, JournalError> {
        let mut header = [0; RECORD_HEADER_BYTES];
        if !self.fill(&mut header)? {
            return Ok(None);
        }
        let length = segment::payload_len(&header).ok_or_else(|| self.corrupt("no record begins here"))?;
        let mut payload = Vec::new();
        (&mut self.file).take(length as u64).read_to_end(&mut payload).map_err(|e| self.failed(e))?;
        if payload.len() < length {
            return Err(self.corrupt("the record is longer than the rest of the file"));
        }
        match segment::verified_seq(id, &header, &payload) {
            Some(seq) if seq == self.seq => {
                self.at += (RECORD_HEADER_BYTES + length) as u64;
                Ok(Some(payload))
            }
            Some(seq) => Err(self.corrupt(&format!("record {seq} stands where record {} should", self.seq))),
            None => Err(self.corrupt("the record's checksum is wrong")),
        }
    }

    /// Fills the whole buffer; false where the file ends before its first byte.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, JournalError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(self.corrupt("the file ends within a record")),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.failed(e)),
            }
        }
        Ok(true)
    }

    fn corrupt(&self, what: &str) -> JournalError {
        JournalError::Corrupt { path: self.path.clone(), at: self.at, what: what.to_owned() }
    }

    fn failed(&self, error: io::Error) -> JournalError {
        JournalError::io("read the journal segment", &self.path, error)
    }
}

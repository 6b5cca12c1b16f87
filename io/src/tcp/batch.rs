//! Lines on their way from a connector's thread to the shard.

use millstream_engine::source::SourceError;

use crate::lines::{Delimiter, LineCutter, LineFormat, RunTooLong};

/// Numbered lines, without their delimiters, in one buffer.
#[derive(Debug, Default)]
pub(super) struct LineBatch {
    /// The number of the first line; the others follow it.
    pub(super) first: u64,
    bytes: Vec<u8>,
    /// Where each line begins and ends.
    lines: Vec<(u32, u32)>,
}

/// What a connector's thread says.
pub(super) enum Message {
    Lines(LineBatch),
    /// There are no more.
    End,
    Failed(SourceError),
}

impl LineBatch {
    /// Splits a block of whole lines; the last may lack its delimiter.
    fn split(bytes: Vec<u8>, delimiter: &Delimiter) -> Self {
        let (mut lines, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let end = delimiter.find(&bytes[at..]).map_or(bytes.len(), |length| at + length);
            // A block is at most one read longer than the longest line, which is below 2 GiB.
            lines.push((at as u32, end as u32));
            at = end + delimiter.len();
        }
        LineBatch { first: 0, bytes, lines }
    }

    pub(super) fn push(&mut self, line: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(line);
        self.lines.push((start, self.bytes.len() as u32));
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn line(&self, index: usize) -> &[u8] {
        let (start, end) = self.lines[index];
        &self.bytes[start as usize..end as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.line(index))
    }
}

/// Makes batches of what one connection gives.
pub(super) struct Splitter {
    cutter: LineCutter,
    delimiter: Delimiter,
}

impl Splitter {
    pub(super) fn new(format: &LineFormat) -> Self {
        Splitter { cutter: LineCutter::new(format), delimiter: Delimiter::of(format) }
    }

    /// The buffer of the bytes that are not whole lines yet.
    pub(super) fn cutter(&mut self) -> &mut LineCutter {
        &mut self.cutter
    }

    /// The whole lines at hand.
    pub(super) fn lines(&mut self) -> Result<Option<LineBatch>, RunTooLong> {
        Ok(self.cutter.whole_lines()?.map(|bytes| LineBatch::split(bytes, &self.delimiter)))
    }

    /// What is left when the connection ended.
    pub(super) fn rest(&mut self) -> LineBatch {
        LineBatch::split(self.cutter.rest(), &self.delimiter)
    }
}

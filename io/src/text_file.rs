//! Lines of plain and gzip files.

mod read_ahead;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use millstream_engine::element::Nanos;
use millstream_engine::source::{
    PartitionId, Reader, ReaderContext, Records, Replay, Source, SourceError, SourcePoll,
};

use crate::handoff::{Consumer, Taken};
use crate::lines::{Delimiter, LineFormat};
use millstream_engine::source::offset;
use read_ahead::{Block, Message, Position};

/// The lines of files, one partition per file. A file that begins with gzip's magic number is unpacked.
///
/// A reader has a thread that reads ahead, at most about 1 MiB. The remembered offset of a partition is the place of the next line in the (unpacked)
/// file, with a checksum of the file's beginning, so that a file that was replaced since is noticed. The place in a gzip
/// file is found again by unpacking it from its beginning.
///
/// ```
/// use millstream_engine::source::Source;
/// use millstream_io::TextFiles;
///
/// let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("words.txt"), "to be\nor not\n")?;
/// let source = TextFiles::new([dir.path().join("words.txt")]);
/// assert_eq!(source.partitions()?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TextFiles {
    paths: Vec<PathBuf>,
    format: LineFormat,
}

impl TextFiles {
    /// The lines of these files. The path as given here names the partition.
    pub fn new<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        TextFiles { paths: paths.into_iter().map(Into::into).collect(), format: LineFormat::new() }
    }

    /// How the files' bytes become lines.
    pub fn format(mut self, format: LineFormat) -> Self {
        self.format = format;
        self
    }
}

impl Source for TextFiles {
    type Item = String;
    type Reader = TextReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        if self.paths.is_empty() {
            return Err(SourceError::fatal("no text file is given; name at least one"));
        }
        let mut seen = BTreeSet::new();
        let mut partitions = Vec::with_capacity(self.paths.len());
        for path in &self.paths {
            let name = path.to_str().ok_or_else(|| {
                SourceError::fatal(format!("the path {} is not UTF-8; rename the file", path.display()))
            })?;
            if !seen.insert(name) {
                return Err(SourceError::fatal(format!("{name} is given twice; name each file once")));
            }
            self.format.check(name)?;
            open_regular(path)?;
            partitions.push(PartitionId(name.to_owned()));
        }
        Ok(partitions)
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        context: &ReaderContext,
    ) -> Result<TextReader, SourceError> {
        self.format.check(&partition.0)?;
        let position = match offset {
            None => Position::default(),
            Some(bytes) => {
                let [next, head_crc] = offset::decode(partition, bytes)?;
                let head_crc = u32::try_from(head_crc).map_err(|_| {
                    SourceError::fatal(format!(
                        "{}: the remembered offset is not one of a text file",
                        partition.0
                    ))
                })?;
                Position { next, head_crc }
            }
        };
        let file = open_regular(Path::new(&partition.0))?;
        let messages =
            read_ahead::spawn(file, partition.0.clone(), position, &self.format, context.waker.clone())?;
        Ok(TextReader {
            name: partition.0.clone(),
            delimiter: Delimiter::of(&self.format),
            format: self.format.clone(),
            messages,
            block: Block { start: position.next, bytes: Vec::new() },
            at: 0,
            ended: false,
            position,
            starts: Vec::new(),
        })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Opens a file, with a clear word where that makes no sense.
fn open_regular(path: &Path) -> Result<File, SourceError> {
    let cannot = |error: io::Error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied => "give this user the right to read it",
            _ => "check the path and the disk",
        };
        SourceError::fatal(format!("cannot read {}: {error}; {remedy}", path.display())).because(error)
    };
    let kind = std::fs::metadata(path).map_err(cannot)?;
    if kind.is_dir() {
        return Err(SourceError::fatal(format!(
            "cannot read {}: it is a directory; name the files in it",
            path.display()
        )));
    }
    if !kind.is_file() {
        return Err(SourceError::fatal(format!(
            "cannot read {}: it is a pipe or device and cannot be read again after a crash; write it to a file first",
            path.display()
        )));
    }
    File::open(path).map_err(cannot)
}

/// Reads one file.
pub struct TextReader {
    name: String,
    delimiter: Delimiter,
    format: LineFormat,
    messages: Consumer<Message>,
    block: Block,
    /// Where the next line begins in the block.
    at: usize,
    ended: bool,
    /// The offset after everything handed out.
    position: Position,
    /// Where the lines of the last poll began.
    starts: Vec<u64>,
}

impl TextReader {
    /// Splits the block at hand until it is used up or the batch is full.
    fn split(&mut self, out: &mut Records<String>) -> Result<(), SourceError> {
        while out.room() > 0 && self.at < self.block.bytes.len() {
            let rest = &self.block.bytes[self.at..];
            // Only the last line of a file can lack its delimiter.
            let (line, used) = match self.delimiter.find(rest) {
                Some(end) => (&rest[..end], end + self.delimiter.len()),
                None => (rest, rest.len()),
            };
            let start = self.block.start + self.at as u64;
            if let Some(text) = self.format.text(line, || place(&self.name, start))? {
                out.push(text);
                self.starts.push(start);
            }
            self.at += used;
            self.position.advance(&self.block.bytes[self.at - used..self.at]);
        }
        Ok(())
    }
}

fn place(name: &str, byte: u64) -> String {
    format!("{name}, byte {byte}")
}

impl Reader for TextReader {
    type Item = String;

    fn poll(&mut self, _now: Nanos, out: &mut Records<String>) -> Result<SourcePoll, SourceError> {
        self.starts.clear();
        loop {
            self.split(out)?;
            if out.room() == 0 {
                return Ok(SourcePoll::More);
            }
            if self.ended {
                return Ok(SourcePoll::End);
            }
            match self.messages.take() {
                Taken::Item(Message::Block(block)) => {
                    self.block = block;
                    self.at = 0;
                }
                Taken::Item(Message::End) => self.ended = true,
                Taken::Item(Message::Failed(error)) => return Err(error),
                Taken::Empty => return Ok(SourcePoll::Idle { until: None }),
                Taken::Closed => {
                    return Err(SourceError::retryable(format!(
                        "the thread that read {} ended unexpectedly",
                        self.name
                    )));
                }
            }
        }
    }

    fn offset(&self, out: &mut Vec<u8>) {
        offset::encode([self.position.next, u64::from(self.position.head_crc)], out);
    }

    fn place(&self, index: usize) -> String {
        match self.starts.get(index) {
            Some(&start) => place(&self.name, start),
            None => place(&self.name, self.position.next),
        }
    }
}

#[cfg(test)]
mod tests;

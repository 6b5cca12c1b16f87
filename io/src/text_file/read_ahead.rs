//! The thread that reads a file ahead of its shard and cuts it into blocks of whole lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::MultiGzDecoder;
use millstream_engine::runtime::Waker;
use millstream_engine::runtime::beside::spawn_beside;
use millstream_engine::source::SourceError;

use crate::handoff::{Consumer, Producer, handoff};
use crate::lines::{LineCutter, LineFormat};

/// How much is read at a time.
const BLOCK_BYTES: usize = 256 * 1024;
/// How many blocks wait for the shard.
const BLOCKS_AHEAD: usize = 4;
/// How much of a file's beginning tells it from another.
const HEAD_BYTES: u64 = 4096;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Whole lines of a file; the last line of the file may lack its delimiter.
pub(super) struct Block {
    /// Where the block begins in the unpacked file.
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
}

/// What the thread says.
pub(super) enum Message {
    Block(Block),
    /// The file's end was reached.
    End,
    Failed(SourceError),
}

/// A place in a file that can be found again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The byte where the next line begins, counted in the unpacked file.
    pub(super) next: u64,
    /// The CRC-32 of the file's first `min(next, HEAD_BYTES)` bytes.
    pub(super) head_crc: u32,
}

impl Position {
    /// Goes past the bytes that come next.
    #[inline]
    pub(super) fn advance(&mut self, bytes: &[u8]) {
        if self.next < HEAD_BYTES {
            let head = bytes.len().min((HEAD_BYTES - self.next) as usize);
            let mut hasher = crc32fast::Hasher::new_with_initial(self.head_crc);
            hasher.update(&bytes[..head]);
            self.head_crc = hasher.finalize();
        }
        self.next += bytes.len() as u64;
    }
}

/// Starts the thread. It ends by itself when the consumer is dropped.
pub(super) fn spawn(
    file: File,
    name: String,
    from: Position,
    format: &LineFormat,
    waker: Waker,
) -> Result<Consumer<Message>, SourceError> {
    let (producer, consumer) = handoff(BLOCKS_AHEAD, waker);
    let (format, reader_name) = (format.clone(), name.clone());
    let thread = spawn_beside("read-file", move || {
        let last = match (ReadAhead { name: reader_name, from, format, producer: &producer }).run(file) {
            Ok(()) => Message::End,
            Err(error) => Message::Failed(error),
        };
        // A consumer that is gone needs no answer.
        let _ = producer.push(last);
    });
    thread.map_err(|e| {
        SourceError::retryable(format!("cannot start a thread to read {name}: {e}")).because(e)
    })?;
    Ok(consumer)
}

struct ReadAhead<'a> {
    name: String,
    from: Position,
    format: LineFormat,
    producer: &'a Producer<Message>,
}

impl ReadAhead<'_> {
    fn run(&self, mut file: File) -> Result<(), SourceError> {
        let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
        (&mut file)
            .take(GZIP_MAGIC.len() as u64)
            .read_to_end(&mut magic)
            .and_then(|_| file.rewind())
            .map_err(|e| self.unreadable(0, e))?;
        if magic == GZIP_MAGIC || self.name.ends_with(".gz") {
            let mut input =
                MultiGzDecoder::new(Counted { inner: BufReader::with_capacity(BLOCK_BYTES, file), used: 0 });
            self.skip(&mut input, self.from.next, Self::corrupt)?;
            self.lines(&mut input, Self::corrupt)
        } else {
            let length = file.metadata().map_err(|e| self.unreadable(0, e))?.len();
            if length < self.from.next {
                return Err(self.shorter(length));
            }
            let failed = |this: &Self, _: &File, at: u64, error: io::Error| this.unreadable(at, error);
            self.skip(&mut file, self.from.next.min(HEAD_BYTES), failed)?;
            file.seek(SeekFrom::Start(self.from.next)).map_err(|e| self.unreadable(self.from.next, e))?;
            self.lines(&mut file, failed)
        }
    }

    /// Reads past the first `bytes` bytes and makes sure that the file begins as it did.
    fn skip<R: Read>(
        &self,
        input: &mut R,
        bytes: u64,
        failed: impl Fn(&Self, &R, u64, io::Error) -> SourceError,
    ) -> Result<(), SourceError> {
        let mut position = Position::default();
        let mut buffer = vec![0; BLOCK_BYTES];
        while position.next < bytes {
            let room = buffer.len().min((bytes - position.next) as usize);
            match input.read(&mut buffer[..room]) {
                Ok(0) => return Err(self.shorter(position.next)),
                Ok(n) => position.advance(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(self, input, position.next, e)),
            }
            if self.producer.is_closed() {
                return Ok(());
            }
        }
        if position.head_crc != self.from.head_crc {
            return Err(SourceError::fatal(format!(
                "{} is not the file that the checkpoint was made with: its first {} bytes differ; put the old file back, \
                 or start with a new state directory",
                self.name,
                bytes.min(HEAD_BYTES)
            )));
        }
        Ok(())
    }

    /// Hands out everything from here to the end.
    fn lines<R: Read>(
        &self,
        input: &mut R,
        failed: impl Fn(&Self, &R, u64, io::Error) -> SourceError,
    ) -> Result<(), SourceError> {
        let mut cutter = LineCutter::new(&self.format);
        let mut start = self.from.next;
        let mut read = self.from.next;
        loop {
            match cutter.fill(BLOCK_BYTES, |room| input.read(room)) {
                Ok(0) => break,
                Ok(n) => read += n as u64,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(failed(self, input, read, e)),
            }
            let lines = cutter
                .whole_lines()
                .map_err(|_| self.format.too_long(format!("{}, byte {start}", self.name)))?;
            if let Some(bytes) = lines
                && !self.hand_out(&mut start, bytes)
            {
                return Ok(());
            }
        }
        let rest = cutter.rest();
        if !rest.is_empty() {
            self.hand_out(&mut start, rest);
        }
        Ok(())
    }

    /// Says whether somebody still listens.
    fn hand_out(&self, start: &mut u64, bytes: Vec<u8>) -> bool {
        let block = Block { start: *start, bytes };
        *start += block.bytes.len() as u64;
        self.producer.push(Message::Block(block)).is_ok()
    }

    fn shorter(&self, length: u64) -> SourceError {
        SourceError::fatal(format!(
            "{} was truncated: it has {length} bytes, and the checkpoint goes on at byte {}; put the old file back, or \
             start with a new state directory",
            self.name, self.from.next
        ))
    }

    fn unreadable(&self, at: u64, error: io::Error) -> SourceError {
        SourceError::retryable(format!("cannot read {} at byte {at}: {error}", self.name)).because(error)
    }

    fn corrupt<R: BufRead>(
        &self,
        input: &MultiGzDecoder<Counted<R>>,
        at: u64,
        error: io::Error,
    ) -> SourceError {
        let packed = input.get_ref().used;
        if !matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
        ) {
            return self.unreadable(packed, error);
        }
        let what = if error.kind() == io::ErrorKind::UnexpectedEof { "truncated" } else { "corrupt" };
        SourceError::fatal(format!(
            "{} is a {what} gzip file at byte {packed} (unpacked byte {at}): {error}; check it with `gzip -t`, and fetch it again",
            self.name
        ))
        .because(error)
    }
}

/// Counts how many bytes of a file were used.
struct Counted<R> {
    inner: R,
    used: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.used += n as u64;
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount as u64;
        self.inner.consume(amount);
    }
}

//! Part files that appear when their checkpoint is durable, and only then: exactly once.

mod names;
mod owners;
mod recover;
mod writer;

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;

use millstream_engine::element::{Epoch, Timestamp};
use millstream_engine::sink::{Committable, Delivery, Sink, SinkContext, SinkError};

use owners::Claim;
use writer::{Command, Writer};

/// Lines go to the writer thread in pieces of this size.
const CHUNK_BYTES: usize = 64 * 1024;
/// The shard waits when this much is on its way to the disk.
const QUEUED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A part file is followed by another when it has grown to this size, unless set: 128 MiB.
pub const ROLL_BYTES_DEFAULT: u64 = 128 * 1024 * 1024;

/// Writes each record's `Display` as a line into part files in a directory.
///
/// Each shard writes files of its own, on a thread of its own:
///
/// ```text
/// .inprogress-<shard>-<number>            being written
/// .pending-<shard>-<epoch>-<number>       complete and synced; waits for its checkpoint to be durable
/// part-<shard>-<epoch>-<number>           committed, by a rename
/// ```
///
/// Whoever reads `part-*` never sees half a line or a record twice, however often the job is killed and started
/// again. Numbers go up per shard, so that no name is used twice. No file is made for an epoch without output. The directory is
/// made where only it is missing; the file `.lock` in it keeps other processes out while the job runs.
///
/// ```
/// use millstream_io::FileSink;
///
/// let sink = FileSink::lines("counts").roll_bytes(16 * 1024 * 1024);
/// ```
#[derive(Debug)]
pub struct FileSink {
    dir: PathBuf,
    roll_bytes: u64,
    roll_records: u64,
    buffer: Vec<u8>,
    /// What the file being written will hold, with what is in the buffer.
    file_bytes: u64,
    file_records: u64,
    running: Option<Running>,
}

/// What an opened sink has.
#[derive(Debug)]
struct Running {
    writer: Writer,
    /// Whether there was output since the last cut.
    wrote: bool,
    /// The newest cut.
    cut: Epoch,
    /// Keeps the directory to this job. Last, so that it outlives the writer.
    _claim: Arc<Claim>,
}

impl FileSink {
    /// One line per record, into part files in this directory.
    pub fn lines(dir: impl Into<PathBuf>) -> Self {
        FileSink {
            dir: dir.into(),
            roll_bytes: ROLL_BYTES_DEFAULT,
            roll_records: u64::MAX,
            buffer: Vec::with_capacity(CHUNK_BYTES),
            file_bytes: 0,
            file_records: 0,
            running: None,
        }
    }

    /// Begins another part file when one has at least this many bytes.
    pub fn roll_bytes(mut self, bytes: u64) -> Self {
        self.roll_bytes = bytes.max(1);
        self
    }

    /// Begins another part file when one has this many records.
    pub fn roll_records(mut self, records: u64) -> Self {
        self.roll_records = records.max(1);
        self
    }

    fn running(&mut self) -> Result<&mut Running, SinkError> {
        self.running.as_mut().ok_or_else(|| {
            SinkError::fatal(format!("the sink into {} is used before it is opened", self.dir.display()))
        })
    }

    /// Hands the buffer to the writer.
    fn hand_over(&mut self) -> Result<(), SinkError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        self.running()?.writer.send(Command::Write(chunk))
    }

    fn roll(&mut self) -> Result<(), SinkError> {
        self.hand_over()?;
        self.file_bytes = 0;
        self.file_records = 0;
        self.running()?.writer.send(Command::Roll)
    }
}

impl<R: Display + ?Sized> Sink<R> for FileSink {
    fn delivery(&self) -> Delivery {
        Delivery::Transactional
    }

    fn open(&mut self, context: &SinkContext, recovered: &[Committable]) -> Result<(), SinkError> {
        // An instance opened once more starts over, as a new one would.
        self.running = None;
        self.buffer.clear();
        (self.file_bytes, self.file_records) = (0, 0);
        recover::make_dir(&self.dir)?;
        let claim = owners::claim(&self.dir, &format!("{}/{}", context.job, context.operator))?;
        let next_number = recover::recover(&self.dir, context, recovered)?;
        let writer = Writer::start(&self.dir, context.shard, next_number, context.waker.clone())?;
        self.running = Some(Running { writer, wrote: false, cut: context.restored, _claim: claim });
        Ok(())
    }

    fn ready(&mut self) -> bool {
        // A sink that failed is ready: the next call tells.
        self.running.as_ref().is_none_or(|running| running.writer.has_room(QUEUED_BYTES_MAX))
    }

    fn write(&mut self, record: &R, _at: Timestamp) -> Result<(), SinkError> {
        let before = self.buffer.len();
        writeln!(self.buffer, "{record}").map_err(|error| {
            SinkError::fatal(format!("the record's Display failed: {error}")).because(error)
        })?;
        self.file_bytes += (self.buffer.len() - before) as u64;
        self.file_records += 1;
        self.running()?.wrote = true;
        if self.file_bytes >= self.roll_bytes || self.file_records >= self.roll_records {
            self.roll()
        } else if self.buffer.len() >= CHUNK_BYTES {
            self.hand_over()
        } else {
            Ok(())
        }
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        self.hand_over()?;
        (self.file_bytes, self.file_records) = (0, 0);
        let running = self.running()?;
        if epoch <= running.cut {
            return Err(SinkError::fatal(format!(
                "epoch {epoch} cannot be cut after epoch {}: the engine's epochs must go up",
                running.cut
            )));
        }
        running.cut = epoch;
        if std::mem::take(&mut running.wrote) { running.writer.send(Command::Cut(epoch)) } else { Ok(()) }
    }

    fn poll_prepared(&mut self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        match self.running() {
            Ok(running) => running.writer.prepared(epoch),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        self.running()?.writer.send(Command::Commit(epoch))
    }

    fn poll_committed(&mut self, epoch: Epoch) -> Poll<Result<(), SinkError>> {
        match self.running() {
            Ok(running) => running.writer.committed(epoch),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn close(&mut self) -> Result<(), SinkError> {
        match self.running.take() {
            Some(running) => running.writer.finish(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;

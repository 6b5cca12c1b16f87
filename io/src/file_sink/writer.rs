//! The thread that writes, cuts and commits a shard's part files.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::JoinHandle;

use millstream_engine::element::{Epoch, ShardId};
use millstream_engine::runtime::Waker;
use millstream_engine::runtime::beside::spawn_beside;
use millstream_engine::sink::SinkError;

use super::names::{self, PartFile};

/// What the shard asks for, in order.
pub(super) enum Command {
    /// Append whole lines.
    Write(Vec<u8>),
    /// Go on in another file.
    Roll,
    /// Everything so far belongs to the cut of this epoch: make it safe.
    Cut(Epoch),
    /// Make the cuts up to this epoch visible.
    Commit(Epoch),
    /// End.
    Finish,
}

/// The shard's hold on the thread. Dropping it abandons what is not committed, as a crash would.
#[derive(Debug)]
pub(super) struct Writer {
    commands: Sender<Command>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    progress: Mutex<Progress>,
    queued_bytes: AtomicUsize,
    abandoned: AtomicBool,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Progress {
    /// Cuts asked for and not safe yet.
    cutting: Vec<Epoch>,
    /// Safe files whose commit was not carried out, by epoch.
    pending: BTreeMap<Epoch, Vec<PartFile>>,
    /// Commits asked for and not carried out yet.
    committing: Vec<Epoch>,
    failed: Option<Failure>,
}

/// The first thing that went wrong; told at every later call.
#[derive(Clone, Debug)]
struct Failure {
    what: String,
    retryable: bool,
}

impl Failure {
    fn error(&self) -> SinkError {
        let what = self.what.clone();
        if self.retryable { SinkError::retryable(what) } else { SinkError::fatal(what) }
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        // A panic of the thread is told by `Writer::send`; what is here is whole.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    pub(super) fn start(
        dir: &Path,
        shard: ShardId,
        next_number: u64,
        waker: Waker,
    ) -> Result<Writer, SinkError> {
        let shared = Arc::new(Shared {
            progress: Mutex::default(),
            queued_bytes: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
            waker,
        });
        let (commands, received) = channel();
        let worker = Worker {
            dir: dir.to_owned(),
            shard: shard.0,
            next_number,
            shared: shared.clone(),
            open: None,
            rolled: Vec::new(),
        };
        let thread = spawn_beside(format!("file-sink-{shard}"), move || worker.run(&received));
        let thread = thread.map_err(|e| {
            SinkError::retryable(format!("cannot start a thread to write into {}: {e}", dir.display()))
                .because(e)
        })?;
        Ok(Writer { commands, shared, thread: Some(thread) })
    }

    pub(super) fn has_room(&self, bytes_max: usize) -> bool {
        self.shared.queued_bytes.load(Ordering::Acquire) < bytes_max
    }

    pub(super) fn send(&self, command: Command) -> Result<(), SinkError> {
        let mut progress = self.shared.progress();
        if let Some(failure) = &progress.failed {
            return Err(failure.error());
        }
        match &command {
            Command::Write(chunk) => {
                self.shared.queued_bytes.fetch_add(chunk.len(), Ordering::AcqRel);
            }
            Command::Cut(epoch) => progress.cutting.push(*epoch),
            Command::Commit(epoch) => progress.committing.push(*epoch),
            Command::Roll | Command::Finish => {}
        }
        drop(progress);
        self.commands.send(command).map_err(|_| Self::died())
    }

    fn died() -> SinkError {
        SinkError::retryable("the thread that wrote part files ended unexpectedly")
    }

    /// Whether a call that waits for the thread can still be answered.
    fn check(&self, progress: &Progress) -> Result<(), SinkError> {
        match &progress.failed {
            Some(failure) => Err(failure.error()),
            None if self.thread.as_ref().is_none_or(JoinHandle::is_finished) => Err(Self::died()),
            None => Ok(()),
        }
    }

    /// Everything cut up to `epoch` and not committed yet: a cut whose checkpoint failed goes along with the next.
    pub(super) fn prepared(&self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        let progress = self.shared.progress();
        if let Err(error) = self.check(&progress) {
            return Poll::Ready(Err(error));
        }
        if progress.cutting.iter().any(|cut| *cut <= epoch) {
            return Poll::Pending;
        }
        let mut files = progress.pending.range(..=epoch).flat_map(|(_, files)| files).peekable();
        Poll::Ready(Ok(files.peek().is_some().then(|| names::encode(files))))
    }

    pub(super) fn committed(&self, epoch: Epoch) -> Poll<Result<(), SinkError>> {
        let progress = self.shared.progress();
        if let Err(error) = self.check(&progress) {
            return Poll::Ready(Err(error));
        }
        if progress.committing.iter().any(|asked| *asked <= epoch) {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// Carries out what was asked for, and ends the thread.
    pub(super) fn finish(mut self) -> Result<(), SinkError> {
        self.send(Command::Finish)?;
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(Self::died()),
            _ => self.shared.progress().failed.as_ref().map_or(Ok(()), |failure| Err(failure.error())),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Release);
        // The thread may wait for a command; whether it gets this one does not matter.
        let _ = self.commands.send(Command::Finish);
        if let Some(thread) = self.thread.take() {
            // A successor must not meet this thread's renames; how it ended no longer matters.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Worker {
    dir: PathBuf,
    shard: u16,
    next_number: u64,
    shared: Arc<Shared>,
    open: Option<OpenFile>,
    /// Files of the current epoch that are full.
    rolled: Vec<OpenFile>,
}

struct OpenFile {
    path: PathBuf,
    file: File,
    number: u64,
    bytes: u64,
}

impl Worker {
    fn run(mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            if self.shared.abandoned.load(Ordering::Acquire) || matches!(command, Command::Finish) {
                return;
            }
            if let Err(error) = self.carry_out(command) {
                let failure = Failure { what: error.what, retryable: error.retryable };
                self.shared.progress().failed = Some(failure);
                // A shard that waits for room is let go to meet the error.
                self.shared.queued_bytes.store(0, Ordering::Release);
                self.shared.waker.wake();
                return;
            }
            self.shared.waker.wake();
        }
    }

    fn carry_out(&mut self, command: Command) -> Result<(), SinkError> {
        match command {
            Command::Write(chunk) => {
                self.append(&chunk)?;
                self.shared.queued_bytes.fetch_sub(chunk.len(), Ordering::AcqRel);
            }
            Command::Roll => self.rolled.extend(self.open.take()),
            Command::Cut(epoch) => {
                let files = self.cut(epoch)?;
                let mut progress = self.shared.progress();
                progress.cutting.retain(|cut| *cut != epoch);
                progress.pending.insert(epoch, files);
            }
            Command::Commit(epoch) => {
                // What is being committed stays pending until that is durable: a checkpoint completed meanwhile must
                // list it.
                let files: Vec<PartFile> = self
                    .shared
                    .progress()
                    .pending
                    .range(..=epoch)
                    .flat_map(|(_, files)| files)
                    .cloned()
                    .collect();
                self.commit(&files)?;
                let mut progress = self.shared.progress();
                progress.pending.retain(|cut, _| *cut > epoch);
                progress.committing.retain(|asked| *asked != epoch);
            }
            Command::Finish => {}
        }
        Ok(())
    }

    fn append(&mut self, chunk: &[u8]) -> Result<(), SinkError> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let path = names::in_progress(&self.dir, self.shard, self.next_number);
                let file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(&path)
                    .map_err(|e| failed("make", &path, e))?;
                let number = self.next_number;
                self.next_number += 1;
                self.open.insert(OpenFile { path, file, number, bytes: 0 })
            }
        };
        open.file.write_all(chunk).map_err(|e| failed("write to", &open.path, e))?;
        open.bytes += chunk.len() as u64;
        Ok(())
    }

    /// Makes the files of the epoch that ends safe: contents first, then names.
    fn cut(&mut self, epoch: Epoch) -> Result<Vec<PartFile>, SinkError> {
        let mut parts = Vec::new();
        self.rolled.extend(self.open.take());
        for open in self.rolled.drain(..) {
            open.file.sync_data().map_err(|e| failed("sync", &open.path, e))?;
            let part = PartFile { shard: self.shard, epoch: epoch.0, number: open.number, bytes: open.bytes };
            fs::rename(&open.path, part.pending(&self.dir)).map_err(|e| failed("rename", &open.path, e))?;
            parts.push(part);
        }
        if !parts.is_empty() {
            sync_dir(&self.dir)?;
        }
        Ok(parts)
    }

    fn commit(&self, files: &[PartFile]) -> Result<(), SinkError> {
        for file in files {
            let (pending, committed) = (file.pending(&self.dir), file.committed(&self.dir));
            if committed.exists() {
                return Err(SinkError::fatal(format!(
                    "cannot commit {}: a file with this name was put there by something else; move it away",
                    committed.display()
                )));
            }
            fs::rename(&pending, &committed).map_err(|e| failed("commit", &committed, e))?;
        }
        if files.is_empty() { Ok(()) } else { sync_dir(&self.dir) }
    }
}

fn failed(attempt: &str, path: &Path, error: io::Error) -> SinkError {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full: make room",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "give this user the right to write there"
        }
        io::ErrorKind::NotFound => "something removed the file or its directory",
        _ => "check the disk",
    };
    SinkError::retryable(format!("cannot {attempt} {}: {error}; {remedy}", path.display())).because(error)
}

/// Makes renames in the directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), SinkError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| failed("sync", dir, e))
}

//! The disk of the thread driver: one thread per job that reads, writes and syncs for all its shards, behind channels.

use super::super::wake::Waker;
use super::DriverError;
use crate::disk::{DiskBuffer, DiskDone, DiskError, DiskOp, FileHandle, ShardDisk};
use crate::element::ShardId;
use crate::runtime::beside::spawn_beside;
use std::any::Any;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

const HELPER_NAME: &str = "mill-disk";

/// An order of a shard, or its farewell.
pub(super) enum Job {
    Do {
        shard: ShardId,
        ticket: u64,
        order: Order,
        reply: Reply,
    },
    /// Closes what the shard left open.
    Leave {
        shard: ShardId,
    },
}

/// A [`DiskOp`] that may change threads.
pub(super) enum Order {
    Create { file: FileHandle, path: PathBuf },
    Open { file: FileHandle, path: PathBuf },
    Write { file: FileHandle, offset: u64, buffer: HeapBuffer },
    Read { file: FileHandle, offset: u64, buffer: HeapBuffer },
    Sync { file: FileHandle },
    Close { file: FileHandle },
}

/// The way back to a shard.
#[derive(Clone)]
pub(super) struct Reply {
    answers: Sender<Answer>,
    waiting: Arc<AtomicUsize>,
    waker: Waker,
}

struct Answer {
    ticket: u64,
    result: Result<(), DiskError>,
    buffer: Option<HeapBuffer>,
}

/// Memory for I/O through the page cache.
pub(super) struct HeapBuffer(Vec<u8>);

impl DiskBuffer for HeapBuffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Starts a job's I/O thread. It ends when the last sender is gone.
pub(super) fn start_helper() -> Result<(Sender<Job>, JoinHandle<()>), DriverError> {
    let (jobs, receiver) = mpsc::channel();
    let thread = spawn_beside(HELPER_NAME, move || Helper::default().run(&receiver))
        .map_err(|error| DriverError::Spawn { name: HELPER_NAME.to_owned(), error })?;
    Ok((jobs, thread))
}

/// The I/O thread's side.
#[derive(Default)]
struct Helper {
    files: HashMap<(ShardId, FileHandle), (File, PathBuf)>,
}

impl Helper {
    fn run(mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            match job {
                Job::Do { shard, ticket, order, reply } => {
                    let (result, buffer) = self.carry_out(shard, order);
                    // The shard may be gone; then nobody minds.
                    if reply.answers.send(Answer { ticket, result, buffer }).is_ok() {
                        reply.waiting.fetch_add(1, Ordering::Release);
                        reply.waker.wake();
                    }
                }
                Job::Leave { shard } => self.files.retain(|(owner, _), _| *owner != shard),
            }
        }
    }

    fn carry_out(&mut self, shard: ShardId, order: Order) -> (Result<(), DiskError>, Option<HeapBuffer>) {
        match order {
            Order::Create { file, path } => {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create(true).truncate(true);
                (self.open(shard, file, path, &options, attempt::CREATE), None)
            }
            Order::Open { file, path } => {
                (self.open(shard, file, path, OpenOptions::new().read(true), attempt::OPEN), None)
            }
            Order::Write { file, offset, buffer } => {
                let write = |file: &File| file.write_all_at(&buffer.0, offset);
                (self.with_file(shard, file, attempt::WRITE, write), Some(buffer))
            }
            Order::Read { file, offset, mut buffer } => {
                let read = |file: &File| read_to_end_of_file(file, &mut buffer.0, offset);
                (self.with_file(shard, file, attempt::READ, read), Some(buffer))
            }
            Order::Sync { file } => (self.with_file(shard, file, attempt::SYNC, File::sync_data), None),
            Order::Close { file } => match self.files.remove(&(shard, file)) {
                Some(_) => (Ok(()), None),
                None => (Err(not_open(attempt::CLOSE, file)), None),
            },
        }
    }

    fn open(
        &mut self,
        shard: ShardId,
        file: FileHandle,
        path: PathBuf,
        options: &OpenOptions,
        attempt: &'static str,
    ) -> Result<(), DiskError> {
        let opened = options.open(&path).map_err(|error| DiskError::new(attempt, &path, &error))?;
        self.files.insert((shard, file), (opened, path));
        Ok(())
    }

    fn with_file(
        &self,
        shard: ShardId,
        file: FileHandle,
        attempt: &'static str,
        run: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(), DiskError> {
        let (opened, path) = self.files.get(&(shard, file)).ok_or_else(|| not_open(attempt, file))?;
        run(opened).map_err(|error| DiskError::new(attempt, path, &error))
    }
}

fn read_to_end_of_file(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => break,
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The shard's side.
pub(super) struct BlockingDisk {
    shard: ShardId,
    jobs: Sender<Job>,
    reply: Reply,
    answers: Receiver<Answer>,
    next_ticket: u64,
    outstanding: usize,
    /// Orders that were refused before they reached the I/O thread.
    refused: Vec<DiskDone>,
}

/// Tells whether a shard's disk has answers waiting; for its driver.
pub(super) struct Answered(Arc<AtomicUsize>);

impl Answered {
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

impl BlockingDisk {
    /// A shard's disk; answers wake the shard.
    pub(super) fn new(shard: ShardId, jobs: Sender<Job>, waker: Waker) -> Self {
        let (sender, answers) = mpsc::channel();
        let reply = Reply { answers: sender, waiting: Arc::default(), waker };
        BlockingDisk { shard, jobs, reply, answers, next_ticket: 0, outstanding: 0, refused: Vec::new() }
    }

    pub(super) fn answered(&self) -> Answered {
        Answered(self.reply.waiting.clone())
    }

    fn order(op: DiskOp) -> Result<Order, (DiskError, Box<dyn DiskBuffer>)> {
        Ok(match op {
            DiskOp::Create { file, path } => Order::Create { file, path },
            DiskOp::Open { file, path } => Order::Open { file, path },
            DiskOp::Write { file, offset, buffer } => {
                Order::Write { file, offset, buffer: own_buffer(attempt::WRITE, buffer)? }
            }
            DiskOp::Read { file, offset, buffer } => {
                Order::Read { file, offset, buffer: own_buffer(attempt::READ, buffer)? }
            }
            DiskOp::Sync { file } => Order::Sync { file },
            DiskOp::Close { file } => Order::Close { file },
        })
    }
}

impl ShardDisk for BlockingDisk {
    fn buffer(&mut self, len: usize) -> Box<dyn DiskBuffer> {
        Box::new(HeapBuffer(vec![0; len]))
    }

    fn submit(&mut self, op: DiskOp) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.outstanding += 1;
        match Self::order(op) {
            Ok(order) => {
                let job = Job::Do { shard: self.shard, ticket, order, reply: self.reply.clone() };
                self.jobs.send(job).expect("the I/O thread lives as long as one disk does");
            }
            Err((error, buffer)) => {
                self.refused.push(DiskDone { ticket, result: Err(error), buffer: Some(buffer) });
                self.reply.waiting.fetch_add(1, Ordering::Relaxed);
            }
        }
        ticket
    }

    fn poll(&mut self) -> Option<DiskDone> {
        if self.reply.waiting.load(Ordering::Acquire) == 0 {
            return None;
        }
        let done = self.refused.pop().or_else(|| {
            let Answer { ticket, result, buffer } = self.answers.try_recv().ok()?;
            Some(DiskDone { ticket, result, buffer: buffer.map(|b| Box::new(b) as Box<dyn DiskBuffer>) })
        })?;
        self.reply.waiting.fetch_sub(1, Ordering::Relaxed);
        self.outstanding -= 1;
        Some(done)
    }

    fn outstanding(&self) -> usize {
        self.outstanding
    }
}

impl Drop for BlockingDisk {
    fn drop(&mut self) {
        // The I/O thread first finishes what was ordered before.
        let _ = self.jobs.send(Job::Leave { shard: self.shard });
    }
}

/// What an operation is called in its error.
pub(super) mod attempt {
    pub(in super::super) const CREATE: &str = "cannot create";
    pub(in super::super) const OPEN: &str = "cannot open";
    pub(in super::super) const WRITE: &str = "cannot write to";
    pub(in super::super) const READ: &str = "cannot read";
    pub(in super::super) const SYNC: &str = "cannot sync";
    pub(in super::super) const CLOSE: &str = "cannot close";
}

/// The answer to an operation on a handle that names no open file.
pub(super) fn not_open(attempt: &'static str, file: FileHandle) -> DiskError {
    let error = io::Error::new(io::ErrorKind::InvalidInput, "no such file is open on this shard");
    DiskError::new(attempt, Path::new(&format!("file {}", file.0)), &error)
}

/// A buffer as the disk's own type. One of another disk is refused and given back.
pub(super) fn own_buffer<B: DiskBuffer>(
    attempt: &'static str,
    buffer: Box<dyn DiskBuffer>,
) -> Result<B, (DiskError, Box<dyn DiskBuffer>)> {
    let any: &dyn Any = &*buffer;
    if !any.is::<B>() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "the buffer was made by another disk");
        return Err((DiskError::new(attempt, Path::new("a file"), &error), buffer));
    }
    let any: Box<dyn Any> = buffer;
    Ok(*any.downcast::<B>().expect("the type was checked above"))
}

//! The glommio driver: one io_uring executor per shard. The only file that names the glommio crate.
//!
//! A busy task never reaches glommio's reactor by yielding, and a trip to the reactor costs microseconds; so the shard goes there of
//! its own accord, by letting the executor's run queue run empty:
//!
//! ```text
//!                     I/O in flight                                  none
//!   busy              a trip every 100 us                            step on
//!   idle              a trip at once where an operation is new,      look again, or sleep on the shard's
//!                     else every 25 us; sleeps of at most 100 us     futex (Waker)
//! ```
//!
//! The executor itself never sleeps: it would hear no neighbour meanwhile, and its sleep takes 22 us to end, where the futex's takes 5.

use super::blocking::{attempt, not_open, own_buffer};
use super::io_workers::{WorkerCores, place_workers};
use super::launch::{self, Seat};
use super::shard::{Shard, Turn, name_thread};
use super::{Clock, DriverError, DriverKind, NotStarted, RunningShards, ShardFailure, ShardSpec};
use crate::disk::{BLOCK_BYTES, DiskBuffer, DiskDone, DiskError, DiskOp, FileHandle, ShardDisk};
use crate::element::{Nanos, ShardId};
use crate::limits::IO_BYTES_PER_SHARD;
use crate::runtime::placement::{CoreId, available_cores, cores_held};
use crate::runtime::wait::Rest;
use glommio::io::{BufferedFile, DmaBuffer, DmaFile, OpenOptions};
use glommio::timer::Timer;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// How often a busy shard with I/O in flight enters the reactor.
const TRIP_BUSY: Duration = Duration::from_micros(100);
/// How often an idle shard that does not want to sleep does so.
const TRIP_SPINNING: Duration = Duration::from_micros(25);
/// The longest sleep of a shard that has I/O in flight, whose end wakes nobody.
const SLEEP_MAX: Duration = Duration::from_micros(100);
/// Short enough to have passed when the executor looks at its timers, long enough not to have passed when it is set.
const TRIP_TIMER: Duration = Duration::from_nanos(200);

/// Starts shards, each in an executor of its own.
pub(super) fn start(clock: Clock, specs: Vec<ShardSpec>) -> Result<RunningShards, NotStarted> {
    // Those of other jobs, too.
    let of_shards = specs.iter().filter_map(|spec| spec.core).chain(cores_held());
    let workers = WorkerCores::new(&available_cores(), of_shards);
    launch::launch::<GlommioSeat>(clock, specs, workers)
}

/// Makes an executor and drops it, on a thread of its own.
pub(super) fn probe() -> Result<(), String> {
    let probe = || make_executor(None).map(drop);
    let thread = std::thread::Builder::new().name("mill-probe".to_owned()).spawn(probe);
    let answer = thread.map_err(|error| error.to_string())?.join();
    answer.unwrap_or_else(|panic| Err(super::panic_message(panic.as_ref())))
}

fn make_executor(core: Option<CoreId>) -> Result<LocalExecutor, String> {
    let placement = core.map_or(Placement::Unbound, |core| Placement::Fixed(core.0));
    let builder = LocalExecutorBuilder::new(placement)
        .io_memory(IO_BYTES_PER_SHARD)
        // For ever: see above.
        .spin_before_park(Duration::MAX)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1));
    builder.make().map_err(|error| error.to_string())
}

struct GlommioSeat {
    executor: LocalExecutor,
}

impl Seat for GlommioSeat {
    type Config = WorkerCores;
    const KIND: DriverKind = DriverKind::Glommio;

    fn prepare(shard: ShardId, core: Option<CoreId>, workers: WorkerCores) -> Result<Self, DriverError> {
        if let Some(core) = core {
            launch::check_core(shard, core)?;
        }
        // glommio starts a thread of its own here, unpinned; it must not look like the shard's.
        name_thread(&format!("mill-pool-{shard}"));
        let executor = make_executor(core);
        name_thread(&launch::thread_name(shard));
        let executor = executor.map_err(|message| DriverError::Executor { shard, message })?;
        if let Some(core) = core {
            place_workers(core, &workers);
        }
        Ok(GlommioSeat { executor })
    }

    fn run(self, spec: ShardSpec, clock: Clock) -> Result<(), ShardFailure> {
        self.executor.run(run_shard(spec, clock))
    }
}

async fn run_shard(spec: ShardSpec, clock: Clock) -> Result<(), ShardFailure> {
    let io = Rc::new(Io::default());
    let disk = UringDisk { io: io.clone(), next_ticket: 0 };
    // The reactor lives in real time, whatever the job's clock says.
    let real = Clock::wall();
    let mut reactor =
        Reactor { io: io.clone(), timer: Timer::new(TRIP_TIMER), last_trip: Nanos(0), clock: real };
    let result = match Shard::build(spec, clock, Box::new(disk)) {
        Ok(mut shard) => {
            let result = step_until_done(&mut shard, &mut reactor).await;
            result.and(shard.close())
        }
        Err(failure) => Err(failure),
    };
    // What was ordered is carried out, as with every driver; nothing writes once the shard has ended.
    while io.in_flight.get() > 0 {
        reactor.trip().await;
        std::thread::sleep(SLEEP_MAX);
    }
    let files: Vec<_> = io.files.borrow_mut().drain().collect();
    for (_, file) in files {
        // The descriptor is gone either way, and what had to be durable was synced before.
        let _ = file.close().await;
    }
    result
}

async fn step_until_done(shard: &mut Shard, reactor: &mut Reactor) -> Result<(), ShardFailure> {
    let io = reactor.io.clone();
    loop {
        let turn = shard.turn()?;
        let in_flight = io.in_flight.get() > 0;
        match turn {
            Turn::Again if in_flight => reactor.trip_if_older_than(TRIP_BUSY).await,
            Turn::Again => {}
            Turn::Rest(mut rest) => {
                if in_flight {
                    let age = if io.fresh.get() { Duration::ZERO } else { TRIP_SPINNING };
                    reactor.trip_if_older_than(age).await;
                    if let Rest::Park(timeout) = &mut rest {
                        *timeout = Some(timeout.map_or(SLEEP_MAX, |timeout| timeout.min(SLEEP_MAX)));
                    }
                }
                shard.rest(rest, || io.answered());
            }
            Turn::Done => return Ok(()),
        }
    }
}

/// The way into the executor's reactor.
struct Reactor {
    io: Rc<Io>,
    timer: Timer,
    last_trip: Nanos,
    clock: Clock,
}

impl Reactor {
    async fn trip_if_older_than(&mut self, age: Duration) {
        if self.clock.now().since(self.last_trip) >= age {
            self.trip().await;
        }
    }

    /// Lets the reactor run: it submits what is new and collects what is done.
    async fn trip(&mut self) {
        self.io.fresh.set(false);
        self.timer.reset(TRIP_TIMER);
        let mut entered = false;
        poll_fn(|cx| {
            if entered && self.io.answered() {
                return Poll::Ready(());
            }
            while Pin::new(&mut self.timer).poll(cx).is_ready() {
                if entered {
                    return Poll::Ready(());
                }
                // It ran out before it was set; the reactor was not entered yet.
                self.timer.reset(TRIP_TIMER);
            }
            entered = true;
            self.io.shard.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
        self.io.shard.set(None);
        self.last_trip = self.clock.now();
    }
}

/// What a shard's disk, its operations and its loop share.
#[derive(Default)]
struct Io {
    /// Operations that have not been answered.
    in_flight: Cell<usize>,
    /// Whether one of them was ordered since the last trip to the reactor.
    fresh: Cell<bool>,
    done: RefCell<VecDeque<DiskDone>>,
    files: RefCell<HashMap<FileHandle, Rc<OpenFile>>>,
    /// Directories whose device is known, and whether it is fit for direct I/O.
    directories: RefCell<HashMap<PathBuf, bool>>,
    /// The shard's task while it waits in the reactor.
    shard: Cell<Option<Waker>>,
}

impl Io {
    fn answered(&self) -> bool {
        !self.done.borrow().is_empty()
    }

    fn answer(&self, done: DiskDone) {
        self.done.borrow_mut().push_back(done);
        self.in_flight.set(self.in_flight.get() - 1);
        if let Some(shard) = self.shard.take() {
            shard.wake();
        }
    }

    fn file(&self, attempt: &'static str, file: FileHandle) -> Result<Rc<OpenFile>, DiskError> {
        self.files.borrow().get(&file).cloned().ok_or_else(|| not_open(attempt, file))
    }
}

/// Memory that the device can reach.
struct DeviceBuffer(DmaBuffer);

impl DeviceBuffer {
    fn new(len: usize) -> Self {
        let mut buffer = glommio::allocate_dma_buffer(len);
        buffer.as_bytes_mut().fill(0);
        DeviceBuffer(buffer)
    }
}

impl DiskBuffer for DeviceBuffer {
    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.as_bytes_mut()
    }
}

/// A shard's disk: every operation is a task of the shard's executor.
struct UringDisk {
    io: Rc<Io>,
    next_ticket: u64,
}

impl ShardDisk for UringDisk {
    fn buffer(&mut self, len: usize) -> Box<dyn DiskBuffer> {
        assert!(
            len > 0 && len.is_multiple_of(BLOCK_BYTES),
            "a disk buffer of {len} bytes is no multiple of a block"
        );
        Box::new(DeviceBuffer::new(len))
    }

    fn submit(&mut self, op: DiskOp) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let io = self.io.clone();
        io.in_flight.set(io.in_flight.get() + 1);
        io.fresh.set(true);
        // The task runs at once, up to the point where it has to wait for the kernel.
        glommio::spawn_local(async move {
            let (result, buffer) = carry_out(&io, op).await;
            io.answer(DiskDone { ticket, result, buffer });
        })
        .detach();
        ticket
    }

    fn poll(&mut self) -> Option<DiskDone> {
        self.io.done.borrow_mut().pop_front()
    }

    fn outstanding(&self) -> usize {
        self.io.in_flight.get() + self.io.done.borrow().len()
    }
}

type Answer = (Result<(), DiskError>, Option<Box<dyn DiskBuffer>>);

async fn carry_out(io: &Io, op: DiskOp) -> Answer {
    match op {
        DiskOp::Create { file, path } => (open(io, file, path, Mode::Create).await, None),
        DiskOp::Open { file, path } => (open(io, file, path, Mode::Read).await, None),
        DiskOp::Write { file, offset, buffer } => match own_buffer(attempt::WRITE, buffer) {
            Ok(buffer) => write(io, file, offset, buffer).await,
            Err((error, buffer)) => (Err(error), Some(buffer)),
        },
        DiskOp::Read { file, offset, buffer } => match own_buffer(attempt::READ, buffer) {
            Ok(buffer) => read(io, file, offset, buffer).await,
            Err((error, buffer)) => (Err(error), Some(buffer)),
        },
        DiskOp::Sync { file } => (sync(io, file).await, None),
        DiskOp::Close { file } => (close(io, file).await, None),
    }
}

async fn write(io: &Io, file: FileHandle, offset: u64, buffer: DeviceBuffer) -> Answer {
    let open = match io.file(attempt::WRITE, file) {
        Ok(open) => open,
        Err(error) => return (Err(error), Some(Box::new(buffer))),
    };
    let (result, buffer) = open.access.write_all(buffer, offset).await;
    (result.map_err(|error| open.error(attempt::WRITE, &error)), Some(Box::new(buffer)))
}

async fn read(io: &Io, file: FileHandle, offset: u64, mut buffer: DeviceBuffer) -> Answer {
    let result = match io.file(attempt::READ, file) {
        Ok(open) => {
            let result = open.access.read(buffer.bytes_mut(), offset).await;
            result.map_err(|error| open.error(attempt::READ, &error))
        }
        Err(error) => Err(error),
    };
    (result, Some(Box::new(buffer)))
}

async fn sync(io: &Io, file: FileHandle) -> Result<(), DiskError> {
    let open = io.file(attempt::SYNC, file)?;
    open.access.sync().await.map_err(|error| open.error(attempt::SYNC, &error))
}

async fn close(io: &Io, file: FileHandle) -> Result<(), DiskError> {
    let open = io.files.borrow_mut().remove(&file).ok_or_else(|| not_open(attempt::CLOSE, file))?;
    let path = open.path.clone();
    open.close().await.map_err(|error| DiskError::new(attempt::CLOSE, &path, &error))
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Create,
    Read,
}

impl Mode {
    fn options(self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true);
        if self == Mode::Create {
            options.write(true).create(true).truncate(true);
        }
        options
    }
}

async fn open(io: &Io, file: FileHandle, path: PathBuf, mode: Mode) -> Result<(), DiskError> {
    let attempt = if mode == Mode::Create { attempt::CREATE } else { attempt::OPEN };
    let access = Access::open(io, &path, mode).await;
    let access = access.map_err(|error| DiskError::new(attempt, &path, &error))?;
    io.files.borrow_mut().insert(file, Rc::new(OpenFile { access, path }));
    Ok(())
}

struct OpenFile {
    access: Access,
    path: PathBuf,
}

impl OpenFile {
    fn error(&self, attempt: &'static str, error: &io::Error) -> DiskError {
        DiskError::new(attempt, &self.path, error)
    }

    /// Closes a file that no operation uses any more.
    async fn close(self: Rc<Self>) -> io::Result<()> {
        // A file still in use closes when its last operation is done.
        let Some(file) = Rc::into_inner(self) else { return Ok(()) };
        match file.access {
            Access::Direct(file) => Ok(file.close().await?),
            Access::Cached(file) => Ok(file.close().await?),
        }
    }
}

/// How a file's bytes are reached.
enum Access {
    /// Past the page cache.
    Direct(DmaFile),
    /// Through it, where the file system refuses direct I/O.
    Cached(BufferedFile),
}

impl Access {
    async fn open(io: &Io, path: &Path, mode: Mode) -> io::Result<Access> {
        if fit_for_direct_io(io, path).await {
            match mode.options().dma_open(path).await.map_err(io::Error::from) {
                Ok(file) => return Ok(Access::Direct(file)),
                // O_DIRECT was refused: overlays of old kernels, FUSE, some network file systems.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Access::Cached(mode.options().buffered_open(path).await?))
    }

    /// Writes a whole buffer and gives it back.
    async fn write_all(&self, buffer: DeviceBuffer, offset: u64) -> (io::Result<()>, DeviceBuffer) {
        match self {
            Access::Direct(file) => {
                let shared = Rc::new(buffer.0);
                let result = write_direct(file, &shared, offset).await;
                let buffer = Rc::into_inner(shared).expect("a finished write has let go of its buffer");
                (result, DeviceBuffer(buffer))
            }
            Access::Cached(file) => (write_cached(file, buffer.bytes(), offset).await, buffer),
        }
    }

    /// Reads up to the end of the buffer or of the file.
    async fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let (at, wanted) = (offset + filled as u64, buffer.len() - filled);
            let got = match self {
                Access::Direct(file) => file.read_at_aligned(at, wanted).await?,
                Access::Cached(file) => file.read_at(at, wanted).await?,
            };
            buffer[filled..filled + got.len()].copy_from_slice(&got);
            filled += got.len();
            // Part of a block is read at the end of a file only.
            if got.is_empty() || !got.len().is_multiple_of(BLOCK_BYTES) {
                break;
            }
        }
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        match self {
            Access::Direct(file) => Ok(file.fdatasync().await?),
            Access::Cached(file) => Ok(file.fdatasync().await?),
        }
    }
}

async fn write_direct(file: &DmaFile, buffer: &Rc<DmaBuffer>, offset: u64) -> io::Result<()> {
    let mut written = file.write_rc_at(buffer.clone(), offset).await?;
    // The rest of a write that was cut short, as happens just before a disk is full.
    while written < buffer.len() {
        let rest = &buffer.as_bytes()[written..];
        let mut copy = glommio::allocate_dma_buffer(rest.len());
        copy.as_bytes_mut().copy_from_slice(rest);
        written += some(file.write_at(copy, offset + written as u64).await?)?;
    }
    Ok(())
}

async fn write_cached(file: &BufferedFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        let rest = bytes[written..].to_vec();
        written += some(file.write_at(rest, offset + written as u64).await?)?;
    }
    Ok(())
}

fn some(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}

/// Whether files beside `path` may be opened for direct I/O; settles two matters of glommio on the first file of a directory.
///
/// glommio reads the device's description under `/sys` and panics over what it does not understand, so it is read here first. And it
/// decides per device, on the first file it opens, whether completions can be polled for, by reading from that file: a new, empty
/// file says yes on every device, and later writes fail on most. Polling does not suit a reactor that is entered every 100 us anyway;
/// a first file that cannot be read from (unnamed, write-only) switches it off.
async fn fit_for_direct_io(io: &Io, path: &Path) -> bool {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if let Some(fit) = io.directories.borrow().get(directory) {
        return *fit;
    }
    let Ok(metadata) = directory.metadata() else {
        // Opening the file will say what is wrong.
        return false;
    };
    let fit = device_is_described(libc::major(metadata.st_dev()));
    if fit {
        // Where this fails, so will writing.
        let _ = OpenOptions::new().write(true).tmpfile(true).dma_open(directory).await;
    }
    io.directories.borrow_mut().insert(directory.to_owned(), fit);
    fit
}

/// Whether glommio understands what `/sys` says about a block device.
fn device_is_described(major: u32) -> bool {
    let device = Path::new("/sys/dev/block").join(format!("{major}:0"));
    let device = match device.canonicalize() {
        Ok(device) => device,
        // No block device: memory, an overlay, a network. glommio knows these.
        Err(error) => return error.kind() == io::ErrorKind::NotFound,
    };
    let read = |name: &str| std::fs::read_to_string(device.join("queue").join(name));
    let is_number = |name| read(name).is_ok_and(|text| text.trim_matches('\n').parse::<isize>().is_ok());
    let numbers = [
        "rotational",
        "minimum_io_size",
        "optimal_io_size",
        "logical_block_size",
        "physical_block_size",
        "max_sectors_kb",
        "max_segment_size",
    ];
    let cache = read("write_cache").is_ok_and(|text| matches!(text.trim(), "write back" | "write through"));
    cache && numbers.into_iter().all(is_number) && device.join("slaves").read_dir().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system that refuses direct I/O is hard to come by; a directory said to be unfit takes the same way.
    #[test]
    fn files_can_be_reached_through_the_page_cache() {
        if let Err(refusal) = crate::runtime::preflight::check_io_uring(1) {
            eprintln!("SKIPPED: {refusal}");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cached");
        let io = Io::default();
        io.directories.borrow_mut().insert(directory.path().to_owned(), false);
        let file = FileHandle(1);
        make_executor(None).unwrap().run(async {
            open(&io, file, path.clone(), Mode::Create).await.unwrap();
            assert!(matches!(io.files.borrow()[&file].access, Access::Cached(_)));
            let mut buffer = DeviceBuffer::new(3 * BLOCK_BYTES);
            buffer.bytes_mut().fill(5);
            let (result, buffer) = write(&io, file, BLOCK_BYTES as u64, buffer).await;
            result.unwrap();
            assert_eq!(buffer.unwrap().bytes(), [5; 3 * BLOCK_BYTES]);
            sync(&io, file).await.unwrap();
            let (result, buffer) = read(&io, file, 0, DeviceBuffer::new(2 * BLOCK_BYTES)).await;
            result.unwrap();
            let expected = [[0; BLOCK_BYTES], [5; BLOCK_BYTES]].concat();
            assert_eq!(buffer.unwrap().bytes(), expected);
            close(&io, file).await.unwrap();
        });
        assert_eq!(path.metadata().unwrap().len(), 4 * BLOCK_BYTES as u64);
    }

    #[test]
    fn devices_without_a_description_are_fine() {
        assert!(device_is_described(0), "no block device has major number 0");
    }
}

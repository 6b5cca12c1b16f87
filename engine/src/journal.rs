//! A local log of what was received, so that a source that cannot be asked again can be replayed.
//!
//! Records are numbered from 0 and appended to segment files, each with a checksum. An append is a write to the file before it returns, so a killed
//! process loses nothing; a thread of the journal syncs what was written every few milliseconds, so a power failure loses at
//! most that much ([`Journal::durable_up_to`] says what is safe). The bytes on disk are drawn in
//! `docs/formats/journal.md`.
//!
//! ```
//! use millstream_engine::journal::{Journal, Settings};
//!
//! let dir = tempfile::tempdir()?;
//! let journal = Journal::open(dir.path(), Settings::default())?;
//! let first = journal.append(b"to be")?;
//! journal.append(b"or not")?;
//! journal.mark_failed(first)?;
//! let replayed: Vec<_> = journal.read_from(first)?.collect::<Result<_, _>>()?;
//! assert_eq!(replayed[1].payload, b"or not");
//! assert!(journal.failed().contains(&first));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod durable;
mod error;
mod marks;
mod options;
mod reader;
mod resume;
mod segment;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use durable::Durable;
pub use error::JournalError;
pub use options::{JournalOptions, OnFailedRecord};
pub use reader::{Entries, Entry};
pub use resume::NO_JOURNAL;
pub use segment::PAYLOAD_BYTES_MAX;

use crate::disk::{Disk as _, DiskLock, RealDisk};
use crate::runtime::beside::spawn_beside;
use durable::SyncedTo;
use segment::{Header, SegmentFile};

/// How often the journal's thread looks for work it was not told of.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a journal behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A segment that has grown to this size is followed by a new one. Space is given back segment by segment.
    pub segment_bytes: u64,
    /// How long what was appended may wait until it is synced.
    pub sync_every: Duration,
}

impl Default for Settings {
    /// Segments of 16 MiB; synced every 5 ms.
    fn default() -> Self {
        Settings { segment_bytes: 16 * 1024 * 1024, sync_every: Duration::from_millis(5) }
    }
}

/// An open journal. It may be shared between threads; the directory is locked until it is dropped.
pub struct Journal {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
    _lock: Box<dyn Send + Sync>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    id: u64,
    settings: Settings,
    state: Mutex<State>,
    /// Tells the keeper that there is something to sync or to trim, or that it is to end.
    work: Condvar,
    /// All records below are synced, and who waits for others to be.
    durable: SyncedTo,
    /// Records below are needed no more.
    trim_to: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// First sequence numbers of the segments, oldest first; never empty.
    segments: Vec<u64>,
    active: Arc<File>,
    active_bytes: u64,
    next: u64,
    failed: BTreeSet<u64>,
    /// Bytes of a batch on their way to the file.
    buffer: Vec<u8>,
    closing: bool,
    /// An append or sync that failed: the journal takes no more.
    broken: Option<String>,
}

impl Journal {
    /// Opens the journal in a directory, or makes one. A torn end, as a crash leaves it, is cut off with a warning.
    ///
    /// # Errors
    /// The directory is in use, cannot be used, or holds a segment that is damaged elsewhere than at its end.
    pub fn open(dir: &Path, settings: Settings) -> Result<Journal, JournalError> {
        std::fs::create_dir_all(dir).map_err(|e| JournalError::io("make the journal's directory", dir, e))?;
        let lock = take_lock(dir)?;
        let mut segments = segment::list(dir)?;
        let (id, active) = match segments.last() {
            None => {
                let id = fresh_id();
                let active = SegmentFile::create(dir, Header { id, first: 0 })?;
                segments.push(0);
                (id, active)
            }
            Some(&last) => {
                let active = SegmentFile::recover(dir, last, segments.len() > 1)?;
                (active.header.id, active)
            }
        };
        let failed = marks::load(dir, id, segments[0])?;
        let next = active.next;
        let state = State {
            segments,
            active: Arc::new(active.file),
            active_bytes: active.bytes,
            next,
            failed,
            buffer: Vec::new(),
            closing: false,
            broken: None,
        };
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            id,
            settings,
            state: Mutex::new(state),
            work: Condvar::new(),
            durable: SyncedTo::new(next),
            trim_to: AtomicU64::new(0),
        });
        let for_keeper = shared.clone();
        let keeper = spawn_beside("journal", move || for_keeper.keep())
            .map_err(|e| JournalError::io("start a thread for the journal in", dir, e))?;
        Ok(Journal { shared, keeper: Some(keeper), _lock: lock })
    }

    /// A number drawn when the journal was made: tells it from another one in the same place.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// The sequence number of the oldest record that may still be there.
    pub fn first(&self) -> u64 {
        self.shared.lock().segments[0]
    }

    /// The sequence number of the next record.
    pub fn next(&self) -> u64 {
        self.shared.lock().next
    }

    /// Appends a record and gives its sequence number. When this returns, the record survives the end of the process.
    ///
    /// # Errors
    /// The payload is larger than [`PAYLOAD_BYTES_MAX`], or the file cannot be written (a full disk). After a failed
    /// write every further append fails, too: open the journal anew.
    pub fn append(&self, payload: &[u8]) -> Result<u64, JournalError> {
        self.append_all([payload])
    }

    /// Appends records with one write, and gives the sequence number of the first (the next free one where there is none).
    ///
    /// # Errors
    /// As [`Journal::append`]; then none of them counts.
    pub fn append_all<'a>(&self, payloads: impl IntoIterator<Item = &'a [u8]>) -> Result<u64, JournalError> {
        let shared = &*self.shared;
        let mut state = shared.lock();
        state.check(shared)?;
        let first = state.next;
        let mut buffer = std::mem::take(&mut state.buffer);
        buffer.clear();
        let mut next = first;
        for payload in payloads {
            segment::encode(shared.id, next, payload, &mut buffer)?;
            next += 1;
        }
        if buffer.is_empty() {
            return Ok(first);
        }
        if state.active_bytes >= shared.settings.segment_bytes {
            shared.start_segment(&mut state, first)?;
        }
        let (file, at) = (state.active.clone(), state.active_bytes);
        file.write_all_at(&buffer, at).map_err(|e| shared.broke(&mut state, "append to", e))?;
        state.active_bytes += buffer.len() as u64;
        state.next = next;
        state.buffer = buffer;
        drop(state);
        shared.work.notify_one();
        Ok(first)
    }

    /// All records with smaller sequence numbers survive a power failure.
    pub fn durable_up_to(&self) -> u64 {
        self.shared.durable.get()
    }

    /// Becomes ready when this record, and all before it, survive a power failure. Any executor can poll it; a thread calls
    /// [`Durable::wait`].
    pub fn durable(&self, seq: u64) -> Durable {
        Durable::new(self.shared.clone(), seq)
    }

    /// Waits until everything appended so far survives a power failure.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.shared.sync()
    }

    /// Makes sure that the next record has at least this number. Used after a power failure took records whose effects a
    /// checkpoint already holds.
    ///
    /// # Errors
    /// The new segment cannot be made.
    pub fn skip_to(&self, seq: u64) -> Result<(), JournalError> {
        let mut state = self.shared.lock();
        state.check(&self.shared)?;
        if seq > state.next {
            self.shared.start_segment(&mut state, seq)?;
            state.next = seq;
        }
        Ok(())
    }

    /// Reads the records from `seq` up to what is appended by now. Records marked as failed come, too.
    ///
    /// # Errors
    /// Records from `seq` on were trimmed or are lost.
    pub fn read_from(&self, seq: u64) -> Result<Entries, JournalError> {
        self.read_range(seq, self.next())
    }

    /// The same up to `end`, which is left out.
    ///
    /// # Errors
    /// As [`Journal::read_from`].
    pub fn read_range(&self, seq: u64, end: u64) -> Result<Entries, JournalError> {
        let state = self.shared.lock();
        let first = state.segments[0];
        if seq < first {
            return Err(JournalError::Trimmed { dir: self.shared.dir.clone(), wanted: seq, first });
        }
        Ok(Entries::new(&self.shared.dir, self.shared.id, &state.segments, seq, end.min(state.next)))
    }

    /// Records below `seq` are needed no more. Whole segments of them are removed, soon, by the journal's thread.
    pub fn trim_to(&self, seq: u64) {
        // No lock: an append holds it while it writes, and this is called by shards. The keeper also looks by itself now and then.
        self.shared.trim_to.fetch_max(seq, Ordering::AcqRel);
        self.shared.work.notify_one();
    }

    /// Remembers that a record made its job fail. Synced when this returns.
    ///
    /// # Errors
    /// The mark cannot be written.
    pub fn mark_failed(&self, seq: u64) -> Result<(), JournalError> {
        let mut state = self.shared.lock();
        if !state.failed.contains(&seq) {
            marks::add(&self.shared.dir, self.shared.id, seq)?;
            state.failed.insert(seq);
        }
        Ok(())
    }

    /// The records marked as failed.
    pub fn failed(&self) -> BTreeSet<u64> {
        self.shared.lock().failed.clone()
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

/// A journal has one owner at a time.
fn take_lock(dir: &Path) -> Result<Box<dyn Send + Sync>, JournalError> {
    let locked = |cause: String| JournalError::Locked { dir: dir.to_owned(), cause };
    match RealDisk.lock(&dir.join("lock"), &std::process::id().to_string()) {
        Ok(DiskLock::Held(lock)) => Ok(lock),
        Ok(DiskLock::HeldBy(holder)) => Err(locked(format!("it is in use by process {holder}"))),
        Err(error) => Err(locked(error.to_string())),
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_all();
        if let Some(keeper) = self.keeper.take() {
            // A keeper that panicked has nothing left to do.
            let _ = keeper.join();
        }
    }
}

impl State {
    fn check(&self, shared: &Shared) -> Result<(), JournalError> {
        match &self.broken {
            None => Ok(()),
            Some(cause) => Err(JournalError::Broken { dir: shared.dir.clone(), cause: cause.clone() }),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked changed the state by whole steps only.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broke(&self, state: &mut State, attempt: &'static str, error: std::io::Error) -> JournalError {
        state.broken = Some(error.to_string());
        // They are told by looking.
        self.durable.wake_all();
        JournalError::io(attempt, &self.dir, error)
    }

    /// Closes the active segment and begins the next. What was in the closed one is synced first, so that only the last segment can be torn.
    fn start_segment(&self, state: &mut State, first: u64) -> Result<(), JournalError> {
        state.active.sync_data().map_err(|e| self.broke(state, "sync", e))?;
        if state.segments.last() == Some(&first) {
            return Ok(());
        }
        let segment = SegmentFile::create(&self.dir, Header { id: self.id, first })?;
        state.active = Arc::new(segment.file);
        state.active_bytes = segment.bytes;
        state.segments.push(first);
        Ok(())
    }

    fn sync(&self) -> Result<(), JournalError> {
        let state = self.lock();
        state.check(self)?;
        let (file, next) = (state.active.clone(), state.next);
        drop(state);
        if self.durable.get() < next {
            // Earlier segments were synced when they were closed.
            file.sync_data().map_err(|e| self.broke(&mut self.lock(), "sync", e))?;
            self.durable.raise(next);
        }
        Ok(())
    }

    /// The journal's own thread: syncs and trims behind the appends.
    fn keep(&self) {
        loop {
            let mut state = self.lock();
            while !state.closing && !self.has_work(&state) {
                let waited = self.work.wait_timeout(state, LOOK_EVERY);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            let closing = state.closing;
            let trimmed = self.take_trimmed(&mut state);
            drop(state);
            for first in trimmed {
                let path = segment::path(&self.dir, first);
                if let Err(error) = std::fs::remove_file(&path) {
                    tracing::warn!("cannot remove the journal segment {}: {error}", path.display());
                }
            }
            // A failure is remembered by the state and told to the next append.
            if let Err(error) = self.sync() {
                tracing::error!("{error}");
            }
            if closing {
                return;
            }
            // What comes meanwhile shares the next sync.
            let state = self.lock();
            let _ = self.work.wait_timeout_while(state, self.settings.sync_every, |state| !state.closing);
        }
    }

    fn has_work(&self, state: &State) -> bool {
        let unsynced = state.broken.is_none() && self.durable.get() < state.next;
        unsynced
            || state.segments.get(1).is_some_and(|second| *second <= self.trim_to.load(Ordering::Acquire))
    }

    /// Takes out the segments that lie wholly below the trim point. The last one stays: it knows where the numbers go on.
    fn take_trimmed(&self, state: &mut State) -> Vec<u64> {
        let trim_to = self.trim_to.load(Ordering::Acquire);
        let keep_from = state.segments.partition_point(|first| *first <= trim_to).saturating_sub(1);
        state.segments.drain(..keep_from).collect()
    }
}

/// A number that no other journal has: time and process, mixed.
fn fresh_id() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let mut id = time ^ (u64::from(std::process::id()) << 40);
    // The finaliser of MurmurHash3.
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        id = (id ^ (id >> 33)).wrapping_mul(factor);
    }
    id ^ (id >> 33)
}

#[cfg(test)]
mod tests;

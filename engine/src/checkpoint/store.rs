//! The checkpoints of one job: commit, retention, compaction, clean-up.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codec::Writer;
use super::content::{ManifestContent, put_base, read_manifest};
use super::delta::{DeltaFile, DeltaFiles, DeltaSummary, delta_file_name};
use super::error::{CheckpointError, RestoreError, StateDirError};
use super::history::{FileUse, History};
use super::manifest::{AppendError, ManifestLog, Tail};
use super::page_map::{FileNo, PageId};
use super::page_runs::PageRuns;
use super::record::{Checkpoint, RecordKind, ShardPart};
use super::replica::{Replica, ReplicaStatus};
use super::restore::{self, CheckpointInfo, RestoredJob};
use super::state_dir::{JobIdentity, StateDir};
use crate::disk::{Disk, DiskError};
use crate::element::{Epoch, ShardId};
use crate::key::HashSeed;
use crate::limits::PAGE_BYTES;

/// The manifest log is written anew when what follows its base is larger than the base, twice over, and than this.
const LOG_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// A file in which less than one part in so many is live is worth compacting.
const SPARSE_PARTS: u64 = 4;

/// A shard with more files than this has its emptiest ones compacted, however full they are.
const FILES_PER_SHARD_MAX: usize = 256;

/// How a store is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// How many checkpoints are kept (at least 1).
    pub retain: usize,
    /// The checkpoint that the user asked for. It lets a store with a damaged manifest be opened, if the checkpoint was recorded before
    /// the damage.
    pub from: Option<Epoch>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions { retain: 3, from: None }
    }
}

/// What was found when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Whether the directory is new.
    pub created: bool,
    /// The remains of a record that was being written when the process or the machine died. It never was a checkpoint.
    pub torn_tail: Option<TornTail>,
    /// Damage that was passed over because the user asked for a checkpoint before it: where it is, and what.
    pub damage: Option<(u64, String)>,
}

/// An unfinished record at the end of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Where it begins in the manifest.
    pub offset: u64,
    /// How many bytes of it there are.
    pub bytes: u64,
}

/// A checkpoint to be committed: what all shards have made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// Its number, larger than any before.
    pub epoch: Epoch,
    /// The shards' deltas, in the order of the shards.
    pub shards: Vec<DeltaSummary>,
    /// What the coordinator wants to find again (graph fingerprint, operator names, ...).
    pub meta: Vec<u8>,
    /// Whether the deltas hold all pages: the ones of earlier checkpoints are not carried over. True for the first checkpoint after a
    /// restore with another shard count; pages that were not touched since come by [`DeltaWriter::adopt_page`](super::DeltaWriter::adopt_page).
    pub fresh_maps: bool,
    /// Whether sinks that are not idempotent commit it as soon as it is durable. Where they hold back (pages of a restore are still to be
    /// verified) or there are none, no; the former call [`CheckpointStore::allow_sink_commits`] first.
    pub sinks_commit: bool,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitReport {
    /// The checkpoint that is now durable.
    pub epoch: Epoch,
    /// The oldest one that can still be asked for: journals may be trimmed to it.
    pub oldest_retained: Epoch,
    /// How many bytes the shards wrote for it.
    pub delta_bytes: u64,
    /// How many bytes the manifest took for it.
    pub manifest_bytes: u64,
}

/// What a clean-up did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TidyReport {
    /// How many files were removed.
    pub removed_files: usize,
    /// How many bytes they had.
    pub removed_bytes: u64,
    /// Files that could not be removed, with the reason; the next clean-up tries again.
    pub stuck: Option<String>,
    /// Whether the manifest was written anew.
    pub rebased: bool,
}

/// The checkpoints of one job in its state directory, which this process holds until the store is dropped.
///
/// Used by the coordinator alone, on its own thread: all calls block.
///
/// ```text
/// open -> (load ->) start_run -> (commit -> tidy | discard)*
/// ```
pub struct CheckpointStore {
    dir: StateDir,
    job: String,
    hash_seed: HashSeed,
    retain: usize,
    history: History,
    log: ManifestLog,
    /// The log holds, or may hold, something that must not be found again: it is to be written anew before anything else.
    log_in_doubt: bool,
    /// The largest epoch that was tried, with success or without.
    last_tried: Epoch,
    /// Files that nothing needs once the log is not in doubt, with their sizes.
    garbage: Vec<(PathBuf, u64)>,
    /// Checkpoints that somebody is reading: they are retained until nobody does.
    pinned: Vec<Epoch>,
    /// Writes a second copy of each checkpoint.
    replica: Option<Replica>,
}

impl CheckpointStore {
    /// Opens the store of a job, or creates it where the directory is new or empty.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: &JobIdentity,
        options: StoreOptions,
    ) -> Result<(CheckpointStore, OpenReport), StateDirError> {
        let (dir, existing) = StateDir::open(disk, dir)?;
        let (read, log, tail) = if existing {
            read_manifest(&dir, identity)?
        } else {
            let fresh = ManifestContent::fresh(identity);
            let (disk, path) = (dir.disk.as_ref(), dir.path.as_path());
            let log = ManifestLog::create(disk, path, &fresh.base())
                .map_err(|cause| StateDirError::Disk { dir: path.to_owned(), cause })?;
            (fresh, log, Tail::Clean)
        };
        dir.create_delta_dir()?;
        let ManifestContent { job, hash_seed, history } = read;
        let mut report = OpenReport { created: !existing, ..OpenReport::default() };
        match tail {
            Tail::Clean => {}
            Tail::Torn { offset, bytes } => report.torn_tail = Some(TornTail { offset, bytes }),
            Tail::Damaged { offset, problem } => {
                if options.from.is_none_or(|from| history.find(from).is_none()) {
                    let retained = history.retained().map(|retained| retained.epoch).collect();
                    return Err(StateDirError::DamagedManifest {
                        path: dir.manifest(),
                        offset,
                        problem,
                        retained,
                    });
                }
                report.damage = Some((offset, problem));
            }
        }
        let log_in_doubt = report.torn_tail.is_some() || report.damage.is_some();
        let retain = options.retain.max(1);
        let (last_tried, garbage) = (history.last_epoch, Vec::new());
        let pinned = Vec::new();
        let store = CheckpointStore {
            dir,
            job,
            hash_seed,
            retain,
            history,
            log,
            log_in_doubt,
            last_tried,
            garbage,
            pinned,
            replica: None,
        };
        Ok((store, report))
    }

    /// From now on each checkpoint that is committed is copied to this directory, by a thread behind the commits. What goes wrong there is
    /// told by [`CheckpointStore::replica_status`] alone.
    ///
    /// # Errors
    /// The directory is in use, holds something else, or cannot be used.
    pub fn replicate_to(&mut self, dir: &Path) -> Result<(), StateDirError> {
        let identity = JobIdentity { job: self.job.clone(), hash_seed: self.hash_seed };
        self.replica = Some(Replica::open(self.dir.disk.clone(), dir, &identity)?);
        Ok(())
    }

    /// How far the second copies are, where there are any.
    pub fn replica_status(&self) -> Option<ReplicaStatus> {
        self.replica.as_ref().map(Replica::status)
    }

    /// Waits until the newest checkpoint is copied, or could not be.
    pub fn finish_replica(&mut self) {
        let Some(replica) = &self.replica else { return };
        replica.settle();
        if replica.is_behind() {
            self.replicate();
        }
        if let Some(replica) = &self.replica {
            replica.settle();
        }
    }

    /// Removes everything in the state directory, and the directory where it is empty then.
    ///
    /// # Errors
    /// What could not be removed. Checkpoints cannot be restored in any case: the manifest goes first.
    pub fn destroy(mut self) -> Result<(), CheckpointError> {
        self.replica = None;
        let (disk, path) = (self.dir.disk.clone(), self.dir.path.clone());
        let removed = disk.remove(&self.dir.manifest()).and_then(|()| remove_all(disk.as_ref(), &path));
        removed.map_err(|error| DiskError::new("cannot remove", &path, &error).into())
    }

    /// Has the newest checkpoint copied.
    fn replicate(&mut self) {
        let (Some(replica), Some(newest)) = (&mut self.replica, self.history.newest()) else { return };
        let files = self.history.files().map(|(_, used)| used.file);
        replica.offer(newest.epoch, &self.dir.delta_dir(), files, self.log.part());
    }

    /// The seed of the job's key hash, drawn when the directory was created.
    pub fn hash_seed(&self) -> HashSeed {
        self.hash_seed
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir.path
    }

    /// Where the shards' [`DeltaWriter`](super::DeltaWriter)s write.
    pub fn delta_dir(&self) -> PathBuf {
        self.dir.delta_dir()
    }

    /// The number of the next checkpoint: larger than that of any checkpoint that was committed, or failed or was discarded since the
    /// store was opened.
    pub fn next_epoch(&self) -> Epoch {
        Epoch(self.last_tried.0 + 1)
    }

    /// Sinks may have made visible what belongs to checkpoints up to this one; 0 for none.
    pub fn sinks_may_have_committed(&self) -> Epoch {
        self.history.sinks_may_have_committed
    }

    /// The retained checkpoints, newest first.
    pub fn checkpoints(&self) -> Vec<CheckpointInfo> {
        restore::checkpoints(&self.history)
    }

    /// What the coordinator wrote with a retained checkpoint.
    pub fn meta_of(&self, epoch: Epoch) -> Option<&[u8]> {
        self.history.find(epoch).map(|retained| retained.meta.as_slice())
    }

    /// Reads a checkpoint: all metadata (verified) and the page maps. Makes sure that its files are there, are its own, and have their
    /// length; the pages themselves are verified when they are read.
    pub fn load(&self, epoch: Epoch) -> Result<RestoredJob, RestoreError> {
        restore::load(self.dir.disk.as_ref(), &self.dir.path, &self.history, self.hash_seed, epoch)
    }

    /// Retains a checkpoint, and those after it, until it is given free.
    pub fn pin(&mut self, epoch: Epoch) {
        self.pinned.push(epoch);
    }

    /// A checkpoint that was retained for somebody is needed no more.
    pub fn unpin(&mut self, epoch: Epoch) {
        if let Some(place) = self.pinned.iter().position(|pinned| *pinned == epoch) {
            self.pinned.swap_remove(place);
        }
    }

    /// To be called before every start of the shards, the first as well as a restart in this process, with the checkpoint they go on
    /// from. Younger checkpoints are dropped (all of them for `None`), a record that failed half-way is made sure never to be found
    /// again, and files that nothing needs are removed.
    ///
    /// # Panics
    /// Where the checkpoint is not retained.
    pub fn start_run(&mut self, from: Option<Epoch>) -> Result<TidyReport, CheckpointError> {
        if let Some(epoch) = from {
            assert!(self.history.find(epoch).is_some(), "a run starts from a retained checkpoint");
        }
        if self.history.newest().map(|newest| newest.epoch) != from {
            let mut history = self.history.clone();
            history.rewind(from);
            let before = std::mem::replace(&mut self.history, history);
            self.log_in_doubt = true;
            if let Err(error) = self.settle() {
                self.history = before;
                return Err(error);
            }
        }
        self.settle()?;
        self.find_leftovers()?;
        self.tidy()
    }

    /// Makes a checkpoint durable. When this returns `Ok`, a restart finds it; when it returns an error other than
    /// [`CheckpointError::Unsettled`], no restart ever will.
    pub fn commit(&mut self, record: CheckpointRecord) -> Result<CommitReport, CheckpointError> {
        let epoch = record.epoch;
        self.last_tried = self.last_tried.max(epoch);
        let delta_bytes = record.shards.iter().map(DeltaSummary::bytes).sum();
        let written: Vec<_> = record.shards.iter().map(|delta| (delta.shard, delta.bytes())).collect();
        // A failed checkpoint of an earlier run may have had this number, and its files may still wait to be removed.
        let paths: Vec<_> =
            written.iter().map(|(shard, _)| delta_path(&self.dir.delta_dir(), epoch, *shard)).collect();
        self.garbage.retain(|(path, _)| !paths.contains(path));
        let committed = self.settle().and_then(|()| self.append(record));
        if committed.is_err() {
            // Removed by `tidy`, and not before the log is known not to name them.
            let paths = written.iter().filter(|(_, bytes)| *bytes > 0);
            self.garbage.extend(
                paths.map(|(shard, bytes)| (delta_path(&self.dir.delta_dir(), epoch, *shard), *bytes)),
            );
        } else {
            self.replica.iter_mut().for_each(Replica::count_commit);
            self.replicate();
        }
        Ok(CommitReport {
            epoch,
            oldest_retained: self.history.retained().next().map_or(epoch, |oldest| oldest.epoch),
            delta_bytes,
            manifest_bytes: committed?,
        })
    }

    /// To be called before sinks commit checkpoints that were committed with `sinks_commit: false`.
    pub fn allow_sink_commits(&mut self, up_to: Epoch) -> Result<(), CheckpointError> {
        if up_to <= self.history.sinks_may_have_committed {
            return Ok(());
        }
        self.settle()?;
        let mut body = Writer::new();
        body.put_u64(up_to.0);
        self.write_record(RecordKind::SinksMayCommit, body.bytes(), up_to)?;
        self.history.sinks_may_have_committed = up_to;
        Ok(())
    }

    /// Forgets a checkpoint that failed before it was committed: the shards' files go with the next [`CheckpointStore::tidy`].
    pub fn discard(&mut self, epoch: Epoch, shards: u16) {
        self.last_tried = self.last_tried.max(epoch);
        let dir = self.dir.delta_dir();
        self.garbage.extend((0..shards).map(|shard| (delta_path(&dir, epoch, ShardId(shard)), 0)));
    }

    /// Removes what nothing needs any more and keeps the manifest short. To be called when the sinks have been told of a commit: it may
    /// take milliseconds. What it cannot do now it does next time.
    pub fn tidy(&mut self) -> Result<TidyReport, CheckpointError> {
        let mut report = TidyReport::default();
        let follows = self.log.bytes() - self.log.base_bytes();
        if follows > (2 * self.log.base_bytes()).max(LOG_BYTES_MIN) {
            self.log_in_doubt = true;
            report.rebased = true;
        }
        self.settle()?;
        for (path, bytes) in std::mem::take(&mut self.garbage) {
            match self.dir.disk.remove(&path) {
                Ok(()) => {
                    report.removed_files += 1;
                    report.removed_bytes += bytes;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    report.stuck = Some(DiskError::new("cannot remove", &path, &error).to_string());
                    self.garbage.push((path, bytes));
                }
            }
        }
        Ok(report)
    }

    /// Pages of a shard that lie in files which are nearly empty otherwise, at most about `pages_max` (whole files are worth more than
    /// parts). If the shard saves them with the next checkpoint as if they were dirty, those files can go.
    pub fn sparse_pages(&self, shard: ShardId, pages_max: usize) -> Vec<PageId> {
        let mut files: Vec<(FileNo, &FileUse)> =
            self.history.files().filter(|(_, used)| used.live > 0).collect();
        files.retain(|(_, used)| used.file.shard == shard && !used.has_meta);
        files.sort_by_key(|(_, used)| used.live);
        let surplus = files.len().saturating_sub(FILES_PER_SHARD_MAX);
        let mut chosen = vec![false; self.history.file_table().len()];
        let mut pages = 0;
        for (nth, (no, used)) in files.into_iter().enumerate() {
            let sparse = u64::from(used.live) * PAGE_BYTES as u64 * SPARSE_PARTS < used.file.bytes();
            if (sparse || nth < surplus) && pages + used.live as usize <= pages_max {
                pages += used.live as usize;
                chosen[no.0 as usize] = true;
            }
        }
        if pages == 0 {
            return Vec::new();
        }
        let map = self.history.map(shard).into_iter().flat_map(|map| map.iter());
        map.filter(|(_, entry)| chosen[entry.file.0 as usize]).map(|(id, _)| id).collect()
    }

    /// How many bytes the retained checkpoints take: delta files and manifest.
    pub fn bytes_on_disk(&self) -> u64 {
        self.history.files().map(|(_, used)| used.file.bytes()).sum::<u64>() + self.log.bytes()
    }

    /// How many bytes of memory it takes to know where each page of the retained checkpoints lies.
    pub fn bytes_in_memory(&self) -> u64 {
        self.history.bytes_in_memory()
    }

    /// Writes the log anew if it is in doubt.
    fn settle(&mut self) -> Result<(), CheckpointError> {
        if !self.log_in_doubt {
            return Ok(());
        }
        let base = put_base(&self.job, self.hash_seed, &self.history);
        let needed_bytes = base.len() as u64;
        self.log = ManifestLog::create(self.dir.disk.as_ref(), &self.dir.path, &base)
            .map_err(|error| CheckpointError::writing(error, needed_bytes))?;
        self.log_in_doubt = false;
        Ok(())
    }

    /// Gives the new files numbers, appends the record, and takes it into the history. Gives back its size.
    fn append(&mut self, record: CheckpointRecord) -> Result<u64, CheckpointError> {
        let epoch = record.epoch;
        let checkpoint = self.number_files(record);
        if let Some(problem) = self.history.misfit(&checkpoint) {
            return Err(CheckpointError::Misfit { epoch, problem });
        }
        if checkpoint.shards.iter().any(|part| part.file.is_some()) {
            // The files' contents are durable, their names not yet.
            let delta = self.dir.delta_dir();
            let synced = self.dir.disk.sync_dir(&delta);
            synced.map_err(|error| DiskError::new("cannot sync the directory", &delta, &error))?;
        }
        let mut body = Writer::new();
        checkpoint.put(&mut body);
        let before = self.log.bytes();
        self.write_record(RecordKind::Checkpoint, body.bytes(), epoch)?;
        let gone = self.history.apply(checkpoint);
        self.retire(gone);
        Ok(self.log.bytes() - before)
    }

    fn number_files(&self, record: CheckpointRecord) -> Checkpoint<'static> {
        let mut free = self.history.free_numbers();
        let mut shards = Vec::with_capacity(record.shards.len());
        for mut delta in record.shards {
            let file = (delta.blocks > 0).then(|| (free.next().unwrap_or(FileNo::NONE), delta.blocks));
            if let Some((no, _)) = file {
                let own = delta.pages.iter_mut().filter(|(_, entry)| entry.file == FileNo::NONE);
                own.for_each(|(_, entry)| entry.file = no);
            }
            let pages = PageRuns::from_entries(delta.pages);
            shards.push(ShardPart { file, meta: delta.meta, pages, removed: delta.removed });
        }
        Checkpoint {
            epoch: record.epoch,
            oldest_retained: {
                let oldest = self.history.oldest_after(record.epoch, self.retain);
                self.pinned.iter().copied().fold(oldest, Epoch::min)
            },
            sinks_commit: record.sinks_commit,
            fresh_maps: record.fresh_maps,
            meta: record.meta,
            shards,
        }
    }

    /// Appends to the log. After a failure the log is written anew without the record, so that no restart finds it.
    fn write_record(&mut self, kind: RecordKind, body: &[u8], epoch: Epoch) -> Result<(), CheckpointError> {
        let needed_bytes = body.len() as u64;
        match self.log.append(kind, body) {
            Ok(()) => Ok(()),
            Err(AppendError::Untouched(error)) => Err(CheckpointError::writing(error, needed_bytes)),
            Err(AppendError::Doubtful(error)) => {
                self.log_in_doubt = true;
                match self.settle() {
                    Ok(()) => Err(CheckpointError::writing(error, needed_bytes)),
                    Err(_) => Err(CheckpointError::Unsettled { epoch, cause: error }),
                }
            }
        }
    }

    fn retire(&mut self, files: Vec<DeltaFile>) {
        let dir = self.dir.delta_dir();
        self.garbage
            .extend(files.iter().map(|file| (delta_path(&dir, file.epoch, file.shard), file.bytes())));
    }

    /// Whatever lies in the delta directory and is not in the history was left by a checkpoint that never came to its end.
    fn find_leftovers(&mut self) -> Result<(), CheckpointError> {
        let dir = self.dir.delta_dir();
        let names = self.dir.disk.list(&dir);
        let names = names.map_err(|error| DiskError::new("cannot list the directory", &dir, &error))?;
        let used = self.history.files().map(|(_, used)| delta_file_name(used.file.epoch, used.file.shard));
        let used: std::collections::HashSet<String> = used.collect();
        let leftovers = names.into_iter().filter(|name| name.ends_with(".delta") && !used.contains(name));
        self.garbage = leftovers.map(|name| (dir.join(name), 0)).collect();
        Ok(())
    }

    /// The paths of the delta files, for a [`PageReader`](super::PageReader) or a shard's own reads.
    pub fn files(&self) -> DeltaFiles {
        DeltaFiles::new(&self.dir.path, self.history.file_table())
    }

    #[cfg(test)]
    pub(super) fn history(&self) -> &History {
        &self.history
    }
}

/// Removes a directory with all that is in it.
fn remove_all(disk: &dyn Disk, path: &Path) -> std::io::Result<()> {
    for name in disk.list(path)? {
        let entry = path.join(name);
        match disk.remove(&entry) {
            Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => remove_all(disk, &entry)?,
            result => result?,
        }
    }
    disk.remove_dir(path)
}

fn delta_path(dir: &Path, epoch: Epoch, shard: ShardId) -> PathBuf {
    dir.join(delta_file_name(epoch, shard))
}

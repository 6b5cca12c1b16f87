//! Reading a checkpoint: metadata and page maps at once, pages when they are needed.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::content::{ManifestContent, look};
use super::delta::{DeltaFile, DeltaFiles, META_PIECE_BYTES, MetaLocation, check_header, delta_file_name};
use super::error::{FromError, GoingBackRefused, RestoreError, StateDirError};
use super::history::{History, ShardMeta};
use super::page_map::{FileNo, PageEntry, PageMap};
use super::state_dir::DELTA_DIR;
use crate::disk::{BLOCK_BYTES, Disk, DiskError, DiskFile};
use crate::element::{Epoch, ShardId};
use crate::key::HashSeed;
use crate::limits::PAGE_BYTES;

/// A retained checkpoint, in brief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// Its number.
    pub epoch: Epoch,
    /// How many shards the job had.
    pub shards: u16,
    /// Whether sinks may have made visible what belongs to it.
    pub sinks_may_have_committed: bool,
    /// How many bytes of metadata it has.
    pub meta_bytes: u64,
}

/// A checkpoint as it was read.
#[derive(Clone, Debug)]
pub struct RestoredJob {
    /// Its number.
    pub epoch: Epoch,
    /// The seed of the job's key hash.
    pub hash_seed: HashSeed,
    /// What the coordinator wrote.
    pub meta: Vec<u8>,
    /// The shards that the job had, in order.
    pub shards: Vec<RestoredShard>,
    /// Which file is which.
    pub files: DeltaFiles,
    /// Sinks may have made visible what belongs to checkpoints up to this one; 0 for none.
    pub sinks_may_have_committed: Epoch,
}

/// A shard of a checkpoint as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredShard {
    /// What the shard wrote.
    pub meta: Vec<u8>,
    /// Where its pages lie.
    pub pages: Arc<PageMap>,
}

pub(crate) fn checkpoints(history: &History) -> Vec<CheckpointInfo> {
    let newest_first = history.retained().rev();
    let info = newest_first.map(|retained| CheckpointInfo {
        epoch: retained.epoch,
        shards: retained.shards.len() as u16,
        sinks_may_have_committed: retained.epoch <= history.sinks_may_have_committed,
        meta_bytes: retained.shards.iter().map(|shard| shard.meta.bytes()).sum(),
    });
    info.collect()
}

/// The newest checkpoint of a job, in a state directory that a process may be writing to. `None`: it has none.
///
/// # Errors
/// The directory cannot be read, or is another job's; or what belongs to the checkpoint is damaged, or was dropped meanwhile.
pub(crate) fn newest(
    disk: &dyn Disk,
    state_dir: &Path,
    job: &str,
) -> Result<Option<RestoredJob>, NewestError> {
    let ManifestContent { history, hash_seed, .. } = look(disk, state_dir, job)?;
    let Some(epoch) = history.newest().map(|newest| newest.epoch) else { return Ok(None) };
    Ok(Some(load(disk, state_dir, &history, hash_seed, epoch)?))
}

/// Why the newest checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NewestError {
    /// The state directory.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] RestoreError),
}

pub(crate) fn load(
    disk: &dyn Disk,
    state_dir: &Path,
    history: &History,
    hash_seed: HashSeed,
    epoch: Epoch,
) -> Result<RestoredJob, RestoreError> {
    let (Some(retained), Some(maps)) = (history.find(epoch), history.maps_of(epoch)) else {
        let available = history.retained().rev().map(|retained| retained.epoch).collect();
        return Err(RestoreError::NoSuchCheckpoint { asked: epoch, dir: state_dir.to_owned(), available });
    };
    let table = history.file_table();
    let mut needed = vec![false; table.len()];
    for map in &maps {
        map.iter().for_each(|(_, entry)| needed[entry.file.0 as usize] = true);
    }
    for shard in &retained.shards {
        if let (Some(file), MetaLocation::InFile { .. }) = (shard.file, &shard.meta) {
            needed[file.0 as usize] = true;
        }
    }
    for file in table.iter().zip(needed).filter_map(|(file, needed)| file.filter(|_| needed)) {
        check_file(disk, state_dir, file, epoch)?;
    }
    let files = DeltaFiles::new(state_dir, table);
    let mut shards = Vec::with_capacity(maps.len());
    for (no, (shard, pages)) in retained.shards.iter().zip(maps).enumerate() {
        shards.push(RestoredShard { meta: read_meta(disk, &files, ShardId(no as u16), shard)?, pages });
    }
    Ok(RestoredJob {
        epoch,
        hash_seed,
        meta: retained.meta.clone(),
        shards,
        files,
        sinks_may_have_committed: history.sinks_may_have_committed,
    })
}

/// Makes sure that a file is there, is the right one, and is long enough. Cheap: its pages are not looked at.
fn check_file(disk: &dyn Disk, state_dir: &Path, file: DeltaFile, epoch: Epoch) -> Result<(), RestoreError> {
    let path = state_dir.join(DELTA_DIR).join(delta_file_name(file.epoch, file.shard));
    let failed = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => RestoreError::MissingFile { path: path.clone(), epoch },
        _ => RestoreError::Disk(DiskError::new("cannot read", &path, error)),
    };
    let opened = disk.open(&path).map_err(|error| failed(&error))?;
    let len = opened.len().map_err(|error| failed(&error))?;
    if len < file.bytes() {
        return Err(RestoreError::Truncated { path, len, needed: file.bytes() });
    }
    let mut block = [0; BLOCK_BYTES];
    opened.read_exact_at(&mut block, 0).map_err(|error| failed(&error))?;
    check_header(&block, file.epoch, file.shard).map_err(|error| RestoreError::DamagedFile {
        path: path.clone(),
        offset: error.offset as u64,
        problem: error.problem,
    })
}

fn read_meta(
    disk: &dyn Disk,
    files: &DeltaFiles,
    shard: ShardId,
    place: &ShardMeta,
) -> Result<Vec<u8>, RestoreError> {
    let (block, len, crcs, file) = match (&place.meta, place.file) {
        (MetaLocation::Inline(bytes), _) => return Ok(bytes.clone()),
        (MetaLocation::InFile { block, len, crcs }, Some(file)) => (*block, *len, crcs, file),
        (MetaLocation::InFile { .. }, None) => {
            unreachable!("a checkpoint with metadata outside of a file is refused")
        }
    };
    let path = files.path(file);
    let start = u64::from(block) * BLOCK_BYTES as u64;
    // The file was found to be long enough, so the length can be believed.
    let mut meta = vec![0; len as usize];
    let read = disk.open(&path).and_then(|file| file.read_exact_at(&mut meta, start));
    read.map_err(|error| DiskError::new("cannot read", &path, &error))?;
    for (nth, (piece, expected)) in meta.chunks(META_PIECE_BYTES).zip(crcs).enumerate() {
        let found = crc32fast::hash(piece);
        if found != *expected {
            let offset = start + (nth * META_PIECE_BYTES) as u64;
            return Err(RestoreError::CorruptMeta { path, shard, offset, expected: *expected, found });
        }
    }
    Ok(meta)
}

/// Makes sure that `bytes` are the page that `entry` stands for.
#[inline]
pub fn check_page(files: &DeltaFiles, entry: &PageEntry, bytes: &[u8]) -> Result<(), RestoreError> {
    let found = crc32fast::hash(bytes);
    if found == entry.crc {
        return Ok(());
    }
    let (path, offset) = (files.path(entry.file), DeltaFiles::offset(entry));
    Err(RestoreError::CorruptPage { path, offset, expected: entry.crc, found })
}

/// How many files a [`PageReader`] keeps open.
const OPEN_FILES_MAX: usize = 64;

/// Reads single pages of a checkpoint, on the spot: for a page that is needed this instant.
pub struct PageReader {
    disk: Arc<dyn Disk>,
    files: DeltaFiles,
    /// The youngest last.
    open: VecDeque<(FileNo, Arc<dyn DiskFile>)>,
}

impl PageReader {
    /// Reads from the files of a restored checkpoint.
    pub fn new(disk: Arc<dyn Disk>, files: DeltaFiles) -> Self {
        PageReader { disk, files, open: VecDeque::new() }
    }

    /// Reads and verifies a page.
    pub fn read(&mut self, entry: &PageEntry, into: &mut [u8; PAGE_BYTES]) -> Result<(), RestoreError> {
        let offset = DeltaFiles::offset(entry);
        let file = self.file(entry.file)?;
        if let Err(error) = file.read_exact_at(into, offset) {
            let path = self.files.path(entry.file);
            if error.kind() == io::ErrorKind::UnexpectedEof {
                let (len, needed) = (file.len().unwrap_or(0), offset + PAGE_BYTES as u64);
                return Err(RestoreError::Truncated { path, len, needed });
            }
            return Err(DiskError::new("cannot read", &path, &error).into());
        }
        check_page(&self.files, entry, into)
    }

    fn file(&mut self, no: FileNo) -> Result<Arc<dyn DiskFile>, RestoreError> {
        if let Some((_, file)) = self.open.iter().find(|(open, _)| *open == no) {
            return Ok(file.clone());
        }
        let path = self.files.path(no);
        let file = self.disk.open(&path).map_err(|error| DiskError::new("cannot open", &path, &error))?;
        if self.open.len() == OPEN_FILES_MAX {
            self.open.pop_front();
        }
        self.open.push_back((no, file.clone()));
        Ok(file)
    }

    /// The delta files that the pages of these maps lie in, in order of their numbers: for a background pass that reads them whole.
    pub fn files_of<'a>(maps: impl IntoIterator<Item = &'a PageMap>) -> BTreeSet<FileNo> {
        maps.into_iter().flat_map(PageMap::iter).map(|(_, entry)| entry.file).collect()
    }
}

/// Whether the job may go back by itself from a damaged checkpoint to an older one: only if no sink has made visible what came in
/// between, and if the journals still have the input of that time (`journals_reach_back`; true where there are none).
pub fn may_go_back(
    damaged: Epoch,
    older: Option<Epoch>,
    sinks_may_have_committed: Epoch,
    journals_reach_back: bool,
) -> Result<Epoch, GoingBackRefused> {
    let Some(older) = older else { return Err(GoingBackRefused::NoneOlder { damaged }) };
    if sinks_may_have_committed > older {
        let committed = sinks_may_have_committed;
        return Err(GoingBackRefused::SinksCommitted { damaged, older, committed });
    }
    if !journals_reach_back {
        return Err(GoingBackRefused::JournalsTrimmed { damaged, older });
    }
    Ok(older)
}

/// Reads what a user gives with `--from`: `12` or `chk-12`.
pub fn parse_from(text: &str) -> Result<Epoch, FromError> {
    let number = text.strip_prefix("chk-").unwrap_or(text);
    let epoch = number.parse::<u64>().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()));
    epoch.map(Epoch).ok_or_else(|| FromError(text.to_owned()))
}

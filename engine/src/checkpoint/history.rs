//! What the manifest log adds up to: the newest page maps, the way back to each retained checkpoint, and who needs which file.

use std::collections::VecDeque;
use std::sync::Arc;

use super::codec::{CodecError, Reader, Writer};
use super::delta::{DeltaFile, MetaLocation};
use super::page_map::{FileNo, PageEntry, PageId, PageMap};
use super::page_runs::PageRuns;
use super::record::{Checkpoint, shard_id, shard_list};
use crate::disk::BLOCK_BYTES;
use crate::element::{Epoch, ShardId};
use crate::limits::SHARDS_MAX;

/// File numbers lie below this: far more files than a job can have, few enough for a table.
const FILES_MAX: u32 = 1 << 22;

/// The fold of a manifest log. Only the newest page maps are kept whole; an older checkpoint is the newest one with the `undo` lists of
/// all younger ones applied, so that ten retained checkpoints of a large state cost little more than one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct History {
    files: Vec<Option<FileUse>>,
    retained: VecDeque<Retained>,
    /// Shared with what was restored from them, until the first checkpoint after that changes them.
    maps: Vec<Arc<PageMap>>,
    /// The largest epoch that was ever committed; none is used twice.
    pub(crate) last_epoch: Epoch,
    /// Sinks may have committed everything up to this one.
    pub(crate) sinks_may_have_committed: Epoch,
}

/// A retained checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Retained {
    pub(crate) epoch: Epoch,
    pub(crate) meta: Vec<u8>,
    pub(crate) shards: Vec<ShardMeta>,
    /// What to set, last first, to get from this checkpoint's maps to those of the one before. Empty for the oldest one.
    undo: Vec<(ShardId, PageId, PageEntry)>,
}

/// Where a shard's metadata of a checkpoint lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShardMeta {
    pub(crate) file: Option<FileNo>,
    pub(crate) meta: MetaLocation,
}

/// A delta file and how much of it is needed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileUse {
    pub(crate) file: DeltaFile,
    /// How many entries of the newest maps lie in it.
    pub(crate) live: u32,
    /// How many entries of undo lists lie in it.
    pub(crate) kept: u32,
    /// Whether it holds the metadata of a retained checkpoint.
    pub(crate) has_meta: bool,
}

impl History {
    /// The retained checkpoints, oldest first.
    pub(crate) fn retained(&self) -> impl DoubleEndedIterator<Item = &Retained> + ExactSizeIterator {
        self.retained.iter()
    }

    /// A retained checkpoint.
    pub(crate) fn find(&self, epoch: Epoch) -> Option<&Retained> {
        self.retained.iter().find(|retained| retained.epoch == epoch)
    }

    pub(crate) fn newest(&self) -> Option<&Retained> {
        self.retained.back()
    }

    /// The newest page map of a shard.
    pub(crate) fn map(&self, shard: ShardId) -> Option<&PageMap> {
        self.maps.get(shard.index()).map(Arc::as_ref)
    }

    /// All files that something needs.
    pub(crate) fn files(&self) -> impl Iterator<Item = (FileNo, &FileUse)> {
        let numbered = self.files.iter().enumerate();
        numbered.filter_map(|(no, file)| Some((FileNo(no as u32), file.as_ref()?)))
    }

    /// The files by number, index 0 unused.
    pub(crate) fn file_table(&self) -> Vec<Option<DeltaFile>> {
        self.files.iter().map(|file| file.as_ref().map(|file| file.file)).collect()
    }

    /// The epoch of the oldest checkpoint that is retained when one more is added and `keep` stay in all.
    pub(crate) fn oldest_after(&self, adding: Epoch, keep: usize) -> Epoch {
        let surplus = (self.retained.len() + 1).saturating_sub(keep.max(1));
        self.retained.get(surplus).map_or(adding, |retained| retained.epoch)
    }

    /// How many bytes of memory it takes: the page maps, the ways back, and who needs which file.
    pub(crate) fn bytes_in_memory(&self) -> u64 {
        let maps: usize = self.maps.iter().map(|map| map.bytes_in_memory()).sum();
        let ways_back: usize = self.retained.iter().map(|retained| retained.undo.capacity()).sum();
        let files = self.files.capacity() * size_of::<Option<FileUse>>();
        (maps + ways_back * size_of::<(ShardId, PageId, PageEntry)>() + files) as u64
    }

    /// Numbers for new files, lowest first, that nothing refers to.
    pub(crate) fn free_numbers(&self) -> impl Iterator<Item = FileNo> + '_ {
        (1..FILES_MAX).map(FileNo).filter(|no| self.is_free(*no))
    }

    /// In which way a checkpoint does not follow those before it.
    pub(crate) fn misfit(&self, checkpoint: &Checkpoint<'_>) -> Option<String> {
        let (epoch, shards) = (checkpoint.epoch, &checkpoint.shards);
        if epoch <= self.last_epoch {
            return Some(format!("epoch {epoch} follows epoch {}", self.last_epoch));
        }
        if checkpoint.oldest_retained > epoch {
            return Some(format!("it retains nothing before epoch {}", checkpoint.oldest_retained));
        }
        if shards.is_empty() || shards.len() > usize::from(SHARDS_MAX) {
            return Some(format!("{} is not a number of shards", shards.len()));
        }
        if !checkpoint.fresh_maps && !self.retained.is_empty() && self.maps.len() != shards.len() {
            return Some(format!("{} shards follow {}", shards.len(), self.maps.len()));
        }
        let mut files: Vec<FileNo> = shards.iter().filter_map(|part| part.file).map(|(no, _)| no).collect();
        if let Some(no) = files.iter().find(|no| !self.is_free(**no)) {
            return Some(format!("{no:?} is not free"));
        }
        files.sort_unstable();
        if files.windows(2).any(|pair| pair[0] == pair[1]) {
            return Some("two shards have one file".to_owned());
        }
        for part in shards {
            let (own, blocks) = part.file.unwrap_or((FileNo::NONE, 0));
            let known = |entry: &PageEntry| match entry.file {
                file if file == own => 0 < entry.block && entry.block < blocks,
                _ => self.knows(*entry),
            };
            let unknown = part.pages.runs().find_map(|run| run.iter().find(|(_, entry)| !known(entry)));
            if let Some((id, entry)) = unknown {
                return Some(format!("{id:?} lies in the unknown block {} of {:?}", entry.block, entry.file));
            }
        }
        let stray = shards.iter().find(|part| !meta_fits(&part.meta, part.file.map(|(_, blocks)| blocks)))?;
        Some(format!("metadata {:?} lies outside of its file {:?}", stray.meta, stray.file))
    }

    /// Adds a checkpoint, which [`History::misfit`] has found to fit, and drops those that it retires. Gives back the files that nothing
    /// needs any more.
    pub(crate) fn apply(&mut self, checkpoint: Checkpoint<'_>) -> Vec<DeltaFile> {
        let epoch = checkpoint.epoch;
        // Without a checkpoint before this one that stays there is no way back to remember.
        let way_back = !self.retained.is_empty() && checkpoint.oldest_retained < epoch;
        let mut undo = Vec::new();
        if checkpoint.fresh_maps {
            for (shard, map) in std::mem::take(&mut self.maps).iter().enumerate() {
                for (id, entry) in map.iter() {
                    replaces(&mut self.files, PageEntry::ABSENT, entry, way_back);
                    if way_back {
                        undo.push((ShardId(shard as u16), id, entry));
                    }
                }
            }
        }
        self.maps.resize_with(checkpoint.shards.len(), Arc::default);
        let mut shards = Vec::with_capacity(checkpoint.shards.len());
        for (shard, part) in checkpoint.shards.iter().enumerate() {
            if let Some((no, blocks)) = part.file {
                self.add_file(no, DeltaFile { epoch, shard: ShardId(shard as u16), blocks });
            }
        }
        for (shard, part) in checkpoint.shards.into_iter().enumerate() {
            let (map, shard) = (Arc::make_mut(&mut self.maps[shard]), ShardId(shard as u16));
            if way_back {
                let pages: usize = part.pages.runs().map(|run| run.entries().len()).sum();
                undo.reserve(pages + part.removed.len());
            }
            let mut changed = |id, old, new| {
                replaces(&mut self.files, new, old, way_back);
                if way_back {
                    undo.push((shard, id, old));
                }
            };
            for run in part.pages.runs() {
                map.set_run(run.first(), run.entries(), &mut changed);
            }
            for id in part.removed {
                changed(id, map.set(id, PageEntry::ABSENT), PageEntry::ABSENT);
            }
            let shard = ShardMeta { file: part.file.map(|(file, _)| file), meta: part.meta };
            self.pin_meta(&shard, true);
            shards.push(shard);
        }
        self.retained.push_back(Retained { epoch, meta: checkpoint.meta, shards, undo });
        self.last_epoch = epoch;
        if checkpoint.sinks_commit {
            self.sinks_may_have_committed = epoch;
        }
        self.forget_the_way_back_from_the_oldest();
        while self.retained.front().is_some_and(|oldest| oldest.epoch < checkpoint.oldest_retained) {
            self.unpin(self.retained.front().map(|oldest| oldest.shards.clone()));
            self.retained.pop_front();
            self.forget_the_way_back_from_the_oldest();
        }
        self.sweep()
    }

    /// Makes `to` the newest checkpoint (none at all where it is `None`). Gives back the files that nothing needs any more.
    pub(crate) fn rewind(&mut self, to: Option<Epoch>) -> Vec<DeltaFile> {
        while self.retained.back().map(|newest| newest.epoch) > to {
            self.unpin(self.retained.back().map(|newest| newest.shards.clone()));
            let undo = self.retained.pop_back().map(|newest| newest.undo).unwrap_or_default();
            for (shard, id, entry) in undo.into_iter().rev() {
                uses(&mut self.files, entry, |file| file.kept -= 1);
                self.set(shard, id, entry);
            }
            let shards = self.retained.back().map_or(0, |newest| newest.shards.len());
            for map in self.maps.drain(shards..) {
                for (_, entry) in map.iter() {
                    uses(&mut self.files, entry, |file| file.live -= 1);
                }
            }
        }
        self.sweep()
    }

    /// The page maps of a retained checkpoint.
    pub(crate) fn maps_of(&self, epoch: Epoch) -> Option<Vec<Arc<PageMap>>> {
        let shards = self.find(epoch)?.shards.len();
        let mut maps = self.maps.clone();
        for younger in self.retained.iter().rev().take_while(|retained| retained.epoch > epoch) {
            for (shard, id, entry) in younger.undo.iter().rev() {
                if maps.len() <= shard.index() {
                    maps.resize_with(shard.index() + 1, Arc::default);
                }
                Arc::make_mut(&mut maps[shard.index()]).set(*id, *entry);
            }
        }
        maps.resize_with(shards, Arc::default);
        Some(maps)
    }

    fn knows(&self, entry: PageEntry) -> bool {
        let file = self.files.get(entry.file.0 as usize).and_then(Option::as_ref);
        file.is_some_and(|known| 0 < entry.block && entry.block < known.file.blocks)
    }

    fn is_free(&self, no: FileNo) -> bool {
        0 < no.0 && no.0 < FILES_MAX && !matches!(self.files.get(no.0 as usize), Some(Some(_)))
    }

    fn add_file(&mut self, no: FileNo, file: DeltaFile) {
        let index = no.0 as usize;
        if self.files.len() <= index {
            self.files.resize(index + 1, None);
        }
        self.files[index] = Some(FileUse { file, live: 0, kept: 0, has_meta: false });
    }

    /// Changes the newest map and counts. What was there is forgotten.
    fn set(&mut self, shard: ShardId, id: PageId, entry: PageEntry) {
        if self.maps.len() <= shard.index() {
            self.maps.resize_with(shard.index() + 1, Arc::default);
        }
        let old = Arc::make_mut(&mut self.maps[shard.index()]).set(id, entry);
        replaces(&mut self.files, entry, old, false);
    }

    fn pin_meta(&mut self, shard: &ShardMeta, pinned: bool) {
        let file = shard.file.and_then(|no| self.files.get_mut(no.0 as usize)).and_then(Option::as_mut);
        if let (Some(file), MetaLocation::InFile { .. }) = (file, &shard.meta) {
            file.has_meta = pinned;
        }
    }

    fn unpin(&mut self, shards: Option<Vec<ShardMeta>>) {
        for shard in shards.unwrap_or_default() {
            self.pin_meta(&shard, false);
        }
    }

    fn forget_the_way_back_from_the_oldest(&mut self) {
        let undo = self.retained.front_mut().map(|oldest| std::mem::take(&mut oldest.undo));
        for (_, _, entry) in undo.unwrap_or_default() {
            uses(&mut self.files, entry, |file| file.kept -= 1);
        }
    }

    /// Takes out the files that nothing needs.
    fn sweep(&mut self) -> Vec<DeltaFile> {
        let mut gone = Vec::new();
        for slot in &mut self.files {
            if let Some(file) = slot.take_if(|file| file.live == 0 && file.kept == 0 && !file.has_meta) {
                gone.push(file.file);
            }
        }
        let used = self.files.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        self.files.truncate(used);
        gone
    }

    pub(crate) fn put(&self, out: &mut Writer) {
        out.put_u64(self.last_epoch.0).put_u64(self.sinks_may_have_committed.0);
        let files: Vec<_> = self.files().collect();
        out.put_list(files, |out, (no, used)| {
            out.put_u32(no.0).put_u64(used.file.epoch.0).put_u16(used.file.shard.0).put_u32(used.file.blocks);
        });
        out.put_list(&self.retained, |out, retained| {
            out.put_u64(retained.epoch.0).put_bytes(&retained.meta);
            out.put_list(&retained.shards, |out, shard| {
                out.put_u32(shard.file.unwrap_or(FileNo::NONE).0);
                shard.meta.put(out);
            });
            out.put_list(&retained.undo, |out, (shard, id, entry)| {
                out.put_u16(shard.0);
                id.put(out);
                entry.put(out);
            });
        });
        for map in &self.maps {
            PageRuns::from_sorted(map.iter()).put(out);
        }
    }

    pub(crate) fn get(fields: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut history = History {
            last_epoch: Epoch(fields.u64("last epoch")?),
            sinks_may_have_committed: Epoch(fields.u64("epoch that sinks may have committed")?),
            ..History::default()
        };
        history.get_files(fields)?;
        history.retained = fields.list("checkpoints", 32, Retained::get)?.into();
        let start = fields.clone();
        for i in 0..history.retained.len() {
            for shard in history.retained[i].shards.clone() {
                let file =
                    shard.file.and_then(|no| history.files.get(no.0 as usize)).and_then(Option::as_ref);
                if !meta_fits(&shard.meta, file.map(|file| file.file.blocks)) {
                    return Err(start.error("metadata", "it lies outside of its file"));
                }
                history.pin_meta(&shard, true);
            }
            for j in 0..history.retained[i].undo.len() {
                let (_, id, entry) = history.retained[i].undo[j];
                if entry.is_present() && !history.knows(entry) {
                    return Err(unknown(fields, id, entry));
                }
                uses(&mut history.files, entry, |file| file.kept += 1);
            }
        }
        let epochs: Vec<Epoch> = history.retained().map(|retained| retained.epoch).collect();
        let ordered = epochs.windows(2).all(|pair| pair[0] < pair[1]);
        if !ordered || epochs.last().is_some_and(|newest| *newest > history.last_epoch) {
            return Err(start.error("checkpoints", "they are out of order"));
        }
        let shards = history.newest().map_or(0, |newest| newest.shards.len());
        for _ in 0..shards {
            let (pages, mut map) = (PageRuns::get(fields)?, PageMap::new());
            for run in pages.runs() {
                if let Some((id, entry)) = run.iter().find(|(_, entry)| !history.knows(*entry)) {
                    return Err(unknown(fields, id, entry));
                }
                map.set_run(run.first(), run.entries(), |_, old, entry| {
                    replaces(&mut history.files, entry, old, false);
                });
            }
            history.maps.push(Arc::new(map));
        }
        Ok(history)
    }

    fn get_files(&mut self, fields: &mut Reader<'_>) -> Result<(), CodecError> {
        for _ in 0..fields.count("files", 4 + DeltaFile::BYTES)? {
            let start = fields.clone();
            let no = FileNo(fields.u32("file number")?);
            let (epoch, shard) = (Epoch(fields.u64("file epoch")?), shard_id(fields)?);
            let file = DeltaFile { epoch, shard, blocks: fields.u32("file length")? };
            if !self.is_free(no) {
                return Err(start.error("file number", format_args!("{no:?} cannot be")));
            }
            self.add_file(no, file);
        }
        Ok(())
    }
}

impl Retained {
    fn get(fields: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Retained {
            epoch: Epoch(fields.u64("epoch")?),
            meta: fields.bytes("job metadata")?.to_vec(),
            shards: shard_list(fields, "shards", 4 + MetaLocation::BYTES_MIN, |fields| {
                let file = Some(FileNo(fields.u32("file")?)).filter(|file| *file != FileNo::NONE);
                Ok(ShardMeta { file, meta: MetaLocation::get(fields)? })
            })?,
            undo: fields.list("undo list", 2 + PageId::BYTES + PageEntry::BYTES, |fields| {
                Ok((shard_id(fields)?, PageId::get(fields)?, PageEntry::get(fields)?))
            })?,
        })
    }
}

/// Whether metadata lies within a file of so many blocks.
fn meta_fits(meta: &MetaLocation, blocks: Option<u32>) -> bool {
    match meta {
        MetaLocation::Inline(_) => true,
        MetaLocation::InFile { block, len, .. } => {
            let end = u64::from(*block).saturating_add(len.div_ceil(BLOCK_BYTES as u64));
            *block > 0 && blocks.is_some_and(|blocks| end <= u64::from(blocks))
        }
    }
}

/// Counts that an entry has taken the place of an old one, which is kept for the way back or needed no more.
fn replaces(files: &mut [Option<FileUse>], entry: PageEntry, old: PageEntry, kept: bool) {
    uses(files, entry, |file| file.live += 1);
    uses(files, old, |file| (file.live, file.kept) = (file.live - 1, file.kept + u32::from(kept)));
}

fn unknown(fields: &Reader<'_>, id: PageId, entry: PageEntry) -> CodecError {
    let problem = format_args!("{id:?} lies in the unknown block {} of {:?}", entry.block, entry.file);
    fields.error("page entry", problem)
}

/// Counts a use of the entry's file, where there is a page.
fn uses(files: &mut [Option<FileUse>], entry: PageEntry, count: impl FnOnce(&mut FileUse)) {
    if let Some(Some(file)) = files.get_mut(entry.file.0 as usize) {
        count(file);
    }
}

//! A job in miniature that saves checkpoints, and a model that knows what must be found again.

mod crash;
mod damage;
mod delta;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use super::*;
use crate::disk::{Disk, FileHandle, ShardDisk};
use crate::element::{Epoch, ShardId};
use crate::key::HashSeed;
use crate::limits::PAGE_BYTES;
use crate::testing::sim_disk::{Random, SimDisk};

const DIR: &str = "/state";

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn identity() -> JobIdentity {
    JobIdentity { job: "job".to_owned(), hash_seed: HashSeed(42) }
}

fn open(disk: Arc<dyn Disk>) -> Result<(CheckpointStore, OpenReport), StateDirError> {
    CheckpointStore::open(disk, dir(), &identity(), StoreOptions::default())
}

fn page(arena: u16, page: u32) -> PageId {
    PageId { arena: ArenaNo(arena), page: PageNo(page) }
}

/// What a page with this version holds.
fn contents(version: u64) -> [u8; PAGE_BYTES] {
    let mut bytes = [0; PAGE_BYTES];
    for (i, word) in bytes.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&(version ^ i as u64).to_le_bytes());
    }
    bytes
}

fn info(version: u64) -> PageInfo {
    (u128::from(version) << 3).to_le_bytes()
}

/// What a shard does to its state between two checkpoints.
#[derive(Clone, Debug, Default)]
struct Change {
    pages: BTreeMap<PageId, u64>,
    adopted: BTreeMap<PageId, PageEntry>,
    removed: BTreeSet<PageId>,
    meta: Vec<u8>,
}

/// Drives a writer through one checkpoint.
fn write_delta(
    disk: &mut dyn ShardDisk,
    writer: &mut DeltaWriter,
    epoch: Epoch,
    change: &Change,
) -> Result<DeltaSummary, CheckpointError> {
    writer.begin(epoch, change.pages.len());
    let mut pages = change.pages.iter().peekable();
    for (id, entry) in &change.adopted {
        writer.adopt_page(*id, *entry);
    }
    let mut finished = false;
    for _ in 0..100_000 {
        while writer.wants_more() {
            let Some((id, version)) = pages.next() else { break };
            writer.add_page(disk, *id, info(*version), &contents(*version));
        }
        if !finished && pages.peek().is_none() {
            writer.finish(change.removed.iter().copied().collect(), change.meta.clone());
            finished = true;
        }
        while let Some(done) = disk.poll() {
            assert!(writer.on_done(done).is_none(), "nobody else uses this disk");
        }
        if let Poll::Ready(result) = writer.poll(disk) {
            assert!(!writer.is_active() && disk.outstanding() == 0);
            return result;
        }
    }
    panic!("the writer does not come to its end: {writer:?}");
}

/// The state of a job at a checkpoint, as versions of pages.
#[derive(Clone, Debug, Default, PartialEq)]
struct Snapshot {
    shards: Vec<BTreeMap<PageId, u64>>,
    metas: Vec<Vec<u8>>,
}

impl Snapshot {
    fn with_shards(shards: u16) -> Self {
        let shards = usize::from(shards);
        Snapshot { shards: vec![BTreeMap::new(); shards], metas: vec![Vec::new(); shards] }
    }

    fn apply(&mut self, changes: &[Change]) {
        for (shard, change) in changes.iter().enumerate() {
            self.shards[shard].extend(change.pages.clone());
            self.shards[shard].retain(|id, _| !change.removed.contains(id));
            self.metas[shard] = change.meta.clone();
        }
    }
}

/// A job on a simulated disk, and all that it committed.
struct Job {
    store: CheckpointStore,
    disks: Vec<Box<dyn ShardDisk>>,
    writers: Vec<DeltaWriter>,
    state: Snapshot,
    next_version: u64,
}

/// What must be found again.
#[derive(Clone, Debug, Default)]
struct Model {
    committed: BTreeMap<Epoch, Snapshot>,
    /// The last attempt, where it is open whether it will be found.
    attempted: Option<(Epoch, Snapshot)>,
}

impl Model {
    fn newest(&self) -> Option<Epoch> {
        self.committed.keys().next_back().copied()
    }
}

impl Job {
    /// Starts from the newest checkpoint.
    fn start(
        disk: &SimDisk,
        mut store: CheckpointStore,
        shards: u16,
        model: &Model,
    ) -> Result<Job, CheckpointError> {
        let newest = store.checkpoints().first().map(|info| info.epoch);
        store.start_run(newest)?;
        let state =
            newest.map_or_else(|| Snapshot::with_shards(shards), |epoch| model.committed[&epoch].clone());
        let delta_dir = store.delta_dir();
        let writer = |shard| DeltaWriter::new(ShardId(shard), delta_dir.clone(), FileHandle(1));
        Ok(Job {
            disks: (0..shards).map(|_| Box::new(disk.shard_disk()) as Box<dyn ShardDisk>).collect(),
            writers: (0..shards).map(writer).collect(),
            next_version: store.next_epoch().0 * 1_000_000,
            store,
            state,
        })
    }

    /// Changes that a job might make.
    fn random_changes(&mut self, random: &mut Random) -> Vec<Change> {
        let shards = self.state.shards.len() as u16;
        (0..shards).map(|shard| self.random_change(ShardId(shard), random)).collect()
    }

    fn random_change(&mut self, shard: ShardId, random: &mut Random) -> Change {
        let mut change = Change::default();
        let pages = if random.one_in(3) { 0 } else { random.below(12) };
        for _ in 0..pages {
            self.next_version += 1;
            change.pages.insert(page(random.below(2) as u16, random.below(30) as u32), self.next_version);
        }
        let state = &self.state.shards[shard.index()];
        change.removed = state.keys().filter(|_| random.one_in(8)).copied().collect();
        change.pages.retain(|id, _| !change.removed.contains(id));
        for id in self.store.sparse_pages(shard, 8) {
            if !change.removed.contains(&id) {
                change.pages.entry(id).or_insert(state[&id]);
            }
        }
        let meta = [10, 100, 20_000][random.below(3) as usize];
        change.meta = (0..meta).map(|i| (i as u64 ^ self.next_version) as u8).collect();
        change
    }

    /// Makes a checkpoint of the state after `changes`.
    fn checkpoint(&mut self, changes: &[Change], model: &mut Model) -> Result<CommitReport, CheckpointError> {
        let epoch = self.store.next_epoch();
        let mut after = self.state.clone();
        after.apply(changes);
        let shards = changes.len() as u16;
        let mut deltas = Vec::new();
        for (shard, change) in changes.iter().enumerate() {
            match write_delta(self.disks[shard].as_mut(), &mut self.writers[shard], epoch, change) {
                Ok(delta) => deltas.push(delta),
                Err(error) => {
                    self.store.discard(epoch, shards);
                    return Err(error);
                }
            }
        }
        model.attempted = Some((epoch, after.clone()));
        let meta = format!("checkpoint {epoch}").into_bytes();
        let record = CheckpointRecord { epoch, shards: deltas, meta, fresh_maps: false, sinks_commit: false };
        let committed = self.store.commit(record);
        if committed.is_ok() {
            model.attempted = None;
            model.committed.insert(epoch, after.clone());
            self.state = after;
        }
        committed
    }
}

/// Makes sure that every retained checkpoint can be loaded and is what was saved, page by page.
fn verify(disk: Arc<dyn Disk>, store: &CheckpointStore, model: &Model) {
    for info in store.checkpoints() {
        let job = store.load(info.epoch).unwrap();
        let expected = match (&model.committed.get(&info.epoch), &model.attempted) {
            (Some(snapshot), _) => snapshot,
            (None, Some((epoch, snapshot))) if *epoch == info.epoch => snapshot,
            _ => panic!("checkpoint {} was never made", info.epoch),
        };
        let read = read_back(disk.clone(), &job).unwrap();
        assert_eq!(&read, expected, "checkpoint {}", info.epoch);
        assert_eq!(job.meta, format!("checkpoint {}", info.epoch).into_bytes());
        assert_eq!(job.hash_seed, HashSeed(42));
    }
}

/// All pages of a restored job, as versions; the error if one cannot be read.
fn read_back(disk: Arc<dyn Disk>, job: &RestoredJob) -> Result<Snapshot, RestoreError> {
    let mut reader = PageReader::new(disk, job.files.clone());
    let mut read = Snapshot::default();
    for shard in &job.shards {
        let mut pages = BTreeMap::new();
        for (id, entry) in shard.pages.iter() {
            let mut bytes = [0; PAGE_BYTES];
            reader.read(&entry, &mut bytes)?;
            let version = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert!(bytes == contents(version), "a page with a good CRC is what was written");
            assert_eq!(entry.info, info(version));
            pages.insert(id, version);
        }
        read.shards.push(pages);
        read.metas.push(shard.meta.clone());
    }
    Ok(read)
}

/// A disk with a job that made some checkpoints without trouble.
fn quiet_job(seed: u64, checkpoints: usize) -> (SimDisk, Model) {
    let disk = SimDisk::new(seed, Default::default());
    let mut random = Random(seed);
    let mut model = Model::default();
    let (store, _) = open(disk.shared()).unwrap();
    let mut job = Job::start(&disk, store, 2, &model).unwrap();
    for _ in 0..checkpoints {
        let changes = job.random_changes(&mut random);
        job.checkpoint(&changes, &mut model).unwrap();
        job.store.tidy().unwrap();
    }
    drop(job);
    (disk, model)
}

//! Drives a window operator without a job: its instances on some shards, and checkpoints of them on a simulated disk.

use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use crate::arena::MemoryBudget;
use crate::channel::{BatchShape, OpenBatch};
use crate::checkpoint::{
    ArenaNo, CheckpointRecord, CheckpointStore, DeltaWriter, JobIdentity, PageId, StoreOptions,
};
use crate::disk::{FileHandle, ShardDisk};
use crate::element::{KeyHash, ShardId, Timestamp};
use crate::graph::{ChainNode, OpNode, Plan, Role};
use crate::key::{HashSeed, Key};
use crate::operator::keyed::{Firing as Fired, FromExchange, Operator};
use crate::operator::segment::{OpenContext, Tail};
use crate::operator::typed::trust;
use crate::operator::window::WindowAggregate;
use crate::operator::window::finish::{DropLate, Whole};
use crate::operator::window::rule::WindowRule;
use crate::operator::{OpId, Push};
use crate::runtime::Waker;
use crate::runtime::job_meta::JobMeta;
use crate::runtime::restored::Restored;
use crate::runtime::snapshot::ShardSnapshot;
use crate::testing::sim_disk::SimDisk;
use crate::time::{JobTime, ProcessingTime, Tick};
use crate::window::{Slices, WindowResult};

pub const SEED: HashSeed = HashSeed(42);
const NAME: &str = "window";

/// Keeps what an operator gives out.
pub struct Kept<V>(Vec<(WindowResult<u64, V>, Timestamp)>);

/// The operator of windows over numbers, by numbers.
pub type Windows<W, R> = WindowAggregate<i64, u64, W, R, Whole, DropLate>;

impl<W: Slices, R: WindowRule<i64>> Push<FromExchange<Windows<W, R>>> for Kept<R::Out> {
    fn push(&mut self, item: WindowResult<u64, R::Out>, at: Timestamp) {
        self.0.push((item, at));
    }

    fn tail(&mut self) -> &mut dyn Tail {
        unreachable!("an operator gives out records and leaves signals to its segment")
    }
}

/// The instances of one operator.
pub struct Driver<W, R: WindowRule<i64>> {
    make: Box<dyn Fn() -> Windows<W, R>>,
    shards: Vec<Windows<W, R>>,
    watermarks: Vec<Timestamp>,
    out: Kept<R::Out>,
    plan: Arc<Plan>,
    disk: SimDisk,
    store: CheckpointStore,
    /// The shards are not those of the newest checkpoint.
    fresh_maps: bool,
}

impl<W: Slices, R: WindowRule<i64>> Driver<W, R> {
    pub fn new(shards: u16, make: impl Fn() -> Windows<W, R> + 'static) -> Self {
        let disk = SimDisk::new(1, Default::default());
        let identity = JobIdentity { job: "job".to_owned(), hash_seed: SEED };
        let dir = Path::new("/state");
        let (mut store, _) =
            CheckpointStore::open(disk.shared(), dir, &identity, StoreOptions::default()).unwrap();
        store.start_run(None).unwrap();
        let op = OpNode {
            name: NAME.to_owned(),
            stateful: true,
            built_at: Location::caller(),
            role: Role::Inner,
            note: None,
        };
        let chain = ChainNode { ops: vec![OpId(0)], output: None, sides: Vec::new() };
        let plan = Arc::new(Plan { ops: vec![op], chains: vec![chain], ..Plan::default() });
        let mut driver = Driver {
            make: Box::new(make),
            shards: Vec::new(),
            watermarks: Vec::new(),
            out: Kept(Vec::new()),
            plan,
            disk,
            store,
            fresh_maps: false,
        };
        driver.open(shards, None);
        driver
    }

    fn open(&mut self, shards: u16, restored: Option<Arc<Restored>>) {
        self.shards.clear();
        self.watermarks = vec![Timestamp::MIN; usize::from(shards)];
        for shard in 0..shards {
            let context = OpenContext {
                shard: ShardId(shard),
                shards,
                plan: self.plan.clone(),
                job: "job".to_owned(),
                state_dir: None,
                seed: SEED,
                budget: MemoryBudget::unlimited(),
                waker: Waker::new(),
                restored: restored.clone(),
                time: Arc::new(JobTime::new(0, &[])),
                processing: ProcessingTime::from_epoch(Tick::Millisecond),
            };
            let mut operator = (self.make)();
            operator.open(&context).unwrap_or_else(|failure| panic!("{}", failure.cause));
            self.shards.push(operator);
        }
    }

    pub fn shard_of(&self, key: u64) -> usize {
        hash(key).shard(self.shards.len() as u16).index()
    }

    /// Gives records `(key, timestamp, value)` that all belong to one shard.
    pub fn batch(&mut self, shard: usize, records: &[(u64, i64, i64)]) {
        let mut open = OpenBatch::new(BatchShape::keyed::<i64, u64>());
        for (key, at, value) in records {
            assert_eq!(self.shard_of(*key), shard);
            open.push(Timestamp(*at), hash(*key), key, value);
        }
        if !records.is_empty() {
            self.shards[shard].batch(&trust(open.as_batch(), 0..records.len()), &mut self.out);
        }
    }

    pub fn record(&mut self, key: u64, at: i64, value: i64) {
        self.batch(self.shard_of(key), &[(key, at, value)]);
    }

    /// Lets a shard's event time advance, one piece after the other; `between` is called after each that leaves more to do.
    pub fn watermark(&mut self, shard: usize, at: i64, mut between: impl FnMut(&mut Self)) {
        self.watermarks[shard] = Timestamp(at);
        let mut pieces = 0;
        while self.shards[shard].watermark(Timestamp(at), &mut self.out) == Fired::More {
            pieces += 1;
            assert!(pieces < 1_000_000, "it does not come to its end");
            between(self);
        }
    }

    /// Makes a checkpoint, throws the instances away and makes as many new ones from it, or with `shards` another number of them, whose
    /// event time begins at the least of the old ones.
    pub fn restore(&mut self, shards: Option<u16>) {
        let checkpoint = self.checkpoint();
        let job = self.store.load(checkpoint).unwrap();
        let restored = Restored::read(job, self.disk.shared(), &self.plan).unwrap();
        let watermarks = self.watermarks.clone();
        let now = shards.unwrap_or(watermarks.len() as u16);
        self.open(now, Some(Arc::new(restored)));
        if usize::from(now) == watermarks.len() {
            self.watermarks = watermarks;
            return;
        }
        self.fresh_maps = true;
        let least = watermarks.into_iter().min().unwrap();
        for shard in 0..now {
            self.watermark(usize::from(shard), least.0, |_| {});
        }
    }

    fn checkpoint(&mut self) -> crate::element::Epoch {
        let epoch = self.store.next_epoch();
        let mut deltas = Vec::new();
        for (number, operator) in self.shards.iter_mut().enumerate() {
            let mut disk: Box<dyn ShardDisk> = Box::new(self.disk.shard_disk());
            let mut writer = DeltaWriter::new(ShardId(number as u16), self.store.delta_dir(), FileHandle(1));
            let operators = operator.switch(epoch).into_iter().collect();
            let snapshot = ShardSnapshot { operators, ..ShardSnapshot::default() };
            let arena = operator.arena().expect("an open operator has an arena");
            arena.begin_checkpoint(epoch);
            writer.begin(epoch, arena.pages_to_save());
            let id = |page| PageId { arena: ArenaNo(0), page };
            arena.save_some(usize::MAX, &mut |page| {
                writer.add_page(disk.as_mut(), id(page.page), page.info.encode(), page.bytes);
            });
            let removed = arena.removed_pages().iter().map(|page| id(*page)).collect();
            writer.finish(removed, snapshot.encode());
            arena.finish_checkpoint();
            deltas.push(loop {
                while let Some(done) = disk.poll() {
                    writer.on_done(done);
                }
                if let Poll::Ready(delta) = writer.poll(disk.as_mut()) {
                    break delta.unwrap();
                }
            });
        }
        let fresh_maps = std::mem::take(&mut self.fresh_maps);
        let meta = JobMeta { tick: Tick::Millisecond }.encode();
        let record = CheckpointRecord { epoch, shards: deltas, meta, fresh_maps, sinks_commit: false };
        self.store.commit(record).unwrap();
        self.store.tidy().unwrap();
        epoch
    }

    /// What was given out since the last call.
    pub fn results(&mut self) -> Vec<WindowResult<u64, R::Out>> {
        let kept = std::mem::take(&mut self.out.0);
        let result = kept.into_iter().map(|(result, at)| {
            assert_eq!(at, result.window.max_timestamp(), "WN-17");
            result
        });
        result.collect()
    }

    /// How many records came too late, and how many belonged to no window.
    pub fn lost(&self) -> (u64, u64) {
        let late = self.shards.iter().map(|shard| shard.late.count()).sum();
        (late, self.shards.iter().map(|shard| shard.unassigned).sum())
    }

    pub fn operator(&self, shard: usize) -> &Windows<W, R> {
        &self.shards[shard]
    }

    /// How many tables lie in a shard's arena, slices and blocks.
    pub fn tables(&self, shard: usize) -> (usize, usize) {
        let panes = self.shards[shard].panes.as_ref().unwrap();
        (panes.slices.len(), panes.blocks.metas().len())
    }
}

pub fn hash(key: u64) -> KeyHash {
    key.hash(SEED)
}

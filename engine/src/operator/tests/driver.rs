//! Drives an operator without a job: its instances on some shards, and checkpoints of them on a simulated disk.

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
use crate::element::{Epoch, KeyHash, ShardId, Timestamp};
use crate::graph::{ChainNode, JobShards, OpNode, Plan, Role, ShardRange, Wish};
use crate::key::{HashSeed, Key};
use crate::operator::inputs::Inputs;
use crate::operator::keyed::{Fed, Firing, FromExchange, Operator};
use crate::operator::segment::{OpenContext, Tail};
use crate::operator::{OpId, Push};
use crate::record::Record;
use crate::runtime::Waker;
use crate::runtime::job_meta::JobMeta;
use crate::runtime::restored::Restored;
use crate::runtime::snapshot::ShardSnapshot;
use crate::testing::sim_disk::SimDisk;
use crate::time::{JobTime, ProcessingTime, Tick};

pub const SEED: HashSeed = HashSeed(42);
const NAME: &str = "operator";

/// Keeps what an operator gives out.
struct Kept<U>(Vec<(U, Timestamp)>);

impl<U: 'static, H: Operator + for<'a> Fed<Item<'a> = U>> Push<FromExchange<H>> for Kept<U> {
    fn push(&mut self, item: U, at: Timestamp) {
        self.0.push((item, at));
    }

    fn tail(&mut self) -> &mut dyn Tail {
        unreachable!("an operator gives out records and leaves signals to its segment")
    }
}

/// The instances of one operator `H`, which gives out `U`s.
pub struct Driver<H, U> {
    make: Box<dyn Fn() -> H>,
    shards: Vec<H>,
    watermarks: Vec<Timestamp>,
    /// What the clock says.
    now: Timestamp,
    out: Kept<U>,
    plan: Arc<Plan>,
    /// Where checkpoints lie, once there is one.
    checkpoints: Option<(SimDisk, CheckpointStore)>,
    /// The shards are not those of the newest checkpoint.
    fresh_maps: bool,
}

impl<U: 'static, H: Operator + for<'a> Fed<Item<'a> = U>> Driver<H, U> {
    pub fn new(shards: u16, make: impl Fn() -> H + 'static) -> Self {
        let mut driver = Driver {
            make: Box::new(make),
            shards: Vec::new(),
            watermarks: Vec::new(),
            now: Timestamp::MIN,
            out: Kept(Vec::new()),
            plan: plan(shards),
            checkpoints: None,
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
                on: ShardRange::all(shards),
                plan: self.plan.clone(),
                job: "job".to_owned(),
                state_dir: None,
                seed: SEED,
                budget: MemoryBudget::unlimited(),
                spill: None,
                waker: Waker::new(),
                restored: restored.clone(),
                time: Arc::new(JobTime::new(&[], &[])),
                processing: ProcessingTime::from_epoch(Tick::Millisecond),
                params: crate::params::Params::new(),
                loops_over: std::sync::Arc::default(),
                stages: None,
                types: Arc::default(),
                draining: Arc::default(),
                suspects: Arc::default(),
            };
            let mut operator = (self.make)();
            operator.open(&context).unwrap_or_else(|failure| panic!("{}", failure.cause));
            self.shards.push(operator);
        }
    }

    pub fn shard_of(&self, key: u64) -> usize {
        hash(key).shard(self.shards.len() as u16).index()
    }

    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Gives records `(key, timestamp, record)` that all belong to one shard to an input, in one batch.
    pub fn give<T: Record>(&mut self, port: usize, shard: usize, records: &[(u64, i64, T)]) {
        let mut open = OpenBatch::new(BatchShape::keyed::<T, u64>());
        for (key, at, record) in records {
            assert_eq!(self.shard_of(*key), shard);
            open.push(Timestamp(*at), hash(*key), key, record);
        }
        if !records.is_empty() {
            let batch = H::In::batch(port, open.as_batch(), 0..records.len());
            self.shards[shard].batch(&batch, &mut self.out);
        }
    }

    /// Lets a shard's event time advance, one piece after the other; `between` is called after each that leaves more to do.
    pub fn watermark(&mut self, shard: usize, at: i64, mut between: impl FnMut(&mut Self)) {
        self.watermarks[shard] = Timestamp(at);
        let mut pieces = 0;
        while self.shards[shard].watermark(Timestamp(at), &mut self.out) == Firing::More {
            pieces += 1;
            assert!(pieces < 1_000_000, "it does not come to its end");
            between(self);
        }
    }

    /// The clock has gone on while no shard looked at it.
    pub fn set_clock(&mut self, now: i64) {
        self.now = Timestamp(now);
    }

    /// Lets the clock of a shard go on, as [`Driver::watermark`].
    pub fn clock(&mut self, shard: usize, now: i64, mut between: impl FnMut(&mut Self)) {
        self.now = Timestamp(now);
        let wakes = self.shards[shard].next_clock().is_some_and(|next| next <= self.now);
        let (mut pieces, given) = (0, self.out.0.len());
        self.shards[shard].set_clock(self.now);
        while self.shards[shard].clock(Timestamp(now), &mut self.out) == Firing::More {
            pieces += 1;
            assert!(pieces < 1_000_000, "it does not come to its end");
            between(self);
        }
        assert!(wakes || self.out.0.len() == given, "it would have slept at this time");
    }

    /// Makes a checkpoint, throws the instances away and makes as many new ones from it, or with `shards` another number of them, whose
    /// event time begins at the least of the old ones.
    pub fn restore(&mut self, shards: Option<u16>) {
        let (disk, mut store) = self.checkpoints.take().unwrap_or_else(no_checkpoints);
        let checkpoint = self.checkpoint(&disk, &mut store);
        let job = store.load(checkpoint).unwrap();
        let watermarks = self.watermarks.clone();
        let now = shards.unwrap_or(watermarks.len() as u16);
        self.plan = plan(now);
        let restored = Restored::read(job, disk.shared(), &self.plan, false).unwrap();
        self.checkpoints = Some((disk, store));
        self.open(now, Some(Arc::new(restored)));
        let shards = 0..usize::from(now);
        self.shards.iter_mut().for_each(|operator| operator.set_clock(self.now));
        if shards.len() == watermarks.len() {
            self.watermarks = watermarks;
        } else {
            self.fresh_maps = true;
            let least = watermarks.into_iter().min().unwrap();
            shards.clone().for_each(|shard| self.watermark(shard, least.0, |_| {}));
        }
        if self.now > Timestamp::MIN {
            // As in every step of a shard, before it takes input.
            shards.for_each(|shard| self.clock(shard, self.now.0, |_| {}));
        }
    }

    fn checkpoint(&mut self, disk: &SimDisk, store: &mut CheckpointStore) -> Epoch {
        let epoch = store.next_epoch();
        let mut deltas = Vec::new();
        for (number, operator) in self.shards.iter_mut().enumerate() {
            let mut writes: Box<dyn ShardDisk> = Box::new(disk.shard_disk());
            let mut writer = DeltaWriter::new(ShardId(number as u16), store.delta_dir(), FileHandle(1));
            let operators = operator.switch(epoch).into_iter().collect();
            let snapshot = ShardSnapshot { operators, ..ShardSnapshot::default() };
            let arena = operator.arena().expect("an open operator has an arena");
            arena.begin_checkpoint(epoch);
            writer.begin(epoch, arena.pages_to_save());
            let id = |page| PageId { arena: ArenaNo(0), page };
            let done = arena.save_some(usize::MAX, &mut |page| {
                writer.add_page(writes.as_mut(), id(page.page), page.info.encode(), page.bytes);
            });
            done.unwrap();
            let removed = arena.removed_pages().iter().map(|page| id(*page)).collect();
            writer.finish(removed, snapshot.encode());
            arena.finish_checkpoint();
            deltas.push(loop {
                while let Some(done) = writes.poll() {
                    writer.on_done(done);
                }
                if let Poll::Ready(delta) = writer.poll(writes.as_mut()) {
                    break delta.unwrap();
                }
            });
        }
        let fresh_maps = std::mem::take(&mut self.fresh_maps);
        let meta = JobMeta::of(&self.plan).encode();
        let record = CheckpointRecord { epoch, shards: deltas, meta, fresh_maps, sinks_commit: false };
        store.commit(record).unwrap();
        store.tidy().unwrap();
        epoch
    }

    /// What was given out since the last call.
    pub fn take(&mut self) -> Vec<(U, Timestamp)> {
        std::mem::take(&mut self.out.0)
    }

    pub fn operator(&self, shard: usize) -> &H {
        &self.shards[shard]
    }

    /// The instances of all shards, to look into.
    pub fn operators_mut(&mut self) -> impl Iterator<Item = &mut H> {
        self.shards.iter_mut()
    }

    /// The instances of all shards.
    pub fn operators(&self) -> impl Iterator<Item = &H> {
        self.shards.iter()
    }
}

fn plan(shards: u16) -> Arc<Plan> {
    let op = OpNode {
        name: NAME.to_owned(),
        stateful: true,
        built_at: Location::caller(),
        role: Role::Inner,
        note: None,
        wish: Wish::default(),
        endless: false,
        partitions: None,
    };
    let chain = ChainNode { on: ShardRange::all(shards), ..ChainNode::new(vec![OpId(0)], None, Vec::new()) };
    let shards = JobShards { count: shards, ..JobShards::default() };
    Arc::new(Plan { ops: vec![op], chains: vec![chain], shards, ..Plan::default() })
}

fn no_checkpoints() -> (SimDisk, CheckpointStore) {
    let disk = SimDisk::new(1, Default::default());
    let identity = JobIdentity { job: "job".to_owned(), hash_seed: SEED };
    let dir = Path::new("/state");
    let (mut store, _) =
        CheckpointStore::open(disk.shared(), dir, &identity, StoreOptions::default()).unwrap();
    store.start_run(None).unwrap();
    (disk, store)
}

pub fn hash(key: u64) -> KeyHash {
    key.hash(SEED)
}

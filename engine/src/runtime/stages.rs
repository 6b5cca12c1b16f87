//! The stages of a job in batch mode: what lies on disk of them, and which of them a further attempt need not do again.
//!
//! A stage ends where records are sorted by key. What a sorter has brought to disk is sealed, shard by shard. Where all shards have sealed
//! it, the stage is done: another attempt at the job, in this process or a later one, takes it from there, and the chains that only worked for
//! it have nothing to do (Flink's recovery by regions,
//! [FLIP-1](https://cwiki.apache.org/confluence/display/FLINK/FLIP-1%3A+Fine+Grained+Recovery+from+Task+Failures)).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use xxhash_rust::xxh3::xxh3_64;

use crate::disk::{Disk, DiskError};
use crate::element::{KeyGroups, ShardId};
use crate::graph::{ChainNode, ExchangeId, ExchangeNode, Plan};
use crate::key::HashSeed;
use crate::operator::OpId;
use crate::sort::{Sealed, SorterPlan};

/// How every file of a stage begins.
const STAGE: &str = "stage-";

/// The stages of one attempt.
#[derive(Debug)]
pub(crate) struct Stages {
    dir: PathBuf,
    job: u64,
    /// How much memory one sorter takes.
    bytes: u64,
    keeps: bool,
    done: HashMap<(usize, ShardId), Sealed>,
    /// By exchange: how many shards have not sealed its stage.
    unsealed: Vec<Arc<AtomicUsize>>,
    /// The heads of chains that nobody needs.
    skipped: HashSet<OpId>,
}

impl Stages {
    /// What the sorter of an exchange is to know on a shard, where the exchange is sorted.
    pub(crate) fn sorter(&self, plan: &Plan, exchange: ExchangeId, shard: ShardId) -> Option<SorterPlan> {
        if !plan.sorts(exchange) {
            return None;
        }
        let (reader, _) = plan.exchanges[exchange.0].to?;
        let on = plan.chain_of(reader).on;
        Some(SorterPlan {
            operator: plan.name(reader).to_owned(),
            exchange,
            shard,
            groups: KeyGroups::of_shard(ShardId(on.number_of(shard)), on.count),
            dir: self.dir.clone(),
            job: self.job,
            bytes: self.bytes,
            keeps: self.keeps,
            unsealed: self.unsealed[exchange.0].clone(),
            sealed: self.done.get(&(exchange.0, shard)).cloned(),
            skipped: self.skips(reader),
        })
    }

    /// Whether nobody needs what a chain that begins with this operator gives out.
    pub(crate) fn skips(&self, head: OpId) -> bool {
        self.skipped.contains(&head)
    }
}

/// Keeps the stages of a job from attempt to attempt.
pub(crate) struct StageKeeper {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    job: u64,
    bytes: u64,
    /// Whether there may be another attempt.
    keeps: bool,
    /// Whether what is left of the job is of use to a later process.
    outlives: bool,
}

/// How much memory sorting takes, and what becomes of what it leaves on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sorting {
    /// On all shards together.
    pub(crate) bytes: u64,
    /// Whether there may be another attempt.
    pub(crate) keeps: bool,
    /// Whether the job goes on from where it was when it is started again.
    pub(crate) outlives: bool,
}

impl StageKeeper {
    /// For a job with this plan and seed, whose stages lie in `dir`.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        plan: &Plan,
        seed: HashSeed,
        sorting: Sorting,
    ) -> Self {
        let job = xxh3_64(format!("{:?} {} {}", seed, plan.shards.count, plan.explain()).as_bytes());
        let exchanges = (0..plan.exchanges.len()).map(ExchangeId);
        let sorters: usize = exchanges.filter(|e| plan.sorts(*e)).map(|e| plan.readers(e).on.len()).sum();
        let bytes = sorting.bytes / (sorters.max(1) as u64);
        StageKeeper { disk, dir, job, bytes, keeps: sorting.keeps, outlives: sorting.outlives }
    }

    /// Finds out which stages are done, and removes what is left of those that are not.
    pub(crate) fn begin(&self, plan: &Plan) -> Result<Stages, DiskError> {
        let placed = |attempt, error: &std::io::Error| DiskError::new(attempt, &self.dir, error);
        let made = self.disk.create_dir_all(&self.dir);
        made.map_err(|error| placed("cannot create the directory", &error))?;
        let names = self.disk.list(&self.dir).map_err(|error| placed("cannot list the directory", &error))?;
        let mut done = HashMap::new();
        let mut stages_done = HashSet::new();
        for exchange in (0..plan.exchanges.len()).map(ExchangeId).filter(|exchange| plan.sorts(*exchange)) {
            let shards = plan.readers(exchange).on.shards();
            let seals = shards.map(|shard| Some((shard, self.sealed(&names, exchange, shard)?)));
            if let Some(seals) = seals.collect::<Option<Vec<_>>>() {
                stages_done.insert(exchange.0);
                done.extend(seals.into_iter().map(|(shard, sealed)| ((exchange.0, shard), sealed)));
            }
        }
        for name in names {
            if stage_of(&name).is_some_and(|stage| !stages_done.contains(&stage)) {
                self.remove(&name)?;
            }
        }
        let skipped = skipped(plan, |exchange| stages_done.contains(&exchange.0));
        Ok(Stages {
            dir: self.dir.clone(),
            job: self.job,
            bytes: self.bytes,
            keeps: self.keeps,
            done,
            unsealed: plan.exchanges.iter().map(|node| readers_of(plan, node)).collect(),
            skipped,
        })
    }

    fn sealed(&self, names: &[String], exchange: ExchangeId, shard: ShardId) -> Option<Sealed> {
        let name = SorterPlan::seal(exchange, shard);
        if !names.contains(&name) {
            return None;
        }
        let path = self.dir.join(&name);
        match Sealed::read(self.disk.as_ref(), &path, &self.dir) {
            Ok(sealed) => Some(sealed).filter(|sealed| sealed.job == self.job),
            Err(fault) => {
                tracing::warn!(path = %path.display(), "{fault}; the stage is done again");
                None
            }
        }
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        let path = self.dir.join(name);
        self.disk.remove(&path).map_err(|error| DiskError::new("cannot remove", &path, &error))
    }

    /// A run of a stage is damaged: the stage is not done after all.
    pub(crate) fn forget_stage_of(&self, run: &Path) -> Result<(), DiskError> {
        let stage = run.file_name().and_then(|name| stage_of(&name.to_string_lossy()));
        self.remove_those(|of| Some(of) == stage)
    }

    /// The job is over: nothing of it is left on disk, unless it may go on from there.
    pub(crate) fn end(&self, finished: bool) {
        if self.outlives && !finished {
            return;
        }
        let removed = self.remove_those(|_| true);
        let removed = removed.and_then(|()| {
            let removed = self.disk.remove_dir(&self.dir);
            removed.map_err(|error| DiskError::new("cannot remove the directory", &self.dir, &error))
        });
        if let Err(error) = removed {
            tracing::warn!("{error}; what sorting has left there can be removed by hand");
        }
    }

    fn remove_those(&self, which: impl Fn(usize) -> bool) -> Result<(), DiskError> {
        let names = self.disk.list(&self.dir);
        let names = names.map_err(|error| DiskError::new("cannot list the directory", &self.dir, &error))?;
        let mut chosen = names.iter().filter(|name| stage_of(name).is_some_and(&which));
        chosen.try_for_each(|name| self.remove(name))
    }
}

/// The number of shards that read an exchange, to be counted down.
fn readers_of(plan: &Plan, exchange: &ExchangeNode) -> Arc<AtomicUsize> {
    let readers = exchange.to.map_or(0, |(reader, _)| plan.chain_of(reader).on.len());
    Arc::new(readers.into())
}

/// The exchange whose stage a file belongs to.
fn stage_of(name: &str) -> Option<usize> {
    name.strip_prefix(STAGE)?.split('-').next()?.parse().ok()
}

/// The heads of those chains whose output is there already, or is of use only to chains whose output is.
fn skipped(plan: &Plan, is_done: impl Fn(ExchangeId) -> bool) -> HashSet<OpId> {
    let mut skipped: HashSet<OpId> = HashSet::new();
    for chain in plan.chains.iter().rev() {
        let feeds =
            |exchange: &ExchangeId| !is_done(*exchange) && !skipped.contains(&plan.readers(*exchange).ops[0]);
        let is_needed = chain.output.is_none_or(|output| feeds(&output)) || chain.sides.iter().any(feeds);
        if !is_needed {
            skipped.insert(chain.ops[0]);
        }
    }
    skipped
}

impl Plan {
    /// The chain that an operator is in.
    fn chain_of(&self, op: OpId) -> &ChainNode {
        let chain = self.chains.iter().find(|chain| chain.ops.contains(&op));
        chain.expect("a checked plan has a chain for every operator")
    }

    /// The chain that reads an exchange.
    fn readers(&self, exchange: ExchangeId) -> &ChainNode {
        let to = self.exchanges[exchange.0].to;
        self.chain_of(to.expect("a checked plan has a consumer for every exchange").0)
    }
}

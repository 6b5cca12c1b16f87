//! Sorts the records of one exchange on one shard.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::blocks::Run;
use super::buffer::Buffer;
use super::error::SortError;
use super::merge::Merge;
use super::seal_writer::SealWriter;
use super::sealed::Sealed;
use super::tickets::{Ask, Tickets};
use super::writer::RunWriter;
use crate::arena::MemoryBudget;
use crate::channel::{Batch, BatchShape, OpenBatch};
use crate::disk::{DiskDone, FileHandle, ShardDisk};
use crate::element::{KeyGroups, ShardId};
use crate::graph::ExchangeId;
use crate::record::Layout;

/// How many records are handled in one call.
const RECORDS_PER_CALL: usize = 512;

/// How many runs there may be: where there are more, they are merged into one.
const RUNS_MAX: usize = if cfg!(test) { 4 } else { 256 };

/// What a sorter is told.
#[derive(Clone, Debug)]
pub struct SorterPlan {
    /// The operator whose input it sorts.
    pub(crate) operator: String,
    pub(crate) exchange: ExchangeId,
    pub(crate) shard: ShardId,
    /// Those of its operator on this shard.
    pub(crate) groups: KeyGroups,
    pub(crate) dir: PathBuf,
    /// See [`Sealed::job`].
    pub(crate) job: u64,
    /// How much memory it may take.
    pub(crate) bytes: u64,
    /// Whether what it comes to may be of use to another attempt.
    pub(crate) keeps: bool,
    /// How many shards have not sealed the stage yet.
    pub(crate) unsealed: Arc<AtomicUsize>,
    /// What an earlier attempt has come to.
    pub(crate) sealed: Option<Sealed>,
    /// Whether nobody needs its records.
    pub(crate) skipped: bool,
}

impl SorterPlan {
    fn file(&self, what: &str) -> PathBuf {
        self.dir.join(format!("stage-{}-shard-{}-{what}", self.exchange.0, self.shard))
    }

    /// The name of the seal of a stage on a shard.
    pub(crate) fn seal(exchange: ExchangeId, shard: ShardId) -> String {
        format!("stage-{}-shard-{shard}-sealed", exchange.0)
    }
}

/// Where a sorter stands.
enum Phase {
    /// Takes records.
    Collect,
    /// Brings the buffer to disk.
    Spill(RunWriter),
    /// Makes one run of many.
    Reduce(Merge, RunWriter),
    /// Says that all is there.
    Seal(SealWriter),
    /// Waits until all is there on all shards: what fails from now on need not do the stage again.
    Sealed,
    /// Gives out what is in memory.
    FromMemory,
    /// Gives out what is on disk.
    FromDisk(Merge),
    Over,
}

/// What a sorter has to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// A batch: [`Sorter::batch`].
    Batch,
    /// Nothing yet.
    Wait,
    /// Nothing any more.
    Over,
}

/// See the [module](self).
pub(crate) struct Sorter {
    plan: SorterPlan,
    layout: u64,
    shape: BatchShape,
    buffer: Buffer,
    runs: Vec<Run>,
    phase: Phase,
    tickets: Tickets,
    /// How many runs there have been.
    runs_begun: u64,
    next_file: u64,
    /// No more records come.
    ended: bool,
    /// Records that come are of no use: they are there already, or nobody needs them.
    ignores_input: bool,
    out: OpenBatch,
    budget: MemoryBudget,
    /// The bytes that are taken out of the budget.
    charged: u64,
}

impl Sorter {
    pub(crate) fn new(
        mut plan: SorterPlan,
        budget: &MemoryBudget,
        shape: BatchShape,
        layout: &Layout,
    ) -> Result<Self, SortError> {
        if !budget.take(plan.bytes) {
            let (operator, bytes, limit) = (plan.operator, plan.bytes, budget.limit());
            return Err(SortError::NoRoom { operator, bytes, limit });
        }
        let mut next_file = (plan.exchange.0 as u64 + 1) << 32;
        let mut ignores_input = plan.skipped;
        let mut phase = if plan.skipped { Phase::Over } else { Phase::Collect };
        let layout = layout.fingerprint;
        if let Some(Sealed { layout: then, runs, .. }) = plan.sealed.take().filter(|_| !plan.skipped) {
            if then != layout {
                let (then, now) = (format!("{then:016x}"), format!("{layout:016x}"));
                budget.give_back(plan.bytes);
                return Err(SortError::OtherRecords { operator: plan.operator, dir: plan.dir, then, now });
            }
            let files = runs.len() as u64;
            phase = Phase::FromDisk(Merge::new(runs, next_file, shape));
            next_file += files;
            ignores_input = true;
        }
        Ok(Sorter {
            buffer: Buffer::new(shape, plan.groups),
            layout,
            shape,
            runs: Vec::new(),
            phase,
            tickets: Tickets::default(),
            runs_begun: 0,
            next_file,
            ended: false,
            ignores_input,
            out: OpenBatch::new(shape),
            budget: budget.clone(),
            charged: plan.bytes,
            plan,
        })
    }

    /// Whether it waits for other shards, which do not wake it.
    pub(crate) fn waits_for_others(&self) -> bool {
        matches!(self.phase, Phase::Sealed)
    }

    /// How many bytes of memory the records take that are being gathered.
    pub(crate) fn bytes(&self) -> u64 {
        self.buffer.bytes()
    }

    /// Whether it takes a batch now.
    pub(crate) fn has_room(&self) -> bool {
        self.ignores_input || (matches!(self.phase, Phase::Collect) && self.buffer.bytes() < self.plan.bytes)
    }

    /// Takes a batch.
    pub(crate) fn add(&mut self, batch: &Batch<'_>) {
        if !self.ignores_input {
            self.buffer.add(batch);
        }
    }

    /// No more batches come.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Does a bounded piece of work, and asks the disk for what will be needed. Returns whether there was anything to do.
    pub(crate) fn work(&mut self, disk: &mut dyn ShardDisk) -> Result<bool, SortError> {
        self.tickets.check()?;
        match &mut self.phase {
            Phase::Collect if self.ended => {
                self.wind_up();
                Ok(true)
            }
            Phase::Collect if self.buffer.bytes() >= self.plan.bytes => {
                self.phase = Phase::Spill(self.new_run());
                Ok(true)
            }
            Phase::Collect | Phase::FromMemory | Phase::Over => Ok(false),
            Phase::Spill(writer) => {
                let mut worked = false;
                if writer.wants_more() {
                    worked = true;
                    let has_more = self.buffer.give(RECORDS_PER_CALL, |item| {
                        writer.push(item);
                        writer.wants_more()
                    });
                    if !has_more {
                        writer.finish();
                    }
                }
                worked |= writer.work(disk, &mut self.tickets);
                if let Some(run) = writer.run() {
                    self.spilled(run);
                    worked = true;
                }
                Ok(worked)
            }
            Phase::Reduce(merge, writer) => {
                let mut worked = merge.work(disk, &mut self.tickets);
                if writer.wants_more() {
                    worked |= merge.give(RECORDS_PER_CALL, |item| {
                        writer.push(item);
                        writer.wants_more()
                    })? > 0;
                    if merge.is_over() {
                        writer.finish();
                    }
                }
                worked |= writer.work(disk, &mut self.tickets);
                if let Some(run) = writer.run() {
                    self.runs = vec![run];
                    self.phase = Phase::Collect;
                    worked = true;
                }
                Ok(worked)
            }
            Phase::Seal(seal) => {
                let worked = seal.work(disk, &mut self.tickets);
                if seal.is_done() {
                    self.plan.unsealed.fetch_sub(1, Ordering::AcqRel);
                    self.phase = Phase::Sealed;
                    return Ok(true);
                }
                Ok(worked)
            }
            Phase::Sealed if self.plan.unsealed.load(Ordering::Acquire) == 0 => {
                self.give_from_disk();
                Ok(true)
            }
            Phase::Sealed => Ok(false),
            Phase::FromDisk(merge) => Ok(merge.work(disk, &mut self.tickets)),
        }
    }

    fn new_run(&mut self) -> RunWriter {
        let path = self.plan.file(&format!("run-{}", self.runs_begun));
        self.runs_begun += 1;
        self.next_file += 1;
        RunWriter::new(path, FileHandle(self.next_file - 1), self.shape)
    }

    /// The buffer is on disk.
    fn spilled(&mut self, run: Run) {
        self.runs.push(run);
        self.buffer.clear(!self.ended);
        self.phase = Phase::Collect;
        if self.runs.len() == RUNS_MAX {
            let merge = self.merge();
            self.phase = Phase::Reduce(merge, self.new_run());
        }
    }

    fn merge(&mut self) -> Merge {
        let first = self.next_file;
        self.next_file += self.runs.len() as u64;
        Merge::new(std::mem::take(&mut self.runs), first, self.shape)
    }

    /// All records have come: on to giving them out.
    fn wind_up(&mut self) {
        let on_disk = self.plan.keeps || !self.runs.is_empty();
        self.phase = match (self.buffer.is_empty(), on_disk) {
            (false, true) => Phase::Spill(self.new_run()),
            (false, false) => Phase::FromMemory,
            (true, _) if self.plan.keeps => {
                let sealed =
                    Sealed { job: self.plan.job, layout: self.layout, runs: std::mem::take(&mut self.runs) };
                let path = self.plan.dir.join(SorterPlan::seal(self.plan.exchange, self.plan.shard));
                self.next_file += 1;
                let writer = SealWriter::new(path, FileHandle(self.next_file - 1), &sealed);
                self.runs = sealed.runs;
                Phase::Seal(writer)
            }
            (true, _) => return self.give_from_disk(),
        };
    }

    fn give_from_disk(&mut self) {
        let merge = self.merge();
        self.phase = Phase::FromDisk(merge);
    }

    /// Takes an answer of the disk; gives it back where it is not for this sorter.
    pub(crate) fn on_disk(&mut self, done: DiskDone) -> Option<DiskDone> {
        let (ask, buffer) = match self.tickets.take(done) {
            Err(done) => return Some(done),
            // What went wrong is told by the next call of `work`.
            Ok(None) => return None,
            Ok(Some(answered)) => answered,
        };
        match (&mut self.phase, ask) {
            (Phase::Spill(writer) | Phase::Reduce(_, writer), Ask::Create) => writer.created(),
            (Phase::Spill(writer) | Phase::Reduce(_, writer), Ask::Write) => writer.written(buffer),
            (Phase::Spill(writer) | Phase::Reduce(_, writer), Ask::CloseWritten) => writer.closed(),
            (Phase::Seal(seal), Ask::Create | Ask::Write | Ask::CloseWritten) => seal.answered(),
            (Phase::FromDisk(merge) | Phase::Reduce(merge, _), Ask::Open(run)) => merge.opened(run),
            (Phase::FromDisk(merge) | Phase::Reduce(merge, _), Ask::Read { run, block }) => {
                let came = merge.came(run, block, buffer);
                self.tickets.note(came);
            }
            // A file that was read and is needed no more.
            _ => {}
        }
        None
    }

    /// What it has to give.
    pub(crate) fn front(&mut self) -> Result<Front, SortError> {
        if !self.out.is_empty() {
            return Ok(Front::Batch);
        }
        let out = &mut self.out;
        match &mut self.phase {
            Phase::FromMemory => {
                let mut has_more = true;
                while has_more && !out.is_full() {
                    has_more = self.buffer.give(RECORDS_PER_CALL, |item| {
                        out.push_bytes(item.at, item.hash, item.key, item.record);
                        !out.is_full()
                    });
                }
                if out.is_empty() {
                    self.over();
                }
            }
            Phase::FromDisk(merge) => {
                merge.give(RECORDS_PER_CALL, |item| {
                    out.push_bytes(item.at, item.hash, item.key, item.record);
                    !out.is_full()
                })?;
                if out.is_empty() && merge.is_over() {
                    self.over();
                }
            }
            Phase::Over => return Ok(Front::Over),
            Phase::Collect | Phase::Spill(_) | Phase::Reduce(..) | Phase::Seal(_) | Phase::Sealed => {}
        }
        Ok(match (self.out.is_empty(), &self.phase) {
            (false, _) => Front::Batch,
            (true, Phase::Over) => Front::Over,
            (true, _) => Front::Wait,
        })
    }

    fn over(&mut self) {
        self.phase = Phase::Over;
        self.buffer.clear(false);
        self.give_back();
    }

    fn give_back(&mut self) {
        self.budget.give_back(std::mem::take(&mut self.charged));
    }

    /// The batch at hand.
    pub(crate) fn batch(&self) -> Batch<'_> {
        self.out.as_batch()
    }

    /// The batch at hand has been handled.
    pub(crate) fn consume(&mut self) {
        self.out.clear();
    }
}

impl Drop for Sorter {
    fn drop(&mut self) {
        self.give_back();
    }
}

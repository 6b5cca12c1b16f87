//! A checkpoint on its way back into a job: what all shards look things up in while they open.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::job_meta::JobMeta;
use super::snapshot::{
    ChannelSnapshot, InputsSnapshot, OperatorSnapshot, PartitionSnapshot, ShardSnapshot, StateSnapshot,
};
use crate::accumulator::Parts;
use crate::arena::{Arena, ArenaConfig, PageLoader, PageNo, StateError};
use crate::channel::{Batch, BatchShape, Frame, FrameError, OpenBatch, SavedFrames, holds_records};
use crate::checkpoint::codec::{CodecError, Reader};
use crate::checkpoint::{ArenaNo, PageId, PageMap, PageReader, RestoreError, RestoredJob};
use crate::disk::Disk;
use crate::element::{Epoch, KeyGroups, ShardId, Timestamp};
use crate::graph::{Plan, Port, ShardRange};
use crate::operator::OpId;
use crate::operator::exchange;
use crate::operator::keyed::InputEnd;
use crate::operator::segment::OpenContext;
use crate::record::Layout;
use crate::savepoint::{Portable, RecordType, ShardHead, StateMisfit};
use crate::schema::Schema;
use crate::sink::Committable;
use crate::time::Tick;

/// Why a checkpoint does not fit the program.
#[derive(Debug, thiserror::Error)]
pub enum RestoreFailure {
    /// The layout of a record, key or value is not the one that the checkpoint was written with.
    #[error(
        "the {what} of state `{state}` of operator `{operator}` have changed since the checkpoint was written: then `{then}`, now `{now}`; \
         go back to the type it was, or start with an empty state directory"
    )]
    LayoutChanged {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// Keys, values or records in flight.
        what: &'static str,
        /// The layout in the checkpoint.
        then: String,
        /// The layout of the program.
        now: String,
    },
    /// An operator has another number of inputs than in the checkpoint.
    #[error(
        "operator `{operator}` had {then} inputs when the checkpoint was written and has {now} now; \
         go back to the program it was, or start with an empty state directory"
    )]
    InputsChanged {
        /// The operator.
        operator: String,
        /// How many it had.
        then: usize,
        /// How many it has.
        now: usize,
    },
    /// The checkpoint holds a state that the operator does not have any more.
    #[error(
        "the checkpoint holds a state `{state}` of operator `{operator}`, which the program does not have; declare it again, \
         or start with an empty state directory"
    )]
    UnknownState {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
    },
    /// The checkpoint holds something of operators that the program does not have.
    #[error(
        "the checkpoint holds state of an operator named {}, which the program does not have; give the operator that it belongs \
         to this name with .name(\"{}\"), or leave it behind with Job::allow_non_restored_state",
        named(operators), operators[0]
    )]
    UnknownOperator {
        /// The operators.
        operators: Vec<String>,
    },
    /// A savepoint does not fit.
    #[error(transparent)]
    Portable(#[from] StateMisfit),
    /// Records in flight cannot be read.
    #[error(transparent)]
    Frames(#[from] FrameError),
    /// The job counts event time in other ticks than the checkpoint.
    #[error(
        "event time has changed since the checkpoint was written: then its tick was {then}, now it is {now}; go back with .tick(..), or \
         start with an empty state directory"
    )]
    TickChanged {
        /// The tick of the checkpoint.
        then: Tick,
        /// The tick of the job.
        now: Tick,
    },
    /// An accumulator is of another kind than in the checkpoint.
    #[error(
        "accumulator `{name}` was a {then} when the checkpoint was written and is a {now} now; give it another name, or start with an \
         empty state directory"
    )]
    AccumulatorChanged {
        /// The accumulator.
        name: String,
        /// Its kind in the checkpoint.
        then: String,
        /// Its kind in the program.
        now: &'static str,
    },
    /// What an accumulator wrote cannot be read.
    #[error("what shard {shard} saved of accumulator `{name}` in checkpoint {epoch} cannot be read: {cause}")]
    AccumulatorUnreadable {
        /// The accumulator.
        name: String,
        /// The checkpoint.
        epoch: Epoch,
        /// The shard.
        shard: ShardId,
        /// What is wrong.
        cause: CodecError,
    },
    /// What the coordinator wrote cannot be read.
    #[error("the job metadata in checkpoint {epoch} cannot be read: {cause}")]
    JobMetadata {
        /// The checkpoint.
        epoch: Epoch,
        /// What is wrong.
        cause: CodecError,
    },
    /// What a shard wrote cannot be read.
    #[error("the metadata of shard {shard} in checkpoint {epoch} cannot be read: {cause}")]
    Metadata {
        /// The checkpoint.
        epoch: Epoch,
        /// The shard.
        shard: ShardId,
        /// What is wrong.
        cause: CodecError,
    },
}

fn named(operators: &[String]) -> String {
    let names: Vec<String> = operators.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// See the [module](self).
pub(crate) struct Restored {
    pub(crate) epoch: Epoch,
    from: Origin,
    snapshots: Vec<ShardSnapshot>,
    /// The shards that each chain ran on, by the name of its head.
    chains: Vec<(String, ShardRange)>,
    /// Whether pages can be taken over as they are.
    keeps_pages: bool,
    /// Whether state that the program does not have is left behind.
    leaves_behind: bool,
}

/// Where the pages of tables, or their entries, come from.
enum Origin {
    Checkpoint(RestoredJob, Arc<dyn Disk>),
    Savepoint(Portable),
}

impl Restored {
    /// Reads what the shards wrote, and compares it with the program.
    pub(crate) fn read(
        job: RestoredJob,
        disk: Arc<dyn Disk>,
        plan: &Plan,
        leaves_behind: bool,
    ) -> Result<Restored, RestoreFailure> {
        let epoch = job.epoch;
        let JobMeta { tick, chains, .. } =
            JobMeta::decode(&job.meta).map_err(|cause| RestoreFailure::JobMetadata { epoch, cause })?;
        let mut snapshots = Vec::with_capacity(job.shards.len());
        for (number, shard) in job.shards.iter().enumerate() {
            let snapshot = ShardSnapshot::decode(&shard.meta).map_err(|cause| RestoreFailure::Metadata {
                epoch,
                shard: ShardId(number as u16),
                cause,
            })?;
            snapshots.push(snapshot);
        }
        let from = Origin::Checkpoint(job, disk);
        let mut restored = Restored { epoch, from, snapshots, chains, keeps_pages: false, leaves_behind };
        restored.compare(tick, plan)?;
        let keeps = |operator: &OperatorSnapshot| {
            let chain = plan.chains.get(usize::from(operator.arena));
            chain.is_some_and(|chain| {
                plan.name(chain.ops[0]) == operator.operator
                    && restored.ran_on(&operator.operator) == Some(chain.on)
            })
        };
        let mut operators = restored.snapshots.iter().flat_map(|snapshot| &snapshot.operators);
        restored.keeps_pages = restored.shards() == plan.shards.count && operators.all(keeps);
        Ok(restored)
    }

    /// Takes what a savepoint says of the shards that there were, and compares it with the program.
    pub(crate) fn of_savepoint(
        portable: Portable,
        plan: &Plan,
        leaves_behind: bool,
    ) -> Result<Restored, RestoreFailure> {
        let savepoint = portable.savepoint.clone();
        let head = &savepoint.head;
        let snapshots = head.shards.iter().map(|shard| snapshot_of(&portable, shard)).collect();
        let (epoch, chains) = (head.epoch, head.chains.clone());
        let from = Origin::Savepoint(portable);
        let mut restored = Restored { epoch, from, snapshots, chains, keeps_pages: false, leaves_behind };
        restored.compare(head.tick, plan)?;
        Ok(restored)
    }

    /// Compares the job as a whole with the program, and drops what is left behind.
    fn compare(&mut self, tick: Tick, plan: &Plan) -> Result<(), RestoreFailure> {
        if tick != plan.tick {
            return Err(RestoreFailure::TickChanged { then: tick, now: plan.tick });
        }
        let is_known = |name: &str| plan.ops.iter().any(|op| op.stateful && op.name == name);
        let mut unknown = BTreeSet::new();
        for snapshot in &self.snapshots {
            let partitions = snapshot.partitions.iter().map(|partition| &partition.operator);
            let operators = snapshot.operators.iter().map(|operator| &operator.operator);
            let cuts = snapshot.sinks.iter().filter(|sink| !sink.committables.is_empty());
            let all = partitions.chain(operators).chain(cuts.map(|sink| &sink.operator));
            unknown.extend(all.filter(|name| !is_known(name)).cloned());
            // Records on their way to an operator that is not there would be lost without a word.
            let channels = snapshot.in_rings.iter().chain(&snapshot.unsent);
            let lost = channels.filter(|channel| plan.ops.iter().all(|op| op.name != channel.operator));
            let lost = lost.filter(|channel| self.holds_records(channel));
            unknown.extend(lost.map(|channel| channel.operator.clone()));
        }
        if !unknown.is_empty() && !self.leaves_behind {
            return Err(RestoreFailure::UnknownOperator { operators: unknown.into_iter().collect() });
        }
        for operator in &unknown {
            tracing::warn!(
                operator,
                "the program does not have the operator any more: its state is left behind"
            );
        }
        for snapshot in &mut self.snapshots {
            snapshot.partitions.retain(|partition| !unknown.contains(&partition.operator));
            snapshot.operators.retain(|operator| !unknown.contains(&operator.operator));
            snapshot.sinks.retain(|sink| !unknown.contains(&sink.operator));
        }
        check_accumulators(&self.snapshots, plan)
    }

    fn holds_records(&self, channel: &ChannelSnapshot) -> bool {
        match self.from {
            Origin::Checkpoint(..) => holds_records(&channel.frames),
            Origin::Savepoint(_) => Reader::new(&channel.frames).u64("records").is_ok_and(|count| count > 0),
        }
    }

    /// The savepoint that this is of.
    pub(crate) fn portable(&self) -> Option<&Portable> {
        match &self.from {
            Origin::Checkpoint(..) => None,
            Origin::Savepoint(portable) => Some(portable),
        }
    }

    /// Whether state that the program does not have is left behind.
    pub(crate) fn leaves_behind(&self) -> bool {
        self.leaves_behind
    }

    /// How many shards the job had.
    pub(crate) fn shards(&self) -> u16 {
        self.snapshots.len() as u16
    }

    /// Whether pages are taken over as they are: the same shards, and chains with the same numbers on the same of them.
    pub(crate) fn keeps_pages(&self) -> bool {
        self.keeps_pages
    }

    /// The shards that a chain ran on, by the name of its head.
    fn ran_on(&self, head: &str) -> Option<ShardRange> {
        self.chains.iter().find(|(name, _)| name == head).map(|(_, on)| *on)
    }

    /// The key groups that an operator had on one of the old shards.
    pub(crate) fn key_groups(&self, operator: &str, shard: ShardId) -> KeyGroups {
        let (instance, instances) = self.instance(operator, shard);
        KeyGroups::of_shard(instance, instances)
    }

    /// Whether the operator at the head of a chain runs where it ran.
    pub(crate) fn keeps_place(&self, context: &OpenContext, operator: &str) -> bool {
        self.ran_on(operator) == Some(context.on)
    }

    /// The number that an instance of an operator had, by its shard then, and how many there were.
    pub(crate) fn instance(&self, operator: &str, shard: ShardId) -> (ShardId, u16) {
        let on = self.ran_on(operator).unwrap_or(ShardRange::all(self.shards()));
        // A channel of an operator that had another's name may name a shard from outside.
        (ShardId(shard.0.saturating_sub(on.first)), on.count)
    }

    /// Whether the channels to the operator at the head of a chain come back as they were: it runs where it ran, and so does what feeds it.
    pub(crate) fn keeps_channels(&self, context: &OpenContext, op: OpId) -> bool {
        let plan = &context.plan;
        let mut inputs = plan.exchanges_to(op);
        self.portable().is_none()
            && self.keeps_place(context, plan.name(op))
            && inputs
                .all(|input| self.ran_on(plan.name(plan.writer(input))) == Some(plan.producer_shards(input)))
    }

    /// What an operator's state was on each of the old shards.
    pub(crate) fn operators(&self, name: &str) -> impl Iterator<Item = (ShardId, &OperatorSnapshot)> {
        self.snapshots.iter().enumerate().flat_map(move |(shard, snapshot)| {
            let of_shard = snapshot.operators.iter().filter(move |operator| operator.operator == name);
            of_shard.map(move |operator| (ShardId(shard as u16), operator))
        })
    }

    /// What an operator's state was on one of the old shards.
    pub(crate) fn operator(&self, shard: ShardId, name: &str) -> Option<&OperatorSnapshot> {
        self.operators(name).find(|(of, _)| *of == shard).map(|(_, operator)| operator)
    }

    /// What an operator knew of its inputs on one of the old shards.
    pub(crate) fn inputs(&self, shard: ShardId, name: &str) -> Option<&InputsSnapshot> {
        self.snapshots.get(shard.index())?.inputs.iter().find(|inputs| inputs.operator == name)
    }

    /// Compares the layouts of the records on their way to an operator, per input, with what they were.
    pub(crate) fn check_in_flight(
        &self,
        name: &str,
        now: &[Layout],
        types: &[RecordType],
    ) -> Result<(), RestoreFailure> {
        if let Some(portable) = self.portable() {
            let then = portable.savepoint.head.operator(name).map_or(now.len(), |then| then.inputs.len());
            if then != now.len() {
                let (operator, now) = (name.to_owned(), now.len());
                return Err(RestoreFailure::InputsChanged { operator, then, now });
            }
            for (input, of) in types.iter().enumerate() {
                portable.input_changes(name, input, &(of.schema)())?;
            }
            return Ok(());
        }
        let all = self.snapshots.iter().flat_map(|snapshot| &snapshot.inputs);
        for inputs in all.filter(|inputs| inputs.operator == name) {
            if inputs.records.len() != now.len() {
                return Err(RestoreFailure::InputsChanged {
                    operator: name.to_owned(),
                    then: inputs.records.len(),
                    now: now.len(),
                });
            }
            let pairs = inputs.records.iter().zip(now);
            if let Some((then, now)) =
                pairs.into_iter().find(|(then, now)| then.fingerprint != now.fingerprint)
            {
                return Err(RestoreFailure::LayoutChanged {
                    operator: name.to_owned(),
                    state: "records in flight".to_owned(),
                    what: "records",
                    then: then.text.clone(),
                    now: now.text.clone(),
                });
            }
        }
        Ok(())
    }

    /// The least watermark that an operator had on any of the old shards.
    pub(crate) fn least_watermark(&self, name: &str) -> Timestamp {
        let all = self.snapshots.iter().flat_map(|snapshot| &snapshot.inputs);
        let of_operator = all.filter(|inputs| inputs.operator == name);
        of_operator.map(|inputs| inputs.merge.output).min().unwrap_or(Timestamp::MIN)
    }

    /// Where the partitions of a source stood.
    pub(crate) fn partitions(&self, name: &str) -> HashMap<&str, &PartitionSnapshot> {
        let all = self.snapshots.iter().flat_map(|snapshot| &snapshot.partitions);
        let of_source = all.filter(|partition| partition.operator == name);
        of_source.map(|partition| (partition.partition.as_str(), partition)).collect()
    }

    /// The cuts of a sink that belong to a shard now.
    pub(crate) fn committables(&self, name: &str, shard: ShardId, shards: u16) -> Vec<Committable> {
        let all = self.snapshots.iter().flat_map(|snapshot| &snapshot.sinks);
        let of_sink = all.filter(|sink| sink.operator == name).flat_map(|sink| &sink.committables);
        of_sink.filter(|cut| cut.shard.0 % shards == shard.0).cloned().collect()
    }

    /// Adds what falls to a shard of what the accumulators had come to.
    pub(crate) fn accumulators(
        &self,
        shard: ShardId,
        shards: u16,
        into: &mut Parts,
    ) -> Result<(), RestoreFailure> {
        for (old, snapshot) in self.snapshots.iter().enumerate() {
            let old = ShardId(old as u16);
            if old.0 % shards != shard.0 {
                continue;
            }
            for part in &snapshot.accumulators {
                into.merge_saved(part).map_err(|cause| RestoreFailure::AccumulatorUnreadable {
                    name: part.name.clone(),
                    epoch: self.epoch,
                    shard: old,
                    cause,
                })?;
            }
        }
        Ok(())
    }

    /// The records that were on their way to an input of an operator and belong to this shard now: per producer, its frames in order. Where
    /// both ends run where they ran the channels come back as they were; otherwise every record is routed again, and marks of event
    /// time, which concerned the old producers, are left out.
    pub(crate) fn in_flight(
        &self,
        op: OpId,
        port: Port,
        (end, of): (&InputEnd, RecordType),
        context: &OpenContext,
    ) -> Result<Vec<(ShardId, Vec<u8>)>, RestoreFailure> {
        let as_was = self.keeps_channels(context, op);
        let name = context.name(op);
        let writer = context.name(context.plan.writer(end.exchange));
        let rings = self.snapshots.iter().flat_map(|snapshot| &snapshot.in_rings);
        let unsent = self.snapshots.iter().flat_map(|snapshot| &snapshot.unsent);
        // What was on a ring comes before what its producer had not sent yet.
        let channels = rings.chain(unsent).filter(|channel| channel.operator == name && channel.port == port);
        let mut mine = Vec::new();
        for channel in channels {
            if as_was {
                if channel.to == context.shard {
                    mine.push((channel.from, channel.frames.clone()));
                }
                continue;
            }
            let (from, _) = self.instance(writer, channel.from);
            let (to, before) = self.instance(name, channel.to);
            let belongs = |batch: &Batch<'_>, index: usize| {
                let hash = || batch.hashes()[index];
                exchange::belongs(end.partitioner, (from, to), hash, before, context.instance())
            };
            let frames = self.frames(name, port, &channel.frames, (of, end.shape))?;
            let frames = reroute(&frames, end.shape, belongs)?;
            if !frames.is_empty() {
                mine.push((channel.from, frames));
            }
        }
        Ok(mine)
    }

    /// The frames of records that were on their way to an input, or under way in it: those of a checkpoint, or made of a savepoint's values.
    pub(crate) fn frames<'a>(
        &self,
        operator: &str,
        port: Port,
        saved: &'a [u8],
        (of, shape): (RecordType, BatchShape),
    ) -> Result<Cow<'a, [u8]>, RestoreFailure> {
        match self.portable() {
            None => Ok(Cow::Borrowed(saved)),
            Some(portable) => Ok(Cow::Owned(portable.frames(operator, port, saved, shape, of)?)),
        }
    }

    /// The arena of a chain as it was on one of the old shards; its pages come in when they are touched.
    pub(crate) fn arena(&self, shard: ShardId, arena: u16, config: ArenaConfig) -> Result<Arena, StateError> {
        match &self.from {
            Origin::Checkpoint(job, disk) => old_arena(job, disk.clone(), shard, arena, config),
            // A savepoint has no pages.
            Origin::Savepoint(_) => Arena::new(config),
        }
    }
}

/// The arena of a chain as a checkpoint has it of one of its shards; its pages come in when they are touched.
pub(crate) fn old_arena(
    job: &RestoredJob,
    disk: Arc<dyn Disk>,
    shard: ShardId,
    arena: u16,
    config: ArenaConfig,
) -> Result<Arena, StateError> {
    let arena = ArenaNo(arena);
    let pages = job.shards[shard.index()].pages.clone();
    let infos: Vec<_> = pages.iter_arena(arena).map(|(id, entry)| (id.page, entry.info)).collect();
    let reader = PageReader::new(disk, job.files.clone());
    Arena::restore(config, infos, Box::new(Loader { reader, pages, arena }))
}

/// What a savepoint says of a shard, in the words of a checkpoint. What is kept of operators and of records in flight are values still.
fn snapshot_of(portable: &Portable, shard: &ShardHead) -> ShardSnapshot {
    let operators = shard.operators.iter().map(|operator| {
        let head = portable.savepoint.head.operator(&operator.operator);
        let states = head.into_iter().flat_map(|head| &head.states).map(|state| {
            let layout = |schema: &Schema| Layout { text: schema.to_string(), fingerprint: 0 };
            StateSnapshot {
                state: state.name.clone(),
                key: layout(&state.key.key),
                value: layout(&state.value),
            }
        });
        OperatorSnapshot {
            operator: operator.operator.clone(),
            states: states.collect(),
            data: operator.words.clone(),
            arena: 0,
        }
    });
    let inputs = shard.inputs.iter().map(|inputs| InputsSnapshot {
        operator: inputs.operator.clone(),
        merge: inputs.merge.clone(),
        due: inputs.due.clone(),
        records: Vec::new(),
    });
    let channels = shard.channels.iter().map(|channel| ChannelSnapshot {
        operator: channel.operator.clone(),
        port: channel.port,
        from: channel.from,
        to: channel.to,
        frames: channel.records.clone(),
    });
    ShardSnapshot {
        partitions: shard.partitions.clone(),
        inputs: inputs.collect(),
        operators: operators.collect(),
        in_rings: channels.collect(),
        unsent: Vec::new(),
        sinks: shard.sinks.clone(),
        accumulators: shard.accumulators.clone(),
    }
}

/// Compares the kinds of accumulators with what they were. One that the program does not have any more is worth a warning only: nothing
/// else depends on it.
fn check_accumulators(snapshots: &[ShardSnapshot], plan: &Plan) -> Result<(), RestoreFailure> {
    let parts = snapshots.iter().flat_map(|snapshot| &snapshot.accumulators);
    let saved: BTreeMap<&str, &str> = parts.map(|part| (part.name.as_str(), part.kind.as_str())).collect();
    for (name, then) in saved {
        match plan.accumulators.iter().find(|(known, _)| known == name) {
            Some((_, now)) if *now != then => {
                let (name, then) = (name.to_owned(), then.to_owned());
                return Err(RestoreFailure::AccumulatorChanged { name, then, now });
            }
            Some(_) => {}
            None => tracing::warn!(
                accumulator = name,
                "the checkpoint holds an accumulator that the program does not have: what it had come to is forgotten"
            ),
        }
    }
    Ok(())
}

/// Picks the records that belong somewhere out of frames, and makes frames of them.
fn reroute(
    frames: &[u8],
    shape: BatchShape,
    belongs: impl Fn(&Batch<'_>, usize) -> bool,
) -> Result<Vec<u8>, FrameError> {
    let saved = SavedFrames::parse(frames, &shape)?;
    let mut picked = Vec::new();
    let mut open = OpenBatch::new(shape);
    for frame in saved.frames() {
        let Frame::Batch(batch) = frame else { continue };
        for index in (0..batch.len()).filter(|index| belongs(&batch, *index)) {
            let hash = batch.hashes().get(index).copied().unwrap_or_default();
            open.push_bytes(
                batch.timestamps()[index],
                hash,
                batch.key_bytes(index),
                batch.record_bytes(index),
            );
            if open.is_full() {
                open.save(&mut picked);
                open.clear();
            }
        }
    }
    if !open.is_empty() {
        open.save(&mut picked);
    }
    Ok(picked)
}

/// Reads pages of one arena on demand.
struct Loader {
    reader: PageReader,
    pages: Arc<PageMap>,
    arena: ArenaNo,
}

impl PageLoader for Loader {
    fn load(&mut self, page: PageNo, into: &mut [u8]) -> Result<(), StateError> {
        let failed = |error: RestoreError| StateError::Load { page, message: error.to_string().into() };
        let into = into.try_into().expect("an arena asks for whole pages");
        let entry = self.pages.get(PageId { arena: self.arena, page });
        let entry = entry.expect("an arena asks only for pages of its map");
        self.reader.read(&entry, into).map_err(failed)
    }
}

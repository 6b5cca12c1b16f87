//! One attempt at running a job: its control words, its rings, and the shards, each to be built on its own thread.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::control::{Control, Events, ShardEvent};
use super::driver::{BuildShard, Drive};
use super::prefaults::Prefaults;
use super::restored::Restored;
use super::shard::{BuiltShard, Shard};
use super::spill_dir::SpillDir;
use super::stages::Stages;
use crate::arena::MemoryBudget;
use crate::channel::{
    BatchShape, ChannelError, Inlet, InletEnd, Outlet, OutletEnd, OverflowBudget, own_lane, ring_lane,
};
use crate::checkpoint::DeltaWriter;
use crate::disk::{FileHandle, ShardDisk};
use crate::element::{Epoch, ShardId};
use crate::embed::endpoints::Endpoints;
use crate::graph::{BuildError, ExchangeId, Flow, Lanes, Plan, Port, Setting, ShardRange};
use crate::key::HashSeed;
use crate::operator::absent::Absent;
use crate::operator::segment::{OpenContext, Segment};
use crate::operator::suspects::Suspects;
use crate::operator::{Cause, Failure, OpId};
use crate::params::Params;
use crate::savepoint::StateTypes;
use crate::sort::SorterPlan;
use crate::time::{JobTime, ProcessingTime, Producers};

/// A job's closure: builds the graph, on every shard.
pub(crate) type Program = Arc<dyn Fn(&Flow) + Send + Sync>;

/// What an attempt is made of.
#[derive(Clone)]
pub(crate) struct AttemptSpec {
    pub(crate) job: String,
    pub(crate) program: Program,
    pub(crate) plan: Arc<Plan>,
    pub(crate) shards: u16,
    pub(crate) seed: HashSeed,
    pub(crate) ring_bytes: usize,
    pub(crate) overflow: OverflowBudget,
    pub(crate) memory: MemoryBudget,
    /// Who has memory given before it is needed, if there is anybody.
    pub(crate) prefaults: Option<Prefaults>,
    /// Where state lies that memory has no room for.
    pub(crate) spill: Option<Arc<SpillDir>>,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) delta_dir: Option<PathBuf>,
    pub(crate) restored: Option<Arc<Restored>>,
    pub(crate) processing: ProcessingTime,
    pub(crate) params: Params,
    /// In batch mode: the stages of the job.
    pub(crate) stages: Option<Arc<Stages>>,
    /// Where operators say what they keep.
    pub(crate) types: Arc<StateTypes>,
    /// Records that have made the job fail.
    pub(crate) suspects: Arc<Suspects>,
    /// The job's ends in its host program.
    pub(crate) endpoints: Endpoints,
    /// A fault for the simulator to find.
    #[cfg(feature = "planted-faults")]
    pub(crate) plant: Option<crate::testing::sim::Plant>,
}

/// An attempt, ready to be driven.
pub(crate) struct Attempt {
    pub(crate) control: Arc<Control>,
    pub(crate) events: Receiver<ShardEvent>,
    /// Per shard: makes it, on the thread it is to live on.
    pub(crate) builders: Vec<BuildShard>,
}

impl Attempt {
    /// Makes control words and rings.
    pub(crate) fn prepare(spec: &AttemptSpec) -> Result<Attempt, ChannelError> {
        let from = spec.restored.as_ref().map_or(Epoch(0), |restored| restored.epoch);
        let control = Control::new(spec.shards, from);
        let time = Arc::new(JobTime::new(&spec.plan.source_shards(), &control.wakers));
        let (sender, events) = channel();
        let ends = ring_ends(spec, &control)?;
        let builders = ends.into_iter().enumerate().map(|(shard, ends)| -> BuildShard {
            let (spec, control, events) = (spec.clone(), control.clone(), sender.clone());
            let (shard, time) = (ShardId(shard as u16), time.clone());
            Box::new(move |disk| build(spec, shard, ends, control, events, time, disk))
        });
        let builders = builders.collect();
        Ok(Attempt { control, events, builders })
    }

    /// Lets all operators say what they keep, in `spec.types`. Nothing runs: each chain is built on the first of its shards, and what is at
    /// its head is opened.
    pub(crate) fn declare(spec: &AttemptSpec) -> Result<(), Box<Failure>> {
        let control = Control::new(spec.shards, Epoch(0));
        let time = Arc::new(JobTime::new(&spec.plan.source_shards(), &control.wakers));
        let ends = ring_ends(spec, &control);
        let ends = ends.map_err(|error| Failure::without_operator(Cause::fatal(error)))?;
        for (shard, ends) in ends.into_iter().enumerate() {
            let shard = ShardId(shard as u16);
            let context = open_context(spec, shard, &control, &time);
            let BuiltShard { segments, .. } = build_program(spec, shard, ends)?;
            for (mut segment, chain) in segments.into_iter().zip(&spec.plan.chains) {
                if chain.on.first == shard.0 {
                    segment.declare(&OpenContext { on: chain.on, ..context.clone() })?;
                }
            }
        }
        Ok(())
    }
}

/// The ring ends of all shards.
fn ring_ends(spec: &AttemptSpec, control: &Control) -> Result<Vec<ShardEnds>, ChannelError> {
    let mut ends: Vec<ShardEnds> = (0..spec.shards).map(|_| ShardEnds::default()).collect();
    for exchange in 0..spec.plan.exchanges.len() {
        for shard in &mut ends {
            shard.outlets.push(Vec::new());
            shard.inlets.push(Vec::new());
        }
        // In ascending order, so that every shard finds its ends in the order of the shards at the other ones.
        let lanes = spec.plan.producer_shards(ExchangeId(exchange)).shards().flat_map(|from| {
            spec.plan
                .lanes_from(ExchangeId(exchange), from)
                .shards()
                .map(move |to| (from.index(), to.index()))
        });
        for (from, to) in lanes {
            let (outlet, inlet) = if from == to {
                (None, None)
            } else {
                let (producer, consumer) = (control.wakers[from].clone(), control.wakers[to].clone());
                let (outlet, inlet) = ring_lane(spec.ring_bytes, producer, consumer)?;
                (Some(outlet), Some(inlet))
            };
            ends[from].outlets[exchange].push(outlet);
            ends[to].inlets[exchange].push(inlet);
        }
    }
    Ok(ends)
}

/// The ring ends of one shard, on their way to its thread: per exchange, one for each shard at the other ends, with none for itself.
#[derive(Default)]
struct ShardEnds {
    outlets: Vec<Vec<Option<OutletEnd>>>,
    inlets: Vec<Vec<Option<InletEnd>>>,
}

fn build(
    spec: AttemptSpec,
    shard: ShardId,
    ends: ShardEnds,
    control: Arc<Control>,
    events: Events,
    time: Arc<JobTime>,
    disk: Box<dyn ShardDisk>,
) -> Box<dyn Drive> {
    let context = open_context(&spec, shard, &control, &time);
    let built = build_program(&spec, shard, ends);
    let writer = spec.delta_dir.map(|dir| DeltaWriter::new(shard, dir, FileHandle(0)));
    let shard = Shard::open(&context, built, control, events, disk, writer, spec.prefaults);
    #[cfg(feature = "planted-faults")]
    let shard = shard.plant(spec.plant);
    Box::new(shard)
}

/// What the chains of a shard are opened with.
fn open_context(spec: &AttemptSpec, shard: ShardId, control: &Control, time: &Arc<JobTime>) -> OpenContext {
    OpenContext {
        shard,
        on: ShardRange::all(spec.shards),
        plan: spec.plan.clone(),
        job: spec.job.clone(),
        state_dir: spec.state_dir.clone(),
        seed: spec.seed,
        budget: spec.memory.clone(),
        spill: spec.spill.clone(),
        waker: control.wakers[shard.index()].clone(),
        restored: spec.restored.clone(),
        time: time.clone(),
        processing: spec.processing,
        params: spec.params.clone(),
        loops_over: control.loops_over.clone(),
        stages: spec.stages.clone(),
        types: spec.types.clone(),
        draining: control.draining.clone(),
        suspects: spec.suspects.clone(),
    }
}

fn build_program(spec: &AttemptSpec, shard: ShardId, ends: ShardEnds) -> Result<BuiltShard, Box<Failure>> {
    let failed = Failure::without_operator;
    let setting = Setting {
        tick: spec.plan.tick,
        shards: spec.plan.shards.clone(),
        params: spec.params.clone(),
        mode: (spec.plan.mode.asked, spec.plan.mode.origin),
        endpoints: spec.endpoints.clone(),
    };
    let built =
        Flow::build(&*spec.program, setting).map_err(|mut errors| failed(Cause::fatal(errors.remove(0))))?;
    let (first, second) = (spec.plan.explain(), built.plan.explain());
    if first != second {
        return Err(failed(Cause::fatal(BuildError::NotDeterministic { first, second })));
    }
    let mut lanes = ShardLanes {
        plan: spec.plan.clone(),
        shard,
        own: built.plan.exchanges.iter().map(|_| None).collect(),
        ends,
        ring_bytes: spec.ring_bytes,
        overflow: spec.overflow.clone(),
        stages: spec.stages.clone(),
        #[cfg(feature = "planted-faults")]
        plant: spec.plant,
    };
    let makers = built.makers.into_iter().zip(&spec.plan.chains);
    let segments = makers.map(|(make, chain)| match chain.on.contains(shard) {
        true => make(&mut lanes).map_err(|error| failed(Cause::fatal(error))),
        false => Ok(Box::new(Absent(chain.ops[0])) as Box<dyn Segment>),
    });
    Ok(BuiltShard { segments: segments.collect::<Result<_, _>>()?, accumulators: built.accumulators })
}

/// Opens ring ends, and the shard's lanes to itself, as the chains ask for them.
struct ShardLanes {
    plan: Arc<Plan>,
    shard: ShardId,
    /// Per exchange: the consumer's end of the shard's own lane, made together with the producer's.
    own: Vec<Option<Inlet>>,
    ends: ShardEnds,
    ring_bytes: usize,
    overflow: OverflowBudget,
    stages: Option<Arc<Stages>>,
    #[cfg(feature = "planted-faults")]
    plant: Option<crate::testing::sim::Plant>,
}

impl Lanes for ShardLanes {
    fn outlets(&mut self, exchange: ExchangeId, shape: BatchShape) -> Result<Vec<Outlet>, ChannelError> {
        let mut outlets = Vec::new();
        for end in std::mem::take(&mut self.ends.outlets[exchange.0]) {
            outlets.push(match end {
                Some(end) => end.open(shape, self.overflow.clone())?,
                None => {
                    let (outlet, inlet) = own_lane(shape, self.ring_bytes, self.overflow.clone())?;
                    self.own[exchange.0] = Some(inlet);
                    outlet
                }
            });
        }
        Ok(outlets)
    }

    fn inlets(&mut self, exchange: ExchangeId, shape: BatchShape) -> Result<Vec<Inlet>, ChannelError> {
        let own = self.own[exchange.0].take();
        let mut own = own.into_iter();
        let ends = std::mem::take(&mut self.ends.inlets[exchange.0]);
        let inlet = |end: Option<InletEnd>| match end {
            Some(end) => end.open(shape),
            None => own.next().expect("a chain is made after the one that feeds it"),
        };
        #[cfg_attr(not(feature = "planted-faults"), allow(unused_mut))]
        let mut inlets: Vec<Inlet> = ends.into_iter().map(inlet).collect();
        #[cfg(feature = "planted-faults")]
        if self.plant == Some(crate::testing::sim::Plant::ReadPastSwitch) {
            inlets.iter_mut().for_each(Inlet::plant_read_past_switch);
        }
        Ok(inlets)
    }

    fn sorter(&self, exchange: ExchangeId) -> Option<SorterPlan> {
        self.stages.as_ref()?.sorter(&self.plan, exchange, self.shard)
    }

    fn loop_lane(&mut self, shape: BatchShape) -> Result<(Outlet, Inlet), ChannelError> {
        own_lane(shape, self.ring_bytes, self.overflow.clone())
    }

    fn lanes_from(&self, exchange: ExchangeId) -> ShardRange {
        self.plan.lanes_from(exchange, self.shard)
    }

    fn lanes_to(&self, exchange: ExchangeId) -> ShardRange {
        self.plan.lanes_to(exchange, self.shard)
    }

    fn producers(&self, exchange: ExchangeId) -> Producers {
        self.plan.producers(exchange)
    }

    fn consumer(&self, exchange: ExchangeId) -> (OpId, Port) {
        self.plan.exchanges[exchange.0].to.expect("a checked plan has a consumer for every exchange")
    }
}

//! The graph of a job: what the program said, by names. Every shard builds the same graph; the plan made of it is compared
//! before the start, explained to the user, and used to name things in errors and checkpoints.

mod drawing;
mod ends;
mod error;
pub(crate) mod explain;
mod guarantee;
mod mode;
mod placement;
mod plan;
mod setting;

pub(crate) use ends::EndUse;
pub use error::BuildError;
pub use explain::Explanation;
pub use guarantee::{Guarantee, Path};
pub(crate) use mode::Mode;
pub use mode::{NoSuchMode, RuntimeMode};
pub(crate) use placement::{JobShards, Wish};
pub use placement::{ParallelismError, ShardRange};
use plan::place;
pub(crate) use plan::{ChainNode, ExchangeNode, OpNode, Role};
pub use plan::{ExchangeId, Partitioner, Plan, Port};
pub(crate) use setting::Setting;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::Location;
use std::rc::Rc;

use crate::accumulator::{Accumulator, Banks, Parts};
use crate::channel::{BatchShape, ChannelError, Inlet, Outlet};
use crate::embed::endpoints::Endpoints;
use crate::operator::side::Slot;
use crate::operator::{Driven, OpId};
use crate::params::Params;
use crate::sort::SorterPlan;
use crate::source::{PartitionId, SourceError};
use crate::time::{Producers, Span, Tick};

/// What builds one chain once the shard's resources are there.
pub(crate) type MakeSegment = Box<dyn FnOnce(&mut dyn Lanes) -> Driven>;

/// Gives the ends of exchanges to the chains that use them.
#[doc(hidden)]
pub trait Lanes {
    /// The producer's ends of an exchange on this shard, one for each of [`Lanes::lanes_from`].
    fn outlets(&mut self, exchange: ExchangeId, shape: BatchShape) -> Result<Vec<Outlet>, ChannelError>;
    /// The operator at the consumer's end of an exchange, and the input of it.
    fn consumer(&self, exchange: ExchangeId) -> (OpId, Port);
    /// What is at the producers' ends of an exchange.
    fn producers(&self, exchange: ExchangeId) -> Producers;
    /// What the sorter of an exchange on this shard is to know, where it is sorted.
    fn sorter(&self, exchange: ExchangeId) -> Option<SorterPlan>;
    /// A lane of the shard to itself that is no exchange: what a loop gives back.
    fn loop_lane(&mut self, shape: BatchShape) -> Result<(Outlet, Inlet), ChannelError>;
    /// The consumer's ends of an exchange on this shard, one for each of [`Lanes::lanes_to`].
    fn inlets(&mut self, exchange: ExchangeId, shape: BatchShape) -> Result<Vec<Inlet>, ChannelError>;
    /// The shards that this shard has lanes to.
    fn lanes_from(&self, exchange: ExchangeId) -> ShardRange;
    /// The shards that this shard has lanes from.
    fn lanes_to(&self, exchange: ExchangeId) -> ShardRange;
}

/// The graph while it is being built.
#[derive(Default)]
#[doc(hidden)]
pub struct GraphBuilder {
    plan: Plan,
    makers: Vec<MakeSegment>,
    errors: Vec<BuildError>,
    tags: Vec<Rc<Slot>>,
    kinds: BTreeMap<&'static str, u32>,
    accumulators: Parts,
    /// The ends in the host program that are used, and as what.
    ends: Vec<(String, EndUse)>,
    /// Whether nothing will run: sources are asked for their partitions now.
    explains: bool,
}

/// A finished graph.
pub(crate) struct Built {
    pub(crate) plan: Plan,
    pub(crate) makers: Vec<MakeSegment>,
    pub(crate) accumulators: Parts,
}

impl GraphBuilder {
    /// Adds an operator under the name of its kind; the first of a kind is called just that, the next stateless ones are numbered.
    pub(crate) fn add(
        &mut self,
        kind: &'static str,
        stateful: bool,
        built_at: &'static Location<'static>,
    ) -> OpId {
        let seen = self.kinds.entry(kind).or_insert(0);
        *seen += 1;
        let name = if stateful || *seen == 1 { kind.to_owned() } else { format!("{kind}-{seen}") };
        let id = OpId(u16::try_from(self.plan.ops.len()).expect("a program has fewer than 65536 operators"));
        self.plan.ops.push(OpNode {
            name,
            stateful,
            built_at,
            role: Role::Inner,
            note: None,
            wish: Wish::default(),
            endless: false,
            partitions: None,
        });
        id
    }

    /// Whether the plan is made to be explained and nothing will run.
    pub(crate) fn explains(&self) -> bool {
        self.explains
    }

    pub(crate) fn set_partitions(&mut self, op: OpId, partitions: Result<Vec<PartitionId>, SourceError>) {
        let partitions = partitions.map_err(|error| error.to_string());
        self.plan.ops[usize::from(op.0)].partitions = Some(partitions);
    }

    /// Notes that a source does not end by itself.
    pub(crate) fn set_endless(&mut self, op: OpId) {
        self.plan.ops[usize::from(op.0)].endless = true;
    }

    pub(crate) fn set_role(&mut self, op: OpId, role: Role) {
        self.plan.ops[usize::from(op.0)].role = role;
    }

    /// Where the program wants an operator to run.
    pub(crate) fn wish(&mut self, op: OpId) -> &mut Wish {
        &mut self.plan.ops[usize::from(op.0)].wish
    }

    pub(crate) fn rename(&mut self, op: OpId, name: String) {
        self.plan.ops[usize::from(op.0)].name = name;
    }

    pub(crate) fn tag(&mut self, slot: Rc<Slot>) {
        self.tags.push(slot);
    }

    /// Adds what a reader of the plan should know of an operator.
    pub(crate) fn note(&mut self, op: OpId, note: String) {
        self.plan.ops[usize::from(op.0)].note = Some(note);
    }

    /// This shard's part of an accumulator.
    #[track_caller]
    pub(crate) fn accumulator<A: Accumulator>(&mut self, name: &str) -> Rc<RefCell<Banks<A>>> {
        self.accumulators.part(name).unwrap_or_else(|kind| {
            let (name, place) = (name.to_owned(), place(Location::caller()));
            self.errors.push(BuildError::AccumulatorKinds { name, place, kind, asked: A::KIND });
            Rc::default()
        })
    }

    pub(crate) fn error(&mut self, error: BuildError) {
        self.errors.push(error);
    }

    /// Notes that a setting of an operator makes no sense.
    pub(crate) fn bad_setting(&mut self, op: OpId, what: String) {
        self.error(BuildError::BadSetting {
            name: self.plan.name(op).to_owned(),
            place: self.plan.built_at(op),
            what,
        });
    }

    /// A span in ticks of the job. One that is not so many whole ticks is a mistake of the program.
    pub(crate) fn in_ticks(&mut self, op: OpId, what: &str, span: Span) -> i64 {
        span.in_ticks(self.tick()).unwrap_or_else(|error| {
            self.bad_setting(op, format!("{what}: {error}"));
            0
        })
    }

    /// Notes what is legal and yet probably not meant. The words go on from the operator's name.
    pub(crate) fn warn(&mut self, op: OpId, words: &str) {
        let (name, place) = (self.plan.name(op), self.plan.built_at(op));
        let warning = format!("`{name}`, built at {place}, {words}");
        self.plan.warnings.push(warning);
    }

    /// What a tick of event time means.
    pub(crate) fn tick(&self) -> Tick {
        self.plan.tick
    }

    /// Notes that all records of the stream that ends next meet on one shard.
    pub(crate) fn funnel(&mut self) {
        // The exchange that the stream ends in is the next one.
        self.plan.funnels.push(ExchangeId(self.plan.exchanges.len()));
    }

    /// Notes which loop an operator gives its records back to.
    pub(crate) fn note_feedback(&mut self, op: OpId, of_loop: OpId) {
        let note = format!("gives its records back to `{}`", self.plan.name(of_loop));
        self.note(op, note);
    }

    /// Notes that there is a loop.
    pub(crate) fn has_loops(&mut self) {
        self.plan.has_loops = true;
    }

    /// Notes that an operator needs event time and has none.
    pub(crate) fn no_event_time(&mut self, op: OpId) {
        self.error(BuildError::NoEventTime {
            name: self.plan.name(op).to_owned(),
            place: self.plan.built_at(op),
        });
    }

    pub(crate) fn exchange(&mut self, partitioner: Partitioner, from: OpId) -> ExchangeId {
        self.plan.exchanges.push(ExchangeNode { partitioner, from, to: None, by_key: false });
        ExchangeId(self.plan.exchanges.len() - 1)
    }

    /// Notes who reads an exchange, and whether it wants the keys one after the other, in batch mode.
    pub(crate) fn consume(&mut self, exchange: ExchangeId, by: OpId, port: Port, by_key: bool) {
        let node = &mut self.plan.exchanges[exchange.0];
        node.to = Some((by, port));
        node.by_key = by_key && node.partitioner == Partitioner::Hash;
    }

    pub(crate) fn chain(&mut self, chain: ChainNode, make: MakeSegment) {
        self.plan.chains.push(chain);
        self.makers.push(make);
    }

    /// Checks the whole.
    pub(crate) fn finish(mut self) -> Result<Built, Vec<BuildError>> {
        let plan = &self.plan;
        if plan.ops.is_empty() {
            self.errors.push(BuildError::NoSource);
        }
        let mut names: BTreeMap<&str, &OpNode> = BTreeMap::new();
        for op in plan.ops.iter().filter(|op| op.stateful) {
            if let Some(first) = names.insert(&op.name, op) {
                self.errors.push(BuildError::DuplicateName {
                    name: op.name.clone(),
                    first: place(first.built_at),
                    second: place(op.built_at),
                });
            }
        }
        let mut used = vec![false; plan.ops.len()];
        for op in plan.chains.iter().flat_map(|chain| &chain.ops) {
            used[usize::from(op.0)] = true;
        }
        for exchange in plan.exchanges.iter().filter(|exchange| exchange.to.is_none()) {
            used[usize::from(exchange.from.0)] = false;
        }
        // Of a row of operators that lead nowhere, only the last is worth a line.
        for (number, op) in plan.ops.iter().enumerate() {
            let next_is_unused = used.get(number + 1).is_some_and(|used| !used);
            if !used[number] && !next_is_unused {
                self.errors
                    .push(BuildError::LeadsNowhere { name: op.name.clone(), place: place(op.built_at) });
            }
        }
        for tag in self.tags.iter().filter(|tag| tag.of.get().is_none()) {
            let place = place(tag.built_at);
            self.plan.warnings.push(format!(
                "nobody reads the side output `{}`, made at {place}: what is given to it is forgotten; read it with .side_output(..)",
                tag.name
            ));
        }
        match Mode::of(&self.plan) {
            Ok(mode) => self.plan.mode = mode,
            Err(error) => self.errors.push(error),
        }
        if self.errors.is_empty() {
            // A chain that reads an exchange begins with an operator that was built after those of the chain that writes it.
            let mut chains: Vec<_> = self.plan.chains.into_iter().zip(self.makers).collect();
            chains.sort_by_key(|(chain, _)| chain.ops[0]);
            let (chains, makers) = chains.into_iter().unzip();
            self.plan.chains = chains;
            let misplaced = self.plan.place();
            if !misplaced.is_empty() {
                return Err(misplaced);
            }
            let kinds = self.accumulators.kinds();
            self.plan.accumulators = kinds.map(|(name, kind)| (name.to_owned(), kind)).collect();
            Ok(Built { plan: self.plan, makers, accumulators: self.accumulators })
        } else {
            Err(self.errors)
        }
    }
}

/// Where a program builds its dataflow: given to the job's closure, on every shard.
///
/// See [`Flow::source`](crate::stream) for how a graph begins.
#[derive(Clone)]
pub struct Flow {
    pub(crate) graph: Rc<RefCell<GraphBuilder>>,
    params: Params,
    /// The job's ends in its host program.
    pub(crate) endpoints: Endpoints,
}

impl Flow {
    /// What a tick of event time means in this job; see [`Job::tick`](crate::job::Job::tick).
    pub fn tick(&self) -> Tick {
        self.graph.borrow().plan.tick
    }

    /// The parameters of the job; see [`Job::params`](crate::job::Job::params).
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Calls the program once, for a job of this setting, and checks what it built.
    pub(crate) fn build(program: &dyn Fn(&Flow), setting: Setting) -> Result<Built, Vec<BuildError>> {
        Flow::call(GraphBuilder::default(), program, setting)
    }

    /// The same for a plan that is to be explained: sources are asked for their partitions.
    pub(crate) fn build_to_explain(
        program: &dyn Fn(&Flow),
        setting: Setting,
    ) -> Result<Built, Vec<BuildError>> {
        Flow::call(GraphBuilder { explains: true, ..GraphBuilder::default() }, program, setting)
    }

    fn call(
        mut graph: GraphBuilder,
        program: &dyn Fn(&Flow),
        setting: Setting,
    ) -> Result<Built, Vec<BuildError>> {
        let Setting { tick, shards, params, mode: (mode, origin), endpoints } = setting;
        (graph.plan.tick, graph.plan.shards) = (tick, shards);
        graph.plan.mode = Mode::asked(mode, origin);
        let flow = Flow { graph: Rc::new(RefCell::new(graph)), params, endpoints };
        program(&flow);
        let mut graph = std::mem::take(&mut *flow.graph.borrow_mut());
        graph.check_ends(&flow.endpoints);
        graph.finish()
    }
}

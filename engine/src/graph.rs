//! The graph of a job: what the program said, by names. Every shard builds the same graph; the plan made of it is compared
//! before the start, explained to the user, and used to name things in errors and checkpoints.

mod drawing;
mod ends;
pub(crate) mod explain;
mod guarantee;
mod mode;
mod placement;
mod setting;

pub(crate) use ends::EndUse;
pub use explain::Explanation;
pub use guarantee::{Guarantee, Path};
pub(crate) use mode::Mode;
pub use mode::{NoSuchMode, RuntimeMode};
pub(crate) use placement::{JobShards, Wish};
pub use placement::{ParallelismError, ShardRange};
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
use crate::sink::Delivery;
use crate::sort::SorterPlan;
use crate::source::{PartitionId, Replay, SourceError};
use crate::time::{Producers, Span, Tick};

/// A mistake in a program that shows before anything runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Two operators that keep state have one name, so that their state could not be told apart in a checkpoint.
    #[error(
        "two operators are named `{name}`: {first} and {second}; names are the identity of state, give one of them another with .name(\"...\")"
    )]
    DuplicateName {
        /// The name.
        name: String,
        /// Where the first was built.
        first: String,
        /// Where the second was built.
        second: String,
    },
    /// A stream ends nowhere.
    #[error("`{name}`, built at {place}, leads nowhere: end it with .sink(..), .print() or .discard()")]
    LeadsNowhere {
        /// The last operator.
        name: String,
        /// Where it was built.
        place: String,
    },
    /// An operator on event time is fed by a source without timestamps.
    #[error(
        "`{name}`, built at {place}, needs event time, but its source has no timestamps: call .event_time(..) right after .source(..)"
    )]
    NoEventTime {
        /// The operator.
        name: String,
        /// Where it was built.
        place: String,
    },
    /// A setting of an operator makes no sense.
    #[error("`{name}`, built at {place}: {what}")]
    BadSetting {
        /// The operator.
        name: String,
        /// Where it was built.
        place: String,
        /// What is wrong and what would be right.
        what: String,
    },
    /// Two accumulators of different kinds have one name.
    #[error(
        "accumulator `{name}`, asked for at {place}, is a {kind} already, not a {asked}; give one of them another name"
    )]
    AccumulatorKinds {
        /// The name.
        name: String,
        /// Where it was asked for the second time.
        place: String,
        /// What it is.
        kind: &'static str,
        /// What was asked for.
        asked: &'static str,
    },
    /// Operators cannot run where the program wants them to.
    #[error(transparent)]
    Parallelism(#[from] ParallelismError),
    /// A job in batch mode has a source that does not end.
    #[error(
        "source `{name}`, built at {place}, does not end by itself, so that the job cannot run in batch mode; run it in streaming mode, or \
         give it a source that ends"
    )]
    Endless {
        /// The source.
        name: String,
        /// Where it was built.
        place: String,
    },
    /// A job in batch mode has iterations.
    #[error(
        "the job has an iteration, which ends at a checkpoint, and batch mode makes none; run it in streaming mode, in which it ends as well"
    )]
    BatchOfLoops,
    /// The job has no source.
    #[error("the job has no source: begin with flow.source(..)")]
    NoSource,
    /// An end of the job in its host program is not what the program takes it for.
    #[error("`{name}`, used at {place}: {what}")]
    NoSuchEnd {
        /// The end.
        name: String,
        /// Where it was used.
        place: String,
        /// What is wrong and what would be right.
        what: String,
    },
    /// The host program has a handle that leads nowhere.
    #[error("the {kind} `{name}` was made with the job, and its program never uses it: {remedy}")]
    UnusedEnd {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is to be done.
        remedy: &'static str,
    },
    /// The program built something else on this shard.
    #[error(
        "the program built another graph the second time:\n{first}\n---\n{second}\nA job's closure must build the same graph each time it is called; it may not depend on the clock, on randomness or on which shard it runs"
    )]
    NotDeterministic {
        /// The graph of the first call.
        first: String,
        /// The graph of a later call.
        second: String,
    },
}

/// How an exchange deals records to shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioner {
    /// By the hash of a key.
    Hash,
    /// To all shards in turn.
    Rebalance,
    /// To any shard, at random.
    Shuffle,
    /// To the shard that a function of the program's own says.
    Custom,
    /// To a few neighbouring shards in turn.
    Rescale,
    /// To the same shard.
    Forward,
    /// To the first shard.
    Global,
    /// To all shards.
    Broadcast,
}

impl Partitioner {
    fn as_str(self) -> &'static str {
        match self {
            Partitioner::Hash => "HASH",
            Partitioner::Rebalance => "REBALANCE",
            Partitioner::Shuffle => "SHUFFLE",
            Partitioner::Custom => "CUSTOM",
            Partitioner::Rescale => "RESCALE",
            Partitioner::Forward => "FORWARD",
            Partitioner::Global => "GLOBAL",
            Partitioner::Broadcast => "BROADCAST",
        }
    }
}

/// An operator as the graph knows it.
#[derive(Clone, Debug)]
pub(crate) struct OpNode {
    /// What it is called, by the user or by its kind.
    pub(crate) name: String,
    /// Whether it keeps something in checkpoints.
    pub(crate) stateful: bool,
    /// Where the program built it.
    pub(crate) built_at: &'static Location<'static>,
    /// What it means for the job's guarantee.
    pub(crate) role: Role,
    /// What a reader of the plan should know of it.
    pub(crate) note: Option<String>,
    /// Where the program wants it to run.
    pub(crate) wish: Wish,
    /// Whether it is a source that does not end by itself.
    pub(crate) endless: bool,
    /// The partitions of a source, where the plan is made to be explained; or why they are not known.
    pub(crate) partitions: Option<Result<Vec<PartitionId>, String>>,
}

/// What an operator means for the job's guarantee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It can be asked for records again, or not.
    Source(Replay),
    /// It promises this.
    Sink(Delivery),
    /// Nothing: state is exact wherever checkpoints are.
    Inner,
}

/// The number of an input of an operator that may have several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port(pub u8);

/// The number of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub struct ExchangeId(pub(crate) usize);

#[derive(Clone, Debug)]
pub(crate) struct ExchangeNode {
    pub(crate) partitioner: Partitioner,
    pub(crate) from: OpId,
    pub(crate) to: Option<(OpId, Port)>,
    /// Whether its consumer keeps anything for keys, and is to have them one after the other in batch mode.
    pub(crate) by_key: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ChainNode {
    pub(crate) ops: Vec<OpId>,
    /// What it writes at its end, where that is not a sink.
    pub(crate) output: Option<ExchangeId>,
    /// What it writes beside: its side outputs.
    pub(crate) sides: Vec<ExchangeId>,
    /// The shards that it runs on.
    pub(crate) on: ShardRange,
    /// The shard group that it is in; none for all shards.
    pub(crate) group: Option<String>,
    /// Where it runs and why, where it does not run on every shard.
    pub(crate) placed: Option<String>,
}

impl ChainNode {
    /// A chain that has not been given its shards.
    pub(crate) fn new(ops: Vec<OpId>, output: Option<ExchangeId>, sides: Vec<ExchangeId>) -> ChainNode {
        ChainNode { ops, output, sides, on: ShardRange::default(), group: None, placed: None }
    }

    fn writes(&self, exchange: ExchangeId) -> bool {
        self.output == Some(exchange) || self.sides.contains(&exchange)
    }
}

/// The whole graph.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub(crate) ops: Vec<OpNode>,
    pub(crate) exchanges: Vec<ExchangeNode>,
    /// In the order in which records pass: what a chain writes is read by a later one.
    pub(crate) chains: Vec<ChainNode>,
    /// What is legal and yet probably not meant.
    pub(crate) warnings: Vec<String>,
    /// What a tick of event time means.
    pub(crate) tick: Tick,
    /// Exchanges that lead to one shard, though they are by key.
    pub(crate) funnels: Vec<ExchangeId>,
    /// The accumulators: name and kind.
    pub(crate) accumulators: Vec<(String, &'static str)>,
    /// Whether records go round anywhere.
    pub(crate) has_loops: bool,
    /// The job's shards.
    pub(crate) shards: JobShards,
    /// How it runs.
    pub(crate) mode: Mode,
}

impl Plan {
    /// What is legal and yet probably not meant, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The name of an operator.
    pub fn name(&self, op: OpId) -> &str {
        &self.ops[usize::from(op.0)].name
    }

    /// Where an operator was built in the program: file and line.
    pub fn built_at(&self, op: OpId) -> String {
        place(self.ops[usize::from(op.0)].built_at)
    }

    /// The operator at the head of the chain that writes an exchange.
    pub(crate) fn writer(&self, exchange: ExchangeId) -> OpId {
        let writer = self.chains.iter().find(|chain| chain.writes(exchange));
        writer.expect("a checked plan has a chain that writes it").ops[0]
    }

    /// The sources, in the order in which they were built.
    pub(crate) fn sources(&self) -> impl Iterator<Item = OpId> {
        let numbered = self.ops.iter().enumerate();
        numbered.filter(|(_, op)| matches!(op.role, Role::Source(_))).map(|(number, _)| OpId(number as u16))
    }

    /// The operators that take their records by key, and the shards that they run on.
    pub(crate) fn keyed_heads(&self) -> impl Iterator<Item = (OpId, ShardRange)> {
        let by_key = |head: OpId| {
            let mut exchanges = self.exchanges.iter();
            exchanges.any(|node| {
                node.partitioner == Partitioner::Hash && node.to.is_some_and(|(to, _)| to == head)
            })
        };
        let keyed = self.chains.iter().filter(move |chain| by_key(chain.ops[0]));
        keyed.map(|chain| (chain.ops[0], chain.on))
    }

    /// The shards that each source runs on, in the same order.
    pub(crate) fn source_shards(&self) -> Vec<ShardRange> {
        let on = |source: OpId| self.chains.iter().find(|chain| chain.ops[0] == source).map(|chain| chain.on);
        self.sources().filter_map(on).collect()
    }

    /// Whether the records of an exchange are sorted by key before any is handled.
    pub(crate) fn sorts(&self, exchange: ExchangeId) -> bool {
        self.mode.batch && self.exchanges[exchange.0].by_key
    }

    /// What is at the producers' ends of an exchange.
    pub(crate) fn producers(&self, exchange: ExchangeId) -> Producers {
        let writer = self.writer(exchange);
        if matches!(self.ops[usize::from(writer.0)].role, Role::Source(_)) {
            return Producers::Source;
        }
        // An instance that is fed by some instances of a source, and not by all, is silent when those are.
        let mut fed_by = (0..self.exchanges.len()).map(ExchangeId).filter(|fed_by| {
            let ExchangeNode { partitioner, to, .. } = self.exchanges[fed_by.0];
            let by_some = matches!(partitioner, Partitioner::Forward | Partitioner::Rescale);
            by_some && to.is_some_and(|(reader, _)| reader == writer)
        });
        match fed_by.any(|fed_by| self.producers(fed_by) == Producers::Source) {
            true => Producers::Source,
            false => Producers::Operator,
        }
    }
}

fn place(location: &Location<'_>) -> String {
    format!("{}:{}", location.file(), location.line())
}

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

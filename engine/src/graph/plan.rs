//! What a graph comes to: operators, the chains that they are fused to, and the exchanges between those.

use std::panic::Location;

use super::mode::Mode;
use super::placement::{JobShards, ShardRange, Wish};
use crate::operator::OpId;
use crate::sink::Delivery;
use crate::source::{PartitionId, Replay};
use crate::time::{Producers, Tick};

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
    pub(super) fn as_str(self) -> &'static str {
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

    pub(super) fn writes(&self, exchange: ExchangeId) -> bool {
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

/// A place in the program, as it is shown.
pub(super) fn place(location: &Location<'_>) -> String {
    format!("{}:{}", location.file(), location.line())
}

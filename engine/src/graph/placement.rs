//! Which shards each chain runs on, and which of them an exchange joins.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::Location;

use super::{BuildError, ChainNode, ExchangeId, OpNode, Partitioner, Plan, place};
use crate::element::ShardId;
use crate::operator::OpId;

/// How many partitions of a source a plan names.
const PARTITIONS_TOLD: usize = 16;

/// Neighbouring shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(hidden)]
pub struct ShardRange {
    pub(crate) first: u16,
    pub(crate) count: u16,
}

impl ShardRange {
    /// The first so many shards.
    pub(crate) fn all(count: u16) -> ShardRange {
        ShardRange { first: 0, count }
    }

    pub(crate) fn only(shard: ShardId) -> ShardRange {
        ShardRange { first: shard.0, count: 1 }
    }

    pub(crate) fn len(self) -> usize {
        usize::from(self.count)
    }

    pub(crate) fn shards(self) -> impl Iterator<Item = ShardId> {
        (self.first..self.first + self.count).map(ShardId)
    }

    pub(crate) fn contains(self, shard: ShardId) -> bool {
        self.first <= shard.0 && shard.0 - self.first < self.count
    }

    /// The shard with this number among them.
    pub(crate) fn nth(self, number: usize) -> ShardId {
        ShardId(self.first + number as u16)
    }

    /// The number that a shard, which is one of them, has among them.
    pub(crate) fn number_of(self, shard: ShardId) -> u16 {
        shard.0 - self.first
    }

    fn text(self, of: u16) -> String {
        match self.count {
            1 => format!("shard {} of {of}", self.first),
            count => format!("shards {} to {} of {of}", self.first, self.first + count - 1),
        }
    }
}

/// The shards of a job, as its settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobShards {
    pub(crate) count: u16,
    /// Who says how many, in words; none for the default.
    pub(crate) origin: Option<String>,
    pub(crate) groups: BTreeMap<String, ShardRange>,
}

impl Default for JobShards {
    fn default() -> Self {
        JobShards { count: 1, origin: None, groups: BTreeMap::new() }
    }
}

/// Where the program wants an operator to run, and where it says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) parallelism: Option<(u16, &'static Location<'static>)>,
    pub(crate) group: Option<(String, &'static Location<'static>)>,
}

/// Operators cannot run where the program wants them to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParallelismError {
    /// Two operators of one chain are to run on different shards.
    #[error(
        "`{first}` is to run with {wants}, `{second}` with {other}, but they are one chain: put .rebalance() or another exchange between \
         them, or give both the same"
    )]
    WithinChain {
        /// The first operator.
        first: String,
        /// What the program says of it, and where.
        wants: String,
        /// The second operator.
        second: String,
        /// What the program says of it, and where.
        other: String,
    },
    /// An edge to the same shard joins chains on different shards.
    #[error(
        "`{from}` runs on {from_shards} and goes on at `{to}` on the same shard, but that runs on {to_shards}; give both the same \
         parallelism and shard group, or put .rebalance() between them"
    )]
    Forward {
        /// The operator before the edge.
        from: String,
        /// Its shards.
        from_shards: String,
        /// The operator behind it.
        to: String,
        /// Its shards.
        to_shards: String,
    },
    /// More shards than there are, or none.
    #[error(
        "`{operator}` is to run with {wants}, but there are {available} shards{of}; give a number from 1 to {available}, or more shards"
    )]
    OutOfRange {
        /// The operator.
        operator: String,
        /// What the program says of it, and where.
        wants: String,
        /// How many there are.
        available: u16,
        /// Of what, where not of the job.
        of: String,
    },
    /// The job has no such group.
    #[error(
        "`{operator}` is to run in shard group `{group}`, set at {place}; the job has {known}: add it with Job::shard_group(..)"
    )]
    NoSuchGroup {
        /// The operator.
        operator: String,
        /// The group.
        group: String,
        /// Where the program says so.
        place: String,
        /// Those there are.
        known: String,
    },
}

/// A setting of a chain, and the operator that it was set on.
struct Set<T> {
    value: T,
    op: OpId,
    words: String,
}

/// The one setting of a chain's operators; an error where they have two.
fn one<T: PartialEq>(
    plan: &Plan,
    ops: &[OpId],
    wish: impl Fn(&OpNode) -> Option<(T, String)>,
) -> Result<Option<Set<T>>, ParallelismError> {
    let mut all = ops.iter().filter_map(|op| {
        let (value, words) = wish(&plan.ops[usize::from(op.0)])?;
        Some(Set { value, op: *op, words })
    });
    let Some(first) = all.next() else { return Ok(None) };
    match all.find(|other| other.value != first.value) {
        None => Ok(Some(first)),
        Some(other) => Err(ParallelismError::WithinChain {
            first: plan.name(first.op).to_owned(),
            wants: first.words,
            second: plan.name(other.op).to_owned(),
            other: other.words,
        }),
    }
}

impl Plan {
    /// Gives every chain its shards: those of its group, or the first so many of them. A chain without a group of its own goes where all that
    /// feeds it is; one that is fed on the same shard runs where that is.
    pub(super) fn place(&mut self) -> Vec<BuildError> {
        let mut errors = Vec::new();
        for number in 0..self.chains.len() {
            match self.place_chain(number) {
                Ok(()) => {}
                Err(error) => errors.push(error.into()),
            }
        }
        errors
    }

    fn place_chain(&mut self, number: usize) -> Result<(), ParallelismError> {
        let job = ShardRange::all(self.shards.count);
        let ops = &self.chains[number].ops;
        let head = ops[0];
        let name = |op: OpId| self.name(op).to_owned();
        let wants = one(self, ops, |op| {
            op.wish.parallelism.map(|(n, at)| (n, format!("parallelism {n}, set at {}", place(at))))
        })?;
        let in_group = one(self, ops, |op| {
            let (group, at) = op.wish.group.as_ref()?;
            Some((group.clone(), format!("shard group `{group}`, set at {}", place(at))))
        })?;
        let inputs: Vec<(Partitioner, usize)> = self.inputs(head).collect();
        let mut note = None;
        let group = match &in_group {
            Some(set) => {
                note = Some(set.words.clone());
                Some(set.value.clone())
            }
            None => {
                let mut groups = inputs.iter().map(|(_, writer)| &self.chains[*writer].group);
                let first = groups.next().cloned().flatten();
                first.filter(|first| groups.all(|other| other.as_ref() == Some(first)))
            }
        };
        let within = match &group {
            None => job,
            Some(group) => *self.shards.groups.get(group).ok_or_else(|| {
                let known = self.shards.groups.keys().map(|group| format!("`{group}`")).collect::<Vec<_>>();
                ParallelismError::NoSuchGroup {
                    operator: in_group.as_ref().map_or_else(|| name(head), |set| name(set.op)),
                    group: group.clone(),
                    place: in_group.as_ref().map_or_else(String::new, |set| self.group_place(set.op)),
                    known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
                }
            })?,
        };
        let forward = inputs.iter().find(|(partitioner, _)| *partitioner == Partitioner::Forward);
        let on = match (&wants, forward) {
            (Some(set), _) if set.value == 0 || set.value > within.count => {
                let of = group.map_or_else(String::new, |group| format!(" in shard group `{group}`"));
                let (operator, wants) = (name(set.op), set.words.clone());
                return Err(ParallelismError::OutOfRange { operator, wants, available: within.count, of });
            }
            (Some(set), _) => {
                note = Some(set.words.clone());
                ShardRange { count: set.value, ..within }
            }
            (None, Some((_, writer))) if in_group.is_none() => self.chains[*writer].on,
            (None, _) => within,
        };
        for (_, writer) in inputs.iter().filter(|(partitioner, _)| *partitioner == Partitioner::Forward) {
            let from = &self.chains[*writer];
            if from.on != on {
                return Err(ParallelismError::Forward {
                    from: name(from.ops[from.ops.len() - 1]),
                    from_shards: from.on.text(job.count),
                    to: name(head),
                    to_shards: on.text(job.count),
                });
            }
        }
        let chain = &mut self.chains[number];
        chain.on = on;
        chain.group = group;
        if on != job {
            let note = note.map_or_else(|| ", as what feeds it".to_owned(), |words| format!(": {words}"));
            chain.placed = Some(format!("on {}{note}", on.text(job.count)));
        }
        Ok(())
    }

    fn group_place(&self, op: OpId) -> String {
        self.ops[usize::from(op.0)].wish.group.as_ref().map_or_else(String::new, |(_, at)| place(at))
    }

    /// What feeds a chain, by its head: how, and the number of the chain.
    fn inputs(&self, head: OpId) -> impl Iterator<Item = (Partitioner, usize)> {
        self.exchanges_to(head).filter_map(|exchange| {
            let writer = self.chains.iter().position(|chain| chain.writes(exchange))?;
            Some((self.exchanges[exchange.0].partitioner, writer))
        })
    }

    /// The exchanges that lead to an operator.
    pub(crate) fn exchanges_to(&self, head: OpId) -> impl Iterator<Item = ExchangeId> {
        let numbered = self.exchanges.iter().enumerate();
        let to_head = numbered.filter(move |(_, node)| node.to.is_some_and(|(op, _)| op == head));
        to_head.map(|(number, _)| ExchangeId(number))
    }

    /// Says which shard reads which partition of a source that has several.
    pub(super) fn explain_partitions(&self, text: &mut String, chain: &ChainNode) {
        let source = &self.ops[usize::from(chain.ops[0].0)];
        let dealt = match &source.partitions {
            Some(Ok(partitions)) if partitions.len() > 1 => {
                let shard = |number: usize| chain.on.nth(number % chain.on.len());
                let told = partitions.iter().enumerate().take(PARTITIONS_TOLD);
                let mut dealt: Vec<String> =
                    told.map(|(number, name)| format!("{} -> shard {}", name.0, shard(number))).collect();
                if partitions.len() > PARTITIONS_TOLD {
                    dealt.push(format!("and {} more, in turn", partitions.len() - PARTITIONS_TOLD));
                }
                dealt.join(", ")
            }
            Some(Err(error)) => format!("not known now: {error}"),
            Some(Ok(_)) | None => return,
        };
        let _ = writeln!(text, "  partitions of {}: {dealt}", source.name);
    }

    /// The chain that writes an exchange.
    fn writing(&self, exchange: ExchangeId) -> Option<&ChainNode> {
        self.chains.iter().find(|chain| chain.writes(exchange))
    }

    /// The chain that reads an exchange.
    fn reading(&self, exchange: ExchangeId) -> Option<&ChainNode> {
        let (op, _) = self.exchanges[exchange.0].to?;
        self.chains.iter().find(|chain| chain.ops[0] == op)
    }

    /// The shards that write an exchange.
    pub(crate) fn producer_shards(&self, exchange: ExchangeId) -> ShardRange {
        self.writing(exchange).expect("a checked plan has a chain that writes it").on
    }

    /// The shards that read an exchange.
    pub(crate) fn consumer_shards(&self, exchange: ExchangeId) -> ShardRange {
        self.reading(exchange).expect("a checked plan has a chain that reads it").on
    }

    /// The shards that one of an exchange's producers has lanes to.
    pub(crate) fn lanes_from(&self, exchange: ExchangeId, from: ShardId) -> ShardRange {
        let (before, after) = (self.producer_shards(exchange), self.consumer_shards(exchange));
        match self.exchanges[exchange.0].partitioner {
            Partitioner::Forward => ShardRange::only(from),
            Partitioner::Rescale => {
                let range = rescaled(before.number_of(from), before.count, after.count);
                ShardRange { first: after.first + range.first, count: range.count }
            }
            _ => after,
        }
    }

    /// The shards that one of an exchange's consumers has lanes from.
    pub(crate) fn lanes_to(&self, exchange: ExchangeId, to: ShardId) -> ShardRange {
        let mut from = self
            .producer_shards(exchange)
            .shards()
            .filter(|from| self.lanes_from(exchange, *from).contains(to));
        let first = from.next().map_or(0, |shard| shard.0);
        ShardRange { first, count: 1 + from.count() as u16 }
    }
}

/// The consumers, by number, that the producer of this number deals to: neighbours, so that each has about as many
/// ([Flink: rescale](https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/overview/#rescaling)).
fn rescaled(number: u16, producers: u16, consumers: u16) -> ShardRange {
    let at = |number: u16| (u32::from(number) * u32::from(consumers) / u32::from(producers)) as u16;
    let (first, end) = (at(number), at(number + 1));
    ShardRange { first, count: (end - first).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pt_04_neighbours_share_consumers_and_none_is_left_out() {
        let of = |producers: u16, consumers| -> Vec<Vec<u16>> {
            let dealt =
                |number| rescaled(number, producers, consumers).shards().map(|shard| shard.0).collect();
            (0..producers).map(dealt).collect()
        };
        assert_eq!(of(2, 4), [[0, 1], [2, 3]]);
        assert_eq!(of(4, 2), [[0], [0], [1], [1]]);
        assert_eq!(of(3, 3), [[0], [1], [2]]);
        for (producers, consumers) in (1..12).flat_map(|a| (1..12).map(move |b| (a, b))) {
            let mut reached: Vec<u16> = of(producers, consumers).concat();
            assert!(reached.is_sorted());
            reached.dedup();
            assert_eq!(reached, (0..consumers).collect::<Vec<_>>(), "{producers} to {consumers}");
        }
    }
}

//! Exchanges without keys: which shard a record goes to.

use std::fmt;
use std::panic::Location;

use super::Stream;
use super::exchanges::{Input, begin};
use crate::graph::Partitioner;
use crate::operator::Chain;
use crate::operator::exchange::{AtRandom, Choice, Dealt, Forward, InTurn};
use crate::operator::keyed::FromExchange;
use crate::operator::views::Views;
use crate::record::Record;

/// What comes out of an exchange without keys.
pub(super) type Dealing<T> = Stream<T, FromExchange<Views<T>>>;

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// Deals the records to all shards in turn (Flink's `rebalance`): evens out load where the sources are uneven.
    #[track_caller]
    pub fn rebalance(self) -> Dealing<T> {
        let input = self.unkeyed(Partitioner::Rebalance, |outlets| Dealt::new(InTurn::default(), outlets));
        arrive(input, "rebalance", Location::caller())
    }

    /// Deals the records in turn to a few neighbouring shards (Flink's `rescale`): of two shards that go on with four, the first deals to the
    /// first two, the second to the others; of four that go on with two, two deal to each. With as many before as after, records stay on their
    /// shards. There are fewer rings than for [`Stream::rebalance`], and no evening out beyond the neighbours.
    #[track_caller]
    pub fn rescale(self) -> Dealing<T> {
        let input = self.unkeyed(Partitioner::Rescale, |outlets| Dealt::new(InTurn::default(), outlets));
        arrive(input, "rescale", Location::caller())
    }

    /// Gives each record to any shard, all being equally likely (Flink's `shuffle`). With the same seed the same records go to the same
    /// shards, as long as nothing fails.
    #[track_caller]
    pub fn shuffle(self, seed: u64) -> Dealing<T> {
        let tail = move |outlets| Dealt::new(AtRandom::new(seed), outlets);
        arrive(self.unkeyed(Partitioner::Shuffle, tail), "shuffle", Location::caller())
    }

    /// Gives all records to the first shard (Flink's `global`).
    #[track_caller]
    pub fn global(self) -> Dealing<T> {
        arrive(self.unkeyed(Partitioner::Global, Forward::new), "global", Location::caller())
    }

    /// Gives each record to the shard that `choose` names for its key, of so many shards (Flink's `partitionCustom`). A number that is not
    /// below theirs fails the job with [`PartitionOutOfRange`](crate::operator::PartitionOutOfRange).
    ///
    /// What was on its way when a job was stopped, and goes on with another number of shards, is dealt out without asking: what has to meet
    /// on one shard then is for [`Stream::key_by`].
    #[track_caller]
    pub fn partition_custom<K, F, G>(self, key: F, choose: G) -> Dealing<T>
    where
        K: fmt::Debug + 'static,
        F: Fn(&C::Ref) -> K + 'static,
        G: FnMut(&K, usize) -> usize + 'static,
    {
        let tail = move |outlets| Dealt::new(Choice::new(key, choose), outlets);
        arrive(self.unkeyed(Partitioner::Custom, tail), "partition_custom", Location::caller())
    }

    /// Cuts the chain: what follows is a chain of its own on the same shard (Flink's `startNewChain`, which is called after the operator
    /// that it cuts before). Records are archived in between. It takes no thread and no queue to another one, and so it is for looking at
    /// what a chain costs in parts, not for speed.
    #[track_caller]
    pub fn start_new_chain(self) -> Dealing<T> {
        arrive(self.forward(), "new_chain", Location::caller())
    }

    /// Builds operators that are a chain of their own, cut off on both sides (Flink's `disableChaining`); see
    /// [`Stream::start_new_chain`].
    #[track_caller]
    pub fn isolated<U, D>(self, build: impl FnOnce(Dealing<T>) -> Stream<U, D>) -> Dealing<U>
    where
        U: Record,
        D: Chain<Record = U>,
    {
        let place = Location::caller();
        let inside = build(arrive(self.forward(), "new_chain", place));
        arrive(inside.forward(), "new_chain", place)
    }
}

/// Begins the chain at the other end.
pub(super) fn arrive<T: Record>(
    input: Input,
    kind: &'static str,
    built_at: &'static Location<'static>,
) -> Dealing<T> {
    begin(vec![input], kind, false, built_at, Views::new)
}

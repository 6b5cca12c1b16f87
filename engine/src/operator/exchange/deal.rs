//! Exchanges that give each record to one shard, whatever its key.

use std::fmt;
use std::marker::PhantomData;

use super::{Outlets, exchange_control};
use crate::channel::Outlet;
use crate::element::{Epoch, Timestamp};
use crate::operator::failure::{Blame, Cause, Failure, raise};
use crate::operator::segment::{OpenContext, Tail};
use crate::operator::{Chain, OpId, Push};
use crate::record::Record;
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::ShardSnapshot;

/// Says which shard gets a record.
pub(crate) trait Deal<R: ?Sized>: Begin {
    /// The number of the shard, of so many.
    fn shard(&mut self, record: &R, op: OpId, shards: usize) -> usize;
}

/// What a [`Deal`] does when its shard starts.
pub(crate) trait Begin: 'static {
    fn begin(&mut self, context: &OpenContext, consumers: usize) {
        let _ = (context, consumers);
    }
}

/// An exchange that deals records as `D` says.
pub(crate) struct Dealt<D> {
    deal: D,
    outlets: Outlets,
}

impl<D: Begin> Dealt<D> {
    pub(crate) fn new(deal: D, outlets: Outlets) -> Self {
        Dealt { deal, outlets }
    }

    fn opened(&mut self, context: &OpenContext) {
        self.outlets.open(context);
        self.deal.begin(context, self.outlets.lanes.len());
    }
}

impl<C: Chain, D: Deal<C::Ref>> Push<C> for Dealt<D>
where
    C::Record: Record,
{
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        let outlets = &mut self.outlets;
        let shard = self.deal.shard(C::by_ref(&item), outlets.op, outlets.lanes.len());
        let appended = C::append_unkeyed(&item, at, &mut outlets.lanes[shard]);
        outlets.appended(appended);
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self
    }
}

impl<D: Begin> Tail for Dealt<D> {
    exchange_control!();
}

/// To all shards in turn (Flink's `rebalance`).
#[derive(Default)]
pub(crate) struct InTurn {
    next: usize,
}

impl Begin for InTurn {
    fn begin(&mut self, context: &OpenContext, consumers: usize) {
        // Producers start at different consumers, so that few records do not all meet at shard 0.
        self.next = context.instance().0.index() % consumers;
    }
}

impl<R: ?Sized> Deal<R> for InTurn {
    #[inline(always)]
    fn shard(&mut self, _: &R, _: OpId, shards: usize) -> usize {
        let shard = self.next;
        self.next = if shard + 1 == shards { 0 } else { shard + 1 };
        shard
    }
}

/// To any shard, all being equally likely (Flink's `shuffle`).
pub(crate) struct AtRandom {
    /// Given by the program, so that a run can be repeated.
    seed: u64,
    state: u64,
}

impl AtRandom {
    pub(crate) fn new(seed: u64) -> Self {
        AtRandom { seed, state: 0 }
    }
}

impl Begin for AtRandom {
    fn begin(&mut self, context: &OpenContext, _: usize) {
        self.state = self.seed ^ (u64::from(context.instance().0.0) << 48);
    }
}

impl<R: ?Sized> Deal<R> for AtRandom {
    #[inline(always)]
    fn shard(&mut self, _: &R, _: OpId, shards: usize) -> usize {
        // SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // The upper half of the product is below the number of shards.
        ((u128::from(mixed) * shards as u128) >> 64) as usize
    }
}

/// To the shard that a function of the program's own says (Flink's `partitionCustom`).
pub(crate) struct Choice<F, G, K> {
    key: F,
    choose: G,
    types: PhantomData<fn() -> K>,
}

impl<F, G, K> Choice<F, G, K> {
    pub(crate) fn new(key: F, choose: G) -> Self {
        Choice { key, choose, types: PhantomData }
    }
}

impl<F: 'static, G: 'static, K: 'static> Begin for Choice<F, G, K> {}

impl<R, F, G, K> Deal<R> for Choice<F, G, K>
where
    R: ?Sized,
    F: Fn(&R) -> K + 'static,
    G: FnMut(&K, usize) -> usize + 'static,
    K: fmt::Debug + 'static,
{
    #[inline(always)]
    fn shard(&mut self, record: &R, op: OpId, shards: usize) -> usize {
        let key = Blame::on(op, || (self.key)(record));
        let shard = Blame::on(op, || (self.choose)(&key, shards));
        if shard >= shards {
            let key = format!("{key:?}");
            raise(op, Cause::fatal(PartitionOutOfRange { key, got: shard, shards }));
        }
        shard
    }
}

/// A partitioner of the program's own has named a shard that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the partitioner gives shard {got} for the key {key}, but there are {shards} shards; shards are numbered from 0, and a partitioner is \
     given their number as its second argument"
)]
pub struct PartitionOutOfRange {
    /// The key, as `Debug` shows it.
    pub key: String,
    /// The shard that the partitioner gave.
    pub got: usize,
    /// How many shards there are.
    pub shards: usize,
}

//! The tail of a chain that ends in an exchange: routes each record to the shard that is to have it.

mod deal;
mod key_check;
mod salted;

pub use deal::PartitionOutOfRange;
pub(crate) use deal::{AtRandom, Choice, Dealt, InTurn};
pub use key_check::KeyChanged;
use key_check::check;
pub(crate) use salted::Salted;

use super::failure::{Blame, Cause, Failure, raise};
use super::segment::{OpenContext, Tail};
use super::{Chain, OpId, Push};
use crate::channel::{BatchShape, ChannelError, Outlet};
use crate::element::{Epoch, KeyHash, ShardId, Timestamp};
use crate::graph::{ExchangeId, Lanes, Partitioner, Port, ShardRange};
use crate::key::{HashSeed, Key};
use crate::record::Record;
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::{ChannelSnapshot, ShardSnapshot};

/// Gives the key of a record.
pub trait KeyFn<R: ?Sized>: 'static {
    /// What it is keyed by.
    type Key: Key + ?Sized;

    /// Whether the same record has the same key each time.
    const IS_FUNCTION: bool = true;

    /// Calls the user's closure and hands the key on.
    fn with_key<O>(&self, record: &R, op: OpId, then: impl FnOnce(&Self::Key) -> O) -> O;
}

/// A key made from the record.
pub struct ByValue<F, K>(pub(crate) F, pub(crate) std::marker::PhantomData<fn() -> K>);

impl<R: ?Sized, K: Key, F: Fn(&R) -> K + 'static> KeyFn<R> for ByValue<F, K> {
    type Key = K;

    #[inline(always)]
    fn with_key<O>(&self, record: &R, op: OpId, then: impl FnOnce(&K) -> O) -> O {
        then(&Blame::on(op, || (self.0)(record)))
    }
}

/// A key that is part of the record.
pub struct ByRef<F, Q: ?Sized>(pub(crate) F, pub(crate) std::marker::PhantomData<fn() -> Box<Q>>);

impl<R: ?Sized, Q: Key + ?Sized, F: for<'x> Fn(&'x R) -> &'x Q + 'static> KeyFn<R> for ByRef<F, Q> {
    type Key = Q;

    #[inline(always)]
    fn with_key<O>(&self, record: &R, op: OpId, then: impl FnOnce(&Q) -> O) -> O {
        then(Blame::on(op, || (self.0)(record)))
    }
}

/// The producer's ends of one exchange on one shard, and what all exchanges do with them.
pub(crate) struct Outlets {
    op: OpId,
    /// The operator at the other end, whose name the channel's records are saved under, and the input of it.
    to: (OpId, Port),
    to_name: String,
    shard: ShardId,
    /// One for each shard that it goes to.
    lanes: Vec<Outlet>,
    lanes_to: ShardRange,
    /// Whether the next record is the first one after there was room for a batch.
    batch_begins: bool,
}

impl Outlets {
    /// The producer's ends of an exchange that `op` writes.
    pub(crate) fn new(
        op: OpId,
        exchange: ExchangeId,
        shape: BatchShape,
        lanes: &mut dyn Lanes,
    ) -> Result<Self, ChannelError> {
        let (to, lanes_to) = (lanes.consumer(exchange), lanes.lanes_from(exchange));
        let lanes = lanes.outlets(exchange, shape)?;
        let (to_name, shard) = (String::new(), ShardId(0));
        Ok(Outlets { op, to, to_name, shard, lanes, lanes_to, batch_begins: true })
    }

    pub(crate) fn open(&mut self, context: &OpenContext) {
        self.shard = context.shard;
        self.to_name = context.name(self.to.0).to_owned();
    }

    pub(crate) fn ready(&mut self) -> bool {
        self.batch_begins = true;
        self.lanes.iter_mut().all(Outlet::ready)
    }

    /// The first lane: where there is but one, all of them.
    pub(crate) fn lane(&mut self) -> &mut Outlet {
        &mut self.lanes[0]
    }

    pub(crate) fn each(
        &mut self,
        mut act: impl FnMut(&mut Outlet) -> Result<(), ChannelError>,
    ) -> Result<(), Box<Failure>> {
        for lane in &mut self.lanes {
            act(lane).map_err(|error| Box::new(Failure::of(self.op, Cause::fatal(error))))?;
        }
        Ok(())
    }

    /// After a record was given to a lane.
    #[inline(always)]
    pub(crate) fn appended(&mut self, result: Result<(), ChannelError>) {
        if let Err(error) = result {
            raise(self.op, Cause::fatal(error));
        }
    }

    pub(crate) fn holds_back(&self) -> bool {
        self.lanes.iter().any(Outlet::holds_back)
    }

    pub(crate) fn switch(&mut self, epoch: Epoch, snapshot: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
        let (from, to_name, op, port) = (self.shard, &self.to_name, self.op, self.to.1);
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let mut frames = Vec::new();
            lane.switch(epoch, &mut frames)
                .map_err(|error| Box::new(Failure::of(op, Cause::fatal(error))))?;
            if !frames.is_empty() {
                let to = self.lanes_to.nth(number);
                snapshot.unsent.push(ChannelSnapshot { operator: to_name.clone(), port, from, to, frames });
            }
        }
        Ok(())
    }

    pub(crate) fn gauge(&self, gauges: &mut Gauges) {
        for lane in &self.lanes {
            gauges.ring(lane.fill());
            gauges.memory.rings += lane.ring_bytes();
            gauges.memory.batches += lane.batch_bytes();
        }
    }
}

/// What every exchange's tail does with control, given its [`Outlets`] in `self.outlets`.
macro_rules! exchange_control {
    () => {
        fn op(&self) -> OpId {
            self.outlets.op
        }
        fn name(&self) -> &str {
            &self.outlets.to_name
        }
        fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
            self.opened(context);
            Ok(())
        }
        fn ready(&mut self) -> bool {
            self.outlets.ready()
        }
        fn flush(&mut self) -> Result<(), Box<Failure>> {
            self.outlets.each(Outlet::flush)
        }
        fn watermark(&mut self, at: Timestamp) -> Result<(), Box<Failure>> {
            self.outlets.each(|lane| lane.watermark(at))
        }
        fn idle(&mut self) -> Result<(), Box<Failure>> {
            self.outlets.each(Outlet::idle)
        }
        fn end(&mut self) -> Result<(), Box<Failure>> {
            self.outlets.each(Outlet::end)
        }
        fn holds_back(&self) -> bool {
            self.outlets.holds_back()
        }
        fn switch(&mut self, epoch: Epoch, snapshot: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
            self.outlets.switch(epoch, snapshot)
        }
        fn gauge(&mut self, gauges: &mut Gauges) {
            self.outlets.gauge(gauges);
        }
    };
}

use exchange_control;

/// An exchange by the hash of a key.
pub(crate) struct HashExchange<F> {
    key: F,
    seed: HashSeed,
    outlets: Outlets,
}

impl<F> HashExchange<F> {
    pub(crate) fn new(key: F, outlets: Outlets) -> Self {
        HashExchange { key, seed: HashSeed(0), outlets }
    }

    fn opened(&mut self, context: &OpenContext) {
        self.seed = context.seed;
        self.outlets.open(context);
    }
}

impl<C: Chain, F: KeyFn<C::Ref>> Push<C> for HashExchange<F>
where
    C::Record: Record,
{
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        let outlets = &mut self.outlets;
        let seed = self.seed;
        let shards = outlets.lanes.len() as u16;
        let again = F::IS_FUNCTION && (cfg!(debug_assertions) || outlets.batch_begins);
        let record = C::by_ref(&item);
        let appended = self.key.with_key(record, outlets.op, |key| {
            let hash = key.hash(seed);
            if again {
                outlets.batch_begins = false;
                check(&self.key, record, outlets.op, &outlets.to_name, (key, hash), seed);
            }
            // Apart, so that with one shard nothing waits for the hash.
            if shards == 1 {
                C::append(&item, at, hash, key, outlets.lane())
            } else {
                C::append(&item, at, hash, key, &mut outlets.lanes[hash.shard(shards).index()])
            }
        });
        self.outlets.appended(appended);
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self
    }
}

impl<F> Tail for HashExchange<F> {
    exchange_control!();
}

/// An exchange that gives every record to every shard.
pub(crate) struct Broadcast {
    outlets: Outlets,
}

impl Broadcast {
    pub(crate) fn new(outlets: Outlets) -> Self {
        Broadcast { outlets }
    }

    fn opened(&mut self, context: &OpenContext) {
        self.outlets.open(context);
    }
}

impl<C: Chain> Push<C> for Broadcast
where
    C::Record: Record,
{
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        for lane in 0..self.outlets.lanes.len() {
            let appended = C::append_unkeyed(&item, at, &mut self.outlets.lanes[lane]);
            self.outlets.appended(appended);
        }
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self
    }
}

impl Tail for Broadcast {
    exchange_control!();
}

/// An exchange that gives every record to the first lane: without keys to the same shard, where a new chain begins, or to the first shard
/// (Flink's `global`).
pub(crate) struct Forward {
    outlets: Outlets,
}

impl Forward {
    pub(crate) fn new(outlets: Outlets) -> Self {
        Forward { outlets }
    }

    fn opened(&mut self, context: &OpenContext) {
        self.outlets.open(context);
    }
}

impl<C: Chain> Push<C> for Forward
where
    C::Record: Record,
{
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        let appended = C::append_unkeyed(&item, at, self.outlets.lane());
        self.outlets.appended(appended);
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self
    }
}

impl Tail for Forward {
    exchange_control!();
}

/// Whether a restored record of a channel belongs to an instance of its consumer, where they are others than before, of which there were
/// `before`. `hash` is the record's. All are numbers of instances.
pub(crate) fn belongs(
    partitioner: Partitioner,
    (from, to): (ShardId, ShardId),
    hash: impl FnOnce() -> KeyHash,
    before: u16,
    (shard, shards): (ShardId, u16),
) -> bool {
    match partitioner {
        Partitioner::Hash => hash().shard(shards) == shard,
        Partitioner::Global => shard == ShardId(0),
        // A copy of what is broadcast goes with its own records: see `Opening::copied_table`.
        Partitioner::Broadcast => to.0 == shard.0 % before,
        // Dealt by the old channel, so that order within it is kept.
        Partitioner::Rebalance
        | Partitioner::Rescale
        | Partitioner::Shuffle
        | Partitioner::Custom
        | Partitioner::Forward => (from.0.wrapping_add(to.0)) % shards == shard.0,
    }
}

//! Operators: what happens to records.
//!
//! Inside a chain the operators are generic and inline into one loop, in push form: each knows its downstream as a type
//! parameter. A chain has three parts:
//!
//! ```text
//! head                        middle                          tail
//! a source, or an operator    map, filter, flat_map, ...      an exchange or a sink
//! fed by an exchange          (fused, stateless)
//! ```
//!
//! At its two ends types are erased: a shard sees a segment, and makes one virtual call per step and batch, none per record.

pub(crate) mod absent;
pub(crate) mod assign;
pub mod async_io;
pub(crate) mod buckets;
pub(crate) mod exchange;
pub(crate) mod failure;
pub(crate) mod filter;
pub(crate) mod flat_map;
pub(crate) mod floors;
pub(crate) mod fold;
pub(crate) mod fork;
pub(crate) mod inputs;
pub(crate) mod inspect;
pub(crate) mod iterate;
pub(crate) mod join;
pub(crate) mod keyed;
pub(crate) mod keyed_state;
pub(crate) mod map;
pub(crate) mod owned;
pub mod process;
pub(crate) mod progress;
pub(crate) mod segment;
pub(crate) mod side;
pub(crate) mod sink;
pub(crate) mod source;
pub(crate) mod store;
pub(crate) mod suspects;
pub(crate) mod tables;
#[cfg(test)]
mod tests;
pub(crate) mod typed;
pub(crate) mod value;
pub(crate) mod views;
pub(crate) mod window;

pub use buckets::{Elements, PerKey, PerWindow, ProcessWindow, ProcessWindowContext, WindowStates};
pub use exchange::{KeyChanged, PartitionOutOfRange};
pub use failure::{Cause, Failure};
pub use flat_map::Out;
pub use join::{JoinContext, JoinFunction, ProcessJoin};
pub use process::{
    AggregatingAt, AggregatingState, BroadcastContext, BroadcastMap, BroadcastMaps, BroadcastProcess,
    BroadcastReadContext, CheckpointedProcess, CoProcess, KeyedBroadcastProcess, KeyedCoProcess,
    KeyedContext, KeyedProcess, ListAt, ListState, MapAt, MapKey, MapState, NamedTimer, OperatorState,
    OperatorStates, Process, ProcessContext, Redistribution, ReducingAt, ReducingState, StateBudget, States,
    StatesWith, Timer, Ttl, ValueState,
};
pub use side::Tag;
pub use value::Value;
pub use window::finish::{DropLate, OnLate};
pub use window::rule::{Addend, Merge};

use crate::channel::{ChannelError, Outlet};
use crate::element::{KeyHash, Timestamp};
use crate::graph::Lanes;
use crate::key::Key;
use crate::record::Record;
use segment::{Segment, Tail};

/// The type-level description of a chain so far: what its records look like, and how to build the loop that makes them.
///
/// Users meet it only as the second parameter of a [`Stream`](crate::stream::Stream).
pub trait Chain: Sized + 'static {
    /// The owned type that a record of this chain is, or that its view stands for.
    type Record: 'static;
    /// What travels through the loop.
    type Item<'a>;
    /// What a closure that consumes a record is given: `T` before an exchange, `&View<T>` after one.
    type Arg<'a>;
    /// What a closure that looks at a record is given by reference: `T` before an exchange, `View<T>` after one.
    type Ref: ?Sized + 'static;

    /// The item as its consumer gets it.
    fn arg<'a>(item: Self::Item<'a>) -> Self::Arg<'a>;

    /// The item as its observer sees it.
    fn by_ref<'b>(item: &'b Self::Item<'_>) -> &'b Self::Ref;

    /// The item as a value of its own.
    fn owned(item: Self::Item<'_>) -> Self::Record;

    /// Archives the item into an exchange by key.
    fn append<K: Key + ?Sized>(
        item: &Self::Item<'_>,
        at: Timestamp,
        hash: KeyHash,
        key: &K,
        outlet: &mut Outlet,
    ) -> Result<(), ChannelError>
    where
        Self::Record: Record;

    /// Archives the item into an exchange without keys.
    fn append_unkeyed(item: &Self::Item<'_>, at: Timestamp, outlet: &mut Outlet) -> Result<(), ChannelError>
    where
        Self::Record: Record;

    /// Builds the loop, given what follows.
    fn drive<P: Push<Self>>(self, lanes: &mut dyn Lanes, push: P) -> Driven;
}

/// A chain, built; or why its lanes could not be opened.
pub type Driven = Result<Box<dyn Segment>, ChannelError>;

/// The rest of a chain, as the operator before it sees it.
pub trait Push<C: Chain>: 'static {
    /// Takes one record. Never fails as a return value: a failure unwinds to the shard's edge (see the module `failure`).
    fn push(&mut self, item: C::Item<'_>, at: Timestamp);

    /// The chain's last part, which takes what is not a record.
    fn tail(&mut self) -> &mut dyn Tail;
}

/// The parts of [`Chain`] that are the same for every chain whose records are owned values of type `$record`.
macro_rules! owned_items {
    ($record:ty) => {
        type Record = $record;
        type Item<'a> = $record;
        type Arg<'a> = $record;
        type Ref = $record;

        #[inline(always)]
        fn arg<'a>(item: Self::Item<'a>) -> Self::Arg<'a> {
            item
        }
        #[inline(always)]
        fn by_ref(item: &$record) -> &$record {
            item
        }
        #[inline(always)]
        fn owned(item: $record) -> $record {
            item
        }
        #[inline(always)]
        fn append<ByKey: $crate::key::Key + ?Sized>(
            item: &$record,
            at: $crate::element::Timestamp,
            hash: $crate::element::KeyHash,
            key: &ByKey,
            outlet: &mut $crate::channel::Outlet,
        ) -> Result<(), $crate::channel::ChannelError>
        where
            $record: $crate::record::Record,
        {
            outlet.push(at, hash, key, item)
        }
        #[inline(always)]
        fn append_unkeyed(
            item: &$record,
            at: $crate::element::Timestamp,
            outlet: &mut $crate::channel::Outlet,
        ) -> Result<(), $crate::channel::ChannelError>
        where
            $record: $crate::record::Record,
        {
            outlet.push_unkeyed(at, item)
        }
    };
}
pub(crate) use owned_items;

/// The number of an operator in its job's graph: its name and place are found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(pub u16);

//! What a program says: streams, and what is done with their records. Small files by theme.
//!
//! A [`Stream<T, C>`] carries records that are, or stand for, values of type `T`. Its second parameter describes the chain built so
//! far and is always inferred. Closures need no annotations:
//!
//! ```
//! # use millstream_engine::prelude::*;
//! # fn program(flow: &Flow, lines: impl Source<Item = String>) {
//! flow.source("lines", lines)
//!     .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
//!     .key_by_ref(|word| word.as_str())
//!     .count()
//!     .filter(|(_, count)| *count > 1)
//!     .discard();
//! # }
//! ```

mod all_joins;
mod as_of_joins;
mod async_waits;
mod broadcasts;
mod connects;
mod count_windows;
mod dedups;
mod embeds;
mod ends;
mod exchanges;
mod folds;
mod interval_joins;
mod iterations;
mod lookup_joins;
mod partitioners;
mod process;
mod sides;
mod sources;
mod splits;
mod stateless;
mod top_n;
mod unions;
mod values;
mod window_all;
mod window_joins;
mod window_kinds;
mod windows;
mod windows_note;

pub use all_joins::{AllJoinOf, AllJoined, Others};
pub use as_of_joins::{AsOfJoinOf, AsOfJoined};
pub use async_waits::{AsyncCalls, AsyncWaitOf};
pub use broadcasts::{BroadcastStream, ConnectedBroadcast};
pub use connects::{Both, Connected, ConnectedKeyed};
pub use dedups::{Dedup, Deduped, Keep};
pub use exchanges::Keyed;
pub use folds::Sum;
pub use interval_joins::{IntervalJoinOf, IntervalJoined};
pub use lookup_joins::LookupJoined;
pub use sources::{Assigned, Ingestion, Marked, SourceStream, Untimed};
pub use splits::{Counted, KeyPartial, PartsTogether, SplitKeyed, SplitResults, SplitWindowed};
pub use top_n::{InOrder, Top};
pub use window_joins::{CoGroup, WindowJoin, WindowJoined};
pub use window_kinds::{AssignsTo, Buckets, BucketsOf, Evicted, WindowKind, WindowPlan};
pub use windows::Windowed;

use std::marker::PhantomData;
use std::panic::Location;

use crate::channel::ChannelError;
use crate::graph::{ChainNode, ExchangeId, Flow, Lanes};
use crate::operator::side::Sides;
use crate::operator::{Chain, Driven, OpId, Push};

/// A stream of records of type `T`. `C` is the chain that gives them, always inferred.
#[must_use = "a stream that leads nowhere does nothing: end it with .sink(..), .print() or .discard()"]
pub struct Stream<T, C> {
    pub(crate) chain: C,
    pub(crate) path: Path,
    pub(crate) record: PhantomData<fn() -> T>,
}

/// Where a stream is in the graph.
pub(crate) struct Path {
    pub(crate) flow: Flow,
    /// The operators of the chain so far.
    pub(crate) ops: Vec<OpId>,
    /// Whether records have event time.
    pub(crate) timed: bool,
    /// What its operators give out beside.
    pub(crate) sides: Sides,
}

impl Path {
    /// The path of a chain that is about to begin.
    pub(crate) fn new(flow: Flow, timed: bool) -> Path {
        Path { flow, ops: Vec::new(), timed, sides: Sides::default() }
    }

    /// The last operator.
    pub(crate) fn last(&self) -> OpId {
        *self.ops.last().expect("a chain begins with an operator")
    }

    /// Adds an operator at the end of the chain.
    pub(crate) fn add(
        &mut self,
        kind: &'static str,
        stateful: bool,
        built_at: &'static Location<'static>,
    ) -> OpId {
        let op = self.flow.graph.borrow_mut().add(kind, stateful, built_at);
        self.ops.push(op);
        op
    }

    /// Ends the chain. `push` makes its last part when the shard's resources are there.
    pub(crate) fn end<C: Chain, P: Push<C>>(
        self,
        chain: C,
        output: Option<ExchangeId>,
        push: impl FnOnce(&mut dyn Lanes) -> Result<P, ChannelError> + 'static,
    ) {
        let Path { flow, ops, sides, .. } = self;
        let node = ChainNode::new(ops, output, sides.exchanges());
        let make = Box::new(move |lanes: &mut dyn Lanes| -> Driven {
            let push = push(lanes)?;
            let segment = chain.drive(lanes, push)?;
            sides.beside(segment, lanes)
        });
        flow.graph.borrow_mut().chain(node, make);
    }
}

impl<T, C> Stream<T, C> {
    /// Adds what a reader of the plan should know of the operator before.
    pub(crate) fn noting(self, note: String) -> Self {
        self.path.flow.graph.borrow_mut().note(self.path.last(), note);
        self
    }
}

impl<T, C> Stream<T, C> {
    /// Runs the operator before, and with it its whole chain, on the first so many shards of the job, or of its
    /// [group](Stream::shard_group), instead of on all (Flink's `setParallelism`). Two numbers in one chain, and chains on other shards where
    /// records stay on theirs, are mistakes that show when the job is built: an exchange such as [`Stream::rebalance`] has to be in between.
    #[track_caller]
    pub fn parallelism(self, shards: u16) -> Self {
        let asked = Some((shards, Location::caller()));
        self.path.flow.graph.borrow_mut().wish(self.path.last()).parallelism = asked;
        self
    }

    /// Runs the operator before, and with it its whole chain, on the shards of a group of the job (Flink's `slotSharingGroup`); see
    /// [`Job::shard_group`](crate::job::Job::shard_group). Chains that are fed by this group alone are in it, too, unless they say otherwise.
    #[track_caller]
    pub fn shard_group(self, group: impl Into<String>) -> Self {
        let asked = Some((group.into(), Location::caller()));
        self.path.flow.graph.borrow_mut().wish(self.path.last()).group = asked;
        self
    }

    /// Names the operator before: the name shows in errors, metrics and plans, and is the identity of its state in checkpoints.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.path.flow.graph.borrow_mut().rename(self.path.last(), name.into());
        self
    }
}

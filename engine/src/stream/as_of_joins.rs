//! Joins of keyed streams with the versions of another one.

use std::marker::PhantomData;
use std::panic::Location;

use super::exchanges::begin;
use super::{Keyed, Stream};
use crate::key::Key;
use crate::operator::ProcessJoin;
use crate::operator::join::{AsOfJoin, InnerJoin, JoinFunction, LeftJoin, Processed};
use crate::operator::keyed::FromExchange;
use crate::operator::side::Tag;
use crate::operator::window::finish::{DropLate, LateTo, OnLate};
use crate::record::Record;
use crate::time::Span;

/// A keyed stream, whose records meet the newest version of their key at their event time: what [`Keyed::as_of_join`] gives. `L` and `M` take
/// what comes too late of either stream.
#[must_use = "a join without a function does nothing"]
pub struct AsOfJoined<A, B, K: ?Sized, L = DropLate, M = DropLate> {
    first: Keyed<A, K>,
    second: Keyed<B, K>,
    within: Option<Span>,
    late: (L, M),
    types: PhantomData<fn() -> (A, B)>,
}

/// The chain after a join with versions.
pub type AsOfJoinOf<A, B, K, F, L, M> = FromExchange<AsOfJoin<A, B, K, F, L, M>>;

impl<A: Record, K: Key + ?Sized> Keyed<A, K> {
    /// Brings every record together with the newest version of its key that is not newer than itself, by event time: an order with the price at
    /// its time, a payment in the currency rate of its second. This is the `ASOF JOIN` of time series databases, and Flink's event-time
    /// temporal join (<https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/joins/#temporal-joins>).
    ///
    /// A record is given out when event time has come to its own, so that no older version can come any more; the results of a key come in the
    /// order of their event times. Of versions with one event time, the last one to come counts, and it counts for records of that very time.
    ///
    /// Of every key the version in force is kept, for good unless [`within`](AsOfJoined::within) says how long. A record that comes when its
    /// time is over is late. A version that comes late is in force from then on, if it is newer than the one that is; otherwise it is late.
    pub fn as_of_join<B: Record>(self, versions: Keyed<B, K>) -> AsOfJoined<A, B, K> {
        AsOfJoined {
            first: self,
            second: versions,
            within: None,
            late: (DropLate, DropLate),
            types: PhantomData,
        }
    }
}

impl<A: Record, B: Record, K: Key + ?Sized, L, M> AsOfJoined<A, B, K, L, M> {
    /// How much older than a record a version may be. An older one is as good as none, and is forgotten.
    pub fn within(mut self, age: impl Into<Span>) -> Self {
        self.within = Some(age.into());
        self
    }

    /// Gives what comes too late out beside: records under one tag, versions under the other.
    pub fn late_to(self, first: &Tag<A>, second: &Tag<B>) -> AsOfJoined<A, B, K, LateTo<A>, LateTo<B>> {
        let late = (LateTo(first.clone()), LateTo(second.clone()));
        let AsOfJoined { first, second, within, types, .. } = self;
        AsOfJoined { first, second, within, late, types }
    }
}

impl<A, B, K, L, M> AsOfJoined<A, B, K, L, M>
where
    A: Record,
    B: Record,
    K: Key + ?Sized,
    L: OnLate<A>,
    M: OnLate<B>,
{
    /// Makes something of every record that there is a version for, and the version.
    #[track_caller]
    pub fn join<U, F>(self, f: F) -> Stream<U, AsOfJoinOf<A, B, K, InnerJoin<F>, L, M>>
    where
        U: 'static,
        F: FnMut(&A, &B) -> U + 'static,
    {
        self.run(Location::caller(), InnerJoin(f))
    }

    /// Makes something of every record, and the version, where there is one.
    #[track_caller]
    pub fn left_join<U, F>(self, f: F) -> Stream<U, AsOfJoinOf<A, B, K, LeftJoin<F>, L, M>>
    where
        U: 'static,
        F: FnMut(&A, Option<&B>) -> U + 'static,
    {
        self.run(Location::caller(), LeftJoin(f))
    }

    /// Gives every record that there is a version for to a function, with the version and the times of both.
    #[track_caller]
    pub fn process<F: ProcessJoin<A, B, K>>(
        self,
        function: F,
    ) -> Stream<F::Out, AsOfJoinOf<A, B, K, Processed<F>, L, M>> {
        self.run(Location::caller(), Processed(function))
    }

    fn run<F: JoinFunction<A, B, K>>(
        self,
        built_at: &'static Location<'static>,
        function: F,
    ) -> Stream<F::Out, AsOfJoinOf<A, B, K, F, L, M>> {
        let AsOfJoined { first, second, within, late, .. } = self;
        let (flow, timed) = (first.flow.clone(), first.timed && second.timed);
        begin(vec![first.input(), second.input()], "as_of_join", true, built_at, move |op| {
            let mut graph = flow.graph.borrow_mut();
            if !timed {
                graph.no_event_time(op);
            }
            let within =
                within.map_or(i64::MAX, |within| graph.in_ticks(op, "greatest age of a version", within));
            if within < 0 {
                graph.bad_setting(
                    op,
                    format!(
                        "the greatest age of a version is negative ({within} ticks): none would ever count"
                    ),
                );
            }
            AsOfJoin::new(op, within, function, late)
        })
    }
}

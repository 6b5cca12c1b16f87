//! Joins of three keyed streams or four.

use std::marker::PhantomData;
use std::panic::Location;

use super::exchanges::{Input, begin};
use super::{Keyed, Stream};
use crate::graph::Flow;
use crate::key::Key;
use crate::operator::join::{AllFunction, AllJoin, Complete, LateOfAll, Partial, Streams};
use crate::operator::keyed::FromExchange;
use crate::operator::side::Tag;
use crate::operator::window::finish::{DropLate, LateTo, OnLate};
use crate::record::Record;
use crate::time::Span;

/// Keyed streams whose records make rows, one of each: what [`Keyed::join_all`] gives. `S` are the types of their records, `L` takes late
/// ones.
#[must_use = "a join without a function does nothing"]
pub struct AllJoined<S, K: ?Sized, L> {
    flow: Flow,
    inputs: Vec<Input>,
    within: Span,
    late: L,
    types: PhantomData<fn() -> (S, Box<K>)>,
}

/// The chain after a join of several streams.
pub type AllJoinOf<S, K, F, L> = FromExchange<AllJoin<S, K, F, L>>;

/// The streams that a stream of `A`s is joined with: a tuple of [`Keyed`] streams.
pub trait Others<A, K: Key + ?Sized> {
    /// The types of all records.
    type Records: Streams<K>;
    /// Takes no late records.
    type DropLate: LateOfAll<Self::Records, K> + Default;

    #[doc(hidden)]
    fn inputs(self) -> Vec<Input>;
}

impl<A: Record, K: Key + ?Sized> Keyed<A, K> {
    /// Joins the records of this stream with those of two or three others that have the same key: `.join_all((payments, shipments), span)`. Any
    /// records, one of each stream, whose event times are at most `within` apart make a row; both ends are included.
    ///
    /// It is one operator, that keeps every record once: Flink has to nest joins of two streams for it. Records of one stream may meet any
    /// number of the others. A record that comes when event time has passed it is late.
    pub fn join_all<O: Others<A, K>>(
        self,
        others: O,
        within: impl Into<Span>,
    ) -> AllJoined<O::Records, K, O::DropLate> {
        let flow = self.flow.clone();
        let mut inputs = vec![self.input()];
        inputs.extend(others.inputs());
        AllJoined { flow, inputs, within: within.into(), late: O::DropLate::default(), types: PhantomData }
    }
}

impl<S: Streams<K>, K: Key + ?Sized, L: LateOfAll<S, K>> AllJoined<S, K, L> {
    fn run<F: AllFunction<S, K>>(
        self,
        built_at: &'static Location<'static>,
        function: F,
    ) -> Stream<F::Out, AllJoinOf<S, K, F, L>> {
        let AllJoined { flow, inputs, within, late, .. } = self;
        let timed = inputs.iter().all(|input| input.timed);
        begin(inputs, "join_all", true, built_at, move |op| {
            let mut graph = flow.graph.borrow_mut();
            if !timed {
                graph.no_event_time(op);
            }
            let within = graph.in_ticks(op, "span of a row", within);
            if within < 0 {
                let what =
                    format!("the span of a row is negative ({within} ticks): no records would ever meet");
                graph.bad_setting(op, what);
            }
            AllJoin::new(op, within, function, late)
        })
    }
}

macro_rules! joins_all {
    ($first:ident $first_late:ident, $($number:tt $record:ident $late:ident),+) => {
        impl<K: Key + ?Sized, $first: Record, $($record: Record),+> Others<$first, K>
            for ($(Keyed<$record, K>,)+)
        {
            type Records = ($first, $($record,)+);
            type DropLate = joins_all!(@drop $first $($record)+);

            fn inputs(self) -> Vec<Input> {
                vec![$(self.$number.input()),+]
            }
        }

        impl<K, $first, $($record,)+ $first_late, $($late),+>
            AllJoined<($first, $($record,)+), K, ($first_late, $($late,)+)>
        where
            K: Key + ?Sized,
            $first: Record,
            $first_late: OnLate<$first>,
            $($record: Record, $late: OnLate<$record>,)+
        {
            /// Gives records that come too late out beside, each stream's under a tag of its own.
            #[allow(clippy::type_complexity)]
            pub fn late_to(
                self,
                tags: (&Tag<$first>, $(&Tag<$record>,)+),
            ) -> AllJoined<($first, $($record,)+), K, (LateTo<$first>, $(LateTo<$record>,)+)> {
                let AllJoined { flow, inputs, within, types, .. } = self;
                #[allow(non_snake_case)]
                let ($first, $($record,)+) = tags;
                let late = (LateTo($first.clone()), $(LateTo($record.clone()),)+);
                AllJoined { flow, inputs, within, late, types }
            }

            /// Makes something of each complete row. It has the event time of its last record.
            #[track_caller]
            pub fn join<U, F>(
                self,
                f: F,
            ) -> Stream<U, AllJoinOf<($first, $($record,)+), K, Complete<F>, ($first_late, $($late,)+)>>
            where
                U: 'static,
                F: FnMut(&$first, $(&$record),+) -> U + 'static,
            {
                self.run(Location::caller(), Complete(f))
            }

            /// As [`join`](AllJoined::join), with incomplete rows as well: a record that is part of no row begins one when event time has
            /// passed its last possible partner, with whatever came at most so much later. Event time behind the join is held back by the
            /// span.
            #[track_caller]
            pub fn outer_join<U, F>(
                self,
                f: F,
            ) -> Stream<U, AllJoinOf<($first, $($record,)+), K, Partial<F>, ($first_late, $($late,)+)>>
            where
                U: 'static,
                F: FnMut(Option<&$first>, $(Option<&$record>),+) -> U + 'static,
            {
                self.run(Location::caller(), Partial(f))
            }
        }
    };
    (@drop $($record:ident)+) => { ($(joins_all!(@one $record),)+) };
    (@one $record:ident) => { DropLate };
}

joins_all!(A L, 0 B M, 1 C N);
joins_all!(A L, 0 B M, 1 C N, 2 D O);

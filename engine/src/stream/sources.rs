//! How a stream begins.

use std::marker::PhantomData;
use std::panic::Location;

use super::{Path, Stream};
use crate::element::Timestamp;
use crate::graph::{Flow, Role};
use crate::operator::OpId;
use crate::operator::assign::Assign;
use crate::operator::source::FromSource;
use crate::source::Source;
use crate::time::{Watermarks, WatermarksError};

pub use crate::operator::assign::{Assigned, Ingestion, Marked, Untimed};

/// A stream that is a source and nothing else yet: the place to say where event time comes from.
pub type SourceStream<S> = Stream<<S as Source>::Item, FromSource<S, Untimed>>;

impl Flow {
    /// Begins a stream with a source. The name is the identity of its offsets in checkpoints.
    #[track_caller]
    pub fn source<S: Source>(&self, name: impl Into<String>, source: S) -> SourceStream<S> {
        let mut path = Path::new(self.clone(), false);
        let op = path.add("source", true, Location::caller());
        let mut graph = self.graph.borrow_mut();
        graph.rename(op, name.into());
        graph.set_role(op, Role::Source(source.replay()));
        if !source.bounded() {
            graph.set_endless(op);
        }
        if graph.explains() {
            graph.set_partitions(op, source.partitions());
        }
        drop(graph);
        Stream { chain: FromSource::new(source, op), path, record: PhantomData }
    }
}

impl<S: Source> SourceStream<S> {
    /// Says where event time comes from: a timestamp for each record (in [ticks](crate::job::Job::tick) of the job), and the watermarks
    /// that follow from them, per partition. A record without a timestamp ([`Timestamp::MIN`]) fails the job.
    pub fn event_time<A, F>(
        self,
        watermarks: Watermarks,
        timestamp: F,
    ) -> Stream<S::Item, FromSource<S, Assigned<F, A>>>
    where
        A: Into<Timestamp> + 'static,
        F: Fn(&S::Item) -> A + 'static,
    {
        self.timed(watermarks, Assigned::new(timestamp))
    }

    /// Takes the timestamps that the source itself gives its records, and the watermarks that follow from them, per partition. A record
    /// without a timestamp ([`Timestamp::MIN`]) fails the job.
    pub fn source_time(self, watermarks: Watermarks) -> SourceStream<S> {
        self.timed(watermarks, Untimed)
    }

    /// Takes the processing time at which a record is taken from the source for its event time (Flink's ingestion time). Event time
    /// goes on with the clock, whether records come or not, and no record is late. After a restart, records that were not in a checkpoint
    /// get other timestamps.
    pub fn ingestion_time(self) -> Stream<S::Item, FromSource<S, Ingestion>> {
        self.timed(Watermarks::ingestion(), Ingestion::new())
    }

    fn timed<A>(mut self, watermarks: Watermarks, assign: A) -> Stream<S::Item, FromSource<S, A>> {
        self.path.timed = true;
        let op = self.path.last();
        let plan = watermarks.plan(self.path.flow.tick());
        let plan = plan.unwrap_or_else(|error| {
            self.path.refuse(op, &error);
            Default::default()
        });
        Stream { chain: self.chain.timed(plan, assign), path: self.path, record: PhantomData }
    }
}

impl<S: Source, A: Assign<S::Item>> Stream<S::Item, FromSource<S, A>> {
    /// Lets watermarks out right after the records that a closure picks, and nowhere else (Flink's punctuated generation): the watermark
    /// that the generator has come to by then.
    ///
    /// ```
    /// # use millstream_engine::prelude::*;
    /// # fn program(flow: &Flow, readings: impl Source<Item = (i64, bool)>) {
    /// flow.source("readings", readings)
    ///     .event_time(Watermarks::monotonous(), |(at, _)| *at)
    ///     .punctuated(|(_, end_of_round)| *end_of_round)
    /// #   .discard();
    /// # }
    /// ```
    pub fn punctuated<M: Fn(&S::Item) -> bool + 'static>(
        self,
        marks: M,
    ) -> Stream<S::Item, FromSource<S, Marked<A, M>>> {
        let op = self.path.last();
        let (chain, result) = self.chain.marked(|assign| Marked::new(assign, marks));
        if let Err(error) = result {
            self.path.refuse(op, &error);
        }
        Stream { chain, path: self.path, record: PhantomData }
    }
}

impl Path {
    /// Notes that the watermarks of a source make no sense.
    fn refuse(&self, op: OpId, error: &WatermarksError) {
        self.flow.graph.borrow_mut().bad_setting(op, error.to_string());
    }
}

//! How a stream begins.

use std::marker::PhantomData;
use std::panic::Location;

use super::{Path, Stream};
use crate::element::Timestamp;
use crate::graph::{Flow, Role};
use crate::operator::source::FromSource;
use crate::source::Source;
use crate::time::{Tick, Watermarks};

pub use crate::operator::source::{Assigned, Untimed};

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
        drop(graph);
        Stream { chain: FromSource::new(source, op), path, record: PhantomData }
    }
}

impl<S: Source> SourceStream<S> {
    /// Says where event time comes from: a timestamp for each record (in ticks of a millisecond), and the watermarks that follow
    /// from them, per partition.
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

    /// Takes the timestamps that the source itself gives its records, and the watermarks that follow from them, per partition.
    pub fn source_time(self, watermarks: Watermarks) -> SourceStream<S> {
        self.timed(watermarks, Untimed)
    }

    fn timed<A>(mut self, watermarks: Watermarks, assign: A) -> Stream<S::Item, FromSource<S, A>> {
        self.path.timed = true;
        let op = self.path.last();
        let chain = match watermarks.plan(Tick::Millisecond) {
            Ok(plan) => self.chain.timed(plan, assign),
            Err(error) => {
                self.path.flow.graph.borrow_mut().bad_setting(op, error.to_string());
                self.chain.timed(Default::default(), assign)
            }
        };
        Stream { chain, path: self.path, record: PhantomData }
    }
}

//! Where a program under test is built.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::Deref;
use std::panic::Location;

use super::feed::Feed;
use super::output::OutputTail;
use super::ports::{Fed, Kept, Ports};
use crate::graph::{Flow, Role};
use crate::operator::{Chain, Tag};
use crate::record::Record;
use crate::sink::Delivery;
use crate::stream::{SourceStream, Stream};
use crate::time::Watermarks;

/// An input of a program under test: a stream of what the test pushes. Its event time is given by hand; a program that says
/// [`event_time`](Stream::event_time) or [`ingestion_time`](Stream::ingestion_time) gets its own.
pub type Input<T> = SourceStream<Feed<T>>;

/// A [`Flow`] with inputs that the test feeds and outputs that it reads. It can be given to any function that takes a `&Flow`.
pub struct TestFlow {
    flow: Flow,
    ports: Ports,
    outputs: RefCell<BTreeSet<String>>,
}

impl TestFlow {
    pub(super) fn new(flow: &Flow, ports: &Ports) -> Self {
        TestFlow { flow: flow.clone(), ports: ports.clone(), outputs: RefCell::default() }
    }

    /// An input of this name: a stream of what [`Harness::push_to`](super::Harness::push_to) pushes.
    #[track_caller]
    pub fn input<T: Record>(&self, name: impl Into<String>) -> Input<T> {
        let name = name.into();
        self.ports.lock().inputs.entry(name.clone()).or_insert_with(Fed::new::<T>);
        let feed = Feed::new(self.ports.clone(), name.clone());
        self.flow.source(name, feed).source_time(Watermarks::from_source())
    }

    /// Ends a stream in an output of this name, which [`Harness::outputs_of`](super::Harness::outputs_of) reads. After an exchange too it gets values, not
    /// views.
    #[track_caller]
    pub fn output<U, C>(&self, name: impl Into<String>, stream: Stream<U, C>)
    where
        U: Debug + Send + 'static,
        C: Chain<Record = U>,
    {
        let name = name.into();
        self.ports.lock().outputs.entry(name.clone()).or_insert_with(Kept::new::<U>);
        let Stream { chain, mut path, .. } = stream;
        let op = path.add("output", false, Location::caller());
        let mut graph = path.flow.graph.borrow_mut();
        graph.rename(op, name.clone());
        graph.set_role(op, Role::Sink(Delivery::Plain));
        if !self.outputs.borrow_mut().insert(name.clone()) {
            graph.bad_setting(op, "there is an output of this name already; give it another".to_owned());
        }
        drop(graph);
        let ports = self.ports.clone();
        path.end(chain, None, move |_| Ok(OutputTail::<C>::new(ports, name, op)));
    }
}

impl TestFlow {
    /// Reads what the operator at the head of a stream gives out under a tag, into an output of the tag's name:
    /// [`Harness::side_outputs`](super::Harness::side_outputs) takes it from there.
    #[track_caller]
    pub fn side_output<T, U, C>(&self, tag: &Tag<U>, stream: &Stream<T, C>)
    where
        T: 'static,
        U: Record + Debug + Send,
        C: Chain<Record = T>,
    {
        self.output(tag.slot.name.clone(), stream.side_output(tag));
    }
}

impl Deref for TestFlow {
    type Target = Flow;

    fn deref(&self) -> &Flow {
        &self.flow
    }
}

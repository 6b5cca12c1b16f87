//! How a stream begins and ends in the host program.

use std::marker::PhantomData;
use std::panic::Location;

use super::{SourceStream, Stream};
use crate::embed::{AskSource, IngressSource, Reply};
use crate::graph::{EndUse, Flow};
use crate::operator::Chain;
use crate::operator::owned::Owned;
use crate::record::{Field, Record};
use crate::sink::Durable;

impl Flow {
    /// Begins a stream with the records that the host program sends by an [`Ingress`](crate::embed::Ingress) of this name and type. The name
    /// is the identity of its offsets in checkpoints, as with any other source.
    #[track_caller]
    pub fn ingress<T: Record + Send>(&self, name: &str) -> SourceStream<IngressSource<T>> {
        let (source, error) = self.endpoints.ingress_source(name);
        self.graph.borrow_mut().use_end(name, EndUse::Read, error, Location::caller());
        self.source(name, source)
    }

    /// Begins a stream with the requests that the host program makes by an [`Ask`](crate::embed::Ask) of this name and these types. Each
    /// comes with the number of its call, which goes back with the reply:
    ///
    /// ```
    /// # use millstream_engine::prelude::*;
    /// # fn program(flow: &Flow) {
    /// flow.ask::<u64, u64>("squares").map(|asked| asked.reply(asked.request * asked.request)).reply("squares");
    /// # }
    /// ```
    #[track_caller]
    pub fn ask<Q: Field + Send, R: Field + Send>(&self, name: &str) -> SourceStream<AskSource<Q, R>> {
        let (source, error) = self.endpoints.ask_source(name);
        self.graph.borrow_mut().use_end(name, EndUse::Read, error, Location::caller());
        self.source(name, source)
    }
}

impl<T: 'static, C: Chain<Record = T>> Stream<T, C> {
    /// The same records, as values of their own.
    fn into_owned(self) -> Stream<T, Owned<C>> {
        Stream { chain: Owned::new(self.chain), path: self.path, record: PhantomData }
    }
}

impl<T: Record + Clone + Send, C: Chain<Record = T>> Stream<T, C> {
    /// Ends the stream in the host program, at the [`Egress`](crate::embed::Egress) of this name and type.
    #[track_caller]
    pub fn egress(self, name: &str) {
        let flow = self.path.flow.clone();
        let (sink, durable, error) = flow.endpoints.egress_sink::<T>(name);
        flow.graph.borrow_mut().use_end(name, EndUse::Write, error, Location::caller());
        match durable {
            true => self.into_owned().sink(name, Durable::of(sink)),
            false => self.into_owned().sink(name, sink),
        }
    }
}

impl<R: Field + Clone + Send, C: Chain<Record = Reply<R>>> Stream<Reply<R>, C> {
    /// Ends the stream of replies: each goes to whoever made the call that it is of, by the [`Ask`](crate::embed::Ask) of this name.
    #[track_caller]
    pub fn reply(self, name: &str) {
        let flow = self.path.flow.clone();
        let (sink, error) = flow.endpoints.reply_sink::<R>(name);
        flow.graph.borrow_mut().use_end(name, EndUse::Write, error, Location::caller());
        self.into_owned().sink(format!("{name}-replies"), sink);
    }
}

//! More than one way out of an operator: side outputs, and forks.

use std::marker::PhantomData;
use std::panic::Location;

use super::exchanges::{Input, begin};
use super::{Path, Stream};
use crate::channel::BatchShape;
use crate::graph::{Flow, Partitioner};
use crate::operator::Chain;
use crate::operator::fork::Fork;
use crate::operator::keyed::{FromExchange, InputEnd};
use crate::operator::side::Tag;
use crate::operator::views::Views;
use crate::record::Record;

impl Flow {
    /// Makes a tag: the name and the type of a side output. Give it to the function that writes to it, and to
    /// [`Stream::side_output`]. A tag that nobody reads is pointed out when the job is built.
    #[track_caller]
    pub fn tag<T: Record>(&self, name: impl Into<String>) -> Tag<T> {
        let tag = Tag::new(name.into(), Location::caller());
        self.graph.borrow_mut().tag(tag.slot.clone());
        tag
    }
}

impl<T: 'static, C: Chain<Record = T>> Stream<T, C> {
    /// What the operator at the head of this chain gives out under a tag, beside its main output (Flink's `getSideOutput`). Records
    /// keep the event time they were given out with; watermarks follow those of the main output.
    #[track_caller]
    pub fn side_output<U: Record>(&self, tag: &Tag<U>) -> Stream<U, FromExchange<Views<U>>> {
        let head = self.path.ops[0];
        if tag.slot.of.replace(Some(head)).is_some() {
            let what = format!(
                "side output `{}` is read twice; read it once and .fork() it, or give each operator a tag of its own",
                tag.slot.name
            );
            self.path.flow.graph.borrow_mut().bad_setting(head, what);
        }
        begin(vec![beside::<U>(&self.path, tag)], "side_output", false, Location::caller(), Views::new)
    }

    /// Two streams with the same records. The second one begins a chain of its own on the same shard.
    #[track_caller]
    pub fn fork(self) -> (Stream<T, Fork<C>>, Stream<T, FromExchange<Views<T>>>)
    where
        T: Record,
    {
        let Stream { chain, mut path, .. } = self;
        path.add("fork", false, Location::caller());
        let tag = Tag::<T>::new("fork".to_owned(), Location::caller());
        tag.slot.of.set(Some(path.ops[0]));
        let input = beside::<T>(&path, &tag);
        let second = begin(vec![input], "forked", false, Location::caller(), Views::new);
        (Stream { chain: Fork::new(chain, tag.slot), path, record: PhantomData }, second)
    }
}

/// A lane beside the chain's main output.
fn beside<U: Record>(path: &Path, tag: &Tag<U>) -> Input {
    let (partitioner, shape) = (Partitioner::Forward, BatchShape::unkeyed::<U>());
    let from = path.last();
    let exchange = path.flow.graph.borrow_mut().exchange(partitioner, from);
    path.sides.add(exchange, shape, from, tag.slot.clone());
    Input {
        flow: path.flow.clone(),
        end: InputEnd { exchange, partitioner, shape, show_key: None },
        timed: path.timed,
    }
}

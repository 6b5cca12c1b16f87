//! What an operator is fed: one stream, several of one type, or two of two types.

use std::marker::PhantomData;
use std::ops::Range;

use super::typed::{BatchOf, trust};
use crate::channel::Batch;
use crate::element::Timestamp;
use crate::record::{Layout, Record};

/// The types of an operator's inputs.
///
/// Inputs are numbered. The segment asks for the batches of each by its number, and opened each with the shape of the type that this
/// trait takes it for.
pub trait Inputs: 'static {
    /// A batch of one of the inputs.
    type Batch<'a>;

    /// A stretch of a batch that came from the exchange of this input.
    fn batch(port: usize, batch: Batch<'_>, stretch: Range<usize>) -> Self::Batch<'_>;

    /// The layouts of the records of so many inputs.
    fn layouts(ports: usize) -> Vec<Layout>;
}

/// One stream.
pub struct One<T>(PhantomData<fn() -> T>);

impl<T: Record> Inputs for One<T> {
    type Batch<'a> = BatchOf<'a, T>;

    #[inline(always)]
    fn batch(_: usize, batch: Batch<'_>, stretch: Range<usize>) -> BatchOf<'_, T> {
        trust(batch, stretch)
    }

    fn layouts(_: usize) -> Vec<Layout> {
        vec![T::layout()]
    }
}

/// Any number of streams of one type: batches come with the number of their stream.
pub struct Many<T>(PhantomData<fn() -> T>);

impl<T: Record> Inputs for Many<T> {
    type Batch<'a> = (usize, BatchOf<'a, T>);

    #[inline(always)]
    fn batch(port: usize, batch: Batch<'_>, stretch: Range<usize>) -> (usize, BatchOf<'_, T>) {
        (port, trust(batch, stretch))
    }

    fn layouts(ports: usize) -> Vec<Layout> {
        vec![T::layout(); ports]
    }
}

/// Two streams of two types: the first input is of `A`s, the second of `B`s.
pub struct Two<A, B>(PhantomData<fn() -> (A, B)>);

/// A batch of one of two streams.
pub enum EitherBatch<'a, A, B> {
    /// From the first.
    First(BatchOf<'a, A>),
    /// From the second.
    Second(BatchOf<'a, B>),
}

impl<A: Record, B: Record> EitherBatch<'_, A, B> {
    /// The event times of its records.
    pub fn timestamps(&self) -> &[Timestamp] {
        match self {
            EitherBatch::First(batch) => batch.timestamps(),
            EitherBatch::Second(batch) => batch.timestamps(),
        }
    }
}

impl<A: Record, B: Record> Inputs for Two<A, B> {
    type Batch<'a> = EitherBatch<'a, A, B>;

    #[inline(always)]
    fn batch(port: usize, batch: Batch<'_>, stretch: Range<usize>) -> EitherBatch<'_, A, B> {
        match port {
            0 => EitherBatch::First(trust(batch, stretch)),
            _ => EitherBatch::Second(trust(batch, stretch)),
        }
    }

    fn layouts(_: usize) -> Vec<Layout> {
        vec![A::layout(), B::layout()]
    }
}

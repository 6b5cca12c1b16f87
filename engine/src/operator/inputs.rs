//! What an operator is fed: one stream, several of one type, or several of as many types.

use std::marker::PhantomData;
use std::ops::Range;

use super::typed::{BatchOf, trust};
use crate::channel::Batch;
use crate::element::Timestamp;
use crate::record::{Layout, Record};
use crate::savepoint::RecordType;

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

    /// The types of the records of so many inputs.
    fn types(ports: usize) -> Vec<RecordType>;
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

    fn types(_: usize) -> Vec<RecordType> {
        vec![RecordType::of::<T>()]
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

    fn types(ports: usize) -> Vec<RecordType> {
        vec![RecordType::of::<T>(); ports]
    }
}

/// Streams of so many types, of which each batch comes from one.
macro_rules! of_several {
    ($streams:ident, $batch:ident, $count:literal: $($port:pat => $stream:ident of $record:ident),+) => {
        #[doc = concat!("So many streams of as many types: ", $count, ". Each type is that of the input with its number.")]
        pub struct $streams<$($record),+>(PhantomData<fn() -> ($($record),+)>);

        #[doc = concat!("A batch of one of the streams: of ", $count, ".")]
        pub enum $batch<'a, $($record),+> {
            $(
                #[doc = concat!("From the ", stringify!($stream), " one.")]
                $stream(BatchOf<'a, $record>),
            )+
        }

        impl<$($record: Record),+> $batch<'_, $($record),+> {
            /// The event times of its records.
            pub fn timestamps(&self) -> &[Timestamp] {
                match self {
                    $($batch::$stream(batch) => batch.timestamps(),)+
                }
            }
        }

        impl<$($record: Record),+> Inputs for $streams<$($record),+> {
            type Batch<'a> = $batch<'a, $($record),+>;

            #[inline(always)]
            fn batch(port: usize, batch: Batch<'_>, stretch: Range<usize>) -> Self::Batch<'_> {
                match port {
                    $($port => $batch::$stream(trust(batch, stretch)),)+
                }
            }

            fn layouts(_: usize) -> Vec<Layout> {
                vec![$($record::layout()),+]
            }

            fn types(_: usize) -> Vec<RecordType> {
                vec![$(RecordType::of::<$record>()),+]
            }
        }
    };
}

of_several!(Two, EitherBatch, "two": 0 => First of A, _ => Second of B);
of_several!(Three, OneOfThreeBatch, "three": 0 => First of A, 1 => Second of B, _ => Third of C);
of_several!(Four, OneOfFourBatch, "four": 0 => First of A, 1 => Second of B, 2 => Third of C, _ => Fourth of D);

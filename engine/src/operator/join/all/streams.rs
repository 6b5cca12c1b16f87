//! Three streams or four, whose records are of as many types.

use super::super::grid::Grid;
use super::side::{AnySide, NAMES, Side};
use crate::arena::Arena;
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::failure::Cause;
use crate::operator::inputs::{Four, Inputs, OneOfFourBatch, OneOfThreeBatch, Three};
use crate::operator::store::Opening;
use crate::operator::window::finish::OnLate;
use crate::record::Record;
use crate::state::StateError;

/// The most streams that one join takes.
pub(super) const MOST: usize = 4;

/// A batch of one of the streams.
pub(super) type BatchOfOne<'a, S, K> = <<S as Streams<K>>::In as Inputs>::Batch<'a>;

/// For each stream, which of the records that were found there is meant.
pub type Chosen = [Option<usize>; MOST];

/// The streams of a join, as the tuple of their types of records.
pub trait Streams<K: Key + ?Sized>: 'static {
    /// The inputs of the operator.
    type In: Inputs;
    /// What is kept of each.
    type Sides: 'static;

    /// How many they are.
    const COUNT: usize;

    #[doc(hidden)]
    fn open(opening: &mut Opening<'_>, grid: Grid, notes_given: bool) -> Result<Self::Sides, Cause>;

    /// How many buckets of keys there are.
    fn buckets(sides: &Self::Sides) -> u64;

    /// What is kept of one of them.
    fn side(sides: &mut Self::Sides, number: usize) -> &mut dyn AnySide<K>;

    /// The event times of a batch.
    fn timestamps<'b>(batch: &'b <Self::In as Inputs>::Batch<'_>) -> &'b [Timestamp];

    /// The number of the stream that a batch is from, and the key of one of its records.
    fn key<'b>(batch: &<Self::In as Inputs>::Batch<'b>, index: usize) -> (usize, (KeyHash, &'b [u8]));

    #[doc(hidden)]
    fn add(
        sides: &mut Self::Sides,
        arena: &mut Arena,
        batch: &<Self::In as Inputs>::Batch<'_>,
        index: usize,
    ) -> Result<bool, StateError>;
}

/// What becomes of records that come too late, by stream.
pub trait LateOfAll<S: Streams<K>, K: Key + ?Sized>: 'static {
    /// Takes one of them.
    fn late(&mut self, op: OpId, batch: &<S::In as Inputs>::Batch<'_>, index: usize, at: Timestamp);
}

/// What is called with records that meet.
pub trait AllFunction<S: Streams<K>, K: Key + ?Sized>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Whether it wants what is not complete.
    const PARTIAL: bool;

    /// Makes something of a record of each stream, where there is one.
    fn call(&mut self, sides: &S::Sides, chosen: &Chosen) -> Option<Self::Out>;
}

/// Calls a closure with a record of each stream.
pub struct Complete<F>(pub(crate) F);

/// Calls a closure with a record of each stream, where there is one.
pub struct Partial<F>(pub(crate) F);

macro_rules! streams {
    ($streams:ident, $batch:ident, $count:literal: $($number:tt $stream:ident $record:ident $late:ident),+) => {
        impl<K: Key + ?Sized, $($record: Record),+> Streams<K> for ($($record,)+) {
            type In = $streams<$($record),+>;
            type Sides = ($(Side<K, $record>,)+);

            const COUNT: usize = $count;

            fn open(opening: &mut Opening<'_>, grid: Grid, notes_given: bool) -> Result<Self::Sides, Cause> {
                Ok(($(Side::open(opening, NAMES[$number], grid, notes_given)?,)+))
            }

            fn buckets(sides: &Self::Sides) -> u64 {
                0 $(+ sides.$number.buckets())+
            }

            fn side(sides: &mut Self::Sides, number: usize) -> &mut dyn AnySide<K> {
                match number {
                    $($number => &mut sides.$number,)+
                    _ => unreachable!("streams are numbered from 0 to {}", $count - 1),
                }
            }

            fn timestamps<'b>(batch: &'b <Self::In as Inputs>::Batch<'_>) -> &'b [Timestamp] {
                batch.timestamps()
            }

            fn key<'b>(
                batch: &<Self::In as Inputs>::Batch<'b>,
                index: usize,
            ) -> (usize, (KeyHash, &'b [u8])) {
                match batch {
                    $($batch::$stream(batch) => {
                        ($number, (batch.hashes()[index], batch.key_bytes::<K>(index)))
                    })+
                }
            }

            fn add(
                sides: &mut Self::Sides,
                arena: &mut Arena,
                batch: &<Self::In as Inputs>::Batch<'_>,
                index: usize,
            ) -> Result<bool, StateError> {
                let (_, key) = <Self as Streams<K>>::key(batch, index);
                let at = batch.timestamps()[index];
                match batch {
                    $($batch::$stream(batch) => {
                        let record = ($record::owned(batch.record(index)), batch.record_bytes(index));
                        sides.$number.add(arena, key, record, at)
                    })+
                }
            }
        }

        impl<K, $($record,)+ $($late,)+> LateOfAll<($($record,)+), K> for ($($late,)+)
        where
            K: Key + ?Sized,
            $($record: Record, $late: OnLate<$record>,)+
        {
            fn late(&mut self, op: OpId, batch: &$batch<'_, $($record),+>, index: usize, at: Timestamp) {
                match batch {
                    $($batch::$stream(batch) => self.$number.late(op, batch.record(index), at),)+
                }
            }
        }

        impl<K, $($record,)+ U, F> AllFunction<($($record,)+), K> for Complete<F>
        where
            K: Key + ?Sized,
            $($record: Record,)+
            F: FnMut($(&$record),+) -> U + 'static,
            U: 'static,
        {
            type Out = U;
            const PARTIAL: bool = false;

            fn call(&mut self, sides: &($(Side<K, $record>,)+), chosen: &Chosen) -> Option<U> {
                Some((self.0)($(sides.$number.record(chosen[$number])?),+))
            }
        }

        impl<K, $($record,)+ U, F> AllFunction<($($record,)+), K> for Partial<F>
        where
            K: Key + ?Sized,
            $($record: Record,)+
            F: FnMut($(Option<&$record>),+) -> U + 'static,
            U: 'static,
        {
            type Out = U;
            const PARTIAL: bool = true;

            fn call(&mut self, sides: &($(Side<K, $record>,)+), chosen: &Chosen) -> Option<U> {
                Some((self.0)($(sides.$number.record(chosen[$number])),+))
            }
        }
    };
}

streams!(Three, OneOfThreeBatch, 3: 0 First A L, 1 Second B M, 2 Third C N);
streams!(Four, OneOfFourBatch, 4: 0 First A L, 1 Second B M, 2 Third C N, 3 Fourth D O);

//! An accumulator on both sides of a checkpoint. Where the chains of a shard switch epoch one by one, those that have switched add to what
//! comes after the checkpoint while the others still add to what is part of it.

use super::parts::AnyAccumulator;
use super::{Accumulator, Reader, Writer};
use crate::checkpoint::codec::CodecError;

/// One shard's part of an accumulator.
#[derive(Debug, Default)]
pub(crate) struct Banks<A> {
    /// What is added to at present.
    open: A,
    /// What is not, while a checkpoint divides it.
    beside: Option<A>,
}

impl<A: Accumulator> Banks<A> {
    /// Adds a value.
    #[inline]
    pub(crate) fn add(&mut self, value: A::Value) {
        self.open.add(value);
    }

    /// All that was added.
    pub(crate) fn total(&self) -> A {
        let mut total = self.open.clone();
        self.beside.iter().for_each(|beside| total.merge(beside));
        total
    }
}

/// [`Banks`] whose type is not known.
pub(super) trait AnyBanks {
    /// What is added from now on is kept apart from what was before.
    fn split(&mut self);
    /// Adds to the other side from now on.
    fn turn(&mut self);
    /// The two sides are one again.
    fn join(&mut self);
    /// What was added, to both sides.
    fn total(&self) -> Box<dyn AnyAccumulator>;
    /// Writes the side that is added to.
    fn save(&self, out: &mut Writer);
    /// Adds what was written.
    fn merge_saved(&mut self, input: &mut Reader<'_>) -> Result<(), CodecError>;
}

impl<A: Accumulator> AnyBanks for Banks<A> {
    fn split(&mut self) {
        self.beside = Some(std::mem::take(&mut self.open));
    }

    fn turn(&mut self) {
        if let Some(beside) = &mut self.beside {
            std::mem::swap(&mut self.open, beside);
        }
    }

    fn join(&mut self) {
        if let Some(beside) = self.beside.take() {
            self.open.merge(&beside);
        }
    }

    fn total(&self) -> Box<dyn AnyAccumulator> {
        Box::new(Banks::total(self))
    }

    fn save(&self, out: &mut Writer) {
        self.open.save(out);
    }

    fn merge_saved(&mut self, input: &mut Reader<'_>) -> Result<(), CodecError> {
        self.open.merge(&A::load(input)?);
        Ok(())
    }
}

//! The accumulators of one shard, and what they add up to, without their types.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::banks::AnyBanks;
use super::{Accumulator, Banks};
use crate::checkpoint::codec::{CodecError, Reader, Writer};

/// An accumulator whose type is not known.
pub(super) trait AnyAccumulator: Send + fmt::Display + fmt::Debug {
    fn kind(&self) -> &'static str;
    fn as_any(&self) -> &dyn Any;
    fn copy(&self) -> Box<dyn AnyAccumulator>;
    /// Does nothing where the other is of another kind: the builder of the graph has refused that.
    fn merge_any(&mut self, other: &dyn AnyAccumulator);
}

impl<A: Accumulator> AnyAccumulator for A {
    fn kind(&self) -> &'static str {
        A::KIND
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn copy(&self) -> Box<dyn AnyAccumulator> {
        Box::new(self.clone())
    }

    fn merge_any(&mut self, other: &dyn AnyAccumulator) {
        if let Some(other) = other.as_any().downcast_ref::<A>() {
            self.merge(other);
        }
    }
}

/// One shard's part of an accumulator in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedPart {
    /// The accumulator.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// What it wrote.
    pub bytes: Vec<u8>,
}

struct Part {
    /// The same as `erased`, in its type.
    typed: Rc<dyn Any>,
    erased: Rc<RefCell<dyn AnyBanks>>,
    kind: &'static str,
}

/// A shard's parts of all accumulators of the job, by name.
#[derive(Default)]
pub(crate) struct Parts {
    by_name: BTreeMap<String, Part>,
    /// Which side of a checkpoint is added to, where one divides them.
    side: Option<Side>,
}

/// A side of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What is part of it.
    Before,
    /// What is not.
    After,
}

impl Parts {
    /// The part of this name; made where there is none yet.
    ///
    /// # Errors
    /// The kind of the accumulator that has the name already.
    pub(crate) fn part<A: Accumulator>(&mut self, name: &str) -> Result<Rc<RefCell<Banks<A>>>, &'static str> {
        if let Some(part) = self.by_name.get(name) {
            return part.typed.clone().downcast::<RefCell<Banks<A>>>().map_err(|_| part.kind);
        }
        let made = Rc::new(RefCell::new(Banks::<A>::default()));
        let part = Part { typed: made.clone(), erased: made.clone(), kind: A::KIND };
        self.by_name.insert(name.to_owned(), part);
        Ok(made)
    }

    /// The names and the kinds.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.by_name.iter().map(|(name, part)| (name.as_str(), part.kind))
    }

    /// From now on says which side of a checkpoint is added to; what has been added so far is before it.
    pub(crate) fn turn_to(&mut self, side: Side) {
        match self.side.replace(side) {
            Some(before) if before == side => {}
            Some(_) => self.each(|part| part.turn()),
            None => {
                // What was added is aside now, and the side after the checkpoint is open.
                self.each(|part| part.split());
                if side == Side::Before {
                    self.each(|part| part.turn());
                }
            }
        }
    }

    /// Where a checkpoint divides them, adds to what is before it.
    pub(crate) fn turn_back(&mut self) {
        if self.side.is_some() {
            self.turn_to(Side::Before);
        }
    }

    /// No checkpoint divides them any more.
    pub(crate) fn join(&mut self) {
        if self.side.take().is_some() {
            self.each(|part| part.join());
        }
    }

    fn each(&self, act: impl Fn(&mut dyn AnyBanks)) {
        self.by_name.values().for_each(|part| act(&mut *part.erased.borrow_mut()));
    }

    /// What goes into a checkpoint: where one divides them, the side that is added to.
    pub(crate) fn save(&self) -> Vec<SavedPart> {
        let save = |(name, part): (&String, &Part)| {
            let mut out = Writer::new();
            part.erased.borrow().save(&mut out);
            SavedPart { name: name.clone(), kind: part.kind.to_owned(), bytes: out.into_bytes() }
        };
        self.by_name.iter().map(save).collect()
    }

    /// Adds a part of a checkpoint. One of a name that the program does not have any more is left out.
    pub(crate) fn merge_saved(&mut self, saved: &SavedPart) -> Result<(), CodecError> {
        let Some(part) = self.by_name.get(&saved.name) else { return Ok(()) };
        let mut input = Reader::new(&saved.bytes);
        part.erased.borrow_mut().merge_saved(&mut input)?;
        input.finish()
    }

    /// What they stand at.
    pub(crate) fn totals(&self) -> Totals {
        let copy = |(name, part): (&String, &Part)| (name.clone(), part.erased.borrow().total());
        Totals(self.by_name.iter().map(copy).collect())
    }
}

/// What accumulators add up to, by name.
#[derive(Debug, Default)]
pub(crate) struct Totals(pub(super) BTreeMap<String, Box<dyn AnyAccumulator>>);

impl Totals {
    /// Adds another shard's.
    pub(crate) fn merge(&mut self, other: &Totals) {
        for (name, part) in &other.0 {
            match self.0.get_mut(name) {
                Some(mine) => mine.merge_any(&**part),
                None => {
                    self.0.insert(name.clone(), part.copy());
                }
            }
        }
    }
}

impl Clone for Totals {
    fn clone(&self) -> Self {
        let mut copy = Totals::default();
        copy.merge(self);
        copy
    }
}

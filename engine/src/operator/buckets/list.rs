//! A list per key and window: appending costs the element, whatever the length.
//!
//! Elements lie together in chunks of two kilobytes, each with its timestamp and its number: the last chunk beside the list's head, those before
//! it by themselves under (window, number of the chunk). An element that is taken out is marked; a chunk goes with the last of its elements.

use crate::arena::Arena;
use crate::element::{KeyHash, Timestamp};
use crate::key::{Key, Sub};
use crate::operator::failure::Cause;
use crate::operator::store::{Contents as Saved, Opening};
use crate::record::{Record, View};
use crate::state::{Chunk, List, Numbered, StateError, Table};
use crate::window::Timed;

use super::slot::{Slot, SlotOf};

/// A chunk of a slot's list: the slot's bytes are those of a key here.
type ChunkOf<K> = Sub<SlotOf<K>, u64>;

/// See the [module](self).
pub(crate) struct Lists<K: Key + ?Sized, T: Record> {
    names: Names,
    /// Heads with the last chunk of each list.
    lists: Table<SlotOf<K>, List<Numbered<T>>>,
    /// The other chunks.
    chunks: Table<ChunkOf<K>, Chunk<Numbered<T>>>,
    chunk_key: Vec<u8>,
}

/// What the tables are called.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    lists: &'static str,
    chunks: &'static str,
}

impl Names {
    pub(crate) const ONLY: Names = Names { lists: "window", chunks: "window chunks" };
    pub(crate) const FIRST: Names = Names { lists: "first", chunks: "first chunks" };
    pub(crate) const SECOND: Names = Names { lists: "second", chunks: "second chunks" };
    pub(crate) const THIRD: Names = Names { lists: "third", chunks: "third chunks" };
    pub(crate) const FOURTH: Names = Names { lists: "fourth", chunks: "fourth chunks" };
}

impl<K: Key + ?Sized, T: Record> Lists<K, T> {
    pub(crate) fn open(opening: &mut Opening<'_>, names: Names) -> Result<Self, Cause> {
        Ok(Lists {
            names,
            lists: opening.table(names.lists)?,
            chunks: opening.table(names.chunks)?,
            chunk_key: Vec::new(),
        })
    }

    pub(crate) fn list(&self, saved: &mut Saved) {
        saved.table(self.names.lists, self.lists.meta()).table(self.names.chunks, self.chunks.meta());
    }

    /// Forgets all lists.
    pub(crate) fn clear_all(&mut self, arena: &mut Arena) {
        if !self.lists.is_empty() {
            self.lists.clear(arena);
            self.chunks.clear(arena);
        }
    }

    /// How many lists there are.
    pub(crate) fn len(&self) -> u64 {
        self.lists.len()
    }

    /// Whether nothing has been appended to a list since it was last forgotten.
    pub(crate) fn is_empty(&self, arena: &mut Arena, slot: &Slot) -> Result<bool, StateError> {
        Ok(!self.lists.contains(arena, slot.hash, &slot.bytes)?)
    }

    /// Appends an archived element. Says whether the list was empty.
    pub(crate) fn push(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        value: &[u8],
        at: Timestamp,
    ) -> Result<bool, StateError> {
        Ok(self.push_numbered(arena, slot, value, at)? == 0)
    }

    /// Appends an archived element. Gives its number: how many the list has had before.
    pub(crate) fn push_numbered(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        value: &[u8],
        at: Timestamp,
    ) -> Result<u64, StateError> {
        loop {
            let len = Numbered::<T>::bytes(value.len());
            let write = |out: &mut [u8], number| Numbered::<T>::write(out, at, number, value);
            if let Some(number) = self.lists.append(arena, slot.hash, &slot.bytes, len, write)? {
                return Ok(number);
            }
            self.cut(arena, slot)?;
        }
    }

    /// Puts the last chunk of a list where the others are, unless all of it was taken out.
    #[cold]
    fn cut(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError> {
        let (mut chunk, mut has_elements) = (Vec::new(), false);
        let see =
            |list: &View<List<Numbered<T>>>| list.each(|element| has_elements |= element.number().is_some());
        self.lists.get(arena, slot.hash, &slot.bytes, see)?;
        let number = self.lists.cut(arena, slot.hash, &slot.bytes, &mut chunk)?;
        let Some(number) = number.filter(|_| has_elements) else { return Ok(()) };
        let hash = self.chunk(slot, number);
        self.chunks.insert_raw(arena, hash, &self.chunk_key, &chunk).map(drop)
    }

    /// The place of a chunk, whose key `chunk_key` then is.
    fn chunk(&mut self, slot: &Slot, number: u64) -> KeyHash {
        ChunkOf::<K>::encode_parts(slot.hash, &slot.bytes, &number, &mut self.chunk_key)
    }

    /// All elements with their numbers, in order.
    pub(crate) fn read(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        each: impl FnMut(u64, Timed<T>),
    ) -> Result<(), StateError> {
        self.read_between(arena, slot, (Timestamp::MIN, Timestamp::MAX), each)
    }

    /// The elements with timestamps from the first to the last, both included, in order.
    pub(crate) fn read_between(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        (from, to): (Timestamp, Timestamp),
        mut each: impl FnMut(u64, Timed<T>),
    ) -> Result<(), StateError> {
        self.each(arena, slot, |number, at, element| {
            if (from..=to).contains(&at) {
                each(number, Timed { value: T::owned(element.value()), at });
            }
        })
    }

    /// Shows the elements that are there, in order.
    fn each(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        mut each: impl FnMut(u64, Timestamp, &View<Numbered<T>>),
    ) -> Result<(), StateError> {
        let mut show = |element: &View<Numbered<T>>| {
            if let Some(number) = element.number() {
                each(number, element.at(), element);
            }
        };
        let begun = self.lists.get(arena, slot.hash, &slot.bytes, |list| {
            let chunks = list.chunks();
            // Most lists have one chunk.
            if chunks.is_empty() {
                list.each(&mut show);
            }
            chunks
        })?;
        let Some(chunks) = begun.filter(|chunks| !chunks.is_empty()) else { return Ok(()) };
        for number in chunks {
            let hash = self.chunk(slot, number);
            self.chunks.get(arena, hash, &self.chunk_key, |chunk| chunk.each(&mut show))?;
        }
        self.lists.get(arena, slot.hash, &slot.bytes, |list| list.each(&mut show)).map(drop)
    }

    /// Takes elements out, given their numbers in order.
    pub(crate) fn remove(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        numbers: &[u64],
    ) -> Result<(), StateError> {
        let Some(chunks) =
            self.lists.get(arena, slot.hash, &slot.bytes, View::<List<Numbered<T>>>::chunks)?
        else {
            return Ok(());
        };
        let chosen = |number: u64| numbers.binary_search(&number).is_ok();
        for number in chunks {
            let (mut all, mut left) = (0, 0);
            let hash = self.chunk(slot, number);
            self.chunks.change(arena, hash, &self.chunk_key, |element| {
                all += 1;
                left += u64::from(Numbered::<T>::take_out(element, chosen));
            })?;
            if all > 0 && left == 0 {
                self.chunks.remove(arena, hash, &self.chunk_key)?;
                self.lists.lose(arena, slot.hash, &slot.bytes, (number, all))?;
            }
        }
        let take_out = |element: &mut [u8]| {
            Numbered::<T>::take_out(element, chosen);
        };
        self.lists.change_last(arena, slot.hash, &slot.bytes, take_out)
    }

    /// Appends the elements of one list to another, and forgets the first.
    pub(crate) fn append(&mut self, arena: &mut Arena, into: &Slot, of: &Slot) -> Result<(), StateError> {
        let (mut bytes, mut elements) = (Vec::new(), Vec::new());
        self.each(arena, of, |_, at, element| {
            let start = bytes.len();
            bytes.extend_from_slice(element.value_bytes());
            elements.push((at, start..bytes.len()));
        })?;
        for (at, value) in elements {
            self.push(arena, into, &bytes[value], at)?;
        }
        self.clear(arena, of)
    }

    /// Forgets a list.
    pub(crate) fn clear(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError> {
        let Some(chunks) =
            self.lists.get(arena, slot.hash, &slot.bytes, View::<List<Numbered<T>>>::chunks)?
        else {
            return Ok(());
        };
        for number in chunks {
            let hash = self.chunk(slot, number);
            self.chunks.remove(arena, hash, &self.chunk_key)?;
        }
        self.lists.remove(arena, slot.hash, &slot.bytes).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arena::{ArenaConfig, StateName};
    use crate::key::HashSeed;
    use crate::window::TimeWindow;

    /// Something done to one of two lists.
    #[derive(Clone, Debug)]
    enum Step {
        Push(usize, Vec<String>),
        /// Takes out those whose numbers leave this rest when divided by this.
        Remove(usize, u64, u64),
        RemoveFirst(usize, usize),
        /// The other list's elements come behind.
        Append(usize),
        Clear(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let which = 0usize..2;
        let value = prop_oneof![20 => "[a-z]{0,40}", 1 => (0usize..6000).prop_map(|len| "x".repeat(len))];
        // Enough for several chunks.
        let values = prop::collection::vec(value, 0..150);
        let step = prop_oneof![
            6 => (which.clone(), values).prop_map(|(which, values)| Step::Push(which, values)),
            3 => (which.clone(), 1u64..4, 0u64..3).prop_map(|(which, by, rest)| Step::Remove(which, by, rest % by)),
            3 => (which.clone(), 0usize..200).prop_map(|(which, count)| Step::RemoveFirst(which, count)),
            1 => which.clone().prop_map(Step::Append),
            1 => which.prop_map(Step::Clear),
        ];
        prop::collection::vec(step, 0..16)
    }

    /// A list as it should be: how many there have been, and those that are there with their numbers.
    #[derive(Clone, Debug, Default)]
    struct Model {
        appended: u64,
        elements: Vec<(u64, i64, String)>,
    }

    struct Run {
        arena: Arena,
        lists: Lists<u64, String>,
        slots: [Slot; 2],
        models: [Model; 2],
        clock: i64,
    }

    impl Run {
        fn new() -> Self {
            let mut arena = Arena::new(ArenaConfig::new("test")).unwrap();
            let name = |state| StateName::new("test", state);
            let lists = Lists {
                names: Names::ONLY,
                lists: Table::new(&mut arena, &name("lists")),
                chunks: Table::new(&mut arena, &name("chunks")),
                chunk_key: Vec::new(),
            };
            let slot = |start| {
                let mut slot = Slot::default();
                let window = TimeWindow { start: Timestamp(start), end: Timestamp(start + 10) };
                slot.set::<u64>((7u64.hash(HashSeed(1)), &[]), window);
                slot
            };
            Run { arena, lists, slots: [slot(0), slot(10)], models: Default::default(), clock: 0 }
        }

        fn push(&mut self, which: usize, at: i64, value: &str) {
            let mut bytes = crate::record::RecordBuf::new();
            Record::encode(&value.to_owned(), &mut bytes);
            let slot = &self.slots[which];
            let number = self.lists.push_numbered(&mut self.arena, slot, &bytes, Timestamp(at)).unwrap();
            let model = &mut self.models[which];
            assert_eq!(number, model.appended);
            model.elements.push((number, at, value.to_owned()));
            model.appended += 1;
        }

        fn remove(&mut self, which: usize, numbers: &[u64]) {
            self.lists.remove(&mut self.arena, &self.slots[which], numbers).unwrap();
            self.models[which].elements.retain(|(number, ..)| !numbers.contains(number));
        }

        fn apply(&mut self, step: &Step) {
            match step {
                Step::Push(which, values) => {
                    for value in values {
                        self.clock += 1;
                        self.push(*which, self.clock, value);
                    }
                }
                Step::Remove(which, by, rest) => {
                    let all = 0..self.models[*which].appended;
                    let numbers: Vec<u64> = all.filter(|number| number % by == *rest).collect();
                    self.remove(*which, &numbers);
                }
                Step::RemoveFirst(which, count) => {
                    let first = self.models[*which].elements.iter().take(*count);
                    let numbers: Vec<u64> = first.map(|(number, ..)| *number).collect();
                    self.remove(*which, &numbers);
                }
                Step::Append(into) => {
                    let of = 1 - *into;
                    self.lists.append(&mut self.arena, &self.slots[*into], &self.slots[of]).unwrap();
                    let gone = std::mem::take(&mut self.models[of]);
                    let model = &mut self.models[*into];
                    for (_, at, value) in gone.elements {
                        model.elements.push((model.appended, at, value));
                        model.appended += 1;
                    }
                }
                Step::Clear(which) => {
                    self.lists.clear(&mut self.arena, &self.slots[*which]).unwrap();
                    self.models[*which] = Model::default();
                }
            }
        }

        fn check(&mut self) {
            for which in 0..2 {
                let (slot, model) = (&self.slots[which], &self.models[which]);
                let mut all = Vec::new();
                let each = |number, timed: Timed<String>| all.push((number, timed.at.0, timed.value));
                self.lists.read(&mut self.arena, slot, each).unwrap();
                assert_eq!(all, model.elements);
                assert_eq!(self.lists.is_empty(&mut self.arena, slot).unwrap(), model.appended == 0);
                // A part of them by time.
                let (from, to) = (self.clock / 3, self.clock / 2);
                let mut some = Vec::new();
                let each = |number, _: Timed<String>| some.push(number);
                self.lists
                    .read_between(&mut self.arena, slot, (Timestamp(from), Timestamp(to)), each)
                    .unwrap();
                let expected = model.elements.iter().filter(|(_, at, _)| (from..=to).contains(at));
                assert_eq!(some, expected.map(|(number, ..)| *number).collect::<Vec<_>>());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 128 }))]
        #[test]
        fn lists_are_as_vectors_over_many_chunks(steps in steps()) {
            let mut run = Run::new();
            for step in &steps {
                run.apply(step);
                run.check();
            }
            (0..2).for_each(|which| run.apply(&Step::Clear(which)));
            prop_assert!(run.lists.lists.is_empty() && run.lists.chunks.is_empty());
            while run.arena.reclaim(7) {}
            prop_assert_eq!(run.arena.pages_in_use(), 0);
        }
    }

    #[test]
    fn what_is_taken_out_at_the_front_is_not_kept() {
        let mut run = Run::new();
        run.apply(&Step::Push(0, vec!["some text".to_owned(); 500]));
        for _ in 0..100 {
            run.apply(&Step::Push(0, vec!["some text".to_owned(); 100]));
            run.apply(&Step::RemoveFirst(0, 100));
        }
        // 500 elements of some 50 bytes, 40 to a chunk.
        assert!(run.lists.chunks.len() <= 20, "{} chunks", run.lists.chunks.len());
    }
}

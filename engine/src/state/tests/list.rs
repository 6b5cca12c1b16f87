//! Lists in chunks against vectors, for every way in which elements lie in a chunk.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;

use super::super::{Chunk, List, Table};
use super::kinds::*;
use crate::arena::Arena;
use crate::record::{Record, RecordBuf, View};

/// Something done to the list of a key.
#[derive(Clone, Debug)]
enum Step<T> {
    Push(u64, Vec<T>),
    Cut(u64),
    Lose(u64),
    Remove(u64),
}

fn steps<T: Debug + Clone>(element: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<Step<T>>> {
    let key = 0u64..3;
    let step = prop_oneof![
        8 => (key.clone(), prop::collection::vec(element, 0..200)).prop_map(|(key, all)| Step::Push(key, all)),
        2 => key.clone().prop_map(Step::Cut),
        2 => key.clone().prop_map(Step::Lose),
        1 => key.prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..20)
}

/// A list as it should be: its chunks that are cut off, by number, and the last one.
#[derive(Clone, Debug)]
struct Model<T> {
    chunks: BTreeMap<u64, Vec<T>>,
    last: Vec<T>,
    next: u64,
}

struct Run<T: Record> {
    arena: Arena,
    lists: Table<Fixed8, List<T>>,
    chunks: Table<Fixed8, Chunk<T>>,
    models: BTreeMap<u64, Model<T>>,
}

/// Where a chunk lies.
fn place(key: u64, number: u64) -> u64 {
    key << 32 | number
}

impl<T: Record + Clone + PartialEq + Debug> Run<T> {
    fn new() -> Self {
        let mut arena = Arena::new(config()).unwrap();
        let (lists, chunks) = (Table::new(&mut arena, &name()), Table::new(&mut arena, &name()));
        Run { arena, lists, chunks, models: BTreeMap::new() }
    }

    fn push(&mut self, key: u64, element: &T) -> bool {
        let (hash, bytes) = Fixed8::make(key);
        self.lists.push(&mut self.arena, hash, &bytes, element).unwrap()
    }

    fn cut(&mut self, key: u64) {
        let ((hash, bytes), mut chunk) = (Fixed8::make(key), Vec::new());
        let number = self.lists.cut(&mut self.arena, hash, &bytes, &mut chunk).unwrap();
        let model = self.models.get_mut(&key).filter(|model| !model.last.is_empty());
        assert_eq!(number, model.as_ref().map(|model| model.next));
        if let Some(model) = model {
            model.chunks.insert(model.next, std::mem::take(&mut model.last));
            let (hash, bytes) = Fixed8::make(place(key, model.next));
            self.chunks.insert_raw(&mut self.arena, hash, &bytes, &chunk).unwrap();
            model.next += 1;
        }
    }

    fn apply(&mut self, step: &Step<T>) {
        match step {
            Step::Push(key, elements) => {
                for element in elements {
                    if !self.push(*key, element) {
                        self.cut(*key);
                        assert!(self.push(*key, element));
                    }
                    let new = || Model { chunks: BTreeMap::new(), last: Vec::new(), next: 0 };
                    self.models.entry(*key).or_insert_with(new).last.push(element.clone());
                }
            }
            Step::Cut(key) => self.cut(*key),
            Step::Lose(key) => {
                let Some(model) = self.models.get_mut(key) else { return };
                let Some((number, elements)) = model.chunks.pop_first() else { return };
                let (hash, bytes) = Fixed8::make(*key);
                let lost = (number, elements.len() as u64);
                let left = self.lists.lose(&mut self.arena, hash, &bytes, lost).unwrap();
                assert_eq!(left, Some(Self::len(model)));
                let (hash, bytes) = Fixed8::make(place(*key, number));
                assert!(self.chunks.remove(&mut self.arena, hash, &bytes).unwrap());
            }
            Step::Remove(key) => {
                let (hash, bytes) = Fixed8::make(*key);
                let model = self.models.remove(key);
                assert_eq!(self.lists.remove(&mut self.arena, hash, &bytes).unwrap(), model.is_some());
                for number in model.into_iter().flat_map(|model| model.chunks.into_keys()) {
                    let (hash, bytes) = Fixed8::make(place(*key, number));
                    assert!(self.chunks.remove(&mut self.arena, hash, &bytes).unwrap());
                }
            }
        }
    }

    fn len(model: &Model<T>) -> u64 {
        (model.chunks.values().map(Vec::len).sum::<usize>() + model.last.len()) as u64
    }

    fn check(&mut self) {
        for (&key, model) in &self.models {
            let ((hash, bytes), arena) = (Fixed8::make(key), &mut self.arena);
            let see = |list: &View<List<T>>| {
                let mut all = Vec::new();
                list.each(|element| all.push(T::owned(element)));
                (list.chunks(), list.len(), list.count(), all)
            };
            let (chunks, len, count, last) = self.lists.get(arena, hash, &bytes, see).unwrap().unwrap();
            assert_eq!((len, count, &last), (Self::len(model), last.len() as u64, &model.last));
            assert!(model.chunks.keys().all(|number| chunks.contains(number)));
            let list = self.lists.get_raw(arena, hash, &bytes, is_sound::<List<T>>).unwrap();
            assert_eq!(list, Some(true));
            for (&number, elements) in &model.chunks {
                let (hash, bytes) = Fixed8::make(place(key, number));
                let mut all = Vec::new();
                let each = |chunk: &View<Chunk<T>>| {
                    chunk.each(|element| all.push(T::owned(element)));
                    chunk.count()
                };
                let count = self.chunks.get(arena, hash, &bytes, each).unwrap();
                assert_eq!((&all, count), (elements, Some(elements.len() as u64)));
                let chunk = self.chunks.get_raw(arena, hash, &bytes, is_sound::<Chunk<T>>).unwrap();
                assert_eq!(chunk, Some(true));
            }
        }
    }
}

/// Whether bytes pass the check of those from anywhere, and are what the record that they stand for is archived as.
fn is_sound<V: Record>(bytes: &[u8]) -> bool {
    let (mut aligned, mut encoded) = (RecordBuf::new(), RecordBuf::new());
    aligned.extend_from_slice(bytes);
    V::owned(V::view(&aligned).unwrap()).encode(&mut encoded);
    encoded[..] == *bytes
}

fn run<T: Record + Clone + PartialEq + Debug>(steps: &[Step<T>]) {
    let mut run = Run::new();
    for step in steps {
        run.apply(step);
        run.check();
    }
    (0..3).for_each(|key| run.apply(&Step::Remove(key)));
    while run.arena.reclaim(7) {}
    assert_eq!(run.arena.pages_in_use(), 0);
}

macro_rules! against_vectors {
    ($($name:ident: $element:expr;)*) => { $(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 48 }))]
            #[test]
            fn $name(steps in steps($element)) {
                run(&steps);
            }
        }
    )* }
}

against_vectors! {
    words: any::<u64>();
    bytes: any::<u8>();
    wide_words: any::<u128>();
    odd_arrays: any::<[u8; 7]>();
    large_plain_elements: (0u8..=255).prop_map(|n| [n; 700]);
    plain_elements_larger_than_a_chunk: (0u8..=255).prop_map(|n| [n; 3000]);
    coded_elements: (any::<u32>(), any::<bool>());
    nothings: Just(());
    texts: prop_oneof![20 => "[a-z]{0,30}", 1 => (0usize..6000).prop_map(|len| "x".repeat(len))];
    texts_and_words: ("[a-z]{0,30}", any::<u64>());
}

#[test]
fn a_list_takes_about_as_much_room_as_its_elements() {
    let mut run = Run::<u64>::new();
    run.apply(&Step::Push(1, (0..100_000).collect()));
    let pages = run.arena.pages_in_use();
    assert!(pages < 200 + 20, "{pages} pages for 800 kB");
}

#[test]
fn the_layout_tells_the_element_and_the_place() {
    let texts = [Chunk::<u64>::layout(), List::<u64>::layout(), Chunk::<i64>::layout()];
    assert_eq!(
        texts.each_ref().map(|layout| &layout.text[..]),
        ["chunk of u64 from 0", "chunk of u64 from 32", "chunk of i64 from 0"]
    );
    assert!(texts[0].fingerprint != texts[1].fingerprint && texts[0].fingerprint != texts[2].fingerprint);
}

//! Tables against a `BTreeMap`, through checkpoints, failures and restarts, for every shape of key and value.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;

use super::super::probe::{Native, Probe, Scalar};
use super::super::{StateError, Table, TableMeta};
use super::kinds::*;
use crate::arena::{Arena, ArenaConfig, PageInfo, PageLoader, PageNo};
use crate::element::{Epoch, KeyHash};
use crate::limits::PAGE_BYTES;

/// Something done to a table. Keys come in runs, so that pages fill. Of a key group, all keys are purged, or one third or two of them.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Insert { first: u16, count: u16, value: u16 },
    Update { first: u16, count: u16, value: u16 },
    UpdateBatch { first: u16, count: u16, value: u16 },
    Modify { first: u16, count: u16, value: u16 },
    Remove { first: u16, count: u16 },
    Purge { of: u16, thirds: u32 },
    Clear,
    Reclaim { pages: usize },
    Prefault { pages: u32 },
    Begin,
    Save { pages: usize },
    Finish,
    Abort,
    Rewrite { every: usize },
    Crash,
    Load { pages: usize },
    Install { every: usize },
    MakeRoom,
}

pub(super) fn ops(keys: u16, run: u16) -> impl Strategy<Value = Vec<Op>> {
    let run = move || (0..keys, 1..run, any::<u16>());
    let op = prop_oneof![
        6 => run().prop_map(|(first, count, value)| Op::Insert { first, count, value }),
        6 => run().prop_map(|(first, count, value)| Op::Update { first, count, value }),
        6 => run().prop_map(|(first, count, value)| Op::UpdateBatch { first, count, value }),
        3 => run().prop_map(|(first, count, value)| Op::Modify { first, count, value }),
        9 => run().prop_map(|(first, count, _)| Op::Remove { first, count }),
        2 => (0..keys, 1..=3u32).prop_map(|(of, thirds)| Op::Purge { of, thirds }),
        1 => Just(Op::Clear),
        1 => (0..20usize).prop_map(|pages| Op::Reclaim { pages }),
        1 => (0..20u32).prop_map(|pages| Op::Prefault { pages }),
        4 => Just(Op::Begin),
        6 => (0..40usize).prop_map(|pages| Op::Save { pages }),
        3 => Just(Op::Finish),
        1 => Just(Op::Abort),
        1 => (1..5usize).prop_map(|every| Op::Rewrite { every }),
        1 => Just(Op::Crash),
        1 => (0..20usize).prop_map(|pages| Op::Load { pages }),
        1 => (1..5usize).prop_map(|every| Op::Install { every }),
        6 => Just(Op::MakeRoom),
    ];
    prop::collection::vec(op, 1..60)
}

type Model = BTreeMap<(u64, Vec<u8>), Vec<u8>>;
type Pages = BTreeMap<PageNo, (PageInfo, Vec<u8>)>;

/// What a checkpoint is made of: its pages, and what the table said of itself.
#[derive(Clone, Default)]
pub(super) struct Saved {
    pub(super) pages: Pages,
    pub(super) meta: Option<TableMeta>,
    model: Model,
}

/// Gives out pages of a checkpoint.
pub(super) struct FromMemory(pub(super) Rc<RefCell<Pages>>);

impl PageLoader for FromMemory {
    fn load(&mut self, page: PageNo, into: &mut [u8]) -> Result<(), StateError> {
        into.copy_from_slice(&self.0.borrow()[&page].1);
        Ok(())
    }
}

pub(super) fn restore<K: TestKey, V: TestValue, P: Probe>(
    pages: &Pages,
    meta: TableMeta,
) -> Result<(Arena, Table<K, V, P>), StateError> {
    restore_with(config(), pages, meta)
}

fn restore_with<K: TestKey, V: TestValue, P: Probe>(
    config: ArenaConfig,
    pages: &Pages,
    meta: TableMeta,
) -> Result<(Arena, Table<K, V, P>), StateError> {
    let loader = Box::new(FromMemory(Rc::new(RefCell::new(pages.clone()))));
    let infos = pages.iter().map(|(&page, (info, _))| (page, info.encode()));
    let mut arena = Arena::restore(config, infos, loader)?;
    let table = Table::restore(&mut arena, meta, &name())?;
    arena.discard_unclaimed();
    Ok((arena, table))
}

pub(super) fn contents<K: TestKey, V: TestValue, P: Probe>(
    arena: &mut Arena,
    table: &Table<K, V, P>,
    pieces: usize,
) -> Model {
    let mut seen = Model::new();
    let mut from = Some(KeyHash(0));
    while let Some(at) = from {
        from = table
            .walk_raw(arena, at, KeyHash(u64::MAX), pieces, |hash, key, value| {
                assert_eq!(seen.insert((hash.0, key.to_vec()), value.to_vec()), None);
            })
            .unwrap();
        assert!(from.is_none_or(|next| next > at));
    }
    seen
}

struct Run<K: TestKey, V: TestValue, P: Probe> {
    config: fn() -> ArenaConfig,
    arena: Arena,
    table: Table<K, V, P>,
    model: Model,
    running: Option<(Saved, Pages)>,
    saved: Saved,
    epoch: u64,
}

impl<K: TestKey, V: TestValue, P: Probe> Run<K, V, P> {
    fn new(config: fn() -> ArenaConfig) -> Self {
        let mut arena = Arena::new(config()).unwrap();
        let table = Table::new(&mut arena, &name());
        Run { config, arena, table, model: Model::new(), running: None, saved: Saved::default(), epoch: 0 }
    }

    fn each(
        &mut self,
        first: u16,
        count: u16,
        mut f: impl FnMut(&mut Self, KeyHash, &[u8], Option<Vec<u8>>, u64),
    ) {
        for n in u64::from(first)..u64::from(first) + u64::from(count) {
            let (hash, key) = K::make(n);
            let known = self.model.get(&(hash.0, key.clone())).cloned();
            if n.is_multiple_of(16) {
                self.arena.make_room().unwrap();
            }
            f(self, hash, &key, known, n);
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Insert { first, count, value } => self.each(first, count, |run, hash, key, known, n| {
                let value = V::make(u64::from(value) + n);
                let new = run.table.insert(&mut run.arena, hash, key, &value).unwrap();
                assert_eq!(new, known.is_none());
                run.model.insert((hash.0, key.to_vec()), value.bytes());
            }),
            Op::Update { first, count, value } => self.each(first, count, |run, hash, key, known, n| {
                let value = u64::from(value) + n;
                run.table
                    .update(
                        &mut run.arena,
                        hash,
                        key,
                        || V::make(1),
                        |held| {
                            assert_eq!(held.bytes(), known.unwrap_or_else(|| V::make(1).bytes()));
                            *held = V::make(value);
                        },
                    )
                    .unwrap();
                run.model.insert((hash.0, key.to_vec()), V::make(value).bytes());
            }),
            Op::UpdateBatch { first, count, value } => {
                // Every third key comes twice.
                let numbers: Vec<u64> = (u64::from(first)..u64::from(first) + u64::from(count))
                    .flat_map(|n| std::iter::repeat_n(n, 1 + usize::from(n % 3 == 0)))
                    .collect();
                let keys: Vec<_> = numbers.iter().map(|&n| K::make(n)).collect();
                let hashes: Vec<_> = keys.iter().map(|(hash, _)| *hash).collect();
                let model = &mut self.model;
                self.table
                    .update_batch(
                        &mut self.arena,
                        &hashes,
                        |i| &keys[i].1,
                        |i| V::make(i as u64),
                        |i, held, new| {
                            let (hash, key) = keys[i].clone();
                            let known = model.get(&(hash.0, key.clone())).cloned();
                            assert_eq!(new, known.is_none());
                            assert_eq!(held.bytes(), known.unwrap_or_else(|| V::make(i as u64).bytes()));
                            *held = V::make(u64::from(value) + i as u64);
                            model.insert((hash.0, key), held.bytes());
                        },
                    )
                    .unwrap();
                self.table
                    .get_batch(
                        &mut self.arena,
                        &hashes,
                        |i| &keys[i].1,
                        |i, view| {
                            let (hash, key) = &keys[i];
                            let expected = &self.model[&(hash.0, key.clone())];
                            assert_eq!(&V::owned(view.unwrap()).bytes(), expected);
                        },
                    )
                    .unwrap();
            }
            Op::Modify { first, count, value } => self.each(first, count, |run, hash, key, known, n| {
                let value = u64::from(value) + n;
                let old = run
                    .table
                    .modify(&mut run.arena, hash, key, |held| std::mem::replace(held, V::make(value)).bytes())
                    .unwrap();
                assert_eq!(old, known);
                if old.is_some() {
                    run.model.insert((hash.0, key.to_vec()), V::make(value).bytes());
                }
            }),
            Op::Remove { first, count } => self.each(first, count, |run, hash, key, known, _| {
                assert_eq!(run.table.remove(&mut run.arena, hash, key).unwrap(), known.is_some());
                assert!(!run.table.contains(&mut run.arena, hash, key).unwrap());
                run.model.remove(&(hash.0, key.to_vec()));
            }),
            Op::Purge { of, thirds } => {
                let (group_of, _) = K::make(of.into());
                let goes = |key: &[u8]| key.iter().copied().map(u32::from).sum::<u32>() % 3 < thirds;
                self.table.purge(&mut self.arena, group_of, goes).unwrap();
                self.model.retain(|(hash, key), _| KeyHash(*hash).group() != group_of.group() || !goes(key));
            }
            Op::Clear => {
                self.table.clear(&mut self.arena);
                self.model.clear();
            }
            Op::Reclaim { pages } => {
                self.arena.reclaim(pages);
            }
            Op::Prefault { pages } => self.arena.prefault(pages),
            Op::Begin => self.begin(),
            Op::Save { pages } => self.save(pages),
            Op::Finish => self.finish(),
            Op::Abort => {
                self.arena.abort_checkpoint();
                self.running = None;
            }
            Op::Rewrite { every } => {
                let pages: Vec<_> = self.saved.pages.keys().copied().step_by(every).collect();
                self.arena.mark_for_rewrite(pages);
            }
            Op::Crash => {
                self.running = None;
                self.model = self.saved.model.clone();
                match self.saved.meta {
                    Some(meta) => {
                        (self.arena, self.table) =
                            restore_with((self.config)(), &self.saved.pages, meta).unwrap();
                    }
                    None => *self = Run::new(self.config),
                }
            }
            Op::Load { pages } => {
                let next = self.arena.load_some(PageNo(1), pages).unwrap();
                assert_eq!(next.is_none(), self.arena.missing() == 0);
            }
            Op::Install { every } => {
                let pages: Vec<_> = self.arena.missing_pages(PageNo(0)).step_by(every).collect();
                for page in pages {
                    let bytes = self.saved.pages[&page].1.clone();
                    assert!(self.arena.install(page, &bytes).unwrap());
                    assert!(!self.arena.install(page, &bytes).unwrap());
                }
            }
            Op::MakeRoom => self.arena.make_room().unwrap(),
        }
        assert_eq!(self.table.len(), self.model.len() as u64);
        let pages = self.arena.list(self.table.pages).count();
        assert_eq!(self.table.bytes(), (pages * PAGE_BYTES) as u64);
    }

    fn begin(&mut self) {
        self.epoch += 1;
        self.arena.begin_checkpoint(Epoch(self.epoch));
        let mut next = Saved {
            pages: self.saved.pages.clone(),
            meta: Some(self.table.meta()),
            model: self.model.clone(),
        };
        for page in self.arena.removed_pages() {
            next.pages.remove(page);
        }
        self.running = Some((next, Pages::new()));
    }

    fn save(&mut self, pages: usize) {
        if let Some((_, delta)) = &mut self.running {
            let done = self.arena.save_some(pages, &mut |page| {
                assert_eq!(delta.insert(page.page, (page.info, page.bytes.to_vec())), None);
            });
            done.unwrap();
        }
    }

    fn finish(&mut self) {
        self.save(usize::MAX);
        if let Some((mut next, delta)) = self.running.take() {
            self.arena.finish_checkpoint();
            next.pages.extend(delta);
            let (mut arena, table) = restore::<K, V, P>(&next.pages, next.meta.unwrap()).unwrap();
            assert_eq!(contents(&mut arena, &table, 1), next.model);
            self.saved = next;
        }
    }

    /// Everything is there, and when it has all been removed, no page is.
    fn check_and_empty(&mut self) {
        assert_eq!(contents(&mut self.arena, &self.table, 3), self.model);
        self.arena.load_some(PageNo(1), usize::MAX).unwrap();
        let keys: Vec<_> = self.model.keys().cloned().collect();
        for (hash, key) in keys {
            let value = &self.model[&(hash, key.clone())];
            let found =
                self.table.get(&mut self.arena, KeyHash(hash), &key, |view| V::owned(view).bytes()).unwrap();
            assert_eq!(found.as_ref(), Some(value));
            assert!(self.table.remove(&mut self.arena, KeyHash(hash), &key).unwrap());
        }
        self.finish();
        while self.arena.reclaim(7) {}
        assert_eq!(self.arena.pages_in_use(), 0);
    }
}

fn run<K: TestKey, V: TestValue, P: Probe>(config: fn() -> ArenaConfig, ops: &[Op]) -> Pages {
    let mut run = Run::<K, V, P>::new(config);
    for op in ops {
        run.apply(op);
    }
    run.check_and_empty();
    run.saved.pages
}

/// Few cases, as each is long; `PROPTEST_CASES` asks for more.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases: if cfg!(miri) { 1 } else { 32 }, ..default },
    }
}

macro_rules! against_the_model {
    ($($name:ident: $key:ty, $value:ty, $keys:expr, $run:expr;)*) => { $(
        proptest! {
            #![proptest_config(cases())]
            #[test]
            fn $name(ops in ops($keys, $run)) {
                let fast = run::<$key, $value, Native>(config, &ops);
                let portable = run::<$key, $value, Scalar>(config, &ops);
                prop_assert!(fast == portable, "both ways of probing lay pages out alike");
                run::<$key, $value, Native>(config_to_spill, &ops);
            }
        }
    )* }
}

against_the_model! {
    in_hash_keys_with_words: K64, P64, 3000, 1500;
    in_hash_keys_with_bytes: K64, P8, 3000, 1500;
    in_hash_keys_with_nothing: K64, P0, 3000, 1500;
    in_hash_keys_with_coded_values: K64, Coded, 1500, 800;
    in_hash_keys_with_large_plain_values: K64, P400, 200, 200;
    in_hash_keys_with_variable_values: K64, Bytes, 600, 300;
    clumped_keys_with_words: Clumped, P64, 2000, 1500;
    fixed_keys_with_wide_words: Fixed8, P128, 1500, 800;
    grouped_keys_with_words: Grouped, P64, 1500, 800;
    grouped_keys_with_variable_values: Grouped, Bytes, 600, 300;
    colliding_keys_with_words: Colliding, P64, 600, 600;
    large_fixed_keys_with_coded_values: Fixed40, Coded, 600, 300;
    text_keys_with_words: Text, P64, 1000, 600;
    text_keys_with_variable_values: Text, Bytes, 500, 300;
    colliding_texts_with_variable_values: CollidingText, Bytes, 100, 100;
}

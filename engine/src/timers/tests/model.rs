//! Timers against sorted sets, through advances in pieces, checkpoints, crashes and rescaling, for every shape of key.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::TimerName;
use super::*;
use crate::element::{Epoch, KeyGroups, ShardId};

const NAMES: [&str; 3] = ["idle", "close", "retry"];

/// Something done to a queue. Timers come in runs, so that leaves fill.
#[derive(Clone, Debug)]
enum Op {
    Register(Many),
    Delete(Many),
    Reset { name: usize, many: Many },
    Cancel { name: usize, many: Many },
    Advance { by: i64, at_most: usize, callback: Callback },
    Begin,
    Save { pages: usize },
    Finish,
    Crash,
    Load,
    Rescale { shards: u16 },
}

/// Keys `first .. first + count`, at `at`, `at + step`, ...
#[derive(Clone, Debug)]
struct Many {
    first: u64,
    count: u64,
    at: i64,
    step: i64,
}

/// What happens when a timer fires.
#[derive(Clone, Copy, Debug)]
enum Callback {
    Nothing,
    /// Registers a timer for another key, this much later.
    Register(i64),
    /// Deletes the timer that would come next.
    DeleteNext,
    /// Deletes it and registers it anew.
    Renew,
    /// Resets a named timer of the key, to this much later.
    Reset(i64),
}

fn many() -> impl Strategy<Value = Many> {
    let at = prop_oneof![
        20 => -100..3000i64,
        1 => Just(i64::MIN),
        1 => Just(i64::MAX),
    ];
    let step = prop_oneof![2 => Just(0i64), 3 => Just(1), 2 => Just(-1), 3 => -40..40i64];
    (0..2000u64, 1..700u64, at, step).prop_map(|(first, count, at, step)| Many { first, count, at, step })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let name = || 0..NAMES.len();
    let callback = prop_oneof![
        4 => Just(Callback::Nothing),
        2 => (-30..60i64).prop_map(Callback::Register),
        1 => Just(Callback::DeleteNext),
        1 => Just(Callback::Renew),
        1 => (-30..60i64).prop_map(Callback::Reset),
    ];
    let op = prop_oneof![
        8 => many().prop_map(Op::Register),
        4 => many().prop_map(Op::Delete),
        4 => (name(), many()).prop_map(|(name, many)| Op::Reset { name, many }),
        2 => (name(), many()).prop_map(|(name, many)| Op::Cancel { name, many }),
        6 => (0..500i64, 1..900usize, callback)
            .prop_map(|(by, at_most, callback)| Op::Advance { by, at_most, callback }),
        3 => Just(Op::Begin),
        3 => (0..20usize).prop_map(|pages| Op::Save { pages }),
        2 => Just(Op::Finish),
        1 => Just(Op::Crash),
        1 => Just(Op::Load),
        1 => (1..5u16).prop_map(|shards| Op::Rescale { shards }),
    ];
    prop::collection::vec(op, 1..24)
}

/// Timers by number of their key, and by index of their name.
#[derive(Clone, Default)]
struct Model {
    plain: BTreeSet<(i64, u64)>,
    named: BTreeMap<(u64, usize), i64>,
    by_time: BTreeSet<(i64, u64, usize)>,
    now: i64,
}

impl Model {
    fn first(&self) -> Option<i64> {
        let plain = self.plain.first().map(|timer| timer.0);
        let named = self.by_time.first().map(|timer| timer.0);
        plain.into_iter().chain(named).min()
    }

    fn reset(&mut self, key: u64, name: usize, at: i64) -> Option<i64> {
        let before = self.cancel(key, name);
        self.named.insert((key, name), at);
        self.by_time.insert((at, key, name));
        before
    }

    fn cancel(&mut self, key: u64, name: usize) -> Option<i64> {
        let before = self.named.remove(&(key, name));
        before.inspect(|&at| assert!(self.by_time.remove(&(at, key, name))))
    }

    fn len(&self) -> u64 {
        (self.plain.len() + self.named.len()) as u64
    }
}

struct Run<K: Key> {
    timers: Timers<K>,
    names: Vec<TimerName>,
    make: fn(u64) -> K,
    /// The number of every key, by hash and encoding.
    numbers: BTreeMap<(KeyHash, Vec<u8>), u64>,
    model: Model,
    running: Option<(Saved, Model)>,
    saved: (Saved, Model),
    epoch: u64,
}

impl<K: Key> Run<K> {
    fn new(make: fn(u64) -> K) -> Self {
        let mut run = Run {
            timers: Timers::new(),
            names: Vec::new(),
            make,
            numbers: BTreeMap::new(),
            model: Model::default(),
            running: None,
            saved: Default::default(),
            epoch: 0,
        };
        run.name_them();
        run
    }

    fn name_them(&mut self) {
        self.names = NAMES.map(|name| self.timers.queue.name(name).unwrap()).to_vec();
    }

    fn key(&mut self, number: u64) -> (KeyHash, Vec<u8>) {
        let key = (self.make)(number);
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        let key = (key.hash(SEED), bytes);
        self.numbers.insert(key.clone(), number);
        key
    }

    fn register(&mut self, at: i64, number: u64) {
        let (hash, key) = self.key(number);
        let new = self.timers.queue.register(&mut self.timers.arena, Timestamp(at), hash, &key).unwrap();
        assert_eq!(new, self.model.plain.insert((at, number)));
    }

    fn delete(&mut self, at: i64, number: u64) {
        let (hash, key) = self.key(number);
        let was = self.timers.queue.delete(&mut self.timers.arena, Timestamp(at), hash, &key).unwrap();
        assert_eq!(was, self.model.plain.remove(&(at, number)));
    }

    fn reset(&mut self, name: usize, at: i64, number: u64) {
        let (hash, key) = self.key(number);
        let (Timers { arena, queue }, timer) = (&mut self.timers, self.names[name]);
        let before = queue.reset(arena, timer, Timestamp(at), hash, &key).unwrap();
        assert_eq!(queue.set_for(arena, timer, hash, &key).unwrap(), Some(Timestamp(at)));
        assert_eq!(before.map(|at| at.0), self.model.reset(number, name, at));
    }

    fn cancel(&mut self, name: usize, number: u64) {
        let (hash, key) = self.key(number);
        let before = self.timers.queue.cancel(&mut self.timers.arena, self.names[name], hash, &key).unwrap();
        assert_eq!(before.map(|at| at.0), self.model.cancel(number, name));
    }

    fn each(&mut self, many: &Many, mut f: impl FnMut(&mut Self, i64, u64)) {
        for n in 0..many.count {
            f(self, many.at.saturating_add(many.step * n as i64), many.first + n);
        }
    }

    /// Fires at most so many timers, each of which has to be one of the first of the model.
    fn advance(&mut self, up_to: i64, at_most: usize, callback: Callback) {
        self.model.now = self.model.now.max(up_to);
        for _ in 0..at_most {
            assert!(self.timers.queue.first().map(|at| at.0) <= self.model.first());
            let due = self.model.first().filter(|&first| first <= up_to);
            let popped = self.timers.pop(up_to);
            assert_eq!(popped.as_ref().map(|popped| popped.at.0), due);
            let Some(popped) = popped else {
                assert_eq!(self.timers.queue.first().is_some(), self.model.first().is_some());
                return;
            };
            let number = self.numbers[&(popped.hash, popped.key.clone())];
            match popped.name {
                None => assert!(self.model.plain.remove(&(popped.at.0, number))),
                Some(name) => {
                    let name = self.names.iter().position(|&known| known == name).unwrap();
                    assert_eq!(self.model.cancel(number, name), Some(popped.at.0));
                }
            }
            self.callback(callback, popped.at.0, number);
        }
    }

    fn callback(&mut self, callback: Callback, at: i64, number: u64) {
        match callback {
            Callback::Nothing => {}
            // Not for ever.
            Callback::Register(later) if number.is_multiple_of(3) && number < 5000 => {
                self.register(at.saturating_add(later), number + 3000);
            }
            Callback::Reset(later) if number.is_multiple_of(3) && number < 5000 => {
                self.reset(1, at.saturating_add(later), number + 3000);
            }
            Callback::DeleteNext | Callback::Renew => {
                if let Some(&(at, number)) = self.model.plain.first() {
                    self.delete(at, number);
                    if let Callback::Renew = callback {
                        self.register(at, number);
                    }
                }
            }
            _ => {}
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Register(many) => self.each(many, Self::register),
            Op::Delete(many) => self.each(many, Self::delete),
            Op::Reset { name, many } => self.each(many, |run, at, number| run.reset(*name, at, number)),
            Op::Cancel { name, many } => self.each(many, |run, _, number| run.cancel(*name, number)),
            Op::Advance { by, at_most, callback } => {
                self.advance(self.model.now.saturating_add(*by), *at_most, *callback);
            }
            Op::Begin => self.begin(),
            Op::Save { pages } => self.save(*pages),
            Op::Finish => self.finish(),
            Op::Crash => {
                self.running = None;
                self.timers = if self.epoch > 0 && !self.saved.0.data.is_empty() {
                    self.saved.0.restore()
                } else {
                    Timers::new()
                };
                self.model = self.saved.1.clone();
                self.name_them();
            }
            Op::Load => {
                self.timers.arena.load_some(PageNo(1), 5).unwrap();
            }
            Op::Rescale { shards } => self.rescale(*shards),
        }
        assert_eq!(self.timers.queue.len(), self.model.len());
    }

    fn begin(&mut self) {
        self.epoch += 1;
        self.timers.arena.begin_checkpoint(Epoch(self.epoch));
        let mut pages = self.saved.0.pages.clone();
        for page in self.timers.arena.removed_pages() {
            pages.remove(page);
        }
        let saved = Saved { pages, data: data_of(&self.timers.queue) };
        self.running = Some((saved, self.model.clone()));
    }

    fn save(&mut self, pages: usize) {
        if let Some((saved, _)) = &mut self.running {
            let done = self.timers.arena.save_some(pages, &mut |page| {
                saved.pages.insert(page.page, (page.info, page.bytes.to_vec()));
            });
            done.unwrap();
        }
    }

    fn finish(&mut self) {
        self.save(usize::MAX);
        if let Some(saved) = self.running.take() {
            self.timers.arena.finish_checkpoint();
            self.saved = saved;
        }
    }

    /// Goes on in a new arena, which takes all over from the pages of the old one, key group range by key group range.
    fn rescale(&mut self, shards: u16) {
        self.begin();
        self.finish();
        let saved = &self.saved.0;
        let mut timers = Timers::new();
        timers.queue.name(NAMES[2]).unwrap();
        for shard in 0..shards {
            let groups = KeyGroups::of_shard(ShardId(shard), shards);
            let before = timers.queue.len();
            timers.queue.import(&mut timers.arena, &mut saved.arena(), &saved.timers(), groups).unwrap();
            let mine = timers.queue.len() - before;
            let plain = self.model.plain.iter().map(|timer| timer.1);
            let numbers = plain.chain(self.model.named.keys().map(|timer| timer.0));
            let expected = numbers.filter(|&number| groups.contains((self.make)(number).hash(SEED))).count();
            assert_eq!(mine, expected as u64);
        }
        self.timers = timers;
        self.saved = Default::default();
        self.saved.1.now = self.model.now;
        self.name_them();
        self.begin();
        self.finish();
    }

    /// Everything is there, and when it has all fired, no page is.
    fn check_and_empty(&mut self) {
        self.advance(i64::MAX, usize::MAX, Callback::Nothing);
        assert_eq!(self.model.len(), 0);
        assert!(self.timers.queue.is_empty() && self.timers.queue.first().is_none());
        self.finish();
        while self.timers.arena.reclaim(7) {}
        assert_eq!(self.timers.arena.pages_in_use(), 0);
    }
}

fn run<K: Key>(make: fn(u64) -> K, ops: &[Op]) {
    let mut run = Run::new(make);
    for op in ops {
        run.apply(op);
        // It reads every page, which the others are not to depend on.
        if matches!(op, Op::Register(_) | Op::Delete(_) | Op::Advance { .. }) {
            run.timers.check();
        }
    }
    run.check_and_empty();
}

/// Few cases, as each is long; `PROPTEST_CASES` asks for more.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases: if cfg!(miri) { 1 } else { 24 }, ..default },
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn keys_that_are_their_hash(ops in ops()) {
        run(|n| n, &ops);
    }

    #[test]
    fn keys_of_a_fixed_size(ops in ops()) {
        run(|n| (n, n), &ops);
    }

    #[test]
    fn keys_too_large_for_an_entry(ops in ops()) {
        run(|n| [n as u8, (n >> 8) as u8, 3, 4].repeat(10).try_into().map(|key: [u8; 40]| key).unwrap_or([0; 40]), &ops);
    }

    #[test]
    fn keys_of_any_size(ops in ops()) {
        run(|n| format!("{n}-").repeat(1 + n as usize % 9), &ops);
    }
}

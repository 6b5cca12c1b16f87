//! Tests of timers: against a model, by the rows of the parity table, and of what the leaves look like.

mod checkpoints;
mod large;
mod leaves;
mod model;
mod parity;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Due, Pop, SavedTimers, TimerQueue};
use crate::arena::{Arena, ArenaConfig, PageInfo, PageLoader, PageNo, StateError, StateName};
use crate::checkpoint::codec::{Reader, Writer};
use crate::element::{KeyHash, Timestamp};
use crate::key::{HashSeed, Key};

const SEED: HashSeed = HashSeed(0x5EED);

fn config() -> ArenaConfig {
    ArenaConfig { pages_max: 1 << 18, ..ArenaConfig::new("alerts") }
}

fn name() -> StateName {
    StateName::new("alerts", "timers")
}

/// A queue and its arena.
struct Timers<K: Key + ?Sized> {
    arena: Arena,
    queue: TimerQueue<K>,
}

impl<K: Key + ?Sized> Timers<K> {
    fn new() -> Self {
        let mut arena = Arena::new(config()).unwrap();
        let queue = TimerQueue::new(&mut arena, &name());
        Timers { arena, queue }
    }

    fn pop(&mut self, up_to: i64) -> Option<Due> {
        let mut due = Due::default();
        loop {
            match self.queue.pop(&mut self.arena, Timestamp(up_to), &mut due).unwrap() {
                Pop::Due => return Some(due),
                Pop::Again => continue,
                Pop::Done => return None,
            }
        }
    }

    fn check(&mut self) {
        self.queue.plain.check(&mut self.arena);
        self.queue.named.index.check(&mut self.arena);
        assert_eq!(self.queue.named.index.len(), self.queue.named.times.len());
    }
}

/// Timers of integers, which are their hash.
impl Timers<u64> {
    fn register(&mut self, at: i64, key: u64) -> bool {
        self.queue.register(&mut self.arena, Timestamp(at), key.hash(SEED), &[]).unwrap()
    }

    fn delete(&mut self, at: i64, key: u64) -> bool {
        self.queue.delete(&mut self.arena, Timestamp(at), key.hash(SEED), &[]).unwrap()
    }

    fn reset(&mut self, name: &str, at: i64, key: u64) -> Option<i64> {
        let name = self.queue.name(name).unwrap();
        let before = self.queue.reset(&mut self.arena, name, Timestamp(at), key.hash(SEED), &[]);
        before.unwrap().map(|at| at.0)
    }

    fn cancel(&mut self, name: &str, key: u64) -> Option<i64> {
        let name = self.queue.name(name).unwrap();
        self.queue.cancel(&mut self.arena, name, key.hash(SEED), &[]).unwrap().map(|at| at.0)
    }

    /// Fires what is due: timestamps and keys.
    fn advance(&mut self, up_to: i64) -> Vec<(i64, u64)> {
        std::iter::from_fn(|| self.pop(up_to)).map(|due| (due.at.0, key_of(due.hash))).collect()
    }
}

fn key_of(hash: KeyHash) -> u64 {
    u64::decode(hash, &[], SEED)
}

/// The pages of a checkpoint, and what the queue said of itself.
#[derive(Clone, Default)]
struct Saved {
    pages: BTreeMap<PageNo, (PageInfo, Vec<u8>)>,
    data: Vec<u8>,
}

struct FromMemory(Rc<RefCell<Saved>>);

impl PageLoader for FromMemory {
    fn load(&mut self, page: PageNo, into: &mut [u8]) -> Result<(), StateError> {
        into.copy_from_slice(&self.0.borrow().pages[&page].1);
        Ok(())
    }
}

impl Saved {
    fn arena(&self) -> Arena {
        let entries = self.pages.iter().map(|(&page, &(info, _))| (page, info.encode()));
        let loader = Box::new(FromMemory(Rc::new(RefCell::new(self.clone()))));
        Arena::restore(config(), entries, loader).unwrap()
    }

    fn timers(&self) -> SavedTimers {
        let mut input = Reader::new(&self.data);
        let saved = SavedTimers::read(&mut input).unwrap();
        input.finish().unwrap();
        saved
    }

    fn restore<K: Key + ?Sized>(&self) -> Timers<K> {
        let mut arena = self.arena();
        let queue = TimerQueue::restore(&mut arena, &name(), &self.timers()).unwrap();
        arena.discard_unclaimed();
        Timers { arena, queue }
    }
}

fn data_of<K: Key + ?Sized>(queue: &TimerQueue<K>) -> Vec<u8> {
    let mut out = Writer::new();
    queue.save(&mut out);
    out.into_bytes()
}

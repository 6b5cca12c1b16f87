//! The queue: plain and named timers together, in the order of time.

use super::index::{Index, Ready};
use super::named::{Named, TimerName, TooManyNames};
use crate::arena::{Arena, StateError, StateName};
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;

/// How many named timers that were reset to a later time one call of [`TimerQueue::pop`] puts into their new place.
const MOVES_PER_POP: usize = 32;

/// The timers of one operator on one shard, for one kind of time.
///
/// Keys are given as they travel: their hash, and their canonical encoding ([`Key::encode`]). All operations take the arena that the queue
/// was made in; their error is [`StateError`], after which the job has to go back to its last checkpoint.
///
/// ```
/// use millstream_engine::arena::{Arena, ArenaConfig, StateName};
/// use millstream_engine::element::Timestamp;
/// use millstream_engine::key::{HashSeed, Key};
/// use millstream_engine::timers::{Due, Pop, TimerQueue};
///
/// let mut arena = Arena::new(ArenaConfig::new("alerts"))?;
/// let mut timers = TimerQueue::<str>::new(&mut arena, &StateName::new("alerts", "timers"));
/// let (ada, bob) = ("ada".hash(HashSeed(42)), "bob".hash(HashSeed(42)));
///
/// assert!(timers.register(&mut arena, Timestamp(2000), ada, b"ada")?);
/// assert!(!timers.register(&mut arena, Timestamp(2000), ada, b"ada")?); // there already
/// timers.register(&mut arena, Timestamp(1000), bob, b"bob")?;
///
/// let mut fired = Vec::new();
/// let mut due = Due::default();
/// loop {
///     match timers.pop(&mut arena, Timestamp(2000), &mut due)? {
///         Pop::Due => fired.push((due.at.0, due.key.clone())),
///         Pop::Again => continue,
///         Pop::Done => break,
///     }
/// }
/// assert_eq!(fired, [(1000, b"bob".to_vec()), (2000, b"ada".to_vec())]);
/// # Ok::<(), millstream_engine::state::StateError>(())
/// ```
pub struct TimerQueue<K: Key + ?Sized> {
    pub(super) plain: Index<K, i64>,
    pub(super) named: Named<K>,
}

/// A timer that is due. To be made once and used again for every [`TimerQueue::pop`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The time it was set for.
    pub at: Timestamp,
    /// Its name, if it has one.
    pub name: Option<TimerName>,
    /// The hash of its key.
    pub hash: KeyHash,
    /// The encoding of its key; empty where the key is its hash.
    pub key: Vec<u8>,
}

/// What [`TimerQueue::pop`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pop {
    /// A timer, which is to be fired now.
    Due,
    /// Nothing yet: a piece of work was done, and there may be more. Call again, at once or in the shard's next step.
    Again,
    /// No timer is due.
    Done,
}

impl<K: Key + ?Sized> TimerQueue<K> {
    /// An empty queue; `name` is what errors say. It has no page until a timer is registered.
    pub fn new(arena: &mut Arena, name: &StateName) -> Self {
        TimerQueue { plain: Index::new(name), named: Named::empty(arena, name) }
    }

    /// How many timers there are.
    #[inline]
    pub fn len(&self) -> u64 {
        self.plain.len() + self.named.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A lower bound of the first timer's time; `None` where there is no timer.
    ///
    /// Where a [`TimerQueue::pop`] up to this time answers [`Pop::Done`], the bound is better afterwards: who sleeps until this time, pops
    /// and asks again, wakes once in vain at most for every few hundred timers.
    #[inline]
    pub fn first(&self) -> Option<Timestamp> {
        let first = match (self.plain.first(), self.named.first()) {
            (Some(plain), Some(named)) => plain.min(named),
            (plain, named) => plain.or(named)?,
        };
        Some(Timestamp(first))
    }

    /// Registers a timer. Says whether it is new: a key has at most one timer per timestamp (beside named ones). The time may have passed;
    /// the timer then is due at the next pop.
    pub fn register(
        &mut self,
        arena: &mut Arena,
        at: Timestamp,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<bool, StateError> {
        self.plain.register(arena, at.0, hash, key)
    }

    /// Deletes a timer. Says whether there was one.
    pub fn delete(
        &mut self,
        arena: &mut Arena,
        at: Timestamp,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<bool, StateError> {
        self.plain.delete(arena, at.0, hash, key)
    }

    /// The number of a name, which it keeps for good: names are saved. To be asked for once, not per record.
    ///
    /// # Errors
    /// There is no number left. Names are words of the program; what differs from timer to timer belongs into the key.
    pub fn name(&mut self, name: &str) -> Result<TimerName, TooManyNames> {
        self.named.name(name)
    }

    /// The name that a number stands for.
    ///
    /// # Panics
    /// Where the number is of another queue that has more names.
    pub fn name_of(&self, name: TimerName) -> &str {
        self.named.name_of(name)
    }

    /// Sets the timer of this name and key, in the place of the one there is. Gives the time that one was set for.
    pub fn reset(
        &mut self,
        arena: &mut Arena,
        name: TimerName,
        at: Timestamp,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<Timestamp>, StateError> {
        Ok(self.named.reset(arena, name, at.0, hash, key)?.map(Timestamp))
    }

    /// Deletes the timer of this name and key. Gives the time it was set for; `None` where there is none.
    pub fn cancel(
        &mut self,
        arena: &mut Arena,
        name: TimerName,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<Timestamp>, StateError> {
        Ok(self.named.cancel(arena, name, hash, key)?.map(Timestamp))
    }

    /// The time that the timer of this name and key is set for.
    pub fn set_for(
        &mut self,
        arena: &mut Arena,
        name: TimerName,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<Timestamp>, StateError> {
        Ok(self.named.set_for(arena, name, hash, key)?.map(Timestamp))
    }

    /// Takes the first timer out that is due at or before `up_to`, if there is one, and puts it into `due`. It is to be fired at once, before
    /// a checkpoint can begin: it is in the queue no longer.
    ///
    /// Timers come in the order of their timestamps; those of one timestamp in no particular order. Between two calls the queue may be
    /// changed in every way: what was deleted does not come, what was registered comes in its place.
    ///
    /// One call does a bounded amount of work, normally far less than a microsecond; once in a few hundred timers some ten
    /// microseconds, to read the next ones.
    pub fn pop(&mut self, arena: &mut Arena, up_to: Timestamp, due: &mut Due) -> Result<Pop, StateError> {
        for _ in 0..MOVES_PER_POP {
            let plain = match self.plain.ready(arena, up_to.0)? {
                Ready::At(at) => Some(at),
                Ready::Nothing => None,
                Ready::Again => return Ok(Pop::Again),
            };
            let named = match self.named.ready(arena, plain.unwrap_or(up_to.0))? {
                Ready::At(at) => Some(at),
                Ready::Nothing => None,
                Ready::Again => return Ok(Pop::Again),
            };
            let taken = match (plain, named) {
                (None, None) => return Ok(Pop::Done),
                (Some(plain), Some(named)) if named < plain => self.named.take(arena, due)?,
                (None, Some(_)) => self.named.take(arena, due)?,
                (Some(_), _) => self.take_plain(arena, due)?,
            };
            if taken {
                return Ok(Pop::Due);
            }
        }
        Ok(Pop::Again)
    }

    fn take_plain(&mut self, arena: &mut Arena, due: &mut Due) -> Result<bool, StateError> {
        let taken = self.plain.take(arena, |at, hash, key| {
            (due.at, due.name, due.hash) = (Timestamp(at), None, hash);
            due.key.clear();
            due.key.extend_from_slice(key);
        })?;
        Ok(taken.is_some())
    }
}

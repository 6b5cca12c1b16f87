//! What look-ups have found, for a while: the least recently used goes first.

use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;
use std::time::Duration;

use crate::element::Nanos;

/// Stands for no entry.
const NONE: usize = usize::MAX;

/// See the [module](self). It is not part of checkpoints: a job that starts begins with an empty one.
pub(super) struct Cache<K, V> {
    most: usize,
    keep_for: Duration,
    by_key: HashMap<K, usize>,
    entries: Vec<Entry<K, V>>,
    /// The ends of the list of entries, by their use.
    newest: usize,
    oldest: usize,
}

struct Entry<K, V> {
    key: K,
    /// What there is under the key; none where there is nothing.
    value: Option<Rc<V>>,
    expires: Nanos,
    newer: usize,
    older: usize,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    /// Holds at most so many keys, each for so long from when it was looked up.
    pub(super) fn new(most: usize, keep_for: Duration) -> Self {
        Cache { most, keep_for, by_key: HashMap::new(), entries: Vec::new(), newest: NONE, oldest: NONE }
    }

    /// What is known of a key: maybe that there is nothing.
    pub(super) fn get(&mut self, key: &K, now: Nanos) -> Option<Option<Rc<V>>> {
        let &at = self.by_key.get(key)?;
        if self.entries[at].expires <= now {
            return None;
        }
        self.unlink(at);
        self.link_newest(at);
        Some(self.entries[at].value.clone())
    }

    /// Keeps what a look-up has found.
    pub(super) fn put(&mut self, key: K, value: Option<Rc<V>>, now: Nanos) {
        let expires = now.after(self.keep_for);
        let at = match self.by_key.get(&key) {
            Some(&at) => {
                self.unlink(at);
                at
            }
            None if self.most == 0 => return,
            None if self.entries.len() < self.most => {
                let at = self.entries.len();
                self.by_key.insert(key.clone(), at);
                self.entries.push(Entry { key, value, expires, newer: NONE, older: NONE });
                self.link_newest(at);
                return;
            }
            None => {
                let at = self.oldest;
                self.unlink(at);
                let gone = std::mem::replace(&mut self.entries[at].key, key.clone());
                self.by_key.remove(&gone);
                self.by_key.insert(key, at);
                at
            }
        };
        (self.entries[at].value, self.entries[at].expires) = (value, expires);
        self.link_newest(at);
    }

    fn unlink(&mut self, at: usize) {
        let (newer, older) = (self.entries[at].newer, self.entries[at].older);
        match newer {
            NONE => self.newest = older,
            newer => self.entries[newer].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.entries[older].newer = newer,
        }
    }

    fn link_newest(&mut self, at: usize) {
        let before = self.newest;
        (self.entries[at].newer, self.entries[at].older) = (NONE, before);
        match before {
            NONE => self.oldest = at,
            before => self.entries[before].newer = at,
        }
        self.newest = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Get(u8),
        Put(u8, Option<u32>),
        Pass(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0u8..8).prop_map(Event::Get),
            (0u8..8, proptest::option::of(any::<u32>())).prop_map(|(key, value)| Event::Put(key, value)),
            (0u64..40).prop_map(Event::Pass),
        ]
    }

    proptest! {
        /// As a list would that is searched from one end to the other, least recently used first.
        #[test]
        fn keeps_what_a_list_would(most in 0usize..5, events in proptest::collection::vec(event(), 1..200)) {
            let mut cache = Cache::<u8, u32>::new(most, Duration::from_nanos(100));
            let mut list: Vec<(u8, Option<u32>, u64)> = Vec::new();
            let mut now = 0;
            for event in events {
                match event {
                    Event::Pass(time) => now += time,
                    Event::Get(key) => {
                        let place = list.iter().position(|entry| entry.0 == key && entry.2 > now);
                        let expected = place.map(|place| {
                            let entry = list.remove(place);
                            list.push(entry);
                            entry.1
                        });
                        prop_assert_eq!(cache.get(&key, Nanos(now)).map(|value| value.map(|value| *value)), expected);
                    }
                    Event::Put(key, value) => {
                        cache.put(key, value.map(Rc::new), Nanos(now));
                        list.retain(|entry| entry.0 != key);
                        list.push((key, value, now + 100));
                        if list.len() > most {
                            list.remove(0);
                        }
                    }
                }
            }
        }
    }
}

//! Entries of a table on their way into other tables.

use crate::arena::{Arena, StateError};
use crate::element::KeyHash;
use crate::key::Key;
use crate::record::Record;
use crate::state::Table;

/// One entry.
struct Entry<V> {
    hash: KeyHash,
    /// Where its key begins and ends.
    key: (u32, u32),
    value: V,
}

/// The entries of one page of a table, taken out of the table's arena so that others in it can be changed.
pub(super) struct Gathered<V> {
    entries: Vec<Entry<V>>,
    keys: Vec<u8>,
    hashes: Vec<KeyHash>,
}

impl<V: Record> Gathered<V> {
    pub(super) fn new() -> Self {
        Gathered { entries: Vec::new(), keys: Vec::new(), hashes: Vec::new() }
    }

    /// Takes the entries of the page where `from` lies, as far as their hashes are not less. Returns the hash to go on from.
    pub(super) fn take<K: Key + ?Sized>(
        &mut self,
        table: &Table<K, V>,
        arena: &mut Arena,
        from: KeyHash,
    ) -> Result<Option<KeyHash>, StateError> {
        self.entries.clear();
        self.keys.clear();
        let (entries, keys) = (&mut self.entries, &mut self.keys);
        let resume = table.walk(arena, from, KeyHash(u64::MAX), 1, |hash, key, value| {
            let start = keys.len() as u32;
            keys.extend_from_slice(key);
            entries.push(Entry { hash, key: (start, keys.len() as u32), value: V::owned(value) });
        })?;
        self.list_hashes();
        Ok(resume)
    }

    /// Keeps the entries with the least hashes, `entries_max` of them and those with the same hash as the last. Returns the hash to go
    /// on from, which is `resume` where nothing was left out.
    pub(super) fn cut(&mut self, entries_max: usize, resume: Option<KeyHash>) -> Option<KeyHash> {
        if self.entries.len() <= entries_max {
            return resume;
        }
        self.entries.sort_unstable_by_key(|entry| entry.hash);
        let last = self.entries[entries_max - 1].hash;
        let kept = self.entries.partition_point(|entry| entry.hash <= last);
        let next = self.entries.get(kept).map(|entry| entry.hash);
        self.entries.truncate(kept);
        self.list_hashes();
        next.or(resume)
    }

    fn list_hashes(&mut self) {
        self.hashes.clear();
        self.hashes.extend(self.entries.iter().map(|entry| entry.hash));
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn hashes(&self) -> &[KeyHash] {
        &self.hashes
    }

    pub(super) fn key(&self, index: usize) -> &[u8] {
        let (start, end) = self.entries[index].key;
        &self.keys[start as usize..end as usize]
    }

    pub(super) fn value(&self, index: usize) -> &V {
        &self.entries[index].value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{ArenaConfig, StateName};
    use crate::key::HashSeed;

    #[test]
    fn every_entry_comes_once_in_pieces_of_any_size() {
        for (keys, entries_max) in [(1000u64, 7), (1000, 32), (10, 32), (40, 1)] {
            let mut arena = Arena::new(ArenaConfig::new("test")).unwrap();
            let mut table = Table::<str, u64>::new(&mut arena, &StateName::new("test", "state"));
            for n in 0..keys {
                let key = format!("key {n}");
                table.insert(&mut arena, key.hash(HashSeed(1)), key.as_bytes(), &n).unwrap();
            }
            let mut gathered = Gathered::new();
            let (mut next, mut seen, mut pieces) = (Some(KeyHash(0)), Vec::new(), 0);
            while let Some(from) = next {
                let resume = gathered.take(&table, &mut arena, from).unwrap();
                next = gathered.cut(entries_max, resume);
                assert!(gathered.len() <= entries_max);
                for index in 0..gathered.len() {
                    let (key, value) = (gathered.key(index), *gathered.value(index));
                    assert_eq!(key, format!("key {value}").as_bytes());
                    assert_eq!(gathered.hashes()[index], str::from_utf8(key).unwrap().hash(HashSeed(1)));
                    seen.push(value);
                }
                pieces += 1;
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..keys).collect::<Vec<_>>());
            assert!(pieces >= keys as usize / entries_max);
        }
    }
}

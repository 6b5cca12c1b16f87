//! What tables look like: how much room they take, how chains, merges and empty regions behave.

use super::super::{StateError, Table};
use super::kinds::*;
use super::model::contents;
use crate::arena::{Arena, ArenaConfig, MemoryBudget, PageKind, PageNo};
use crate::element::{KeyGroups, KeyHash, ShardId};
use crate::limits::PAGE_BYTES;

fn arena() -> Arena {
    Arena::new(config()).unwrap()
}

#[test]
fn ten_thousand_equal_hashes_chain() {
    let mut arena = arena();
    let mut table = Table::<Fixed8, P64>::new(&mut arena, &name());
    let count = if cfg!(miri) { 300 } else { 10_000u64 };
    for n in 0..count {
        assert!(table.insert(&mut arena, KeyHash(7), &n.to_le_bytes(), &P64(n)).unwrap());
    }
    assert!(arena.pages_in_use() < 90, "{}", arena.pages_in_use());
    for n in (0..count).step_by(97) {
        assert_eq!(table.get(&mut arena, KeyHash(7), &n.to_le_bytes(), |v| v.0).unwrap(), Some(n));
    }
    // One with another hash makes the chain's region split: both halves stay whole.
    assert!(table.insert(&mut arena, KeyHash(u64::MAX), &[1; 8], &P64(1)).unwrap());
    for n in 0..count {
        assert!(table.remove(&mut arena, KeyHash(7), &n.to_le_bytes()).unwrap());
    }
    assert_eq!(table.len(), 1);
    assert_eq!(arena.pages_in_use(), 1);
}

#[test]
fn a_chain_splits_with_its_page() {
    let mut arena = arena();
    let mut table = Table::<Fixed8, P64>::new(&mut arena, &name());
    // Two hashes that differ in a low bit chain; one is removed bit by bit and others, far away, take its room in the first page.
    for n in 0..1000u64 {
        table.insert(&mut arena, KeyHash(n % 2), &n.to_le_bytes(), &P64(n)).unwrap();
    }
    for n in 0..400u64 {
        table.remove(&mut arena, KeyHash(n % 2), &n.to_le_bytes()).unwrap();
    }
    for n in 1000..1600u64 {
        table.insert(&mut arena, KeyHash(mix(n)), &n.to_le_bytes(), &P64(n)).unwrap();
    }
    let all = contents(&mut arena, &table, 1);
    let numbers: Vec<u64> = {
        let mut numbers: Vec<_> =
            all.keys().map(|(_, key)| u64::from_le_bytes(key[..].try_into().unwrap())).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers, (400..1600).collect::<Vec<_>>());
}

#[test]
fn a_shard_with_few_key_groups_wastes_no_pages() {
    let mut arena = arena();
    let mut table = Table::<K64, P64>::new(&mut arena, &name());
    let groups = KeyGroups::of_shard(ShardId(7), 1024);
    let (first, span) = (groups.first_hash().0, groups.last_hash().unwrap().0 - groups.first_hash().0);
    for n in 0..2000 {
        let hash = first + ((u128::from(mix(n)) * u128::from(span)) >> 64) as u64;
        table.insert(&mut arena, KeyHash(hash), &[], &P64(n)).unwrap();
    }
    let bytes = u64::from(arena.pages_in_use()) * PAGE_BYTES as u64 / 2000;
    assert!(bytes <= 40, "{bytes} bytes per key");
}

#[test]
fn a_small_table_takes_one_page_and_an_empty_one_none() {
    let mut arena = arena();
    let mut table = Table::<K64, P64>::new(&mut arena, &name());
    assert_eq!(arena.pages_in_use(), 0);
    for n in 0..200 {
        table.insert(&mut arena, KeyHash(mix(n)), &[], &P64(n)).unwrap();
    }
    assert_eq!(arena.pages_in_use(), 1);
}

#[test]
fn sparse_neighbours_merge() {
    let mut arena = arena();
    let mut table = Table::<K64, P64>::new(&mut arena, &name());
    for n in 0..5000 {
        table.insert(&mut arena, KeyHash(mix(n)), &[], &P64(n)).unwrap();
    }
    assert!(arena.pages_in_use() > 20);
    for n in 100..5000 {
        table.remove(&mut arena, KeyHash(mix(n)), &[]).unwrap();
    }
    assert!(arena.pages_in_use() <= 6, "{}", arena.pages_in_use());
    assert_eq!(contents(&mut arena, &table, 1).len(), 100);
}

#[test]
fn freed_slots_and_extents_are_used_again() {
    let mut arena = arena();
    let mut table = Table::<Text, Bytes>::new(&mut arena, &name());
    let mut most = 0;
    for round in 0..20u64 {
        for n in 0..200 {
            let (hash, key) = Text::make(n);
            table.insert(&mut arena, hash, &key, &Bytes::make(n * 31 + round)).unwrap();
        }
        for n in 0..200 {
            let (hash, key) = Text::make(n);
            table.remove(&mut arena, hash, &key).unwrap();
        }
        assert_eq!(arena.pages_in_use(), 0);
        if round == 4 {
            most = arena.bytes_charged();
        }
    }
    assert!(arena.bytes_charged() <= most * 3 / 2, "{} {most}", arena.bytes_charged());
}

#[test]
fn the_budget_is_kept_and_the_error_says_whose_state_it_was() {
    let budget = MemoryBudget::new(10 * PAGE_BYTES as u64);
    let mut arena = Arena::new(ArenaConfig { budget: budget.clone(), ..config() }).unwrap();
    let mut table = Table::<K64, P64>::new(&mut arena, &name());
    let error = (0..).find_map(|n| table.insert(&mut arena, KeyHash(mix(n)), &[], &P64(n)).err()).unwrap();
    assert_eq!(
        error.to_string(),
        "operator `count`, state `sum`: the job's memory budget of 40960 bytes is used up (40960 bytes in use); give the job a \
         larger budget (Job::memory_limit), let state expire, or let what does not fit lie on disk (Job::spill_state)"
    );
    drop(arena);
    assert_eq!(budget.used(), 0);
}

#[test]
fn the_reservation_has_an_end() {
    let mut arena = Arena::new(ArenaConfig { pages_max: 5, ..config() }).unwrap();
    let mut table = Table::<K64, P64>::new(&mut arena, &name());
    let error = (0..).find_map(|n| table.insert(&mut arena, KeyHash(mix(n)), &[], &P64(n)).err()).unwrap();
    assert!(matches!(error, StateError::ReservationFull { pages: 5, .. }));
}

#[test]
fn dropped_tables_give_their_pages_back_bit_by_bit() {
    let mut arena = arena();
    let mut table = Table::<K64, P64>::new(&mut arena, &name());
    for n in 0..5000 {
        table.insert(&mut arena, KeyHash(mix(n)), &[], &P64(n)).unwrap();
    }
    let pages = arena.pages_in_use();
    table.discard(&mut arena);
    assert_eq!(arena.pages_in_use(), pages);
    assert!(arena.reclaim(10));
    assert_eq!(arena.pages_in_use(), pages - 10);
    // A table that needs pages takes them from there.
    let charged = arena.bytes_charged();
    let mut other = Table::<K64, P64>::new(&mut arena, &name());
    for n in 0..2000 {
        other.insert(&mut arena, KeyHash(mix(n)), &[], &P64(n)).unwrap();
    }
    assert_eq!(arena.bytes_charged(), charged);
    assert_eq!(arena.info(PageNo(1)).kind, PageKind::Table);
}

#[test]
fn a_walk_goes_on_where_it_stopped_though_the_table_changes() {
    let mut arena = arena();
    let mut table = Table::<K64, P64>::new(&mut arena, &name());
    for n in 0..4000 {
        table.insert(&mut arena, KeyHash(mix(n)), &[], &P64(n)).unwrap();
    }
    let (first, last) = (KeyHash(1 << 60), KeyHash((1 << 63) - 1));
    let mut seen = Vec::new();
    let (mut from, mut n) = (Some(first), 4000);
    while let Some(at) = from {
        from = table.walk(&mut arena, at, last, 1, |_, _, v| seen.push(v.0)).unwrap();
        for _ in 0..300 {
            table.insert(&mut arena, KeyHash(mix(n)), &[], &P64(n)).unwrap();
            table.remove(&mut arena, KeyHash(mix(n - 4000 + 2000)), &[]).unwrap();
            n += 1;
        }
    }
    seen.sort_unstable();
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "no key is shown twice");
    let stayed: Vec<u64> = (0..2000).filter(|&n| (first.0..=last.0).contains(&mix(n))).collect();
    assert_eq!(seen.iter().copied().filter(|&n| n < 2000).collect::<Vec<_>>(), stayed);
}

//! Checkpoints of tables: what the model tests do not reach.

use super::super::Table;
use super::kinds::*;
use super::model::{contents, restore};
use crate::arena::{Arena, PageNo};
use crate::element::{Epoch, KeyHash};

fn filled(count: u64) -> (Arena, Table<K64, P64>) {
    let mut arena = Arena::new(config()).unwrap();
    let mut table = Table::new(&mut arena, &name());
    for n in 0..count {
        table.insert(&mut arena, KeyHash(mix(n)), &[], &P64(n)).unwrap();
    }
    (arena, table)
}

fn save_all(arena: &mut Arena, epoch: u64) -> Vec<PageNo> {
    let mut pages = Vec::new();
    arena.begin_checkpoint(Epoch(epoch));
    assert!(arena.save_some(usize::MAX, &mut |page| pages.push(page.page)).unwrap());
    arena.finish_checkpoint();
    pages
}

#[test]
fn only_pages_written_since_the_last_checkpoint_are_saved() {
    let (mut arena, mut table) = filled(5000);
    assert_eq!(save_all(&mut arena, 1).len() as u32, arena.pages_in_use());
    assert!(save_all(&mut arena, 2).is_empty());
    table.update(&mut arena, KeyHash(mix(17)), &[], || P64(0), |v| v.0 += 1).unwrap();
    table.get(&mut arena, KeyHash(mix(99)), &[], |_| ()).unwrap();
    assert_eq!(save_all(&mut arena, 3).len(), 1);
}

#[test]
fn an_aborted_checkpoint_hands_its_pages_on() {
    let (mut arena, mut table) = filled(5000);
    let all = arena.pages_in_use() as usize;
    arena.begin_checkpoint(Epoch(1));
    arena.save_some(all / 2, &mut |_| {}).unwrap();
    table.update(&mut arena, KeyHash(mix(17)), &[], || P64(0), |v| v.0 += 1).unwrap();
    arena.abort_checkpoint();
    assert_eq!(arena.pages_in_use() as usize, all);
    assert_eq!(save_all(&mut arena, 2).len(), all);
}

#[test]
fn pages_of_a_dropped_table_are_not_saved_and_are_reported_as_removed() {
    let (mut arena, table) = filled(5000);
    let saved = save_all(&mut arena, 1);
    table.discard(&mut arena);
    assert!(save_all(&mut arena, 2).is_empty());
    while arena.reclaim(8) {}
    arena.begin_checkpoint(Epoch(3));
    let mut removed = arena.removed_pages().to_vec();
    removed.sort_unstable();
    let mut expected = saved;
    expected.sort_unstable();
    assert_eq!(removed, expected);
}

#[test]
fn a_table_dropped_while_a_checkpoint_runs_is_in_it() {
    let (mut arena, table) = filled(3000);
    let before = contents(&mut arena, &table, 9);
    let meta = table.meta();
    arena.begin_checkpoint(Epoch(1));
    table.discard(&mut arena);
    while arena.reclaim(8) {}
    // Its pages must not be given to another table yet.
    let mut other = Table::<K64, P64>::new(&mut arena, &name());
    for n in 0..3000 {
        other.insert(&mut arena, KeyHash(mix(n)), &[], &P64(n + 1)).unwrap();
    }
    let mut pages = std::collections::BTreeMap::new();
    while !arena
        .save_some(3, &mut |page| {
            pages.insert(page.page, (page.info, page.bytes.to_vec()));
        })
        .unwrap()
    {}
    arena.finish_checkpoint();
    let (mut restored, table) = restore::<K64, P64, super::super::probe::Native>(&pages, meta).unwrap();
    assert_eq!(contents(&mut restored, &table, 9), before);
}

#[test]
fn clean_pages_can_be_marked_for_rewriting() {
    let (mut arena, mut table) = filled(5000);
    let saved = save_all(&mut arena, 1);
    arena.begin_checkpoint(Epoch(2));
    table.update(&mut arena, KeyHash(mix(17)), &[], || P64(0), |v| v.0 += 1).unwrap();
    assert_eq!(arena.mark_for_rewrite(saved[..4].to_vec()), 0);
    assert!(arena.save_some(9, &mut |_| panic!("nothing was written before")).unwrap());
    arena.finish_checkpoint();
    let again = save_all(&mut arena, 3);
    assert!(again.len() >= 4 && again.len() <= 5, "{}", again.len());
}

#[test]
fn turns_start_anew_after_the_last() {
    let (mut arena, mut table) = filled(5000);
    let all = save_all(&mut arena, 1).len();
    table.update(&mut arena, KeyHash(mix(17)), &[], || P64(0), |v| v.0 += 1).unwrap();
    arena.set_turn_near_its_end();
    assert_eq!(save_all(&mut arena, 2).len(), 1);
    table.update(&mut arena, KeyHash(mix(18)), &[], || P64(0), |v| v.0 += 1).unwrap();
    assert_eq!(save_all(&mut arena, 3).len(), 1);
    for n in 0..5000 {
        table.update(&mut arena, KeyHash(mix(n)), &[], || P64(0), |v| v.0 += 1).unwrap();
    }
    assert_eq!(save_all(&mut arena, 4).len(), all);
}

#[test]
fn a_restored_table_is_usable_before_its_pages_are_there() {
    let (mut arena, table) = filled(20_000);
    let meta = table.meta();
    let mut pages = std::collections::BTreeMap::new();
    arena.begin_checkpoint(Epoch(1));
    let done = arena.save_some(usize::MAX, &mut |page| {
        pages.insert(page.page, (page.info, page.bytes.to_vec()));
    });
    done.unwrap();
    let (mut arena, mut table) = restore::<K64, P64, super::super::probe::Native>(&pages, meta).unwrap();
    assert_eq!(table.len(), 20_000);
    assert_eq!(arena.missing(), pages.len() as u32);
    table.update(&mut arena, KeyHash(mix(17)), &[], || P64(0), |v| v.0 += 1).unwrap();
    assert_eq!(arena.missing(), pages.len() as u32 - 1);
    assert_eq!(save_all(&mut arena, 2).len(), 1);
    let mut at = PageNo(1);
    while let Some(next) = arena.load_some(at, 10).unwrap() {
        at = next;
    }
    assert_eq!(arena.missing(), 0);
    assert_eq!(table.get(&mut arena, KeyHash(mix(17)), &[], |v| v.0).unwrap(), Some(18));
}

#[test]
fn copies_for_a_checkpoint_are_not_taken_for_missing_pages() {
    let (mut arena, table) = filled(2000);
    let meta = table.meta();
    let mut pages = std::collections::BTreeMap::new();
    arena.begin_checkpoint(Epoch(1));
    let done = arena.save_some(usize::MAX, &mut |page| {
        pages.insert(page.page, (page.info, page.bytes.to_vec()));
    });
    done.unwrap();
    let (mut arena, mut table) = restore::<K64, P64, super::super::probe::Native>(&pages, meta).unwrap();
    let mut count = |arena: &mut Arena| {
        table.update(arena, KeyHash(mix(17)), &[], || P64(0), |v| v.0 += 1).unwrap();
    };
    count(&mut arena);
    arena.begin_checkpoint(Epoch(2));
    count(&mut arena);
    assert_eq!(arena.missing_pages(PageNo(1)).count() as u32, arena.missing());
    assert_eq!(arena.load_some(PageNo(1), usize::MAX).unwrap(), None);
}

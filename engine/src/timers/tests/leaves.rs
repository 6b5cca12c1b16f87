//! What the leaves of an index look like: how much room they take, how they split and merge.

use super::super::index::LEAF_TIMERS;
use super::*;

#[test]
fn few_timers_take_one_page_however_far_apart() {
    let mut timers = Timers::new();
    for n in 0..100u64 {
        timers.register(n as i64 * 1_000_000_007 - i64::MAX / 2, n);
    }
    assert_eq!(timers.arena.pages_in_use(), 1);
    timers.check();
}

/// Timers in some order, the same afterwards; how many leaves they make.
fn leaves_of(times: impl Iterator<Item = i64>) -> usize {
    let mut timers = Timers::new();
    let mut expected: Vec<(i64, u64)> = times.enumerate().map(|(n, at)| (at, n as u64)).collect();
    for &(at, key) in &expected {
        assert!(timers.register(at, key));
    }
    timers.check();
    let leaves = timers.queue.plain.leaves().len();
    let fired = timers.advance(i64::MAX);
    assert!(fired.is_sorted_by_key(|(at, _)| *at));
    let mut fired = fired;
    fired.sort_unstable();
    expected.sort_unstable();
    assert!(fired == expected);
    assert_eq!(timers.arena.pages_in_use(), 0);
    leaves
}

#[test]
fn leaves_are_well_filled_in_whatever_order_timers_come() {
    let count = 8 * LEAF_TIMERS as i64;
    assert_eq!(leaves_of(0..count), 8);
    assert_eq!(leaves_of((0..count).rev()), 8);
    let shuffled = leaves_of((0..count).map(|n| n.wrapping_mul(7919) % count));
    assert!((8..=16).contains(&shuffled), "{shuffled}");
    // From both ends, and from the middle.
    let zigzag = leaves_of((0..count).map(|n| if n % 2 == 0 { n } else { -n }));
    assert!((8..=20).contains(&zigzag), "{zigzag}");
    let steps = leaves_of((0..count).map(|n| n / 400));
    assert!((6..=14).contains(&steps), "{steps}");
}

#[test]
fn a_leaf_of_one_tick_grows_and_its_neighbours_do_not() {
    let count = 5 * LEAF_TIMERS as i64;
    assert_eq!(leaves_of((0..count).map(|_| 7)), 1);
    assert_eq!(leaves_of((0..count).map(|n| if n % 100 == 0 { n } else { 7000 })), 2);
}

#[test]
fn a_leaf_that_was_split_at_a_time_that_only_few_share_keeps_both_parts() {
    let mut timers = Timers::new();
    timers.register(0, 0);
    for key in 1..=LEAF_TIMERS + 10 {
        timers.register(1, key);
    }
    timers.check();
    let starts: Vec<i64> = timers.queue.plain.leaves().map(|(start, _)| start).collect();
    assert_eq!(starts, [0, 1]);
    // Timers around a leaf of one tick go beside it.
    timers.register(2, 0);
    timers.register(-1, 0);
    timers.check();
    assert_eq!(timers.advance(0), [(-1, 0), (0, 0)]);
}

#[test]
fn sparse_leaves_merge() {
    let mut timers = Timers::new();
    let count = 20 * LEAF_TIMERS;
    for n in 0..count {
        timers.register(n as i64, n);
    }
    assert_eq!(timers.queue.plain.leaves().len(), 20);
    for n in (0..count).filter(|n| n % 100 != 0) {
        timers.delete(n as i64, n);
    }
    timers.check();
    let leaves = timers.queue.plain.leaves().len();
    assert!(leaves <= 3, "{leaves}");
    assert!(timers.arena.pages_in_use() <= 4, "{}", timers.arena.pages_in_use());
    assert_eq!(timers.advance(i64::MAX).len() as u64, count.div_ceil(100));
}

#[test]
fn tables_are_used_again() {
    let mut timers = Timers::new();
    timers.register(0, 0);
    let table = timers.queue.plain.leaves().next().unwrap().1.table.id();
    for n in 1..1000 {
        timers.advance(n - 1);
        timers.register(n, 0);
    }
    assert_eq!(timers.queue.plain.leaves().next().unwrap().1.table.id(), table);
}

#[test]
fn a_big_tick_is_fired_in_pieces_while_others_come_and_go() {
    let mut timers = Timers::new();
    let count = 10 * LEAF_TIMERS;
    for key in 0..count {
        timers.register(1000, key);
    }
    let (mut fired, mut more) = (Vec::new(), count);
    while let Some(due) = timers.pop(1000) {
        fired.push((due.at.0, key_of(due.hash)));
        match fired.len() % 100 {
            // To the same tick, to one before, to one after.
            0 if more < count + 40 => {
                for at in [1000, 10 + fired.len() as i64 % 900, 1000 + more as i64] {
                    timers.register(at, more);
                }
                more += 1;
            }
            // One of the same tick that has not fired yet.
            50 => {
                let gone = (0..count).find(|&key| timers.delete(1000, key));
                fired.extend(gone.map(|key| (1000, key)));
            }
            _ => {}
        }
        if fired.len().is_multiple_of(333) {
            timers.check();
        }
    }
    timers.check();
    let mut at_1000: Vec<u64> = fired.iter().filter(|(at, _)| *at == 1000).map(|(_, key)| *key).collect();
    at_1000.sort_unstable();
    assert!(at_1000.into_iter().eq(0..more));
    assert_eq!(timers.queue.len(), more - count);
    assert_eq!(fired.iter().filter(|(at, _)| *at < 1000).count() as u64, more - count);
}

#[test]
fn resetting_to_a_later_time_moves_nothing() {
    let mut timers = Timers::new();
    timers.reset("idle", 10, 1);
    for at in 11..1000 {
        timers.reset("idle", at, 1);
        assert_eq!(timers.queue.named.index.len(), 1);
    }
    assert_eq!(timers.queue.first(), Some(Timestamp(10)), "a lower bound");
    assert_eq!(timers.advance(998), []);
    assert_eq!(timers.queue.first(), Some(Timestamp(999)));
    assert_eq!(timers.advance(999), [(999, 1)]);
    assert!(timers.queue.is_empty());
}

//! The rows of the parity table that a queue answers for.

use super::super::Overdue;
use super::*;

#[test]
fn pf_03_a_timer_registered_again_fires_once() {
    let mut timers = Timers::new();
    assert!(timers.register(1000, 7));
    assert!(!timers.register(1000, 7));
    assert!(!timers.register(1000, 7));
    assert!(timers.register(2000, 7));
    assert!(timers.register(1000, 8));
    assert_eq!(timers.queue.len(), 3);
    let mut fired = timers.advance(1500);
    fired.sort_unstable();
    assert_eq!(fired, [(1000, 7), (1000, 8)]);
    assert_eq!(timers.advance(5000), [(2000, 7)]);
    // Fired is gone: it may come again.
    assert!(timers.register(1000, 7));
}

#[test]
fn pf_04_timers_fire_in_order_up_to_the_watermark() {
    let mut timers = Timers::new();
    for at in [3, 1, 2] {
        timers.register(at, 7);
    }
    assert_eq!(timers.queue.first(), Some(Timestamp(1)));
    assert_eq!(timers.advance(2), [(1, 7), (2, 7)]);
    assert_eq!(timers.queue.first(), Some(Timestamp(3)));
    assert_eq!(timers.advance(2), []);
    assert_eq!(timers.advance(i64::MAX), [(3, 7)]);
    assert_eq!(timers.queue.first(), None);
}

#[test]
fn pf_04_what_a_callback_registers_fires_in_the_same_advance_in_its_place() {
    let mut timers = Timers::new();
    timers.register(10, 1);
    timers.register(30, 3);
    let mut fired = Vec::new();
    while let Some(due) = timers.pop(30) {
        fired.push((due.at.0, key_of(due.hash)));
        if due.at.0 == 10 {
            timers.register(20, 2); // between
            timers.register(30, 4); // at the watermark
            timers.register(5, 5); // before what has fired
            timers.register(31, 6); // after the watermark
        }
    }
    fired[3..].sort_unstable();
    assert_eq!(fired, [(10, 1), (5, 5), (20, 2), (30, 3), (30, 4)]);
    assert_eq!(timers.queue.len(), 1);
}

#[test]
fn pf_05_deleted_timers_do_not_fire_and_unknown_ones_do_no_harm() {
    let mut timers = Timers::new();
    timers.register(1000, 7);
    timers.register(1000, 8);
    assert!(!timers.delete(999, 7));
    assert!(!timers.delete(1000, 9));
    assert!(timers.delete(1000, 7));
    assert!(!timers.delete(1000, 7));
    assert_eq!(timers.advance(5000), [(1000, 8)]);
    assert!(!timers.delete(1000, 8));
}

#[test]
fn pf_05_a_callback_deletes_a_timer_that_is_due_too() {
    let mut timers = Timers::new();
    for key in 1..=3 {
        timers.register(1000, key);
    }
    let first = timers.pop(1000).unwrap();
    let others: Vec<u64> = (1..=3).filter(|&key| key != key_of(first.hash)).collect();
    assert!(timers.delete(1000, others[0]));
    assert_eq!(timers.advance(1000), [(1000, others[1])]);
}

/// A queue with timers at 100 (keys 0 to 9), restored at 500.
fn restored() -> Timers<u64> {
    let mut timers = Timers::new();
    for key in 0..10 {
        timers.register(100, key);
    }
    timers.register(90, 0);
    timers.reset("idle", 50, 3);
    timers.reset("idle", 900, 3);
    timers.reset("idle", 120, 4);
    checkpoints::save(&mut timers, 1).restore()
}

#[test]
fn pf_06_overdue_timers_fire_at_once_after_a_restore() {
    let mut timers = restored();
    assert_eq!(timers.queue.apply_overdue(&mut timers.arena, Overdue::Fire, Timestamp(500)).unwrap(), 0);
    let fired = timers.advance(500);
    assert_eq!((fired.len(), fired[0], fired[11]), (12, (90, 0), (120, 4)));
    assert_eq!(timers.advance(500), []);
    assert_eq!(timers.advance(900), [(900, 3)]);
}

#[test]
fn pf_06_overdue_timers_are_skipped() {
    let mut timers = restored();
    assert_eq!(timers.queue.apply_overdue(&mut timers.arena, Overdue::Skip, Timestamp(500)).unwrap(), 12);
    assert_eq!(timers.advance(i64::MAX), [(900, 3)]);
}

#[test]
fn pf_06_overdue_timers_are_spread_over_the_time_to_come() {
    let mut timers = restored();
    let policy = Overdue::Reschedule { within: 100 };
    assert_eq!(timers.queue.apply_overdue(&mut timers.arena, policy, Timestamp(500)).unwrap(), 12);
    assert_eq!(timers.advance(500), []);
    let fired = timers.advance(601);
    assert_eq!(fired.len(), 12);
    let of_key_0: Vec<i64> = fired.iter().filter(|(_, key)| *key == 0).map(|(at, _)| *at).collect();
    assert_eq!(of_key_0, [of_key_0[0], of_key_0[0] + 1], "both timers of a key fire");
    assert!(fired[11].0 - fired[0].0 > 30, "{fired:?}");
    // At the end of time there is no later.
    let mut timers = restored();
    timers.queue.apply_overdue(&mut timers.arena, policy, Timestamp::MAX).unwrap();
    assert_eq!(timers.queue.first(), Some(Timestamp::MAX));
}

#[test]
fn pf_07_a_million_timers_in_a_second_come_in_bounded_pieces() {
    let mut timers = Timers::new();
    let count = large::count();
    for n in 0..count {
        timers.register((n * 1000 / count) as i64, n);
    }
    // What one call brings into memory, at most, besides what it hands out.
    let mut fired = 0;
    while timers.pop(1000).is_some() {
        fired += 1;
        assert!(timers.queue.plain.in_front() <= 2048);
    }
    assert_eq!(fired, count);
}

#[test]
fn pf_08_a_timer_for_the_past_fires_with_the_next_watermark() {
    let mut timers = Timers::new();
    timers.register(100, 1);
    assert_eq!(timers.advance(100), [(100, 1)]);
    timers.register(50, 2);
    assert_eq!(timers.queue.first(), Some(Timestamp(50)));
    assert_eq!(timers.advance(100), [(50, 2)]);
    timers.register(i64::MIN, 3);
    timers.register(i64::MAX, 4);
    assert_eq!(timers.advance(i64::MIN), [(i64::MIN, 3)]);
    assert_eq!(timers.advance(i64::MAX), [(i64::MAX, 4)]);
}

#[test]
fn a_named_timer_replaces_the_one_before() {
    let mut timers = Timers::new();
    assert_eq!(timers.reset("idle", 100, 7), None);
    assert_eq!(timers.reset("idle", 200, 7), Some(100));
    assert_eq!(timers.reset("close", 150, 7), None);
    timers.register(200, 7);
    assert_eq!(timers.queue.len(), 3);
    let names: Vec<_> = std::iter::from_fn(|| timers.pop(200))
        .map(|due| (due.at.0, due.name.map(|name| timers_name(name.0))))
        .collect();
    assert_eq!(names, [(150, Some("close")), (200, None), (200, Some("idle"))]);
    // Earlier replaces, too.
    timers.reset("idle", 500, 7);
    assert_eq!(timers.reset("idle", 300, 7), Some(500));
    assert_eq!(timers.advance(400), [(300, 7)]);
    assert_eq!(timers.advance(600), []);
    // Deleting.
    timers.reset("idle", 700, 7);
    timers.reset("idle", 800, 7);
    assert_eq!(timers.cancel("idle", 7), Some(800));
    assert_eq!(timers.cancel("idle", 7), None);
    assert_eq!(timers.advance(900), []);
    assert!(timers.queue.is_empty());
    assert_eq!(timers.arena.pages_in_use(), 0);
}

fn timers_name(number: u16) -> &'static str {
    ["idle", "close"][usize::from(number)]
}

#[test]
fn names_have_an_end() {
    let mut timers = Timers::<u64>::new();
    let first = timers.queue.name("n0").unwrap();
    timers.queue.named.names = (0..=u16::MAX).map(|n| format!("n{n}").into()).collect();
    assert_eq!(timers.queue.name("n0").unwrap(), first);
    assert_eq!(timers.queue.name_of(first), "n0");
    let error = timers.queue.name("idle").unwrap_err().to_string();
    assert!(error.starts_with("timer `idle`: the operator already has 65536 names of timers"), "{error}");
}

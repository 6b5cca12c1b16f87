use std::time::Duration;

use super::super::{HeldBack, PartitionState, Signal, Tick, Watermarks};
use super::*;

fn plan(idle_nanos: Option<u64>) -> WatermarkPlan {
    let strategy = Watermarks::monotonous();
    let strategy = match idle_nanos {
        Some(nanos) => strategy.with_idleness(Duration::from_nanos(nanos)),
        None => strategy,
    };
    strategy.plan(Tick::Millisecond).unwrap()
}

fn clock(partitions: usize, idle_nanos: Option<u64>) -> SourceClock {
    let mut clock = SourceClock::new(false);
    for i in 0..partitions {
        clock.add(PartitionId(format!("p{i}")), &plan(idle_nanos), Nanos(0));
    }
    clock
}

/// A record that brings the partition's watermark to `watermark`.
fn record(clock: &mut SourceClock, partition: usize, watermark: i64, now: u64) {
    clock.on_record(partition, Timestamp(watermark + 1));
    clock.on_batch(partition, Nanos(now));
}

fn advance(clock: &mut SourceClock, now: u64) -> Vec<Signal> {
    clock.advance(Nanos(now)).into_iter().collect()
}

fn wm(ticks: i64) -> Signal {
    Signal::Advance(Timestamp(ticks))
}

#[test]
fn tm_09_the_minimum_over_the_partitions() {
    let mut clock = clock(2, None);
    record(&mut clock, 0, 10, 0);
    assert_eq!(advance(&mut clock, 0), []);
    record(&mut clock, 1, 4, 1);
    assert_eq!(advance(&mut clock, 1), [wm(4)]);
    assert_eq!(advance(&mut clock, 2), []);
    record(&mut clock, 1, 12, 3);
    assert_eq!(advance(&mut clock, 3), [wm(10)]);
}

#[test]
fn tm_11_one_empty_partition_of_four_holds_until_it_is_idle() {
    let mut without = clock(4, None);
    for partition in [0, 1, 2] {
        record(&mut without, partition, 100, 5);
    }
    assert_eq!(advance(&mut without, u64::MAX), []);
    let Standstill::HeldBack(held) = without.held_back_by() else { panic!("the empty partition holds") };
    assert_eq!(without.name(held.input).0, "p3");
    assert_eq!(
        without.held_back_by().describe(Nanos(2_000), |input| without.name(input).0.clone()),
        "p3 holds event time at -inf since 2µs; the furthest other input is at 100"
    );

    let mut with = clock(4, Some(10));
    assert_eq!(with.next_deadline(), Some(Nanos(10)));
    for partition in [0, 1, 2] {
        record(&mut with, partition, 100, 5);
    }
    assert_eq!(advance(&mut with, 9), []);
    assert_eq!(with.next_deadline(), Some(Nanos(10)));
    assert_eq!(advance(&mut with, 10), [wm(100)]);
    assert_eq!(with.next_deadline(), Some(Nanos(15)));
}

#[test]
fn tm_11_time_in_which_the_shard_is_blocked_does_not_count() {
    let mut clock = clock(1, Some(10));
    record(&mut clock, 0, 1, 100);
    assert_eq!(advance(&mut clock, 100), [wm(1)]);
    clock.block(Nanos(104));
    clock.block(Nanos(106));
    assert_eq!(clock.next_deadline(), None);
    assert_eq!(advance(&mut clock, 1_000), []);
    clock.unblock(Nanos(1_104));
    clock.unblock(Nanos(1_105));
    assert_eq!(clock.next_deadline(), Some(Nanos(1_110)));
    assert_eq!(advance(&mut clock, 1_109), []);
    assert_eq!(advance(&mut clock, 1_110), [Signal::Idle]);
}

#[test]
fn tm_12_all_idle_concludes_on_the_maximum_once() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut clock = clock(2, Some(10));
        record(&mut clock, first, if first == 0 { 5 } else { 4 }, 0);
        record(&mut clock, second, if second == 0 { 5 } else { 4 }, 3);
        assert_eq!(advance(&mut clock, 3), [wm(4)]);
        let when_first_is_idle = advance(&mut clock, 10);
        let when_both_are = advance(&mut clock, 13);
        let all: Vec<_> = when_first_is_idle.into_iter().chain(when_both_are).collect();
        assert_eq!(all, [wm(5), Signal::Idle]);
        assert_eq!(advance(&mut clock, 50), []);
        assert_eq!(clock.held_back_by(), Standstill::AllIdle);
    }
}

#[test]
fn tm_13_a_partition_that_comes_back_holds_until_it_has_caught_up() {
    let mut clock = clock(2, Some(10));
    record(&mut clock, 0, 100, 0);
    assert_eq!(advance(&mut clock, 10), [wm(100), Signal::Idle]);
    record(&mut clock, 1, 50, 11);
    assert_eq!(advance(&mut clock, 11), [Signal::Active]);
    record(&mut clock, 0, 120, 12);
    assert_eq!(advance(&mut clock, 12), []);
    assert_eq!(clock.watermark(), Timestamp(100));
    let held =
        HeldBack { input: 1, watermark: Timestamp(50), since: Nanos(11), others_max: Some(Timestamp(120)) };
    assert_eq!(clock.held_back_by(), Standstill::HeldBack(held));
    record(&mut clock, 1, 110, 13);
    assert_eq!(advance(&mut clock, 13), [wm(110)]);
}

#[test]
fn a_shard_without_partitions_is_idle_or_has_ended() {
    let mut unbounded = SourceClock::new(false);
    assert_eq!(advance(&mut unbounded, 0), [Signal::Idle]);
    assert_eq!(advance(&mut unbounded, 1), []);
    assert_eq!(unbounded.held_back_by(), Standstill::AllIdle);
    let mut bounded = SourceClock::new(true);
    assert_eq!(advance(&mut bounded, 0), [Signal::Advance(Timestamp::MAX), Signal::End]);
    assert_eq!(advance(&mut bounded, 1), []);
    assert_eq!(bounded.held_back_by(), Standstill::Ended);
}

#[test]
fn an_ended_partition_neither_holds_nor_drives() {
    let mut clock = clock(2, Some(10));
    record(&mut clock, 0, 7, 0);
    record(&mut clock, 1, 9, 5);
    clock.end(0);
    assert_eq!(advance(&mut clock, 5), [wm(9)]);
    assert_eq!(advance(&mut clock, 15), [Signal::Idle]);
    record(&mut clock, 1, 10, 20);
    assert_eq!(advance(&mut clock, 20), [Signal::Active, wm(10)]);
    clock.end(1);
    assert_eq!(advance(&mut clock, 20), [Signal::Advance(Timestamp::MAX), Signal::End]);
}

#[test]
fn tm_16_partitions_go_on_where_they_were() {
    let mut old = clock(3, Some(10));
    record(&mut old, 0, 40, 0);
    record(&mut old, 1, 50, 8);
    old.end(2);
    assert_eq!(advance(&mut old, 10), [wm(50)]);
    let saved: Vec<_> = old.save().map(|(name, state)| (name.clone(), state)).collect();

    let mut new = SourceClock::new(false);
    for (name, state) in &saved {
        new.restore(name.clone(), &plan(Some(10)), state, Nanos(1_000));
    }
    new.restore_output(old.watermark());
    assert_eq!(new.restate().into_iter().collect::<Vec<_>>(), [wm(50)]);
    // p0 was idle and still is; p1 holds the watermark where it was.
    assert_eq!(advance(&mut new, 1_000), []);
    record(&mut new, 1, 60, 1_001);
    assert_eq!(advance(&mut new, 1_001), [wm(60)]);
}

#[test]
fn tm_12_idle_partitions_follow_where_they_are_led_until_a_record_comes() {
    let mut clock = clock(2, Some(10));
    record(&mut clock, 0, 100, 0);
    assert_eq!(advance(&mut clock, 10), [wm(100), Signal::Idle]);
    assert!(!clock.is_at_work());
    clock.follow(Some(Timestamp(105)));
    assert_eq!(advance(&mut clock, 15), [Signal::Active, wm(105)]);
    clock.follow(Some(Timestamp(107)));
    assert_eq!(advance(&mut clock, 17), [wm(107)]);
    clock.follow(None);
    assert_eq!(advance(&mut clock, 18), [Signal::Idle]);
    clock.follow(Some(Timestamp(110)));
    assert_eq!(advance(&mut clock, 20), [Signal::Active, wm(110)]);
    record(&mut clock, 1, 50, 21);
    assert_eq!(advance(&mut clock, 21), []);
    assert_eq!((clock.watermark(), clock.is_at_work()), (Timestamp(110), true));
}

#[test]
fn tm_17_the_slowest_that_is_at_work_is_known() {
    let mut clock = clock(3, Some(10));
    assert_eq!(clock.slowest(), Some(Timestamp::MIN));
    record(&mut clock, 0, 40, 5);
    record(&mut clock, 1, 30, 5);
    let _ = clock.advance(Nanos(10));
    assert_eq!(clock.slowest(), Some(Timestamp(30)), "the third is idle");
    clock.end(1);
    assert_eq!(clock.slowest(), Some(Timestamp(40)));
    clock.set_paused(0, true, Nanos(11));
    let _ = clock.advance(Nanos(100));
    assert_eq!(clock.slowest(), Some(Timestamp(40)), "a pause is not silence");
    let states: Vec<_> = clock.report(Nanos(100)).into_iter().map(|partition| partition.state).collect();
    assert_eq!(states, [PartitionState::Paused, PartitionState::Ended, PartitionState::Idle]);
}

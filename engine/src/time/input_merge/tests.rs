use super::super::{HeldBack, Signal};
use super::*;

const NOW: Nanos = Nanos(0);

fn merge(inputs: usize) -> InputMerge {
    InputMerge::new(&[sources(inputs)], Timestamp::MIN, NOW)
}

fn sources(inputs: usize) -> Side {
    Side { inputs, producers: Producers::Source }
}

fn operators(inputs: usize) -> Side {
    Side { inputs, producers: Producers::Operator }
}

fn wm(ticks: i64) -> Signal {
    Signal::Advance(Timestamp(ticks))
}

fn list(signals: Signals) -> Vec<Signal> {
    signals.into_iter().collect()
}

fn at(merge: &mut InputMerge, input: usize, ticks: i64) -> Vec<Signal> {
    list(merge.watermark(input, Timestamp(ticks), NOW))
}

#[test]
fn tm_10_the_minimum_over_the_inputs_and_never_back() {
    let mut merge = merge(2);
    assert_eq!(at(&mut merge, 0, 7), []);
    assert_eq!(at(&mut merge, 1, 5), [wm(5)]);
    assert_eq!(at(&mut merge, 1, 3), []);
    assert_eq!(at(&mut merge, 1, 9), [wm(7)]);
    assert_eq!(at(&mut merge, 1, 9), []);
    assert_eq!(merge.current(), Timestamp(7));
}

#[test]
fn tm_02_all_ended_is_the_end_of_time() {
    let mut merge = merge(2);
    let _ = at(&mut merge, 0, 7);
    assert_eq!(list(merge.end(0)), []);
    assert_eq!(at(&mut merge, 1, 9), [wm(9)]);
    assert_eq!(list(merge.end(1)), [Signal::Advance(Timestamp::MAX), Signal::End]);
    assert_eq!(list(merge.end(1)), []);
    assert!(merge.has_ended());
    assert_eq!(merge.held_back_by(), Standstill::Ended);
}

#[test]
fn tm_12_all_idle_concludes_on_the_maximum_whichever_goes_idle_first() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut merge = merge(2);
        let _ = at(&mut merge, 0, 5);
        assert_eq!(at(&mut merge, 1, 4), [wm(4)]);
        let mut all = list(merge.idle(first));
        all.extend(list(merge.idle(second)));
        assert_eq!(all, [wm(5), Signal::Idle]);
        assert_eq!(list(merge.idle(second)), []);
        assert!(merge.is_idle());
        assert_eq!(merge.held_back_by(), Standstill::AllIdle);
    }
}

#[test]
fn tm_12_also_when_the_last_to_go_idle_was_behind() {
    let mut merge = merge(3);
    let _ = at(&mut merge, 0, 100);
    let _ = at(&mut merge, 1, 200);
    let _ = merge.idle(2);
    assert_eq!(merge.current(), Timestamp(100));
    let _ = at(&mut merge, 2, 50);
    assert!(merge.is_catching_up(2));
    assert_eq!(list(merge.idle(1)), []);
    assert_eq!(list(merge.idle(0)), []);
    // Flink would stay at 100 here, because the last to go idle did not hold the watermark.
    assert_eq!(list(merge.idle(2)), [wm(200), Signal::Idle]);
}

#[test]
fn tm_13_an_input_that_comes_back_counts_once_it_has_caught_up() {
    let mut merge = merge(2);
    let _ = merge.idle(1);
    assert_eq!(at(&mut merge, 0, 100), [wm(100)]);
    assert_eq!(list(merge.active(1)), []);
    assert_eq!(at(&mut merge, 1, 50), []);
    assert!(merge.is_catching_up(1));
    assert_eq!(merge.current(), Timestamp(100));
    assert_eq!(at(&mut merge, 0, 110), [wm(110)]);
    assert_eq!(at(&mut merge, 1, 110), []);
    assert!(!merge.is_catching_up(1));
    assert_eq!(at(&mut merge, 0, 130), []);
    assert_eq!(at(&mut merge, 1, 120), [wm(120)]);
}

#[test]
fn tm_13_coming_back_to_an_idle_operator_makes_it_active() {
    let mut merge = merge(2);
    let _ = at(&mut merge, 0, 10);
    let _ = merge.idle(0);
    assert_eq!(list(merge.idle(1)), [wm(10), Signal::Idle]);
    assert_eq!(list(merge.active(1)), [Signal::Active]);
    let held = HeldBack { input: 1, watermark: Timestamp::MIN, since: NOW, others_max: Some(Timestamp(10)) };
    assert_eq!(merge.held_back_by(), Standstill::CatchingUp(held));
    assert_eq!(at(&mut merge, 1, 12), [wm(12)]);
    let _ = merge.idle(1);
    // A watermark says active, too, and both come in order.
    assert_eq!(at(&mut merge, 0, 20), [Signal::Active, wm(20)]);
}

#[test]
fn an_ended_input_does_not_make_the_records_of_an_idle_one_late() {
    let mut merge = merge(2);
    let _ = at(&mut merge, 0, 5);
    let _ = at(&mut merge, 1, 8);
    assert_eq!(list(merge.idle(0)), [wm(8)]);
    // As it comes from an input that ends: the end of time, and then the end.
    assert_eq!(at(&mut merge, 1, i64::MAX), []);
    assert_eq!(list(merge.end(1)), [Signal::Idle]);
    assert_eq!(at(&mut merge, 0, 9), [Signal::Active, wm(9)]);
    assert_eq!(list(merge.end(0)), [Signal::Advance(Timestamp::MAX), Signal::End]);
}

#[test]
fn why_is_event_time_not_moving() {
    let mut merge = InputMerge::new(&[sources(3)], Timestamp::MIN, Nanos(1));
    let _ = merge.watermark(0, Timestamp(10), Nanos(2));
    let _ = merge.watermark(1, Timestamp(4), Nanos(3));
    let _ = merge.watermark(2, Timestamp(12), Nanos(4));
    // What does not move it does not count as movement.
    let _ = merge.watermark(1, Timestamp(4), Nanos(9));
    let held =
        HeldBack { input: 1, watermark: Timestamp(4), since: Nanos(3), others_max: Some(Timestamp(12)) };
    assert_eq!(merge.held_back_by(), Standstill::HeldBack(held));
}

#[test]
fn tm_16_a_restored_merge_goes_on_as_if_nothing_had_happened() {
    let mut merge = merge(3);
    let _ = at(&mut merge, 0, 100);
    let _ = merge.idle(1);
    let _ = at(&mut merge, 2, 120);
    let _ = at(&mut merge, 1, 50);
    let mut restored = InputMerge::restore(&[sources(3)], &merge.save(), Nanos(77));
    assert_eq!(restored.save(), merge.save());
    assert!(restored.is_catching_up(1));
    assert_eq!(list(restored.restate()), [wm(100)]);
    assert_eq!(at(&mut restored, 0, 110), [wm(110)]);
}

#[test]
fn after_a_rescaling_inputs_hold_from_the_start() {
    let mut merge = InputMerge::new(&[sources(2)], Timestamp(40), NOW);
    assert_eq!(at(&mut merge, 0, 90), []);
    assert_eq!(at(&mut merge, 1, 30), []);
    assert_eq!(at(&mut merge, 1, 60), [wm(60)]);
}

#[test]
fn tm_13_instances_of_one_operator_wake_up_together() {
    let mut merge = InputMerge::new(&[operators(2)], Timestamp::MIN, NOW);
    assert_eq!(at(&mut merge, 0, 10), []);
    assert_eq!(at(&mut merge, 1, 10), [wm(10)]);
    // One that is idle a moment before the other one is not passed by.
    assert_eq!(list(merge.idle(0)), []);
    assert_eq!(at(&mut merge, 1, 20), []);
    assert_eq!(at(&mut merge, 0, 20), [wm(20)]);
    let _ = merge.idle(0);
    assert_eq!(list(merge.idle(1)), [Signal::Idle]);
    // The first to wake up waits for the other, which is about to hear the same.
    assert_eq!(at(&mut merge, 1, 30), [Signal::Active]);
    assert!(!merge.is_catching_up(0));
    assert_eq!(list(merge.idle(1)), [Signal::Idle]);
    assert_eq!(at(&mut merge, 0, 30), [Signal::Active, wm(30)]);
}

#[test]
fn tm_13_instances_of_one_operator_catch_up_together() {
    let mut merge = InputMerge::new(&[sources(1), operators(2)], Timestamp::MIN, NOW);
    let _ = (merge.idle(1), merge.idle(2));
    assert_eq!(at(&mut merge, 0, 100), [wm(100)]);
    assert_eq!(at(&mut merge, 1, 120), []);
    assert!(merge.is_catching_up(2), "one is not there yet, so neither counts");
    assert_eq!(at(&mut merge, 0, 200), [wm(200)]);
    assert_eq!(at(&mut merge, 1, 220), []);
    assert_eq!(at(&mut merge, 2, 210), []);
    assert!(!merge.is_catching_up(1));
    assert_eq!(at(&mut merge, 0, 230), [wm(210)]);
    assert_eq!(list(merge.end(2)), [wm(220)]);
    assert_eq!(list(merge.end(1)), [wm(230)]);
}

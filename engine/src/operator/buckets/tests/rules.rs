//! What triggers do in the corners that random traces have found.

use super::engine::{AnyTrigger, AnyWindows, read};
use super::model::Given;
use super::random::{Of, list};
use super::spec::{Evicts, Fires, Spec, Windows};
use crate::operator::OpId;
use crate::operator::buckets::{Accumulated, Finished, FromOne};
use crate::operator::tests::driver::Driver;
use crate::operator::window::finish::{DropLate, Whole};
use crate::operator::window::rule::FoldParts;
use crate::window::{Firing, WindowResult};

/// What happens to key 1: a record of value 0 at a time, event time, or the clock.
#[derive(Clone, Copy)]
enum Step {
    Record(i64),
    Watermark(i64),
    Clock(i64),
}
use Step::{Clock, Record, Watermark};

/// Start and number of elements of all firings, and their kinds.
fn firings(
    windows: Windows,
    (on_clock, lateness): (bool, i64),
    fires: Fires,
    steps: &[Step],
) -> Vec<(i64, usize, Firing)> {
    let spec = Spec { windows, on_clock, lateness, fires, evicts: Evicts::Nothing, evicts_after: false };
    let mut driver: Driver<_, WindowResult<u64, Vec<i64>>> = Driver::new(1, move || {
        let windows = AnyWindows::new(spec.windows);
        let manner = windows.manner(&spec);
        let (contents, finish) = (Accumulated::new(list!()), Finished(Whole));
        Of::<FromOne<i64>, _, _, _, _>::new(
            OpId(0),
            (Some(windows), manner),
            AnyTrigger::new(&spec.fires),
            contents,
            finish,
            DropLate,
        )
    });
    for step in steps {
        match *step {
            Record(at) => driver.give(0, 0, &[(1, at, 0i64)]),
            Watermark(at) => driver.watermark(0, at, |_| {}),
            Clock(now) => driver.clock(0, now, |_| {}),
        }
    }
    let given = driver.take().into_iter().flat_map(|(result, at)| read(result, at));
    let firings = given.map(|given| match given {
        Given::Fired { window, elements, firing, .. } => (window.0, elements.len(), firing),
        other => unreachable!("{other:?}"),
    });
    firings.collect()
}

const TEN: Windows = Windows::Tumbling { size: 10, offset: 0 };
const SESSION: Windows = Windows::Session { gap: 10 };
const EVENT_TIME: (bool, i64) = (false, 0);
const ON_CLOCK: (bool, i64) = (true, 0);

#[test]
fn wn_20_firings_by_the_clock_are_early_until_event_time_has_come_to_the_end() {
    // The clock is far ahead of the records' times.
    let steps = [Clock(1000), Record(3), Clock(1004), Watermark(8), Clock(1008), Watermark(9), Clock(1012)];
    let fires = Fires::ContinuousProcessingTime(4);
    let late = (0, 1, Firing::Late);
    assert_eq!(firings(TEN, (false, 5), fires, &steps), [(0, 1, Firing::Early), (0, 1, Firing::Early), late]);
}

#[test]
fn wn_22_a_record_at_the_last_tick_of_its_window_by_the_clock_is_not_late() {
    let steps = [Clock(9), Record(0), Clock(10)];
    let fires = Fires::OrEnd(Box::new(Fires::Count(1)));
    assert_eq!(firings(TEN, ON_CLOCK, fires, &steps), [(0, 1, Firing::Early), (0, 1, Firing::OnTime)]);
}

#[test]
fn wn_20_wn_22_continuous_firings_by_the_clock_end_with_the_window() {
    let steps = [Clock(1), Record(0), Clock(30)];
    let fires = Fires::ContinuousProcessingTime(7);
    assert_eq!(firings(TEN, ON_CLOCK, fires, &steps), [(0, 1, Firing::Early), (0, 1, Firing::OnTime)]);
}

#[test]
fn wn_05_wn_20_continuous_firings_of_the_global_window_end_with_the_stream() {
    let steps = [Record(3), Watermark(4), Watermark(i64::MAX)];
    let fires = Fires::ContinuousEventTime(4);
    let each = (i64::MIN, 1, Firing::OnTime);
    assert_eq!(firings(Windows::Global, EVENT_TIME, fires, &steps), [each; 3]);
}

#[test]
fn wn_20_windows_of_event_time_that_fire_by_the_clock_do_so_for_every_record() {
    // Each record sets the timer again, as in Flink: what comes after the first firing is not forgotten.
    let steps = [Clock(20), Record(3), Clock(21), Record(4), Clock(22), Watermark(9)];
    let early = |count| (0, count, Firing::Early);
    assert_eq!(firings(TEN, EVENT_TIME, Fires::ProcessingTime, &steps), [early(1), early(2)]);
}

#[test]
fn wn_16_wn_20_a_session_that_late_records_have_extended_goes_on_firing_in_between() {
    // Its first end is at 10; then it lasts until 18.
    let steps = [Record(1), Watermark(10), Record(8), Watermark(12), Watermark(13), Watermark(17)];
    let fires = Fires::ContinuousEventTime(4);
    let firings = firings(SESSION, (false, 20), fires, &steps);
    let first = [(1, 1, Firing::Early), (1, 1, Firing::Early), (1, 1, Firing::OnTime)];
    let then = [(1, 2, Firing::Merged), (1, 2, Firing::Early), (1, 2, Firing::Early), (1, 2, Firing::OnTime)];
    assert_eq!(firings, [&first[..], &then[..]].concat());
}

#[test]
fn wn_03_a_record_fires_its_windows_the_latest_first() {
    let windows = Windows::Sliding { size: 10, slide: 5, offset: 0 };
    let fires = Fires::Count(1);
    let early = |start| (start, 1, Firing::Early);
    assert_eq!(firings(windows, EVENT_TIME, fires, &[Record(12)]), [early(10), early(5)]);
}

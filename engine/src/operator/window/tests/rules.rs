//! Flink's rules, record by record.

use super::driver::{Driver, Windows};
use crate::element::Timestamp;
use crate::operator::OpId;
use crate::operator::fold::Count;
use crate::operator::window::finish::{DropLate, Whole};
use crate::operator::window::rule::{ExtremeOf, SumOf, WindowRule};
use crate::time::{Tick, Ticks};
use crate::window::{Cumulative, Firing, Sliding, SlidingWindows, Tumbling};

fn sliding(size: i64, slide: i64) -> SlidingWindows {
    Sliding::of(Ticks(size)).every(Ticks(slide)).build(Tick::Millisecond).unwrap()
}

fn count_sliding(size: i64, slide: i64, lateness: i64) -> Driver<SlidingWindows, Count> {
    let windows = sliding(size, slide);
    Driver::new(1, move || Windows::new(OpId(0), windows, lateness, Count, Whole, DropLate))
}

/// The window, value and reason of each result.
fn results<W: crate::window::Slices, R: WindowRule<i64>>(
    driver: &mut Driver<W, R>,
) -> Vec<(String, R::Out, Firing)> {
    let results = driver.results();
    results.into_iter().map(|result| (result.window.to_string(), result.value, result.firing)).collect()
}

fn one<V>(window: &str, value: V, firing: Firing) -> Vec<(String, V, Firing)> {
    vec![(window.to_owned(), value, firing)]
}

#[test]
fn wn_14_wn_15_late_records_fire_again_until_the_lateness_is_over() {
    let windows = Tumbling::of(Ticks(5000)).build(Tick::Millisecond).unwrap();
    let sum = |money: &i64| *money;
    let mut driver =
        Driver::new(1, move || Windows::new(OpId(0), windows, 3000, SumOf::new(sum), Whole, DropLate));
    // A watermark follows every record, 3000 and one tick behind the greatest timestamp.
    let mut record = |at, money| {
        driver.record(1, at, money);
        let mut results = results(&mut driver);
        let at = at - 3001;
        driver.watermark(0, at.max(driver.operator(0).watermark.0), |_| {});
        results.extend(self::results(&mut driver));
        results
    };
    for (at, money) in [(1000, 10), (4999, 5), (7999, 1)] {
        assert_eq!(record(at, money), []);
    }
    assert_eq!(record(8000, 2), one("[0,5000)", 15, Firing::OnTime));
    assert_eq!(record(4000, 7), one("[0,5000)", 22, Firing::Late));
    assert_eq!(record(10_999, 1), []);
    assert_eq!(record(3000, 1), one("[0,5000)", 23, Firing::Late));
    assert_eq!(record(11_000, 1), []);
    assert_eq!(record(2000, 9), []);
    let ledger = &driver.operator(0).late;
    assert_eq!((ledger.count(), ledger.worst()), (1, 5999));
    let sample = ledger.samples().next().unwrap();
    assert_eq!((sample.at, sample.watermark), (Timestamp(2000), Timestamp(7999)));
    assert_eq!((sample.window.to_string(), sample.key::<u64>(super::driver::SEED)), ("[0,5000)".into(), 1));
    driver.watermark(0, i64::MAX, |_| {});
    let last = [one("[5000,10000)", 3, Firing::OnTime), one("[10000,15000)", 2, Firing::OnTime)].concat();
    assert_eq!(results(&mut driver), last);
    assert_eq!(driver.tables(0), (0, 0));
}

#[test]
fn wn_03_a_record_between_windows_belongs_to_none_and_is_not_late() {
    let mut driver = count_sliding(5000, 10_000, 0);
    driver.record(1, 7000, 0);
    driver.watermark(0, 20_000, |_| {});
    driver.record(1, 7000, 0);
    assert_eq!((results(&mut driver), driver.lost()), (vec![], (0, 2)));
}

#[test]
fn wn_03_wn_09_every_window_with_records_fires_once_and_no_other() {
    let mut driver = count_sliding(10, 5, 0);
    driver.record(1, 12, 0);
    driver.record(1, 100_000_000, 0);
    driver.watermark(0, 50_000_000, |_| {});
    let first = [one("[5,15)", 1, Firing::OnTime), one("[10,20)", 1, Firing::OnTime)].concat();
    assert_eq!(results(&mut driver), first);
    driver.watermark(0, i64::MAX, |_| {});
    assert_eq!(results(&mut driver).len(), 2);
    assert_eq!(driver.tables(0), (0, 0));
}

#[test]
fn wn_14_a_record_too_late_for_one_window_may_be_in_time_for_the_next() {
    let mut driver = count_sliding(10, 5, 0);
    driver.record(1, 12, 0);
    driver.watermark(0, 14, |_| {});
    assert_eq!(results(&mut driver), one("[5,15)", 1, Firing::OnTime));
    // Too late for [5,15), in time for [10,20).
    driver.record(1, 13, 0);
    // Too late for both of its windows.
    driver.record(1, 9, 0);
    driver.watermark(0, 19, |_| {});
    assert_eq!(results(&mut driver), one("[10,20)", 2, Firing::OnTime));
    assert_eq!(driver.lost(), (1, 0));
}

#[test]
fn wn_14_a_late_record_fires_all_its_windows_again_the_latest_first() {
    let mut driver = count_sliding(10, 5, 10);
    driver.record(1, 12, 0);
    driver.watermark(0, 21, |_| {});
    let _ = results(&mut driver);
    driver.record(1, 11, 0);
    let again = [one("[10,20)", 2, Firing::Late), one("[5,15)", 2, Firing::Late)].concat();
    assert_eq!(results(&mut driver), again);
}

#[test]
fn wn_11_cumulative_windows_grow_and_begin_anew() {
    let windows = Cumulative::of(Ticks(15)).every(Ticks(5)).build(Tick::Millisecond).unwrap();
    let mut driver = Driver::new(1, move || Windows::new(OpId(0), windows, 0, Count, Whole, DropLate));
    for at in [1, 6, 7, 16] {
        driver.record(1, at, 0);
    }
    driver.watermark(0, 19, |_| {});
    let all = [("[0,5)", 1), ("[0,10)", 3), ("[0,15)", 3), ("[15,20)", 1)];
    let all: Vec<_> = all.map(|(window, count)| (window.to_owned(), count, Firing::OnTime)).into();
    assert_eq!(results(&mut driver), all);
}

#[test]
fn wn_23_state_of_a_day_by_seconds_is_one_entry_per_second_and_a_total() {
    let day = 24 * 3600;
    let windows = sliding(day, 1);
    let greatest = |value: &i64| *value;
    let mut driver = Driver::new(1, move || {
        Windows::new(OpId(0), windows, 0, ExtremeOf::<i64, _, true>::new(greatest), Whole, DropLate)
    });
    let mut given = 0;
    for second in 0..200 {
        // The greatest leaves first, so that the next is looked for in all the seconds after.
        driver.record(1, second, 1000 - second);
        driver.watermark(0, second, |_| {});
        let results = driver.results();
        assert!(results.iter().all(|result| result.value == 1000));
        given += results.len();
    }
    assert_eq!((given, driver.tables(0).0), (200, 200));
    // A day later, with every second one leaves.
    for second in 0..200 {
        driver.watermark(0, day + second, |_| {});
        let values: Vec<i64> = driver.results().iter().map(|result| result.value).collect();
        given += values.len();
        let expected = if second == 199 { vec![] } else { vec![999 - second] };
        assert_eq!(values.last().copied().into_iter().collect::<Vec<_>>(), expected);
    }
    // Every second's window that held a record has fired.
    assert_eq!(given as i64, day + 199);
    assert_eq!(driver.tables(0), (0, 0));
}

#[test]
fn a_large_window_is_fired_in_pieces_and_goes_on_where_a_restart_cut_it() {
    const KEYS: u64 = 1500;
    for shards in [None, Some(3)] {
        let mut driver = count_sliding(10, 5, 0);
        let records: Vec<(u64, i64, i64)> = (0..KEYS).map(|key| (key, (key % 15) as i64, 0)).collect();
        for records in records.chunks(64) {
            driver.batch(0, records);
        }
        let (mut pieces, mut midst) = (0, 0);
        let mut given = Vec::new();
        driver.watermark(0, 9, |driver| {
            pieces += 1;
            given.extend(driver.results());
            // In the midst of giving out, too.
            let fired = driver.operator(0).position.work.is_some_and(|work| work.resume.is_some());
            if fired && given.len() > 400 && midst == 0 {
                midst += 1;
                driver.restore(shards);
            }
        });
        given.extend(driver.results());
        let mut keys: Vec<u64> =
            given.iter().filter(|result| result.window.end.0 == 10).map(|result| result.key).collect();
        keys.sort_unstable();
        let expected: Vec<u64> = (0..KEYS).filter(|key| key % 15 < 10).collect();
        assert_eq!(keys, expected);
        assert!(pieces > 10 && midst == 1, "{pieces} {midst}");
    }
}

//! Tumbling windows over watermarks, by the public arithmetic and a plain map: what a window operator has to do.

use std::collections::BTreeMap;

use millstream::element::{Nanos, Timestamp};
use millstream::source::PartitionId;
use millstream::time::{SourceClock, Tick, Ticks, Watermarks};
use millstream::window::{TimeWindow, Tumbling, TumblingWindows};

/// Sums per window of one key.
struct Sums {
    clock: SourceClock,
    windows: TumblingWindows,
    lateness: i64,
    panes: BTreeMap<TimeWindow, i64>,
    /// The window and the sum of each firing.
    fired: Vec<(String, i64)>,
    /// By how much each record that was dropped was late.
    dropped: Vec<i64>,
}

impl Sums {
    fn new(bound: i64, size: i64, lateness: i64) -> Self {
        let plan = Watermarks::bounded_out_of_orderness(Ticks(bound)).plan(Tick::Millisecond).unwrap();
        let mut clock = SourceClock::new(true);
        clock.add(PartitionId("only".to_owned()), &plan, Nanos(0));
        let windows = Tumbling::of(Ticks(size)).build(Tick::Millisecond).unwrap();
        Sums { clock, windows, lateness, panes: BTreeMap::new(), fired: Vec::new(), dropped: Vec::new() }
    }

    fn record(&mut self, at: i64, value: i64) {
        let watermark = self.clock.watermark();
        let window = self.windows.window_of(Timestamp(at));
        if window.is_gone_at(watermark, self.lateness) {
            self.dropped.push(watermark.0 - at);
        } else {
            let sum = self.panes.entry(window).or_insert(0);
            *sum += value;
            if window.fires_at(watermark) {
                self.fired.push((window.to_string(), *sum));
            }
        }
        self.clock.on_record(0, Timestamp(at));
        self.clock.on_batch(0, Nanos(0));
        self.advance();
    }

    fn end(&mut self) {
        self.clock.end(0);
        self.advance();
    }

    fn advance(&mut self) {
        let before = self.clock.watermark();
        let Some(watermark) = self.clock.advance(Nanos(0)).advance() else { return };
        for (window, sum) in &self.panes {
            if window.fires_at(watermark) && !window.fires_at(before) {
                self.fired.push((window.to_string(), *sum));
            }
        }
        self.panes.retain(|window, _| !window.is_gone_at(watermark, self.lateness));
    }

    fn fired(&mut self) -> Vec<(String, i64)> {
        std::mem::take(&mut self.fired)
    }
}

fn firing(window: &str, sum: i64) -> (String, i64) {
    (window.to_owned(), sum)
}

#[test]
fn tm_03_wn_10_a_window_fires_at_its_last_tick_and_not_before() {
    let mut sums = Sums::new(3000, 5000, 0);
    sums.record(1000, 1);
    sums.record(7999, 1);
    assert_eq!((sums.clock.watermark(), sums.fired()), (Timestamp(4998), vec![]));
    sums.record(8000, 1);
    assert_eq!((sums.clock.watermark(), sums.fired()), (Timestamp(4999), vec![firing("[0,5000)", 1)]));
}

#[test]
fn wn_09_windows_without_records_do_not_fire() {
    let mut sums = Sums::new(0, 5000, 0);
    sums.record(1, 1);
    sums.record(3_600_000, 1);
    sums.end();
    assert_eq!(sums.fired(), [firing("[0,5000)", 1), firing("[3600000,3605000)", 1)]);
}

#[test]
fn wn_14_wn_15_late_records_fire_again_until_the_lateness_is_over() {
    let mut sums = Sums::new(3000, 5000, 3000);
    for (at, value) in [(1000, 10), (4999, 5), (7999, 1)] {
        sums.record(at, value);
    }
    assert_eq!(sums.fired(), []);
    sums.record(8000, 2);
    assert_eq!(sums.fired(), [firing("[0,5000)", 15)]);
    sums.record(4000, 7);
    assert_eq!(sums.fired(), [firing("[0,5000)", 22)]);
    sums.record(10_999, 1);
    sums.record(3000, 1);
    assert_eq!(sums.fired(), [firing("[0,5000)", 23)]);
    sums.record(11_000, 1);
    sums.record(2000, 9);
    assert_eq!(sums.dropped, [5999]);
    sums.end();
    assert_eq!(sums.fired(), [firing("[5000,10000)", 3), firing("[10000,15000)", 2)]);
}

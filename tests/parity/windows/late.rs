//! What a job tells of the records that came too late.

use std::path::Path;
use std::time::Duration;

use millstream::io::CollectRecords;
use millstream::job::{LateRecord, LateRecords, OperatorLateRecords};
use millstream::prelude::*;
use millstream::stream::SourceStream;
use millstream::time::Ticks;

use super::{span, timed};
use crate::time::fed::{Fed, Stepped, until};
use crate::ways::Paused;

/// The ledger of an operator.
#[track_caller]
fn of(all: &LateRecords, operator: &str) -> OperatorLateRecords {
    all.of_operator(operator).unwrap_or_else(|| panic!("no ledger of {operator}: {all:?}")).clone()
}

/// The key and the window of the one late record.
#[track_caller]
fn only(ledger: OperatorLateRecords) -> (String, (i64, i64)) {
    let [LateRecord { key, window, .. }] = &ledger.last[..] else { panic!("{ledger}") };
    (key.clone(), span(*window))
}

#[test]
fn wn_15_the_ledger_of_a_job_that_is_over_is_in_its_summary() {
    let records = timed(&[(7u64, 1000), (7, 8000), (7, 11_000), (7, 2000)]);
    let program = move |flow: &Flow| {
        let late = flow.tag::<u64>("late");
        let counts = flow
            .source("records", Paused::of(vec![records.clone()]))
            .source_time(Watermarks::bounded_out_of_orderness(Ticks(3000)))
            .key_by(|key| *key)
            .window(Tumbling::of(Duration::from_secs(5)))
            .allowed_lateness(Duration::from_secs(3))
            .late_to(&late)
            .count();
        counts.side_output(&late).discard();
        counts.map(|result| result.value).discard();
    };
    let summary = Job::new("late").run(program).unwrap();
    let record = LateRecord {
        key: "7".to_owned(),
        at: Timestamp(2000),
        watermark: Timestamp(7999),
        late_by: 5999,
        window: TimeWindow { start: Timestamp(0), end: Timestamp(5000) },
    };
    let operator = "window_count".to_owned();
    let ledger = OperatorLateRecords { operator, count: 1, late_by_max: 5999, last: vec![record] };
    assert_eq!(summary.late_records, LateRecords { operators: vec![ledger] });
    assert!(summary.to_string().contains("late       1 at window_count, by up to 5999 ticks"), "{summary}");
}

/// The key and the window of 2000, which comes to an operator called `late` when event time is at 7999.
#[track_caller]
fn late_at<P>(program: P) -> (String, (i64, i64))
where
    P: Fn(SourceStream<Paused<u64>>) + Clone + Send + Sync + 'static,
{
    let records = timed(&[(7u64, 1000), (7, 8000), (7, 2000)]);
    let job = Job::new("late").run(move |flow| {
        let records = flow.source("records", Paused::of(vec![records.clone()]));
        program(records.source_time(Watermarks::monotonous()));
    });
    only(of(&job.unwrap().late_records, "late"))
}

#[test]
fn wn_15_windows_of_all_kinds_tell_keys_of_all_kinds() {
    let five = || Tumbling::of(Ticks(5000));
    assert_eq!(
        late_at(move |records| records.key_by(|n| *n).window(five()).count().name("late").discard()),
        ("7".to_owned(), (0, 5000))
    );
    assert_eq!(
        late_at(|records| {
            let sliding = Sliding::of(Ticks(4000)).every(Ticks(1000));
            records.key_by(|n| (*n as u32, *n > 5)).window(sliding).count().name("late").discard();
        }),
        ("(7, true)".to_owned(), (2000, 6000))
    );
    assert_eq!(
        late_at(|records| {
            let session = Session::gap(Ticks(10));
            records.key_by(|n| format!("k{n}")).window(session).count().name("late").discard();
        }),
        ("\"k7\"".to_owned(), (2000, 2010))
    );
    assert_eq!(
        late_at(move |records| {
            let keyed = records.key_by(|n| (*n, "seven".to_owned())).window(five());
            keyed.apply(|_, elements, out| out.emit(elements.len() as u64)).name("late").discard();
        }),
        ("(7, \"seven\")".to_owned(), (0, 5000))
    );
    assert_eq!(
        late_at(move |records| records.window_all(five()).count().name("late").discard()),
        ("()".to_owned(), (0, 5000))
    );
}

/// The key and the window of 48, which comes from the first of so many streams to a running job when event time is at 49.
#[track_caller]
fn late_for_join<const STREAMS: usize, P>(operator: &str, program: P) -> (String, (i64, i64))
where
    P: Fn([SourceStream<Fed>; STREAMS], CollectRecords<u64>) + Send + Sync + 'static,
{
    let feds: [Fed; STREAMS] = std::array::from_fn(|_| Fed::new(1));
    let sources = feds.clone();
    let job = Stepped::start(2, move |flow, sink| {
        let timed = |number: usize| {
            let source = flow.source(format!("stream {number}"), sources[number].clone());
            source.source_time(Watermarks::monotonous())
        };
        program(std::array::from_fn(timed), sink);
    });
    feds.iter().zip(50..).for_each(|(fed, at)| fed.feed(0, at as u64, at));
    job.until_watermark(operator, 49);
    feds[0].feed(0, 48, 48);
    until("it is late", || job.running.metrics().late_records() == 1);
    let asked = job.running.late_records().unwrap();
    job.running.cancel();
    assert_eq!(job.running.wait().unwrap().late_records, asked);
    let ledger = of(&asked, operator);
    assert_eq!((ledger.count, ledger.late_by_max, ledger.last[0].watermark), (1, 1, Timestamp(49)));
    only(ledger)
}

#[test]
fn wn_15_joins_tell_which_records_were_late() {
    assert_eq!(
        late_for_join("interval_join", |[left, right], sink| {
            let (left, right) = (left.key_by(|n| n % 2), right.key_by(|n| n % 2));
            let pairs = left.interval_join(right, Ticks(-20), Ticks(20));
            pairs.join(|left, right| left + right).sink("out", sink);
        }),
        ("0".to_owned(), (48, 49))
    );
    assert_eq!(
        late_for_join("as_of_join", |[left, right], sink| {
            let (left, right) = (left.key_by(|n| format!("k{n}")), right.key_by(|n| format!("k{n}")));
            left.as_of_join(right).join(|left, right| left + right).sink("out", sink);
        }),
        ("\"k48\"".to_owned(), (48, 49))
    );
    assert_eq!(
        late_for_join("join_all", |streams, sink| {
            let [first, second, third] = streams.map(|stream| stream.key_by(|n| (*n, true)));
            let rows = first.join_all((second, third), Ticks(10));
            rows.join(|first, second, third| first + second + third).sink("out", sink);
        }),
        ("(48, true)".to_owned(), (48, 49))
    );
    assert_eq!(
        late_for_join("window_join", |[left, right], sink| {
            let (left, right) = (left.key_by(|n| *n), right.key_by(|n| *n));
            let pairs = left.window_join(right, Tumbling::of(Ticks(10)));
            pairs.join(|left, right| left + right).sink("out", sink);
        }),
        ("48".to_owned(), (40, 50))
    );
}

/// A job that counts a source by key and window, on so many shards.
fn counting(source: &Fed, state: &Path, shards: u16, sessions: bool) -> Stepped<u64> {
    let source = source.clone();
    Stepped::start_in(state, shards, Duration::ZERO, move |flow, sink| {
        let fed = flow.source("fed", source.clone()).source_time(Watermarks::monotonous());
        let keyed = fed.key_by(|key| *key);
        match sessions {
            true => {
                let counts = keyed.window(Session::gap(Ticks(10))).count().name("counts");
                counts.map(|result| result.value).sink("out", sink);
            }
            false => {
                let counts = keyed.window(Tumbling::of(Ticks(100))).count().name("counts");
                counts.map(|result| result.value).sink("out", sink);
            }
        }
    })
}

#[test]
fn wn_15_the_ledger_goes_on_after_a_restart_on_any_number_of_shards() {
    for sessions in [false, true] {
        let (fed, state) = (Fed::new(1), tempfile::tempdir().unwrap());
        let mut late: Vec<String> = (1..=8).map(|key| key.to_string()).collect();
        let first = counting(&fed, state.path(), 2, sessions);
        fed.feed(0, 0, 100);
        first.until_watermark("counts", 99);
        (1..=8).for_each(|key| fed.feed(0, key, 50));
        until("they are late", || first.running.metrics().late_records() == 8);
        first.stop_with_checkpoint();
        for (shards, key) in [(3, 10), (1, 11), (1, 12)] {
            let job = counting(&fed, state.path(), shards, sessions);
            fed.feed(0, key, 40);
            late.push(key.to_string());
            until("one more is late", || job.running.metrics().late_records() == late.len() as u64);
            let ledger = of(&job.running.late_records().unwrap(), "counts");
            let mut keys: Vec<&String> = ledger.last.iter().map(|late| &late.key).collect();
            keys.sort_by_key(|key| key.parse::<u64>().ok());
            assert_eq!(keys, late.iter().collect::<Vec<_>>(), "{ledger}");
            assert_eq!((ledger.count, ledger.late_by_max), (late.len() as u64, 59));
            job.stop_with_checkpoint();
        }
    }
}

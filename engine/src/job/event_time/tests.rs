use super::*;
use crate::element::Nanos;
use crate::graph::{Built, Flow, JobShards, Setting};
use crate::prelude::*;
use crate::testing::timed_script;
use crate::time::{HeldBack, Ticks};

fn built() -> Built {
    let program = |flow: &Flow| {
        flow.source("clicks", timed_script(vec![vec![(1u64, Timestamp(1))]]))
            .source_time(Watermarks::monotonous())
            .key_by(|key| *key)
            .window(Tumbling::of(Ticks(5000)))
            .count()
            .map(|result| result.value)
            .discard();
    };
    let two = JobShards { count: 2, ..JobShards::default() };
    Flow::build(&program, Setting { shards: two, ..Setting::default() }).ok().unwrap()
}

fn held(input: usize, watermark: i64) -> Standstill {
    let watermark = Timestamp(watermark);
    Standstill::HeldBack(HeldBack { input, watermark, since: Nanos(0), others_max: None })
}

fn operator(watermark: i64, standstill: Standstill) -> ClockReport {
    let of = Head::Operator { firing: false, under_way: 0 };
    ClockReport { watermark: Timestamp(watermark), standstill, stands_for: Duration::ZERO, of }
}

fn source(
    watermark: i64,
    standstill: Standstill,
    silent: Option<f64>,
    idle_after: Option<u64>,
) -> ClockReport {
    let partition = |number: usize| PartitionReport {
        name: format!("clicks-{number}"),
        watermark: Timestamp(watermark),
        stands_for: Duration::from_secs(20),
        silent_for: silent.map(Duration::from_secs_f64),
        idle_after: idle_after.map(Duration::from_secs),
        state: PartitionState::Active,
    };
    let of = Head::Source { partitions: (0..3).map(partition).collect(), timed: true, blocked: false };
    ClockReport { watermark: Timestamp(watermark), standstill, stands_for: Duration::ZERO, of }
}

/// Two shards; the window is asked about.
fn answer(source_0: ClockReport, source_1: ClockReport, window_1: ClockReport) -> EventTime {
    let plan = Arc::new(built().plan);
    let head = |chain: usize| plan.chains[chain].ops[0];
    let window_0 = operator(4999, held(0, 4999));
    let shards =
        vec![vec![(head(0), source_0), (head(1), window_0)], vec![(head(0), source_1), (head(1), window_1)]];
    EventTime::new(plan, shards)
}

fn why(report: &EventTime) -> String {
    report.why_waiting("window_count").unwrap()[1].to_string()
}

#[test]
fn the_partition_that_holds_is_named_with_the_remedy() {
    let report = answer(
        source(4999, held(2, 4999), Some(12.3), None),
        source(9000, held(0, 9000), Some(0.0), None),
        operator(4999, held(0, 4999)),
    );
    assert_eq!(
        why(&report),
        "window_count on shard 1 stands at 4999: partition clicks-2 of source clicks on shard 0 has been silent for 12.3 s; \
         .with_idleness(..) would let the others go on"
    );
    let source_itself = report.why_waiting("clicks").unwrap();
    assert!(matches!(&source_itself[1].cause, WaitingFor::Partition { shard: ShardId(1), .. }));
}

#[test]
fn what_it_is_at_is_said() {
    let with = |silent, idle| {
        let report = answer(
            source(4999, held(0, 4999), silent, idle),
            source(9000, held(0, 9000), Some(0.0), None),
            operator(4999, held(0, 4999)),
        );
        why(&report).split_once("on shard 0 ").unwrap().1.to_owned()
    };
    assert_eq!(with(Some(0.24), None), "is the furthest behind, at 4999; its last record came 0.2 s ago");
    assert_eq!(
        with(Some(3.0), Some(10)),
        "has been silent for 3.0 s; after 10.0 s the others will go on without it"
    );
    assert!(with(None, None).starts_with("has given no record for 20.0 s"));
}

#[test]
fn a_watermark_on_its_way_is_told_from_one_that_does_not_come() {
    let report = answer(
        source(6000, held(0, 6000), Some(0.0), None),
        source(9000, held(0, 9000), Some(0.0), None),
        operator(4999, held(0, 4999)),
    );
    assert!(why(&report).contains("clicks on shard 0 has sent 6000"), "{}", why(&report));
    let lags: Vec<_> = report.operators().into_iter().map(|of| (of.operator, of.shard.0, of.lag)).collect();
    assert_eq!(lags[0], ("clicks".to_owned(), 0, Some(0)));
    assert!(lags.contains(&("window_count".to_owned(), 1, Some(1001))), "{lags:?}");
    assert!(report.to_string().contains("window_count on shard 1: 4999, lag 1001\n"), "{report}");
}

#[test]
fn nothing_to_wait_for_is_said_too() {
    let idle = || source(4999, Standstill::AllIdle, Some(9.0), Some(1));
    let with = |standstill| why(&answer(idle(), idle(), operator(4999, standstill)));
    assert!(with(Standstill::AllIdle).contains(".advance_on_idle()"));
    assert!(with(Standstill::Ended).ends_with("has ended"));
    let Standstill::HeldBack(back) = held(1, 70) else { unreachable!() };
    assert!(with(Standstill::CatchingUp(back)).contains("clicks on shard 1 was idle and is back at 70"));
}

#[test]
fn a_wrong_name_is_answered_with_the_right_ones() {
    let idle = || source(4999, Standstill::AllIdle, None, None);
    let report = answer(idle(), idle(), operator(4999, Standstill::AllIdle));
    let error = report.why_waiting("windowcount").unwrap_err().to_string();
    assert!(error.contains("`windowcount`") && error.contains("`window_count`"), "{error}");
}

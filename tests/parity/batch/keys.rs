//! One key after the other: what is kept, and how time goes.

use std::time::Duration;

use millstream::io::sequence;
use millstream::operator::{
    KeyedContext, KeyedProcess, ListState, NamedTimer, States, Timer, Ttl, ValueState,
};
use millstream::prelude::*;
use millstream::testing::golden::Once;
use millstream::testing::{script, timed_script};
use millstream::time::Ticks;
use millstream::window::{ContinuousProcessingTimeTrigger, TimeDomain};

const KEYS: i64 = 20_000;

/// Runs a job of one shard and gives its results, and the state that its shard had in memory at most.
fn run<O, P>(job: Job, program: P) -> (Vec<O>, u64)
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, Once<O>) + Send + Sync + 'static,
{
    let out = Once::new();
    let sink = out.clone();
    let summary = job.run(move |flow| program(flow, sink.clone())).unwrap();
    (out.results(), summary.metrics.shards.iter().map(|shard| shard.state_bytes).sum())
}

/// Keeps a value, a list and a timer for each key.
#[derive(Default)]
struct Keeper {
    sum: ValueState<i64>,
    all: ListState<i64>,
}

impl KeyedProcess<i64, i64> for Keeper {
    type Out = (i64, i64, u64);

    fn open(&mut self, states: &mut States<'_, i64>) {
        self.sum = states.value("sum");
        self.all = states.expiring(Ttl::of(Duration::from_secs(3600))).list("all");
    }

    fn process(&mut self, number: &i64, ctx: &mut KeyedContext<'_, i64, Self::Out>) {
        let sum = ctx.get(&self.sum).unwrap_or_default();
        ctx.set(&self.sum, sum + number);
        ctx.list(&self.all).add(number);
        ctx.register_event_timer(Timestamp(1));
    }

    fn on_timer(&mut self, _: Timer<'_>, ctx: &mut KeyedContext<'_, i64, Self::Out>) {
        let result = (ctx.key(), ctx.get(&self.sum).unwrap(), ctx.list(&self.all).len());
        ctx.emit(result);
    }
}

#[test]
fn bm_03_no_more_is_kept_than_for_one_key() {
    let job = |mode| {
        let (mut results, bytes) = run(Job::new("keeper").mode(mode), |flow, out| {
            flow.source("numbers", sequence(0..=3 * KEYS - 1))
                .key_by(|n| n % KEYS)
                .process(Keeper::default())
                .sink("out", out);
        });
        results.sort_unstable();
        (results, bytes)
    };
    let (results, bytes) = job(RuntimeMode::Batch);
    let expected = (0..KEYS).map(|key| (key, 3 * key + 3 * KEYS, 3));
    assert_eq!(results, expected.collect::<Vec<_>>());
    let (same, all_bytes) = job(RuntimeMode::Streaming);
    assert_eq!(results, same);
    assert!(bytes <= 64 * 4096 && all_bytes > 20 * bytes, "{bytes} bytes, in streaming mode {all_bytes}");
}

/// Says when which of its timers fire, and what time it is.
#[derive(Default)]
struct Watcher {
    idle: NamedTimer,
}

impl KeyedProcess<(String, i64), str> for Watcher {
    type Out = String;

    fn open(&mut self, states: &mut States<'_, str>) {
        self.idle = states.event_timer("idle");
    }

    fn process(&mut self, record: &View<(String, i64)>, ctx: &mut KeyedContext<'_, str, String>) {
        assert_eq!(ctx.watermark(), None, "event time has not come to anything for the key");
        let at = record.1;
        ctx.emit(format!("{} at {at}", ctx.key()));
        ctx.register_event_timer(Timestamp(at + 10));
        ctx.register_event_timer(Timestamp(1_000));
        ctx.reset(self.idle, Timestamp(at + 500));
        // Long after the end of the job.
        ctx.register_processing_timer(Timestamp(i64::MAX - 10));
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, str, String>) {
        let name = timer.name.unwrap_or("plain");
        match timer.domain {
            TimeDomain::Event => ctx.emit(format!("{} {name} {}", ctx.key(), timer.at)),
            TimeDomain::Processing => {
                ctx.emit(format!("{} by the clock", ctx.key()));
                // It would never come to an end.
                assert!(!ctx.register_processing_timer(Timestamp(i64::MAX - 5)));
            }
        }
        if timer.at == Timestamp(1_000) {
            // This one is due, too: event time has come to its end.
            ctx.register_event_timer(Timestamp(2_000));
        }
    }
}

#[test]
fn bm_04_timers_fire_at_the_end_of_their_key() {
    let records = |key: &str, times: &[i64]| {
        times.iter().map(|at| ((key.to_owned(), *at), Timestamp(*at))).collect::<Vec<_>>()
    };
    // Out of order, and far: nothing is late.
    let all = [records("a", &[30, 10]), records("b", &[700]), records("a", &[20])].concat();
    let (results, _) = run(Job::new("timers").mode(RuntimeMode::Batch), move |flow, out| {
        flow.source("records", timed_script(vec![all.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by_ref(|(key, _)| key.as_str())
            .process(Watcher::default())
            .sink("out", out);
    });
    let of = |key: &str| results.iter().filter(|said| said.starts_with(key)).cloned().collect::<Vec<_>>();
    let a = [
        "a at 10",
        "a at 20",
        "a at 30",
        "a plain 20",
        "a plain 30",
        "a plain 40",
        "a idle 530",
        "a plain 1000",
        "a plain 2000",
        "a by the clock",
    ];
    assert_eq!(of("a"), a);
    let b = ["b at 700", "b plain 710", "b plain 1000", "b idle 1200", "b plain 2000", "b by the clock"];
    assert_eq!(of("b"), b);
    // One key after the other.
    let first = &results[0][..1];
    let changes = results.windows(2).filter(|pair| pair[0][..1] != pair[1][..1]).count();
    assert_eq!(changes, 1, "{first} comes first: {results:?}");
}

#[test]
fn wn_22_pending_windows_of_processing_time_fire_in_batch_mode_only() {
    let counts = |mode, continuous: bool| {
        let (mut results, _) = run(Job::new("by_clock").mode(mode), move |flow, out| {
            let windowed = flow
                .source("numbers", script(0..10u64))
                .key_by(|n| n % 2)
                .window(Tumbling::of(Duration::from_secs(3600 * 24 * 365)).on_clock());
            match continuous {
                false => windowed.count().map(|count| (count.key, count.value)).sink("out", out),
                true => windowed
                    .trigger(
                        ContinuousProcessingTimeTrigger::of(Duration::from_secs(3600), Tick::Millisecond)
                            .unwrap(),
                    )
                    .count()
                    .map(|count| (count.key, count.value))
                    .sink("out", out),
            };
        });
        results.sort_unstable();
        results
    };
    assert_eq!(counts(RuntimeMode::Batch, false), [(0, 5), (1, 5)]);
    assert_eq!(counts(RuntimeMode::Streaming, false), []);
    // A trigger that would fire again and again fires, and comes to an end.
    let often = counts(RuntimeMode::Batch, true);
    assert!(often.contains(&(0, 5)) && often.contains(&(1, 5)), "{often:?}");
}

#[test]
fn tr_10_side_outputs_come_beside_in_batch_mode() {
    // Enough to be given out in many steps.
    let run = |mode| {
        let out = Once::new();
        let sink = out.clone();
        Job::new("beside")
            .mode(mode)
            .shards(2)
            .oversubscribe(true)
            .restart(RestartStrategy::fixed_delay(1, Duration::ZERO))
            .run(move |flow| {
                let late = flow.tag::<i64>("late");
                let counts = flow
                    .source("numbers", sequence(0..=9_999))
                    .event_time(Watermarks::monotonous(), |n| *n)
                    .key_by(|n| n % 100)
                    .window(Tumbling::of(Ticks(1_000)))
                    .late_to(&late)
                    .count();
                let beside = counts.side_output(&late).owned().map(|n| (n, 0));
                counts
                    .map(|count| (count.key, count.value))
                    .union(beside)
                    .key_by(|pair| pair.0)
                    .fold(0u64, |sum, pair| *sum += pair.1)
                    .sink("out", sink.clone());
            })
            .unwrap();
        let last: std::collections::BTreeMap<i64, u64> = out.results().into_iter().collect();
        last
    };
    let batch = run(RuntimeMode::Batch);
    assert_eq!((batch.len(), batch.values().sum::<u64>()), (100, 10_000));
    assert_eq!(batch, run(RuntimeMode::Streaming));
}

#[test]
fn bm_04_no_record_is_late_in_batch_mode() {
    // Two partitions, of which one is hours behind.
    let far = (0..100).map(|n| (n as u64, Timestamp(1_000_000 + n))).collect::<Vec<_>>();
    let behind = (0..100).map(|n| (n as u64, Timestamp(n))).collect::<Vec<_>>();
    let out = Once::new();
    let sink = out.clone();
    let summary = Job::new("late")
        .mode(RuntimeMode::Batch)
        .run(move |flow| {
            flow.source("records", timed_script(vec![far.clone(), behind.clone()]))
                .source_time(Watermarks::monotonous())
                .key_by(|n| n % 3)
                .window(Tumbling::of(Ticks(50)))
                .count()
                .map(|count| (count.window.start.0, count.key, count.value))
                .sink("out", sink.clone());
        })
        .unwrap();
    assert_eq!((summary.metrics.late_records(), out.results().len()), (0, 12));
}

//! Asynchronous calls: order, capacity, time, and what a restart does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use millstream::element::ShardId;
use millstream::job::WaitingFor;
use millstream::operator::async_io::{Retry, blocking, sleep};
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};
use millstream::testing::{Harness, Input, Step};

use crate::ways::every_way;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A service that takes as many milliseconds as it is told, by the job's clock.
async fn after(record: (char, u64)) -> char {
    sleep(ms(record.1)).await;
    record.0
}

#[test]
fn as_01_a_hundred_calls_take_the_time_of_one() {
    let mut lookups = Harness::single(|_, numbers: Input<u64>| {
        numbers.unordered_wait().call(|n| async move {
            sleep(ms(10)).await;
            n * 2
        })
    });
    (0..100).for_each(|n| lookups.push(n, 0));
    lookups.advance_clock(9);
    assert!(lookups.values().is_empty());
    lookups.advance_clock(10);
    let mut answers = lookups.values();
    answers.sort();
    assert_eq!(answers, (0..100).map(|n| n * 2).collect::<Vec<_>>());
}

#[test]
fn as_02_results_go_on_as_they_come_but_never_across_a_watermark() {
    let program = |_: &_, records: Input<(char, u64)>| records.unordered_wait().call(after);
    let mut calls = Harness::single(program);
    calls.push(('a', 30), 1);
    calls.push(('b', 10), 2);
    calls.watermark(5);
    calls.push(('c', 1), 6);
    calls.advance_clock(29);
    assert_eq!(calls.outputs(), [('b', Timestamp(2))]);
    assert_eq!(calls.event_time("out"), Timestamp::MIN, "the watermark waits for a");
    calls.advance_clock(30);
    assert_eq!(calls.outputs(), [('a', Timestamp(1)), ('c', Timestamp(6))]);
    assert_eq!(calls.event_time("out"), Timestamp(5));
}

#[test]
fn as_03_ordered_results_go_on_in_the_order_of_their_records() {
    let mut calls = Harness::single(|_, records: Input<(char, u64)>| records.ordered_wait().call(after));
    for record in [('a', 30), ('b', 10), ('c', 1)] {
        calls.push(record, 0);
    }
    calls.advance_clock(29);
    assert!(calls.values().is_empty());
    calls.advance_clock(30);
    assert_eq!(calls.values(), ['a', 'b', 'c']);
}

#[test]
fn as_04_no_more_calls_are_under_way_than_the_capacity() {
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counts, greatest) = (under_way.clone(), most.clone());
    let mut calls = Harness::single(move |_, numbers: Input<u64>| {
        let (counts, greatest) = (counts.clone(), greatest.clone());
        numbers.ordered_wait().capacity(3).call(move |n| {
            let (counts, greatest) = (counts.clone(), greatest.clone());
            async move {
                greatest.fetch_max(counts.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                sleep(ms(10)).await;
                counts.fetch_sub(1, Ordering::Relaxed);
                n
            }
        })
    });
    (0..8).for_each(|n| calls.push(n, 0));
    let mut seen = Vec::new();
    for (clock, expected) in [(10, 3), (20, 6), (30, 8)] {
        calls.advance_clock(clock);
        seen.extend(calls.values());
        assert_eq!(seen, (0..expected).collect::<Vec<u64>>());
    }
    assert_eq!((under_way.load(Ordering::Relaxed), most.load(Ordering::Relaxed)), (0, 3));
}

#[test]
fn as_04_a_record_whose_time_is_over_goes_beside_and_the_job_lives() {
    let mut calls = Harness::single(|flow, records: Input<(char, u64)>| {
        let slow = flow.tag("slow");
        let calls = records.ordered_wait().timeout(ms(20)).or_side(&slow).call(after);
        flow.side_output(&slow, &calls);
        calls
    });
    calls.push(('a', 50), 1);
    calls.push(('b', 5), 2);
    calls.advance_clock(19);
    assert!(calls.values().is_empty());
    calls.advance_clock(20);
    assert_eq!(calls.side_outputs("slow"), [(('a', 50u64), Timestamp(1))]);
    assert_eq!(calls.outputs(), [('b', Timestamp(2))]);
    calls.push(('c', 1), 3);
    calls.advance_clock(60);
    assert_eq!(calls.values(), ['c']);
}

#[test]
fn as_04_a_value_goes_on_in_the_stead_of_an_answer() {
    let mut calls = Harness::single(|_, records: Input<(char, u64)>| {
        records.unordered_wait().timeout(ms(20)).or_value(|record, why| (record.0, why.to_string())).call(
            |record| async move {
                let name = after(record).await;
                (name, "in time".to_owned())
            },
        )
    });
    calls.push(('a', 50), 1);
    calls.push(('b', 5), 1);
    calls.advance_clock(60);
    let late = "nothing came within 20ms (attempt 1)";
    assert_eq!(calls.values(), [('b', "in time".to_owned()), ('a', late.to_owned())]);
}

#[test]
fn as_04_without_a_policy_the_job_fails_and_says_where_and_for_what() {
    let program = |_: &_, records: Input<(char, u64)>| {
        records.ordered_wait().timeout(ms(20)).call(after).name("prices")
    };
    let mut calls = Harness::single(program);
    calls.push(('a', 5), 7);
    calls.push(('b', 50), 8);
    let error = calls.step(&Step::clock(20)).unwrap_err().to_string();
    for words in
        ["`prices`", "async_io.rs", "record 2", "nothing came within 20ms", ".timeout(..)", ".or_side(..)"]
    {
        assert!(error.contains(words), "{words:?} is not in: {error}");
    }
}

/// Fails so many times for each number as the number says, and counts attempts.
fn reluctant(retry: Retry) -> (Harness, Arc<AtomicUsize>) {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = attempts.clone();
    let harness = Harness::new(move |flow| {
        let counted = counted.clone();
        let mut failed = std::collections::BTreeMap::new();
        let answers = flow.input::<u64>("in").ordered_wait().retry(retry).try_call(move |n| {
            counted.fetch_add(1, Ordering::Relaxed);
            let times = failed.entry(n).or_insert(0);
            *times += 1;
            let answer = if *times <= n { Err(format!("{n} is not ready")) } else { Ok(n) };
            async move { answer }
        });
        flow.output("out", answers);
    });
    (harness, attempts)
}

#[test]
fn as_04_failed_calls_are_made_again_after_a_pause() {
    let (mut calls, attempts) = reluctant(Retry::exponential(3, ms(10), 2.0, ms(30)));
    calls.push(2u64, 0);
    calls.push(0u64, 0);
    let mut made = Vec::new();
    for clock in [0, 9, 10, 29, 30] {
        calls.advance_clock(clock);
        made.push(attempts.load(Ordering::Relaxed));
    }
    assert_eq!(made, [2, 2, 3, 3, 4], "pauses of 10 and 20 ms");
    assert_eq!(calls.outputs::<u64>().into_iter().map(|(n, _)| n).collect::<Vec<_>>(), [2, 0]);
}

#[test]
fn as_04_the_last_failure_fails_the_job() {
    let (mut calls, attempts) = reluctant(Retry::fixed(2, ms(1)));
    calls.push(5u64, 0);
    let error = calls.step(&Step::clock(100)).unwrap_err().to_string();
    assert!(error.contains("attempt 3 of 3 failed: 5 is not ready"), "{error}");
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
}

#[test]
fn as_05_what_is_under_way_is_asked_again_after_a_restart_and_goes_on_once() {
    for shards in [1, 2, 3] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let mut calls = Harness::single(move |_, records: Input<(char, u64)>| {
            let count = count.clone();
            records.ordered_wait().call(move |record| {
                count.fetch_add(1, Ordering::Relaxed);
                after(record)
            })
        });
        for record in [('a', 10), ('b', 5), ('c', 20)] {
            calls.push(record, 3);
        }
        calls.watermark(3);
        // The answer for b is there, and waits behind a: it is asked again like the others.
        calls.advance_clock(6);
        let snapshot = calls.snapshot();
        assert_eq!((calls.values(), asked.load(Ordering::Relaxed)), (vec![], 3));
        calls.restore(&snapshot, shards);
        assert_eq!(asked.load(Ordering::Relaxed), 6);
        assert_eq!(calls.event_time("out"), Timestamp::MIN);
        calls.advance_clock(100);
        assert_eq!(calls.outputs(), ['a', 'b', 'c'].map(|name| (name, Timestamp(3))));
        assert_eq!(calls.event_time("out"), Timestamp(3));
        assert_eq!(asked.load(Ordering::Relaxed), 6);
    }
}

/// Records with the milliseconds that their calls take.
fn timed() -> Vec<((u64, u64), Timestamp)> {
    let records =
        [((1u64, 3), 0), ((2, 0), 1000), ((1, 1), 4999), ((1, 2), 5000), ((2, 0), 9999), ((1, 1), 12_000)];
    records.map(|(record, at)| (record, Timestamp(at))).to_vec()
}

#[test]
fn as_05_as_06_calls_in_a_chain_keep_event_time_each_way() {
    for ordered in [true, false] {
        every_way(6, move |flow, run| {
            let records =
                flow.source("records", run.timed(vec![timed()])).source_time(Watermarks::monotonous());
            let records = records.filter(|record| record.0 < 3);
            let calls = if ordered { records.ordered_wait() } else { records.unordered_wait() };
            let calls = calls.capacity(2).call(|(key, takes): (u64, u64)| async move {
                sleep(ms(takes)).await;
                key
            });
            calls
                .map(|key| key)
                .key_by(|key| *key)
                .window(Tumbling::of(Duration::from_secs(5)))
                .count()
                .map(|count| (count.window.start.0, count.key, count.value))
                .sink("out", run.sink());
        })
        .are_in_any_order(&[(0, 1, 2), (0, 2, 1), (5000, 1, 1), (5000, 2, 1), (10_000, 1, 1)])
        .late(0);
    }
}

#[test]
fn as_03_as_05_order_is_kept_each_way() {
    every_way(6, |flow, run| {
        let records = run.source([(0u64, 3u64), (1, 0), (2, 2), (3, 1), (4, 0), (5, 0)]);
        let calls = flow.source("records", records).ordered_wait().capacity(3);
        calls
            .call(|(n, takes)| async move {
                sleep(ms(takes)).await;
                n
            })
            .sink("out", run.sink());
    })
    .are(&[0, 1, 2, 3, 4, 5]);
}

#[test]
fn as_04_settings_that_make_no_sense_are_refused() {
    let explain =
        |change: fn(millstream::stream::AsyncCalls<u64, u64>) -> millstream::stream::AsyncCalls<u64, u64>| {
            let program = move |flow: &Flow| {
                let numbers = flow.source("numbers", millstream::testing::script([1u64]));
                change(numbers.ordered_wait()).call(|n| async move { n }).discard();
            };
            Job::new("refused").explain(program).unwrap_err().to_string()
        };
    assert!(explain(|calls| calls.capacity(0)).contains("the capacity is 0"));
    assert!(explain(|calls| calls.timeout(Duration::ZERO)).contains("the timeout is 0"));
    let shrinking = explain(|calls| calls.retry(Retry::exponential(1, ms(1), 0.5, ms(1))));
    assert!(shrinking.contains("by a factor of 0.5"), "{shrinking}");
}

#[test]
fn as_07_a_shard_that_stands_still_is_reported_with_its_operators() {
    let (go_on, blocked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (goes_on, blocks) = (go_on.clone(), blocked.clone());
    let running = Job::new("stalled").stall_after(ms(20)).spawn(move |flow| {
        let (goes_on, blocks) = (goes_on.clone(), blocks.clone());
        let numbers = flow.source("numbers", millstream::testing::script([1u64]));
        numbers
            .map(move |n| {
                blocks.store(1, Ordering::Release);
                while goes_on.load(Ordering::Acquire) == 0 {
                    std::thread::sleep(ms(1));
                }
                n
            })
            .name("waits for a client")
            .discard();
    });
    let running = running.unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while running.metrics().stalls.is_empty() {
        assert!(
            std::time::Instant::now() < end,
            "nobody has noticed; blocked: {}",
            blocked.load(Ordering::Acquire)
        );
        std::thread::sleep(ms(1));
    }
    go_on.store(1, Ordering::Release);
    let summary = running.wait().unwrap();
    let stall = &summary.metrics.stalls[0];
    assert_eq!(stall.operators[..2], ["numbers", "waits for a client"]);
    assert!(stall.duration >= ms(20) && stall.is_over, "{stall}");
    assert!(stall.to_string().contains("`numbers -> waits for a client"), "{stall}");
}

/// A sink whose peer does not answer.
#[derive(Clone, Default)]
struct Blocks {
    /// The shard that it has blocked, counted from 1; 0 for none.
    blocked: Arc<AtomicUsize>,
    goes_on: Arc<AtomicBool>,
    shard: usize,
}

impl Sink<u64> for Blocks {
    fn delivery(&self) -> Delivery {
        Delivery::Plain
    }

    fn open(&mut self, context: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        self.shard = context.shard.index();
        Ok(())
    }

    fn write(&mut self, n: &u64, _: Timestamp) -> Result<(), SinkError> {
        if *n == 1 {
            self.blocked.store(self.shard + 1, Ordering::Release);
            while !self.goes_on.load(Ordering::Acquire) {
                std::thread::sleep(ms(1));
            }
        }
        Ok(())
    }
}

#[test]
fn as_07_a_sink_that_blocks_its_shard_is_reported_with_the_shard() {
    let sink = Blocks::default();
    let blocks = sink.clone();
    let running =
        Job::new("slow sink").shards(2).oversubscribe(true).stall_after(ms(20)).spawn(move |flow| {
            let numbers = flow.source("numbers", millstream::testing::script([0u64, 1, 2, 3]));
            numbers.rebalance().owned().sink("slow peer", blocks.clone());
        });
    let running = running.unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(60);
    let stall = loop {
        let stalls = running.metrics().stalls;
        if let Some(stall) =
            stalls.into_iter().find(|stall| stall.operators.ends_with(&["slow peer".to_owned()]))
        {
            break stall;
        }
        assert!(std::time::Instant::now() < end, "nobody has noticed: {:?}", running.metrics());
        std::thread::sleep(ms(1));
    };
    assert_eq!(stall.shard.index() + 1, sink.blocked.load(Ordering::Acquire));
    assert!(!stall.is_over && stall.duration >= ms(20), "{stall}");
    let said = stall.to_string();
    assert!(said.starts_with(&format!("shard {} stands still", stall.shard)), "{said}");
    assert!(said.contains("`rebalance -> owned -> slow peer`: an operator there blocks"), "{said}");
    sink.goes_on.store(true, Ordering::Release);
    assert_eq!(running.wait().unwrap().status, JobStatus::Finished);
}

// Without a timeout, since the runs by hand let time pass wherever the job rests, whatever other threads are about.
#[test]
fn as_01_work_that_blocks_is_done_beside_the_shard() {
    every_way(8, |flow, run| {
        let numbers = flow.source("numbers", run.source(0u64..8));
        let doubled = numbers.ordered_wait().capacity(3).without_timeout().call(|n| blocking(move || n * 2));
        doubled.sink("out", run.sink());
    })
    .are(&[0, 2, 4, 6, 8, 10, 12, 14]);
}

#[test]
fn as_01_a_panic_in_work_that_blocks_is_the_operators() {
    let program = |flow: &Flow| {
        let numbers = flow.source("numbers", millstream::testing::script([1u64, 0]));
        numbers.unordered_wait().call(|n| blocking(move || 10 / n)).name("divide").discard();
    };
    let error = Job::new("divides").restart(RestartStrategy::None).run(program).unwrap_err().to_string();
    assert!(error.contains("`divide`") && error.contains("divide by zero"), "{error}");
}

#[test]
fn as_01_calls_that_wait_for_another_runtime_are_woken_from_its_threads() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let handle = tokio.handle().clone();
    every_way(8, move |flow, run| {
        let tokio = handle.clone();
        let numbers = flow.source("numbers", run.source(0u64..8));
        let doubled = numbers.ordered_wait().without_timeout().try_call(move |n| {
            tokio.spawn(async move {
                tokio::time::sleep(Duration::from_micros(100 * (8 - n))).await;
                n * 2
            })
        });
        doubled.sink("out", run.sink());
    })
    .are(&[0, 2, 4, 6, 8, 10, 12, 14]);
}

#[test]
fn as_02_event_time_that_waits_for_calls_is_explained() {
    let running = Job::new("waits").spawn(|flow| {
        let records = millstream::testing::golden::Paused::endless(vec![vec![(1u64, Timestamp(7))]]);
        flow.source("records", records)
            .source_time(Watermarks::monotonous())
            .unordered_wait()
            .call(|_| std::future::pending::<u64>())
            .name("prices")
            .key_by(|n| *n)
            .count()
            .discard();
    });
    let running = running.unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(60);
    let calls = WaitingFor::Calls { operator: "prices".to_owned(), shard: ShardId(0), under_way: 1 };
    loop {
        let waiting = running.why_waiting("count").ok().and_then(|waiting| waiting.into_iter().next());
        match waiting {
            Some(waiting) if waiting.cause == calls => {
                assert!(waiting.to_string().contains("records under way: 1"), "{waiting}");
                break;
            }
            other => assert!(std::time::Instant::now() < end, "{other:?}"),
        }
        std::thread::sleep(ms(1));
    }
    running.cancel();
    running.wait().unwrap();
}

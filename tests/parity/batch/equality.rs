//! Random jobs, which come to the same in streaming and in batch mode.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream::operator::{KeyedContext, KeyedProcess, Timer};
use millstream::prelude::*;
use millstream::stream::Keyed;
use millstream::testing::golden::Once;
use millstream::testing::timed_script;
use millstream::time::Ticks;
use proptest::prelude::*;

/// A key and a number.
type Pair = (u64, i64);

/// What is done with a keyed stream before the end. None of it depends on the order of records of one event time, or on what had come by the
/// time at which it gives something out: that differs from run to run in streaming mode, too.
#[derive(Clone, Debug)]
enum Step {
    Scale(i64),
    KeepEven,
    Rekey(u64),
    TumblingSum(u64),
    SlidingCount(u64, u64),
    SessionMax(u64),
    TimerAfter(i64),
    IntervalJoin(i64, i64),
    WindowJoin(u64),
}

/// What is made of it in the end.
#[derive(Clone, Copy, Debug)]
enum End {
    Records,
    CountWindows,
    Count,
    Sum,
    Max,
}

#[derive(Clone, Debug)]
struct Program {
    first: Vec<(Pair, i64)>,
    second: Vec<(Pair, i64)>,
    steps: Vec<Step>,
    end: End,
    shards: u16,
}

/// Gives out the times at which its timers fire.
struct Echo(i64);

impl KeyedProcess<Pair, u64> for Echo {
    type Out = Pair;

    fn process(&mut self, _: &View<Pair>, ctx: &mut KeyedContext<'_, u64, Pair>) {
        let at = ctx.timestamp().unwrap_or_default().0 + self.0;
        ctx.register_event_timer(Timestamp(at));
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, u64, Pair>) {
        let key = ctx.key();
        ctx.emit((key, timer.at.0));
    }
}

/// One step. Keyed streams of one type of records and keys are of one type, whatever came before.
fn step(
    number: usize,
    step: &Step,
    pairs: Keyed<Pair, u64>,
    other: impl FnOnce() -> Keyed<Pair, u64>,
) -> Keyed<Pair, u64> {
    let name = |what: &str| format!("{what} {number}");
    let by = |pair: &Pair| pair.0;
    match *step {
        Step::Scale(factor) => pairs.views().owned().map(move |(k, v)| (k, v * factor)).key_by(by),
        Step::KeepEven => pairs.views().owned().filter(|(_, v)| v % 2 == 0).key_by(by),
        Step::Rekey(keys) => {
            pairs.views().owned().map(move |(k, v)| ((k * 7 + v.unsigned_abs()) % keys, v)).key_by(by)
        }
        Step::TumblingSum(size) => pairs
            .window(Tumbling::of(Ticks(size as i64)))
            .sum(|pair| pair.1)
            .name(name("tumbling"))
            .map(|sum| (sum.key, sum.value))
            .key_by(by),
        Step::SlidingCount(size, slide) => pairs
            .window(Sliding::of(Ticks((size * slide) as i64)).every(Ticks(slide as i64)))
            .count()
            .name(name("sliding"))
            .map(|count| (count.key, count.value as i64))
            .key_by(by),
        Step::SessionMax(gap) => pairs
            .window(Session::gap(Ticks(gap as i64)))
            .max(|pair| pair.1)
            .name(name("session"))
            .map(|max| (max.key, max.value))
            .key_by(by),
        Step::TimerAfter(ticks) => pairs.process(Echo(ticks)).name(name("timers")).key_by(by),
        Step::IntervalJoin(lower, upper) => pairs
            .interval_join(other(), Ticks(lower), Ticks(upper))
            .join(|a: &Pair, b: &Pair| (a.0, a.1 - b.1))
            .name(name("interval join"))
            .key_by(by),
        Step::WindowJoin(size) => pairs
            .window_join(other(), Tumbling::of(Ticks(size as i64)))
            .join(|a: &Pair, b: &Pair| (a.0, a.1 + 2 * b.1))
            .name(name("window join"))
            .key_by(by),
    }
}

impl Program {
    fn build(&self, flow: &Flow, out: Once<Pair>) {
        let source = |name: &str, records: &[(Pair, i64)]| {
            let records = records.iter().map(|(pair, at)| (*pair, Timestamp(*at))).collect();
            // Nothing is ever late.
            let watermarks = Watermarks::bounded_out_of_orderness(Duration::from_secs(3600));
            flow.source(name, timed_script(vec![records])).source_time(watermarks).key_by(|pair| pair.0)
        };
        let mut pairs = source("first", &self.first);
        for (number, chosen) in self.steps.iter().enumerate() {
            let second = || source(&format!("second {number}"), &self.second);
            pairs = step(number, chosen, pairs, second);
        }
        match self.end {
            End::Records => {
                pairs.views().owned().sink("out", out);
            }
            End::CountWindows => {
                pairs.count_window(3).count().map(|n| (n.key, n.value as i64)).sink("out", out);
            }
            End::Count => {
                pairs.count().map(|(k, n)| (k, n as i64)).sink("out", out);
            }
            End::Sum => {
                pairs.fold(0i64, |sum, pair| *sum += pair.1).sink("out", out);
            }
            End::Max => {
                pairs.max_by(|pair| pair.1).map(|pair| (pair.0, pair.1)).sink("out", out);
            }
        }
    }

    /// What the job comes to: all records, or what each key has come to in the end.
    fn comes_to(&self, mode: RuntimeMode) -> Vec<Pair> {
        let out = Once::new();
        let (program, sink) = (self.clone(), out.clone());
        Job::new("random")
            .mode(mode)
            .shards(self.shards)
            .oversubscribe(true)
            .run(move |flow| program.build(flow, sink.clone()))
            .unwrap();
        let mut results = out.results();
        if matches!(self.end, End::Records | End::CountWindows) {
            results.sort_unstable();
            return results;
        }
        let last: BTreeMap<u64, i64> = results.iter().copied().collect();
        if mode == RuntimeMode::Batch {
            assert_eq!(last.len(), results.len(), "one result for each key: {results:?}");
        }
        last.into_iter().collect()
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (-3i64..4).prop_map(Step::Scale),
        Just(Step::KeepEven),
        (1u64..6).prop_map(Step::Rekey),
        (1u64..40).prop_map(Step::TumblingSum),
        (1u64..5, 1u64..20).prop_map(|(size, slide)| Step::SlidingCount(size, slide)),
        (1u64..20).prop_map(Step::SessionMax),
        (0i64..30).prop_map(Step::TimerAfter),
        (-10i64..=0, 0i64..10).prop_map(|(lower, upper)| Step::IntervalJoin(lower, upper)),
        (1u64..30).prop_map(Step::WindowJoin),
    ]
}

fn any_records() -> impl Strategy<Value = Vec<(Pair, i64)>> {
    prop::collection::vec(((0u64..5, -20i64..20), 0i64..200), 0..40)
}

prop_compose! {
    fn any_program()(
        first in any_records(),
        second in any_records(),
        steps in prop::collection::vec(any_step(), 0..4),
        end in prop::sample::select(vec![End::Records, End::CountWindows, End::Count, End::Sum, End::Max]),
        shards in 1u16..3,
    ) -> Program {
        Program { first, second, steps, end, shards }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn bm_07_streaming_and_batch_come_to_the_same(program in any_program()) {
        prop_assert_eq!(program.comes_to(RuntimeMode::Streaming), program.comes_to(RuntimeMode::Batch));
    }
}

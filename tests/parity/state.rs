//! One value per key.

mod budget;
mod collections;
mod ttl;

use std::collections::{BTreeMap, BTreeSet};

use millstream::operator::{KeyedContext, KeyedProcess, States, ValueState};
use millstream::prelude::*;

use crate::ways::{Once, every_way};

#[derive(Record, Clone, Copy)]
#[repr(C)]
struct CountAndSum {
    count: u64,
    sum: i64,
}

/// The average of every two values of a key: Flink's `CountWindowAverage`.
fn count_window_average(
    key: &u64,
    pair: &View<(u64, i64)>,
    state: &mut Value<CountAndSum>,
    out: &mut Out<(u64, i64)>,
) {
    let mut now = state.get().copied().unwrap_or(CountAndSum { count: 0, sum: 0 });
    now.count += 1;
    now.sum += pair.1;
    if now.count == 2 {
        out.emit((*key, now.sum / 2));
        state.clear();
    } else {
        state.set(now);
    }
}

#[test]
fn ks_01_a_value_belongs_to_its_key() {
    let cities = [
        ("Beijing", 1u64),
        ("Shanghai", 2),
        ("Beijing", 6),
        ("Shanghai", 8),
        ("Beijing", 3),
        ("Shanghai", 4),
    ];
    let cities = cities.map(|(city, value)| (city.to_owned(), value));
    let expected =
        [1, 2, 6, 8, 6, 8].into_iter().zip(cities.clone()).map(|(most, (city, value))| (city, value, most));
    every_way(6, move |flow, run| {
        flow.source("cities", run.source(cities.clone()))
            .key_by(|city| city.0.clone())
            .map_with_state(|city, most: Option<u64>| {
                let (name, value) = <(String, u64)>::owned(city);
                let most = most.map_or(value, |most| most.max(value));
                ((name, value, most), Some(most))
            })
            .sink("out", run.sink());
    })
    .are(&expected.collect::<Vec<_>>());
}

/// Collects what comes for a key in a text, looked at where it lies and changed with one look-up.
#[derive(Default)]
struct InPlace {
    text: ValueState<String>,
}

impl KeyedProcess<(u64, u64), u64> for InPlace {
    type Out = (u64, usize, String);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.text = states.value("text");
    }

    fn process(&mut self, pair: &View<(u64, u64)>, ctx: &mut KeyedContext<'_, u64, (u64, usize, String)>) {
        let (key, number) = <(u64, u64)>::owned(pair);
        let before = ctx.view(&self.text, |text| text.len()).unwrap_or(0);
        let text = ctx.update(&self.text, String::new, |text| {
            text.push_str(&format!("{number},"));
            text.clone()
        });
        assert_eq!(ctx.get(&self.text).as_ref(), Some(&text));
        if number == 3 {
            assert!(ctx.clear(&self.text));
        }
        ctx.emit((key, before, text));
    }
}

#[test]
fn ks_01_a_value_is_viewed_and_updated_in_place() {
    let pairs = [(1u64, 1u64), (2, 20), (1, 2), (2, 3), (1, 3), (1, 4), (2, 40)];
    let row = |key: u64, before: usize, text: &str| (key, before, text.to_owned());
    every_way(7, move |flow, run| {
        flow.source("pairs", run.source(pairs))
            .key_by(|pair| pair.0)
            .process(InPlace::default())
            .sink("out", run.sink());
    })
    .are(&[
        row(1, 0, "1,"),
        row(2, 0, "20,"),
        row(1, 2, "1,2,"),
        row(2, 3, "20,3,"),
        row(1, 4, "1,2,3,"),
        row(1, 0, "4,"),
        row(2, 0, "40,"),
    ]);
}

#[test]
fn ks_05_count_window_average() {
    let pairs = [(1u64, 3i64), (1, 5), (1, 7), (1, 4), (1, 2)];
    every_way(5, move |flow, run| {
        flow.source("pairs", run.source(pairs))
            .key_by(|pair| pair.0)
            .flat_map_with_value("count and sum", count_window_average)
            .sink("out", run.sink());
    })
    .are(&[(1, 4), (1, 5)]);
}

#[test]
fn ks_05_the_fifth_value_stays_in_state() {
    let pairs = [(1u64, 3i64), (1, 5), (1, 7), (1, 4), (1, 2), (1, 10)];
    every_way(6, move |flow, run| {
        flow.source("pairs", run.source(pairs))
            .key_by(|pair| pair.0)
            .flat_map_with_value("count and sum", count_window_average)
            .sink("out", run.sink());
    })
    .are(&[(1, 4), (1, 5), (1, 6)]);
}

#[test]
fn ks_05_every_key_has_a_value_of_its_own() {
    let pairs: Vec<(u64, i64)> = (0..60).map(|n| (n % 20, n as i64)).collect();
    let expected: Vec<(u64, i64)> = (0..20).map(|key| (key, key as i64 + 10)).collect();
    every_way(60, move |flow, run| {
        flow.source("pairs", run.source(pairs.clone()))
            .key_by(|pair| pair.0)
            .flat_map_with_value("count and sum", count_window_average)
            .sink("out", run.sink());
    })
    .are(&expected);
}

/// Counts in a value of 64 bytes, and says on which thread.
#[derive(Default)]
struct OnShard {
    value: ValueState<[u64; 8]>,
}

impl KeyedProcess<u64, u64> for OnShard {
    type Out = (u64, u64, String);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.value = states.value("value");
    }

    fn process(&mut self, _: &u64, ctx: &mut KeyedContext<'_, u64, (u64, u64, String)>) {
        let mut value = ctx.get(&self.value).unwrap_or_default();
        value[7] += 1;
        ctx.set(&self.value, value);
        // What was written is there at once.
        assert_eq!(ctx.get(&self.value), Some(value));
        let said = (ctx.key(), value[7], format!("{:?}", std::thread::current().id()));
        ctx.emit(said);
    }
}

#[test]
fn ks_08_state_lies_on_the_shard_that_uses_it() {
    let out = Once::new();
    let sink = out.clone();
    Job::new("on shard")
        .shards(2)
        .oversubscribe(true)
        .run(move |flow| {
            let numbers = millstream::testing::script((0..400u64).map(|n| n % 20));
            flow.source("numbers", numbers)
                .key_by(|n| *n)
                .process(OnShard::default())
                .sink("out", sink.clone());
        })
        .unwrap();
    let mut threads: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let mut last = BTreeMap::new();
    for (key, count, thread) in out.results() {
        threads.entry(key).or_default().insert(thread);
        last.insert(key, count);
    }
    assert!(threads.values().all(|of_key| of_key.len() == 1));
    assert_eq!(threads.values().flatten().collect::<BTreeSet<_>>().len(), 2, "both shards have keys");
    assert_eq!(last, (0..20).map(|key| (key, 20)).collect());
}

//! One value per key.

mod budget;
mod collections;
mod ttl;

use millstream::prelude::*;

use crate::ways::every_way;

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

//! Whole jobs on real shards, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millstream_engine::prelude::*;
use millstream_engine::testing::{script, timed_script};

type Seen<T> = Arc<Mutex<Vec<T>>>;

fn words() -> Vec<String> {
    (0..5000).map(|n| format!("word-{}", n * 7919 % 97)).collect()
}

#[test]
fn counts_by_key_are_right_on_any_number_of_shards() {
    for shards in [1, 2, 3] {
        let seen: Seen<(String, u64)> = Seen::default();
        let results = seen.clone();
        let summary = Job::new("count")
            .shards(shards)
            .oversubscribe(true)
            .run(move |flow| {
                let results = results.clone();
                flow.source("words", script(words()).pace(100))
                    .filter(|word| !word.ends_with("-3"))
                    .key_by_ref(|word| word.as_str())
                    .count()
                    .for_each(move |pair, _| results.lock().unwrap().push(pair.clone()));
            })
            .unwrap();
        let mut model = BTreeMap::new();
        for word in words().into_iter().filter(|word| !word.ends_with("-3")) {
            *model.entry(word).or_insert(0u64) += 1;
        }
        let mut last = BTreeMap::new();
        for (word, count) in seen.lock().unwrap().iter() {
            let before = last.insert(word.clone(), *count).unwrap_or(0);
            assert_eq!(before + 1, *count, "{word} counts up by one");
        }
        assert_eq!(last, model);
        assert_eq!(summary.metrics.records_in(), 5000);
    }
}

#[test]
fn windows_fire_once_each() {
    for shards in [1, 2] {
        let seen: Seen<(i64, u64, u64)> = Seen::default();
        let results = seen.clone();
        let partitions: Vec<Vec<(u64, Timestamp)>> = (0..3u64)
            .map(|p| (0..2000u64).map(|n| (n % 5 + p, Timestamp((n as i64) * 3 - (n as i64 % 7)))).collect())
            .collect();
        let mut model = BTreeMap::new();
        for (key, at) in partitions.iter().flatten() {
            *model.entry((at.0.div_euclid(100) * 100, *key)).or_insert(0u64) += 1;
        }
        Job::new("windows")
            .shards(shards)
            .run(move |flow| {
                let results = results.clone();
                flow.source("numbers", timed_script(partitions.clone()).pace(64))
                    .source_time(Watermarks::bounded_out_of_orderness(std::time::Duration::from_millis(10)))
                    .key_by(|n| *n)
                    .window(Tumbling::of(std::time::Duration::from_millis(100)))
                    .count()
                    .for_each(move |w, at| {
                        assert_eq!(at, w.window.max_timestamp());
                        results.lock().unwrap().push((w.window.start.0, w.key, w.value));
                    });
            })
            .unwrap();
        let seen = seen.lock().unwrap();
        let fired: BTreeMap<_, _> = seen.iter().map(|(start, key, count)| ((*start, *key), *count)).collect();
        assert_eq!(fired.len(), seen.len(), "no window fires twice");
        assert_eq!(fired, model);
    }
}

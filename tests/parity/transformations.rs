//! What is done with each record, and running folds.

use millstream::prelude::*;

use crate::ways::every_way;

#[derive(Record, Clone, Debug, PartialEq)]
struct Reading {
    key: u64,
    value: i64,
    tag: String,
}

fn reading(value: i64, tag: &str) -> Reading {
    Reading { key: 1, value, tag: tag.to_owned() }
}

fn readings() -> [Reading; 3] {
    [reading(1, "x"), reading(5, "y"), reading(3, "z")]
}

/// The value and the tag of each result of a running fold.
fn told(reading: Reading) -> (i64, String) {
    (reading.value, reading.tag)
}

fn tells(expected: [(i64, &str); 3]) -> [(i64, String); 3] {
    expected.map(|(value, tag)| (value, tag.to_owned()))
}

#[test]
fn tr_01_map_may_change_the_type() {
    every_way(3, |flow, run| {
        flow.source("numbers", run.source([1i64, 2, 3])).map(|n| n * 10).sink("out", run.sink())
    })
    .are(&[10, 20, 30]);
    every_way(3, |flow, run| {
        flow.source("numbers", run.source([1i64, 2, 3])).map(|n| format!("<{n}>")).sink("out", run.sink());
    })
    .are(&["<1>", "<2>", "<3>"].map(str::to_owned));
}

#[test]
fn tr_02_flat_map_gives_any_number_of_another_type() {
    // Flink's example splits by one blank, which makes one empty word of an empty line. Splitting at white space makes none.
    let lines = ["a b a", "", "c"].map(str::to_owned);
    let words = ["a", "b", "a", "c"].map(str::to_owned);
    every_way(3, {
        let lines = lines.clone();
        move |flow, run| {
            flow.source("lines", run.source(lines.clone()))
                .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .sink("out", run.sink());
        }
    })
    .are(&words);
    every_way(3, move |flow, run| {
        flow.source("lines", run.source(lines.clone()))
            .flat_map_with(|line, out| line.split(' ').for_each(|word| out.emit(word.to_owned())))
            .sink("out", run.sink());
    })
    .are(&["a", "b", "a", "", "c"].map(str::to_owned));
}

#[test]
fn tr_03_filter_keeps_what_is_true() {
    every_way(6, |flow, run| {
        flow.source("numbers", run.source(1i64..=6)).filter(|n| n % 2 == 0).sink("out", run.sink())
    })
    .are(&[2, 4, 6]);
}

#[test]
fn tr_04_a_rolling_reduce_gives_a_result_after_each_record() {
    every_way(3, |flow, run| {
        flow.source("numbers", run.source([1i64, 2, 3]))
            .key_by(|_| 0u64)
            .reduce(|sum, n| *sum += n)
            .sink("out", run.sink());
    })
    .are(&[1, 3, 6]);
}

#[test]
fn tr_04_a_reduce_in_a_window_gives_one_result_when_it_fires() {
    let timed = vec![[(1i64, 0), (2, 4000), (3, 4999), (4, 5000)].map(|(n, at)| (n, Timestamp(at))).to_vec()];
    every_way(4, move |flow, run| {
        flow.source("numbers", run.timed(timed.clone()))
            .source_time(Watermarks::monotonous())
            .key_by(|_| 0u64)
            .window(Tumbling::of(std::time::Duration::from_secs(5)))
            .reduce(|sum, n| *sum += n)
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
    .are(&[(0, 6), (5000, 4)]);
}

#[test]
fn tr_05_sum_min_and_max_keep_the_other_fields_of_the_first_record() {
    every_way(3, |flow, run| {
        let keyed = flow.source("readings", run.source(readings())).key_by(|reading| reading.key);
        keyed.sum(|reading| &mut reading.value).map(told).sink("out", run.sink());
    })
    .are(&tells([(1, "x"), (6, "x"), (9, "x")]));
    every_way(3, |flow, run| {
        let keyed = flow.source("readings", run.source(readings())).key_by(|reading| reading.key);
        keyed.max(|reading| &mut reading.value).map(told).sink("out", run.sink());
    })
    .are(&tells([(1, "x"), (5, "x"), (5, "x")]));
    every_way(3, |flow, run| {
        let backwards = [reading(3, "x"), reading(1, "y"), reading(5, "z")];
        let keyed = flow.source("readings", run.source(backwards)).key_by(|reading| reading.key);
        keyed.min(|reading| &mut reading.value).map(told).sink("out", run.sink());
    })
    .are(&tells([(3, "x"), (1, "x"), (1, "x")]));
}

#[test]
fn tr_05_max_by_and_min_by_give_the_whole_record_and_the_first_wins() {
    every_way(3, |flow, run| {
        let keyed = flow.source("readings", run.source(readings())).key_by(|reading| reading.key);
        keyed.max_by(|reading| reading.value).map(told).sink("out", run.sink());
    })
    .are(&tells([(1, "x"), (5, "y"), (5, "y")]));
    every_way(3, |flow, run| {
        let ties = [reading(2, "first"), reading(2, "second"), reading(1, "less")];
        let keyed = flow.source("readings", run.source(ties)).key_by(|reading| reading.key);
        keyed.min_by(|reading| reading.value).map(told).sink("out", run.sink());
    })
    .are(&tells([(2, "first"), (2, "first"), (1, "less")]));
}

#[test]
fn tr_05_count_and_fold_per_key() {
    let words = ["a", "b", "a", "a", "b"].map(str::to_owned);
    let counted =
        [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2)].map(|(word, count)| (word.to_owned(), count));
    every_way(5, {
        let words = words.clone();
        move |flow, run| {
            flow.source("words", run.source(words.clone()))
                .key_by_ref(|word| word.as_str())
                .count()
                .sink("out", run.sink());
        }
    })
    .are(&counted);
    every_way(5, move |flow, run| {
        flow.source("words", run.source(words.clone()))
            .key_by_ref(|word| word.as_str())
            .fold(String::new(), |all, word| all.push_str(word))
            .sink("out", run.sink());
    })
    .are(
        &[("a", "a"), ("b", "b"), ("a", "aa"), ("a", "aaa"), ("b", "bb")]
            .map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
}

#[test]
fn tr_11_map_with_state() {
    // What had been added up before each record; 0 before the first.
    let pairs = [1i64, 2, 3];
    every_way(3, move |flow, run| {
        flow.source("numbers", run.source(pairs))
            .key_by(|_| "a".to_owned())
            .map_with_state(|n, state: Option<i64>| match state {
                None => (0, Some(*n)),
                Some(sum) => (sum, Some(sum + *n)),
            })
            .sink("out", run.sink());
    })
    .are(&[0, 1, 3]);
    // Nothing kept: as if nothing had been.
    every_way(4, |flow, run| {
        flow.source("numbers", run.source([1i64, 2, 3, 4]))
            .key_by(|_| 0u64)
            .map_with_state(|n, state: Option<i64>| (state, (*n % 2 == 1).then_some(*n)))
            .map(|seen| seen.unwrap_or(-1))
            .sink("out", run.sink());
    })
    .are(&[-1, 1, -1, 3]);
}

#[test]
fn tr_08_side_outputs_do_what_split_and_select_did() {
    every_way(6, |flow, run| {
        let (evens, odds) = flow.source("numbers", run.source(1i64..=6)).fork();
        let evens = evens.filter(|n| n % 2 == 0).map(|n| ("even".to_owned(), n));
        let odds = odds.owned().filter(|n| n % 2 == 1).map(|n| ("odd".to_owned(), n));
        evens.union(odds).owned().sink("out", run.sink());
    })
    .are_in_any_order(
        &(1i64..=6).map(|n| (if n % 2 == 0 { "even" } else { "odd" }.to_owned(), n)).collect::<Vec<_>>(),
    );
}

#[test]
fn tr_09_a_projection_is_a_map() {
    let rows = [(1u64, "b".to_owned(), 3i64), (4, "e".to_owned(), 6)];
    every_way(2, move |flow, run| {
        flow.source("rows", run.source(rows.clone())).map(|(a, _, c)| (c, a)).sink("out", run.sink());
    })
    .are(&[(3, 1), (6, 4)]);
}

//! Windows by the number of records.

use super::{source, timed};
use crate::ways::every_way;

fn numbers() -> Vec<(i64, millstream::prelude::Timestamp)> {
    timed(&[1, 2, 3, 4, 5, 6, 7, 8, 9].map(|number| (number, number)))
}

#[test]
fn wn_06_a_window_of_five_fires_with_its_fifth_record_and_the_rest_is_dropped() {
    let records = numbers();
    every_way(9, move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|_| ())
            .count_window(5)
            .sum(|number| *number)
            .map(|result| result.value)
            .sink("out", run.sink());
    })
    .are(&[15]);
}

#[test]
fn wn_06_every_key_is_counted_by_itself() {
    let records = numbers();
    every_way(9, move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|number| number % 2)
            .count_window(2)
            .sum(|number| *number)
            .map(|result| (result.key, result.value))
            .sink("out", run.sink());
    })
    .are_in_any_order(&[(1, 4), (0, 6), (1, 12), (0, 14)]);
}

#[test]
fn wn_07_every_third_record_gives_the_sum_of_the_last_five() {
    let records = numbers();
    every_way(9, move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|_| ())
            .count_window_sliding(5, 3)
            .sum(|number| *number)
            .map(|result| result.value)
            .sink("out", run.sink());
    })
    .are(&[6, 20, 35]);
}

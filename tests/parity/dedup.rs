//! Records that come again.

use std::time::Duration;

use millstream::operator::Ttl;
use millstream::stream::Keep;
use millstream::testing::{Harness, Input};

use crate::ways::every_way;

#[test]
fn eo_03_ids_that_come_again_are_written_once() {
    // An upstream that went back: 5 to 8 come twice, for two accounts.
    let ids = (1u64..=8).chain(5..=12);
    let payments: Vec<(u64, u64)> = ids.flat_map(|id| [(1, id), (2, id)]).collect();
    let expected: Vec<(u64, u64)> = (1..=12).flat_map(|id| [(1, id), (2, id)]).collect();
    every_way(payments.len(), move |flow, run| {
        flow.source("payments", run.source(payments.clone()))
            .key_by(|payment| payment.0)
            .dedup_by(|payment| payment.1, 10)
            .sink("out", run.sink());
    })
    .are_in_any_order(&expected);
}

#[test]
fn eo_03_the_last_ids_of_each_key_are_known() {
    let mut once = Harness::single(|_, ids: Input<(u64, char)>| {
        ids.key_by(|of| of.0).dedup_by(|of| of.1, Keep::Last(2))
    });
    let mut passes = |key: u64, id: char| {
        once.push((key, id), 0);
        !once.values().is_empty()
    };
    assert!(passes(1, 'a') && passes(1, 'b') && !passes(1, 'a'));
    // A repeat does not make an id younger: 'a' is the oldest of three.
    assert!(passes(1, 'c') && !passes(1, 'b') && !passes(1, 'c'));
    assert!(passes(1, 'a'), "it was forgotten");
    assert!(passes(2, 'b'), "another key knows nothing of it");
}

#[test]
fn eo_03_ids_are_known_for_a_time() {
    let minute = Duration::from_secs(60);
    let mut once = Harness::single(move |_, ids: Input<u64>| {
        ids.key_by(|id| id % 2).dedup_by(|id| *id, Ttl::of(minute))
    });
    for id in [1, 2, 1] {
        once.push(id, 0);
    }
    once.advance_clock(59_999);
    once.push(1, 0);
    assert_eq!(once.values(), [1, 2]);
    once.advance_clock(60_000);
    once.push(1, 0);
    assert_eq!(once.values(), [1]);
}

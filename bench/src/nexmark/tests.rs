//! Every query agrees with its reference, whatever the shards, the checkpoints and the failures.

use std::time::Duration;

use super::check::{Way, check};
use super::generator::Config;
use super::queries::ALL;

/// Ten seconds of event time and more, so that windows of all queries close on the way.
const EVENTS: u64 = 30_000;

fn way(shards: u16, fails: bool) -> Way {
    Way {
        // Twenty seconds, a little out of order.
        config: Config::default().rate(1500).out_of_order(50),
        events: EVENTS,
        shards,
        checkpoint_interval: Duration::from_millis(5),
        fails,
    }
}

fn all_agree(way: &Way) {
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for query in ALL {
        match check(query, way, dir.path()) {
            Ok(agreed) => {
                assert!(agreed.rows > 0, "q{} shows nothing", query.number);
                assert!(agreed.checkpoints >= 4, "q{}: {agreed:?}", query.number);
            }
            Err(error) => wrong.push(error),
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn queries_agree_with_their_references_on_one_shard() {
    all_agree(&way(1, false));
}

#[test]
fn queries_agree_with_their_references_on_two_shards() {
    all_agree(&way(2, false));
}

#[test]
fn queries_agree_with_their_references_after_a_failure_on_one_shard() {
    all_agree(&way(1, true));
}

#[test]
fn queries_agree_with_their_references_after_a_failure_on_two_shards() {
    all_agree(&way(2, true));
}

#[test]
fn queries_are_in_order_and_have_one_statement_each() {
    assert!(ALL.is_sorted_by_key(|query| query.number));
    for query in ALL {
        let sql = query.sql.to_uppercase();
        assert!(sql.trim_start().starts_with("SELECT") && !sql.contains(';'), "q{}", query.number);
        assert!(!sql.contains("INSERT") && !sql.contains("CREATE"), "q{}", query.number);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(super::can_be_written(&dir.path().join("figures.json")), Ok(()));
    let refused = super::can_be_written(&dir.path().join("missing/figures.json")).unwrap_err();
    assert!(refused.contains("missing/figures.json") && refused.contains("can be written to"), "{refused}");
}

//! Joins with what lies outside.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::operator::async_io::{Retry, sleep};
use millstream::prelude::*;
use millstream::testing::{Harness, Input, Single, Step};

use crate::ways::every_way;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Even numbers have names. Each look-up takes a millisecond.
async fn name_of(number: u64) -> Result<Option<String>, std::io::Error> {
    sleep(ms(1)).await;
    Ok(number.is_multiple_of(2).then(|| format!("number {number}")))
}

#[test]
fn jn_07_records_are_joined_with_what_lies_outside() {
    every_way(5, |flow, run| {
        flow.source("numbers", run.source([4u64, 1, 2, 4, 3]))
            .lookup_join(|number| *number, name_of)
            .join(|number, name| (number, name.clone()))
            .sink("out", run.sink());
    })
    .are(&[4, 2, 4].map(|number| (number, format!("number {number}"))));

    every_way(3, |flow, run| {
        flow.source("numbers", run.source([4u64, 1, 4]))
            .lookup_join(|number| *number, name_of)
            .cache(10, ms(1000))
            .left_join(|number, name| (number, name.cloned()))
            .sink("out", run.sink());
    })
    .are(&[(4, Some("number 4".to_owned())), (1, None), (4, Some("number 4".to_owned()))]);
}

#[test]
fn jn_07_what_has_no_partner_does_not_hold_up_event_time() {
    let mut joined = Harness::single(|_, numbers: Input<u64>| {
        numbers.lookup_join(|number| *number, name_of).join(|number, _| number)
    });
    joined.push(1, 5);
    joined.watermark(5);
    assert_eq!(joined.event_time("out"), Timestamp::MIN);
    joined.advance_clock(1);
    assert_eq!((joined.event_time("out"), joined.values()), (Timestamp(5), vec![]));
}

/// A join that notes which keys are fetched, and remembers two of them for ten milliseconds.
fn noting(forget_missing: bool) -> (Single<u64, bool>, Arc<Mutex<Vec<u64>>>) {
    let fetched = Arc::new(Mutex::new(Vec::new()));
    let notes = fetched.clone();
    let joined = Harness::single(move |_, numbers: Input<u64>| {
        let notes = notes.clone();
        let fetch = move |number| {
            notes.lock().unwrap().push(number);
            name_of(number)
        };
        let joined = numbers.lookup_join(|number| *number, fetch).cache(2, ms(10));
        let joined = if forget_missing { joined.forget_missing() } else { joined };
        joined.left_join(|_, name| name.is_some())
    });
    (joined, fetched)
}

#[test]
fn jn_07_what_was_found_is_remembered_for_a_while() {
    let (mut joined, fetched) = noting(false);
    let mut fetches = |number: u64, clock: i64| {
        joined.advance_clock(clock);
        joined.push(number, 0);
        joined.advance_clock(clock + 1);
        assert_eq!(joined.values(), [number.is_multiple_of(2)]);
        !std::mem::take(&mut *fetched.lock().unwrap()).is_empty()
    };
    assert!(fetches(2, 0));
    assert!(!fetches(2, 2), "remembered since 1");
    assert!(fetches(3, 4));
    assert!(!fetches(3, 6), "that there is nothing is remembered as well");
    assert!(!fetches(2, 8), "now 3 is the one that was used the longest time ago");
    assert!(fetches(4, 9));
    assert!(fetches(3, 10), "forgotten for 4");
    assert!(fetches(2, 12), "its time is over");
}

#[test]
fn jn_07_that_there_is_nothing_can_be_forgotten() {
    let (mut joined, fetched) = noting(true);
    for clock in [0, 2] {
        joined.advance_clock(clock);
        joined.push(3, 0);
        joined.push(2, 0);
    }
    joined.advance_clock(4);
    assert_eq!(joined.values(), [false, true, false, true]);
    assert_eq!(*fetched.lock().unwrap(), [3, 2, 3]);
}

#[test]
fn jn_07_look_ups_that_fail_are_made_again_and_then_fail_the_job() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = attempts.clone();
    let mut joined = Harness::new(move |flow| {
        let count = count.clone();
        let numbers = flow.input::<u64>("in").unordered_wait().retry(Retry::fixed(2, ms(5)));
        let fetch = move |_: u64| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Err::<Option<u64>, _>("the service is down") }
        };
        flow.output("out", numbers.look_up(|number| *number, fetch).join(|number, _| number));
    });
    joined.push(1u64, 0);
    let error = joined.step(&Step::clock(20)).unwrap_err().to_string();
    assert!(
        error.contains("`lookup_join`") && error.contains("attempt 3 of 3 failed: the service is down"),
        "{error}"
    );
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
}

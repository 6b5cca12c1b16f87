//! Records that have changed since the checkpoint was written: the operator, the state and both layouts are named.

use std::path::Path;
use std::time::{Duration, Instant};

use millstream::io::collect;
use millstream::prelude::*;
use millstream::testing::script;

/// An order as it was.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Order {
    shop: u64,
    price: i64,
}

/// What an order became: the same fields, another type.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Bid {
    shop: u64,
    price: u64,
}

#[derive(Record, Clone)]
struct Totals {
    sum: i64,
}

#[derive(Record, Clone)]
struct MoreTotals {
    sum: i64,
    count: u64,
}

fn orders() -> Vec<Order> {
    (0..100).map(|n| Order { shop: n % 7, price: n as i64 }).collect()
}

fn job(state: &Path) -> Job {
    Job::new("layouts").state_dir(state).restart(RestartStrategy::None)
}

/// The first version of the program.
fn first(flow: &Flow) {
    let totals = Totals { sum: 0 };
    flow.source("orders", script(orders()))
        .key_by(|order| order.shop)
        .fold(totals, |totals, order| totals.sum += order.price)
        .name("totals")
        .discard();
}

#[track_caller]
fn says(error: JobError, words: &[&str]) {
    let said = error.to_string();
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn changed_values_and_keys_name_operator_state_and_both_layouts() {
    let state = tempfile::tempdir().unwrap();
    job(state.path()).run(first).unwrap();
    // The same program goes on.
    job(state.path()).run(first).unwrap();

    let values = |flow: &Flow| {
        let totals = MoreTotals { sum: 0, count: 0 };
        let orders = flow.source("orders", script(orders())).key_by(|order| order.shop);
        let totals = orders.fold(totals, |totals, order| {
            (totals.sum, totals.count) = (totals.sum + order.price, totals.count + 1)
        });
        totals.name("totals").discard();
    };
    let error = job(state.path()).run(values).unwrap_err();
    says(
        error,
        &[
            "values of state",
            "operator `totals`",
            "then `Totals { sum: i64 }`",
            "now `MoreTotals { sum: i64, count: u64 }`",
            "go back to the type",
        ],
    );

    let keys = |flow: &Flow| {
        let totals = Totals { sum: 0 };
        let orders = flow.source("orders", script(orders())).key_by(|order| order.shop.to_string());
        orders.fold(totals, |totals, order| totals.sum += order.price).name("totals").discard();
    };
    let error = job(state.path()).run(keys).unwrap_err();
    says(error, &["keys of state", "operator `totals`", "then `u64`", "now `"]);

    // The refusals have changed nothing.
    job(state.path()).run(first).unwrap();
}

#[test]
fn changed_records_in_flight_are_not_taken_for_what_they_are_not() {
    let state = tempfile::tempdir().unwrap();
    let (sink, results) = collect::<(u64, u64)>();
    // Nobody takes the results: the job comes to a stand with records on their way, and checkpoints hold these.
    let sink = sink.bounded(1);
    let many: Vec<Order> = (0..200_000).map(|n| Order { shop: n % 7, price: n as i64 }).collect();
    let started = job(state.path()).checkpoint_interval(Duration::from_millis(10));
    let running = started
        .spawn(move |flow| {
            let orders = flow.source("orders", script(many.clone())).key_by(|order| order.shop);
            orders.count().name("counts").sink("out", sink.clone());
        })
        .unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    let in_flight = || running.metrics().checkpoints.last_in_flight_bytes;
    while in_flight() == 0 {
        assert!(Instant::now() < end, "no checkpoint holds a record in flight: {:?}", running.metrics());
        std::thread::sleep(Duration::from_millis(5));
    }
    running.cancel();
    running.wait().unwrap();
    drop(results);

    let bids = |flow: &Flow| {
        let bids: Vec<Bid> =
            orders().iter().map(|order| Bid { shop: order.shop, price: order.price as u64 }).collect();
        flow.source("orders", script(bids)).key_by(|bid| bid.shop).count().name("counts").discard();
    };
    let error = job(state.path()).run(bids).unwrap_err();
    says(
        error,
        &[
            "operator `counts`",
            "then `Order { shop: u64, price: i64 }`",
            "now `Bid { shop: u64, price: u64 }`",
        ],
    );
}

#[test]
fn state_of_an_operator_that_is_gone_is_not_dropped_in_silence() {
    let state = tempfile::tempdir().unwrap();
    job(state.path()).run(first).unwrap();
    let renamed = |flow: &Flow| {
        let totals = Totals { sum: 0 };
        let orders = flow.source("orders", script(orders())).key_by(|order| order.shop);
        orders.fold(totals, |totals, order| totals.sum += order.price).name("sums").discard();
    };
    let error = job(state.path()).run(renamed).unwrap_err();
    says(error, &["an operator named `totals`", "which the program does not have", ".name(\"totals\")"]);
}

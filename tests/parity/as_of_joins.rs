//! Joins with the version that is in force.

use millstream::prelude::*;
use millstream::time::Ticks;

use crate::time::fed::{Fed, Stepped};
use crate::ways::{Results, every_way};

/// Records of one key: what they are worth, and when.
type Worth = Vec<(i64, Timestamp)>;

fn worth(records: &[(i64, i64)]) -> Worth {
    records.iter().map(|(worth, at)| (*worth, Timestamp(*at))).collect()
}

/// Orders with the rate at their time, by the worth of both.
fn rated(orders: &[(i64, i64)], rates: &[(i64, i64)], within: Option<i64>) -> Results<(i64, Option<i64>)> {
    let (orders, rates) = (worth(orders), worth(rates));
    every_way(orders.len().max(rates.len()), move |flow, run| {
        let keyed = |name: &str, records: &Worth| {
            flow.source(name, run.timed(vec![records.clone()]))
                .source_time(Watermarks::bounded_out_of_orderness(Ticks(100)))
                .key_by(|_| 7u64)
        };
        let mut joined = keyed("orders", &orders).as_of_join(keyed("rates", &rates));
        if let Some(within) = within {
            joined = joined.within(Ticks(within));
        }
        joined.left_join(|order, rate| (*order, rate.copied())).sink("out", run.sink());
    })
}

#[test]
fn jn_08_an_order_has_the_rate_of_its_time() {
    rated(&[(1, 5), (2, 12)], &[(110, 0), (120, 10)], None).are(&[(1, Some(110)), (2, Some(120))]);
}

#[test]
fn jn_08_what_comes_in_disorder_is_joined_in_order() {
    rated(&[(1, 12), (2, -1), (3, 5), (4, 10), (5, 9)], &[(120, 10), (110, 0)], None).are(&[
        (2, None),
        (3, Some(110)),
        (5, Some(110)),
        (4, Some(120)),
        (1, Some(120)),
    ]);
}

#[test]
fn jn_08_of_versions_of_one_time_the_last_counts() {
    rated(&[(1, 10)], &[(120, 10), (121, 10)], None).are(&[(1, Some(121))]);
}

#[test]
fn jn_08_a_version_counts_as_long_as_is_said() {
    rated(&[(1, 15), (2, 16), (3, 21), (4, 1_000)], &[(110, 5), (120, 20)], Some(10)).are(&[
        (1, Some(110)),
        (2, None),
        (3, Some(120)),
        (4, None),
    ]);
}

#[test]
fn jn_08_an_inner_join_leaves_out_what_has_no_version() {
    let orders = worth(&[(1, -5), (2, 5)]);
    every_way(2, move |flow, run| {
        let keyed = |name: &str, records: Worth| {
            flow.source(name, run.timed(vec![records])).source_time(Watermarks::monotonous()).key_by(|_| ())
        };
        keyed("orders", orders.clone())
            .as_of_join(keyed("rates", worth(&[(110, 0)])))
            .join(|order, rate| order * rate)
            .sink("out", run.sink());
    })
    .are(&[220]);
}

#[test]
fn jn_08_a_late_version_counts_from_its_coming_unless_there_is_a_newer_one() {
    for shards in [1, 2] {
        let (orders, rates) = (Fed::new(1), Fed::new(1));
        let sources = (orders.clone(), rates.clone());
        let job = Stepped::start(shards, move |flow, sink| {
            let (late_orders, late_rates) = (flow.tag("late orders"), flow.tag("late rates"));
            let keyed = |name: &str, source: &Fed| {
                flow.source(name, source.clone()).source_time(Watermarks::monotonous()).key_by(|_| 7u64)
            };
            let rated = keyed("orders", &sources.0)
                .as_of_join(keyed("rates", &sources.1))
                .late_to(&late_orders, &late_rates)
                .join(|order, rate| (*order, *rate));
            let late_orders = rated.side_output(&late_orders).map(|order| (*order, 0));
            let late_rates = rated.side_output(&late_rates).map(|rate| (0, *rate));
            rated.union(late_orders).union(late_rates).map(|pair| (pair.0, pair.1)).sink("out", sink);
        });
        orders.feed(0, 1, 20);
        rates.feed(0, 110, 10);
        rates.feed(0, 120, 21);
        // The time of the order has come once both streams have gone past it.
        orders.feed(0, 2, 30);
        assert_eq!(job.next(), (1, 110));
        job.until_watermark("as_of_join", 20);
        rates.feed(0, 115, 15);
        rates.feed(0, 105, 9);
        assert_eq!(job.next(), (0, 105));
        orders.feed(0, 3, 20);
        assert_eq!(job.next(), (3, 0));
        assert_eq!(job.running.metrics().late_records(), 2);
        job.stop();
    }
}

#[test]
fn jn_08_what_is_kept_of_a_key_is_its_last_version() {
    let (orders, rates) = (Fed::new(1), Fed::new(1));
    let sources = (orders.clone(), rates.clone());
    let job = Stepped::start(1, move |flow, sink| {
        let keyed = |name: &str, source: &Fed| {
            flow.source(name, source.clone()).source_time(Watermarks::monotonous()).key_by(|_| 7u64)
        };
        keyed("orders", &sources.0)
            .as_of_join(keyed("rates", &sources.1))
            .within(Ticks(1_000))
            .join(|order, rate| (*order, *rate))
            .sink("out", sink);
    });
    for at in 0..50 {
        orders.feed(0, 1, at);
        rates.feed(0, 100, at);
    }
    (0..49).for_each(|_| assert_eq!(job.next(), (1, 100)));
    let kept = || job.running.metrics().shards[0].keys;
    // The order and the rate of the last tick wait; the version in force is that of the one before.
    crate::time::fed::until("what is over is gone", || kept() == 3);
    orders.feed(0, 2, 2_000);
    rates.feed(0, 200, 2_001);
    assert_eq!(job.next(), (1, 100));
    crate::time::fed::until("the version is forgotten", || kept() == 2);
    job.stop();
}

#[test]
fn jn_08_a_version_that_never_counts_and_a_stream_without_event_time_are_refused() {
    let program = |timed: bool, within: i64| {
        move |flow: &Flow| {
            let orders = flow.source("orders", millstream::io::sequence(0..=1));
            let rates = flow.source("rates", millstream::io::sequence(0..=1));
            let rates = rates.event_time(Watermarks::monotonous(), |at| *at).key_by(|_| 0u64);
            let orders = match timed {
                true => orders.event_time(Watermarks::monotonous(), |at| *at).key_by(|_| 0u64),
                false => orders.key_by(|_| 0u64),
            };
            orders.as_of_join(rates).within(Ticks(within)).join(|order, rate| order + rate).discard();
        }
    };
    let refusal =
        |timed, within| Job::new("refused").explain(program(timed, within)).unwrap_err().to_string();
    assert!(Job::new("fine").explain(program(true, 0)).is_ok());
    let never = refusal(true, -1);
    assert!(never.contains("the greatest age of a version is negative"), "{never}");
    let untimed = refusal(false, 1);
    assert!(untimed.contains("needs event time"), "{untimed}");
}

//! The examples give out what a plain loop over the same generated records finds.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millstream::io::demos::{RideKind, Sensors, Taxis, Trade, Trades, Transactions, Visits};

use support::process::Process;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

const SEED: u64 = 3;
const HOUR_MS: i64 = 3_600_000;

/// The lines that an example prints on one shard.
#[track_caller]
fn printed(name: &str, arguments: &[&str]) -> Vec<String> {
    let mut command = support::command(name);
    command.args(arguments).args(["--seed", &SEED.to_string()]);
    let ended = Process::start(command).wait(PATIENCE);
    assert!(ended.status.success(), "{}", ended.err());
    ended.out().into_iter().map(str::to_owned).collect()
}

/// The same, sorted.
#[track_caller]
fn sorted(name: &str, arguments: &[&str]) -> Vec<String> {
    let mut lines = printed(name, arguments);
    lines.sort();
    lines
}

#[track_caller]
fn holds(mut lines: Vec<String>, name: &str, arguments: &[&str]) {
    lines.sort();
    assert!(lines.len() > 5, "there is something to be found: {lines:?}");
    assert_eq!(sorted(name, arguments), lines);
}

#[test]
fn tr_13_taxi_filters_rides_of_the_city() {
    let inside = Taxis::seeded(SEED).rides(200).ride_events().filter(|ride| {
        let nyc = |longitude: f64, latitude: f64| {
            (-74.05..=-73.7).contains(&longitude) && (40.5..=41.0).contains(&latitude)
        };
        nyc(ride.start.longitude, ride.start.latitude) && nyc(ride.end.longitude, ride.end.latitude)
    });
    let lines = inside.map(|ride| format!("{},{:?}", ride.ride, ride.kind)).collect();
    holds(lines, "taxi", &["filter", "--rides", "200"]);
}

#[test]
fn tr_13_taxi_joins_rides_and_fares() {
    let taxis = Taxis::seeded(SEED).rides(500);
    let lines = (0..500).map(|ride| match taxis.trip(ride).fare {
        Some(fare) => format!("{ride},{}", fare.total_cents),
        None => format!("{ride},unpaid"),
    });
    let lines: Vec<String> = lines.collect();
    assert!(lines.iter().any(|line| line.ends_with("unpaid")));
    holds(lines, "taxi", &["join", "--rides", "500"]);
}

#[test]
fn tr_13_taxi_finds_the_best_driver_of_each_hour() {
    let mut tips: BTreeMap<i64, BTreeMap<u64, u64>> = BTreeMap::new();
    for fare in Taxis::seeded(SEED).rides(3000).fares() {
        let hour = fare.at - fare.at % HOUR_MS;
        *tips.entry(hour).or_default().entry(fare.driver).or_default() += fare.tip_cents;
    }
    let best = tips.into_iter().map(|(hour, tips)| {
        let most = *tips.values().max().unwrap();
        let (driver, _) = tips.into_iter().find(|(_, tips)| *tips == most).unwrap();
        format!("{hour},{driver},{most}")
    });
    holds(best.collect(), "taxi", &["tips", "--rides", "3000"]);
}

#[test]
fn tr_13_taxi_tells_of_long_rides() {
    let taxis = Taxis::seeded(SEED).rides(1000);
    let trips = (0..1000).map(|ride| taxis.trip(ride));
    let long = trips.filter(|trip| trip.end.at - trip.start.at > 2 * HOUR_MS);
    let lines = long.inspect(|trip| assert_eq!(trip.end.kind, RideKind::End));
    holds(
        lines.map(|trip| trip.start.ride.to_string()).collect(),
        "taxi",
        &["long-rides", "--rides", "1000"],
    );
}

#[test]
fn spend_report_adds_up_each_hour() {
    let mut spent: BTreeMap<(u64, i64), u64> = BTreeMap::new();
    for payment in Transactions::seeded(SEED).count(8000).all() {
        *spent.entry((payment.account, payment.at - payment.at % HOUR_MS)).or_default() += payment.cents;
    }
    let lines = spent.into_iter().map(|((account, hour), cents)| format!("{account},{hour},{cents}"));
    holds(lines.collect(), "spend_report", &["--payments", "8000"]);
}

#[test]
fn tr_13_fraud_is_a_large_payment_right_after_a_small_one() {
    let mut last: BTreeMap<u64, (i64, u64)> = BTreeMap::new();
    let mut lines = Vec::new();
    for payment in Transactions::seeded(SEED).count(5000).all() {
        let before = last.insert(payment.account, (payment.at, payment.cents));
        if before.is_some_and(|(at, cents)| cents < 100 && payment.at - at < 60_000) && payment.cents > 50_000
        {
            lines.push(format!("{},{},{}", payment.account, payment.at, payment.cents));
        }
    }
    holds(lines, "fraud", &["--payments", "5000"]);
}

/// The payments with the names of those who paid, in order.
fn enriched(payments: u64) -> Vec<String> {
    let payments = Transactions::seeded(SEED).count(payments).all();
    let owner = |account: u64| match account {
        13 => "unknown".to_owned(),
        _ => format!("customer {}", account * 7),
    };
    payments.map(|payment| format!("{},{},{}", owner(payment.account), payment.at, payment.cents)).collect()
}

#[test]
fn enrichment_names_who_paid() {
    let lines = enriched(400);
    assert!(lines.iter().any(|line| line.starts_with("unknown")));
    holds(lines, "enrichment", &["--payments", "400"]);
}

#[test]
fn enrichment_keeps_order_where_it_is_told_to() {
    let known = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().filter(|line| !line.starts_with("unknown")).collect()
    };
    let expected = known(enriched(300));
    assert_eq!(known(printed("enrichment", &["--payments", "300", "--in-order"])), expected);
}

#[test]
fn sensor_alerts_are_of_readings_above_the_limit_of_their_time() {
    let sensors = Sensors::seeded(SEED).readings(3000);
    let limits: Vec<_> = sensors.all_limits().collect();
    let lines = sensors.all_readings().filter_map(|reading| {
        let mine = limits.iter().filter(|limit| limit.kind == reading.kind && limit.since <= reading.at);
        let limit = mine.max_by_key(|limit| limit.since)?.value;
        let alert = || format!("{},{},{},{limit}", reading.sensor, reading.at, reading.value);
        (reading.value > limit).then(alert)
    });
    holds(lines.collect(), "sensor_alerts", &["--readings", "3000"]);
}

const VISITS: u64 = 8000;

/// All views in the order of their arrival; each with whether it is hours late.
fn views() -> Vec<(millstream::io::demos::PageView, bool)> {
    let visits = Visits::seeded(SEED).visits(VISITS);
    let disorder = visits.disorder().as_millis() as i64;
    let mut newest = i64::MIN;
    let views = visits.views().map(|view| {
        newest = newest.max(view.at);
        (view, newest - view.at > disorder)
    });
    views.collect()
}

#[test]
fn sessions_are_views_without_a_gap_of_half_an_hour() {
    let views = views();
    let lines = printed("sessions", &["--visits", &VISITS.to_string()]);
    // What is late depends on how far event time has come, which batches decide. Visitors without late views have the same sessions whatever that is.
    let with_late: BTreeSet<u64> =
        views.iter().filter(|(_, late)| *late).map(|(view, _)| view.visitor).collect();
    let mut of_visitors: BTreeMap<u64, Vec<(i64, u64)>> = BTreeMap::new();
    for (view, _) in &views {
        of_visitors.entry(view.visitor).or_default().push((view.at, view.page));
    }
    let mut expected = Vec::new();
    for (visitor, mut views) in of_visitors {
        if with_late.contains(&visitor) {
            continue;
        }
        views.sort_unstable();
        for session in views.chunk_by(|one, next| next.0 - one.0 <= HOUR_MS / 2) {
            let ((first, _), (last, exit)) = (session[0], session[session.len() - 1]);
            expected.push(format!("{visitor},{first},{},{},{exit}", session.len(), last - first));
        }
    }
    assert!(expected.len() > 100);
    let visitor = |line: &str| line.split(',').next().unwrap().parse::<u64>();
    let mut of_these: Vec<String> = lines
        .iter()
        .filter(|line| visitor(line).is_ok_and(|who| !with_late.contains(&who)))
        .cloned()
        .collect();
    expected.sort();
    of_these.sort();
    assert_eq!(of_these, expected);
    // None is lost.
    let count = |line: &String| match line.starts_with("late,") {
        true => 1,
        false => line.split(',').nth(2).unwrap().parse::<usize>().unwrap(),
    };
    assert!(lines.iter().any(|line| line.starts_with("late,")));
    assert_eq!(lines.iter().map(count).sum::<usize>(), views.len());
}

#[test]
fn top_pages_are_those_with_the_most_views() {
    let (views, minute) = (views(), 60_000);
    // In the last hours it depends on batches whether a view is late.
    let until = views.iter().map(|(view, _)| view.at).max().unwrap() - 3 * HOUR_MS;
    let mut counts: BTreeMap<i64, BTreeMap<u64, u64>> = BTreeMap::new();
    for (view, _) in views.iter().filter(|(_, late)| !late) {
        let first_end = view.at - view.at % minute + minute;
        for end in (0..10).map(|windows| first_end + windows * minute) {
            *counts.entry(end).or_default().entry(view.page).or_default() += 1;
        }
    }
    let mut expected = Vec::new();
    for (end, counts) in counts.range(..until) {
        let mut pages: Vec<(u64, u64)> = counts.iter().map(|(page, views)| (*views, *page)).collect();
        pages.sort_by_key(|(views, page)| (std::cmp::Reverse(*views), *page));
        let best = (1..).zip(pages).take(3);
        expected.extend(best.map(|(rank, (views, page))| format!("{end},{rank},{page},{views}")));
    }
    assert!(expected.len() > 1000);
    let lines = printed("top_pages", &["--visits", &VISITS.to_string()]);
    let end = |line: &str| line.split(',').next().unwrap().parse::<i64>().unwrap();
    let lines: Vec<String> = lines.into_iter().filter(|line| end(line) < until).collect();
    assert_eq!(lines, expected);
}

#[test]
fn iterative_counts_the_steps_of_collatz() {
    let steps = |mut n: u64| {
        let mut steps = 0;
        while n != 1 {
            n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
            steps += 1;
        }
        steps
    };
    let mut command = support::command("iterative");
    command.args(["--numbers", "300"]);
    let ended = Process::start(command).wait(PATIENCE);
    assert!(ended.status.success(), "{}", ended.err());
    let mut lines: Vec<String> = ended.out().into_iter().map(str::to_owned).collect();
    let mut expected: Vec<String> = (2..=300u64).map(|n| format!("{n},{}", steps(n))).collect();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
}

#[test]
fn batch_word_count_counts_many_files_once() {
    let dir = tempfile::tempdir().unwrap();
    let texts = dir.path().join("texts");
    std::fs::create_dir(&texts).unwrap();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for file in 0..20 {
        let words: Vec<String> = (0..1_000).map(|n| format!("word{}", (n * 7 + file * 13) % 97)).collect();
        words.iter().for_each(|word| *counts.entry(word.clone()).or_default() += 1);
        let lines: Vec<String> = words.chunks(9).map(|line| line.join(" ")).collect();
        std::fs::write(texts.join(format!("{file}.txt")), lines.join("\n")).unwrap();
    }
    let expected: Vec<String> = counts.iter().map(|(word, count)| format!("{word},{count}")).collect();
    for more in [&[][..], &["--state", "state"]] {
        let mut command = support::command("batch_word_count");
        command.current_dir(dir.path()).arg("texts").args(more);
        let ended = Process::start(command).wait(PATIENCE);
        assert!(ended.status.success(), "{}", ended.err());
        let mut lines: Vec<String> = ended.out().into_iter().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, expected);
    }
}

#[test]
fn market_bars_are_of_the_trades_that_are_in_time() {
    const BAR: i64 = 50_000;
    let trades = Trades::seeded(SEED).trades(8000);
    let disorder = trades.disorder().as_micros() as i64;
    let mut in_time: BTreeMap<(i64, u64), Vec<Trade>> = BTreeMap::new();
    let (mut expected, mut newest) = (Vec::new(), 0);
    for trade in trades.all() {
        let start = trade.at - trade.at % BAR;
        // A watermark is said once in a millisecond; from the first one on.
        let watermark = if newest < 1_000 { i64::MIN } else { newest - newest % 1_000 - disorder - 1 };
        match start + BAR - 1 <= watermark {
            true => expected.push(format!("late,{},{}", trade.instrument, trade.at)),
            false => in_time.entry((start, trade.instrument)).or_default().push(trade),
        }
        newest = newest.max(trade.at);
    }
    assert!(expected.len() > 5, "some are late: {expected:?}");
    for ((start, instrument), mut trades) in in_time {
        trades.sort_by_key(|trade| trade.at);
        let (open, close) = (trades[0].price, trades[trades.len() - 1].price);
        let prices = || trades.iter().map(|trade| trade.price);
        let (high, low) = (prices().max().unwrap(), prices().min().unwrap());
        let volume: u64 = trades.iter().map(|trade| trade.size).sum();
        expected.push(format!("{start},{instrument},{open},{high},{low},{close},{volume}"));
    }
    let arguments = ["--trades", "8000", "--bar", "50000"];
    holds(expected.clone(), "market_bars", &arguments);
    if support::cores() > 1 {
        holds(expected, "market_bars", &[&arguments[..], &["--shards", "2"]].concat());
    } else {
        support::skipped("market_bars with 2 shards", "this machine has one core");
    }
    // In order, the same each time.
    assert_eq!(printed("market_bars", &arguments), printed("market_bars", &arguments));
}

#[test]
fn embedded_counts_words() {
    let ended = Process::start(support::command("embedded")).wait(PATIENCE).succeeded();
    assert_eq!(ended.out(), ["(to,1)", "(be,1)", "(or,1)", "(not,1)", "(to,2)", "(be,2)"]);
}

#[test]
fn limits_service_explains_itself_and_names_what_is_wrong() {
    let run = |arguments: &[&str]| {
        let mut command = support::command("limits_service");
        command.args(arguments);
        Process::start(command).wait(PATIENCE)
    };
    let help = run(&["--help"]).succeeded().out().join("\n");
    assert!(help.contains("--state-dir <DIR>") && help.contains("[default: durable]"), "{help}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    let arguments = ["--addr", &taken, "--state-dir", state];
    run(&arguments).failed().says(&["cannot listen on", &taken, "--addr"]);
}

#[test]
fn every_example_explains_itself() {
    for name in [
        "taxi",
        "fraud",
        "spend_report",
        "enrichment",
        "sensor_alerts",
        "sessions",
        "top_pages",
        "market_bars",
    ] {
        let mut command = support::command(name);
        command.arg("--help");
        let ended = Process::start(command).wait(PATIENCE);
        let help = ended.out().join("\n");
        assert!(ended.status.success() && help.contains("Usage:"), "{help}");
        assert!(help.contains("--seed <SEED>"), "{help}");
    }
}

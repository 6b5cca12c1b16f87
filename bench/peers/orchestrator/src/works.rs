//! The works, as rows of all systems.

use std::collections::HashMap;

use millstream_yardstick::works::{Results, Task, Work, oracle};

use crate::arguments::{Arguments, System};
use crate::contest::Contest;
use crate::row::{Collector, Row};

/// Between two checkpoints, where there are some.
const CHECKPOINT_MS: u64 = 1000;

/// How many records a run has: so many that the measured ones take some seconds.
#[derive(Clone, Copy)]
struct Size {
    warm_up: u64,
    events: u64,
}

/// Flink's compiler needs twenty seconds; the others are faster, and warm sooner.
fn size(system: System, work: Work, keys: u64, scale: f64) -> Size {
    let million = 1_000_000;
    let (of_flink, of_others) = match (work, keys) {
        (Work::Passthrough, _) => (1200 * million, 2000 * million),
        (Work::Wordcount, _) => (25 * million, 25 * million),
        (Work::Keyed, ..=10_000) => (260 * million, 500 * million),
        (Work::Keyed, _) => (50 * million, 200 * million),
        (Work::Window, _) => (120 * million, 400 * million),
    };
    let (warm_up, events) = match system {
        System::Flink => (of_flink, of_flink),
        _ => (of_others / 4, of_others),
    };
    let scaled = |records: u64| ((records as f64 * scale) as u64).max(1000);
    Size { warm_up: scaled(warm_up), events: scaled(events) }
}

/// All rows of a work.
pub fn contest(arguments: &Arguments, shards: &[u16], work: Work, keys: u64) -> Contest {
    let mut rows = Vec::new();
    let mut expected = Vec::new();
    let mut known: HashMap<(u16, bool, u64), Results> = HashMap::new();
    for mut row in shards.iter().flat_map(|shards| rows_of(work, *shards)) {
        if !arguments.wants(row.system) {
            continue;
        }
        let Size { warm_up, events } = size(row.system, work, keys, arguments.scale);
        let mut task = Task::new(work, Some(keys), row.shards, events, warm_up);
        task.exchange = row.exchange.unwrap_or(true);
        row.arguments = words(arguments, &row, &task);
        let results = known.entry((task.shards, task.exchange, task.records())).or_insert_with(|| {
            eprintln!("computing what {} records of {work} are to come to", task.records());
            oracle(&task)
        });
        expected.push(Some(*results));
        rows.push(row);
    }
    let title = match work {
        Work::Wordcount => format!("{work}, {keys} words, eight to the line; an event is a line"),
        Work::Passthrough => work.to_string(),
        Work::Keyed | Work::Window => format!("{work}, {keys} keys"),
    };
    Contest { title, rows, class: "millstream.peers.works.Works", expected, in_file: false }
}

/// In which ways each system does a work on so many shards.
fn rows_of(work: Work, shards: u16) -> Vec<Row> {
    let keyed = work != Work::Passthrough;
    let row = |system, exchange: bool, checkpoint_ms, collector| Row {
        system,
        shards,
        exchange: keyed.then_some(exchange),
        checkpoint_ms,
        collector,
        arguments: Vec::new(),
    };
    let mut rows = Vec::new();
    for checkpoint_ms in [None, Some(CHECKPOINT_MS)] {
        rows.push(row(System::Millstream, true, checkpoint_ms, None));
        rows.extend(Collector::ALL.map(|which| row(System::Flink, true, checkpoint_ms, Some(which))));
    }
    rows.push(row(System::Timely, true, None, None));
    rows.push(row(System::Renoir, true, None, None));
    if !keyed {
        rows.push(row(System::Plain, true, None, None));
        return rows;
    }
    rows.push(row(System::Plain, false, None, None));
    if shards == 1 {
        // Flink and renoir have a thread behind the exchange even then; here they have none.
        rows.extend(Collector::ALL.map(|which| row(System::Flink, false, None, Some(which))));
        rows.push(row(System::Renoir, false, None, None));
    } else {
        rows.push(row(System::Plain, true, None, None));
    }
    rows
}

fn words(arguments: &Arguments, row: &Row, task: &Task) -> Vec<String> {
    let mut words: Vec<String> = match row.system {
        System::Millstream => vec!["works".into()],
        _ => Vec::new(),
    };
    let mut add = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    add("work", task.work.to_string());
    add("keys", task.keys().to_string());
    add("shards", task.shards.to_string());
    add("events", task.events.to_string());
    add("warm-up", task.warm_up.to_string());
    add("exchange", task.exchange.to_string());
    if let Some(interval) = row.checkpoint_ms {
        add("checkpoint-interval", interval.to_string());
        add("dir", arguments.dir.display().to_string());
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn rows(work: Work, words: &[&str]) -> Vec<String> {
        let words = ["run.sh", "--work", "all", "--scale", "0.00001"].iter().chain(words);
        let contest = contest(&Arguments::parse_from(words), &[1, 2], work, 1000);
        assert_eq!(contest.rows.len(), contest.expected.len());
        contest.rows.iter().map(Row::label).collect()
    }

    #[test]
    fn ours_runs_with_checkpoints_and_without() {
        let ours = rows(Work::Keyed, &["--only", "millstream"]);
        assert_eq!(
            ours,
            [
                "millstream p1, exchange",
                "millstream p1, exchange, checkpoint every 1000 ms",
                "millstream p2, exchange",
                "millstream p2, exchange, checkpoint every 1000 ms",
            ]
        );
    }

    #[test]
    fn flink_has_all_its_choices() {
        let flink = rows(Work::Window, &["--only", "flink"]);
        assert_eq!(flink.len(), 10);
        assert_eq!(flink.iter().filter(|label| label.contains("no exchange")).count(), 2);
        assert_eq!(flink.iter().filter(|label| label.contains("Parallel GC")).count(), 5);
    }

    #[test]
    fn nothing_is_exchanged_where_there_are_no_keys() {
        assert!(rows(Work::Passthrough, &[]).iter().all(|label| !label.contains("exchange")));
    }
}

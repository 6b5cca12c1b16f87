//! The correctness run: a query's rows beside those of its reference, with checkpoints on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use millstream::prelude::*;
use millstream::testing::golden::Once;
use millstream::time::VirtualClock;

use super::generator::{Config, Event};
use super::output::Output;
use super::query::{Input, Query, Rows};
use super::stops::{self, Stops};

/// How often checkpoints are counted.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// How far the clock of a run that goes by it moves between two looks: windows close all the time.
const TURN: Duration = Duration::from_secs(1);
/// How far it moves at the end: further than any window is long.
const TURN_AT_END: Duration = Duration::from_secs(60);
/// So many rows that differ are shown.
const SHOWN_MAX: usize = 3;

/// How a run that is compared goes.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub config: Config,
    pub events: u64,
    pub shards: u16,
    pub checkpoint_interval: Duration,
    /// It fails half way, and goes on from its last checkpoint.
    pub fails: bool,
}

/// What a run that agrees with its reference was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub rows: usize,
    pub checkpoints: u64,
    pub restarts: u32,
}

/// The events of a run, in the order of their numbers.
pub fn events(config: &Config, events: u64) -> Vec<Event> {
    (0..events).map(|so_far| config.draft(so_far).event()).collect()
}

/// Runs a query with checkpoints in a directory of its own below `dir`, and compares what it shows.
///
/// # Errors
/// The run fails, or shows something else: says what.
pub fn check(query: &Query, way: &Way, dir: &Path) -> Result<Agreed, String> {
    let of_query = |what: &dyn std::fmt::Display| format!("q{}: {what}", query.number);
    let state =
        tempfile::tempdir_in(dir).map_err(|error| of_query(&format!("{}: {error}", dir.display())))?;
    let stops = Stops::on_the_way(way.events, way.fails);
    let mut hands = query.goes_by_the_clock().then(Hands::default);
    let stops = Arc::new(if hands.is_some() { stops.holding_ends() } else { stops });
    let input = Input {
        config: way.config,
        events: way.events,
        shards: way.shards,
        pace: None,
        stops: Some(stops.clone()),
    };
    let rows = Once::new();
    let files = state.path().join("files");
    let output = Output::kept(rows.clone(), files.clone());
    let build = query.build;
    let job = Job::new(format!("q{}", query.number))
        .shards(way.shards)
        .oversubscribe(true)
        .state_dir(state.path().join("state"))
        .checkpoint_interval(way.checkpoint_interval)
        .restart(RestartStrategy::fixed_delay(1, Duration::ZERO));
    let job = match &hands {
        Some(hands) => job.clock(hands.clock.clone()),
        None => job,
    };
    let handle = job.spawn(move |flow| build(flow, &input, &output)).map_err(|error| of_query(&error))?;
    while !handle.status().is_over() {
        let newest = handle.metrics().checkpoints.last_epoch;
        stops.tell(newest);
        if let Some(hands) = &mut hands {
            hands.turn(newest, &stops, way.shards);
        }
        sleep(LOOK_EVERY);
    }
    let summary = handle.wait().map_err(|error| of_query(&error))?;
    let (checkpoints, restarts) = (summary.metrics.checkpoints.completed, summary.metrics.restarts);
    if restarts != u32::from(way.fails) {
        return Err(of_query(&format!("the run was started again {restarts} times")));
    }
    let late = summary.metrics.late_records();
    if late != 0 {
        return Err(of_query(&format!("{late} records came too late, which the reference does not know of")));
    }
    let mut shown = rows.results();
    shown.extend(lines_of(&files).map_err(|error| of_query(&format!("{}: {error}", files.display())))?);
    let shown = query.rows.that_count(shown);
    let expected = query.rows.that_count((query.reference)(&events(&way.config, way.events)));
    compare(&shown, &expected).map_err(|difference| of_query(&difference))?;
    Ok(Agreed { rows: shown.len(), checkpoints, restarts })
}

/// Moves the clock of a run that goes by it.
struct Hands {
    clock: VirtualClock,
    /// What it does at the end, the next one last: moves on, so that the windows of all records close, and lets go.
    at_end: Vec<fn(&VirtualClock, &Stops)>,
    /// The number of the checkpoint after which it does that; none before all readers have come to the end.
    enough: Option<u64>,
}

impl Default for Hands {
    fn default() -> Self {
        Hands {
            clock: VirtualClock::new(),
            at_end: vec![|_, stops| stops.let_go(), |clock, _| clock.advance(TURN_AT_END)],
            enough: None,
        }
    }
}

impl Hands {
    fn turn(&mut self, newest: u64, stops: &Stops, partitions: u16) {
        self.clock.advance(TURN);
        match self.enough {
            None if stops.all_at_end(partitions) => self.enough = Some(newest + stops::CHECKPOINTS),
            // What was at the operators when the checkpoint before it began has been handled.
            Some(enough) if newest >= enough => {
                if let Some(step) = self.at_end.pop() {
                    step(&self.clock, stops);
                }
                self.enough = Some(newest + stops::CHECKPOINTS);
            }
            _ => {}
        }
    }
}

/// The lines of the files that were committed to a directory; none where there is no directory.
fn lines_of(dir: &Path) -> Result<Vec<String>, std::io::Error> {
    let mut lines = Vec::new();
    if !dir.is_dir() {
        return Ok(lines);
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("part-") {
            lines.extend(std::fs::read_to_string(entry.path())?.lines().map(str::to_owned));
        }
    }
    Ok(lines)
}

impl Rows {
    /// The rows that count, sorted.
    pub fn that_count(self, rows: Vec<String>) -> Vec<String> {
        let split = |row: String| match row.split_once('\t') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (row, String::new()),
        };
        let mut rows = match self {
            Rows::All => rows,
            Rows::LastOfKey => {
                let last: BTreeMap<String, String> = rows.into_iter().map(split).collect();
                let there = last.into_iter().filter(|(_, value)| !value.is_empty());
                there.map(|(key, value)| format!("{key}\t{value}")).collect()
            }
            Rows::SumOfKey => {
                let mut sums: BTreeMap<String, i64> = BTreeMap::new();
                for (key, value) in rows.into_iter().map(split) {
                    // What is no number is found as one that is missing.
                    *sums.entry(key).or_default() += value.parse::<i64>().unwrap_or(0);
                }
                sums.iter().map(|(key, sum)| format!("{key}\t{sum}")).collect()
            }
        };
        rows.sort_unstable();
        rows
    }
}

/// Both are sorted.
fn compare(shown: &[String], expected: &[String]) -> Result<(), String> {
    if shown == expected {
        return Ok(());
    }
    let counts = |rows: &[String]| {
        let mut counts = BTreeMap::<String, i64>::new();
        rows.iter().for_each(|row| *counts.entry(row.clone()).or_default() += 1);
        counts
    };
    let (of_shown, of_expected) = (counts(shown), counts(expected));
    let beyond = |these: &BTreeMap<String, i64>, those: &BTreeMap<String, i64>| {
        let more = these.iter().filter(|(row, count)| **count > those.get(*row).copied().unwrap_or(0));
        let more: Vec<&str> = more.map(|(row, _)| row.as_str()).collect();
        format!("{}, such as {:?}", more.len(), &more[..more.len().min(SHOWN_MAX)])
    };
    Err(format!(
        "{} rows where there should be {}; too many: {}; missing: {}",
        shown.len(),
        expected.len(),
        beyond(&of_shown, &of_expected),
        beyond(&of_expected, &of_shown)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&str]) -> Vec<String> {
        rows.iter().map(|row| (*row).to_owned()).collect()
    }

    #[test]
    fn of_a_key_the_last_row_counts_unless_it_is_taken_away() {
        let all = rows(&["b\t1", "a\t1", "a\t2", "c\t1", "c\t"]);
        assert_eq!(Rows::LastOfKey.that_count(all.clone()), rows(&["a\t2", "b\t1"]));
        assert_eq!(Rows::All.that_count(all).len(), 5);
    }

    #[test]
    fn of_a_key_the_numbers_are_summed() {
        let all = rows(&["b\t1", "a\t1", "a\t2"]);
        assert_eq!(Rows::SumOfKey.that_count(all), rows(&["a\t3", "b\t1"]));
    }

    #[test]
    fn what_differs_is_told() {
        assert_eq!(compare(&rows(&["a", "b"]), &rows(&["a", "b"])), Ok(()));
        let told = compare(&rows(&["a", "a", "b"]), &rows(&["a", "b", "c"])).unwrap_err();
        assert_eq!(
            told,
            r#"3 rows where there should be 3; too many: 1, such as ["a"]; missing: 1, such as ["c"]"#
        );
    }
}

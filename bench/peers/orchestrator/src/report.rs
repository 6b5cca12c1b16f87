//! The table of a contest, and the same for programs.

use std::fmt::Write as _;

use millstream_yardstick::stats::{median, spread};
use serde_json::{Value, json};

use crate::arguments::System;
use crate::build::Builds;
use crate::contest::{Contest, Outcome};
use crate::figures::Figures;
use crate::together::Ratio;

fn medians(outcome: &Outcome, of: fn(&Figures) -> f64) -> f64 {
    median(outcome.calm().map(of))
}

/// Ours at its best, without checkpoints or with them: what others are compared with.
fn ours(contest: &Contest, outcomes: &[Outcome], checkpoints: bool) -> Option<f64> {
    let of_ours = contest.rows.iter().zip(outcomes).filter(|(row, outcome)| {
        row.system == System::Millstream
            && row.checkpoint_ms.is_some() == checkpoints
            && outcome.calm().next().is_some()
    });
    of_ours.map(|(_, outcome)| medians(outcome, |run| run.rate)).max_by(f64::total_cmp)
}

/// How many times as fast as each other system ours is: by the best row of each, ours without checkpoints.
pub fn ratios(contest: &Contest, outcomes: &[Outcome]) -> Vec<Ratio> {
    let Some(ours) = ours(contest, outcomes, false) else { return Vec::new() };
    let mut best: Vec<(System, f64)> = Vec::new();
    for (row, outcome) in contest.rows.iter().zip(outcomes) {
        if row.system == System::Millstream || outcome.failed.is_some() || outcome.calm().next().is_none() {
            continue;
        }
        let rate = medians(outcome, |run| run.rate);
        match best.iter_mut().find(|(system, _)| *system == row.system) {
            Some((_, best)) => *best = best.max(rate),
            None => best.push((row.system, rate)),
        }
    }
    let ratio = |(system, theirs)| Ratio { system, contest: contest.title.clone(), ours_is: ours / theirs };
    best.into_iter().map(ratio).collect()
}

/// For readers.
pub fn table(contest: &Contest, outcomes: &[Outcome], builds: &Builds) -> String {
    let mut text = format!(
        "\n{}\n{:<58} {:>10} {:>21} {:>6} {:>9} {:>9} {:>9}  {}\n",
        contest.title,
        "system",
        "M events/s",
        "least to greatest",
        "cores",
        "CPU ns",
        "peak MiB",
        "ours is",
        "guarantee"
    );
    let ours = ours(contest, outcomes, false);
    for (row, outcome) in contest.rows.iter().zip(outcomes) {
        let label = row.label();
        if let Some(Err(reason)) = builds.get(&row.system) {
            let _ = writeln!(text, "{label:<58} absent: {reason}");
            continue;
        }
        if let Some(reason) = &outcome.failed {
            let _ = writeln!(text, "{label:<58} failed: {reason}");
            continue;
        }
        let Some(run) = outcome.calm().last() else {
            let why = outcome.runs.last().and_then(|run| run.disturbed.clone()).unwrap_or_default();
            let _ = writeln!(text, "{label:<58} disturbed every time: {why}");
            continue;
        };
        let rate = medians(outcome, |run| run.rate);
        let (least, greatest) = spread(outcome.calm().map(|run| run.rate));
        let ratio = ours.map_or_else(String::new, |ours| format!("{:.2}x", ours / rate));
        let _ = write!(
            text,
            "{label:<58} {:>10.3} {:>21} {:>6.2} {:>9.1} {:>9.0} {ratio:>9}  {}",
            rate / 1e6,
            format!("{:.3} to {:.3}", least / 1e6, greatest / 1e6),
            medians(outcome, |run| run.cores),
            medians(outcome, |run| run.processor_ns),
            medians(outcome, |run| run.peak_memory) / f64::from(1 << 20),
            run.guarantee,
        );
        let _ = writeln!(text, "{}", remarks(outcome));
    }
    text
}

fn remarks(outcome: &Outcome) -> String {
    let mut remarks = String::new();
    if outcome.disturbed() > 0 {
        remarks += &format!("; {} of {} runs disturbed, left out", outcome.disturbed(), outcome.runs.len());
    }
    if outcome.retired {
        remarks += "; tried once: the other collector is better";
    }
    remarks
}

/// For programs.
pub fn to_json(contest: &Contest, outcomes: &[Outcome], builds: &Builds) -> Value {
    let rows = contest.rows.iter().zip(outcomes).map(|(row, outcome)| {
        let (least, greatest) = spread(outcome.calm().map(|run| run.rate));
        let measured = outcome.failed.is_none() && outcome.calm().next().is_some();
        json!({
            "system": row.system.name(),
            "label": row.label(),
            "shards": row.shards,
            "exchange": row.exchange,
            "checkpoint_interval_ms": row.checkpoint_ms,
            "arguments": row.arguments,
            "absent": builds.get(&row.system).and_then(|build| build.as_ref().err()),
            "failed": outcome.failed,
            "tried_once": outcome.retired,
            "guarantee": outcome.runs.last().map(|run| &run.guarantee),
            "events_per_second": measured.then(|| json!({
                "median": medians(outcome, |run| run.rate),
                "least": least,
                "greatest": greatest,
            })),
            "processor_ns_per_event": measured.then(|| medians(outcome, |run| run.processor_ns)),
            "cores_used": measured.then(|| medians(outcome, |run| run.cores)),
            "peak_memory_bytes": measured.then(|| medians(outcome, |run| run.peak_memory)),
            "runs_that_count": outcome.calm().count(),
            "runs_disturbed": outcome.runs.iter().filter_map(|run| run.disturbed.as_ref()).collect::<Vec<_>>(),
            "runs": outcome.runs.iter().map(|run| &run.line).collect::<Vec<_>>(),
        })
    });
    json!({
        "title": contest.title,
        "ours_without_checkpoints": ours(contest, outcomes, false),
        "ours_with_checkpoints": ours(contest, outcomes, true),
        "rows": rows.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::build::Program;
    use crate::row::Row;

    fn row(system: System) -> Row {
        let (exchange, checkpoint_ms, collector) = (None, None, None);
        Row { system, shards: 1, exchange, checkpoint_ms, collector, arguments: Vec::new() }
    }

    fn runs(rates: &[f64], disturbed: Option<&str>) -> Outcome {
        let run = |rate: &f64| Figures {
            rate: *rate,
            processor_ns: 10.0,
            cores: 1.0,
            peak_memory: 1e6,
            guarantee: "none".into(),
            disturbed: disturbed.map(str::to_owned),
            line: Value::Null,
        };
        Outcome { runs: rates.iter().map(run).collect(), failed: None, retired: false }
    }

    #[test]
    fn others_are_compared_with_ours_by_medians() {
        let rows =
            vec![row(System::Millstream), row(System::Timely), row(System::Renoir), row(System::Flink)];
        let contest = Contest { title: "t".into(), rows, class: "", expected: vec![None; 4], in_file: false };
        let outcomes = [
            runs(&[8e6, 6e6, 7e6], None),
            runs(&[2e6, 4e6], None),
            runs(&[1e6], Some("its quarters differ")),
            Outcome::default(),
        ];
        let there = |system| (system, Ok(Program::Executable(PathBuf::new())));
        let mut builds: Builds = [System::Millstream, System::Timely, System::Renoir].map(there).into();
        builds.insert(System::Flink, Err("no java".into()));
        let table = table(&contest, &outcomes, &builds);
        let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert!(
            line("millstream").contains(" 7.000 ") && line("millstream").contains("6.000 to 8.000"),
            "{table}"
        );
        assert!(line("timely").contains("2.33x"), "{table}");
        assert!(line("renoir").contains("disturbed every time: its quarters differ"), "{table}");
        assert!(line("flink").contains("absent: no java"), "{table}");
        let ratios = ratios(&contest, &outcomes);
        assert_eq!(ratios, [Ratio { system: System::Timely, contest: "t".into(), ours_is: 7.0 / 3.0 }]);
        let json = to_json(&contest, &outcomes, &builds);
        assert_eq!(json["rows"][0]["events_per_second"]["median"], 7e6);
        assert_eq!(json["rows"][2]["events_per_second"], Value::Null);
        assert_eq!(json["rows"][3]["absent"], "no java");
    }
}

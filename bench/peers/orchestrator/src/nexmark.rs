//! Nexmark: the queries, and the generator alone.

use crate::arguments::{Arguments, System};
use crate::contest::Contest;
use crate::row::{Collector, Row};

/// Flink and ours, for one query or the generator, on so many shards each.
fn rows(
    arguments: &Arguments,
    shards: &[u16],
    words: impl Fn(System, u16) -> Vec<(&'static str, String)>,
) -> Vec<Row> {
    let ways = [(System::Millstream, None)].into_iter();
    let ways = ways.chain(Collector::ALL.map(|collector| (System::Flink, Some(collector))));
    let mut rows = Vec::new();
    for shards in shards {
        for (system, collector) in ways.clone().filter(|(system, _)| arguments.wants(*system)) {
            let mut line: Vec<String> = match system {
                System::Millstream => vec!["nexmark".into()],
                _ => Vec::new(),
            };
            for (name, value) in words(system, *shards) {
                line.extend([format!("--{name}"), value]);
            }
            rows.push(Row {
                system,
                shards: *shards,
                exchange: None,
                checkpoint_ms: None,
                collector,
                arguments: line,
            });
        }
    }
    rows
}

/// What a run of ours is told: all events that Flink has, those before the measured ones included.
fn of_ours(arguments: &Arguments, query: String, shards: u16) -> Vec<(&'static str, String)> {
    vec![
        ("query", query),
        ("events", (2 * arguments.events).to_string()),
        ("shards", shards.to_string()),
        ("event-rate", arguments.rate.to_string()),
        ("checkpoint-interval", "0".into()),
        ("dir", arguments.dir.display().to_string()),
    ]
}

/// As many events come before the measured ones as are measured: Flink's compiler needs them.
fn of_flink(arguments: &Arguments, shards: u16) -> Vec<(&'static str, String)> {
    vec![
        ("events", arguments.events.to_string()),
        ("warm-up", arguments.events.to_string()),
        ("shards", shards.to_string()),
        ("rate", arguments.rate.to_string()),
    ]
}

/// The rows of this query go to files, those of all others nowhere.
const TO_FILES: u8 = 10;

fn files(arguments: &Arguments, query: u8) -> Vec<(&'static str, String)> {
    let dir = (query == TO_FILES).then(|| ("files", arguments.dir.display().to_string()));
    dir.into_iter().collect()
}

/// One contest for each query that was asked for.
///
/// # Errors
/// The text of a query is not there.
pub fn queries(arguments: &Arguments, shards: &[u16]) -> Result<Vec<Contest>, String> {
    let of_query = |query: &u8| {
        let sql = arguments.sql.join(format!("q{query:02}.sql"));
        if arguments.wants(System::Flink) && !sql.is_file() {
            return Err(format!("--sql: {} is not there", sql.display()));
        }
        let rows = rows(arguments, shards, |system, shards| match system {
            System::Millstream => of_ours(arguments, query.to_string(), shards),
            _ => [
                vec![("sql", sql.display().to_string())],
                of_flink(arguments, shards),
                files(arguments, *query),
            ]
            .concat(),
        });
        Ok(contest(format!("Nexmark q{query}"), "millstream.peers.nexmark.Nexmark", rows))
    };
    arguments.query.0.iter().map(of_query).collect()
}

/// The generator alone: every event with all its numbers.
pub fn generator(arguments: &Arguments, shards: &[u16]) -> Contest {
    let rows = rows(arguments, shards, |system, shards| match system {
        System::Millstream => of_ours(arguments, "source".into(), shards),
        _ => of_flink(arguments, shards),
    });
    contest("Nexmark, the generator alone".to_owned(), "millstream.peers.nexmark.Generator", rows)
}

fn contest(title: String, class: &'static str, rows: Vec<Row>) -> Contest {
    let expected = vec![None; rows.len()];
    Contest { title, rows, class, expected, in_file: true }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn both_sides_have_the_same_events() {
        let arguments = Arguments::parse_from(["run.sh", "--work", "nexmark", "--events", "5000"]);
        let contest = generator(&arguments, &[1, 2]);
        assert_eq!(contest.rows.len(), 6);
        let ours = contest.rows[0].arguments.join(" ");
        assert!(ours.contains("--query source --events 10000"), "{ours}");
        let flink = contest.rows[1].arguments.join(" ");
        assert!(flink.contains("--events 5000 --warm-up 5000"), "{flink}");
    }

    #[test]
    fn a_query_without_a_text_is_named() {
        let words = ["run.sh", "--work", "nexmark", "--query", "7", "--sql", "/nowhere"];
        let error = queries(&Arguments::parse_from(words), &[1]).err().unwrap();
        assert_eq!(error, "--sql: /nowhere/q07.sql is not there");
    }
}

//! Forms of benchmarks that write their own, told by what they hold: `nexmark` has `queries`, the peers' program has `contests`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::model::{Group, Kind, Machine, Row, Run, Series, State};

/// Others that had more than this of the cores' time disturbed a query, and so did a hypervisor that took more than that.
const OTHERS_MAX: f64 = 0.05;
const STOLEN_MAX: f64 = 0.02;

/// How `nexmark` numbers what is no query: the generator by itself.
const NO_QUERY: u64 = 255;

/// Reads a form without a kind, if it is one of these. `text` says where errors are.
///
/// # Errors
/// It is malformed.
pub fn parse(all: &Value, text: &str) -> Option<Result<Run, String>> {
    let malformed = |error: serde_json::Error| format!("is malformed: {error}");
    if all.get("queries").is_some() {
        return Some(serde_json::from_str::<Nexmark>(text).map(Nexmark::run).map_err(malformed));
    }
    all.get("contests").map(|_| serde_json::from_str::<Peers>(text).map(Peers::run).map_err(malformed))
}

#[derive(Deserialize)]
struct Nexmark {
    machine: Machine,
    settings: NexmarkSettings,
    queries: Vec<Query>,
}

#[derive(Deserialize)]
struct NexmarkSettings {
    shards: u16,
    events: Option<u64>,
    checkpoint_interval_ms: Option<u64>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Deserialize)]
struct Query {
    query: u64,
    name: String,
    events_per_second: f64,
    cores_used: f64,
    peak_memory_bytes: Option<u64>,
    #[serde(default)]
    others_share: f64,
    #[serde(default)]
    stolen_share: f64,
    driver: Option<String>,
    latency_ns: Option<Latency>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Deserialize)]
struct Latency {
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
    rows: u64,
}

impl Nexmark {
    fn run(self) -> Run {
        let NexmarkSettings { shards, events, checkpoint_interval_ms, more } = &self.settings;
        let setting = checkpoints(*checkpoint_interval_ms);
        let rows: Vec<Row> = self.queries.iter().map(|query| query.row(*shards, &setting)).collect();
        let series: Vec<Series> = self.queries.iter().filter_map(Query::series).collect();
        let mut drivers: Vec<&String> =
            self.queries.iter().filter_map(|query| query.driver.as_ref()).collect();
        drivers.dedup();
        let driver = drivers.iter().map(|driver| driver.as_str()).collect::<Vec<_>>().join(", ");
        let title = "Nexmark: latency of rows at the sink".to_owned();
        let groups =
            if series.is_empty() { Vec::new() } else { vec![Group { title, series, ..Group::default() }] };
        let said = events.map_or_else(String::new, |events| format!("{events} events; "));
        let others = Value::Object(more.clone());
        Run {
            driver: (!driver.is_empty()).then_some(driver),
            notes: vec![format!("Nexmark: {said}{shards} shards; {setting}; {others}")],
            rows,
            groups,
            ..Run::bare(Kind::Nexmark, self.machine, "millstream-bench nexmark")
        }
    }
}

fn checkpoints(interval_ms: Option<u64>) -> String {
    interval_ms.map_or_else(|| "no checkpoints".to_owned(), |ms| format!("checkpoints every {ms} ms"))
}

impl Query {
    fn label(&self) -> String {
        if self.query == NO_QUERY { self.name.clone() } else { format!("q{}", self.query) }
    }

    fn row(&self, shards: u16, setting: &str) -> Row {
        let disturbed = (self.others_share > OTHERS_MAX || self.stolen_share > STOLEN_MAX).then(|| {
            let (others, stolen) = (self.others_share * 100.0, self.stolen_share * 100.0);
            format!("others had {others:.0} % of the cores, the hypervisor took {stolen:.0} %")
        });
        Row {
            work: self.label(),
            system: "millstream".to_owned(),
            setting: setting.to_owned(),
            shards,
            state: if disturbed.is_some() { State::Disturbed } else { State::Ok },
            because: disturbed,
            events_per_second: Some(self.events_per_second),
            cores_used: Some(self.cores_used),
            nanos_per_event: Some(self.cores_used * 1e9 / self.events_per_second),
            peak_memory_bytes: self.peak_memory_bytes,
            raw: Value::Object(self.more.clone()),
            ..Row::default()
        }
    }

    fn series(&self) -> Option<Series> {
        let latency = self.latency_ns.as_ref()?;
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let named =
            [("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99), ("p99.9", latency.p999)];
        Some(Series {
            label: self.label(),
            percentiles_us: named
                .into_iter()
                .map(|(name, nanos)| (name.to_owned(), json!(micros(nanos))))
                .collect(),
            max_us: Some(micros(latency.max)),
            records: latency.rows,
            ..Series::default()
        })
    }
}

#[derive(Deserialize)]
struct Peers {
    machine: Machine,
    rounds: u64,
    contests: Vec<Contest>,
}

#[derive(Deserialize)]
struct Contest {
    title: String,
    rows: Vec<Contestant>,
}

#[derive(Deserialize)]
struct Contestant {
    system: String,
    label: String,
    shards: u16,
    absent: Option<String>,
    failed: Option<String>,
    events_per_second: Option<Rounds>,
    processor_ns_per_event: Option<f64>,
    cores_used: Option<f64>,
    peak_memory_bytes: Option<f64>,
    #[serde(default)]
    runs_disturbed: Vec<String>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Deserialize)]
struct Rounds {
    median: f64,
    least: f64,
    greatest: f64,
}

impl Peers {
    fn run(self) -> Run {
        let rows = self.contests.into_iter().flat_map(|Contest { title, rows }| {
            rows.into_iter().map(move |contestant| contestant.row(&title)).collect::<Vec<_>>()
        });
        let rows = rows.collect();
        let notes = vec![format!("Peers: {} rounds, by turns", self.rounds)];
        Run { rows, notes, ..Run::bare(Kind::Peers, self.machine, "bench/peers/run.sh") }
    }
}

impl Contestant {
    fn row(self, work: &str) -> Row {
        let disturbed = self.runs_disturbed.len();
        let (state, because) = match (self.absent, self.failed, self.runs_disturbed.into_iter().next()) {
            (Some(absent), ..) => (State::Absent, Some(absent)),
            (_, Some(failed), _) => (State::Failed, Some(failed)),
            (.., Some(first)) if self.events_per_second.is_none() => {
                (State::Disturbed, Some(format!("every time, such as: {first}")))
            }
            (.., Some(_)) => (State::Ok, Some(format!("{disturbed} disturbed runs were left out"))),
            (.., None) if self.events_per_second.is_none() => {
                (State::Failed, Some("it has no figure, and does not say why".to_owned()))
            }
            (.., None) => (State::Ok, None),
        };
        // The label begins with the system and its shards, which are shown by themselves.
        let beginning = format!("{} p{}", self.system, self.shards);
        let setting = self.label.strip_prefix(&beginning).unwrap_or(&self.label);
        Row {
            work: work.to_owned(),
            setting: setting.trim_start_matches([',', ' ']).to_owned(),
            system: self.system,
            shards: self.shards,
            state,
            because,
            events_per_second: self.events_per_second.as_ref().map(|rounds| rounds.median),
            spread: self.events_per_second.map(|rounds| (rounds.least, rounds.greatest)),
            cores_used: self.cores_used,
            nanos_per_event: self.processor_ns_per_event,
            peak_memory_bytes: self.peak_memory_bytes.map(|bytes| bytes as u64),
            raw: Value::Object(self.more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::super::read::tests::run;
    use super::*;

    #[test]
    fn queries_become_rows_and_latencies() {
        let query = |number: u64, others: f64| {
            json!({
                "query": number, "name": "source", "sql": "", "events_per_second": 2e6, "cores_used": 0.5, "peak_memory_bytes": 7,
                "others_share": others, "stolen_share": 0.0, "driver": "glommio", "rows": 3,
                "latency_ns": { "p50": 1000, "p90": 2000, "p99": 3000, "p999": 4000, "max": 5000, "rows": 9 },
            })
        };
        let all = json!({
            "machine": run("nexmark", json!({}))["machine"],
            "settings": { "shards": 2, "events": 100, "checkpoint_interval_ms": 50, "rate": null },
            "queries": [query(255, 0.0), query(5, 0.3)],
        });
        let run = read::parse(&all.to_string()).unwrap();
        assert_eq!((run.kind, run.driver.as_deref()), (Kind::Nexmark, Some("glommio")));
        let (first, second) = (&run.rows[0], &run.rows[1]);
        assert_eq!((first.work.as_str(), first.shards, first.state), ("source", 2, State::Ok));
        assert_eq!((first.nanos_per_event, first.per_core()), (Some(250.0), Some(4e6)));
        assert_eq!(first.setting, "checkpoints every 50 ms");
        assert_eq!((second.work.as_str(), second.state), ("q5", State::Disturbed));
        assert!(second.because.as_ref().unwrap().contains("30 %"));
        assert_eq!(run.groups[0].series[1].percentiles_us["p99"], 3.0);
        assert!(run.notes[0].contains("100 events; 2 shards"), "{}", run.notes[0]);
        let broken = all.to_string().replace("\"shards\":2", "\"shards\":\"two\"");
        assert!(read::parse(&broken).unwrap_err().contains("is malformed: invalid type"));
    }

    #[test]
    fn contestants_become_rows_in_all_their_states() {
        let row = |system: &str, changes: Value| {
            let mut row = json!({
                "system": system, "label": format!("{system} p1, exchange"), "shards": 1, "absent": null, "failed": null,
                "events_per_second": null, "processor_ns_per_event": null, "cores_used": null, "peak_memory_bytes": null,
                "runs_disturbed": [], "runs": [],
            });
            let changes = changes.as_object().cloned().unwrap_or_default();
            changes.into_iter().for_each(|(key, value)| row[key] = value);
            row
        };
        let rate = json!({ "median": 5e6, "least": 4e6, "greatest": 6e6 });
        let all = json!({
            "machine": run("peers", json!({}))["machine"], "rounds": 3,
            "contests": [{ "title": "keyed", "rows": [
                row("millstream", json!({ "events_per_second": rate, "runs_disturbed": ["x"], "peak_memory_bytes": 8.0 })),
                row("flink", json!({ "absent": "no java" })),
                row("timely", json!({ "runs_disturbed": ["its quarters differ"] })),
                row("renoir", json!({ "failed": "it panicked" })),
                row("plain", json!({})),
            ]}],
        });
        let run = read::parse(&all.to_string()).unwrap();
        let states: Vec<State> = run.rows.iter().map(|row| row.state).collect();
        assert_eq!(states, [State::Ok, State::Absent, State::Disturbed, State::Failed, State::Failed]);
        let ours = &run.rows[0];
        assert_eq!((ours.who(), ours.spread), ("millstream, exchange".to_owned(), Some((4e6, 6e6))));
        assert!(ours.because.as_ref().unwrap().contains("1 disturbed runs"));
        assert_eq!(run.rows[1].because.as_deref(), Some("no java"));
    }
}

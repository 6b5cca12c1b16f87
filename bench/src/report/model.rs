//! What benchmarks write and the report reads: one form for all of them.
//!
//! A file holds one [`Run`]. What a version does not know is refused rather than passed over; whatever a benchmark wants to keep beside what is
//! shown goes into `raw`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Of the form.
pub const VERSION: u32 = 1;

/// What one call of a benchmark measured.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub kind: Kind,
    pub version: u32,
    pub machine: Machine,
    /// The command that measures it again.
    pub command: String,
    /// What ran the shards: `glommio`, `thread`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Which thread ran where, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Throughput: a row per work, system and setting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Row>,
    /// Latency: series that belong side by side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// Resident memory over time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory: Vec<Memory>,
    /// What more shards are expected to give.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scaling: Vec<Scaling>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub raw: Value,
}

impl Run {
    /// A run with no figures yet.
    pub fn bare(kind: Kind, machine: Machine, command: &str) -> Run {
        Run {
            kind,
            version: VERSION,
            machine,
            command: command.to_owned(),
            driver: None,
            placement: None,
            notes: Vec::new(),
            rows: Vec::new(),
            groups: Vec::new(),
            memory: Vec::new(),
            scaling: Vec::new(),
            raw: Value::Null,
        }
    }
}

/// Which benchmark wrote it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Nexmark,
    Works,
    Peers,
    Latency,
    Scaling,
}

impl Kind {
    /// All of them, as files name them.
    pub const ALL: [(&'static str, Kind); 5] = [
        ("nexmark", Kind::Nexmark),
        ("works", Kind::Works),
        ("peers", Kind::Peers),
        ("latency", Kind::Latency),
        ("scaling", Kind::Scaling),
    ];

    pub fn name(self) -> &'static str {
        Kind::ALL.into_iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// What it was measured on.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    pub cpu: String,
    /// The numbers of the cores that the benchmark could use.
    pub cores: Vec<usize>,
    pub kernel: String,
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    #[serde(default)]
    pub commit: Option<String>,
    /// Whatever else is said of it.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// How fast one system did one work.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// A query or a work: `q5`, `keyed_count_1m`.
    pub work: String,
    /// `millstream`, or a peer.
    pub system: String,
    /// What else distinguishes it from other rows: `checkpoints every 1 s`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub setting: String,
    pub shards: u16,
    pub state: State,
    /// Why it is absent, how it failed, or what disturbed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The median over the rounds; none where it is absent, failed, or was disturbed in each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_per_second: Option<f64>,
    /// The least and the greatest of the rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<(f64, f64)>,
    /// How many cores were at work, on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores_used: Option<f64>,
    /// Processor time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nanos_per_event: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub raw: Value,
}

impl Row {
    /// Per core that was at work; per shard where it is not known how many were.
    pub fn per_core(&self) -> Option<f64> {
        let cores =
            self.cores_used.filter(|cores| *cores > 0.0).unwrap_or_else(|| f64::from(self.shards.max(1)));
        self.events_per_second.map(|rate| rate / cores)
    }

    /// The system, with what else distinguishes it.
    pub fn who(&self) -> String {
        match self.setting.as_str() {
            "" => self.system.clone(),
            setting => format!("{}, {setting}", self.system),
        }
    }
}

/// Whether a figure says something.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    Ok,
    /// It could not be run here.
    Absent,
    /// It was run, and came to no end that counts.
    Failed,
    /// Other programs, or the hypervisor, had the cores.
    Disturbed,
}

/// Latencies that belong side by side.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub title: String,
    #[serde(default)]
    pub notes: Vec<String>,
    #[serde(default)]
    pub series: Vec<Series>,
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
    /// What is not a latency.
    #[serde(default)]
    pub raw: Value,
}

/// The latencies of one thing under one setting. Figures are of the seconds that were not disturbed, unless all were.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    pub label: String,
    pub percentiles_us: Map<String, Value>,
    pub max_us: Option<f64>,
    pub median_of_seconds_p99_us: Option<f64>,
    pub records: u64,
    pub all_disturbed: bool,
    pub seconds: Vec<Second>,
    /// When checkpoints were completed, in seconds.
    #[serde(default)]
    pub checkpoints_at_s: Vec<f64>,
    #[serde(default)]
    pub notes: Vec<String>,
    /// Up to which value, and how many, in order.
    pub histogram_ns: Vec<(u64, u64)>,
}

impl State {
    /// As it stands beside a figure; nothing where all is well.
    pub fn remark(self) -> Option<&'static str> {
        match self {
            State::Ok => None,
            State::Absent => Some("absent"),
            State::Failed => Some("failed"),
            State::Disturbed => Some("disturbed"),
        }
    }
}

impl Series {
    pub fn disturbed(&self) -> usize {
        self.seconds.iter().filter(|second| second.disturbed.is_some()).count()
    }
}

/// The latencies that began in one second.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Second {
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub max_us: Option<f64>,
    pub records: u64,
    /// What disturbed it, if anything did.
    pub disturbed: Option<String>,
}

/// Whether something is as it is to be.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// In words, with the figures.
    pub text: String,
    /// None where nothing was measured.
    pub value: Option<f64>,
    pub unit: String,
    /// It is to be less than this.
    pub below: f64,
    pub met: bool,
    /// Whether what it follows from was disturbed throughout.
    pub disturbed: bool,
}

/// Resident memory over time.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    pub label: String,
    /// Seconds since the start, and bytes.
    pub resident: Vec<(f64, u64)>,
}

/// What a model says of more shards.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    pub work: String,
    /// What a record costs, part by part.
    pub parts: Vec<Part>,
    /// In order of shards.
    pub points: Vec<Prediction>,
    /// What the model says of the shards that were measured, against what was.
    pub checks: Vec<Check>,
}

/// What a part of the way costs a record.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub name: String,
    pub nanos: f64,
    /// How it was measured.
    pub how: String,
}

/// What so many shards are expected to give.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    pub shards: u16,
    pub events_per_second: f64,
    /// What keeps it from being more: `processor`, `memory bandwidth`, ...
    pub limit: String,
    /// What the rings of one exchange take.
    pub ring_memory_bytes: u64,
    /// What each limit alone would let through, in events per second; null where it is none.
    pub ceilings: Map<String, Value>,
}

/// A prediction of what was measured too.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub shards: u16,
    pub predicted: f64,
    pub measured: f64,
    pub disturbed: bool,
}

impl Check {
    /// Of what was measured; positive where the model promises more than there is.
    pub fn error_percent(&self) -> f64 {
        (self.predicted / self.measured - 1.0) * 100.0
    }
}

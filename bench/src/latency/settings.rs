//! What the scenarios are told, and how long they take.

use std::path::PathBuf;
use std::time::Duration;

use millstream::prelude::WaitPolicy;

use super::schedule::Plan;
use crate::clock::monotonic_nanos;

/// How idle shards wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wait {
    /// They never sleep.
    Spin,
    /// They sleep after a while.
    Adaptive,
}

impl Wait {
    pub fn policy(self) -> WaitPolicy {
        match self {
            Wait::Spin => WaitPolicy::Spin,
            Wait::Adaptive => WaitPolicy::default(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Wait::Spin => "spin",
            Wait::Adaptive => "adaptive",
        }
    }
}

/// One way to run a scenario's job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    pub wait: Wait,
    /// The interval of checkpoints; none: there are none.
    pub checkpoints: Option<Duration>,
}

impl Variant {
    /// What its series is called.
    pub fn label(&self) -> String {
        let wait = self.wait.name();
        match self.checkpoints {
            None => format!("{wait}, no checkpoints"),
            Some(interval) => format!("{wait}, checkpoints every {interval:?}"),
        }
    }
}

/// What every scenario is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cores that this process may use.
    pub cores: Vec<usize>,
    /// Where state directories are made.
    pub dir: PathBuf,
    /// How many seconds each stretch counts; none: what suits the scenario.
    pub seconds: Option<u64>,
    /// Records per second; none: what the scenario can.
    pub rates: Vec<u64>,
    pub waits: Vec<Wait>,
    pub checkpoints: Vec<Option<Duration>>,
}

/// How long a stretch is, and how much comes.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    pub rate: u64,
    pub warm_up: Duration,
    pub seconds: u64,
}

impl Length {
    /// A plan that begins so long from now.
    pub fn plan(&self, lead: Duration) -> Plan {
        Plan {
            start: monotonic_nanos() + lead.as_nanos() as u64,
            rate: self.rate,
            warm_up: self.warm_up,
            seconds: self.seconds,
        }
    }

    /// The same for no longer than this.
    pub fn at_most(self, seconds: u64) -> Length {
        Length { seconds: self.seconds.min(seconds), ..self }
    }
}

/// How long a stretch counts, and how long it is warmed up for, unless said otherwise.
const SECONDS: u64 = 10;
const WARM_UP: Duration = Duration::from_secs(2);

/// A measurement that counts at least this long is taken in two turns.
const TWO_TURNS: u64 = 6;

impl Settings {
    /// The ways to run a scenario.
    pub fn variants(&self) -> Vec<Variant> {
        let of_wait = |wait: &Wait| {
            let wait = *wait;
            self.checkpoints.iter().map(move |checkpoints| Variant { wait, checkpoints: *checkpoints })
        };
        self.waits.iter().flat_map(of_wait).collect()
    }

    /// The rates that were asked for, or those that suit the scenario.
    pub fn rates(&self, suitable: &[u64]) -> Vec<u64> {
        if self.rates.is_empty() { suitable.to_vec() } else { self.rates.clone() }
    }

    /// How long each stretch is, and how many there are.
    pub fn turns(&self, rate: u64) -> (Length, usize) {
        let seconds = self.seconds.unwrap_or(SECONDS);
        let turns = if seconds >= TWO_TURNS { 2 } else { 1 };
        let warm_up = WARM_UP.min(Duration::from_secs(seconds) / 2);
        (Length { rate, warm_up, seconds: seconds.div_ceil(turns) }, turns as usize)
    }

    /// The cores of so many shards.
    pub fn shard_cores(&self, shards: u16) -> Vec<usize> {
        self.cores.iter().copied().take(usize::from(shards)).collect()
    }

    /// A core for the host's thread beside so many shards, if there is one.
    pub fn host_core(&self, shards: u16) -> Option<usize> {
        self.cores.get(usize::from(shards)).copied()
    }

    /// The same where there is one shard, which is why two cores are asked for at the start.
    pub fn host_core_beside_one(&self) -> Result<usize, String> {
        self.host_core(1).ok_or_else(|| too_few_cores(&self.cores))
    }
}

/// Why nothing can be measured.
pub fn too_few_cores(cores: &[usize]) -> String {
    format!(
        "latency needs 2 cores, one for a shard and one for the thread that sends; this process may use {} ({cores:?}): allow it more \
         (taskset, the container's cpuset)",
        cores.len()
    )
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// For runs that only show that all works.
    pub fn brief(dir: &std::path::Path) -> Settings {
        Settings {
            cores: core_affinity::get_core_ids().unwrap().into_iter().map(|core| core.id).collect(),
            dir: dir.to_owned(),
            seconds: Some(1),
            rates: vec![1000],
            waits: vec![Wait::Adaptive],
            checkpoints: vec![Some(Duration::from_millis(100))],
        }
    }

    #[test]
    fn all_ways_to_run_are_told_apart() {
        let mut settings = brief(std::path::Path::new("."));
        settings.waits = vec![Wait::Spin, Wait::Adaptive];
        settings.checkpoints = vec![None, Some(Duration::from_millis(100))];
        let labels: Vec<_> = settings.variants().iter().map(Variant::label).collect();
        assert_eq!(
            labels,
            [
                "spin, no checkpoints",
                "spin, checkpoints every 100ms",
                "adaptive, no checkpoints",
                "adaptive, checkpoints every 100ms"
            ]
        );
    }

    #[test]
    fn longer_measurements_take_turns() {
        let of = |seconds| {
            let settings = Settings { seconds, ..brief(std::path::Path::new(".")) };
            let (length, turns) = settings.turns(10);
            (length.seconds, length.warm_up, turns)
        };
        assert_eq!(of(None), (5, WARM_UP, 2));
        assert_eq!(of(Some(1)), (1, Duration::from_millis(500), 1));
        assert_eq!(of(Some(7)), (4, WARM_UP, 2));
    }

    #[test]
    fn the_host_has_a_core_that_no_shard_has() {
        let settings = Settings { cores: vec![3, 5], ..brief(std::path::Path::new(".")) };
        assert_eq!(settings.shard_cores(1), [3]);
        assert_eq!((settings.host_core(1), settings.host_core(2)), (Some(5), None));
        let alone = Settings { cores: vec![3], ..settings };
        assert!(alone.host_core_beside_one().unwrap_err().contains("needs 2 cores"));
    }
}

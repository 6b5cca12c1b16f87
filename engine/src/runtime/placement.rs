//! Which core each shard runs on: the cores this process may use, and how much of them its control group grants.

mod held;
mod plan;
mod quota;

pub(crate) use held::{HeldCores, cores_held, place_and_hold};
pub use held::{Overlap, OverlapWith, cores_left};
pub use plan::CorePlan;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;

use super::affinity;
use super::wait::WaitPolicy;
use crate::limits::SHARDS_MAX;
use quota::cgroup_cpus;

/// A logical processor, by the operating system's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreId(pub usize);

impl std::fmt::Display for CoreId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where a job's shards run.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// The core each shard is pinned to; `None` where the operating system chooses.
    pub cores: Vec<Option<CoreId>>,
    /// Whether shards have to share cores.
    pub shared: bool,
    /// What the control group grants, where it grants less than the shards could use.
    pub throttled: Option<Throttled>,
}

impl Placement {
    /// The wait policy that suits this placement.
    pub fn wait(&self, wanted: WaitPolicy) -> WaitPolicy {
        if self.shared { wanted.on_shared_cores() } else { wanted }
    }
}

/// A control group's CPU quota that is smaller than the number of shards.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("cgroup allows {cpus:.1} CPUs; {shards} shards would be throttled")]
pub struct Throttled {
    /// CPUs' worth of time per period.
    pub cpus: f64,
    /// The job's shards.
    pub shards: usize,
}

/// Why shards cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// A job without shards.
    #[error("a job needs at least 1 shard; 0 were asked for")]
    NoShards,
    /// More shards than the engine supports.
    #[error("{wanted} shards were asked for; at most {SHARDS_MAX} are supported")]
    TooManyShards {
        /// How many were asked for.
        wanted: usize,
    },
    /// More shards than cores.
    #[error(
        "needs {wanted} cores, {available} available (cpuset {cpuset}); lower the number of shards, or allow oversubscription"
    )]
    NotEnoughCores {
        /// One core per shard.
        wanted: usize,
        /// What there is.
        available: usize,
        /// Which these are.
        cpuset: String,
    },
    /// A core that this process must not use.
    #[error(
        "core {core} is not available (cpuset {cpuset}); choose from the cpuset, or leave the choice of cores to the engine"
    )]
    CoreNotAvailable {
        /// The core that was asked for.
        core: CoreId,
        /// What there is.
        cpuset: String,
    },
    /// A core that was named twice.
    #[error("core {core} is named twice; name each core once, or allow oversubscription")]
    CoreTwice {
        /// That core.
        core: CoreId,
    },
    /// The operating system does not say.
    #[error(
        "the operating system does not say which cores this process may use; name the cores, or allow oversubscription"
    )]
    Unknown,
}

/// The cores that this process may use, as far as it can be known: those of its first thread and of the calling one. One hardware thread of
/// each physical core comes first.
pub fn available_cores() -> Vec<CoreId> {
    let both: BTreeSet<CoreId> =
        affinity::of_first_thread().into_iter().chain(affinity::of_this_thread()).collect();
    physical_first(both.into_iter().collect(), first_sibling)
}

/// Lets the calling thread run on these cores only, by the operating system's numbers: for the threads of a host's own runtime beside jobs.
/// Threads that it starts begin there too.
///
/// ```
/// use millstream_engine::runtime::placement::{confine_this_thread, cores_left};
///
/// let left = cores_left();
/// // With tokio: `Builder::new_multi_thread().worker_threads(left.len()).on_thread_start(move || ..)`
/// let worker = std::thread::spawn(move || confine_this_thread(&left));
/// # worker.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// There are none of these cores, the process may not use them, or the system knows no such thing.
pub fn confine_this_thread(cores: &[usize]) -> io::Result<()> {
    let cores: Vec<CoreId> = cores.iter().copied().map(CoreId).collect();
    affinity::confine_this_thread(&cores)
}

/// Cores as the kernel writes them: `0-3,8`.
pub fn cpuset_text(cores: &[CoreId]) -> String {
    let mut sorted: Vec<usize> = cores.iter().map(|core| core.0).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut text = String::new();
    for run in sorted.chunk_by(|a, b| a + 1 == *b) {
        let separator = if text.is_empty() { "" } else { "," };
        let (first, last) = (run[0], run[run.len() - 1]);
        // Writing to a string cannot fail.
        let _ = if first == last {
            write!(text, "{separator}{first}")
        } else {
            write!(text, "{separator}{first}-{last}")
        };
    }
    if text.is_empty() { "unknown".to_owned() } else { text }
}

fn place_on(
    available: &[CoreId],
    named: Option<Vec<CoreId>>,
    shards: usize,
    oversubscribe: bool,
    quota: Option<f64>,
) -> Result<Placement, PlacementError> {
    if shards == 0 {
        return Err(PlacementError::NoShards);
    }
    if shards > usize::from(SHARDS_MAX) {
        return Err(PlacementError::TooManyShards { wanted: shards });
    }
    let named = named.filter(|named| !named.is_empty());
    if available.is_empty() && named.is_none() && !oversubscribe {
        return Err(PlacementError::Unknown);
    }
    if let Some(named) = &named {
        check_named(named, available, oversubscribe)?;
    }
    let chosen = named.as_deref().unwrap_or(available);
    if shards > chosen.len() && !oversubscribe {
        return Err(PlacementError::NotEnoughCores {
            wanted: shards,
            available: chosen.len(),
            cpuset: cpuset_text(chosen),
        });
    }
    let mut distinct = chosen[..shards.min(chosen.len())].to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let shared = distinct.len() < shards;
    let cores = if shared && named.is_none() {
        vec![None; shards]
    } else {
        chosen.iter().copied().cycle().take(shards).map(Some).collect()
    };
    let throttled = quota.filter(|&cpus| cpus < shards as f64).map(|cpus| Throttled { cpus, shards });
    Ok(Placement { cores, shared, throttled })
}

fn check_named(named: &[CoreId], available: &[CoreId], oversubscribe: bool) -> Result<(), PlacementError> {
    for (i, core) in named.iter().enumerate() {
        if !available.is_empty() && !available.contains(core) {
            return Err(PlacementError::CoreNotAvailable { core: *core, cpuset: cpuset_text(available) });
        }
        if named[..i].contains(core) && !oversubscribe {
            return Err(PlacementError::CoreTwice { core: *core });
        }
    }
    Ok(())
}

/// Orders cores so that the first hardware thread of every physical core comes before any second one.
fn physical_first(cores: Vec<CoreId>, first_sibling: impl Fn(CoreId) -> Option<CoreId>) -> Vec<CoreId> {
    let mut seen = Vec::new();
    let (mut ordered, mut seconds) = (Vec::new(), Vec::new());
    for core in cores {
        let physical = first_sibling(core).unwrap_or(core);
        if seen.contains(&physical) {
            seconds.push(core);
        } else {
            seen.push(physical);
            ordered.push(core);
        }
    }
    ordered.extend(seconds);
    ordered
}

/// The lowest-numbered hardware thread of a core's physical core.
fn first_sibling(core: CoreId) -> Option<CoreId> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let text = fs::read_to_string(path).ok()?;
    text.trim().split([',', '-']).next()?.parse().ok().map(CoreId)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(ids: impl IntoIterator<Item = usize>) -> Vec<CoreId> {
        ids.into_iter().map(CoreId).collect()
    }

    #[test]
    fn every_shard_gets_a_core_of_its_own() {
        let placement = place_on(&cores(0..4), None, 3, false, None).unwrap();
        assert_eq!(placement.cores, [Some(CoreId(0)), Some(CoreId(1)), Some(CoreId(2))]);
        assert!(!placement.shared);
        assert_eq!(placement.wait(WaitPolicy::Spin), WaitPolicy::Spin);
    }

    #[test]
    fn too_many_shards_are_refused_with_the_remedy() {
        let error = place_on(&cores(0..4), None, 8, false, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "needs 8 cores, 4 available (cpuset 0-3); lower the number of shards, or allow oversubscription"
        );
    }

    #[test]
    fn oversubscribed_shards_are_unpinned_or_take_turns() {
        let unpinned = place_on(&cores(0..4), None, 8, true, None).unwrap();
        assert_eq!(unpinned.cores, [None; 8]);
        assert_eq!(unpinned.wait(WaitPolicy::Spin), WaitPolicy::Yield);
        let turns = place_on(&cores(0..4), Some(cores([2, 3])), 3, true, None).unwrap();
        assert_eq!(turns.cores, [Some(CoreId(2)), Some(CoreId(3)), Some(CoreId(2))]);
        assert!(turns.shared);
        let twice = place_on(&cores(0..4), Some(cores([2, 2])), 2, true, None).unwrap();
        assert!(twice.shared);
    }

    #[test]
    fn absurd_numbers_and_foreign_cores_are_refused() {
        let on_four = |named: Option<Vec<CoreId>>, shards| place_on(&cores(0..4), named, shards, false, None);
        assert_eq!(on_four(None, 0), Err(PlacementError::NoShards));
        assert_eq!(on_four(None, 5000), Err(PlacementError::TooManyShards { wanted: 5000 }));
        assert_eq!(on_four(Some(cores([1, 1])), 2), Err(PlacementError::CoreTwice { core: CoreId(1) }));
        assert_eq!(
            on_four(Some(cores([9])), 1).unwrap_err().to_string(),
            "core 9 is not available (cpuset 0-3); choose from the cpuset, or leave the choice of cores to the engine"
        );
        assert!(matches!(
            on_four(Some(cores([1, 2])), 3),
            Err(PlacementError::NotEnoughCores { available: 2, .. })
        ));
        assert_eq!(place_on(&[], None, 1, false, None), Err(PlacementError::Unknown));
        assert_eq!(place_on(&[], None, 2, true, None).unwrap().cores, [None; 2]);
        assert_eq!(place_on(&[], Some(vec![]), 2, true, None).unwrap().cores, [None; 2]);
    }

    #[test]
    fn the_real_machine_has_a_core_for_one_shard() {
        assert!(place_on(&available_cores(), None, 1, false, None).unwrap().cores[0].is_some());
    }

    #[test]
    fn cpusets_read_as_the_kernel_writes_them() {
        assert_eq!(cpuset_text(&cores([8, 0, 1, 2, 3])), "0-3,8");
        assert_eq!(cpuset_text(&cores([5])), "5");
        assert_eq!(cpuset_text(&[]), "unknown");
    }

    #[test]
    fn second_hardware_threads_come_last() {
        let pairs = |core: CoreId| Some(CoreId(core.0 & !1));
        assert_eq!(physical_first(cores(0..6), pairs), cores([0, 2, 4, 1, 3, 5]));
        assert_eq!(physical_first(cores(0..3), |_| None), cores(0..3));
    }

    #[test]
    fn a_small_quota_is_told() {
        let placement = place_on(&cores(0..4), None, 4, false, Some(2.0)).unwrap();
        assert_eq!(
            placement.throttled.unwrap().to_string(),
            "cgroup allows 2.0 CPUs; 4 shards would be throttled"
        );
        assert_eq!(place_on(&cores(0..4), None, 2, false, Some(2.0)).unwrap().throttled, None);
    }
}

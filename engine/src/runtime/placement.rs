//! Which core each shard runs on: the cores this process may use, and how much of them its control group grants.

use crate::limits::SHARDS_MAX;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::wait::WaitPolicy;

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

/// Gives each of `shards` shards a core of its own, from `cores` or else from all that this process may use (its cpuset), one
/// hardware thread per physical core first. With `oversubscribe`, more shards than cores are let run: on the named cores in turn, or
/// unpinned. Warns where the control group's CPU quota is below the number of shards.
///
/// # Errors
/// Too many shards for the cores, or a core that may not be used.
pub fn place(
    shards: usize,
    cores: Option<Vec<usize>>,
    oversubscribe: bool,
) -> Result<Placement, PlacementError> {
    let quota = cgroup_cpus(Path::new("/sys/fs/cgroup"), Path::new("/proc/self/cgroup"));
    let named = cores.map(|cores| cores.into_iter().map(CoreId).collect());
    let placement = place_on(&available_cores(), named, shards, oversubscribe, quota)?;
    if let Some(throttled) = placement.throttled {
        tracing::warn!(
            "{throttled}: each would be stopped for a part of every period; raise the quota, or lower the number of shards"
        );
    }
    Ok(placement)
}

/// The cores that the calling thread may use, one hardware thread of each physical core first.
pub fn available_cores() -> Vec<CoreId> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    physical_first(cores.into_iter().map(|core| CoreId(core.id)).collect(), first_sibling)
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

/// How many CPUs' worth of time the control group of this process grants (the smallest grant on the way to the root), versions 1
/// and 2. `None` where there is no limit or no control group.
fn cgroup_cpus(mount: &Path, membership: &Path) -> Option<f64> {
    let membership = fs::read_to_string(membership).ok()?;
    let mut grants = Vec::new();
    for line in membership.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(hierarchy), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if hierarchy == "0" && controllers.is_empty() {
            grants.extend(ancestors(mount, path).filter_map(|dir| quota_v2(&dir)));
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            for name in ["cpu", controllers] {
                grants.extend(ancestors(&mount.join(name), path).filter_map(|dir| quota_v1(&dir)));
            }
        }
    }
    grants.into_iter().min_by(f64::total_cmp)
}

/// A control group's directory and those above it, up to the mount. In a container without a namespace of its own the path names
/// directories that are not mounted; the mount itself is then the container's.
fn ancestors<'a>(mount: &'a Path, path: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    Path::new(path).ancestors().map(|path| match path.strip_prefix("/") {
        Ok(relative) => mount.join(relative),
        Err(_) => mount.to_owned(),
    })
}

fn quota_v2(dir: &Path) -> Option<f64> {
    let text = fs::read_to_string(dir.join("cpu.max")).ok()?;
    let mut fields = text.split_whitespace();
    grant(fields.next()?, fields.next()?)
}

fn quota_v1(dir: &Path) -> Option<f64> {
    let quota = fs::read_to_string(dir.join("cpu.cfs_quota_us")).ok()?;
    let period = fs::read_to_string(dir.join("cpu.cfs_period_us")).ok()?;
    grant(quota.trim(), period.trim())
}

/// `None` for `max` and `-1`, which mean no limit.
fn grant(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
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
        assert!(place(1, None, false).unwrap().cores[0].is_some());
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
    fn quotas_of_both_versions_are_found() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let read = || cgroup_cpus(root.path(), &root.path().join("membership"));
        assert_eq!(read(), None, "no control groups");

        write("membership", "0::/a/b\n");
        write("a/b/cpu.max", "max 100000\n");
        assert_eq!(read(), None, "no limit");
        write("a/cpu.max", "200000 100000\n");
        assert_eq!(read(), Some(2.0), "the limit of a parent counts");

        write("membership", "7:cpu,cpuacct:/docker/x\n0::/\n");
        write("cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
        write("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
        assert_eq!(read(), Some(1.5), "inside a container the mount is the container's group");
        write("cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
        write("cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
        assert_eq!(read(), Some(1.5));
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

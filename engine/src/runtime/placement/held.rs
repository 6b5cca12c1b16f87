//! Which cores the shards of this process's jobs hold.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    CoreId, Placement, PlacementError, affinity, available_cores, cgroup_cpus, cpuset_text, place_on,
};

/// What jobs hold. Of the process and not of a job: cores are shared by all that it does, and only here two jobs learn of each other. It grows
/// and shrinks with the jobs that run.
static HELD: Mutex<Vec<Holding>> = Mutex::new(Vec::new());

struct Holding {
    number: u64,
    job: String,
    cores: BTreeSet<CoreId>,
}

fn held() -> MutexGuard<'static, Vec<Holding>> {
    // Entries come and go whole.
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cores that shards of any job of this process hold.
pub(crate) fn cores_held() -> BTreeSet<CoreId> {
    held().iter().flat_map(|holding| &holding.cores).copied().collect()
}

/// The cores that this process may use and no shard of its jobs holds, by the operating system's numbers: for the threads of the program
/// that the jobs are embedded in. See [`CorePlan`](super::CorePlan) for how to know that before they run.
pub fn cores_left() -> Vec<usize> {
    let held = cores_held();
    let mut left: Vec<usize> =
        available_cores().into_iter().filter(|core| !held.contains(core)).map(|core| core.0).collect();
    left.sort_unstable();
    left
}

/// The cores of a job, until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldCores {
    number: u64,
}

impl Drop for HeldCores {
    fn drop(&mut self) {
        held().retain(|holding| holding.number != self.number);
    }
}

/// Who runs on the cores of a job, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlapWith {
    /// The shards of another job of this process.
    Job(String),
    /// The thread that starts the job: it is confined to a part of the process's cores.
    Starter(String),
}

/// Shards that have to share cores with others, without anybody having said that they may. `Display` says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The job that is being started.
    pub job: String,
    /// The cores, in order.
    pub cores: Vec<CoreId>,
    /// With whom.
    pub with: OverlapWith,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (job, noun, cores) =
            (&self.job, if self.cores.len() == 1 { "core" } else { "cores" }, cpuset_text(&self.cores));
        match &self.with {
            OverlapWith::Job(other) => write!(
                f,
                "shards of job `{job}` and of job `{other}` share {noun} {cores}: both take turns there, and neither is prompt; give each job \
                 cores of its own with Job::cores, as placement::CorePlan deals them out"
            ),
            OverlapWith::Starter(thread) => write!(
                f,
                "shards of job `{job}` share {noun} {cores} with thread `{thread}`, which starts the job and may run nowhere else: both take \
                 turns there, and neither is prompt; give the job other cores with Job::cores, or confine the thread to \
                 placement::cores_left()"
            ),
        }
    }
}

/// Gives each of `shards` shards a core of its own, from `named` or else from all that this process may use (its cpuset): first those that no
/// other job holds and to which the calling thread is not confined, one hardware thread per physical core first. With `oversubscribe`, more
/// shards than cores are let run: on the named cores in turn, or unpinned. Says with whom the cores have to be shared.
///
/// # Errors
/// Too many shards for the cores, or a core that may not be used.
pub(crate) fn place_and_hold(
    job: &str,
    shards: usize,
    named: Option<Vec<usize>>,
    oversubscribe: bool,
) -> Result<(Placement, HeldCores, Vec<Overlap>), PlacementError> {
    let quota = cgroup_cpus(Path::new("/sys/fs/cgroup"), Path::new("/proc/self/cgroup"));
    let named = named.map(|cores| cores.into_iter().map(CoreId).collect());
    let mut available = available_cores();
    let starter = confined_to(affinity::of_this_thread(), &available);
    // Held until the cores are entered: two jobs that start at the same time see each other.
    let mut all = held();
    let is_taken = |core: &CoreId| all.iter().any(|holding| holding.cores.contains(core));
    available.sort_by_key(|core| (is_taken(core), starter.contains(core)));
    let mut placement = place_on(&available, named, shards, oversubscribe, quota)?;
    let cores: BTreeSet<CoreId> = placement.cores.iter().flatten().copied().collect();
    let overlaps = overlaps(job, &cores, &all, &starter);
    // Where somebody else has the core, too, a shard that waits must let it go.
    placement.shared |= !overlaps.is_empty();
    let number = all.iter().map(|holding| holding.number + 1).max().unwrap_or(0);
    all.push(Holding { number, job: job.to_owned(), cores });
    Ok((placement, HeldCores { number }, overlaps))
}

/// The cores of a thread, where somebody has kept it off others.
fn confined_to(cores: Vec<CoreId>, available: &[CoreId]) -> BTreeSet<CoreId> {
    if cores.len() < available.len() { cores.into_iter().collect() } else { BTreeSet::new() }
}

fn overlaps(
    job: &str,
    cores: &BTreeSet<CoreId>,
    others: &[Holding],
    starter: &BTreeSet<CoreId>,
) -> Vec<Overlap> {
    let overlap = |with, shared: &BTreeSet<CoreId>| {
        let cores: Vec<CoreId> = cores.intersection(shared).copied().collect();
        (!cores.is_empty()).then(|| Overlap { job: job.to_owned(), cores, with })
    };
    let thread = std::thread::current().name().unwrap_or("without a name").to_owned();
    // One that may run elsewhere as well will: the system sees to it.
    let stays = !starter.is_empty() && starter.is_subset(cores);
    let starter = stays.then(|| overlap(OverlapWith::Starter(thread), starter)).flatten();
    let others = others.iter().filter_map(|other| overlap(OverlapWith::Job(other.job.clone()), &other.cores));
    others.chain(starter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(numbers: &[usize]) -> BTreeSet<CoreId> {
        numbers.iter().copied().map(CoreId).collect()
    }

    fn holding(job: &str, numbers: &[usize]) -> Holding {
        Holding { number: 0, job: job.to_owned(), cores: cores(numbers) }
    }

    #[test]
    fn those_who_share_cores_are_named_with_the_remedy() {
        let others = [holding("a", &[0, 1]), holding("b", &[1, 2, 3]), holding("c", &[])];
        let found = overlaps("new", &cores(&[2, 3]), &others, &cores(&[3]));
        let said: Vec<String> = found.iter().map(Overlap::to_string).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("shards of job `new` and of job `b` share cores 2-3: "), "{}", said[0]);
        assert!(said[0].ends_with(
            "give each job cores of its own with Job::cores, as placement::CorePlan deals them out"
        ));
        assert!(said[1].starts_with("shards of job `new` share core 3 with thread `"), "{}", said[1]);
        assert!(said[1].ends_with("or confine the thread to placement::cores_left()"));
        assert_eq!(overlaps("new", &cores(&[4]), &others, &cores(&[3])), []);
    }

    #[test]
    fn a_thread_that_may_run_elsewhere_is_nobodys_neighbour() {
        assert_eq!(confined_to(vec![CoreId(0), CoreId(1)], &[CoreId(1), CoreId(0)]), cores(&[]));
        assert_eq!(confined_to(vec![CoreId(1)], &[CoreId(1), CoreId(0)]), cores(&[1]));
        assert_eq!(overlaps("new", &cores(&[0]), &[], &cores(&[0, 1])), []);
    }

    #[test]
    fn cores_are_held_as_long_as_the_job_runs() {
        let core = available_cores()[0];
        let hold = || place_and_hold("first", 1, Some(vec![core.0]), false).unwrap();
        let (placement, first, _) = hold();
        assert_eq!(placement.cores, [Some(core)]);
        assert!(cores_held().contains(&core) && !cores_left().contains(&core.0));
        let (placement, second, overlaps) = place_and_hold("second", 1, Some(vec![core.0]), false).unwrap();
        assert!(placement.shared);
        assert!(overlaps.iter().any(|overlap| overlap.with == OverlapWith::Job("first".to_owned())));
        drop(first);
        assert!(cores_held().contains(&core), "the second has it still");
        drop(second);
        // Other tests may hold it; these two do not.
        assert!(held().iter().all(|holding| holding.job != "first" && holding.job != "second"));
    }
}

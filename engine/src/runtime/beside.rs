//! Threads beside the shards.

use std::collections::BTreeSet;
use std::io;
use std::thread::JoinHandle;

use super::affinity;
use super::placement::{CoreId, available_cores, cores_held};

/// Starts a thread of this name that keeps off the cores of shards where there are others, and otherwise runs on all that the process may
/// use. A thread inherits the core of the one that starts it: one that a source or a sink starts by other means competes with its shard for
/// as long as it lives.
///
/// # Errors
/// The system starts no more threads.
pub fn spawn_beside<T: Send + 'static>(
    name: impl Into<String>,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.into()).spawn(move || {
        leave_the_shards_cores();
        body()
    })
}

/// Where the system does not allow it, the thread stays where it is.
fn leave_the_shards_cores() {
    let cores = beside(&available_cores(), &cores_held());
    if !cores.is_empty()
        && let Err(error) = affinity::confine_this_thread(&cores)
    {
        tracing::debug!("a helper thread stays where the one was that started it: {error}");
    }
}

/// Where helpers may run: where no shard does, or else anywhere.
fn beside(available: &[CoreId], held: &BTreeSet<CoreId>) -> Vec<CoreId> {
    let free: Vec<CoreId> = available.iter().copied().filter(|core| !held.contains(core)).collect();
    if free.is_empty() { available.to_vec() } else { free }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_keep_off_the_cores_of_shards_where_they_can() {
        let cores = |numbers: &[usize]| numbers.iter().copied().map(CoreId).collect::<Vec<_>>();
        let held = |numbers: &[usize]| cores(numbers).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(beside(&cores(&[0, 2, 1]), &held(&[2])), cores(&[0, 1]));
        assert_eq!(beside(&cores(&[0, 1]), &held(&[0, 1, 5])), cores(&[0, 1]));
        assert_eq!(beside(&cores(&[0, 1]), &held(&[])), cores(&[0, 1]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_a_pinned_one_starts_does_not_stay_on_its_core() {
        let all = affinity::of_this_thread();
        let pinned = std::thread::spawn(|| {
            let own = affinity::of_this_thread()[0];
            affinity::confine_this_thread(&[own]).unwrap();
            let inherits = std::thread::spawn(affinity::of_this_thread).join().unwrap();
            let helper = spawn_beside("helper", || {
                (affinity::of_this_thread(), std::thread::current().name().map(str::to_owned))
            });
            (own, inherits, helper.unwrap().join().unwrap())
        });
        let (own, inherits, (helper, name)) = pinned.join().unwrap();
        assert_eq!((inherits, name.as_deref()), (vec![own], Some("helper")));
        // Other tests hold cores meanwhile.
        assert!(!helper.is_empty() && helper.iter().all(|core| all.contains(core)), "{helper:?}");
        assert!(all.len() == 1 || helper != [own] || cores_held().len() == all.len() - 1);
    }
}

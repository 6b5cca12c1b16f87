//! Lets helper threads run where they like.
#![allow(unsafe_code)] // system calls that neither the standard library nor core_affinity offers

/// Lets the calling thread run on every core that the first thread of the process may use. A thread inherits the core of the one that starts it:
/// what a shard starts would compete with the shard. Where the system does not allow it, the thread stays where it is.
#[cfg(target_os = "linux")]
pub(crate) fn leave_the_shards_core() {
    // SAFETY: a set of cores is plain numbers, for which zeros mean none.
    let mut cores: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the calls write and read a set of the size that they are told, which lives as long as they take.
    let moved = unsafe {
        let size = size_of_val(&cores);
        libc::sched_getaffinity(libc::getpid(), size, &raw mut cores) == 0
            && libc::sched_setaffinity(0, size, &raw const cores) == 0
    };
    if !moved {
        tracing::debug!("a helper thread stays on its shard's core: {}", std::io::Error::last_os_error());
    }
}

/// Where threads are not pinned there is nothing to leave.
#[cfg(not(target_os = "linux"))]
pub(crate) fn leave_the_shards_core() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_a_pinned_one_starts_gets_the_cores_of_the_process_back() {
        let cores = || core_affinity::get_core_ids().unwrap().len();
        let all = cores();
        let pinned = std::thread::spawn(move || {
            let first = core_affinity::get_core_ids().unwrap()[0];
            assert!(core_affinity::set_for_current(first));
            let helper = std::thread::spawn(move || {
                let inherited = cores();
                leave_the_shards_core();
                (inherited, cores())
            });
            helper.join().unwrap()
        });
        assert_eq!(pinned.join().unwrap(), (1, all));
    }
}

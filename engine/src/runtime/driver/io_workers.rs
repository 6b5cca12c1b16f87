//! Keeps the kernel's I/O workers off the shards' cores.
#![allow(unsafe_code)] // a system call that the standard library does not have

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::RawFd;

use crate::runtime::placement::CoreId;

/// `IORING_REGISTER_IOWQ_AFF` of `linux/io_uring.h`, since Linux 5.14.
const REGISTER_WORKER_AFFINITY: libc::c_uint = 17;

/// Which cores the workers of each shard may use: those without shards, or else those of the other shards.
#[derive(Clone, Debug)]
pub(super) struct WorkerCores {
    available: BTreeSet<usize>,
    of_shards: BTreeSet<usize>,
}

impl WorkerCores {
    pub(super) fn new(available: &[CoreId], of_shards: impl IntoIterator<Item = CoreId>) -> Self {
        let numbers = |cores: &mut dyn Iterator<Item = CoreId>| cores.map(|core| core.0).collect();
        WorkerCores {
            available: numbers(&mut available.iter().copied()),
            of_shards: numbers(&mut of_shards.into_iter()),
        }
    }

    /// Empty where there is nothing to choose.
    fn beside(&self, own: CoreId) -> Vec<usize> {
        let free: Vec<usize> = self.available.difference(&self.of_shards).copied().collect();
        if free.is_empty() {
            self.available.iter().copied().filter(|core| *core != own.0).collect()
        } else {
            free
        }
    }
}

/// An operation that would block (a write that makes a file longer) is handed to a worker thread of the kernel, which by default inherits
/// the core of the thread that gave it: then it takes that core away from the shard for milliseconds. Tells the kernel to run the
/// workers of the calling thread elsewhere. Where it will not (an old kernel), they stay where they are.
pub(super) fn place_workers(own: CoreId, cores: &WorkerCores) {
    let elsewhere = cores.beside(own);
    if let (Some(ring), Some(last)) = (a_ring(), elsewhere.iter().max()) {
        let mut mask = vec![0u64; last / 64 + 1];
        elsewhere.iter().for_each(|core| mask[core / 64] |= 1 << (core % 64));
        // SAFETY: the kernel reads as many bytes of the mask as it is told, which are there.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                ring,
                REGISTER_WORKER_AFFINITY,
                mask.as_ptr(),
                size_of_val(mask.as_slice()) as libc::c_uint,
            )
        };
        if answer != 0 {
            tracing::debug!(
                "the kernel's I/O workers stay on core {}: {}",
                own.0,
                std::io::Error::last_os_error()
            );
        }
    }
}

/// Some ring of the process: the call concerns the calling thread, whichever ring it is made with.
fn a_ring() -> Option<RawFd> {
    let open = fs::read_dir("/proc/self/fd").ok()?.flatten();
    let mut rings = open.filter(|entry| {
        fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == "anon_inode:[io_uring]")
    });
    rings.find_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_go_where_no_shard_is_if_there_is_such_a_place() {
        let all = [CoreId(0), CoreId(1), CoreId(2)];
        let one_free = WorkerCores::new(&all, [CoreId(0), CoreId(2)]);
        assert_eq!(one_free.beside(CoreId(0)), [1]);
        let none_free = WorkerCores::new(&all, all);
        assert_eq!(none_free.beside(CoreId(1)), [0, 2]);
        assert!(WorkerCores::new(&all[..1], [CoreId(0)]).beside(CoreId(0)).is_empty());
    }
}

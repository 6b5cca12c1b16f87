//! On which cores a thread may run.
#![allow(unsafe_code)] // system calls that neither the standard library nor core_affinity offers

use std::io;

use super::placement::CoreId;

/// Those of the process's first thread; none where the system does not say.
#[cfg(target_os = "linux")]
pub(crate) fn of_first_thread() -> Vec<CoreId> {
    // SAFETY: a question that cannot fail.
    of_thread(unsafe { libc::getpid() })
}

/// Those of the calling thread; none where the system does not say.
#[cfg(target_os = "linux")]
pub(crate) fn of_this_thread() -> Vec<CoreId> {
    of_thread(0)
}

#[cfg(target_os = "linux")]
fn of_thread(thread: libc::pid_t) -> Vec<CoreId> {
    let mut set = no_cores();
    // SAFETY: the call writes a set of the size that it is told, which lives as long as it takes.
    let answer = unsafe { libc::sched_getaffinity(thread, size_of_val(&set), &raw mut set) };
    if answer != 0 {
        return Vec::new();
    }
    // SAFETY: a number below the size of the set, which is initialised.
    let allowed = |core: &usize| unsafe { libc::CPU_ISSET(*core, &set) };
    (0..libc::CPU_SETSIZE as usize).filter(allowed).map(CoreId).collect()
}

#[cfg(target_os = "linux")]
fn no_cores() -> libc::cpu_set_t {
    // SAFETY: a set of cores is plain numbers, for which zeros mean none.
    unsafe { std::mem::zeroed() }
}

/// Lets the calling thread run on these cores only.
#[cfg(target_os = "linux")]
pub(crate) fn confine_this_thread(cores: &[CoreId]) -> io::Result<()> {
    let mut set = no_cores();
    for core in cores.iter().filter(|core| core.0 < libc::CPU_SETSIZE as usize) {
        // SAFETY: a number below the size of the set, which is initialised.
        unsafe { libc::CPU_SET(core.0, &mut set) };
    }
    // SAFETY: the call reads a set of the size that it is told, which lives as long as it takes.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Where threads are not bound to cores, the system's own list of cores has to do.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of_first_thread() -> Vec<CoreId> {
    of_this_thread()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn of_this_thread() -> Vec<CoreId> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    cores.into_iter().map(|core| CoreId(core.id)).collect()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn confine_this_thread(_: &[CoreId]) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_where_it_is_told_and_says_so() {
        let all = of_this_thread();
        assert_eq!(of_first_thread(), all);
        let last = *all.last().unwrap();
        let confined = std::thread::spawn(move || {
            confine_this_thread(&[last]).unwrap();
            (of_this_thread(), of_first_thread())
        });
        assert_eq!(confined.join().unwrap(), (vec![last], all));
        confine_this_thread(&[]).unwrap_err();
        confine_this_thread(&[CoreId(usize::MAX)]).unwrap_err();
    }
}

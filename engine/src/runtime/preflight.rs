//! Whether io_uring can be used here: asked of the operating system before any shard starts, so that a refusal is an answer with a
//! remedy and not a panic in the middle of a start.
#![allow(unsafe_code)] // system calls that neither the standard library nor core_affinity offers

use std::fmt;

/// Why the glommio driver cannot run here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The operating system has no io_uring.
    #[error("io_uring exists on Linux only")]
    NotLinux,
    /// A kernel before 5.8 lacks operations that the driver needs.
    #[error("kernel {release} is too old for the io_uring operations that are needed")]
    KernelTooOld {
        /// What `uname -r` says.
        release: String,
    },
    /// A seccomp filter forbids the system calls.
    #[error("io_uring is refused by a seccomp filter, as in Docker's and containerd's default profile")]
    Seccomp,
    /// The administrator switched io_uring off.
    #[error("io_uring is switched off (kernel.io_uring_disabled = {setting})")]
    SwitchedOff {
        /// The setting's value: 1 for unprivileged processes, 2 for all.
        setting: String,
    },
    /// The system call is refused for another reason.
    #[error("io_uring is refused: {error}")]
    Refused {
        /// The operating system's words.
        error: String,
    },
    /// Too little memory may be locked.
    #[error(
        "io_uring needs {} of locked memory; the limit (ulimit -l) is {}, its maximum {}",
        Kib(*needed), Kib(*soft), Kib(*hard)
    )]
    LockedMemory {
        /// Bytes needed.
        needed: u64,
        /// The soft limit in bytes.
        soft: u64,
        /// The hard limit in bytes.
        hard: u64,
    },
    /// An executor was refused although everything above was in order.
    #[error("io_uring could not be set up: {error}")]
    Executor {
        /// Why.
        error: String,
    },
}

impl Refusal {
    /// What a user can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Refusal::NotLinux => "use the thread driver".to_owned(),
            Refusal::KernelTooOld { .. } => "use kernel 5.8 or newer, or the thread driver".to_owned(),
            Refusal::Seccomp => {
                "allow io_uring_setup, io_uring_enter and io_uring_register in the container's \
                                 seccomp profile, or use the thread driver"
                    .to_owned()
            }
            Refusal::SwitchedOff { .. } => {
                "set kernel.io_uring_disabled = 0 with sysctl, or use the thread driver".to_owned()
            }
            Refusal::LockedMemory { needed, .. } => format!(
                "raise the limit (`ulimit -l {}`, LimitMEMLOCK= in a systemd unit, `--ulimit memlock=-1` with \
                 Docker), or use the thread driver",
                needed / 1024
            ),
            Refusal::Refused { .. } | Refusal::Executor { .. } => {
                "check the limits on open files and threads (ulimit -n, ulimit -u), or use the thread driver"
                    .to_owned()
            }
        }
    }
}

/// Bytes, written in KiB.
struct Kib(u64);

impl fmt::Display for Kib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == u64::MAX { f.write_str("unlimited") } else { write!(f, "{} KiB", self.0 / 1024) }
    }
}

/// Decides whether `shards` io_uring executors can run in this process. Raises the soft limit on locked memory to the hard one where
/// that helps; otherwise leaves no trace. Takes about a millisecond.
///
/// # Errors
/// The first obstacle found.
#[cfg(target_os = "linux")]
pub fn check_io_uring(shards: usize) -> Result<(), Refusal> {
    let kernel = linux::kernel_version();
    if kernel.parsed < Some((5, 8)) && kernel.parsed.is_some() {
        return Err(Refusal::KernelTooOld { release: kernel.release });
    }
    linux::try_setup()?;
    linux::ensure_locked_memory(shards as u64, kernel.parsed)?;
    super::driver::probe_executor().map_err(|error| Refusal::Executor { error })
}

/// Decides whether `shards` io_uring executors can run in this process: they cannot, for want of Linux.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn check_io_uring(_shards: usize) -> Result<(), Refusal> {
    Err(Refusal::NotLinux)
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Refusal;
    use std::{fs, io};

    /// What an executor insists on, however little it locks (glommio's `MIN_MEMLOCK_LIMIT`).
    const EXECUTOR_LOCKED_MIN: u64 = 512 << 10;
    /// The queues of an executor's three rings, generously. Kernels before 5.12 count them against the limit on locked memory.
    const EXECUTOR_RINGS: u64 = 128 << 10;
    /// The buffers of an executor, registered with each of its three rings. Worth raising the limit for; without them I/O works,
    /// a little slower.
    const EXECUTOR_BUFFERS: u64 = 3 << 20;

    pub(super) struct Kernel {
        pub(super) release: String,
        /// Major and minor version.
        pub(super) parsed: Option<(u32, u32)>,
    }

    pub(super) fn kernel_version() -> Kernel {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        Kernel { parsed: parse_release(&release), release }
    }

    pub(super) fn parse_release(release: &str) -> Option<(u32, u32)> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    /// Sets up a ring of one entry and closes it.
    pub(super) fn try_setup() -> Result<(), Refusal> {
        // Larger than `struct io_uring_params` (120 bytes); all zeros asks for nothing special.
        let mut params = [0u64; 32];
        // SAFETY: the kernel reads and writes at most `struct io_uring_params` at the pointer, which is valid for that long and
        // aligned for it.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1u32, params.as_mut_ptr()) };
        if fd >= 0 {
            // SAFETY: the descriptor was returned just now, and nobody else knows it.
            unsafe { libc::close(fd as libc::c_int) };
            return Ok(());
        }
        Err(refusal(&io::Error::last_os_error()))
    }

    fn refusal(error: &io::Error) -> Refusal {
        match error.raw_os_error() {
            Some(libc::EPERM) => {
                let setting = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
                match setting.trim() {
                    setting @ ("1" | "2") if !filtered() => {
                        Refusal::SwitchedOff { setting: setting.to_owned() }
                    }
                    _ => Refusal::Seccomp,
                }
            }
            Some(libc::ENOSYS) if filtered() => Refusal::Seccomp,
            Some(libc::ENOSYS) => {
                Refusal::Refused { error: "the kernel was built without it (ENOSYS)".to_owned() }
            }
            _ => Refusal::Refused { error: error.to_string() },
        }
    }

    /// Whether a seccomp filter is in force for this thread.
    fn filtered() -> bool {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
    }

    pub(super) fn ensure_locked_memory(shards: u64, kernel: Option<(u32, u32)>) -> Result<(), Refusal> {
        let needed = locked_memory_needed(shards, kernel);
        let wanted = needed.saturating_add(shards.saturating_mul(EXECUTOR_BUFFERS));
        let (soft, hard) = locked_memory_limits();
        if soft < wanted && soft < hard {
            raise_locked_memory_limit(hard);
        }
        let (soft, hard) = locked_memory_limits();
        if soft < needed { Err(Refusal::LockedMemory { needed, soft, hard }) } else { Ok(()) }
    }

    pub(super) fn locked_memory_needed(shards: u64, kernel: Option<(u32, u32)>) -> u64 {
        let counted =
            if kernel.is_some_and(|kernel| kernel >= (5, 12)) { 0 } else { shards * EXECUTOR_RINGS };
        counted.max(EXECUTOR_LOCKED_MIN)
    }

    /// The soft and the hard limit; both `u64::MAX` where there is none.
    fn locked_memory_limits() -> (u64, u64) {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is to a valid `rlimit`.
        if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } != 0 {
            return (u64::MAX, u64::MAX);
        }
        (limit.rlim_cur, limit.rlim_max)
    }

    /// Best effort: what it achieved shows in the limits.
    fn raise_locked_memory_limit(hard: u64) {
        let limit = libc::rlimit { rlim_cur: hard, rlim_max: hard };
        // SAFETY: the pointer is to a valid `rlimit`.
        unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn releases_are_understood() {
        assert_eq!(linux::parse_release("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(linux::parse_release("5.4.0-150-generic"), Some((5, 4)));
        assert_eq!(linux::parse_release("next"), None);
        assert!(Some((5, 4)) < Some((5, 8)) && Some((5, 10)) > Some((5, 8)));
    }

    #[test]
    fn old_kernels_need_locked_memory_for_every_shard() {
        assert_eq!(linux::locked_memory_needed(64, Some((6, 1))), 512 << 10);
        assert_eq!(linux::locked_memory_needed(64, Some((5, 10))), 8 << 20);
        assert_eq!(linux::locked_memory_needed(1, None), 512 << 10);
    }

    #[test]
    fn every_refusal_has_a_remedy() {
        let refusal = Refusal::LockedMemory { needed: 512 << 10, soft: 64 << 10, hard: 64 << 10 };
        assert_eq!(
            refusal.to_string(),
            "io_uring needs 512 KiB of locked memory; the limit (ulimit -l) is 64 KiB, its maximum 64 KiB"
        );
        assert!(refusal.remedy().starts_with("raise the limit (`ulimit -l 512`"));
        for refusal in [
            Refusal::NotLinux,
            Refusal::Seccomp,
            Refusal::KernelTooOld { release: "4.9".into() },
            Refusal::SwitchedOff { setting: "2".into() },
            Refusal::Refused { error: "no".into() },
        ] {
            assert!(refusal.remedy().contains("thread driver"), "{refusal}");
        }
    }
}

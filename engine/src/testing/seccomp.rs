//! A machine without io_uring, as a container's default profile makes it.
#![allow(unsafe_code)] // prctl and seccomp are system calls that the standard library does not offer

use std::io;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xC000_003E; // AUDIT_ARCH_X86_64
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xC000_00B7; // AUDIT_ARCH_AARCH64

/// `io_uring_setup`, `_enter` and `_register` have the numbers 425 to 427 on every architecture.
const FIRST_CALL: u32 = 425;
const LAST_CALL: u32 = 427;

/// Offsets into `struct seccomp_data`.
const OFFSET_CALL: u32 = 0;
const OFFSET_ARCH: u32 = 4;

/// Makes io_uring's system calls fail with `EPERM` in the whole process, for the rest of its life, as Docker's default seccomp profile
/// does. Meant for a child process of a test; there is no way back.
///
/// # Errors
/// Where the kernel refuses the filter.
pub fn refuse_io_uring() -> io::Result<()> {
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let answer = |value| statement(libc::BPF_RET | libc::BPF_K, value);
    let program = [
        load(OFFSET_ARCH),
        jump(libc::BPF_JEQ, ARCH, 0, 3),
        load(OFFSET_CALL),
        jump(libc::BPF_JGE, FIRST_CALL, 0, 1),
        jump(libc::BPF_JGT, LAST_CALL, 0, 1),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ];
    install(&program)
}

/// Puts a filter in force for every thread of the process.
fn install(program: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: this option takes plain numbers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel reads the program, which outlives the call, and copies it.
    let refused = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    match refused {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

fn statement(code: u32, value: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k: value }
}

/// Compares what was loaded with `value` and skips `yes` or `no` instructions.
fn jump(comparison: u32, value: u32, yes: u8, no: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | comparison | libc::BPF_K) as u16;
    libc::sock_filter { code, jt: yes, jf: no, k: value }
}

//! What a figure was measured on.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

/// Processor, cores, kernel, commit: what has to be said beside a figure.
pub fn describe(cores: &[usize]) -> Value {
    json!({
        "cpu": cpu_model(),
        "cores": cores,
        "kernel": read("/proc/sys/kernel/osrelease"),
        "transparent_huge_pages": chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "memory_bytes": memory_bytes(),
        "commit": commit(),
    })
}

/// Of the kernel's clock that `/proc/stat` counts in, on every Linux.
pub const NANOS_PER_TICK: u64 = 10_000_000;

/// What cores did, in ticks since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    /// They worked, for whichever program.
    pub busy: u64,
    /// The hypervisor gave them to others while this machine wanted them.
    pub stolen: u64,
}

/// What these cores did.
pub fn ticks(cores: &[usize]) -> Ticks {
    let stat = read("/proc/stat");
    let of_core = |core: &usize| ticks_of(&stat, &format!("cpu{core}"));
    cores.iter().map(of_core).fold(Ticks::default(), |all, one| Ticks {
        busy: all.busy + one.busy,
        stolen: all.stolen + one.stolen,
    })
}

/// Ticks that the hypervisor gave to others while this machine wanted them, since the start.
pub fn stolen_ticks() -> u64 {
    ticks_of(&read("/proc/stat"), "cpu").stolen
}

/// A line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn ticks_of(stat: &str, name: &str) -> Ticks {
    let line = stat.lines().find(|line| line.split_whitespace().next() == Some(name));
    let fields: Vec<u64> = line
        .into_iter()
        .flat_map(str::split_whitespace)
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    Ticks { busy: [0, 1, 2, 5, 6].into_iter().map(field).sum(), stolen: field(7) }
}

/// The most memory that this process has had resident so far.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = read("/proc/self/status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?.to_owned();
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn cpu_model() -> String {
    let info = read("/proc/cpuinfo");
    let line = info.lines().find(|line| line.starts_with("model name")).unwrap_or_default();
    line.split_once(": ").map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.to_owned())
}

fn memory_bytes() -> Option<u64> {
    let info = read("/proc/meminfo");
    let line = info.lines().find(|line| line.starts_with("MemTotal"))?.to_owned();
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// The one in brackets, as the kernel marks it.
fn chosen(options: &str) -> String {
    let inner = options.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inner.map_or_else(|| options.to_owned(), |(chosen, _)| chosen.to_owned())
}

/// The commit that lies in the working directory, marked where it was changed since.
fn commit() -> Option<String> {
    let output =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_option_is_the_one_in_brackets() {
        assert_eq!(chosen("always [madvise] never"), "madvise");
        assert_eq!(chosen("madvise"), "madvise");
    }

    #[test]
    fn the_peak_is_at_least_what_was_touched() {
        let touched = vec![1u8; 64 << 20];
        assert!(peak_memory_bytes().unwrap() > touched.len() as u64);
    }

    #[test]
    fn ticks_are_those_of_the_line_asked_for() {
        let stat =
            "cpu  10 0 20 300 5 1 2 7 0 0\ncpu0 4 1 10 150 5 1 1 3 0 0\ncpu10 6 0 10 150 0 0 1 4 0 0\n";
        assert_eq!(ticks_of(stat, "cpu0"), Ticks { busy: 17, stolen: 3 });
        assert_eq!(ticks_of(stat, "cpu10"), Ticks { busy: 17, stolen: 4 });
        assert_eq!(ticks_of(stat, "cpu").stolen, 7);
        assert_eq!(ticks_of(stat, "cpu1"), Ticks::default());
    }
}

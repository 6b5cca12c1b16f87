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

/// Ticks that the hypervisor gave to others while this machine wanted them, since the start.
pub fn stolen_ticks() -> u64 {
    let stat = read("/proc/stat");
    let line = stat.lines().next().unwrap_or_default();
    line.split_whitespace().nth(8).and_then(|field| field.parse().ok()).unwrap_or_default()
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
}

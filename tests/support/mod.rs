//! What the process tests have in common: the examples as child processes, with an eye on everything they say.

#![allow(dead_code)] // every test file uses a part of it
#![allow(clippy::unwrap_used)] // the exemption for tests does not reach their helper functions

pub mod http;
pub mod kills;
pub mod peer;
pub mod process;
pub mod random;
pub mod spenders;

use std::path::PathBuf;
use std::process::Command;

/// The binary of an example. Cargo builds the examples of a package before it runs its tests, into a directory beside theirs.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        path.is_file(),
        "{} is missing: build it with `cargo build --examples`, in this profile",
        path.display()
    );
    path
}

/// A command that runs an example; what it logs has no colours.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(example(name));
    command.env("NO_COLOR", "1").env_remove("RUST_LOG");
    command
}

/// Sends a signal, by its name without SIG, to a process.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(sent.success(), "cannot send SIG{name} to process {pid}");
}

/// How many cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Says loudly that a test, or a part of one, did not run.
pub fn skipped(what: &str, because: &str) {
    println!("SKIPPED: {what}: {because}");
    eprintln!("SKIPPED: {what}: {because}");
}

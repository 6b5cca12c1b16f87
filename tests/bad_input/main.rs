//! Bad input: whatever is wrong with paths, settings, state or disk, a job ends with an error that names the thing, the place and the
//! remedy. It never panics, hangs, or loses anything in silence.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod closures;
mod damage;
mod disk_full;
mod input;
mod layouts;
mod settings;
mod state_dir;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::process::{Ended, Process};

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// An example with these arguments, run in a directory.
fn example(name: &str, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = support::command(name);
    command.current_dir(dir).args(arguments);
    command
}

/// Runs an example that is to fail, and to say all these words.
#[track_caller]
fn refused(name: &str, dir: &Path, arguments: &[&str], words: &[&str]) -> Ended {
    Process::start(example(name, dir, arguments)).wait(PATIENCE).failed().says(words)
}

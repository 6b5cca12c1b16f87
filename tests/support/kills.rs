//! Killing a job again and again, with an eye on its output all the while.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::process::Process;
use super::random::Random;

/// How long a life may take to come to the point where it is to be killed, or to its end.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The longest lives, where all is well and at most, in microseconds.
const SHORT_US: u64 = 120_000;
const LONG_US: u64 = 2_000_000;

/// What became of the lives of a job.
#[derive(Debug, Default)]
pub struct Lives {
    pub killed: usize,
    /// Killed before it ran.
    pub killed_early: usize,
    /// Went on from a checkpoint.
    pub restored: usize,
    /// The last one ended by itself before it could be killed.
    pub finished: bool,
}

/// Starts a job so often, or until it ends by itself, and kills it each time with SIGKILL: a quarter of the lives at some moment of their
/// start, the others
/// at some moment of their run. `life` makes the command for each.
pub fn kill_again_and_again(
    times: usize,
    random: &mut Random,
    mut life: impl FnMut(usize, &mut Random) -> Command,
) -> Lives {
    let mut lives = Lives::default();
    // On a busy machine a life has to be longer to leave a checkpoint behind.
    let mut longest_us = SHORT_US;
    for number in 0..times {
        let mut process = Process::start(life(number, random));
        let ended = if random.between(0, 3) == 0 {
            process.ends_within(Duration::from_micros(random.between(0, 40_000)))
        } else {
            process.until_said(" RUNNING ", PATIENCE);
            process.ends_within(Duration::from_micros(random.between(0, longest_us)))
        };
        let ended = if ended {
            lives.finished = true;
            process.wait(PATIENCE).succeeded()
        } else {
            lives.killed += 1;
            process.kill().never_panicked()
        };
        // The one warning that a machine without io_uring makes is none about the job.
        let warnings =
            ended.warnings().into_iter().filter(|line| !line.contains("falling back to the thread driver"));
        assert_eq!(warnings.collect::<Vec<_>>(), [""; 0]);
        match ended.lines.iter().find(|(_, line)| line.contains(" RUNNING ")) {
            Some((_, line)) if line.contains(" from=") => {
                lives.restored += 1;
                longest_us = SHORT_US.max(longest_us / 4 * 3);
            }
            Some(_) => longest_us = LONG_US.min(longest_us / 4 * 5),
            None => lives.killed_early += 1,
        }
        if lives.finished {
            break;
        }
    }
    lives
}

/// Turns a line of output into what must be there only once, or says what is wrong with it.
pub type Check = fn(&str) -> Result<String, String>;

/// The committed part files of a directory.
struct Parts {
    dir: PathBuf,
    check: Check,
    /// The files seen, and how long each is.
    files: BTreeMap<String, u64>,
    once: HashSet<String>,
}

impl Parts {
    /// Takes in what is new; fails where a line is torn, wrong or there twice, or where a file that was visible has changed or gone.
    fn look(&mut self) {
        // The job makes the directory.
        let Ok(entries) = self.dir.read_dir() else { return };
        let mut seen = 0;
        for entry in entries {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if !name.starts_with("part-") {
                continue;
            }
            if let Some(bytes) = self.files.get(&name) {
                assert_eq!(entry.metadata().unwrap().len(), *bytes, "{name} has changed");
                seen += 1;
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            assert!(text.ends_with('\n'), "{name} ends in half a line");
            for line in text.lines() {
                let once = (self.check)(line).unwrap_or_else(|wrong| panic!("{name}: {line:?}: {wrong}"));
                assert!(self.once.insert(once), "{name}: {line:?} is there twice");
            }
            self.files.insert(name, text.len() as u64);
            seen += 1;
        }
        assert_eq!(seen, self.files.len(), "a file that was visible has gone");
    }
}

/// Looks at the part files of a directory all the time.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Parts>>,
}

impl Watch {
    pub fn over(dir: &Path, check: Check) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let mut parts = Parts { dir: dir.to_owned(), check, files: BTreeMap::new(), once: HashSet::new() };
        let thread = std::thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                parts.look();
                std::thread::sleep(Duration::from_millis(10));
            }
            parts.look();
            parts
        });
        Watch { stop, thread: Some(thread) }
    }

    /// Everything that is there at the end.
    pub fn finish(mut self) -> HashSet<String> {
        match self.stop().expect("it is stopped once") {
            Ok(parts) => parts.once,
            Err(wrong) => std::panic::resume_unwind(wrong),
        }
    }

    fn stop(&mut self) -> Option<std::thread::Result<Parts>> {
        self.stop.store(true, Ordering::Relaxed);
        Some(self.thread.take()?.join())
    }
}

impl Drop for Watch {
    /// A test that fails otherwise removes the directory under it.
    fn drop(&mut self) {
        self.stop();
    }
}

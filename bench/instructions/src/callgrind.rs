//! Runs this program under callgrind and reads how many instructions that took.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::workloads::Workload;

/// How the C library is to copy memory: in the same way whatever the machine's processor can do. (Names that a version does not know are
/// passed over.)
const TUNABLES: &str =
    "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-AVX512F,-AVX512VL,-EVEX,-ERMS,-FSRM";

/// A valgrind that can be run, and where its files go.
pub struct Callgrind {
    version: String,
    program: PathBuf,
    dir: PathBuf,
    /// Removes the directory in the end, where it is not to be kept.
    _scratch: Option<TempDir>,
}

impl Callgrind {
    /// # Errors
    /// There is no valgrind, or no directory for its files.
    pub fn find(keep: Option<&Path>) -> Result<Callgrind, Box<dyn Error>> {
        let missing = "cannot run valgrind; install it (Debian and Ubuntu: apt-get install valgrind)";
        let output = Command::new("valgrind").arg("--version").output();
        let output = output.map_err(|error| format!("{missing}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{missing}: `valgrind --version` ended with {}", output.status).into());
        }
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let (dir, scratch) = match keep {
            Some(dir) => {
                let made = fs::create_dir_all(dir);
                made.map_err(|error| format!("--keep {}: cannot be made: {error}", dir.display()))?;
                (dir.to_owned(), None)
            }
            None => {
                let scratch = tempfile::tempdir()?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        Ok(Callgrind { version, program: std::env::current_exe()?, dir, _scratch: scratch })
    }

    /// As valgrind says it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Instructions per unit of each of these.
    ///
    /// # Errors
    /// A run failed, or its figures make no sense.
    pub fn count_all(
        &self,
        workloads: &[&'static Workload],
    ) -> Result<Vec<(&'static Workload, f64)>, Box<dyn Error>> {
        let runs: Vec<(&Workload, u64)> =
            workloads.iter().flat_map(|workload| workload.units.map(|units| (*workload, units))).collect();
        let totals = self.totals(&runs)?;
        let figures = workloads.iter().zip(totals.chunks_exact(2)).map(|(workload, totals)| {
            let [small, big] = [totals[0], totals[1]];
            let [n_small, n_big] = workload.units;
            let more = big.checked_sub(small).filter(|more| *more > 0).ok_or_else(|| {
                format!("{}: {n_big} units took {big} instructions, {n_small} took {small}", workload.name)
            })?;
            Ok((*workload, more as f64 / (n_big - n_small) as f64))
        });
        figures.collect()
    }

    /// What each run takes in all. Runs do not disturb each other, so there are as many at once as there are cores.
    fn totals(&self, runs: &[(&Workload, u64)]) -> Result<Vec<u64>, String> {
        let next = AtomicUsize::new(0);
        let totals = Mutex::new(vec![Ok(0); runs.len()]);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some((number, (workload, units))) = Some(next.fetch_add(1, Ordering::Relaxed))
                        .and_then(|number| Some((number, runs.get(number)?)))
                    {
                        let total = self.total(workload.name, *units);
                        totals.lock().expect("nobody panics with it")[number] = total;
                    }
                });
            }
        });
        totals.into_inner().expect("nobody panics with it").into_iter().collect()
    }

    fn total(&self, workload: &str, units: u64) -> Result<u64, String> {
        let file = self.dir.join(format!("callgrind.{workload}.{units}"));
        let output = Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(&self.program)
            .args(["--child", workload, &units.to_string()])
            .env("GLIBC_TUNABLES", TUNABLES)
            .output()
            .map_err(|error| format!("cannot run valgrind: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "{workload} with {units} units failed under valgrind ({}):\n{said}",
                output.status
            ));
        }
        let text =
            fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        total_of(&text).ok_or_else(|| {
            format!("{} says no total; look whether this valgrind ({}) works", file.display(), self.version)
        })
    }
}

/// What a file of callgrind's says all instructions were.
fn total_of(text: &str) -> Option<u64> {
    let value = |key: &str| text.lines().rev().find_map(|line| line.strip_prefix(key));
    value("totals:").or_else(|| value("summary:"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_the_end_of_a_file() {
        assert_eq!(total_of("version: 1\nevents: Ir\nsummary: 12\nfn=(1)\n0 7\ntotals: 4711\n"), Some(4711));
        assert_eq!(total_of("events: Ir\nsummary: 12\n"), Some(12));
        assert_eq!(total_of("events: Ir\n"), None);
        assert_eq!(total_of("totals: many\n"), None);
    }
}

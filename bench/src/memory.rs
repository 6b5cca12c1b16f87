//! How much memory the process has resident, over time.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many lines a plot has at most.
const LINES: usize = 40;
/// How wide its longest bar is.
const WIDTH: f64 = 60.0;

/// Looks at the process at intervals, until it is stopped.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Duration, u64)>>,
}

/// What was seen: times since the start, and bytes.
pub struct Resident(Vec<(Duration, u64)>);

impl Watch {
    /// Begins to look.
    pub fn start(every: Duration) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let begin = Instant::now();
            let mut seen = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                seen.push((begin.elapsed(), resident_bytes()));
                std::thread::sleep(every);
            }
            seen.push((begin.elapsed(), resident_bytes()));
            seen
        });
        Watch { stop, thread }
    }

    /// Ends it.
    pub fn stop(self) -> Resident {
        self.stop.store(true, Ordering::Relaxed);
        Resident(self.thread.join().unwrap_or_default())
    }
}

impl Resident {
    /// The most at any time.
    pub fn most(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0)
    }

    /// A bar for each stretch of time.
    pub fn plot(&self) -> String {
        let most = self.most().max(1) as f64;
        let step = self.0.len().div_ceil(LINES).max(1);
        let mut plot = String::from("resident over time\n");
        for stretch in self.0.chunks(step) {
            let bytes = stretch.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
            let bar = "#".repeat((bytes as f64 / most * WIDTH).round() as usize);
            let (at, mib) = (stretch[0].0.as_secs_f64(), bytes as f64 / f64::from(1 << 20));
            let _ = writeln!(plot, "{at:>8.1} s {mib:>9.0} MiB  {bar}");
        }
        plot
    }
}

/// What is resident now; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}

/// The size of a page of the systems that this runs on.
const PAGE_BYTES: u64 = 4096;

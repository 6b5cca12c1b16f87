//! How a bounded run goes: when its measured records began, and each quarter of them ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::clock::processor_nanos;
use crate::tally::Tally;

/// How often the tally is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What was seen of a run.
#[derive(Clone, Debug)]
pub struct Course {
    /// Records per second of each quarter.
    pub quarters: [f64; 4],
    /// From the first measured record to the last.
    pub seconds: f64,
    /// The records in that time: those that were asked for, but for what came between two looks.
    pub records: u64,
    /// Processor time of all threads in that time.
    pub processor_seconds: f64,
}

/// Watches a tally from a thread of its own.
pub struct Watch {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Option<Course>>,
}

#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    records: u64,
    processor: u64,
}

impl Watch {
    /// Begins to look: `warm_up` records are let pass, `records` are measured.
    pub fn start(tally: &Tally, warm_up: u64, records: u64) -> Watch {
        let (tally, ended) = (tally.clone(), Arc::new(AtomicBool::new(false)));
        let over = ended.clone();
        let thread = std::thread::spawn(move || {
            let mut marks: Vec<Mark> = Vec::with_capacity(5);
            while marks.len() < 5 {
                // Read before the tally, so that all records of a run that has ended are seen.
                let last_look = over.load(Ordering::Acquire);
                let seen = tally.total();
                let next = warm_up + records * marks.len() as u64 / 4;
                if seen >= next && seen > 0 {
                    marks.push(Mark { at: Instant::now(), records: seen, processor: processor_nanos() });
                } else if last_look {
                    return None;
                } else {
                    sleep(LOOK_EVERY);
                }
            }
            Some(Course::between(&marks))
        });
        Watch { ended, thread }
    }

    /// To be called once all records have been worked on.
    ///
    /// # Errors
    /// The run ended before it had worked on as many records as were to be measured.
    pub fn end(self) -> Result<Course, String> {
        self.ended.store(true, Ordering::Release);
        let course = self.thread.join().map_err(|_| "the thread that watched the run panicked".to_owned())?;
        course.ok_or_else(|| "the run ended before all records were worked on".to_owned())
    }
}

impl Course {
    fn between(marks: &[Mark]) -> Course {
        let (first, last) = (marks[0], marks[4]);
        Course {
            quarters: std::array::from_fn(|quarter| {
                let (from, to) = (marks[quarter], marks[quarter + 1]);
                // Two marks of one look are of a run too short to have quarters: their rate is 0, which tells so.
                let seconds = (to.at - from.at).as_secs_f64().max(f64::MIN_POSITIVE);
                (to.records - from.records) as f64 / seconds
            }),
            seconds: (last.at - first.at).as_secs_f64().max(f64::MIN_POSITIVE),
            records: last.records - first.records,
            processor_seconds: (last.processor - first.processor) as f64 / 1e9,
        }
    }

    /// Records per second.
    pub fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_told_apart() {
        let tally = Tally::new(2);
        let watch = Watch::start(&tally, 1000, 4000);
        for thread in [0, 1, 0, 1, 0] {
            tally.add(thread, 1000);
            // Long enough for the watcher to look at each.
            sleep(LOOK_EVERY * 50);
        }
        let course = watch.end().unwrap();
        assert_eq!(course.records, 4000);
        assert!(course.quarters.iter().all(|rate| *rate > 0.0));
        assert!((course.rate() * course.seconds - 4000.0).abs() < 1e-6);
    }

    #[test]
    fn a_run_that_ends_early_is_refused() {
        let tally = Tally::new(1);
        let watch = Watch::start(&tally, 10, 100);
        tally.add(0, 50);
        assert!(watch.end().unwrap_err().contains("before all records"));
    }
}

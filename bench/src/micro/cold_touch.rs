//! What the machine takes for memory that was not used for a while. Under a hypervisor that looks for idle memory, a touch now and then
//! takes a hundred microseconds; a bare spin loop, which touches nothing, does not see it, and whatever goes through a job's state or runs
//! code that had a pause does.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use crate::clock::monotonic_nanos;
use crate::throughput::pin;

const PAGE_BYTES: usize = 4096;
const PAGES: usize = 256;
const SECONDS: usize = 3;

/// A touch that takes this long is no miss of a cache.
const SLOW_NANOS: u64 = 20_000;

/// As many of the touches as one in so many may be slow: an interrupt comes by everywhere.
const SLOW_ONE_IN: usize = 100;

/// The first touches of pages after a second.
pub struct ColdTouches {
    slow: usize,
    longest: u64,
}

impl ColdTouches {
    /// Touches pages on a core that otherwise spins.
    pub fn measure(core: usize, second: Duration) -> Result<ColdTouches, Box<dyn Error>> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| -> Result<ColdTouches, String> {
                pin(core)?;
                // Written once, so that the kernel has given all of it.
                let mut memory = vec![1_u8; PAGES * PAGE_BYTES];
                let mut touches = ColdTouches { slow: 0, longest: 0 };
                for _ in 0..SECONDS {
                    let until = monotonic_nanos() + second.as_nanos() as u64;
                    while black_box(monotonic_nanos()) < until {}
                    for page in memory.chunks_mut(PAGE_BYTES) {
                        let begin = monotonic_nanos();
                        black_box(&mut page[0]).clone_from(&2);
                        let took = monotonic_nanos() - begin;
                        touches.slow += usize::from(took > SLOW_NANOS);
                        touches.longest = touches.longest.max(took);
                    }
                }
                Ok(touches)
            });
            Ok(thread.join().map_err(|_| "the touching thread panicked".to_owned())??)
        })
    }

    /// For the notes of an outcome.
    pub fn note(&self) -> String {
        format!(
            "the first touch of a page after a second took more than {} us for {} of {} pages, {:.1} us at the longest",
            SLOW_NANOS / 1000,
            self.slow,
            SECONDS * PAGES,
            self.longest as f64 / 1e3,
        )
    }

    /// Whether steps are longer than the engine makes them.
    pub fn disturbance(&self) -> Option<String> {
        (self.slow * SLOW_ONE_IN > SECONDS * PAGES)
            .then(|| format!("memory that was idle is slow: {}", self.note()))
    }
}

//! The results of several threads, put together.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Results;

/// How long threads may take to end once their work is done.
const END_MAX: Duration = Duration::from_secs(60);

/// Where threads leave their results when they end.
#[derive(Clone, Debug, Default)]
pub struct Collected(Arc<Mutex<Results>>);

/// The results of one thread, left when it is dropped.
#[derive(Debug)]
pub struct Collector {
    own: Results,
    all: Collected,
}

impl Collected {
    /// For a thread.
    pub fn collector(&self) -> Collector {
        Collector { own: Results::default(), all: self.clone() }
    }

    /// All of them, once every collector is gone.
    ///
    /// # Errors
    /// A collector was still there after a minute.
    pub fn all(&self) -> Result<Results, String> {
        let begin = Instant::now();
        while Arc::strong_count(&self.0) > 1 {
            if begin.elapsed() > END_MAX {
                return Err("a thread keeps its results after the run has ended".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        *self.all.0.lock().unwrap_or_else(PoisonError::into_inner) += self.own;
    }
}

/// One more for another thread, with nothing in it.
impl Clone for Collector {
    fn clone(&self) -> Collector {
        self.all.collector()
    }
}

impl Deref for Collector {
    type Target = Results;

    fn deref(&self) -> &Results {
        &self.own
    }
}

impl DerefMut for Collector {
    fn deref_mut(&mut self) -> &mut Results {
        &mut self.own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_threads_come_together() {
        let collected = Collected::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mut results = collected.collector();
                scope.spawn(move || (0..10).for_each(|key| results.keyed(key, 1)));
            }
        });
        assert_eq!(collected.all().unwrap(), Results { count: 40, sum: 4 * 55 });
    }
}

//! Records handed to the program that runs the job.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millstream_engine::element::Timestamp;
use millstream_engine::record::{Record, View};
use millstream_engine::runtime::Waker;
use millstream_engine::sink::{Committable, Delivery, Sink, SinkContext, SinkError};

/// A sink that makes a `T` of each record and hands it to the [`Collected`] it belongs to. Clone it for each shard.
#[derive(Debug)]
pub struct Collect<T, F> {
    shared: Arc<Shared<T>>,
    convert: F,
    waker: Option<Waker>,
    /// For which room this shard waits, so that it waits once.
    waits_for: Option<u64>,
}

/// What came out of a job so far, for any thread of the program. It is plain output: after a restart, records since the last
/// checkpoint come again.
///
/// Iterating over it waits for the next record, and ends when all clones of the sink are gone, which is when the job is.
#[derive(Debug)]
pub struct Collected<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

#[derive(Debug)]
struct State<T> {
    records: VecDeque<T>,
    capacity: usize,
    sinks: usize,
    results_gone: bool,
    /// Shards to be woken when there is room again, and how often that has been so.
    waiting: Vec<Waker>,
    rooms_made: u64,
}

/// Collects records as they are made, by cloning them.
pub type CollectRecords<T> = Collect<T, fn(&T) -> T>;
/// Collects views, as owned records.
pub type CollectViews<T> = Collect<T, fn(&View<T>) -> T>;

/// A sink for records as they are made (before an exchange), and what it collects. Without bound: see
/// [`Collect::bounded`].
///
/// ```
/// use millstream_io::collect;
///
/// let (sink, results) = collect::<u64>();
/// # drop(sink);
/// let all: Vec<u64> = results.into_iter().collect();
/// ```
pub fn collect<T: Record + Clone + Send>() -> (CollectRecords<T>, Collected<T>) {
    pair(T::clone)
}

/// A sink for views (after an exchange), and what it collects, as owned records.
pub fn collect_views<T: Record + Send>() -> (CollectViews<T>, Collected<T>) {
    pair(T::owned)
}

fn pair<T, F>(convert: F) -> (Collect<T, F>, Collected<T>) {
    let state = State {
        records: VecDeque::new(),
        capacity: usize::MAX,
        sinks: 1,
        results_gone: false,
        waiting: Vec::new(),
        rooms_made: 0,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), arrived: Condvar::new() });
    (Collect { shared: shared.clone(), convert, waker: None, waits_for: None }, Collected { shared })
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // The queue is sound whatever panicked beside it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Takes records out and lets the shards that waited for room go on.
    fn take_all(&mut self) -> (VecDeque<T>, Vec<Waker>) {
        (std::mem::take(&mut self.records), self.take_waiting())
    }

    fn take_waiting(&mut self) -> Vec<Waker> {
        self.rooms_made += 1;
        std::mem::take(&mut self.waiting)
    }
}

impl<T, F> Collect<T, F> {
    /// Lets at most about this many records wait for the program; then the job waits, too. A shard passes the bound by at most the batch it
    /// is at.
    pub fn bounded(self, records: usize) -> Self {
        self.shared.lock().capacity = records.max(1);
        self
    }
}

impl<T, F: Clone> Clone for Collect<T, F> {
    fn clone(&self) -> Self {
        self.shared.lock().sinks += 1;
        Collect { shared: self.shared.clone(), convert: self.convert.clone(), waker: None, waits_for: None }
    }
}

impl<T, F> Drop for Collect<T, F> {
    fn drop(&mut self) {
        self.shared.lock().sinks -= 1;
        self.shared.arrived.notify_all();
    }
}

impl<R: ?Sized, T: Send + 'static, F: FnMut(&R) -> T + 'static> Sink<R> for Collect<T, F> {
    fn delivery(&self) -> Delivery {
        Delivery::Plain
    }

    fn open(&mut self, context: &SinkContext, _recovered: &[Committable]) -> Result<(), SinkError> {
        self.waker = Some(context.waker.clone());
        Ok(())
    }

    fn ready(&mut self) -> bool {
        let mut state = self.shared.lock();
        let room = state.results_gone || state.records.len() < state.capacity;
        if !room
            && self.waits_for != Some(state.rooms_made)
            && let Some(waker) = &self.waker
        {
            self.waits_for = Some(state.rooms_made);
            state.waiting.push(waker.clone());
        }
        room
    }

    fn write(&mut self, record: &R, _at: Timestamp) -> Result<(), SinkError> {
        let record = (self.convert)(record);
        let mut state = self.shared.lock();
        // A program that has let go of the results does not want them.
        if !state.results_gone {
            state.records.push_back(record);
            drop(state);
            self.shared.arrived.notify_one();
        }
        Ok(())
    }
}

impl<T> Collected<T> {
    /// Everything that has come since the last time, without waiting.
    pub fn take(&self) -> Vec<T> {
        let (records, waiting) = self.shared.lock().take_all();
        waiting.iter().for_each(Waker::wake);
        records.into()
    }

    /// The next record; `None` when the time is over or the job is.
    pub fn next_within(&self, timeout: Duration) -> Option<T> {
        self.next_before(Instant::now().checked_add(timeout))
    }

    fn next_before(&self, deadline: Option<Instant>) -> Option<T> {
        let mut state = self.shared.lock();
        loop {
            if let Some(record) = state.records.pop_front() {
                let waiting = state.take_waiting();
                drop(state);
                waiting.iter().for_each(Waker::wake);
                return Some(record);
            }
            if state.sinks == 0 {
                return None;
            }
            state = match deadline {
                None => self.shared.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    self.shared.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl<T> IntoIterator for Collected<T> {
    type Item = T;
    type IntoIter = CollectedIter<T>;

    fn into_iter(self) -> CollectedIter<T> {
        CollectedIter { results: self }
    }
}

/// Waits for one record after the other; see [`Collected`].
#[derive(Debug)]
pub struct CollectedIter<T> {
    results: Collected<T>,
}

impl<T> Iterator for CollectedIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.results.next_before(None)
    }
}

impl<T> Drop for Collected<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.results_gone = true;
        let (records, waiting) = state.take_all();
        drop(state);
        drop(records);
        waiting.iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_engine::element::{Epoch, ShardId};

    fn context() -> SinkContext {
        SinkContext {
            shard: ShardId(0),
            shards: 2,
            restored: Epoch(0),
            job: "job".into(),
            operator: "collect".into(),
            waker: Waker::new(),
        }
    }

    #[test]
    fn views_and_records_are_collected_from_all_clones() {
        let (mut sink, results) = collect::<u64>();
        let mut other = sink.clone();
        sink.open(&context(), &[]).unwrap();
        sink.write(&1, Timestamp::MIN).unwrap();
        other.write(&2, Timestamp::MIN).unwrap();
        assert_eq!(results.take(), [1, 2]);
        drop((sink, other));
        assert_eq!(results.into_iter().collect::<Vec<_>>(), [0u64; 0]);

        let (mut sink, results) = collect_views::<String>();
        sink.write("a view", Timestamp::MIN).unwrap();
        assert_eq!(results.next_within(Duration::ZERO).as_deref(), Some("a view"));
        assert_eq!(results.next_within(Duration::from_millis(5)), None);
    }

    #[test]
    fn a_bounded_sink_waits_for_the_program() {
        let (sink, results) = collect::<u64>();
        let mut sink = sink.bounded(2);
        sink.open(&context(), &[]).unwrap();
        let program = std::thread::spawn(move || results.into_iter().collect::<Vec<_>>());
        for n in 0..1000 {
            while !sink.ready() {
                std::thread::yield_now();
            }
            sink.write(&n, Timestamp::MIN).unwrap();
        }
        drop(sink);
        assert_eq!(program.join().unwrap(), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_program_that_lets_go_does_not_stop_the_job() {
        let (sink, results) = collect::<u64>();
        let mut sink = sink.bounded(1);
        sink.write(&1, Timestamp::MIN).unwrap();
        assert!(!sink.ready());
        drop(results);
        assert!(sink.ready());
        sink.write(&2, Timestamp::MIN).unwrap();
    }
}

//! The schedule of checkpoints, to the nanosecond: a coordinator alone, and shards that do as they are told.

use super::*;
use crate::time::Tick;

const MS: u64 = 1_000_000;

/// A coordinator of one shard, and a clock.
struct Alone {
    coordinator: Coordinator,
    control: Arc<Control>,
    now: Nanos,
}

impl Alone {
    fn new(times: CheckpointTimes) -> Alone {
        let control = Control::new(1, Epoch(0));
        let meta = JobMeta { tick: Tick::Millisecond, chains: Vec::new(), savepoint: None };
        let start = Start { from: Epoch(0), next: Epoch(1), keeps_pages: true, meta };
        let metrics = CheckpointMetrics::default();
        let mut coordinator =
            Coordinator::new("job".to_owned(), control.clone(), times, start, metrics, Nanos(0));
        coordinator.on_event(ShardEvent::Opened(ShardId(0)), None, Nanos(0));
        Alone { coordinator, control, now: Nanos(0) }
    }

    /// Lets time pass up to there, millisecond by millisecond.
    fn until(&mut self, ms: u64) -> Outcome {
        while self.now < Nanos(ms * MS) {
            self.now = Nanos(self.now.0 + MS);
            match self.coordinator.tick(None, self.now) {
                Outcome::Running => {}
                over => return over,
            }
        }
        Outcome::Running
    }

    /// Lets time pass until a checkpoint begins; when that is.
    fn next_begins(&mut self) -> u64 {
        let before = self.control.published();
        while self.control.published() == before {
            assert!(matches!(self.until(self.now.0 / MS + 1), Outcome::Running));
        }
        self.now.0 / MS
    }

    /// The shard has saved its part, or could not.
    fn saved(&mut self, saved: bool) -> Outcome {
        let (shard, epoch) = (ShardId(0), self.control.published());
        let result = match saved {
            true => Ok(Saved {
                delta: None,
                in_flight_bytes: 7,
                sinks: false,
                quiet: false,
                aligned_in: Duration::from_millis(3),
                gave_up_aligning: false,
            }),
            false => Err(CheckpointFailure::Sink {
                operator: "out".to_owned(),
                error: SinkError::retryable("no room"),
            }),
        };
        let outcome = self.coordinator.on_event(ShardEvent::Saved(shard, epoch, result), None, self.now);
        let then = match saved {
            true => ShardEvent::Committed(shard, epoch),
            false => ShardEvent::GaveUp(shard, epoch),
        };
        if !saved {
            let knows = ShardEvent::HasPositions(shard, epoch);
            self.coordinator.on_event(knows, None, self.now);
        }
        match outcome {
            Outcome::Running => self.coordinator.on_event(then, None, self.now),
            over => over,
        }
    }
}

fn every(interval_ms: u64) -> CheckpointTimes {
    CheckpointTimes {
        interval: Some(Duration::from_millis(interval_ms)),
        auto: None,
        min_pause: Duration::ZERO,
        timeout: Duration::from_secs(60),
        tolerable_failures: 0,
        mode: CheckpointMode::Unaligned,
    }
}

#[test]
fn cp_06_ten_intervals_are_ten_checkpoints() {
    let mut alone = Alone::new(every(100));
    while alone.now < Nanos(1000 * MS) {
        alone.next_begins();
        assert!(matches!(alone.saved(true), Outcome::Running));
    }
    assert_eq!(alone.coordinator.metrics.completed, 10);
}

#[test]
fn cp_08_a_checkpoint_that_takes_too_long_is_given_up_and_the_next_succeeds() {
    let times = CheckpointTimes { timeout: Duration::from_millis(300), tolerable_failures: 1, ..every(1000) };
    let mut alone = Alone::new(times);
    assert_eq!(alone.next_begins(), 1000);
    // The disk stands still for twice as long.
    assert!(matches!(alone.until(1600), Outcome::Running));
    let failed = alone.coordinator.metrics.history().next().unwrap().clone();
    assert_eq!((failed.epoch, failed.duration), (Epoch(1), Duration::from_millis(300)));
    assert!(failed.failure.unwrap().contains("was not complete after 300ms"));
    alone.coordinator.on_event(ShardEvent::GaveUp(ShardId(0), Epoch(1)), None, alone.now);
    alone.coordinator.on_event(ShardEvent::HasPositions(ShardId(0), Epoch(1)), None, alone.now);
    assert_eq!(alone.next_begins(), 2000);
    assert!(matches!(alone.saved(true), Outcome::Running));
    assert_eq!((alone.coordinator.metrics.completed, alone.coordinator.metrics.failed), (1, 1));
}

#[test]
fn cp_09_the_pause_begins_when_a_checkpoint_ends() {
    let mut alone = Alone::new(CheckpointTimes { min_pause: Duration::from_millis(500), ..every(1000) });
    let mut begun = Vec::new();
    for _ in 0..4 {
        begun.push(alone.next_begins());
        alone.until(alone.now.0 / MS + 900);
        assert!(matches!(alone.saved(true), Outcome::Running));
    }
    let after_the_first: Vec<u64> = begun.iter().map(|at| at - begun[0]).collect();
    assert_eq!(after_the_first, [0, 1400, 2800, 4200]);
}

#[test]
fn cp_11_failures_in_a_row_are_counted() {
    let mut alone = Alone::new(CheckpointTimes { tolerable_failures: 2, ..every(100) });
    for saved in [false, false, true, false, false] {
        alone.next_begins();
        assert!(matches!(alone.saved(saved), Outcome::Running), "{saved}");
    }
    alone.next_begins();
    let over = alone.saved(false);
    assert!(matches!(over, Outcome::CheckpointFailed(CheckpointFailure::Sink { .. })), "{over:?}");
    assert_eq!((alone.coordinator.metrics.completed, alone.coordinator.metrics.failed), (1, 5));
}

#[test]
fn cp_20_the_interval_is_no_longer_than_the_goal() {
    let goal = Duration::from_millis(200);
    let auto = AutoInterval::new(goal);
    let times = CheckpointTimes { interval: Some(auto.first()), auto: Some(auto), ..every(0) };
    let mut alone = Alone::new(times);
    let mut last = alone.next_begins();
    for _ in 0..5 {
        alone.until(alone.now.0 / MS + 30);
        assert!(matches!(alone.saved(true), Outcome::Running));
        let begun = alone.next_begins();
        // A shard that says nothing of itself counts as busy: what comes within 170 ms and the 30 of a checkpoint takes 200 again.
        assert_eq!(begun - last, 170);
        last = begun;
    }
    assert_eq!(alone.coordinator.metrics.interval, Some(Duration::from_millis(170)));
}

#[test]
fn cp_25_each_checkpoint_is_told_shard_by_shard() {
    let mut alone = Alone::new(every(100));
    alone.next_begins();
    alone.until(140);
    alone.saved(true);
    alone.coordinator.ask();
    alone.next_begins();
    alone.saved(true);
    let history: Vec<_> = alone.coordinator.metrics.history().cloned().collect();
    assert_eq!(
        history.iter().map(|of| of.trigger).collect::<Vec<_>>(),
        [CheckpointTrigger::Interval, CheckpointTrigger::Asked]
    );
    let first = &history[0];
    let forty = Duration::from_millis(40);
    assert_eq!(
        (first.started, first.duration, first.in_flight_bytes()),
        (Duration::from_millis(100), forty, 7)
    );
    assert_eq!((first.shards.len(), first.shards[0].saved_after, &first.failure), (1, Some(forty), &None));
}

//! The coordinator of one attempt at a job: publishes epochs, gathers what the shards saved, makes checkpoints durable, and sees a
//! bounded job to its end. It is told of events and of the time, and acts through the control words and the store; it waits for
//! nothing, so that the simulator can drive it step by step.

use std::sync::Arc;
use std::time::Duration;

use super::auto_interval::AutoInterval;
use super::control::{Control, Phase, Saved, ShardEvent};
use super::job_meta::JobMeta;
use super::metrics::{CheckpointMetrics, CheckpointStatistics, CheckpointTrigger, ShardCheckpoint};
use crate::arena::StateError;
use crate::checkpoint::{CheckpointError, CheckpointMode, CheckpointRecord, CheckpointStore, DeltaSummary};
use crate::element::{Epoch, Nanos, ShardId};
use crate::operator::Failure;
use crate::sink::SinkError;

/// How many pages of nearly empty files a shard is asked to save again with one checkpoint.
const PAGES_MOVED_MAX: usize = 512;

/// How long it takes at least from one look at the job's loops to the next, once its sources have ended.
const LOOK_AT_LOOPS_EVERY: Duration = Duration::from_millis(5);

/// When checkpoints are made.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointTimes {
    /// The time between the beginnings of two checkpoints; none: only the final one.
    pub(crate) interval: Option<Duration>,
    /// Makes the interval follow from what is measured.
    pub(crate) auto: Option<AutoInterval>,
    /// The least time between the end of one and the beginning of the next.
    pub(crate) min_pause: Duration,
    /// After this long a checkpoint is given up.
    pub(crate) timeout: Duration,
    /// How many may fail in a row without failing the job.
    pub(crate) tolerable_failures: u32,
    /// How they are taken.
    pub(crate) mode: CheckpointMode,
}

/// Why a checkpoint failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFailure {
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] CheckpointError),
    /// A page of state that memory has no room for could not be read back.
    #[error(transparent)]
    State(StateError),
    /// A sink could not make its cut.
    #[error("sink `{operator}` cannot prepare its output: {error}")]
    Sink {
        /// The sink.
        operator: String,
        /// Why.
        error: SinkError,
    },
    /// It took too long.
    #[error(
        "checkpoint {epoch} was not complete after {timeout:?}; raise checkpoint_timeout, or look for what is slow: a sink, or the disk"
    )]
    TimedOut {
        /// The checkpoint.
        epoch: Epoch,
        /// How long it had.
        timeout: Duration,
    },
}

/// Where the attempt stands.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Shards are at work.
    Running,
    /// All shards are closed.
    Finished,
    /// A shard failed.
    Failed(ShardId, Box<Failure>),
    /// A checkpoint failed once too often.
    CheckpointFailed(CheckpointFailure),
}

/// A checkpoint under way.
struct Running {
    epoch: Epoch,
    trigger: CheckpointTrigger,
    since: Nanos,
    saved: Vec<Option<Saved>>,
    /// Per shard: when it had saved.
    saved_at: Vec<Nanos>,
}

/// Where an attempt begins.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// The checkpoint that the shards go on from; 0 for none.
    pub(crate) from: Epoch,
    /// The number of the first checkpoint, larger than any before.
    pub(crate) next: Epoch,
    /// Whether pages of earlier checkpoints are still those of the same shards.
    pub(crate) keeps_pages: bool,
    /// What every checkpoint says of the job.
    pub(crate) meta: JobMeta,
}

/// See the [module](self).
pub(crate) struct Coordinator {
    control: Arc<Control>,
    times: CheckpointTimes,
    job: String,
    epoch: Epoch,
    running: Option<Running>,
    /// Per shard: the newest epoch of which it knows all positions.
    positions: Vec<Epoch>,
    /// Per shard: the newest given-up epoch of which nothing is under way any more.
    gave_up: Vec<Epoch>,
    /// Per shard: the newest epoch whose commit its sinks have carried out.
    committed: Vec<Epoch>,
    opened: Vec<bool>,
    /// Per shard: its sources have ended, in a job with loops.
    sources_ended: Vec<bool>,
    /// When the next look at the loops is due.
    look_at: Nanos,
    drained: Vec<bool>,
    closed: Vec<bool>,
    next_at: Nanos,
    /// Whether somebody has asked for a checkpoint before its time.
    asked: bool,
    failures_in_row: u32,
    /// The epoch after which everything is done.
    last: Option<Epoch>,
    /// Per shard: all pages of the restored checkpoint have been read and verified.
    verified: Vec<bool>,
    /// A durable checkpoint whose sinks wait for that, and the oldest one retained.
    held: Option<(Epoch, Epoch)>,
    /// The next checkpoint holds every page: those of earlier checkpoints are of other shards.
    fresh_maps: bool,
    /// What every checkpoint says of the job.
    meta: Vec<u8>,
    pub(crate) metrics: CheckpointMetrics,
}

impl Coordinator {
    /// For the shards of `control`, at `now`.
    pub(crate) fn new(
        job: String,
        control: Arc<Control>,
        times: CheckpointTimes,
        start: Start,
        mut metrics: CheckpointMetrics,
        now: Nanos,
    ) -> Coordinator {
        let Start { from, next, keeps_pages, meta } = start;
        let shards = control.counters.len();
        metrics.interval = times.interval;
        let next_at = times.interval.map_or(now, |interval| now.after(interval));
        Coordinator {
            control,
            times,
            job,
            epoch: Epoch(next.0 - 1),
            running: None,
            positions: vec![Epoch(next.0 - 1); shards],
            gave_up: vec![from; shards],
            committed: vec![from; shards],
            opened: vec![false; shards],
            sources_ended: vec![false; shards],
            look_at: Nanos(0),
            drained: vec![false; shards],
            closed: vec![false; shards],
            next_at,
            asked: false,
            failures_in_row: 0,
            last: None,
            verified: vec![from == Epoch(0); shards],
            held: None,
            fresh_maps: !keeps_pages,
            meta: meta.encode(),
            metrics,
        }
    }

    /// Takes an event.
    pub(crate) fn on_event(
        &mut self,
        event: ShardEvent,
        mut store: Option<&mut CheckpointStore>,
        now: Nanos,
    ) -> Outcome {
        match event {
            ShardEvent::Opened(shard) => self.opened[shard.index()] = true,
            ShardEvent::HasPositions(shard, epoch) => self.positions[shard.index()] = epoch,
            ShardEvent::GaveUp(shard, epoch) => self.gave_up[shard.index()] = epoch,
            ShardEvent::Saved(shard, epoch, result) => return self.saved(shard, epoch, result, store, now),
            ShardEvent::Committed(shard, epoch) => {
                self.committed[shard.index()] = epoch;
                if self.committed.iter().all(|done| *done >= epoch) {
                    self.all_committed(epoch, store.as_deref_mut());
                }
            }
            ShardEvent::Verified(shard) => {
                self.verified[shard.index()] = true;
                return self.verified(store, now);
            }
            // For whoever asked, and for the summary; not a matter of checkpoints.
            ShardEvent::Answer(..) | ShardEvent::Accounted(_) => {}
            ShardEvent::SourcesEnded(shard) => self.sources_ended[shard.index()] = true,
            ShardEvent::Drained(shard) => self.drained[shard.index()] = true,
            ShardEvent::Closed(shard) => {
                self.closed[shard.index()] = true;
                if self.closed.iter().all(|closed| *closed) {
                    return Outcome::Finished;
                }
            }
            ShardEvent::Failed(shard, failure) => return Outcome::Failed(shard, failure),
        }
        self.tick(store, now)
    }

    /// Does what time asks for.
    pub(crate) fn tick(&mut self, store: Option<&mut CheckpointStore>, now: Nanos) -> Outcome {
        if let Some(running) = &self.running {
            if now.since(running.since) >= self.times.timeout {
                let (epoch, timeout) = (running.epoch, self.times.timeout);
                let statistics = self.statistics(running, now);
                return self.failed(statistics, CheckpointFailure::TimedOut { epoch, timeout }, store, now);
            }
            return Outcome::Running;
        }
        let all_drained = self.drained.iter().all(|drained| *drained);
        let may_publish = self.last.is_none()
            && self.held.is_none()
            && self.committed.iter().all(|done| *done >= self.control.committed())
            && self.opened.iter().all(|opened| *opened)
            && self.gave_up.iter().all(|done| *done >= self.control.aborted())
            && self.positions.iter().all(|known| *known >= self.epoch);
        let due = all_drained
            || self.asked
            || (self.looks_at_loops() && now >= self.look_at)
            || (self.times.interval.is_some() && now >= self.next_at);
        if may_publish && due {
            let trigger = match self.asked {
                _ if all_drained => CheckpointTrigger::Final,
                true => CheckpointTrigger::Asked,
                false if self.looks_at_loops() => CheckpointTrigger::Loops,
                false => CheckpointTrigger::Interval,
            };
            self.epoch = Epoch(self.epoch.0 + 1);
            self.asked = false;
            self.look_at = now.after(LOOK_AT_LOOPS_EVERY);
            if let Some(interval) = self.times.interval {
                self.next_at = now.after(interval);
            }
            let saved = self.drained.iter().map(|_| None).collect();
            let saved_at = vec![now; self.drained.len()];
            self.running = Some(Running { epoch: self.epoch, trigger, since: now, saved, saved_at });
            if all_drained {
                self.last = Some(self.epoch);
            }
            self.control.publish(self.epoch, self.times.mode);
        }
        Outcome::Running
    }

    /// Asks for a checkpoint before its time: the next [`Coordinator::tick`] that may begin one does.
    pub(crate) fn ask(&mut self) {
        self.asked = true;
    }

    /// When [`Coordinator::tick`] wants to be called at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        match &self.running {
            Some(running) => Some(running.since.after(self.times.timeout)),
            None if self.asked => Some(Nanos(0)),
            None => {
                let looks = self.look_at_loops_due();
                self.times.interval.map(|_| self.next_at).into_iter().chain(looks).min()
            }
        }
    }

    /// Whether the job's loops may be over, and nobody knows yet.
    fn looks_at_loops(&self) -> bool {
        self.sources_ended.iter().all(|ended| *ended) && !self.control.loops_are_over()
    }

    /// When the next look at the job's loops is due, where they may be over.
    pub(crate) fn look_at_loops_due(&self) -> Option<Nanos> {
        self.looks_at_loops().then_some(self.look_at)
    }

    /// The newest epoch that has been published.
    pub(crate) fn newest(&self) -> Epoch {
        self.epoch
    }

    /// Whether a later checkpoint than this is durable, and all sinks have carried out its commit.
    pub(crate) fn has_committed_after(&self, epoch: Epoch) -> bool {
        let committed = self.control.committed();
        committed > epoch && self.committed.iter().all(|done| *done >= committed)
    }

    /// Where it stands, for a job that makes no progress.
    pub(crate) fn describe(&self) -> String {
        let saved = self.running.as_ref().map(|running| {
            let shards: Vec<bool> = running.saved.iter().map(Option::is_some).collect();
            format!("checkpoint {} since {} ns, saved {shards:?}", running.epoch, running.since.0)
        });
        format!(
            "epoch {}, {}, positions {:?}, gave up {:?}, committed {:?} of {}, opened {:?}, drained {:?}, closed {:?}, verified {:?}, held {:?}, last {:?}",
            self.epoch,
            saved.unwrap_or_else(|| "no checkpoint runs".to_owned()),
            self.positions,
            self.gave_up,
            self.committed,
            self.control.committed(),
            self.opened,
            self.drained,
            self.closed,
            self.verified,
            self.held,
            self.last,
        )
    }

    fn saved(
        &mut self,
        shard: ShardId,
        epoch: Epoch,
        result: Result<Saved, CheckpointFailure>,
        store: Option<&mut CheckpointStore>,
        now: Nanos,
    ) -> Outcome {
        let Some(running) = self.running.as_mut().filter(|running| running.epoch == epoch) else {
            // Of a checkpoint that was given up meanwhile.
            return self.tick(store, now);
        };
        match result {
            Err(error) => {
                let running = self.running.take().expect("it was just looked at");
                let statistics = self.statistics(&running, now);
                self.failed(statistics, error, store, now)
            }
            Ok(saved) => {
                running.saved[shard.index()] = Some(saved);
                running.saved_at[shard.index()] = now;
                self.positions[shard.index()] = epoch;
                if running.saved.iter().all(Option::is_some) {
                    self.complete(store, now)
                } else {
                    Outcome::Running
                }
            }
        }
    }

    /// All shards have saved their parts: makes the checkpoint durable and lets the sinks commit.
    fn complete(&mut self, store: Option<&mut CheckpointStore>, now: Nanos) -> Outcome {
        let running = self.running.take().expect("a checkpoint is complete only while it runs");
        let epoch = running.epoch;
        let statistics = self.statistics(&running, now);
        let saved: Vec<Saved> = running.saved.into_iter().flatten().collect();
        let has_cuts = saved.iter().any(|saved| saved.sinks);
        let quiet = saved.iter().all(|saved| saved.quiet);
        let all_verified = self.verified.iter().all(|verified| *verified);
        let mut oldest = epoch;
        if let Some(store) = store {
            let record = CheckpointRecord {
                epoch,
                shards: saved.into_iter().filter_map(|saved| saved.delta).collect(),
                meta: self.meta.clone(),
                fresh_maps: self.fresh_maps,
                sinks_commit: has_cuts && all_verified,
            };
            match store.commit(record) {
                Ok(report) => {
                    oldest = report.oldest_retained;
                    self.fresh_maps = false;
                }
                Err(error) => return self.failed(statistics, error.into(), Some(store), now),
            }
        }
        if quiet && self.looks_at_loops() {
            self.control.end_loops();
        }
        let took = now.since(running.since);
        self.failures_in_row = 0;
        let (bytes, in_flight) = (statistics.bytes(), statistics.in_flight_bytes());
        self.metrics.add(statistics);
        tracing::debug!(job = self.job, %epoch, ?took, bytes, in_flight, "checkpoint complete");
        if let Some(auto) = &mut self.times.auto {
            let shards: Vec<_> = self.control.counters.iter().map(|of| of.read()).collect();
            let interval = auto.next(took, &shards);
            self.times.interval = Some(interval);
            self.metrics.interval = Some(interval);
            self.next_at = running.since.after(interval);
        }
        self.next_at = self.next_at.max(now.after(self.times.min_pause));
        if all_verified || !has_cuts {
            self.control.commit(epoch, oldest);
        } else {
            self.held = Some((epoch, oldest));
        }
        Outcome::Running
    }

    /// Every page of the restored checkpoint has been read and verified: the sinks may commit what they held back.
    fn verified(&mut self, store: Option<&mut CheckpointStore>, now: Nanos) -> Outcome {
        if self.verified.iter().all(|verified| *verified)
            && let Some((epoch, oldest)) = self.held.take()
        {
            if let Some(store) = store
                && let Err(error) = store.allow_sink_commits(epoch)
            {
                let over = self.metrics.history().rev().find(|over| over.epoch == epoch).cloned();
                let over =
                    over.expect("a checkpoint whose commit is held back is over, and none came after it");
                return self.failed(over, error.into(), Some(store), now);
            }
            self.control.commit(epoch, oldest);
        }
        Outcome::Running
    }

    /// What there is to say of a checkpoint that ends now.
    fn statistics(&self, running: &Running, now: Nanos) -> CheckpointStatistics {
        let parts = running.saved.iter().zip(&running.saved_at).zip(&self.control.counters);
        let shards = parts.map(|((saved, saved_at), counters)| match saved {
            None => ShardCheckpoint::default(),
            Some(saved) => ShardCheckpoint {
                saved_after: Some(saved_at.since(running.since)),
                stall: counters.last_switch(),
                bytes: saved.delta.as_ref().map_or(0, DeltaSummary::bytes),
                pages: saved.delta.as_ref().map_or(0, |delta| delta.pages.len() as u64),
                in_flight_bytes: saved.in_flight_bytes,
                aligned_in: saved.aligned_in,
                gave_up_aligning: saved.gave_up_aligning,
            },
        });
        CheckpointStatistics {
            epoch: running.epoch,
            trigger: running.trigger,
            started: Duration::from_nanos(running.since.0),
            duration: now.since(running.since),
            shards: shards.collect(),
            failure: None,
        }
    }

    /// The sinks of all shards have made the results of an epoch visible.
    fn all_committed(&mut self, epoch: Epoch, store: Option<&mut CheckpointStore>) {
        if let Some(store) = store {
            for shard in (0..self.drained.len()).map(|shard| ShardId(shard as u16)) {
                self.control.ask_to_move(shard, store.sparse_pages(shard, PAGES_MOVED_MAX));
            }
            match store.tidy() {
                Ok(report) => {
                    if let Some(stuck) = report.stuck {
                        tracing::warn!(job = self.job, %stuck, "cannot clean up; trying again after the next checkpoint");
                    }
                }
                Err(error) => {
                    tracing::warn!(job = self.job, %error, "cannot clean up; trying again after the next checkpoint")
                }
            }
        }
        if self.last == Some(epoch) {
            self.control.set_phase(Phase::Finish);
        }
    }

    fn failed(
        &mut self,
        statistics: CheckpointStatistics,
        error: CheckpointFailure,
        store: Option<&mut CheckpointStore>,
        now: Nanos,
    ) -> Outcome {
        let epoch = statistics.epoch;
        self.running = None;
        self.last = None;
        self.metrics.add(CheckpointStatistics { failure: Some(error.to_string()), ..statistics });
        self.failures_in_row += 1;
        self.control.abort(epoch);
        if let Some(store) = store {
            store.discard(epoch, self.drained.len() as u16);
        }
        if self.failures_in_row > self.times.tolerable_failures {
            return Outcome::CheckpointFailed(error);
        }
        tracing::warn!(
            job = self.job,
            %epoch,
            %error,
            failures_in_row = self.failures_in_row,
            tolerable = self.times.tolerable_failures,
            "checkpoint failed; the job goes on and tries again"
        );
        self.next_at = self.next_at.max(now.after(self.times.min_pause));
        Outcome::Running
    }
}

#[cfg(test)]
mod tests;

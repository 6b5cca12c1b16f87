//! What happens to a job and its tasks, as events: what changed, when, and why.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::JobStatus;
use crate::element::ShardId;
use crate::graph::Plan;
use crate::operator::OpId;
use crate::runtime::control::ShardEvent;

/// How many events are kept: the newest.
const EVENTS_MAX: usize = 10_000;

/// Where a task stands: a chain on one shard, of one attempt
/// ([Flink: Jobs and Scheduling](https://nightlies.apache.org/flink/flink-docs-stable/docs/internals/job_scheduling/)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It is part of the attempt.
    Created,
    /// Its shard is being started and opened.
    Deploying,
    /// It is at work.
    Running,
    /// All is done.
    Finished,
    /// It failed.
    Failed,
    /// It has been asked to stop, because of a failure elsewhere or of a cancellation.
    Canceling,
    /// It has stopped.
    Canceled,
}

impl TaskState {
    fn is_over(self) -> bool {
        matches!(self, TaskState::Finished | TaskState::Failed | TaskState::Canceled)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskState::Created => "CREATED",
            TaskState::Deploying => "DEPLOYING",
            TaskState::Running => "RUNNING",
            TaskState::Finished => "FINISHED",
            TaskState::Failed => "FAILED",
            TaskState::Canceling => "CANCELING",
            TaskState::Canceled => "CANCELED",
        })
    }
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The job as a whole.
    Job {
        /// Where it stood.
        from: JobStatus,
        /// Where it stands.
        to: JobStatus,
    },
    /// A chain on one shard.
    Task {
        /// Its operators, in order: `source -> map`.
        chain: String,
        /// The shard.
        shard: ShardId,
        /// How many shards the job has.
        shards: u16,
        /// Where it stood.
        from: TaskState,
        /// Where it stands.
        to: TaskState,
    },
}

/// A change of a job or of one of its tasks. `Display` says it in Flink's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEvent {
    /// When: by the wall clock, or by a simulation's own.
    pub at: SystemTime,
    /// In which attempt, from 1.
    pub attempt: u32,
    /// What changed.
    pub change: Change,
    /// Why, where that is not the ordinary course of things.
    pub cause: Option<String>,
}

impl fmt::Display for JobEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.change {
            Change::Job { from, to } => write!(f, "job switched from {from} to {to}")?,
            Change::Task { chain, shard, shards, from, to } => {
                let (number, attempt) = (shard.0 + 1, self.attempt);
                write!(f, "{chain} ({number}/{shards}), attempt {attempt}, switched from {from} to {to}")?;
            }
        }
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

/// The events of a job, and where its tasks stand. What drives the job says when each change happens, by the clock that it goes by.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    job: String,
    events: VecDeque<JobEvent>,
    attempt: u32,
    shards: u16,
    tasks: Vec<Task>,
}

#[derive(Debug)]
struct Task {
    chain: String,
    ops: Vec<OpId>,
    shard: ShardId,
    state: TaskState,
}

impl Lifecycle {
    fn lock(&self) -> MutexGuard<'_, Log> {
        // Each event is whole before the next begins.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events so far, as far as they are kept.
    pub(crate) fn events(&self) -> Vec<JobEvent> {
        self.lock().events.iter().cloned().collect()
    }

    /// The number of the newest attempt, from 1; 0 before the first.
    pub(crate) fn attempt(&self) -> u32 {
        self.lock().attempt
    }

    /// The job's status has changed.
    pub(crate) fn job(&self, from: JobStatus, to: JobStatus, cause: Option<String>, at: SystemTime) {
        if from != to {
            self.lock().note(Change::Job { from, to }, cause, at);
        }
    }

    /// An attempt begins: its tasks are deployed.
    pub(crate) fn deploy(&self, job: &str, plan: &Plan, shards: u16, at: SystemTime) {
        let mut log = self.lock();
        log.job = job.to_owned();
        log.attempt += 1;
        log.shards = shards;
        log.tasks.clear();
        for chain in &plan.chains {
            let names: Vec<&str> = chain.ops.iter().map(|op| plan.name(*op)).collect();
            for shard in chain.on.shards() {
                let (chain, ops) = (names.join(" -> "), chain.ops.clone());
                log.tasks.push(Task { chain, ops, shard, state: TaskState::Created });
            }
        }
        log.switch(|_| true, TaskState::Deploying, None, at);
    }

    /// A shard has said something: that it is open, so that its tasks run, or that one of them failed.
    pub(crate) fn hear(&self, event: &ShardEvent, at: SystemTime) {
        match event {
            ShardEvent::Opened(shard) => {
                self.lock().switch(|task| task.shard == *shard, TaskState::Running, None, at);
            }
            ShardEvent::Failed(shard, failure) => {
                // Where no operator is to blame, it is whatever runs on the shard.
                let is_it =
                    |task: &Task| task.shard == *shard && failure.op.is_none_or(|op| task.ops.contains(&op));
                self.lock().switch(is_it, TaskState::Failed, Some(&failure.cause.to_string()), at);
            }
            _ => {}
        }
    }

    /// All tasks that are not over have been asked to stop.
    pub(crate) fn canceling(&self, at: SystemTime) {
        self.lock().switch(|_| true, TaskState::Canceling, None, at);
    }

    /// The shards have stopped.
    pub(crate) fn stopped(&self, finished: bool, at: SystemTime) {
        let end = if finished { TaskState::Finished } else { TaskState::Canceled };
        self.lock().switch(|_| true, end, None, at);
    }
}

impl Log {
    fn note(&mut self, change: Change, cause: Option<String>, at: SystemTime) {
        let event = JobEvent { at, attempt: self.attempt, change, cause };
        match (&event.change, &event.cause) {
            // Whoever runs the job says so in its own words.
            (Change::Task { .. }, Some(_)) => tracing::warn!(job = self.job, "{event}"),
            _ => tracing::debug!(job = self.job, "{event}"),
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Switches those tasks that are not over and not there yet.
    fn switch(&mut self, which: impl Fn(&Task) -> bool, to: TaskState, cause: Option<&str>, at: SystemTime) {
        let shards = self.shards;
        let mut changes = Vec::new();
        for task in self.tasks.iter_mut().filter(|task| which(task)) {
            if task.state.is_over() || task.state == to {
                continue;
            }
            let from = std::mem::replace(&mut task.state, to);
            let (chain, shard) = (task.chain.clone(), task.shard);
            changes.push(Change::Task { chain, shard, shards, from, to });
        }
        changes.into_iter().for_each(|change| self.note(change, cause.map(str::to_owned), at));
    }
}

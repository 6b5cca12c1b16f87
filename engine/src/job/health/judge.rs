//! What comes of all that is known: whether the job does its work.

use std::fmt;
use std::time::Duration;

use super::{Health, ShardActivity};
use crate::element::ShardId;
use crate::job::JobStatus;
use crate::runtime::metrics::Bytes;
use crate::runtime::stalls::ShardStall;

/// For so long a job that has been started again is worth a word, however well it runs.
const RESTARTED_LATELY: Duration = Duration::from_secs(60);
/// So many intervals may pass without a checkpoint.
const INTERVALS_WITHOUT: u32 = 3;
/// And so long in any case.
const GRACE: Duration = Duration::from_secs(1);
/// A shard that takes longer to open is worth a word.
const OPENS_FOR: Duration = Duration::from_secs(10);
/// So long the control thread may be at something else, such as a slow disk.
const LOOKS_AWAY_FOR: Duration = Duration::from_secs(5);
/// So much of the memory limit may be used (where what goes beyond is not left on disk).
const OF_LIMIT: f64 = 0.9;

/// Whether a job does its work. `Display` says it in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Healthy,
    /// It does, or will again by itself; but something is wrong.
    Degraded(Vec<Concern>),
    /// It does not, and will not by itself: it has ended, in the way that the text says.
    Down(String),
}

impl Verdict {
    /// Whether there is no need to start the job again from outside: it is not [`Verdict::Down`].
    pub fn is_up(&self) -> bool {
        !matches!(self, Verdict::Down(_))
    }

    /// What is wrong.
    pub fn concerns(&self) -> &[Concern] {
        match self {
            Verdict::Degraded(concerns) => concerns,
            _ => &[],
        }
    }
}

/// Something that is wrong with a job. `Display` says it as part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// It does not run yet.
    Starting {
        /// For how long it has not.
        since: Duration,
    },
    /// It has failed, and waits to be started again.
    Restarting {
        /// Why it has failed.
        cause: String,
    },
    /// It runs, and has failed within the last minute.
    RestartedLately {
        /// How often it has been started again.
        restarts: u32,
        /// How long ago it failed last.
        ago: Duration,
        /// Why.
        cause: String,
    },
    /// A shard takes long to be opened.
    OpensSlowly {
        /// The shard.
        shard: ShardId,
        /// For how long it has been at it.
        since: Duration,
    },
    /// A shard stands still inside of an operator.
    StandsStill(ShardStall),
    /// The newest checkpoints have failed.
    CheckpointsFail {
        /// How many of them.
        in_a_row: u32,
        /// Why the last one has.
        cause: String,
    },
    /// Checkpoints are due, and none is completed.
    NoCheckpoint {
        /// For how long.
        since: Duration,
        /// How often there should be one.
        every: Duration,
    },
    /// There is little left of the memory limit.
    LittleMemory {
        /// How many bytes are used.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// The job's control thread is at something that takes long.
    NotLookedAfter {
        /// How long ago it has looked.
        since: Duration,
    },
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |duration: &Duration| super::text::Length(*duration);
        match self {
            Concern::Starting { since } => write!(f, "it is being started, for {} now", s(since)),
            Concern::Restarting { cause } => write!(f, "it is started again after a failure: {cause}"),
            Concern::RestartedLately { restarts: 1, ago, cause } => {
                write!(f, "it was started again once, {} ago: {cause}", s(ago))
            }
            Concern::RestartedLately { restarts, ago, cause } => {
                write!(f, "it was started again {restarts} times, the last time {} ago: {cause}", s(ago))
            }
            Concern::OpensSlowly { shard, since } => {
                write!(f, "shard {shard} has been opening its operators for {}", s(since))
            }
            Concern::StandsStill(ShardStall { shard, operators, duration, .. }) => {
                write!(f, "shard {shard} has stood still for {} in `{}`", s(duration), operators.join(" -> "))
            }
            Concern::CheckpointsFail { in_a_row: 1, cause } => {
                write!(f, "the newest checkpoint failed: {cause}")
            }
            Concern::CheckpointsFail { in_a_row, cause } => {
                write!(f, "the newest {in_a_row} checkpoints failed, the last one because: {cause}")
            }
            Concern::NoCheckpoint { since, every } => {
                write!(f, "no checkpoint was completed for {}, and one is due every {}", s(since), s(every))
            }
            Concern::LittleMemory { used, limit } => {
                write!(f, "{} of the memory limit of {} are used", Bytes(*used), Bytes(*limit))
            }
            Concern::NotLookedAfter { since } => write!(
                f,
                "its control thread has been at one thing for {}, most likely a slow disk, or has no core to run on",
                s(since)
            ),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Healthy => f.write_str("HEALTHY"),
            Verdict::Down(reason) => write!(f, "DOWN: {reason}"),
            Verdict::Degraded(concerns) => {
                f.write_str("DEGRADED: ")?;
                for (number, concern) in concerns.iter().enumerate() {
                    write!(f, "{}{concern}", if number == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

/// What comes of what is known of a job. `spills`: it leaves state on disk where memory has no room for it.
pub(super) fn verdict(health: &Health, spills: bool) -> Verdict {
    if let Some(reason) = down(health) {
        return Verdict::Down(reason);
    }
    let cause = || health.last_failure.as_ref().map_or_else(String::new, |failure| failure.cause.clone());
    let mut concerns = Vec::new();
    match health.status {
        JobStatus::Restarting => concerns.push(Concern::Restarting { cause: cause() }),
        JobStatus::Created => concerns.push(Concern::Starting { since: health.status_for }),
        _ => {}
    }
    let lately = health.last_failure.as_ref().filter(|failure| failure.ago < RESTARTED_LATELY);
    if let (JobStatus::Running, Some(failure)) = (health.status, lately) {
        let (restarts, ago, cause) = (health.restarts, failure.ago, failure.cause.clone());
        concerns.push(Concern::RestartedLately { restarts, ago, cause });
    }
    for shard in &health.shards {
        if shard.activity == ShardActivity::Opens && health.status_for >= OPENS_FOR {
            concerns.push(Concern::OpensSlowly { shard: shard.shard, since: health.status_for });
        }
        concerns.extend(shard.stall().map(Concern::StandsStill));
    }
    concerns.extend(about_checkpoints(health));
    let memory = &health.memory;
    if let (Some(limit), false, Some(part)) = (memory.limit, spills, memory.part_of_limit())
        && part >= OF_LIMIT
    {
        concerns.push(Concern::LittleMemory { used: memory.limited, limit });
    }
    if let (JobStatus::Running, Some(since)) = (health.status, health.looked_after)
        && since >= LOOKS_AWAY_FOR
    {
        concerns.push(Concern::NotLookedAfter { since });
    }
    if concerns.is_empty() { Verdict::Healthy } else { Verdict::Degraded(concerns) }
}

fn down(health: &Health) -> Option<String> {
    let reason = match health.status {
        JobStatus::Created | JobStatus::Running | JobStatus::Restarting => return None,
        JobStatus::Finished => "it has FINISHED: its sources have ended".to_owned(),
        JobStatus::Canceled => "it was CANCELED".to_owned(),
        JobStatus::Stopped => "it was STOPPED".to_owned(),
        JobStatus::Failed => match &health.last_failure {
            Some(failure) => format!("it has FAILED: {}", failure.cause),
            None => "it has FAILED".to_owned(),
        },
    };
    Some(reason)
}

fn about_checkpoints(health: &Health) -> Option<Concern> {
    let checkpoints = health.checkpoints.as_ref().filter(|_| health.status == JobStatus::Running)?;
    if let (in_a_row @ 1.., Some(cause)) = (checkpoints.failed_in_a_row, &checkpoints.last_failure) {
        return Some(Concern::CheckpointsFail { in_a_row, cause: cause.clone() });
    }
    let every = checkpoints.every?;
    // Of an earlier attempt: this one has not had longer than it runs.
    let age = checkpoints.newest.map_or(health.status_for, |(_, age)| age.min(health.status_for));
    let overdue = age > every.max(checkpoints.took) * INTERVALS_WITHOUT + GRACE;
    overdue.then_some(Concern::NoCheckpoint { since: age, every })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::element::Epoch;
    use crate::job::{CheckpointHealth, JobId, LastFailure, ShardHealth};
    use crate::runtime::metrics::MemoryUse;

    const SECOND: Duration = Duration::from_secs(1);

    /// A job that runs well, for an hour now.
    fn healthy() -> Health {
        let shard = |number| ShardHealth {
            shard: ShardId(number),
            activity: ShardActivity::Steps,
            steps: 1000,
            at_this_step: Duration::ZERO,
        };
        Health {
            job: "orders".to_owned(),
            id: JobId::random(),
            verdict: Verdict::Healthy,
            status: JobStatus::Running,
            status_since: SystemTime::UNIX_EPOCH,
            status_for: SECOND * 3600,
            attempt: 1,
            restarts: 0,
            last_failure: None,
            checkpoints: Some(CheckpointHealth {
                newest: Some((Epoch(7), SECOND)),
                took: Duration::from_millis(5),
                every: Some(SECOND),
                failed_in_a_row: 0,
                last_failure: None,
            }),
            shards: vec![shard(0), shard(1)],
            memory: MemoryUse { limited: 50, limit: Some(100), ..MemoryUse::default() },
            looked_after: Some(Duration::from_millis(20)),
        }
    }

    fn judged(change: impl FnOnce(&mut Health)) -> String {
        let mut health = healthy();
        change(&mut health);
        verdict(&health, false).to_string()
    }

    fn failure(ago: Duration) -> Option<LastFailure> {
        Some(LastFailure { at: SystemTime::UNIX_EPOCH, ago, cause: "no money".to_owned() })
    }

    fn checkpoints(health: &mut Health) -> &mut CheckpointHealth {
        health.checkpoints.as_mut().unwrap()
    }

    #[test]
    fn a_job_is_healthy_where_there_is_nothing_to_say() {
        assert_eq!(judged(|_| {}), "HEALTHY");
        assert_eq!(judged(|health| health.checkpoints = None), "HEALTHY");
        assert_eq!(judged(|health| checkpoints(health).every = None), "HEALTHY");
        // Checkpoints that take long come less often.
        let slow = |health: &mut Health| {
            checkpoints(health).took = SECOND * 20;
            checkpoints(health).newest = Some((Epoch(7), SECOND * 60));
        };
        assert_eq!(judged(slow), "HEALTHY");
        assert_eq!(judged(|health| health.last_failure = failure(SECOND * 61)), "HEALTHY");
        assert_eq!(judged(|health| health.shards[0].activity = ShardActivity::Waits), "HEALTHY");
    }

    #[test]
    fn a_job_that_has_ended_is_down() {
        assert_eq!(judged(|health| health.status = JobStatus::Stopped), "DOWN: it was STOPPED");
        let failed = |health: &mut Health| {
            (health.status, health.last_failure) = (JobStatus::Failed, failure(SECOND));
        };
        assert_eq!(judged(failed), "DOWN: it has FAILED: no money");
        let mut health = healthy();
        health.status = JobStatus::Finished;
        assert!(!verdict(&health, false).is_up());
    }

    #[test]
    fn what_is_wrong_is_said_all_of_it() {
        let starting = |health: &mut Health| health.status = JobStatus::Created;
        assert_eq!(judged(starting), "DEGRADED: it is being started, for 1 h now");
        let restarting = |health: &mut Health| {
            (health.status, health.last_failure) = (JobStatus::Restarting, failure(SECOND));
        };
        assert_eq!(judged(restarting), "DEGRADED: it is started again after a failure: no money");
        let lately = |restarts| {
            move |health: &mut Health| {
                (health.restarts, health.last_failure) = (restarts, failure(SECOND * 9))
            }
        };
        assert_eq!(judged(lately(1)), "DEGRADED: it was started again once, 9 s ago: no money");
        assert_eq!(
            judged(lately(4)),
            "DEGRADED: it was started again 4 times, the last time 9 s ago: no money"
        );
        let full_and_slow = |health: &mut Health| {
            health.memory.limited = 95;
            health.looked_after = Some(SECOND * 8);
        };
        assert_eq!(
            judged(full_and_slow),
            "DEGRADED: 95 bytes of the memory limit of 100 bytes are used; its control thread has been at one thing for 8 s, most likely a \
             slow disk, or has no core to run on"
        );
        let mut full = healthy();
        full.memory.limited = 101;
        assert_eq!(verdict(&full, true), Verdict::Healthy, "what memory has no room for lies on disk");
    }

    #[test]
    fn shards_that_do_not_step_are_named() {
        let stands = |health: &mut Health| {
            let operators = vec!["look up".to_owned(), "map".to_owned()];
            health.shards[1].activity = ShardActivity::StandsStill { operators };
            health.shards[1].at_this_step = Duration::from_millis(3200);
        };
        assert_eq!(judged(stands), "DEGRADED: shard 1 has stood still for 3.2 s in `look up -> map`");
        let opens = |health: &mut Health| {
            health.shards[0].activity = ShardActivity::Opens;
            health.status_for = SECOND * 12;
        };
        assert_eq!(judged(opens), "DEGRADED: shard 0 has been opening its operators for 12 s");
    }

    #[test]
    fn checkpoints_that_fail_or_do_not_come_are_a_concern() {
        let fail = |in_a_row| {
            move |health: &mut Health| {
                checkpoints(health).failed_in_a_row = in_a_row;
                checkpoints(health).last_failure = Some("the disk is full".to_owned());
            }
        };
        assert_eq!(judged(fail(1)), "DEGRADED: the newest checkpoint failed: the disk is full");
        assert_eq!(
            judged(fail(3)),
            "DEGRADED: the newest 3 checkpoints failed, the last one because: the disk is full"
        );
        let late = |health: &mut Health| checkpoints(health).newest = Some((Epoch(7), SECOND * 5));
        assert_eq!(judged(late), "DEGRADED: no checkpoint was completed for 5 s, and one is due every 1 s");
        let fresh = |health: &mut Health| {
            health.status_for = SECOND * 2;
            checkpoints(health).newest = Some((Epoch(7), SECOND * 500));
        };
        assert_eq!(judged(fresh), "HEALTHY", "it has not had the time yet");
        assert!(judged(|health| checkpoints(health).newest = None).contains("for 1 h, and one is due"));
    }
}

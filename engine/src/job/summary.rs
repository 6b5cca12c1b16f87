//! Where a job stands, and what there is to say at its end.

use std::fmt;
use std::time::Duration;

use super::{JobId, LateRecords, OperatorLateRecords};
use crate::accumulator::Accumulators;
use crate::runtime::metrics::JobMetrics;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum JobStatus {
    /// Not running yet.
    Created,
    /// Shards are at work.
    Running,
    /// It failed, and waits to be started again.
    Restarting,
    /// Its sources have ended and all output is committed.
    Finished,
    /// It failed for good.
    Failed,
    /// It was asked to end at once.
    Canceled,
    /// It was asked to stop, has made a checkpoint for that, and committed its output up to there.
    Stopped,
}

impl JobStatus {
    /// Whether the job has ended, in whichever way.
    pub fn is_over(self) -> bool {
        !matches!(self, JobStatus::Created | JobStatus::Running | JobStatus::Restarting)
    }

    pub(crate) fn from_u8(status: u8) -> JobStatus {
        match status {
            0 => JobStatus::Created,
            1 => JobStatus::Running,
            2 => JobStatus::Restarting,
            3 => JobStatus::Finished,
            4 => JobStatus::Failed,
            5 => JobStatus::Canceled,
            _ => JobStatus::Stopped,
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JobStatus::Created => "CREATED",
            JobStatus::Running => "RUNNING",
            JobStatus::Restarting => "RESTARTING",
            JobStatus::Finished => "FINISHED",
            JobStatus::Failed => "FAILED",
            JobStatus::Canceled => "CANCELED",
            JobStatus::Stopped => "STOPPED",
        })
    }
}

/// What there is to say of a job that has ended without failing.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Which run of the job this was.
    pub id: JobId,
    /// The job's name.
    pub job: String,
    /// Finished, canceled or stopped.
    pub status: JobStatus,
    /// From start to end, pauses between restarts included.
    pub elapsed: Duration,
    /// The driver that ran it.
    pub driver: String,
    /// The end-to-end guarantee, in words.
    pub guarantee: String,
    /// The figures of its last attempt.
    pub metrics: JobMetrics,
    /// What its accumulators have come to.
    pub accumulators: Accumulators,
    /// Which records came too late for its windows and joins.
    pub late_records: LateRecords,
}

impl Summary {
    /// Records per second over the whole time.
    pub fn records_per_second(&self) -> f64 {
        self.metrics.records_in() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { job, status, elapsed, driver, guarantee, metrics, accumulators, late_records, .. } =
            self;
        let shards = metrics.shards.len();
        writeln!(
            f,
            "job {job}: {status} after {:.3} s on {shards} shards ({driver} driver)",
            elapsed.as_secs_f64()
        )?;
        writeln!(f, "  exactly once end to end: {guarantee}")?;
        writeln!(
            f,
            "  records    {} in ({:.0}/s), {} out, {} late",
            metrics.records_in(),
            self.records_per_second(),
            metrics.records_out(),
            metrics.late_records()
        )?;
        let late = late_records.operators.iter().filter(|of| of.count > 0);
        for OperatorLateRecords { operator, count, late_by_max, .. } in late {
            writeln!(f, "  late       {count} at {operator}, by up to {late_by_max} ticks")?;
        }
        let checkpoints = &metrics.checkpoints;
        writeln!(
            f,
            "  checkpoints {} completed, {} failed; last: {:.1} ms, {} bytes ({} in flight); restarts: {}",
            checkpoints.completed,
            checkpoints.failed,
            checkpoints.last_duration.as_secs_f64() * 1e3,
            checkpoints.last_bytes,
            checkpoints.last_in_flight_bytes,
            metrics.restarts
        )?;
        if let Some(replica) = &checkpoints.replica {
            writeln!(
                f,
                "  second copy of checkpoint {}, {} behind, {} failed",
                replica.last_epoch, replica.lag, replica.failed
            )?;
        }
        for (name, total) in accumulators.iter() {
            writeln!(f, "  accumulator {name}: {total}")?;
        }
        for (number, shard) in metrics.shards.iter().enumerate() {
            let total = (shard.busy + shard.idle + shard.backpressured).as_secs_f64().max(f64::MIN_POSITIVE);
            let share = |part: Duration| 100.0 * part.as_secs_f64() / total;
            if shard.spilled_pages_written > 0 {
                writeln!(
                    f,
                    "  shard {number}    state on disk: {} pages written, {} read back",
                    shard.spilled_pages_written, shard.spilled_pages_read
                )?;
            }
            writeln!(
                f,
                "  shard {number}    busy {:.1} %, idle {:.1} %, backpressured {:.1} %; watermark {}; ring {:.0} %; state {} bytes, {} keys; longest loop gap {} us",
                share(shard.busy),
                share(shard.idle),
                share(shard.backpressured),
                shard.watermark,
                shard.ring_fill * 100.0,
                shard.state_bytes,
                shard.keys,
                shard.loop_gap_max.as_micros()
            )?;
        }
        Ok(())
    }
}

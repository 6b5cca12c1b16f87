//! The thread driver: one plain thread per shard.

use super::blocking::{self, BlockingDisk, Job};
use super::launch::{self, Seat};
use super::shard::{Shard, Turn};
use super::{Clock, DriverError, DriverKind, RunningShards, ShardFailure, ShardSpec};
use crate::element::ShardId;
use crate::runtime::placement::CoreId;
use std::sync::mpsc::Sender;

/// Starts shards on plain threads, and the thread that does their I/O.
pub(super) fn start(clock: Clock, specs: Vec<ShardSpec>) -> Result<RunningShards, DriverError> {
    let (jobs, helper) = blocking::start_helper()?;
    let mut running =
        launch::launch::<ThreadSeat>(clock, specs, jobs).map_err(|not_started| not_started.error)?;
    running.helper = Some(helper);
    Ok(running)
}

struct ThreadSeat {
    jobs: Sender<Job>,
}

impl Seat for ThreadSeat {
    type Config = Sender<Job>;
    const KIND: DriverKind = DriverKind::Thread;

    fn prepare(shard: ShardId, core: Option<CoreId>, jobs: Sender<Job>) -> Result<Self, DriverError> {
        if let Some(core) = core {
            launch::pin(shard, core)?;
        }
        Ok(ThreadSeat { jobs })
    }

    fn run(self, spec: ShardSpec, clock: Clock) -> Result<(), ShardFailure> {
        let disk = BlockingDisk::new(spec.shard, self.jobs, spec.waker.clone());
        let answered = disk.answered();
        let mut shard = Shard::build(spec, clock, Box::new(disk))?;
        let result = loop {
            match shard.turn() {
                Ok(Turn::Again) => {}
                Ok(Turn::Rest(rest)) => shard.rest(rest, || answered.any()),
                Ok(Turn::Done) => break Ok(()),
                Err(failure) => break Err(failure),
            }
        };
        result.and(shard.close())
    }
}

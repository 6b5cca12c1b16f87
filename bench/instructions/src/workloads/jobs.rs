//! Whole jobs in one thread: real shards and chains, under the simulator's scheduler and clock.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millstream_engine::prelude::*;
use millstream_engine::testing::sim::{SimEnd, SimSchedule, Simulation};
use millstream_engine::testing::sim_disk::{SimDisk, SimFaults};

/// Decides the order of turns, and the seed of the keys' hashes.
const SEED: u64 = 11;

/// How many turns the scheduler is asked for at once.
const TURNS: u64 = 1 << 20;

/// Shards that take turns in long stretches: most of what the scheduler does, it does once per stretch.
const SCHEDULE: SimSchedule = SimSchedule {
    burst_max: 64,
    starve_every: 0,
    starve_max: 0,
    turn_nanos_max: 20_000,
    publication_delay_max: 0,
    spins: false,
};

/// How many records came out of a job.
#[derive(Clone, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    #[inline(always)]
    pub fn add(&self, records: u64) {
        // One thread counts; a bare addition is all that is to be counted.
        self.0.store(self.0.load(Ordering::Relaxed) + records, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// It is another number.
    pub fn check(&self, wanted: u64) -> Result<(), Box<dyn Error>> {
        match self.get() {
            got if got == wanted => Ok(()),
            got => Err(format!("{wanted} records were to come out, and {got} did").into()),
        }
    }
}

/// A job that is about to run.
pub fn simulation(job: Job, program: impl Fn(&Flow) + Send + Sync + 'static) -> Result<Simulation, JobError> {
    let mut simulation = Simulation::new(SEED, job, &SimDisk::new(SEED, SimFaults::default()), program)?;
    simulation.set_schedule(SCHEDULE);
    Ok(simulation)
}

/// Runs a job to its end.
pub fn run(shards: u16, program: impl Fn(&Flow) + Send + Sync + 'static) -> Result<(), Box<dyn Error>> {
    let mut simulation = simulation(Job::new("counted").shards(shards), program)?;
    loop {
        match simulation.run(TURNS) {
            None => {}
            Some(SimEnd::Finished) => return Ok(()),
            Some(SimEnd::Failed(error)) => return Err(error.into()),
            Some(SimEnd::PowerCut) => unreachable!("nobody cuts the power"),
        }
    }
}

//! A host program that asks a job, one call at a time.

use std::error::Error;
use std::time::Duration;

use millstream_engine::prelude::*;

use super::jobs::{Count, simulation};

const KEYS: u64 = 1_000;

/// No reply takes as long, under callgrind neither.
const DEADLINE: Duration = Duration::from_secs(600);

/// How many turns a job takes for a reply at most.
const TURNS_MAX: u64 = 1_000;

/// A call to a job with a keyed step: there, through it, and back. With it go a few turns of the scheduler.
pub fn one_at_a_time(calls: u64) -> Result<(), Box<dyn Error>> {
    let count = Count::default();
    let counted = count.clone();
    let job = Job::new("counted");
    let mut ask = job.ask::<u64, u64>("counts", AskOptions::new());
    let mut simulation = simulation(job, move |flow| {
        let count = counted.clone();
        flow.ask::<u64, u64>("counts")
            .key_by(|asked| asked.request)
            .map_with_state(move |asked, known: Option<u64>| {
                count.add(1);
                let known = known.unwrap_or(0) + 1;
                (asked.reply(known), Some(known))
            })
            .reply("counts");
    })?;
    for number in 0..calls {
        let call = ask.start(number % KEYS, DEADLINE)?;
        let mut turns = 0;
        while count.get() == number && turns < TURNS_MAX {
            if let Some(end) = simulation.run(1) {
                return Err(format!("the job ended before call {number} was answered: {end:?}").into());
            }
            turns += 1;
        }
        count.check(number + 1)?;
        let reply = call.wait()?;
        let wanted = number / KEYS + 1;
        if reply != wanted {
            return Err(format!("call {number} was to be answered with {wanted}, not {reply}").into());
        }
    }
    Ok(())
}

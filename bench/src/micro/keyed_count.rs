//! `keyed_count_*`: a running count per key, against a hash map, on two shards against one, with checkpoints against without.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use millstream::prelude::*;

use super::Settings;
use crate::bids::{Bids, Generator, Tally};
use crate::outcome::{Outcome, Target};
use crate::throughput::{Comparison, Stretch, WarmUp, of_job, of_loop};

pub const KEYS: u64 = 1_000_000;

/// Until all keys but three in ten thousand have been seen.
pub const WARM_UP: WarmUp = WarmUp { records: 8 * KEYS };

type Map = hashbrown::HashMap<u64, u64, ahash::RandomState>;

/// The job: generate, route by key, count, hand on every count.
pub fn program(flow: &Flow, tally: &Tally, shards: u16) {
    flow.source("bids", Bids::new(KEYS, shards, tally))
        .event_time(Watermarks::monotonous(), |bid| bid.at)
        .key_by(|bid| bid.auction as u64)
        .count()
        .for_each(|count, _| {
            black_box(count);
        });
}

fn on_shards(settings: &Settings, job: Job, shards: u16) -> Result<(Stretch, Summary), Box<dyn Error>> {
    of_job(settings, WARM_UP, job, shards, move |flow, tally| program(flow, tally, shards))
}

fn plain(settings: &Settings, shards: u16) -> Result<Stretch, Box<dyn Error>> {
    on_shards(settings, Job::new("keyed_count"), shards).map(|(stretch, _)| stretch)
}

fn by_hand(settings: &Settings) -> Result<Stretch, Box<dyn Error>> {
    of_loop(settings, WARM_UP, || {
        let (mut bids, mut counts) = (<Generator>::new(KEYS, 0, 1), Map::default());
        move || {
            let key = bids.bid().auction as u64;
            let count = counts.entry(key).or_insert(0);
            *count += 1;
            black_box(&(key, *count));
        }
    })
}

/// One shard against a hash map.
pub fn on_1_shard(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let rounds = Comparison::run(settings, || plain(settings, 1), || by_hand(settings))?;
    let notes = vec![format!("shard 0 and the loop on core {core}, by turns; 1 M keys, uniform")];
    let reference = "a hand-written loop over hashbrown with ahash, with the same generator";
    Ok(vec![rounds.outcome("keyed_count_1m_1shard", reference, Target::RatioAtLeast(1.0), notes)])
}

/// Two shards against one.
pub fn on_2_shards(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let cores = settings.cores_for(2)?;
    let rounds = Comparison::run(settings, || plain(settings, 2), || plain(settings, 1))?;
    let notes = vec![
        format!("shard 0 on core {}, shard 1 on core {}; 1 M keys, uniform", cores[0], cores[1]),
        "each shard generates half of the records and sends half of those to the other".to_owned(),
    ];
    Ok(vec![rounds.outcome(
        "keyed_count_1m_2shards",
        "the same job on 1 shard",
        Target::RatioAtLeast(1.4),
        notes,
    )])
}

/// With a checkpoint every second against without.
pub fn with_checkpoints(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    // Long enough for a handful of checkpoints in each stretch.
    let long = Settings { scale: settings.scale * 2.5, ..settings.clone() };
    let core = settings.first_core()?;
    let mut checkpoints = Vec::new();
    let mut driver = String::new();
    let checkpointed = || {
        let state = tempfile::tempdir_in(&settings.dir)?;
        let job = Job::new("keyed_count").state_dir(state.path()).checkpoint_interval(Duration::from_secs(1));
        let (stretch, summary) = on_shards(&long, job, 1)?;
        driver = summary.driver;
        checkpoints.push(summary.metrics.checkpoints);
        Ok(stretch)
    };
    let rounds = Comparison::run(settings, checkpointed, || plain(&long, 1))?;
    let completed: u64 = checkpoints.iter().map(|of_round| of_round.completed).sum();
    let failed: u64 = checkpoints.iter().map(|of_round| of_round.failed).sum();
    let longest = checkpoints.iter().map(|of_round| of_round.longest).max().unwrap_or_default();
    let last = checkpoints.last().cloned().unwrap_or_default();
    let notes = vec![
        format!(
            "shard 0 on core {core}, {driver} driver; 1 M keys, uniform; state in {}",
            settings.dir.display()
        ),
        format!(
            "{completed} checkpoints completed, {failed} failed; the last took {:.0} ms for {:.1} MB ({} bytes in flight), the longest {:.0} ms",
            last.last_duration.as_secs_f64() * 1e3,
            last.last_bytes as f64 / 1e6,
            last.last_in_flight_bytes,
            longest.as_secs_f64() * 1e3
        ),
    ];
    Ok(vec![rounds.outcome(
        "keyed_count_checkpointed",
        "the same job without a state directory",
        Target::RatioAtLeast(0.95),
        notes,
    )])
}

//! `sessions_10k`: a count per key and session against a loop with a map of sessions and a heap of their ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use hashbrown::hash_map::Entry;
use millstream::prelude::*;

use super::Settings;
use crate::bids::{Bids, Generator};
use crate::outcome::{Outcome, Target};
use crate::throughput::{Comparison, Stretch, WarmUp, of_job, of_loop};

const KEYS: u64 = 10_000;
const GAP: Duration = Duration::from_secs(30);
/// A bid per millisecond is one per key in ten seconds: of 20 waits for the next one, one is longer than the gap.
const BIDS_PER_MS: u64 = 1;
const WARM_UP: WarmUp = WarmUp { records: 500_000 };

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let job = || {
        let (stretch, _) = of_job(settings, WARM_UP, Job::new("sessions"), 1, |flow, tally| {
            flow.source("bids", Bids::<BIDS_PER_MS>::at_pace(KEYS, 1, tally))
                .event_time(Watermarks::monotonous(), |bid| bid.at)
                .key_by(|bid| bid.auction as u64)
                .window(Session::gap(GAP))
                .count()
                .for_each(|result, _| {
                    black_box(result);
                });
        })?;
        Ok(stretch)
    };
    let rounds = Comparison::run(settings, job, || by_hand(settings))?;
    let notes = vec![
        format!(
            "shard 0 and the loop on core {core}, by turns; 10 k keys, uniform, 1000 records per second of event time: 20 a session"
        ),
        "the loop presumes that event time never goes back, so that no two sessions ever become one"
            .to_owned(),
    ];
    let reference =
        "a hand-written loop with a map of sessions (hashbrown with ahash) and a heap of their ends";
    Ok(vec![rounds.outcome("sessions_10k", reference, Target::None, notes)])
}

struct Open {
    start: i64,
    last: i64,
    count: u64,
}

fn by_hand(settings: &Settings) -> Result<Stretch, Box<dyn Error>> {
    of_loop(settings, WARM_UP, || {
        let gap = GAP.as_millis() as i64;
        let mut bids = Generator::<BIDS_PER_MS>::new(KEYS, 0, 1);
        let mut sessions = hashbrown::HashMap::<u64, Open, ahash::RandomState>::default();
        // One end per session; it is looked at again when the session has gone on.
        let mut ends = BinaryHeap::<Reverse<(i64, u64)>>::new();
        move || {
            let bid = bids.bid();
            let key = bid.auction as u64;
            while let Some(&Reverse((end, over))) = ends.peek()
                && end < bid.at
            {
                ends.pop();
                let Entry::Occupied(session) = sessions.entry(over) else { continue };
                let last = session.get().last;
                if last + gap > end {
                    ends.push(Reverse((last + gap, over)));
                } else {
                    let Open { start, count, .. } = session.remove();
                    black_box(&(over, start, end, count));
                }
            }
            let session = sessions.entry(key).or_insert_with(|| {
                ends.push(Reverse((bid.at + gap, key)));
                Open { start: bid.at, last: bid.at, count: 0 }
            });
            session.last = bid.at;
            session.count += 1;
        }
    })
}

//! `broadcast_rule`: every record to both of two shards, against a hand-written thread that hands each to itself and to another thread.

use std::error::Error;
use std::hint::black_box;

use millstream::prelude::*;
use rtrb::RingBuffer;

use super::Settings;
use crate::bids::{Bid, Bids, Generator};
use crate::outcome::{Outcome, Target};
use crate::throughput::{Comparison, WarmUp, of_job, of_loops, pin};

const KEYS: u64 = 1_000_000;
const WARM_UP: WarmUp = WarmUp { records: 1_000_000 };

/// As many bytes as a ring between two shards has.
const RING_RECORDS: usize = 1024 * 1024 / size_of::<Bid>();

/// How many records go onto the ring at a time: what a frame holds.
const CHUNK: usize = 256;

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let cores = settings.cores_for(2)?;
    let job = || {
        let (stretch, _) = of_job(settings, WARM_UP, Job::new("broadcast_rule"), 2, |flow, tally| {
            flow.source("rules", Bids::new(KEYS, 1, tally)).broadcast().views().for_each(|rule, _| {
                black_box(rule);
            });
        })?;
        Ok(stretch)
    };
    let other = cores[1];
    let by_hand = || of_loops(settings, WARM_UP, 2, || fan_out(other));
    let rounds = Comparison::run(settings, job, by_hand)?;
    let notes = vec![
        format!("shards and threads on cores {} and {other}, by turns; 32-byte records, from one partition", cores[0]),
        "the job gives all records one order on the first shard before they go to both; the rate is that of the source".to_owned(),
        format!("by hand: each record is looked at, and goes over an rtrb ring in chunks of {CHUNK}"),
    ];
    let reference = "a thread that hands each record to itself and over a ring to another one";
    Ok(vec![rounds.outcome("broadcast_rule", reference, Target::None, notes)])
}

/// What makes a record and hands it on at each call. The other thread ends when this is dropped.
fn fan_out(other: usize) -> impl FnMut() {
    let (mut producer, mut consumer) = RingBuffer::<Bid>::new(RING_RECORDS);
    std::thread::spawn(move || {
        pin(other)?;
        while !consumer.is_abandoned() {
            let ready = consumer.slots();
            match consumer.read_chunk(ready) {
                Ok(chunk) if ready > 0 => chunk.into_iter().for_each(|rule| {
                    black_box(&rule);
                }),
                _ => std::hint::spin_loop(),
            }
        }
        Ok::<(), String>(())
    });
    let (mut rules, mut gathered) = (<Generator>::new(KEYS, 0, 1), Vec::with_capacity(CHUNK));
    move || {
        let rule = rules.bid();
        black_box(&rule);
        gathered.push(rule);
        if gathered.len() == CHUNK {
            let chunk = loop {
                match producer.write_chunk_uninit(CHUNK) {
                    Ok(chunk) => break chunk,
                    Err(_) => std::hint::spin_loop(),
                }
            };
            chunk.fill_from_iter(gathered.drain(..));
        }
    }
}

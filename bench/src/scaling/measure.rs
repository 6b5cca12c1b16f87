//! Takes all that the model needs, by turns, and asks it.

use std::error::Error;

use serde_json::{Value, json};

use super::bandwidth::{self, Bandwidth};
use super::model::{Costs, RECORDS_PER_FLUSH, Way};
use super::works::{WORKS, Work, generate};
use super::{KEYS, exchange, state};
use crate::micro::Settings;
use crate::report::model::{Check, Part, Row, Scaling, State};
use crate::throughput::{Rates, Stretch};

/// The shards that are predicted.
const SHARDS: [u16; 7] = [1, 2, 4, 8, 16, 32, 64];

/// How many records go together where the cost of an exchange is measured.
const BATCHES: [usize; 5] = [256, 64, 32, 16, 8];

/// A full frame: what goes together on the own lane of a shard that is alone.
const OWN_BATCH: usize = 256;

/// What a record takes on a ring: 32 bytes of its own, a timestamp and a hash of 8 each. It is written once and read once.
const RING_BYTES: f64 = 2.0 * (32.0 + 8.0 + 8.0);

/// Two lines of a table, tags and entry, which are read and in the end written back.
const STATE_BYTES: f64 = 2.0 * 2.0 * 64.0;

/// What a core's own cache holds, where the system does not say.
const CACHE_BYTES: u64 = 1 << 20;

/// All that comes of it.
pub struct Measured {
    pub rows: Vec<Row>,
    pub models: Vec<Scaling>,
    pub notes: Vec<String>,
    pub raw: Value,
}

type Take<'a> = Box<dyn FnMut() -> Result<Stretch, Box<dyn Error>> + 'a>;

/// What the exchange and the source cost, whatever the work.
struct Parts {
    generate: Rates,
    route: Rates,
    state: Rates,
    own: Vec<Rates>,
    rings: Vec<Rates>,
}

/// Measures everything in rounds: what drifts over minutes reaches all of it.
pub fn measure(settings: &Settings, bandwidth: Option<f64>) -> Result<Measured, Box<dyn Error>> {
    let bandwidths = bandwidth::measure(settings)?;
    let mut takes: Vec<(String, Take<'_>)> = vec![
        ("generate".to_owned(), Box::new(|| generate(settings))),
        ("route".to_owned(), Box::new(|| exchange::route(settings))),
        ("state alone".to_owned(), Box::new(|| state::count(settings, settings.size(KEYS)))),
    ];
    for batch in BATCHES {
        let named = |what: &str| format!("{what} with {batch} records to a flush");
        takes.push((named("own lane"), Box::new(move || exchange::over_own_lane(settings, batch))));
        takes.push((named("ring"), Box::new(move || exchange::over_rings(settings, batch))));
    }
    for work in WORKS {
        for shards in SHARDS {
            let name = format!("{} with the share of one of {shards}", work.name);
            takes.push((name, Box::new(move || work.share_of(settings, shards))));
        }
        takes.push((format!("{} on two shards", work.name), Box::new(move || work.on(settings, 2))));
    }
    let mut stretches = vec![Vec::new(); takes.len()];
    for round in 0..settings.rounds {
        for turn in 0..takes.len() {
            let which = (round + turn) % takes.len();
            let (name, take) = &mut takes[which];
            let stretch = take().map_err(|error| format!("{name}: {error}"))?;
            if stretch.rate <= 0.0 {
                return Err(format!(
                    "{name}: no records in a whole stretch; is the machine busy with something else?"
                )
                .into());
            }
            stretches[which].push(stretch);
        }
    }
    let names: Vec<String> = takes.iter().map(|(name, _)| name.clone()).collect();
    drop(takes);
    let rates: Vec<Rates> = stretches.iter().map(|stretches| Rates::of(stretches)).collect();
    let disturbed =
        names.iter().zip(&rates).filter_map(|(name, rates)| Some((name, rates.disturbed.as_ref()?)));
    let disturbances: Vec<String> =
        disturbed.map(|(name, what)| format!("DISTURBED in every round: {name}: {what}")).collect();
    let mut rates = rates.into_iter();
    let mut next = || rates.next().expect("as many as there were turns");
    let (generate, route, state) = (next(), next(), next());
    let (own, rings) = BATCHES.map(|_| (next(), next())).into_iter().unzip();
    let parts = Parts { generate, route, state, own, rings };
    let mut measured = Measured { rows: Vec::new(), models: Vec::new(), notes: Vec::new(), raw: Value::Null };
    let memory = bandwidth.unwrap_or_else(|| bandwidths.last().map_or(f64::NAN, |all| all.streaming));
    let mut raw = Vec::new();
    for work in WORKS {
        let shares = SHARDS.map(|_| next());
        let two = next();
        let model = predict(work, &parts, &shares, &two, memory);
        measured.rows.extend([row(work, 1, &shares[0]), row(work, 2, &two)]);
        measured.models.push(model);
        raw.push(json!({ "work": work.name, "share_of": SHARDS, "M_records_per_s": shares.map(|share| share.median) }));
    }
    measured.notes = notes(&bandwidths, bandwidth);
    measured.notes.extend(disturbances);
    measured.raw = json!({
        "works": raw,
        "batches": BATCHES,
        "own_lane_ns": parts.own.iter().map(Rates::nanos).collect::<Vec<_>>(),
        "ring_ns": parts.rings.iter().map(Rates::nanos).collect::<Vec<_>>(),
        "memory_bytes_per_s": memory,
    });
    Ok(measured)
}

fn fit(rates: &[Rates]) -> Way {
    let costs: Vec<(f64, f64)> =
        BATCHES.iter().zip(rates).map(|(batch, rates)| (*batch as f64, rates.nanos())).collect();
    Way::fit(&costs)
}

fn predict(work: Work, parts: &Parts, shares: &[Rates; SHARDS.len()], two: &Rates, memory: f64) -> Scaling {
    let (own_lane, ring) = (fit(&parts.own), fit(&parts.rings));
    let cache = cache_bytes();
    let alone: Vec<(u16, f64)> = SHARDS.into_iter().zip(shares.iter().map(Rates::nanos)).collect();
    // What does not fit a core's own cache goes through memory.
    let outside = |shards| (1.0 - cache as f64 / work.state_bytes(shards) as f64).max(0.0);
    let state_bytes = SHARDS.map(|shards| (shards, STATE_BYTES * outside(shards)));
    let costs = Costs {
        alone: alone.clone(),
        own_lane,
        ring,
        own_batch: OWN_BATCH as f64,
        ring_bytes: RING_BYTES,
        state_bytes: state_bytes.to_vec(),
        bandwidth: memory,
    };
    let points = SHARDS.into_iter().map(|shards| costs.predict(shards)).collect();
    let check = |shards: u16, rates: &Rates| Check {
        shards,
        predicted: costs.predict(shards).events_per_second,
        measured: rates.median * 1e6,
        disturbed: rates.disturbed.is_some(),
    };
    let checks = vec![check(1, &shares[0]), check(2, two)];
    Scaling { work: work.name.to_owned(), parts: shown(work, parts, &costs), points, checks }
}

/// What is shown of a record's way.
fn shown(work: Work, parts: &Parts, costs: &Costs) -> Vec<Part> {
    let part = |name: &str, nanos: f64, how: &str| Part { name: name.to_owned(), nanos, how: how.to_owned() };
    let (generate, own) = (parts.generate.nanos(), costs.own_lane.nanos(costs.own_batch));
    let alone = costs.alone[0].1;
    let mut shown = vec![
        part("generate", generate, "a job of a source alone, with event time"),
        part("route", parts.route.nanos(), "hashing and writing into a batch that goes nowhere"),
        part("own lane", own, "route, a frame of 256 and a watermark to the same thread, and reading it"),
        part(
            "ring, per record",
            costs.ring.nanos_per_record,
            "route, over a ring and back between two threads: the straight line through several batch sizes",
        ),
        part(
            "ring, per flush",
            costs.ring.nanos_per_flush,
            "of the same line: a frame, a watermark and their reading, however few records",
        ),
        part(work.operator, alone - generate - own, "what is left of the whole job on one shard"),
        part("whole job, one shard", alone, "measured"),
    ];
    if work.operator == "state" {
        shown.push(part(
            "state alone",
            parts.state.nanos(),
            "a table of as many keys, in batches of 256, with nothing around it",
        ));
    }
    for shards in [2, 16, 64] {
        let nanos = costs.nanos(shards);
        let how = format!(
            "of {:.1} ns, with {:.0} records to a flush",
            nanos.local + nanos.rings,
            RECORDS_PER_FLUSH / f64::from(shards)
        );
        shown.push(part(&format!("rings, {shards} shards"), nanos.rings, &how));
    }
    shown
}

fn row(work: Work, shards: u16, rates: &Rates) -> Row {
    Row {
        work: work.name.to_owned(),
        system: "millstream".to_owned(),
        shards,
        state: if rates.disturbed.is_some() { State::Disturbed } else { State::Ok },
        because: rates.disturbed.clone().or_else(|| {
            (rates.left_out > 0).then(|| format!("{} disturbed stretches were left out", rates.left_out))
        }),
        events_per_second: Some(rates.median * 1e6),
        spread: Some((rates.spread.0 * 1e6, rates.spread.1 * 1e6)),
        ..Row::default()
    }
}

fn notes(bandwidths: &[Bandwidth], given: Option<f64>) -> Vec<String> {
    let mut notes: Vec<String> = bandwidths.iter().map(Bandwidth::describe).collect();
    notes.push(match given {
        Some(bytes) => format!("predictions are for a machine whose memory lets {:.1} GB/s through, as given", bytes / 1e9),
        None => "predictions are for a machine with more cores and the memory of this one; give that of another with --memory-bandwidth".to_owned(),
    });
    notes
}

/// What the second-level cache of a core holds.
fn cache_bytes() -> u64 {
    let size = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index2/size").unwrap_or_default();
    let kilobytes = size.trim().strip_suffix('K').and_then(|size| size.parse::<u64>().ok());
    kilobytes.map_or(CACHE_BYTES, |kilobytes| kilobytes * 1024)
}

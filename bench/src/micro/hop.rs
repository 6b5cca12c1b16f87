//! `hop_one_way_*`: one record at a time from a shard to another, through a whole job, beside the bare machine and a bare ring.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use millstream::element::{Nanos, ShardId};
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};
use serde_json::{Value, json};

use super::Settings;
use crate::clock::monotonic_nanos;
use crate::outcome::{Outcome, Target};
use crate::stats::{median, spread};
use crate::throughput::pin;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How many crossings are not counted after a start.
const WARM_UP: u64 = 100_000;

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let cores = settings.cores_for(2)?;
    let (mut job, mut atomic, mut ring) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        job.extend(through_a_job(&cores, settings.seconds(4.0))?);
        atomic.extend(over_an_atomic(&cores, settings.seconds(2.0))?);
        ring.extend(over_a_ring(&cores, settings.seconds(2.0))?);
    }
    let crossings: u64 = job.iter().map(|second| second.crossings).sum();
    let notes = vec![
        format!(
            "source on shard 0 on core {}, keyed fold and sink on shard 1 on core {}; busy polling",
            cores[0], cores[1]
        ),
        format!(
            "{} to {} records/s, one at a time; from the source's poll to the sink's write, with two readings of the clock",
            spread(job.iter().map(|second| second.crossings as f64)).0,
            spread(job.iter().map(|second| second.crossings as f64)).1
        ),
        format!("{crossings} crossings in {} seconds", job.len()),
        format!(
            "bare atomic, half a round trip: p50 {:.0} ns, p99 {:.0} ns; rtrb, one way: p50 {:.0} ns, p99 {:.0} ns",
            median_of(&atomic, |second| second.p50),
            median_of(&atomic, |second| second.p99),
            median_of(&ring, |second| second.p50),
            median_of(&ring, |second| second.p99)
        ),
    ];
    let raw = json!({ "job": to_json(&job), "atomic": to_json(&atomic), "rtrb": to_json(&ring) });
    let figure = |name, quantile: fn(&Second) -> f64, most| Outcome {
        name,
        unit: "ns",
        value: median_of(&job, quantile),
        reference: median_of(&atomic, quantile),
        reference_is: "half a round trip between two threads over bare atomics",
        spread: spread(job.iter().map(quantile)),
        ratio_spread: None,
        target: Target::ValueAtMost(most),
        notes: notes.clone(),
        disturbed: Vec::new(),
        raw: raw.clone(),
    };
    Ok(vec![
        figure("hop_one_way_p50_ns", |second| second.p50, 1000.0),
        figure("hop_one_way_p99_ns", |second| second.p99, 5000.0),
    ])
}

fn median_of(seconds: &[Second], quantile: impl Fn(&Second) -> f64) -> f64 {
    median(seconds.iter().map(quantile))
}

fn to_json(seconds: &[Second]) -> Vec<Value> {
    let one = |second: &Second| json!({ "p50": second.p50, "p99": second.p99, "max": second.max, "crossings": second.crossings });
    seconds.iter().map(one).collect()
}

/// The crossings of one second.
#[derive(Clone, Debug)]
struct Second {
    p50: f64,
    p99: f64,
    max: f64,
    crossings: u64,
}

/// Gathers crossings second by second.
struct Seconds {
    histogram: Histogram<u64>,
    crossings: u64,
    /// When the second at hand ends; 0 while warming up.
    end: u64,
    seconds: Vec<Second>,
}

impl Seconds {
    fn new() -> Seconds {
        let histogram = Histogram::new_with_bounds(1, NANOS_PER_SECOND, 3).expect("the bounds are in order");
        Seconds { histogram, crossings: 0, end: 0, seconds: Vec::new() }
    }

    #[inline(always)]
    fn record(&mut self, nanos: u64, now: u64) {
        self.crossings += 1;
        if self.end == 0 {
            if self.crossings >= WARM_UP {
                self.end = now + NANOS_PER_SECOND;
            }
            return;
        }
        if now >= self.end {
            self.turn(now);
        }
        self.histogram.saturating_record(nanos);
    }

    #[cold]
    fn turn(&mut self, now: u64) {
        let of = &self.histogram;
        self.seconds.push(Second {
            p50: of.value_at_quantile(0.5) as f64,
            p99: of.value_at_quantile(0.99) as f64,
            max: of.max() as f64,
            crossings: of.len(),
        });
        self.histogram.reset();
        self.end = now + NANOS_PER_SECOND;
    }
}

/// A record that says when it was sent.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Probe {
    key: u64,
    sent: u64,
}

/// What source and sinks share.
struct Flight {
    /// How many probes have arrived.
    arrived: AtomicU64,
    /// The shard on which the last one did.
    at: AtomicU64,
    seconds: Mutex<Vec<Second>>,
}

fn through_a_job(cores: &[usize], time: Duration) -> Result<Vec<Second>, Box<dyn Error>> {
    let flight =
        Arc::new(Flight { arrived: AtomicU64::new(0), at: AtomicU64::new(0), seconds: Mutex::default() });
    let of_job = flight.clone();
    let handle = Job::new("hop").shards(2).cores(cores).wait(WaitPolicy::Spin).spawn(move |flow| {
        let arrivals =
            Arrivals { flight: of_job.clone(), shard: ShardId(0), arrived: 0, seconds: Seconds::new() };
        flow.source("probes", Probes(of_job.clone()))
            .event_time(Watermarks::monotonous(), |probe| (probe.sent / 1_000_000) as i64)
            .key_by(|probe| probe.key)
            .fold(0u64, |sent, probe| *sent = probe.sent)
            .sink("arrivals", arrivals);
    })?;
    let started = Instant::now();
    while flight.arrived.load(Ordering::Relaxed) < WARM_UP {
        if started.elapsed() > Duration::from_secs(60) {
            handle.cancel();
            return Err("no records cross from shard 0 to shard 1".into());
        }
        sleep(Duration::from_millis(1));
    }
    // A second is told when it is over.
    sleep(time + Duration::from_millis(50));
    handle.cancel();
    handle.wait()?;
    let seconds = flight.seconds.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match seconds.is_empty() {
        true => Err("no second was completed; measure longer".into()),
        false => Ok(seconds.clone()),
    }
}

/// Gives the next probe when the last one has arrived, with a key that leads to shard 1.
struct Probes(Arc<Flight>);

impl Source for Probes {
    type Item = Probe;
    type Reader = ProbeReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(vec![PartitionId("0".to_owned())])
    }

    fn open(&self, _: &PartitionId, _: Option<&[u8]>, _: &ReaderContext) -> Result<ProbeReader, SourceError> {
        Ok(ProbeReader { flight: self.0.clone(), sent: 0, key: 0 })
    }

    fn replay(&self) -> Replay {
        Replay::No { because: "probes measure the present".to_owned() }
    }

    fn bounded(&self) -> bool {
        false
    }
}

struct ProbeReader {
    flight: Arc<Flight>,
    sent: u64,
    key: u64,
}

impl Reader for ProbeReader {
    type Item = Probe;

    fn poll(&mut self, _: Nanos, out: &mut Records<Probe>) -> Result<SourcePoll, SourceError> {
        if self.flight.arrived.load(Ordering::Acquire) < self.sent {
            return Ok(SourcePoll::Idle { until: None });
        }
        if self.flight.at.load(Ordering::Relaxed) == 0 {
            self.key += 1;
        }
        self.sent += 1;
        out.push(Probe { key: self.key, sent: monotonic_nanos() });
        Ok(SourcePoll::Idle { until: None })
    }

    fn offset(&self, _: &mut Vec<u8>) {}

    fn place(&self, index: usize) -> String {
        format!("probe {}", self.sent + index as u64)
    }
}

/// Takes the time of arrivals on shard 1.
struct Arrivals {
    flight: Arc<Flight>,
    shard: ShardId,
    arrived: u64,
    seconds: Seconds,
}

impl Sink<(u64, u64)> for Arrivals {
    fn delivery(&self) -> Delivery {
        Delivery::Plain
    }

    fn open(&mut self, context: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        self.shard = context.shard;
        Ok(())
    }

    #[inline(always)]
    fn write(&mut self, (_, sent): &(u64, u64), _: Timestamp) -> Result<(), SinkError> {
        let now = monotonic_nanos();
        if self.shard == ShardId(1) {
            let before = self.seconds.seconds.len();
            self.seconds.record(now.saturating_sub(*sent), now);
            if self.seconds.seconds.len() > before {
                let mut all = self.flight.seconds.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                all.extend(self.seconds.seconds.last().cloned());
            }
        }
        // The only probe under way is this one: nobody else writes.
        self.arrived = self.flight.arrived.load(Ordering::Relaxed) + 1;
        self.flight.at.store(u64::from(self.shard.0), Ordering::Relaxed);
        self.flight.arrived.store(self.arrived, Ordering::Release);
        Ok(())
    }
}

/// Two threads that answer each other over two atomics.
fn over_an_atomic(cores: &[usize], time: Duration) -> Result<Vec<Second>, Box<dyn Error>> {
    #[repr(align(128))]
    struct Line(AtomicU64);
    let (ball, answer) = (Line(AtomicU64::new(0)), Line(AtomicU64::new(0)));
    let (there, stop) = (&ball.0, &AtomicBool::new(false));
    let back = &answer.0;
    between(
        cores,
        time,
        stop,
        move || {
            let mut last = 0;
            while !stop.load(Ordering::Relaxed) {
                let now = there.load(Ordering::Acquire);
                if now != last {
                    last = now;
                    back.store(now, Ordering::Release);
                }
            }
        },
        move |seconds| {
            let mut turn = 0;
            while !stop.load(Ordering::Relaxed) {
                turn += 1;
                let sent = monotonic_nanos();
                there.store(turn, Ordering::Release);
                while back.load(Ordering::Acquire) != turn && !stop.load(Ordering::Relaxed) {}
                let now = monotonic_nanos();
                seconds.record((now - sent) / 2, now);
            }
        },
    )
}

/// One word at a time over a ring of the crate that the engine's rings are made of.
fn over_a_ring(cores: &[usize], time: Duration) -> Result<Vec<Second>, Box<dyn Error>> {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(1024);
    let (arrived, stop) = (&AtomicU64::new(0), &AtomicBool::new(false));
    between(
        cores,
        time,
        stop,
        move || {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                if arrived.load(Ordering::Acquire) == sent && producer.push(monotonic_nanos()).is_ok() {
                    sent += 1;
                }
            }
        },
        move |seconds| {
            let mut taken = 0;
            while !stop.load(Ordering::Relaxed) {
                if let Ok(sent) = consumer.pop() {
                    let now = monotonic_nanos();
                    seconds.record(now.saturating_sub(sent), now);
                    taken += 1;
                    arrived.store(taken, Ordering::Release);
                }
            }
        },
    )
}

/// Runs one thing on the first core and what takes the time on the second.
fn between(
    cores: &[usize],
    time: Duration,
    stop: &AtomicBool,
    here: impl FnOnce() + Send,
    there: impl FnOnce(&mut Seconds) + Send,
) -> Result<Vec<Second>, Box<dyn Error>> {
    std::thread::scope(|scope| {
        let first = scope.spawn(|| pin(cores[0]).map(|()| here()));
        let second = scope.spawn(|| {
            pin(cores[1])?;
            let mut seconds = Seconds::new();
            there(&mut seconds);
            Ok::<_, String>(seconds.seconds)
        });
        sleep(time + Duration::from_millis(250));
        stop.store(true, Ordering::Relaxed);
        first.join().map_err(|_| "a thread of a reference panicked")??;
        let seconds = second.join().map_err(|_| "a thread of a reference panicked")??;
        match seconds.is_empty() {
            true => Err("no second of a reference was completed; measure longer".into()),
            false => Ok(seconds),
        }
    })
}

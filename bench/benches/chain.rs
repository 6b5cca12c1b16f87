//! What a stateless operator costs in a chain: 1024 records through chains of one, four and eight operators, in a whole job, against
//! the same steps in a hand-written loop.

#![allow(missing_docs)] // criterion's macro

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};

const RECORDS_PER_TURN: u64 = 1024;

/// Gives numbers from 0 and takes the time from the first poll to the last.
struct Numbers {
    count: u64,
    elapsed: Arc<Mutex<Duration>>,
}

struct NumbersReader {
    next: u64,
    count: u64,
    began: Option<Instant>,
    elapsed: Arc<Mutex<Duration>>,
}

impl Source for Numbers {
    type Item = u64;
    type Reader = NumbersReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(vec![PartitionId("0".to_owned())])
    }

    fn open(
        &self,
        _: &PartitionId,
        _: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<NumbersReader, SourceError> {
        Ok(NumbersReader { next: 0, count: self.count, began: None, elapsed: self.elapsed.clone() })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

impl Reader for NumbersReader {
    type Item = u64;

    fn poll(&mut self, _: Nanos, out: &mut Records<u64>) -> Result<SourcePoll, SourceError> {
        let began = *self.began.get_or_insert_with(Instant::now);
        if self.next == self.count {
            *self.elapsed.lock().expect("nobody panics with it") = began.elapsed();
            return Ok(SourcePoll::End);
        }
        let end = self.count.min(self.next + out.room() as u64);
        out.extend(self.next..end);
        self.next = end;
        Ok(SourcePoll::More)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.to_le_bytes());
    }

    fn place(&self, index: usize) -> String {
        format!("number {index} of the last poll, before {}", self.next)
    }
}

/// Runs a job over `turns` times 1024 numbers.
fn in_a_job(turns: u64, program: fn(&Flow, Numbers)) -> Duration {
    let elapsed = Arc::new(Mutex::new(Duration::ZERO));
    let taken = elapsed.clone();
    Job::new("chain")
        .driver(DriverKind::Thread)
        .run(move |flow| program(flow, Numbers { count: turns * RECORDS_PER_TURN, elapsed: taken.clone() }))
        .expect("the job has nothing to fail at");
    *elapsed.lock().expect("nobody panics with it")
}

fn forget(n: &u64, _: Timestamp) {
    black_box(n);
}

fn one(flow: &Flow, numbers: Numbers) {
    flow.source("numbers", numbers).map(|n| n ^ 0x5555).for_each(forget);
}

fn four(flow: &Flow, numbers: Numbers) {
    flow.source("numbers", numbers)
        .map(|n| n ^ 0x5555)
        .filter(|n| n % 64 != 0)
        .map(|n| n * 3)
        .filter(|n| n & 0x80 == 0)
        .for_each(forget);
}

fn eight(flow: &Flow, numbers: Numbers) {
    flow.source("numbers", numbers)
        .map(|n| n ^ 0x5555)
        .filter(|n| n % 64 != 0)
        .map(|n| n * 3)
        .filter(|n| n & 0x80 == 0)
        .map(|n| n + 7)
        .filter(|n| n % 1024 != 1)
        .map(|n| n >> 1)
        .filter(|n| *n != 0x1234)
        .for_each(forget);
}

/// The eight steps by hand.
fn by_hand(turns: u64) -> Duration {
    let began = Instant::now();
    for n in 0..turns * RECORDS_PER_TURN {
        let n = n ^ 0x5555;
        if n % 64 == 0 {
            continue;
        }
        let n = n * 3;
        if n & 0x80 != 0 {
            continue;
        }
        let n = n + 7;
        if n % 1024 == 1 {
            continue;
        }
        let n = n >> 1;
        if n != 0x1234 {
            black_box(&n);
        }
    }
    began.elapsed()
}

fn chains(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chain");
    group.throughput(Throughput::Elements(RECORDS_PER_TURN));
    group.bench_function("reference: eight steps by hand", |bench| bench.iter_custom(by_hand));
    group.bench_function("1 operator", |bench| bench.iter_custom(|turns| in_a_job(turns, one)));
    group.bench_function("4 operators", |bench| bench.iter_custom(|turns| in_a_job(turns, four)));
    group.bench_function("8 operators", |bench| bench.iter_custom(|turns| in_a_job(turns, eight)));
    group.finish();
}

criterion_group!(benches, chains);
criterion_main!(benches);

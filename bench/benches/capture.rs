//! What a checkpoint takes from a running shard: handing out pages, first writes to pages that are not saved yet, copying records in
//! flight out of a ring.

#![allow(missing_docs)] // criterion's macro

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millstream_engine::arena::{Arena, ArenaConfig, StateName};
use millstream_engine::channel::{BatchShape, OverflowBudget, ring_lane};
use millstream_engine::element::{Epoch, KeyHash, Timestamp};
use millstream_engine::key::{HashSeed, Key};
use millstream_engine::limits::PAGE_BYTES;
use millstream_engine::limits::RING_BYTES_DEFAULT;
use millstream_engine::runtime::Waker;
use millstream_engine::state::Table;

const KEYS: u64 = 1_000_000;
const SEED: HashSeed = HashSeed(7);
const BATCH: usize = 256;

/// A running count per key, every page of it written since the last checkpoint.
struct Counts {
    arena: Arena,
    table: Table<u64, u64>,
    epoch: Epoch,
    next: u64,
}

impl Counts {
    fn new() -> Counts {
        let mut arena = Arena::new(ArenaConfig::new("count")).expect("there is address space");
        let table = Table::new(&mut arena, &StateName::new("count", "value"));
        let mut counts = Counts { arena, table, epoch: Epoch(0), next: 1 };
        (0..KEYS).for_each(|key| counts.count(key.hash(SEED)));
        counts
    }

    fn count(&mut self, hash: KeyHash) {
        let counted = self.table.update(&mut self.arena, hash, &[], || 0, |count| *count += 1);
        counted.expect("there is no limit on memory");
    }

    /// Keys in no order.
    fn hashes(&mut self) -> [KeyHash; BATCH] {
        std::array::from_fn(|_| {
            self.next = self.next.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            (self.next >> 32).wrapping_mul(KEYS).wrapping_shr(32).hash(SEED)
        })
    }

    fn count_batch(&mut self, hashes: &[KeyHash]) {
        let counted =
            self.table.update_batch(&mut self.arena, hashes, |_| &[], |_| 0, |_, count, _| *count += 1);
        counted.expect("there is no limit on memory");
    }

    fn begin(&mut self) {
        self.epoch.0 += 1;
        self.arena.begin_checkpoint(self.epoch);
    }

    /// Hands out all pages of the running checkpoint.
    fn save(&mut self) -> usize {
        let mut pages = 0;
        let done = self.arena.save_some(usize::MAX, &mut |page| {
            pages += 1;
            black_box(page.bytes);
        });
        done.expect("all pages are in memory");
        self.arena.finish_checkpoint();
        pages
    }
}

fn pages(criterion: &mut Criterion) {
    let mut counts = Counts::new();
    let mut group = criterion.benchmark_group("capture");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    group.bench_function("256 counts, no checkpoint running", |bench| {
        bench.iter_custom(|turns| {
            let mut elapsed = Duration::ZERO;
            for _ in 0..turns {
                let hashes = counts.hashes();
                let began = Instant::now();
                counts.count_batch(&hashes);
                elapsed += began.elapsed();
            }
            elapsed
        });
    });
    group.bench_function("256 counts, first behind a switch", |bench| {
        bench.iter_custom(|turns| {
            let mut elapsed = Duration::ZERO;
            for _ in 0..turns {
                // What was not saved goes along with the next checkpoint, so that all pages are unsaved each time.
                counts.begin();
                let hashes = counts.hashes();
                let began = Instant::now();
                counts.count_batch(&hashes);
                elapsed += began.elapsed();
            }
            counts.save();
            elapsed
        });
    });
    group.bench_function("reference: 256 pages copied", |bench| {
        let (from, mut to) = (vec![[1u8; PAGE_BYTES]; BATCH], vec![[0u8; PAGE_BYTES]; BATCH]);
        bench.iter(|| to.copy_from_slice(black_box(&from)));
    });
    group.finish();
}

fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("capture");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("256 records in flight, switch and copy", |bench| {
        let shape = BatchShape::keyed::<u64, u64>();
        let (outlet, inlet) =
            ring_lane(RING_BYTES_DEFAULT, Waker::new(), Waker::new()).expect("the default size");
        let mut outlet = outlet.open(shape, OverflowBudget::new(0)).expect("a small record");
        let mut inlet = inlet.open(shape);
        let mut epoch = Epoch(0);
        bench.iter_custom(|turns| {
            let mut elapsed = Duration::ZERO;
            for _ in 0..turns {
                for n in 0..BATCH as u64 {
                    outlet.push(Timestamp(0), n.hash(SEED), &n, &n).expect("there is room");
                }
                outlet.flush().expect("there is room");
                epoch.0 += 1;
                let began = Instant::now();
                outlet.switch(epoch, &mut Vec::new()).expect("one epoch after the other");
                inlet.switch(epoch).expect("one epoch after the other");
                while !inlet.capture_some(4096) {}
                black_box(inlet.take_capture());
                elapsed += began.elapsed();
                while let millstream_engine::channel::Peek::Frame(_) = inlet.peek() {
                    inlet.consume();
                }
            }
            elapsed
        });
    });
    group.finish();
}

criterion_group!(benches, pages, ring);
criterion_main!(benches);

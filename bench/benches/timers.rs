//! The timer queue against a `BTreeSet<(i64, u64)>`, in the same run: registering, firing and deleting a million timers.
//!
//! Prints first what criterion does not measure: the cost of each operation over several distributions of time, the slowest single
//! call, how much memory timers take, and how long the switch to a new checkpoint takes.
#![allow(unsafe_code)] // reads the thread's processor time

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use millstream_engine::arena::{Arena, ArenaConfig, StateName};
use millstream_engine::checkpoint::codec::Writer;
use millstream_engine::element::{Epoch, Timestamp};
use millstream_engine::key::{HashSeed, Key};
use millstream_engine::limits::PAGE_BYTES;
use millstream_engine::timers::{Due, Pop, TimerQueue};

const COUNT: u64 = 1_000_000;
const SEED: HashSeed = HashSeed(0x5EED);

type Timer = (i64, u64);

/// How the timers lie in time.
const SHAPES: [(&str, fn(u64) -> i64); 5] = [
    ("one tick", |_| 1000),
    ("1 s, in order", |n| (n * 1000 / COUNT) as i64),
    ("1 s, any order", |n| (scatter(n) % 1000) as i64),
    ("1 h, in order", |n| (n * 3_600_000 / COUNT) as i64),
    ("1 h, any order", |n| (scatter(n) % 3_600_000) as i64),
];

fn scatter(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}

fn timers_of(at: fn(u64) -> i64) -> Vec<Timer> {
    (0..COUNT).map(|n| (at(n), scatter(n))).collect()
}

struct Paged {
    arena: Arena,
    queue: TimerQueue<u64>,
    due: Due,
}

impl Paged {
    fn new() -> Paged {
        let mut arena = Arena::new(ArenaConfig::new("alerts")).expect("address space");
        let queue = TimerQueue::new(&mut arena, &StateName::new("alerts", "timers"));
        Paged { arena, queue, due: Due::default() }
    }

    fn filled(timers: &[Timer]) -> Paged {
        let mut paged = Paged::new();
        timers.iter().for_each(|&timer| paged.register(timer));
        paged
    }

    #[inline(always)]
    fn register(&mut self, (at, key): Timer) {
        let new = self.queue.register(&mut self.arena, Timestamp(at), key.hash(SEED), &[]);
        new.expect("memory without limit");
    }

    #[inline(always)]
    fn delete(&mut self, (at, key): Timer) {
        let was = self.queue.delete(&mut self.arena, Timestamp(at), key.hash(SEED), &[]);
        was.expect("memory without limit");
    }

    #[inline(always)]
    fn pop(&mut self) -> Pop {
        self.queue.pop(&mut self.arena, Timestamp::MAX, &mut self.due).expect("memory without limit")
    }

    fn fire(&mut self) -> u64 {
        let mut sum = 0u64;
        while self.pop() != Pop::Done {
            sum = sum.wrapping_add(self.due.hash.0);
        }
        sum
    }
}

fn fire_set(set: &mut BTreeSet<Timer>) -> u64 {
    let mut sum = 0u64;
    while let Some((_, key)) = set.pop_first() {
        sum = sum.wrapping_add(key);
    }
    sum
}

/// The processor time of this thread: what the machine gives to others meanwhile does not count.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to the one `timespec` it is given.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "every Linux has this clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Does something with every timer, twice from the beginning: gives the nanoseconds per timer, and the slowest call (with what it takes
/// to read the clock), both in processor time.
fn each<T>(timers: &[Timer], begin: impl Fn() -> T, operation: impl Fn(&mut T, Timer)) -> (f64, Duration) {
    let mut state = begin();
    let start = processor_time();
    timers.iter().for_each(|&timer| operation(&mut state, timer));
    let all = processor_time() - start;
    let mut state = begin();
    let slowest = timers.iter().map(|&timer| {
        let start = processor_time();
        operation(&mut state, timer);
        processor_time() - start
    });
    (all.as_nanos() as f64 / timers.len() as f64, slowest.max().unwrap_or_default())
}

fn figures(what: &str, timers: &[Timer]) {
    let mut paged = Paged::filled(timers);
    let pages = paged.arena.pages_in_use();
    let bytes = f64::from(pages) * PAGE_BYTES as f64 / timers.len() as f64;
    let start = processor_time();
    paged.arena.begin_checkpoint(Epoch(1));
    let mut out = Writer::new();
    paged.queue.save(&mut out);
    let switch = processor_time() - start;
    drop(paged);
    println!("{what}: {bytes:.1} bytes per timer; switch {switch:?}, {} bytes", out.len());

    // No call waits for the kernel's memory: a shard sees to that beforehand.
    let empty = || {
        let mut paged = Paged::new();
        (0..=pages / Arena::PAGES_PER_FAULT).for_each(|_| paged.arena.prefault(pages));
        paged
    };
    let filled_set = || timers.iter().copied().collect::<BTreeSet<_>>();
    let ours = [
        each(timers, empty, Paged::register),
        each(timers, || Paged::filled(timers), |paged, _| while paged.pop() == Pop::Again {}),
        each(timers, || Paged::filled(timers), Paged::delete),
    ];
    let theirs = [
        each(timers, BTreeSet::new, |set, timer| {
            set.insert(timer);
        }),
        each(timers, filled_set, |set, _| {
            set.pop_first();
        }),
        each(timers, filled_set, |set, timer| {
            set.remove(&timer);
        }),
    ];
    for (operation, (ours, theirs)) in ["register", "fire", "delete"].iter().zip(ours.iter().zip(theirs)) {
        println!(
            "  {operation:8} {:4.0} ns, slowest {:8.1?}; set {:4.0} ns, slowest {:8.1?}",
            ours.0, ours.1, theirs.0, theirs.1
        );
    }
}

/// A named timer per key that every record puts off.
fn named(keys: u64, records: u64) {
    let mut paged = Paged::new();
    let idle = paged.queue.name("idle").expect("the first name");
    let start = processor_time();
    for n in 0..records {
        let hash = (scatter(n) % keys).hash(SEED);
        let at = Timestamp(n as i64 + 60_000);
        paged.queue.reset(&mut paged.arena, idle, at, hash, &[]).expect("memory without limit");
    }
    let reset = (processor_time() - start).as_nanos() as f64 / records as f64;
    let start = processor_time();
    black_box(paged.fire());
    let fire = (processor_time() - start).as_nanos() as f64 / keys as f64;
    println!("named, {keys} keys: reset {reset:.0} ns, fire {fire:.0} ns");
}

fn operations(criterion: &mut Criterion) {
    for (what, at) in SHAPES {
        let timers = timers_of(at);
        let mut group = criterion.benchmark_group(format!("timers, {what}"));
        group.sample_size(10).throughput(Throughput::Elements(COUNT));
        let filled_set = || timers.iter().copied().collect::<BTreeSet<_>>();
        let size = BatchSize::PerIteration;
        group.bench_function(BenchmarkId::new("register", "queue"), |b| {
            b.iter_with_large_drop(|| Paged::filled(&timers));
        });
        group.bench_function(BenchmarkId::new("register", "set"), |b| {
            b.iter_with_large_drop(|| {
                let mut set = BTreeSet::new();
                timers.iter().for_each(|&timer| {
                    set.insert(timer);
                });
                set
            });
        });
        group.bench_function(BenchmarkId::new("fire", "queue"), |b| {
            b.iter_batched_ref(|| Paged::filled(&timers), |paged| black_box(paged.fire()), size);
        });
        group.bench_function(BenchmarkId::new("fire", "set"), |b| {
            b.iter_batched_ref(filled_set, |set| black_box(fire_set(set)), size);
        });
        group.bench_function(BenchmarkId::new("delete", "queue"), |b| {
            let delete = |paged: &mut Paged| timers.iter().for_each(|&timer| paged.delete(timer));
            b.iter_batched_ref(|| Paged::filled(&timers), delete, size);
        });
        group.bench_function(BenchmarkId::new("delete", "set"), |b| {
            let delete = |set: &mut BTreeSet<Timer>| {
                timers.iter().for_each(|timer| {
                    set.remove(timer);
                });
            };
            b.iter_batched_ref(filled_set, delete, size);
        });
        group.finish();
    }
}

fn main() {
    // One core for all of it, so that what is compared runs in the same place.
    core_affinity::set_for_current(core_affinity::CoreId { id: 0 });
    for (what, at) in SHAPES {
        figures(what, &timers_of(at));
    }
    named(1_000, 4 * COUNT);
    named(100_000, 4 * COUNT);
    if std::env::args().any(|arg| arg == "figures") {
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    operations(&mut criterion);
    criterion.final_summary();
}

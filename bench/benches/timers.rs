//! The timer queue against a `BTreeSet<(i64, u64)>`, in the same run: registering, firing and deleting a million timers.
//!
//! Prints first what criterion does not measure: the cost of each operation over several distributions of time, the slowest single
//! call, how much memory timers take, and how long the switch to a new checkpoint takes.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

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

/// Nanoseconds per timer, and the slowest call.
fn each(timers: &[Timer], mut operation: impl FnMut(Timer)) -> (f64, Duration) {
    let (mut slowest, begin) = (Duration::ZERO, Instant::now());
    for &timer in timers {
        let start = Instant::now();
        operation(timer);
        slowest = slowest.max(start.elapsed());
    }
    (begin.elapsed().as_nanos() as f64 / timers.len() as f64, slowest)
}

fn figures(what: &str, timers: &[Timer]) {
    let mut paged = Paged::new();
    let register = each(timers, |timer| paged.register(timer));
    let bytes = f64::from(paged.arena.pages_in_use()) * PAGE_BYTES as f64 / timers.len() as f64;
    let start = Instant::now();
    paged.arena.begin_checkpoint(Epoch(1));
    let mut out = Writer::new();
    paged.queue.save(&mut out);
    let switch = start.elapsed();
    paged.arena.abort_checkpoint();
    let fire = each(timers, |_| while paged.pop() == Pop::Again {});
    let mut paged = Paged::filled(timers);
    let delete = each(timers, |timer| paged.delete(timer));

    let mut set = BTreeSet::new();
    let set_register = each(timers, |timer| {
        set.insert(timer);
    });
    let set_fire = each(timers, |_| {
        set.pop_first();
    });
    set.extend(timers);
    let set_delete = each(timers, |timer| {
        set.remove(&timer);
    });
    println!("{what}: {bytes:.1} bytes per timer; switch {switch:?}, {} bytes", out.len());
    for (operation, ours, theirs) in
        [("register", register, set_register), ("fire", fire, set_fire), ("delete", delete, set_delete)]
    {
        println!(
            "  {operation:8} {:4.0} ns, slowest {:9.1?}; set {:4.0} ns, slowest {:9.1?}",
            ours.0, ours.1, theirs.0, theirs.1
        );
    }
}

/// A named timer per key that every record puts off.
fn named(keys: u64, records: u64) {
    let mut paged = Paged::new();
    let idle = paged.queue.name("idle").expect("the first name");
    let begin = Instant::now();
    for n in 0..records {
        let hash = (scatter(n) % keys).hash(SEED);
        let at = Timestamp(n as i64 + 60_000);
        paged.queue.reset(&mut paged.arena, idle, at, hash, &[]).expect("memory without limit");
    }
    let reset = begin.elapsed().as_nanos() as f64 / records as f64;
    let begin = Instant::now();
    black_box(paged.fire());
    let fire = begin.elapsed().as_nanos() as f64 / keys as f64;
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

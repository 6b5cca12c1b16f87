//! The keyed table against hashbrown with ahash, in the same run: a running count per key.
//!
//! Prints first what criterion does not measure: the ratio as the median of alternating runs, bytes per key, the slowest single
//! insert while a table grows, and the first write to a page while a checkpoint runs.
#![allow(unsafe_code)] // implements `Key` and `Record` for the words it counts

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use hdrhistogram::Histogram;
use millstream_engine::arena::{Arena, ArenaConfig, StateName};
use millstream_engine::element::{Epoch, KeyHash};
use millstream_engine::key::{HashSeed, Key, KeyShape};
use millstream_engine::limits::PAGE_BYTES;
use millstream_engine::record::{Layout, Record, RecordBuf, RecordError};
use millstream_engine::state::Table;

/// A key whose hash is a bijection.
struct Word;
/// A running count.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Count(u64);

fn layout() -> Layout {
    Layout { text: "u64".into(), fingerprint: 0 }
}

/// A bijection of 64-bit words (the finaliser of splitmix64).
#[inline(always)]
fn hash(key: u64) -> KeyHash {
    let mut x = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    KeyHash(x ^ (x >> 31))
}

// SAFETY: only the hashes above are used with tables of this key, and they are injective.
unsafe impl Key for Word {
    type Owned = ();
    const SHAPE: KeyShape = KeyShape::InHash;
    fn hash(&self, _: HashSeed) -> KeyHash {
        unreachable!("the benchmark hashes words itself")
    }
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(_: KeyHash, _: &[u8], _: HashSeed) {}
    fn show(hash: KeyHash, _: &[u8], _: HashSeed) -> String {
        format!("{hash:?}")
    }
    fn layout() -> Layout {
        layout()
    }
}

// SAFETY: a transparent `u64`: no padding, its own bytes.
unsafe impl Record for Count {
    type View = Count;
    const SIZE: Option<usize> = Some(8);
    const PLAIN: bool = true;
    fn encode(&self, out: &mut RecordBuf) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }
    unsafe fn view_unchecked(bytes: &[u8]) -> &Count {
        // SAFETY: the caller's promise.
        unsafe { &*bytes.as_ptr().cast() }
    }
    fn view(_: &[u8]) -> Result<&Count, RecordError> {
        unreachable!("the benchmark reads no foreign bytes")
    }
    fn owned(view: &Count) -> Count {
        *view
    }
    fn layout() -> Layout {
        layout()
    }
}

type Map = hashbrown::HashMap<u64, u64, ahash::RandomState>;

struct Paged {
    arena: Arena,
    table: Table<Word, Count>,
}

impl Paged {
    fn new() -> Paged {
        let mut arena = Arena::new(ArenaConfig::new("count")).expect("address space");
        let table = Table::new(&mut arena, &StateName::new("count", "running"));
        Paged { arena, table }
    }

    #[inline(always)]
    fn count(&mut self, key: u64) {
        let counted = self.table.update(&mut self.arena, hash(key), &[], || Count(0), |count| count.0 += 1);
        counted.expect("memory without limit");
    }

    fn count_one_by_one(&mut self, keys: &[u64]) {
        keys.iter().for_each(|&key| self.count(key));
    }

    fn count_batched(&mut self, keys: &[u64]) {
        let mut hashes = [KeyHash(0); 256];
        for keys in keys.chunks(256) {
            for (hash_of, &key) in hashes.iter_mut().zip(keys) {
                *hash_of = hash(key);
            }
            let hashes = &hashes[..keys.len()];
            let counted = self.table.update_batch(
                &mut self.arena,
                hashes,
                |_| &[],
                |_| Count(0),
                |_, count, _| count.0 += 1,
            );
            counted.expect("memory without limit");
        }
    }
}

fn count_in_map(map: &mut Map, keys: &[u64]) {
    keys.iter().for_each(|&key| *map.entry(key).or_insert(0) += 1);
}

/// Both filled with the same keys, and keys to count in random order.
fn filled(keys: u64) -> (Map, Paged, Vec<u64>) {
    let (mut map, mut paged) = (Map::default(), Paged::new());
    for key in 0..keys {
        map.insert(key, 0);
        paged.count(key);
    }
    let mut x = 88_172_645_463_325_252u64;
    let random = (0..4_000_000).map(|_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x % keys
    });
    (map, paged, random.collect())
}

/// The processor time of this thread, in nanoseconds: what the machine gives to others meanwhile does not count.
fn processor_nanos() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to the one `timespec` it is given.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "every Linux has this clock");
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Million events per second of processor time.
fn rate(events: usize, run: impl FnOnce()) -> f64 {
    let start = processor_nanos();
    run();
    events as f64 / (processor_nanos() - start) * 1e3
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Million updates per second, alternating between the three.
fn ratios(keys: u64) {
    let (mut map, mut paged, random) = filled(keys);
    let mut rates = [vec![], vec![], vec![]];
    for _ in 0..5 {
        rates[0].push(rate(random.len(), || count_in_map(&mut map, &random)));
        rates[1].push(rate(random.len(), || paged.count_one_by_one(&random)));
        rates[2].push(rate(random.len(), || paged.count_batched(&random)));
    }
    let [map, single, batched] = rates.map(median);
    println!(
        "{keys:>9} keys: hashbrown+ahash {map:5.1} M/s, table {single:5.1} M/s ({:.2}), batched {batched:5.1} M/s ({:.2})",
        single / map,
        batched / map
    );
}

/// Bytes per key and the time of single inserts while a table grows.
fn growth(keys: u64, prefault: bool) {
    let mut paged = Paged::new();
    let mut times = Histogram::<u64>::new_with_bounds(1, 10_000_000_000, 2).expect("valid bounds");
    let sizes = [1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000, 7_000_000, 10_000_000];
    let mut per_key = String::new();
    let mut slowest_prefault = 0.0f64;
    for key in 0..keys {
        if prefault && key % 64 == 0 {
            let start = processor_nanos();
            paged.arena.prefault(Arena::PAGES_PER_FAULT);
            slowest_prefault = slowest_prefault.max(processor_nanos() - start);
        }
        let start = processor_nanos();
        paged.count(key);
        times.saturating_record((processor_nanos() - start) as u64);
        if sizes.contains(&(key + 1)) {
            let bytes = u64::from(paged.arena.pages_in_use()) * PAGE_BYTES as u64;
            per_key += &format!(" {:.1} at {}k,", bytes as f64 / (key + 1) as f64, (key + 1) / 1000);
        }
    }
    println!("growth (prefault {prefault}): bytes per key{per_key}");
    print!("  single insert:");
    for quantile in [0.5, 0.99, 0.999, 0.9999, 0.99999, 1.0] {
        print!(" {quantile}: {:?}", Duration::from_nanos(times.value_at_quantile(quantile)));
    }
    println!(
        "; over 100 us: {}, over 1 ms: {}; slowest prefault: {:?}",
        over(&times, 100_000),
        over(&times, 1_000_000),
        Duration::from_nanos(slowest_prefault as u64)
    );
}

fn over(times: &Histogram<u64>, nanos: u64) -> u64 {
    times.len() - times.count_between(0, nanos)
}

/// The first write to each page while a checkpoint runs that has yet to save it, and the time it takes to begin one.
fn barrier(keys: u64) {
    let (_, mut paged, random) = filled(keys);
    paged.arena.prefault(paged.arena.pages_in_use());
    let start = Instant::now();
    paged.arena.begin_checkpoint(Epoch(1));
    let begin = start.elapsed();
    let mut copied = Histogram::<u64>::new_with_bounds(1, 10_000_000_000, 2).expect("valid bounds");
    for &key in &random {
        let pages = paged.arena.pages_in_use();
        let start = processor_nanos();
        paged.count(key);
        let elapsed = processor_nanos() - start;
        if paged.arena.pages_in_use() > pages {
            copied.saturating_record(elapsed as u64);
        }
    }
    let start = Instant::now();
    let (mut pages, mut sum) = (0u32, 0u64);
    let done = paged.arena.save_some(usize::MAX, &mut |page| {
        pages += 1;
        sum = sum.wrapping_add(u64::from(page.bytes[100]));
    });
    done.expect("all pages are in memory");
    black_box(sum);
    let save = start.elapsed();
    println!(
        "checkpoint of {keys} keys: begin {begin:?}; first write to a page: {} copies, median {:?}, 0.999 {:?}, worst {:?}; \
         hand out {pages} pages: {save:?}",
        copied.len(),
        Duration::from_nanos(copied.value_at_quantile(0.5)),
        Duration::from_nanos(copied.value_at_quantile(0.999)),
        Duration::from_nanos(copied.max()),
    );
}

fn updates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("running count per key");
    for keys in [1_000, 1_000_000, 10_000_000] {
        let (mut map, mut paged, random) = filled(keys);
        let random = &random[..1_000_000];
        group.sample_size(10).throughput(Throughput::Elements(random.len() as u64));
        group.bench_function(BenchmarkId::new("hashbrown+ahash", keys), |b| {
            b.iter(|| count_in_map(&mut map, random));
        });
        group.bench_function(BenchmarkId::new("table", keys), |b| b.iter(|| paged.count_one_by_one(random)));
        group.bench_function(BenchmarkId::new("table, batched", keys), |b| {
            b.iter(|| paged.count_batched(random));
        });
    }
    group.finish();
}

fn main() {
    // One core for all of it, so that what is compared runs in the same place.
    core_affinity::set_for_current(core_affinity::CoreId { id: 0 });
    for keys in [1_000, 30_000, 100_000, 1_000_000, 10_000_000] {
        ratios(keys);
    }
    growth(10_000_000, true);
    growth(10_000_000, false);
    barrier(1_000_000);
    if std::env::args().any(|arg| arg == "figures") {
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    updates(&mut criterion);
    criterion.final_summary();
}

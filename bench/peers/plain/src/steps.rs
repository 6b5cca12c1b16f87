//! What is done with a record once it is on its thread.

use std::hint::black_box;

use hashbrown::HashMap;
use millstream_yardstick::works::{Bid, Results, WINDOW_MS, discounted};

type Map<K> = HashMap<K, u64, ahash::RandomState>;

/// How many windows may be open at a time; a power of two.
const WINDOWS: usize = 8;
/// How much later than others a bid may come.
const OUT_OF_ORDER_MS: i64 = 100;

/// The state of one thread, and what it does with records.
pub trait Step: Default + Send {
    /// What the source gives.
    type From;
    /// What is handed over.
    type Item: Send;

    /// Makes what is handed over.
    fn split(record: Self::From, each: impl FnMut(Self::Item));

    /// Which thread's it is.
    fn thread_of(item: &Self::Item, threads: usize) -> usize;

    /// Works on one.
    fn take(&mut self, item: &Self::Item, results: &mut Results);

    /// All later records of all threads are at or after this event time.
    fn advance(&mut self, _time_ms: i64, _results: &mut Results) {}

    /// No more records come.
    fn finish(&mut self, _results: &mut Results) {}

    /// The event time that sources are not to pass by much before it has advanced; nothing where there are no windows.
    fn horizon_ms(&self) -> Option<i64> {
        None
    }

    /// The event time that is certain once this has been seen.
    fn time_after(_item: &Self::Item) -> i64 {
        i64::MIN
    }
}

/// [`Work::Passthrough`](millstream_yardstick::works::Work::Passthrough).
#[derive(Default)]
pub struct Discount;

impl Step for Discount {
    type From = Bid;
    type Item = Bid;

    #[inline(always)]
    fn split(bid: Bid, mut each: impl FnMut(Bid)) {
        each(Bid { price: discounted(bid.price), ..bid });
    }

    fn thread_of(_: &Bid, _: usize) -> usize {
        0
    }

    #[inline(always)]
    fn take(&mut self, bid: &Bid, results: &mut Results) {
        results.bid(black_box(bid).price);
    }
}

/// [`Work::Wordcount`](millstream_yardstick::works::Work::Wordcount).
#[derive(Default)]
pub struct Words {
    counts: Map<String>,
}

impl Step for Words {
    type From = String;
    type Item = String;

    #[inline(always)]
    fn split(line: String, each: impl FnMut(String)) {
        line.split(' ').map(str::to_owned).for_each(each);
    }

    #[inline(always)]
    fn thread_of(word: &String, threads: usize) -> usize {
        ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(word) as usize % threads
    }

    #[inline(always)]
    fn take(&mut self, word: &String, results: &mut Results) {
        let count = self.counts.entry_ref(word.as_str()).or_insert(0);
        *count += 1;
        results.word(word.as_bytes(), *count);
    }
}

/// [`Work::Keyed`](millstream_yardstick::works::Work::Keyed).
#[derive(Default)]
pub struct Counts {
    counts: Map<i64>,
}

impl Step for Counts {
    type From = Bid;
    type Item = Bid;

    #[inline(always)]
    fn split(bid: Bid, mut each: impl FnMut(Bid)) {
        each(bid);
    }

    #[inline(always)]
    fn thread_of(bid: &Bid, threads: usize) -> usize {
        bid.auction as usize % threads
    }

    #[inline(always)]
    fn take(&mut self, bid: &Bid, results: &mut Results) {
        let count = self.counts.entry(bid.auction).or_insert(0);
        *count += 1;
        results.keyed(black_box(bid.auction), *count);
    }
}

/// [`Work::Window`](millstream_yardstick::works::Work::Window): one map for each open window.
#[derive(Default)]
pub struct Windows {
    /// The number of the first window that is open.
    first: i64,
    counts: [Map<i64>; WINDOWS],
}

impl Windows {
    /// Gives the counts of the first open window.
    fn fire(&mut self, results: &mut Results) {
        let (start, counts) = (self.first * WINDOW_MS, &mut self.counts[self.first as usize % WINDOWS]);
        for (key, count) in counts.drain() {
            results.window(black_box(key), start, count);
        }
        self.first += 1;
    }
}

impl Step for Windows {
    type From = Bid;
    type Item = Bid;

    #[inline(always)]
    fn split(bid: Bid, mut each: impl FnMut(Bid)) {
        each(bid);
    }

    #[inline(always)]
    fn thread_of(bid: &Bid, threads: usize) -> usize {
        bid.auction as usize % threads
    }

    #[inline(always)]
    fn take(&mut self, bid: &Bid, _: &mut Results) {
        let window = bid.date_time / WINDOW_MS;
        // Sources stop before they get so far ahead.
        assert!((0..WINDOWS as i64).contains(&(window - self.first)), "a bid out of all open windows");
        *self.counts[window as usize % WINDOWS].entry(bid.auction).or_insert(0) += 1;
    }

    fn advance(&mut self, time_ms: i64, results: &mut Results) {
        while self.first < time_ms.div_euclid(WINDOW_MS) {
            self.fire(results);
        }
    }

    fn finish(&mut self, results: &mut Results) {
        (0..WINDOWS).for_each(|_| self.fire(results));
    }

    fn horizon_ms(&self) -> Option<i64> {
        Some((self.first + WINDOWS as i64 / 2) * WINDOW_MS)
    }

    #[inline(always)]
    fn time_after(bid: &Bid) -> i64 {
        bid.date_time - OUT_OF_ORDER_MS
    }
}

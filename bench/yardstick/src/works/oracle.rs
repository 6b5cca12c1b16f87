//! What is to come out, computed by the plainest of means.

use super::xorshift::below;
use super::{
    BidSequence, LineSequence, Part, Results, Sequence, Task, WINDOW_MS, WORDS_PER_LINE, Work, Xorshift,
    discounted, parts,
};

/// The results of a task.
pub fn oracle(task: &Task) -> Results {
    let all: Vec<Part> = parts(task.records(), task.shards).collect();
    // Without an exchange every partition keeps its own counts.
    let groups = if task.exchange { vec![&all[..]] } else { all.chunks(1).collect() };
    let mut results = Results::default();
    for group in groups {
        results += match task.work {
            Work::Passthrough => passthrough(task.keys(), group),
            Work::Wordcount => wordcount(task.keys(), group),
            Work::Keyed => keyed(task.keys(), group),
            Work::Window => window(task.keys(), group),
        };
    }
    results
}

fn each_bid(keys: u64, group: &[Part], mut f: impl FnMut(super::Bid)) {
    for part in group {
        let mut bids = BidSequence::new(keys, part.partition, part.partitions);
        for _ in 0..part.records {
            f(bids.next());
        }
    }
}

fn passthrough(keys: u64, group: &[Part]) -> Results {
    let mut results = Results::default();
    each_bid(keys, group, |bid| results.bid(discounted(bid.price)));
    results
}

/// Every count up to the last: 1, 2, ... `times`.
fn running(results: &mut Results, times: u64, factor: u64) {
    let sum = u128::from(times) * (u128::from(times) + 1) / 2;
    results.count += times;
    results.sum = results.sum.wrapping_add((sum as u64).wrapping_mul(factor));
}

fn keyed(keys: u64, group: &[Part]) -> Results {
    let mut counts = vec![0u64; keys as usize];
    each_bid(keys, group, |bid| counts[bid.auction as usize] += 1);
    let mut results = Results::default();
    counts.iter().enumerate().for_each(|(key, times)| running(&mut results, *times, key as u64 + 1));
    results
}

fn wordcount(keys: u64, group: &[Part]) -> Results {
    let mut counts = vec![0u64; keys as usize];
    for part in group {
        let mut random = Xorshift::of_partition(u64::from(part.partition));
        for _ in 0..part.records * WORDS_PER_LINE as u64 {
            counts[below(keys, random.next()) as usize] += 1;
        }
    }
    let mut results = Results::default();
    for (word, times) in LineSequence::vocabulary(keys).iter().zip(&counts) {
        let mut one = Results::default();
        one.word(word.as_bytes(), 1);
        running(&mut results, *times, one.sum);
    }
    results
}

fn window(keys: u64, group: &[Part]) -> Results {
    let begin = |part: &Part| (BidSequence::new(keys, part.partition, part.partitions), part.records);
    let mut sources: Vec<_> = group.iter().map(begin).collect();
    let mut results = Results::default();
    let mut counts = vec![0u64; keys as usize];
    let mut start = 0;
    while sources.iter().any(|(_, left)| *left > 0) {
        for (bids, left) in &mut sources {
            while *left > 0 && bids.next_time() < start + WINDOW_MS {
                counts[bids.next().auction as usize] += 1;
                *left -= 1;
            }
        }
        for (key, times) in counts.iter_mut().enumerate().filter(|(_, times)| **times > 0) {
            results.window(key as i64, start, std::mem::take(times));
        }
        start += WINDOW_MS;
    }
    results
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn task(work: Work, keys: u64, shards: u16) -> Task {
        Task::new(work, Some(keys), shards, 1_500_000, 500_001)
    }

    fn each_bid(task: &Task, f: impl FnMut(super::super::Bid)) {
        let group: Vec<Part> = parts(task.records(), task.shards).collect();
        super::each_bid(task.keys(), &group, f);
    }

    #[test]
    fn without_an_exchange_each_partition_counts_alone() {
        let mut apart = task(Work::Keyed, 1000, 2);
        apart.exchange = false;
        let (mut counts, mut results) = (HashMap::new(), Results::default());
        for part in parts(apart.records(), 2) {
            super::each_bid(1000, &[part], |bid| {
                let times = counts.entry((part.partition, bid.auction)).or_insert(0);
                *times += 1;
                results.keyed(bid.auction, *times);
            });
        }
        assert_eq!(oracle(&apart), results);
        assert_ne!(oracle(&apart), oracle(&task(Work::Keyed, 1000, 2)));
    }

    #[test]
    fn running_counts_are_those_of_a_map() {
        let task = task(Work::Keyed, 1000, 3);
        let (mut counts, mut results) = (HashMap::new(), Results::default());
        each_bid(&task, |bid| {
            let times = counts.entry(bid.auction).or_insert(0);
            *times += 1;
            results.keyed(bid.auction, *times);
        });
        assert_eq!(oracle(&task), results);
        assert_eq!(results.count, 2_000_001);
    }

    #[test]
    fn words_are_those_of_a_map() {
        let task = Task::new(Work::Wordcount, Some(300), 2, 10_000, 1);
        let (mut counts, mut results) = (HashMap::new(), Results::default());
        for part in parts(task.records(), 2) {
            let mut lines = LineSequence::new(300, part.partition, 2);
            for _ in 0..part.records {
                for word in lines.next().split(' ') {
                    let times = counts.entry(word.to_owned()).or_insert(0);
                    *times += 1;
                    results.word(word.as_bytes(), *times);
                }
            }
        }
        assert_eq!(oracle(&task), results);
        assert_eq!(results.count, 80_008);
    }

    #[test]
    fn windows_are_those_of_a_map() {
        let task = task(Work::Window, 100, 2);
        let mut counts = HashMap::new();
        each_bid(&task, |bid| *counts.entry((bid.auction, bid.date_time / WINDOW_MS)).or_insert(0) += 1);
        let mut results = Results::default();
        counts.iter().for_each(|((key, window), times)| results.window(*key, window * WINDOW_MS, *times));
        assert_eq!(oracle(&task), results);
        assert_eq!(results.count, 201);
    }
}

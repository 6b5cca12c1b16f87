//! Which shard a record goes to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use millstream::element::{KEY_GROUPS, KeyGroups, ShardId};
use millstream::key::HashSeed;
use millstream::prelude::*;
use millstream::testing::script;

use crate::ways::every_way;

/// Where records were seen: on which thread, in which order. A shard is one thread.
type Seen<T> = Arc<Mutex<Vec<(ThreadId, T)>>>;

fn run(shards: u16, program: impl Fn(&Flow) + Send + Sync + 'static) {
    Job::new("partitioning").shards(shards).oversubscribe(true).run(program).unwrap();
}

#[test]
fn pt_01_every_key_has_one_group_and_groups_are_dealt_in_contiguous_ranges() {
    let seed = HashSeed(42);
    let mut numbers = 88_172_645_463_325_252u64;
    for _ in 0..1_000_000 {
        // Xorshift: any numbers do.
        numbers ^= numbers << 13;
        numbers ^= numbers >> 7;
        numbers ^= numbers << 17;
        let hash = numbers.hash(seed);
        for shards in 1..=16 {
            let shard = hash.shard(shards);
            assert!(KeyGroups::of_shard(shard, shards).contains(hash));
        }
    }
    for shards in 1..=16 {
        let ranges: Vec<KeyGroups> =
            (0..shards).map(|shard| KeyGroups::of_shard(ShardId(shard), shards)).collect();
        assert_eq!((ranges[0].start, ranges.last().unwrap().end), (0, KEY_GROUPS));
        assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
}

#[test]
fn pt_01_all_records_of_a_key_meet_on_one_shard() {
    let seen: Seen<u64> = Seen::default();
    let records = seen.clone();
    run(3, move |flow| {
        let records = records.clone();
        flow.source("numbers", script(0u64..3000).pace(100))
            .key_by(|n| n % 100)
            .views()
            .for_each(move |n, _| records.lock().unwrap().push((thread::current().id(), *n)));
    });
    let seen = seen.lock().unwrap();
    let mut shards_of_key: BTreeMap<u64, Vec<ThreadId>> = BTreeMap::new();
    for (shard, n) in seen.iter() {
        let shards = shards_of_key.entry(n % 100).or_default();
        if !shards.contains(shard) {
            shards.push(*shard);
        }
    }
    assert_eq!((seen.len(), shards_of_key.len()), (3000, 100));
    assert!(shards_of_key.values().all(|shards| shards.len() == 1), "{shards_of_key:?}");
    let shards: BTreeSet<String> = shards_of_key.values().map(|shards| format!("{shards:?}")).collect();
    assert_eq!(shards.len(), 3, "100 keys are on every shard");
}

#[test]
fn pt_01_any_value_can_be_the_key() {
    every_way(4, |flow, run| {
        let pairs = [("a", 1i32), ("b", 1), ("a", 1), ("a", 2)].map(|(word, n)| (word.to_owned(), n));
        flow.source("pairs", run.source(pairs))
            .key_by(|pair| (pair.0.clone(), pair.1))
            .count()
            .map(|((word, n), count)| (word, n, count))
            .sink("out", run.sink());
    })
    .are(
        &[("a", 1, 1), ("b", 1, 1), ("a", 1, 2), ("a", 2, 1)]
            .map(|(word, n, count)| (word.to_owned(), n, count)),
    );
}

#[test]
fn pt_03_rebalance_deals_in_turn() {
    let seen: Seen<u64> = Seen::default();
    let records = seen.clone();
    run(4, move |flow| {
        let records = records.clone();
        // The source has one partition, and so one producer.
        flow.source("numbers", script(0u64..8))
            .rebalance()
            .for_each(move |n, _| records.lock().unwrap().push((thread::current().id(), *n)));
    });
    let mut dealt: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (shard, n) in seen.lock().unwrap().iter() {
        dealt.entry(format!("{shard:?}")).or_default().push(*n);
    }
    let mut dealt: Vec<Vec<u64>> = dealt.into_values().collect();
    dealt.sort();
    assert_eq!(dealt, [[0, 4], [1, 5], [2, 6], [3, 7]]);
}

#[test]
fn pt_03_rebalanced_records_all_arrive() {
    every_way(40, |flow, run| {
        flow.source("numbers", run.source(0u64..40))
            .rebalance()
            .owned()
            .map(|n| n * 2)
            .sink("out", run.sink());
    })
    .are(&(0..40).map(|n| n * 2).collect::<Vec<_>>());
}

//! Which shard a record goes to.

use std::cell::Cell;
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

/// What each of so many shards saw, of those that saw anything: sorted.
fn by_shard(shards: u16, program: impl Fn(&Flow, Seen<u64>) + Send + Sync + 'static) -> Vec<Vec<u64>> {
    let seen: Seen<u64> = Seen::default();
    let records = seen.clone();
    run(shards, move |flow| program(flow, records.clone()));
    let mut dealt: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (shard, n) in seen.lock().unwrap().iter() {
        dealt.entry(format!("{shard:?}")).or_default().push(*n);
    }
    let mut dealt: Vec<Vec<u64>> = dealt.into_values().collect();
    dealt.sort();
    dealt
}

fn note(seen: &Seen<u64>, n: u64) {
    seen.lock().unwrap().push((thread::current().id(), n));
}

#[test]
fn pt_02_shuffle_gives_every_shard_the_same_share() {
    let shuffled = || {
        by_shard(4, |flow, seen| {
            flow.source("numbers", script(0u64..10_000).pace(1_000))
                .shuffle(7)
                .for_each(move |n, _| note(&seen, *n));
        })
    };
    let dealt = shuffled();
    assert_eq!(dealt.iter().map(Vec::len).sum::<usize>(), 10_000);
    assert_eq!(dealt.len(), 4);
    assert!(
        dealt.iter().all(|shard| (2_375..=2_625).contains(&shard.len())),
        "{:?}",
        dealt.iter().map(Vec::len)
    );
    // The same seed, the same shards.
    assert_eq!(dealt, shuffled());
}

#[test]
fn pt_05_global_gives_all_to_one_shard() {
    let dealt = by_shard(4, |flow, seen| {
        flow.source("numbers", script(0u64..100)).global().for_each(move |n, _| note(&seen, *n));
    });
    assert_eq!(dealt, [(0..100).collect::<Vec<_>>()]);
}

#[test]
fn pt_07_broadcast_gives_every_shard_the_same_in_order() {
    let dealt = by_shard(4, |flow, seen| {
        flow.source("numbers", script([3u64, 1, 2]))
            .broadcast()
            .views()
            .for_each(move |n, _| note(&seen, *n));
    });
    assert_eq!(dealt, [[3, 1, 2]; 4]);
}

#[test]
fn pt_08_a_partitioner_of_the_programs_own() {
    let dealt = by_shard(2, |flow, seen| {
        flow.source("numbers", script(1u64..=4))
            .partition_custom(|n| *n, |k, shards| (*k as usize % 2) % shards)
            .for_each(move |n, _| note(&seen, *n));
    });
    assert_eq!(dealt, [[1, 3], [2, 4]]);
}

#[test]
fn pt_08_a_shard_that_there_is_not_is_named() {
    let error = Job::new("out of range")
        .shards(2)
        .oversubscribe(true)
        .run(|flow| {
            flow.source("numbers", script([5u64]))
                .map(|n| n + 1)
                .name("next")
                .partition_custom(|n| *n, |_, _| 7)
                .discard();
        })
        .unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("`next`") && said.contains("shard 7 for the key 6, but there are 2 shards"),
        "{said}"
    );
}

#[test]
fn pp_09_a_key_function_that_is_not_deterministic_is_named() {
    let error = Job::new("restless key")
        .shards(2)
        .oversubscribe(true)
        .run(|flow| {
            let calls = Cell::new(0u64);
            flow.source("numbers", script([5u64, 6]))
                .event_time(Watermarks::monotonous(), |n| *n as i64 * 10)
                .key_by(move |n| {
                    calls.set(calls.get() + 1);
                    (*n, format!("call {}", calls.get()))
                })
                .count()
                .name("per key")
                .discard();
        })
        .unwrap_err();
    let JobError::Failed { failure, restarts, .. } = &error else { panic!("{error}") };
    assert_eq!(*restarts, 0);
    assert_eq!(failure.operator.as_deref(), Some("numbers"));
    assert_eq!(failure.event_time.map(|at| at.0), Some(50));
    assert!(failure.place.is_some(), "{error}");
    let said = error.to_string();
    assert!(said.contains("`per key`") && said.contains("call 1") && said.contains("call 2"), "{said}");
}

#[test]
fn pt_02_08_whatever_the_partitioner_nothing_is_lost() {
    let doubled: Vec<u64> = (0..20).map(|n| n * 2).collect();
    every_way(20, |flow, run| {
        flow.source("numbers", run.source(0u64..20)).shuffle(1).map(|n| n * 2).sink("out", run.sink());
    })
    .are(&doubled);
    every_way(20, |flow, run| {
        flow.source("numbers", run.source(0u64..20))
            .partition_custom(|n| *n, |n, shards| *n as usize % shards)
            .map(|n| n * 2)
            .sink("out", run.sink());
    })
    .are(&doubled);
    every_way(20, |flow, run| {
        flow.source("numbers", run.source(0u64..20)).global().map(|n| n * 2).sink("out", run.sink());
    })
    .are(&doubled);
}

#[test]
fn pt_09_an_exchange_keeps_the_order_of_each_sender_and_receiver() {
    let dealt = by_shard(3, |flow, seen| {
        flow.source("numbers", script(0u64..3_000).pace(100))
            .shuffle(3)
            .for_each(move |n, _| note(&seen, *n));
    });
    // One partition: one sender.
    assert!(dealt.iter().all(|shard| shard.is_sorted()), "{dealt:?}");
}

#[test]
fn ex_06_what_can_be_chained_is_chained() {
    let plan = Job::new("chains").explain(|flow| {
        flow.source("numbers", script(0u64..8))
            .map(|n| n + 1)
            .filter(|_| true)
            .key_by(|n| *n)
            .count()
            .discard();
    });
    assert_eq!(
        plan.unwrap(),
        "chain 0: numbers -> map -> filter --HASH--> count\nchain 1: count -> discard\n"
    );
}

#[test]
fn ex_07_chains_are_cut_where_the_program_says_so() {
    let plan = Job::new("chains").explain(|flow| {
        flow.source("numbers", script(0u64..8))
            .map(|n| n + 1)
            .start_new_chain()
            .map(|n| n + 1)
            .map(|n| n + 1)
            .discard();
    });
    assert_eq!(
        plan.unwrap(),
        "chain 0: numbers -> map --FORWARD--> new_chain\nchain 1: new_chain -> map-2 -> map-3 -> discard\n"
    );
    let plan = Job::new("chains").explain(|flow| {
        flow.source("numbers", script(0u64..8))
            .map(|n| n + 1)
            .isolated(|numbers| numbers.map(|n| n + 1))
            .map(|n| n + 1)
            .discard();
    });
    assert_eq!(
        plan.unwrap(),
        "chain 0: numbers -> map --FORWARD--> new_chain\nchain 1: new_chain -> map-2 --FORWARD--> new_chain-2\n\
         chain 2: new_chain-2 -> map-3 -> discard\n"
    );
    every_way(5, |flow, run| {
        flow.source("numbers", run.source(0u64..5))
            .map(|n| n + 1)
            .start_new_chain()
            .map(|n| n + 1)
            .isolated(|numbers| numbers.map(|n| n + 1))
            .map(|n| n + 1)
            .sink("out", run.sink());
    })
    .are(&[4, 5, 6, 7, 8]);
}

#[test]
fn pt_03_rebalance_deals_in_turn() {
    // The source has one partition, and so one producer.
    let dealt = by_shard(4, |flow, seen| {
        flow.source("numbers", script(0u64..8)).rebalance().for_each(move |n, _| note(&seen, *n));
    });
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

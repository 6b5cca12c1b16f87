//! Which shard a record goes to.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use millstream::element::{KEY_GROUPS, KeyGroups, ShardId};
use millstream::key::HashSeed;
use millstream::prelude::*;
use millstream::testing::{script, timed_script};
use millstream::time::Ticks;
use millstream::window::Aggregate;

use crate::ways::{Paused, every_way};

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
        plan.unwrap().chains(),
        "chain 0: numbers -> map -> filter --HASH--> count\nchain 1: count -> discard\n  count: a key takes 17 bytes\n"
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
        plan.unwrap().chains(),
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
        plan.unwrap().chains(),
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

/// Keys by Zipf's law with exponent 1.2: of 200, the first is the most frequent.
fn zipf(records: usize) -> Vec<u64> {
    let weights: Vec<f64> = (1..=200).map(|rank| 1.0 / f64::powf(f64::from(rank), 1.2)).collect();
    let total: f64 = weights.iter().sum();
    let mut random = 88_172_645_463_325_252u64;
    let mut draw = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut left = random as f64 / u64::MAX as f64 * total;
        weights.iter().position(|weight| {
            left -= weight;
            left <= 0.0
        })
    };
    (0..records).map(|_| draw().unwrap_or(0) as u64).collect()
}

#[test]
fn pt_10_the_hottest_key_is_reported() {
    let keys = zipf(400_000);
    let share = keys.iter().filter(|key| **key == 0).count() as f64 / keys.len() as f64;
    let records: Vec<(u64, Timestamp)> = keys.into_iter().map(|key| (key, Timestamp::MIN)).collect();
    let handle = Job::new("hot")
        .shards(2)
        .oversubscribe(true)
        .spawn(move |flow| {
            let counted = flow.counter("counted");
            flow.source("keys", Paused::endless(vec![records.clone()]))
                .key_by(|key| format!("k{key}"))
                .count()
                .name("per key")
                .inspect(move |_| counted.add(1))
                .discard();
        })
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while handle.accumulators().map(|all| all.counter("counted")) != Ok(Ok(400_000)) {
        assert!(Instant::now() < end, "{:?}", handle.accumulators());
        thread::sleep(Duration::from_millis(1));
    }
    let hot = handle.hot_keys().unwrap();
    handle.cancel();
    handle.wait().unwrap();
    let hottest = hot.of_operator("per key").next().unwrap();
    assert_eq!(hottest.key, "\"k0\"", "{hot}");
    // One record of each batch is looked at; how many batches there are depends on how busy the machine is.
    assert!((hottest.share - share).abs() < 0.15, "{} is not {share}", hottest.share);
    assert!(hottest.per_second > 0.0);
    assert!(hot.to_string().starts_with("per key: key \"k0\" on shard "), "{hot}");
}

#[test]
fn pt_10_split_keys_give_what_whole_keys_give() {
    let keys = zipf(60);
    let records: Vec<(u64, Timestamp)> =
        keys.iter().zip(0..).map(|(key, at)| (*key, Timestamp(at))).collect();
    let mut counts: BTreeMap<(i64, u64), u64> = BTreeMap::new();
    for (key, at) in &records {
        *counts.entry((at.0 / 20 * 20 + 20, *key)).or_default() += 1;
    }
    let expected: Vec<(i64, u64, u64)> =
        counts.into_iter().map(|((end, key), count)| (end, key, count)).collect();
    every_way(60, move |flow, run| {
        flow.source("keys", run.timed(vec![records.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by_split("per key", 3, |key| *key)
            .window(Tumbling::of(Ticks(20)))
            .count()
            .map(|result| (result.window.end.0, result.key, result.value))
            .sink("counts", run.sink());
    })
    .are_in_any_order(&expected);
}

#[test]
fn wn_08_a_window_over_the_whole_stream_is_aggregated_on_all_shards() {
    struct Total;
    impl Aggregate<u64> for Total {
        type Acc = u64;
        type Out = u64;
        fn create(&self) -> u64 {
            0
        }
        fn add(&self, acc: &mut u64, n: &u64) {
            *acc += n;
        }
        fn merge(&self, acc: &mut u64, other: &u64) {
            *acc += other;
        }
        fn result(&self, acc: u64) -> u64 {
            acc
        }
    }
    let dealt = by_shard(4, |flow, seen| {
        let numbers = (1..=100u64).map(|n| (n, Timestamp(n as i64))).collect();
        flow.source("numbers", timed_script(vec![numbers]))
            .source_time(Watermarks::monotonous())
            .key_by_split("total", 16, |_| ())
            .window(Tumbling::of(Ticks(1_000)))
            .aggregate(Total)
            .for_each(move |total, _| note(&seen, total.value));
    });
    assert_eq!(dealt, [[5050]]);
    let plan = Job::new("split").explain(|flow| {
        let numbers =
            flow.source("numbers", script([1u64])).event_time(Watermarks::monotonous(), |n| *n as i64);
        let windows = numbers.key_by_split("total", 16, |_| ()).window(Tumbling::of(Ticks(1_000)));
        windows.aggregate(Total).discard();
    });
    let plan = plan.unwrap();
    assert!(plan.contains("numbers --HASH--> total parts\n"), "{plan}");
    assert!(plan.contains("--HASH--> total\n"), "{plan}");
}

#[test]
fn pt_11_the_plan_tells_partitions_of_sources_from_edges() {
    let plan = Job::new("edges").shards(2).explain(|flow| {
        flow.source("clicks", script([1u64]).beside(script([2])).beside(script([3])))
            .map(|n| n + 1)
            .key_by(|n| *n)
            .views()
            .rebalance()
            .discard();
    });
    assert_eq!(
        plan.unwrap().chains(),
        "shards: 2, from Job::shards\n\
         chain 0: clicks -> map --HASH--> views\n\
         \x20 partitions of clicks: 0 -> shard 0, 1 -> shard 1, 2 -> shard 0\n\
         chain 1: views --REBALANCE--> rebalance\n\
         chain 2: rebalance -> discard\n"
    );
}

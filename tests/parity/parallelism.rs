//! How many shards an operator runs on, and which.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use millstream::params::Params;
use millstream::prelude::*;
use millstream::testing::sim::{SimEnd, SimSchedule, Simulation};
use millstream::testing::sim_disk::{SimDisk, SimFaults};
use millstream::testing::{script, timed_script};
use millstream::time::Ticks;

use crate::ways::every_way;

/// What was seen on which thread. A shard is one thread.
type Seen<T> = Arc<Mutex<HashMap<ThreadId, Vec<T>>>>;

fn note<T>(seen: &Seen<T>, record: T) {
    seen.lock().unwrap().entry(thread::current().id()).or_default().push(record);
}

/// What each shard saw, of those that saw anything: sorted.
fn by_shard<T: Ord + Clone + Send + 'static>(
    job: Job,
    program: impl Fn(&Flow, Seen<T>) + Send + Sync + 'static,
) -> Vec<Vec<T>> {
    let seen: Seen<T> = Seen::default();
    let records = seen.clone();
    job.oversubscribe(true).run(move |flow| program(flow, records.clone())).unwrap();
    let mut shards: Vec<Vec<T>> = seen.lock().unwrap().values().cloned().collect();
    shards.sort();
    shards
}

fn explain(job: Job, program: impl Fn(&Flow)) -> String {
    job.explain(program).unwrap().chains().to_owned()
}

/// Two operators between exchanges, one of which says where it runs.
fn two_levels(flow: &Flow) {
    flow.source("numbers", script(0u64..8))
        .rebalance()
        .map(|n| *n + 1)
        .parallelism(2)
        .rebalance()
        .filter(|_| true)
        .discard();
}

#[test]
fn ex_05_parallelism_levels_and_their_priority() {
    let given = || Params::from_args(["-p", "5"]).unwrap();
    // The operator before the job, the job before the command line.
    let plan = explain(Job::new("levels").shards(3).params(given()), two_levels);
    let lines: Vec<&str> = plan.lines().collect();
    assert_eq!(lines[0], "shards: 3, from Job::shards");
    assert_eq!(lines[1], "chain 0: numbers --REBALANCE--> rebalance");
    assert_eq!(lines[2], "chain 1: rebalance -> map --REBALANCE--> rebalance-2");
    assert!(lines[3].starts_with("  on shards 0 to 1 of 3: parallelism 2, set at "), "{plan}");
    assert!(lines[3].contains("parallelism.rs:"), "{plan}");
    assert_eq!(lines[4], "chain 2: rebalance-2 -> filter -> discard");
    // The command line where the job says nothing.
    let plan = explain(Job::new("levels").params(given()), two_levels);
    assert!(plan.starts_with("shards: 5, from parameter `p`\n"), "{plan}");
    assert!(plan.contains("on shards 0 to 1 of 5"), "{plan}");
    let long = Params::from_args(["--parallelism", "4"]).unwrap();
    let plan = explain(Job::new("levels").params(long), two_levels);
    assert!(plan.starts_with("shards: 4, from parameter `parallelism`\n"), "{plan}");
    // What is no number is an error, and so is more than there is.
    let wrong = Params::from_args(["-p", "many"]).unwrap();
    let said = Job::new("levels").params(wrong).explain(two_levels).unwrap_err().to_string();
    assert!(said.contains("shards") && said.contains("many"), "{said}");
    let said = Job::new("levels").explain(two_levels).unwrap_err().to_string();
    assert!(
        said.contains("`map` is to run with parallelism 2, set at") && said.contains("1 shards"),
        "{said}"
    );
}

#[test]
fn ex_05_each_operator_runs_on_its_shards_alone() {
    for (parallelism, shards) in [(1, 1), (2, 2), (3, 3)] {
        let seen = by_shard(Job::new("some").shards(3), move |flow, seen| {
            flow.source("numbers", script(0u64..30))
                .rebalance()
                .inspect(move |n| note(&seen, *n))
                .parallelism(parallelism)
                .discard();
        });
        assert_eq!(seen.len(), shards);
        assert_eq!(seen.concat().into_iter().collect::<BTreeSet<_>>(), (0..30).collect());
    }
    let seen = by_shard(Job::new("one source").shards(3), |flow, seen| {
        let two = script(0u64..4).beside(script(10u64..14));
        flow.source("numbers", two).parallelism(1).for_each(move |n, _| note(&seen, *n));
    });
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].len(), 8);
}

#[test]
fn ex_05_parallelism_is_from_one_to_the_number_of_shards() {
    let refused = |parallelism: u16| {
        let program = move |flow: &Flow| {
            flow.source("numbers", script(0u64..8)).parallelism(parallelism).discard();
        };
        Job::new("range").shards(3).explain(program).unwrap_err().to_string()
    };
    for parallelism in [0, 4] {
        let said = refused(parallelism);
        let says = |words: &str| said.contains(words);
        assert!(
            says("`numbers`") && says(&format!("parallelism {parallelism}")) && says("from 1 to 3"),
            "{said}"
        );
    }
}

#[test]
fn ex_05_one_chain_has_one_parallelism() {
    let program = |flow: &Flow| {
        let numbers = flow.source("numbers", script(0u64..8)).parallelism(1);
        numbers.map(|n| n + 1).parallelism(2).discard();
    };
    let said = Job::new("two").shards(2).explain(program).unwrap_err().to_string();
    assert!(said.contains("`numbers`") && said.contains("`map`") && said.contains(".rebalance()"), "{said}");
}

#[test]
fn ex_05_whatever_the_parallelism_results_are_the_same() {
    let expected: Vec<(u64, u64)> = (0..24).map(|n| (n % 3, n / 3 + 1)).collect();
    every_way(24, |flow, run| {
        flow.source("numbers", run.source(0u64..24))
            .key_by(|n| n % 3)
            .count()
            .parallelism(1)
            .sink("counts", run.sink());
    })
    .are(&expected);
    every_way(24, |flow, run| {
        flow.source("numbers", run.source(0u64..24))
            .rescale()
            .map(|n| n % 3)
            .parallelism(1)
            .key_by(|n| *n)
            .count()
            .sink("counts", run.sink());
    })
    .are_in_any_order(&expected);
}

/// Runs a job of which every process is killed after a while, and goes on with other numbers of shards for its operators, until it is done.
fn lives(program: impl Fn(&Flow, [u16; 2]) + Clone + Send + Sync + 'static) -> u16 {
    let disk = SimDisk::new(1, SimFaults::default());
    for life in 0..1_000u16 {
        let job =
            Job::new("lives").shards(3).state_dir("/state").checkpoint_interval(Duration::from_millis(1));
        let program = program.clone();
        let parallelism = [1 + life % 3, 1 + life / 2 % 3];
        let mut simulation =
            Simulation::new(u64::from(life), job, &disk, move |flow| program(flow, parallelism)).unwrap();
        simulation.set_schedule(SimSchedule { turn_nanos_max: 100_000, ..SimSchedule::default() });
        match simulation.run(100 + u64::from(life) * 37 % 150) {
            None => {}
            Some(SimEnd::Finished) => return life,
            Some(end) => panic!("{end:?}"),
        }
    }
    panic!("it does not come to its end");
}

#[test]
fn ex_05_a_job_goes_on_with_another_parallelism() {
    let counts: Arc<Mutex<BTreeMap<u64, u64>>> = Arc::default();
    let most = counts.clone();
    let numbers = script(0u64..2_100).pace(1).beside(script(2_100u64..4_200).pace(1));
    let ended_in = lives(move |flow, [before, after]| {
        let most = most.clone();
        flow.source("numbers", numbers.clone())
            .parallelism(before)
            .key_by(|n| n % 7)
            .count()
            .name("per key")
            .parallelism(after)
            .for_each(move |(key, count), _| {
                let mut most = most.lock().unwrap();
                let most = most.entry(*key).or_default();
                *most = (*most).max(*count);
            });
    });
    assert!(ended_in > 6, "killed only {ended_in} times");
    assert_eq!(*counts.lock().unwrap(), (0..7).map(|key| (key, 600)).collect());
}

#[test]
fn ex_05_windows_go_on_with_another_parallelism() {
    let sums: Arc<Mutex<BTreeSet<(u64, i64, u64)>>> = Arc::default();
    let seen = sums.clone();
    let partition = |first: i64| (first..1_400).step_by(2).map(|n| (n as u64, Timestamp(n))).collect();
    let numbers = timed_script(vec![partition(0), partition(1)]).pace(1);
    let ended_in = lives(move |flow, [before, after]| {
        let seen = seen.clone();
        flow.source("numbers", numbers.clone())
            .source_time(Watermarks::bounded_out_of_orderness(Ticks(50)))
            .parallelism(before)
            .rescale()
            .map(|n| *n)
            .key_by(|n| n % 7)
            .window(Tumbling::of(Ticks(70)))
            .count()
            .name("per window")
            .parallelism(after)
            .for_each(move |result, _| {
                seen.lock().unwrap().insert((result.key, result.window.end.0, result.value));
            });
    });
    assert!(ended_in > 6, "killed only {ended_in} times");
    let expected = (1..=20).flat_map(|window| (0..7).map(move |key| (key, window * 70, 10)));
    assert_eq!(*sums.lock().unwrap(), expected.collect());
}

#[test]
fn pt_04_rescale_deals_to_neighbours() {
    let dealt = |before: u16, after: u16| {
        by_shard(Job::new("rescale").shards(4), move |flow, seen| {
            let parts = (1..before)
                .map(u64::from)
                .fold(script(0u64..8), |all, part| all.beside(script(part * 100..part * 100 + 8)));
            flow.source("numbers", parts)
                .parallelism(before)
                .rescale()
                .inspect(move |n| note(&seen, *n))
                .parallelism(after)
                .discard();
        })
    };
    assert_eq!(
        dealt(2, 4),
        [vec![0, 2, 4, 6], vec![1, 3, 5, 7], vec![100, 102, 104, 106], vec![101, 103, 105, 107]]
    );
    let two = dealt(4, 2);
    let parts: Vec<BTreeSet<u64>> = two.iter().map(|shard| shard.iter().map(|n| n / 100).collect()).collect();
    assert_eq!(parts, [BTreeSet::from([0, 1]), BTreeSet::from([2, 3])]);
    assert!(two.iter().all(|shard| shard.len() == 16));
}

#[test]
fn pt_06_forward_needs_equal_parallelism() {
    let program = |flow: &Flow| {
        let numbers = flow.source("numbers", script(0u64..8)).parallelism(2);
        numbers.start_new_chain().map(|n| *n + 1).parallelism(3).discard();
    };
    let said = Job::new("forward").shards(3).explain(program).unwrap_err().to_string();
    assert!(said.contains("`numbers` runs on shards 0 to 1 of 3"), "{said}");
    assert!(said.contains("`new_chain`") && said.contains("shards 0 to 2 of 3"), "{said}");
    // Without a number of its own, what follows runs where the records are.
    let plan = explain(Job::new("forward").shards(3), |flow| {
        flow.source("numbers", script(0u64..8)).parallelism(2).start_new_chain().discard();
    });
    assert!(plan.contains("  on shards 0 to 1 of 3, as what feeds it\n"), "{plan}");
}

#[test]
fn ex_08_shard_groups() {
    let job = || Job::new("groups").shards(4).shard_group("io", 3..4).shard_group("sums", 0..3);
    let program = |flow: &Flow, seen: Seen<u64>| {
        let io = seen.clone();
        flow.source("numbers", script(0u64..40))
            .shard_group("io")
            .inspect(move |n| note(&io, *n))
            .key_by(|n| *n)
            .count()
            .shard_group("sums")
            .inspect(move |(n, _)| note(&seen, *n + 100))
            .discard();
    };
    let seen = by_shard(job(), program);
    assert_eq!(seen[0], (0..40).collect::<Vec<_>>());
    let sums = &seen[1..];
    assert_eq!(sums.len(), 3);
    assert!(sums.iter().flatten().all(|n| *n >= 100));
    let plan = explain(job(), |flow| program(flow, Seen::default()));
    assert!(plan.contains("  on shard 3 of 4: shard group `io`, set at "), "{plan}");
    assert!(plan.contains("  on shards 0 to 2 of 4: shard group `sums`, set at "), "{plan}");
    // What a group alone feeds is in it, too.
    let plan = explain(job(), |flow| {
        flow.source("numbers", script(0u64..4)).shard_group("sums").rebalance().discard();
    });
    assert_eq!(plan.matches("on shards 0 to 2 of 4").count(), 2, "{plan}");
}

#[test]
fn ex_08_what_does_not_fit_is_refused_with_numbers() {
    let refused = |job: Job, program: fn(&Flow)| {
        job.oversubscribe(true).run(program).map(|_| ()).unwrap_err().to_string()
    };
    let in_group = |flow: &Flow| flow.source("numbers", script(0u64..4)).shard_group("io").discard();
    let said = refused(Job::new("groups").shards(2), in_group);
    assert!(
        said.contains("`numbers`") && said.contains("group `io`") && said.contains("the job has none"),
        "{said}"
    );
    let said = refused(Job::new("groups").shards(2).shard_group("io", 1..3), in_group);
    assert!(said.contains("group `io` is shards 1..3, but the job has 2: 0 to 1"), "{said}");
    // A plan is refused as the job is.
    let said =
        Job::new("groups").shards(2).shard_group("io", 1..3).explain(in_group).unwrap_err().to_string();
    assert!(said.contains("group `io` is shards 1..3"), "{said}");
    let said = Job::new("none").shards(0).explain(in_group).unwrap_err().to_string();
    assert!(said.contains("at least 1 shard"), "{said}");
    let said = refused(Job::new("groups").shards(4).shard_group("io", 1..3), |flow| {
        flow.source("numbers", script(0u64..4)).shard_group("io").parallelism(3).discard();
    });
    assert!(said.contains("parallelism 3") && said.contains("2 shards in shard group `io`"), "{said}");
    let cores = millstream::runtime::placement::available_cores().len();
    let said = Job::new("cores").shards(cores as u16 + 1).run(in_group).unwrap_err().to_string();
    assert!(said.contains(&format!("needs {} cores, {cores} available", cores + 1)), "{said}");
}

#[test]
fn ex_09_a_shard_is_a_thread() {
    let seen = by_shard(Job::new("threads").shards(4), |flow, seen| {
        flow.source("numbers", script(0u64..40))
            .rebalance()
            .map(|n| *n)
            .key_by(|n| *n)
            .count()
            .inspect(move |(n, _)| note(&seen, *n))
            .discard();
    });
    assert_eq!(seen.len(), 4);
}

#[test]
fn ex_05_calls_under_way_go_on_with_another_parallelism() {
    let expected: Vec<u64> = (0..30).map(|n| n + 1).collect();
    every_way(30, |flow, run| {
        let records = flow.source("numbers", run.source(0u64..30)).rebalance().map(|n| *n).parallelism(1);
        records.ordered_wait().capacity(4).call(|n| async move { n + 1 }).sink("out", run.sink());
    })
    .are(&expected);
}

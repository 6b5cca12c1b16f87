//! Batch mode: which jobs run in it, and what comes out.

mod equality;
mod keys;
mod simulated;
mod stages;

use millstream::io::{FileSink, Generator, collect_views, sequence};
use millstream::params::Params;
use millstream::prelude::*;
use millstream::testing::golden::Once;
use millstream::testing::script;

/// The records of Flink's `StateDemo01`.
fn cities() -> [(String, i64); 6] {
    [("北京", 1), ("上海", 2), ("北京", 6), ("上海", 8), ("北京", 3), ("上海", 4)]
        .map(|(city, number)| (city.to_owned(), number))
}

/// What the greatest numbers of cities are, in the order in which that is told.
fn greatest(job: Job) -> Vec<(String, i64)> {
    let out = Once::new();
    let sink = out.clone();
    job.run(move |flow| {
        flow.source("cities", script(cities()))
            .key_by(|(city, _)| city.clone())
            .max_by(|(_, number)| *number)
            .sink("out", sink.clone());
    })
    .unwrap();
    out.results()
}

fn told(results: &[(&str, i64)]) -> Vec<(String, i64)> {
    results.iter().map(|(city, number)| ((*city).to_owned(), *number)).collect()
}

const EACH: [(&str, i64); 6] = [("北京", 1), ("上海", 2), ("北京", 6), ("上海", 8), ("北京", 6), ("上海", 8)];
const FINAL: [(&str, i64); 2] = [("上海", 8), ("北京", 6)];

/// Results of batch mode come key by key, in the order of the keys' hashes, which differs from job to job.
fn sorted(mut results: Vec<(String, i64)>) -> Vec<(String, i64)> {
    results.sort();
    results
}

#[test]
fn bm_01_a_job_runs_in_the_mode_that_is_asked_for() {
    assert_eq!(greatest(Job::new("cities").mode(RuntimeMode::Streaming)), told(&EACH));
    assert_eq!(sorted(greatest(Job::new("cities").mode(RuntimeMode::Batch))), told(&FINAL));
    // All sources are bounded.
    assert_eq!(sorted(greatest(Job::new("cities").mode(RuntimeMode::Automatic))), told(&FINAL));
}

#[test]
fn ex_16_streaming_is_the_default_and_parameters_choose() {
    assert_eq!(greatest(Job::new("cities")), told(&EACH));
    let by_args = |args: &[&str]| {
        let params = Params::from_args(args.iter().map(|arg| (*arg).to_owned())).unwrap();
        Job::new("cities").params(params)
    };
    for args in
        [&["-Dexecution.runtime-mode=BATCH"][..], &["--runtime-mode", "batch"], &["-runtime-mode=automatic"]]
    {
        assert_eq!(sorted(greatest(by_args(args))), told(&FINAL), "{args:?}");
    }
    // What the program says counts for more.
    assert_eq!(greatest(by_args(&["--runtime-mode", "batch"]).mode(RuntimeMode::Streaming)), told(&EACH));
    let error = by_args(&["--runtime-mode", "bath"]).run(|_| {}).unwrap_err().to_string();
    assert!(error.contains("bath") && error.contains("streaming, batch or automatic"), "{error}");
}

#[test]
fn bm_01_a_source_that_does_not_end_decides() {
    let endless = |flow: &Flow| {
        flow.source("numbers", Generator::new(1, None, 0, |_, n| (n, Timestamp::MIN))).discard()
    };
    let error = Job::new("endless").mode(RuntimeMode::Batch).run(endless).unwrap_err().to_string();
    assert!(error.contains("source `numbers`") && error.contains("does not end by itself"), "{error}");
    let plan = Job::new("endless").mode(RuntimeMode::Automatic).explain(endless).unwrap();
    assert!(plan.contains("mode: streaming, because source `numbers` does not end by itself"), "{plan}");
}

#[test]
fn pp_27_the_plan_says_which_mode_and_why() {
    let counts = |flow: &Flow| flow.source("numbers", sequence(0..=9)).key_by(|n| n % 2).count().discard();
    let plan = |job: Job| job.explain(counts).unwrap().to_string();
    let streaming = plan(Job::new("counts"));
    assert!(streaming.contains("mode: streaming, by default"), "{streaming}");
    assert!(streaming.contains("--HASH--> count"), "{streaming}");
    let batch = plan(Job::new("counts").mode(RuntimeMode::Automatic));
    assert!(
        batch.contains("mode: batch, because all sources end by themselves (automatic: Job::mode)"),
        "{batch}"
    );
    assert!(batch.contains("--HASH, SORTED--> count"), "{batch}");
}

#[test]
fn bm_05_only_what_a_key_has_come_to_in_the_end_is_given_out() {
    let (sink, results) = collect_views::<(u64, (u64, i64))>();
    let sink = move || sink.clone();
    Job::new("folds")
        .mode(RuntimeMode::Batch)
        .run(move |flow| {
            flow.source("numbers", sequence(1..=10))
                .key_by(|n| (*n % 2) as u64)
                .fold((0u64, 0i64), |acc, n| {
                    acc.0 += 1;
                    acc.1 += *n;
                })
                .rebalance()
                .sink("out", sink());
        })
        .unwrap();
    let mut all: Vec<_> = results.into_iter().collect();
    all.sort_unstable();
    assert_eq!(all, [(0, (5, 30)), (1, (5, 25))]);
}

#[test]
fn bm_06_a_batch_job_makes_no_checkpoint_but_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let job = |mode| {
        let out = Once::new();
        let sink = out.clone();
        let state = dir.path().join(format!("{mode}"));
        let interval = std::time::Duration::from_millis(1);
        let summary =
            Job::new("sums").mode(mode).state_dir(state).checkpoint_interval(interval).run(move |flow| {
                flow.source("numbers", sequence(1..=200_000))
                    .key_by(|n| n % 100)
                    .reduce(|sum, n| *sum += n)
                    .sink("out", sink.clone());
            });
        (summary.unwrap().metrics.checkpoints.completed, out.results().len())
    };
    assert_eq!(job(RuntimeMode::Batch), (1, 100));
    let (checkpoints, results) = job(RuntimeMode::Streaming);
    assert!(checkpoints > 1 && results == 200_000, "{checkpoints} checkpoints, {results} results");
}

#[test]
fn bm_06_stop_ends_a_job_without_its_results() {
    let out = Once::new();
    let sink = out.clone();
    let slow = |_, n| (n, Timestamp::MIN);
    let running = Job::new("slow").mode(RuntimeMode::Batch).spawn(move |flow| {
        flow.source("numbers", Generator::new(1, Some(1_000_000), 1_000, slow))
            .key_by(|n| n % 2)
            .count()
            .sink("out", sink.clone());
    });
    let running = running.unwrap();
    while running.metrics().records_in() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    running.stop();
    let summary = running.wait().unwrap();
    assert_eq!((summary.status, summary.metrics.checkpoints.completed), (JobStatus::Stopped, 0));
    assert_eq!(out.results(), []);
}

#[test]
fn bm_06_iterations_run_in_streaming_mode() {
    let run = |mode| {
        let out = Once::new();
        let sink = out.clone();
        let outcome = Job::new("countdown").mode(mode).run(move |flow| {
            flow.source("numbers", script([3u64]))
                .iterate(|n| {
                    let (again, done) = n.owned().map(|n| n - 1).fork();
                    (again.filter(|n| *n > 0), done.owned().filter(|n| *n == 0))
                })
                .sink("out", sink.clone());
        });
        (outcome, out.results())
    };
    let (outcome, results) = run(RuntimeMode::Automatic);
    assert_eq!((outcome.unwrap().status, results), (JobStatus::Finished, vec![0]));
    let error = run(RuntimeMode::Batch).0.unwrap_err().to_string();
    assert!(error.contains("the job has an iteration"), "{error}");
}

#[test]
fn io_16_a_sink_commits_once_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (state, output) = (dir.path().join("state"), dir.path().join("output"));
    let to = output.clone();
    let interval = std::time::Duration::from_millis(1);
    Job::new("sums")
        .mode(RuntimeMode::Batch)
        .state_dir(&state)
        .checkpoint_interval(interval)
        .run(move |flow| {
            flow.source("numbers", sequence(1..=100_000))
                .key_by(|n| n % 10)
                .count()
                .map(|(key, count)| format!("{key} {count}"))
                .sink("out", FileSink::lines(&to));
        })
        .unwrap();
    let parts: Vec<_> = std::fs::read_dir(&output).unwrap().map(|entry| entry.unwrap().path()).collect();
    let visible: Vec<_> = parts.iter().filter(|path| !is_hidden(path)).collect();
    assert_eq!(visible.len(), 1, "{parts:?}");
    let mut lines: Vec<String> =
        std::fs::read_to_string(visible[0]).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, (0..10).map(|key| format!("{key} 10000")).collect::<Vec<_>>());
    // Nothing is left of what was sorted.
    let left = std::fs::read_dir(state.join("stages")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

fn is_hidden(path: &std::path::Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

//! Collections, sequences, text files; and results collected by the program.

use std::process::Command;
use std::sync::{Arc, Mutex};

use millstream::io::{Collection, TextFiles, collect, sequence};
use millstream::prelude::*;

use crate::ways::every_way;

/// Runs a program on some shards; what it collects.
fn collected<T, P>(shards: u16, program: P) -> Vec<T>
where
    T: Record + Clone + Send + Ord,
    P: Fn(&Flow, millstream::io::Collect<T, fn(&T) -> T>) + Send + Sync + 'static,
{
    let (sink, results) = collect::<T>();
    let sink = Mutex::new(sink);
    let job = Job::new("sources").shards(shards).oversubscribe(true);
    job.run(move |flow| program(flow, sink.lock().unwrap().clone())).unwrap();
    let mut all: Vec<T> = results.into_iter().collect();
    all.sort();
    all
}

#[test]
fn io_01_a_sequence_has_both_ends_however_it_is_split() {
    for (shards, partitions) in [(1, 1), (2, 2), (2, 3), (3, 2)] {
        let all = collected(shards, move |flow, sink| {
            flow.source("n", sequence(0..=5).partitions(partitions)).sink("out", sink)
        });
        assert_eq!(all, [0, 1, 2, 3, 4, 5], "{shards} shards, {partitions} partitions");
    }
}

#[test]
fn io_01_elements_and_collections() {
    let words = ["to", "be", "or"].map(str::to_owned);
    let all =
        collected(1, move |flow, sink| flow.source("words", Collection::of(words.clone())).sink("out", sink));
    assert_eq!(all, ["be", "or", "to"]);
    every_way(3, |flow, run| {
        flow.source("elements", Collection::of([1i64, 2, 3])).sink("out", run.sink());
        // The pause is this one's: the collection goes by itself.
        flow.source("paused", run.source([0u8; 3])).discard();
    })
    .are(&[1, 2, 3]);
}

#[test]
fn io_03_a_text_file_and_its_gzip_have_the_same_lines() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("three");
    std::fs::write(&plain, "to be\nor not\nto be").unwrap();
    let packed = dir.path().join("packed");
    std::fs::copy(&plain, &packed).unwrap();
    assert!(Command::new("gzip").arg(&packed).status().unwrap().success());
    let packed = packed.with_extension("gz");
    for shards in [1, 2] {
        for path in [plain.clone(), packed.clone()] {
            let lines = collected(shards, move |flow, sink| {
                flow.source("text", TextFiles::new([&path])).sink("out", sink)
            });
            assert_eq!(lines, ["or not", "to be", "to be"]);
        }
    }
    let both = collected(2, move |flow, sink| {
        flow.source("text", TextFiles::new([&plain, &packed])).sink("out", sink)
    });
    assert_eq!(both.len(), 6);
}

#[test]
fn io_14_ut_04_results_are_collected_by_the_program_while_the_job_runs() {
    let (sink, results) = collect::<i64>();
    // At most two results wait: the job is held back by a program that does not take them.
    let sink = Arc::new(Mutex::new(sink.bounded(2)));
    let program = {
        let sink = sink.clone();
        move |flow: &Flow| {
            let sink = sink.lock().unwrap().clone();
            flow.source("n", sequence(0..=5)).map(|n| n * 2).sink("out", sink);
        }
    };
    let running = Job::new("collect").spawn(program).unwrap();
    drop(sink);
    assert_eq!(results.into_iter().collect::<Vec<_>>(), [0, 2, 4, 6, 8, 10]);
    assert_eq!(running.wait().unwrap().status, JobStatus::Finished);
}

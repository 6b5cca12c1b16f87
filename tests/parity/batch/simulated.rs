//! A batch job whose power is cut at every operation of its disk, one run each, and that is run again.

use millstream::prelude::*;
use millstream::testing::golden::Once;
use millstream::testing::sim::{SimEnd, Simulation};
use millstream::testing::sim_disk::{SimDisk, SimFaults};
use millstream::testing::timed_script;

const NUMBERS: i64 = 3_000;

/// Two stages: sums by the last two digits, and their number by the last digit.
fn program(flow: &Flow, out: Once<(i64, u64)>) {
    let half = |odd: i64| (0..NUMBERS / 2).map(|n| (2 * n + odd, Timestamp::MIN)).collect();
    flow.source("numbers", timed_script(vec![half(0), half(1)]))
        .key_by(|n| n % 100)
        .fold(0i64, |sum, n| *sum += n)
        .name("sums")
        .key_by(|(key, _)| key % 10)
        .count()
        .name("counts")
        .sink("out", out);
}

/// One process: runs the job until it ends or the power is cut.
fn run(seed: u64, disk: &SimDisk, out: &Once<(i64, u64)>) -> SimEnd {
    let sink = out.clone();
    let job = Job::new("simulated").mode(RuntimeMode::Batch).shards(2).state_dir("/state");
    // Small, so that there are several runs to a stage.
    let job = job.sort_bytes(1 << 20);
    let started = Simulation::new(seed, job, disk, move |flow| program(flow, sink.clone()));
    match started {
        Ok(mut simulation) => {
            let end = simulation.run(200_000);
            end.unwrap_or_else(|| panic!("no end: {}", simulation.describe()))
        }
        // The power was cut before the job began.
        Err(_) if disk.is_dead() => SimEnd::PowerCut,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn bm_02_a_power_cut_at_any_moment_changes_nothing_of_the_results() {
    let expected: Vec<(i64, u64)> = (0..10).map(|key| (key, 10)).collect();
    let untroubled = SimDisk::new(0, SimFaults::default());
    let out = Once::new();
    assert!(matches!(run(1, &untroubled, &out), SimEnd::Finished));
    let operations = untroubled.operations();
    assert!(operations > 30, "{operations} operations");
    for cut in 0..operations {
        let (disk, out) = (SimDisk::new(cut, SimFaults::default()), Once::new());
        disk.cut_power_after(cut);
        let mut end = run(cut, &disk, &out);
        let mut disk = disk;
        let mut processes = 1;
        while matches!(end, SimEnd::PowerCut) {
            disk = disk.crash();
            end = run(cut + 1000, &disk, &out);
            processes += 1;
        }
        assert!(matches!(end, SimEnd::Finished), "cut after {cut}: {end:?}");
        let mut results = out.results();
        results.sort_unstable();
        assert_eq!(results, expected, "cut after {cut} operations, {processes} processes");
    }
}

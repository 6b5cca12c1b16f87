//! The power goes at any moment, operations fail, the disk fills up: what was committed is found again, nothing else.

use super::*;
use crate::testing::sim_disk::SimFaults;

/// Runs a job until its disk dies or `checkpoints` were tried. Gives back how many were committed.
fn run(disk: &SimDisk, model: &mut Model, random: &mut Random, checkpoints: usize) -> usize {
    let Ok((store, _)) = open(disk.shared()) else {
        assert!(disk.is_dead(), "a directory that a crash left behind can be opened");
        return 0;
    };
    settle_model(&store, model);
    verify(disk.shared(), &store, model);
    let Ok(mut job) = Job::start(disk, store, 2, model) else {
        assert!(disk.is_dead());
        return 0;
    };
    let mut committed = 0;
    for _ in 0..checkpoints {
        let changes = job.random_changes(random);
        committed += usize::from(job.checkpoint(&changes, model).is_ok());
        let tidied = job.store.tidy();
        if disk.is_dead() {
            return committed;
        }
        tidied.unwrap();
    }
    committed
}

/// After a crash: the newest checkpoint is the last one committed, or the one under way.
fn settle_model(store: &CheckpointStore, model: &mut Model) {
    let newest = store.checkpoints().first().map(|info| info.epoch);
    match model.attempted.take() {
        Some((epoch, snapshot)) if newest == Some(epoch) => {
            model.committed.insert(epoch, snapshot);
        }
        _ => assert_eq!(newest, model.newest(), "the newest committed checkpoint is found"),
    }
}

#[test]
fn a_crash_at_any_operation_leaves_the_last_checkpoint_or_the_one_under_way() {
    for seed in 0..3 {
        let whole = SimDisk::new(seed, SimFaults::default());
        assert_eq!(run(&whole, &mut Model::default(), &mut Random(seed), 7), 7);
        for operation in 0..whole.operations() {
            let disk = SimDisk::new(seed * 1_000_003 + operation, SimFaults::default());
            disk.cut_power_after(operation);
            let mut model = Model::default();
            run(&disk, &mut model, &mut Random(seed), 7);
            assert!(disk.is_dead());
            let after = disk.crash();
            assert_eq!(run(&after, &mut model, &mut Random(seed + 1), 2), 2, "operation {operation}");
        }
    }
}

#[test]
fn crash_after_crash() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let faults = SimFaults { delay_polls_max: 4, ..SimFaults::default() };
        let mut disk = SimDisk::new(seed, faults);
        let mut model = Model::default();
        for _ in 0..6 {
            disk.cut_power_after(random.below(120));
            run(&disk, &mut model, &mut random, 5);
            disk = disk.crash();
        }
        run(&disk, &mut model, &mut random, 1);
    }
}

#[test]
fn a_checkpoint_that_failed_is_never_found_again_unless_it_is_unsettled() {
    let (mut failed, mut unsettled) = (0, 0);
    for seed in 0..60 {
        let mut random = Random(seed);
        let disk = SimDisk::new(seed, SimFaults::default());
        let mut model = Model::default();
        let (store, _) = open(disk.shared()).unwrap();
        let mut job = Job::start(&disk, store, 2, &model).unwrap();
        for round in 0..12 {
            let io_errors_per_million = if round % 3 == 0 { 0 } else { 100_000 };
            disk.set_faults(SimFaults { io_errors_per_million, delay_polls_max: 3, ..SimFaults::default() });
            let changes = job.random_changes(&mut random);
            match job.checkpoint(&changes, &mut model) {
                Ok(_) => {}
                Err(CheckpointError::Unsettled { .. }) => unsettled += 1,
                Err(_) => {
                    failed += 1;
                    // A definite failure says nothing of an earlier one that is still unsettled; a later settling does.
                    model.attempted = None;
                }
            }
            let settled = job.store.tidy().is_ok();
            let after_crash = disk.copy().crash();
            after_crash.set_faults(SimFaults::default());
            if settled {
                model.attempted = None;
                let (store, _) = open(after_crash.shared()).unwrap();
                assert_eq!(store.checkpoints().first().map(|info| info.epoch), model.newest());
                verify(after_crash.shared(), &store, &model);
            }
        }
    }
    assert!(failed > 50 && unsettled > 0, "{failed} {unsettled}");
}

#[test]
fn a_full_disk_fails_the_checkpoint_and_the_next_one_goes_through_when_there_is_room() {
    let disk = SimDisk::new(5, SimFaults::default());
    let mut model = Model::default();
    let (store, _) = open(disk.shared()).unwrap();
    let mut job = Job::start(&disk, store, 1, &model).unwrap();
    let change =
        |version| Change { pages: (0..100).map(|no| (page(0, no), version)).collect(), ..Change::default() };
    job.checkpoint(&[change(1)], &mut model).unwrap();
    let used: usize = disk.paths().iter().map(|path| disk.contents(path).unwrap().len()).sum();
    disk.set_faults(SimFaults { capacity_bytes: Some(used as u64 + 200_000), ..SimFaults::default() });
    match job.checkpoint(&[change(2)], &mut model).unwrap_err() {
        CheckpointError::DiskFull { path, needed_bytes } => {
            assert!(
                path.ends_with("delta/2-0.delta") && needed_bytes > 100 * 4096,
                "{path:?} {needed_bytes}"
            );
        }
        other => panic!("{other}"),
    }
    assert!(job.store.tidy().unwrap().removed_files == 1);
    disk.set_faults(SimFaults::default());
    job.checkpoint(&[change(3)], &mut model).unwrap();
    verify(disk.shared(), &job.store, &model);
}

//! How a job is, as its host asks: at any time, without the shards' help.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millstream::element::Epoch;
use millstream::io::Generator;
use millstream::job::{Concern, Health, ShardActivity, Verdict};
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};

const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn wait_for(handle: &JobHandle, wanted: impl Fn(&Health) -> bool) -> Health {
    let end = Instant::now() + PATIENCE;
    loop {
        let health = handle.health();
        if wanted(&health) {
            return health;
        }
        assert!(Instant::now() < end, "it does not come so far: {health}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn concern(health: &Health, wanted: impl Fn(&Concern) -> bool) -> bool {
    health.verdict.concerns().iter().any(wanted)
}

/// A thousand a second, for ever.
fn numbers() -> impl Source<Item = u64> {
    Generator::new(1, None, 1000, |_, n| (n, Timestamp(0)))
}

#[test]
fn a_job_that_runs_is_healthy_and_says_so_in_a_few_lines() {
    let state = tempfile::tempdir().unwrap();
    let job = Job::new("orders").shards(2).oversubscribe(true).state_dir(state.path());
    let job = job.checkpoint_interval(Duration::from_millis(20)).memory_limit(1 << 30);
    let handle =
        job.spawn(|flow| flow.source("numbers", numbers()).key_by(|n| n % 7).count().discard()).unwrap();
    let health = wait_for(&handle, |health| {
        let checkpoints = health.checkpoints.as_ref().unwrap();
        checkpoints.newest.is_some_and(|(epoch, _)| epoch > Epoch(2)) && health.memory.state > 0
    });
    assert_eq!(health.verdict, Verdict::Healthy, "{health}");
    assert_eq!((health.status, health.attempt, health.restarts), (JobStatus::Running, 1, 0));
    assert_eq!((health.shards.len(), health.last_failure.clone()), (2, None));
    let (_, age) = health.checkpoints.as_ref().unwrap().newest.unwrap();
    assert!(age < PATIENCE && health.memory.limit == Some(1 << 30), "{health}");
    let said = health.to_string();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines[0], lines.len()), ("orders: HEALTHY", 6), "{said}");
    assert!(lines[1].starts_with("  RUNNING for ") && lines[1].ends_with(", attempt 1"), "{said}");
    assert!(lines[2].starts_with("  checkpoint ") && lines[2].ends_with("; one every 20 ms"), "{said}");
    assert!(lines[3].starts_with("  shard 0 ") && lines[5].starts_with("  memory "), "{said}");
    let control = handle.control();
    handle.stop();
    handle.wait().unwrap();
    let health = control.health();
    assert_eq!(health.verdict, Verdict::Down("it was STOPPED".to_owned()));
    assert!(health.shards.is_empty() && !health.verdict.is_up());
}

#[test]
fn a_shard_that_is_blocked_is_named_while_it_is() {
    let gate = Arc::new(AtomicBool::new(false));
    let opened = gate.clone();
    let handle = Job::new("blocked").spawn(move |flow| {
        let gate = gate.clone();
        flow.source("numbers", numbers())
            .inspect(move |_| {
                while !gate.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
            .name("look up")
            .discard();
    });
    let handle = handle.unwrap();
    let health = wait_for(&handle, |health| concern(health, |of| matches!(of, Concern::StandsStill(_))));
    let asked = Instant::now();
    let stall = handle.health().shards[0].stall().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1), "nobody waits for the shard");
    assert!(stall.operators.contains(&"look up".to_owned()) && stall.duration >= Duration::from_millis(50));
    assert!(health.to_string().contains("DEGRADED: shard 0 has stood still for "), "{health}");
    opened.store(true, Ordering::Release);
    let health = wait_for(&handle, |health| health.verdict == Verdict::Healthy);
    assert!(!matches!(health.shards[0].activity, ShardActivity::StandsStill { .. }));
    handle.cancel();
    handle.wait().unwrap();
}

#[test]
fn a_shard_that_has_nothing_to_do_is_healthy() {
    let handle = Job::new("idle").wait(WaitPolicy::Park).spawn(|flow| {
        flow.source("numbers", millstream::testing::golden::Paused::<u64>::endless(vec![vec![]])).discard();
    });
    let handle = handle.unwrap();
    let health = wait_for(&handle, |health| {
        health.shards.first().is_some_and(|shard| shard.activity == ShardActivity::Waits)
    });
    assert_eq!(health.verdict, Verdict::Healthy, "{health}");
    assert!(health.to_string().contains("shard 0 waits for work, for "), "{health}");
    handle.cancel();
    handle.wait().unwrap();
}

#[test]
fn a_job_that_fails_again_and_again_is_not_healthy_in_between() {
    let job = Job::new("failing").restart(RestartStrategy::fixed_delay(u32::MAX, Duration::from_millis(300)));
    let job = job.on_poison_record(millstream::job::PoisonPolicy::Restart);
    let handle = job.spawn(|flow| {
        flow.source("numbers", numbers())
            .try_map(|n| if n == 50 { Err("fifty is not liked") } else { Ok(n) })
            .discard();
    });
    let handle = handle.unwrap();
    let health = wait_for(&handle, |health| health.status == JobStatus::Restarting);
    let waits = |of: &Concern| matches!(of, Concern::Restarting { cause } if cause.contains("fifty"));
    assert!(concern(&health, waits) && health.verdict.is_up(), "{health}");
    let health = wait_for(&handle, |health| health.status == JobStatus::Running && health.attempt == 3);
    let lately =
        |of: &Concern| matches!(of, Concern::RestartedLately { cause, .. } if cause.contains("fifty"));
    assert!(concern(&health, lately), "{health}");
    assert!(health.restarts >= 2 && health.last_failure.unwrap().cause.contains("fifty is not liked"));
    let control = handle.control();
    handle.cancel();
    handle.wait().unwrap();
    assert!(!control.health().verdict.is_up());
}

#[test]
fn a_job_that_has_failed_is_down_and_says_why() {
    let job = Job::new("failed").restart(RestartStrategy::None);
    let handle = job.spawn(|flow| {
        flow.source("numbers", numbers()).map(|n| assert!(n < 50, "fifty is not liked")).discard()
    });
    let handle = handle.unwrap();
    let health = wait_for(&handle, |health| !health.verdict.is_up());
    let Verdict::Down(reason) = &health.verdict else { panic!("{health}") };
    assert!(reason.starts_with("it has FAILED: ") && reason.contains("fifty is not liked"), "{health}");
    assert!(handle.wait().is_err());
}

/// A sink that cannot make its cuts.
#[derive(Clone)]
struct CannotCut;

impl Sink<u64> for CannotCut {
    fn delivery(&self) -> Delivery {
        Delivery::Transactional
    }

    fn open(&mut self, _: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, _: &u64, _: Timestamp) -> Result<(), SinkError> {
        Ok(())
    }

    fn poll_prepared(&mut self, _: Epoch) -> std::task::Poll<Result<Option<Vec<u8>>, SinkError>> {
        std::task::Poll::Ready(Err(SinkError::retryable("the other side is away")))
    }
}

#[test]
fn checkpoints_that_fail_are_a_concern() {
    let state = tempfile::tempdir().unwrap();
    let job = Job::new("unsaved").state_dir(state.path()).checkpoint_interval(Duration::from_millis(10));
    let handle = job.tolerable_checkpoint_failures(u32::MAX).spawn(|flow| {
        flow.source("numbers", numbers()).sink("away", CannotCut);
    });
    let handle = handle.unwrap();
    let several = |of: &Concern| matches!(of, Concern::CheckpointsFail { in_a_row: 3.., cause } if cause.contains("away"));
    let health = wait_for(&handle, |health| concern(health, several));
    assert_eq!((health.status, health.checkpoints.unwrap().newest), (JobStatus::Running, None));
    handle.cancel();
    handle.wait().unwrap();
}

#[test]
fn little_memory_is_a_concern_before_the_job_fails_of_it() {
    let job = Job::new("narrow").memory_limit(4 << 20).restart(RestartStrategy::None);
    let handle = job.spawn(|flow| {
        let numbers = Generator::new(1, None, 5000, |_, n| (n, Timestamp(0)));
        let wide = flow.source("numbers", numbers).key_by(|n| *n);
        wide.fold([0u64; 30], |kept: &mut [u64; 30], n| kept[0] += n).name("wide").discard();
    });
    let handle = handle.unwrap();
    let little = |of: &Concern| matches!(of, Concern::LittleMemory { used, limit } if used <= limit);
    let health = wait_for(&handle, |health| concern(health, little));
    assert!(health.to_string().contains("of the memory limit of 4.0 MiB are used"), "{health}");
    let error = handle.wait().unwrap_err().to_string();
    assert!(error.contains("wide") && error.contains("Job::memory_limit"), "{error}");
}

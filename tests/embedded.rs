//! Jobs inside of a host program: how their streams end, and whether they go on another time.

use std::path::Path;
use std::time::Duration;

use millstream::embed::AskError;
use millstream::prelude::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// How often each number has been asked for.
fn counts(flow: &Flow) {
    flow.ask::<u64, u64>("counts")
        .key_by(|asked| asked.request)
        .map_with_state(|asked, count: Option<u64>| {
            let count = count.unwrap_or(0) + 1;
            (asked.reply(count), Some(count))
        })
        .reply("counts");
}

fn counting(state: &Path) -> (Ask<u64, u64>, millstream::job::JobHandle) {
    let job = Job::new("counts").state_dir(state).checkpoint_interval(Duration::from_millis(5));
    let ask = job.ask("counts", AskOptions::new().level(Level::Durable));
    (ask, job.spawn(counts).expect("the job can be started"))
}

#[test]
fn a_job_on_two_shards_ends_with_its_last_handles() {
    let job = Job::new("two").shards(2).oversubscribe(true);
    let mut numbers = job.ingress::<u64>("numbers", IngressOptions::new());
    let doubles = job.egress::<u64>("doubles", EgressOptions::new());
    let mut ask = job.ask::<u64, u64>("counts", AskOptions::new());
    let program = |flow: &Flow| {
        counts(flow);
        flow.ingress::<u64>("numbers").key_by(|n| *n).views().map(|n| 2 * *n).egress("doubles");
    };
    let running = job.spawn(program).expect("the job can be started");
    for n in 0..100 {
        numbers.send(n).expect("the job runs");
        assert_eq!(ask.call(n, PATIENCE), Ok(1));
    }
    drop((numbers, ask));
    let mut doubles: Vec<u64> = doubles.collect();
    doubles.sort_unstable();
    assert_eq!(doubles, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
    assert_eq!(running.wait().expect("it has not failed").status, JobStatus::Finished);
}

#[test]
fn a_job_that_was_stopped_goes_on_and_one_whose_handles_were_dropped_is_over() {
    let state = tempfile::tempdir().expect("a directory for the state");
    for count in 1..=2 {
        let (mut ask, running) = counting(state.path());
        assert_eq!(ask.call(7, PATIENCE), Ok(count));
        running.stop();
        assert_eq!(running.wait().expect("it has not failed").status, JobStatus::Stopped);
        assert_eq!(ask.call(7, PATIENCE), Err(AskError::JobOver { status: JobStatus::Stopped }));
    }
    let (mut ask, running) = counting(state.path());
    assert_eq!(ask.call(7, PATIENCE), Ok(3));
    drop(ask);
    assert_eq!(running.wait().expect("it has not failed").status, JobStatus::Finished);
    // The stream has come to its end, and the checkpoint says so.
    let (mut ask, running) = counting(state.path());
    assert_eq!(running.wait().expect("it has not failed").status, JobStatus::Finished);
    assert_eq!(ask.call(7, PATIENCE), Err(AskError::JobOver { status: JobStatus::Finished }));
}

#[test]
fn what_is_durable_is_refused_where_there_are_no_checkpoints() {
    let job = Job::new("counts");
    let _ask = job.ask::<u64, u64>("counts", AskOptions::new().level(Level::Durable));
    let error = job.spawn(counts).err().expect("nobody would ever have a reply").to_string();
    let says = |word: &&str| error.contains(word);
    assert!(["`counts`", "Job::state_dir", "Level::Computed"].iter().all(says), "{error}");

    let job = Job::new("numbers");
    let numbers = job.ingress::<u64>("numbers", IngressOptions::new());
    let _out = job.egress::<u64>("out", EgressOptions::new().durable());
    let started = job.spawn(|flow| flow.ingress::<u64>("numbers").egress("out"));
    let error = started.err().expect("nothing would ever be received").to_string();
    let says = |word: &&str| error.contains(word);
    assert!(["`out`", "Job::state_dir", "EgressOptions::durable"].iter().all(says), "{error}");
    drop(numbers);
}

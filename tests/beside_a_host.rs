//! Jobs beside each other and beside a host's own threads: who runs on which cores.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millstream::io::{FileSink, Generator, TextFiles};
use millstream::prelude::*;
use millstream::runtime::placement::{CorePlan, confine_this_thread, cores_left};
use support::{cores, skipped};
use tracing_subscriber::fmt::MakeWriter;

const PATIENCE: Duration = Duration::from_secs(60);

/// One test at a time: cores belong to the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A job on one shard that has nothing to do for ever.
fn resting(name: &str) -> Job {
    Job::new(name).wait(WaitPolicy::Park)
}

fn rest(flow: &Flow) {
    flow.source("numbers", Generator::new(1, None, 10, |_, n| (n, Timestamp(0)))).discard();
}

/// What is logged at the level of warnings on this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Warnings {
    type Writer = Warnings;

    fn make_writer(&'a self) -> Warnings {
        self.clone()
    }
}

fn warned<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_ansi(false);
    let done = tracing::subscriber::with_default(subscriber.with_writer(warnings.clone()).finish(), work);
    let text = String::from_utf8(warnings.0.lock().unwrap().clone()).unwrap();
    (done, text.lines().map(str::to_owned).collect())
}

/// The cores that each thread of this process may use whose name begins so.
fn threads(name: &str) -> Vec<BTreeSet<usize>> {
    let mut found = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        // Threads come and go.
        let (Ok(comm), Ok(status)) =
            (fs::read_to_string(task.path().join("comm")), fs::read_to_string(task.path().join("status")))
        else {
            continue;
        };
        if comm.trim().starts_with(name) {
            let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
            found.push(listed(list.trim()));
        }
    }
    found
}

/// `0-2,5`, as the kernel writes it.
fn listed(text: &str) -> BTreeSet<usize> {
    let numbers = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse::<usize>().unwrap()..=last.parse().unwrap()
    };
    text.split(',').flat_map(numbers).collect()
}

fn wait_until(reached: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < end, "it does not come so far");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn end(handle: JobHandle) {
    handle.cancel();
    handle.wait().unwrap();
}

fn held(handle: &JobHandle) -> Vec<usize> {
    handle.cores().iter().flatten().map(|core| core.0).collect()
}

#[test]
fn two_jobs_keep_to_cores_of_their_own_without_being_told() {
    let _alone = alone();
    if cores() < 2 {
        return skipped("two jobs on two cores", "there is one");
    }
    let all = cores_left();
    let ((first, second), warnings) = warned(|| {
        let first = resting("first").spawn(rest).unwrap();
        (first, resting("second").spawn(rest).unwrap())
    });
    assert_eq!(warnings, Vec::<String>::new());
    assert_ne!(held(&first), held(&second));
    let left: Vec<usize> = all
        .iter()
        .copied()
        .filter(|core| !held(&first).contains(core) && !held(&second).contains(core))
        .collect();
    assert_eq!(cores_left(), left);
    wait_until(|| threads("mill-shard").len() == 2);
    let pinned: BTreeSet<usize> = threads("mill-shard").into_iter().flatten().collect();
    assert_eq!(pinned, held(&first).into_iter().chain(held(&second)).collect());
    end(first);
    let third = resting("third").spawn(rest).unwrap();
    assert_ne!(held(&third), held(&second), "the first one's core is free again");
    end(second);
    end(third);
    assert_eq!(cores_left(), all);
}

#[test]
fn a_plan_gives_each_its_own_and_the_rest_to_the_host() {
    let _alone = alone();
    if cores() < 2 {
        return skipped("a job and a host on two cores", "there is one");
    }
    let mut plan = CorePlan::of_process();
    let dealt = plan.deal("job", 1).unwrap();
    let (handle, warnings) = warned(|| resting("job").cores(dealt.clone()).spawn(rest).unwrap());
    assert_eq!((held(&handle), cores_left()), (dealt.clone(), plan.left()));
    assert_eq!(warnings, Vec::<String>::new());
    let left = plan.left();
    let worker = std::thread::Builder::new().name("host-worker".to_owned()).spawn(move || {
        confine_this_thread(&left).unwrap();
        threads("host-worker")
    });
    let of_worker = worker.unwrap().join().unwrap();
    assert_eq!(of_worker, [plan.left().into_iter().collect::<BTreeSet<_>>()]);
    end(handle);
}

#[test]
fn jobs_that_share_a_core_are_told_so_once_and_both_run() {
    let _alone = alone();
    let core = cores_left()[0];
    let state = tempfile::tempdir().unwrap();
    let failed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ((first, second), warnings) = warned(|| {
        let first = resting("first").cores([core]).wait(WaitPolicy::Spin).spawn(rest).unwrap();
        // Started again once: that is no news.
        let job = resting("second").cores([core]).wait(WaitPolicy::Spin).state_dir(state.path());
        let job = job.restart(RestartStrategy::fixed_delay(1, Duration::ZERO));
        let second = job.spawn(move |flow| {
            let failed = failed.clone();
            let numbers = Generator::new(1, None, 1000, |_, n| (n, Timestamp(0)));
            flow.source("numbers", numbers)
                .try_map(move |n| match failed.swap(true, std::sync::atomic::Ordering::Relaxed) {
                    false => Err("as planned"),
                    true => Ok(n),
                })
                .discard();
        });
        (first, second.unwrap())
    });
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let expected = format!("shards of job `second` and of job `first` share core {core}: ");
    assert!(warnings[0].contains(&expected), "{}", warnings[0]);
    assert!(warnings[0].contains("Job::cores"), "{}", warnings[0]);
    wait_until(|| second.metrics().restarts == 1);
    wait_until(|| first.metrics().records_out() > 10 && second.metrics().records_out() > 10);
    end(first);
    end(second);
    // Whoever allows it is not told.
    let (jobs, warnings) = warned(|| {
        let first = resting("first").cores([core]).oversubscribe(true).spawn(rest).unwrap();
        (first, resting("second").cores([core]).oversubscribe(true).spawn(rest).unwrap())
    });
    assert_eq!(warnings, Vec::<String>::new());
    end(jobs.0);
    end(jobs.1);
}

#[test]
fn a_thread_that_is_confined_to_a_jobs_core_is_named() {
    let _alone = alone();
    if cores() < 2 {
        return skipped("a thread on a part of the cores", "there is one core");
    }
    let core = cores_left()[0];
    let host = std::thread::Builder::new().name("host".to_owned()).spawn(move || {
        confine_this_thread(&[core]).unwrap();
        let (handle, warnings) = warned(|| resting("job").cores([core]).spawn(rest).unwrap());
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let expected = format!("shards of job `job` share core {core} with thread `host`");
        assert!(warnings[0].contains(&expected), "{}", warnings[0]);
        assert!(warnings[0].contains("placement::cores_left()"), "{}", warnings[0]);
        end(handle);
        // Left to itself, a job goes elsewhere; so does its control thread, which this one starts.
        let (handle, warnings) = warned(|| resting("job").spawn(rest).unwrap());
        assert_eq!(warnings, Vec::<String>::new());
        assert_ne!(held(&handle), [core]);
        wait_until(|| {
            threads("mill-control").len() == 1 && !threads("mill-control")[0].contains(&held(&handle)[0])
        });
        end(handle);
    });
    host.unwrap().join().unwrap();
}

#[test]
fn threads_that_a_pinned_shard_starts_leave_its_core() {
    let _alone = alone();
    if cores() < 2 {
        return skipped("threads beside a shard", "there is one core");
    }
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("long.txt");
    // Longer than what is read ahead, so that the reading thread stays.
    fs::write(&text, "a line of text\n".repeat(2_000_000)).unwrap();
    let state = dir.path().join("state");
    for driver in [DriverKind::Auto, DriverKind::Thread] {
        let (text, out) = (text.clone(), dir.path().join(format!("out-{driver}")));
        let job = Job::new("files").driver(driver).state_dir(state.join(driver.to_string()));
        let handle = job.spawn(move |flow| {
            flow.source("text", TextFiles::new([&text]))
                .inspect(|_| std::thread::sleep(Duration::from_micros(20)))
                .sink("files", FileSink::lines(&out));
        });
        let handle = handle.unwrap();
        let core = held(&handle)[0];
        let mut helpers = vec!["read-file", "file-sink", "mill-control"];
        helpers.extend((driver == DriverKind::Thread).then_some("mill-disk"));
        for helper in helpers {
            wait_until(|| {
                assert!(!handle.status().is_over(), "{:?}", handle.events().last());
                let on = threads(helper);
                on.len() == 1 && !on[0].contains(&core)
            });
        }
        end(handle);
    }
}

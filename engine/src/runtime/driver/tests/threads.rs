//! Stepping, waiting, pinning, panics.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Two shards count up in turn; each sleeps or looks for the other's number as the policy says.
fn ping_pong(kind: DriverKind, wait: WaitPolicy, rounds: u64) {
    let ball = Arc::new(AtomicU64::new(0));
    let wakers = [Waker::new(), Waker::new()];
    let specs = (0..2u16).map(|me| {
        let (ball, other) = (ball.clone(), wakers[1 - usize::from(me)].clone());
        let build: BuildShard = Box::new(move |_| {
            let mine = move |ball: u64| ball % 2 == u64::from(me) || ball >= rounds;
            let seen = ball.clone();
            let step = move |_| match ball.load(Ordering::Acquire) {
                now if now >= rounds => Step::Done,
                now if mine(now) => {
                    ball.store(now + 1, Ordering::Release);
                    other.wake();
                    Step::Worked
                }
                _ => Step::Idle { until: None },
            };
            Box::new(Closures { step, has_work: move || mine(seen.load(Ordering::Acquire)) })
        });
        ShardSpec { waker: wakers[usize::from(me)].clone(), ..spec(me, wait, build) }
    });
    run_well(kind, specs.collect());
}

#[test]
fn shards_wake_each_other_under_every_policy() {
    for kind in drivers() {
        for wait in [WaitPolicy::Spin, WaitPolicy::Yield, WaitPolicy::default(), WaitPolicy::Park] {
            ping_pong(kind, wait, 1_000);
        }
    }
}

/// The CPU time of the calling thread.
fn cpu_time() -> Duration {
    // SAFETY: all zeros is a valid `rusage`, and the call fills it in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
        usage
    };
    let of = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// The share of a core that a shard without input uses in a second, waking every `period` if there is one.
fn idle_share(kind: DriverKind, period: Option<Duration>, worked: bool) -> f64 {
    let (result, shares) = channel();
    let build: BuildShard = Box::new(move |_| {
        let mut began = None;
        let mut due = Nanos(0);
        let step = move |now: Nanos| {
            let (start, cpu) = *began.get_or_insert_with(|| (now, cpu_time()));
            let end = start.after(Duration::from_secs(1));
            if now >= end {
                let share = (cpu_time() - cpu).as_secs_f64() / now.since(start).as_secs_f64();
                result.send(share).unwrap();
                return Step::Done;
            }
            if let Some(period) = period
                && now >= due
            {
                due = now.after(period);
                if worked {
                    return Step::Worked;
                }
            }
            Step::Idle { until: Some(if period.is_some() { due } else { end }) }
        };
        Box::new(Closures { step, has_work: || false })
    });
    run_well(kind, vec![spec(0, WaitPolicy::default(), build)]);
    shares.recv().unwrap()
}

#[test]
fn an_idle_shard_costs_next_to_nothing() {
    for kind in drivers() {
        let often = Some(Duration::from_millis(5));
        for (period, worked) in [(None, false), (often, false), (often, true)] {
            let share = idle_share(kind, period, worked);
            println!(
                "{kind}: idle, a deadline every {period:?}, with work {worked}: {:.2} % of a core",
                share * 100.0
            );
            assert!(share < 0.02, "{kind}, {period:?}, {worked}: {share}");
        }
    }
}

#[test]
fn deadlines_are_met() {
    for kind in drivers() {
        for wait in [WaitPolicy::Spin, WaitPolicy::default(), WaitPolicy::Park] {
            let mut due = None;
            let step = move |now: Nanos| match *due.get_or_insert(now.after(Duration::from_millis(3))) {
                due if now >= due => Step::Done,
                due => Step::Idle { until: Some(due) },
            };
            run_well(kind, vec![stepping(0, wait, step)]);
        }
    }
}

#[test]
fn pinned_shards_run_on_one_core_each() {
    let cores = crate::runtime::placement::available_cores();
    if cores.len() < 2 {
        eprintln!("SKIPPED: one core only");
        return;
    }
    for kind in drivers() {
        let (allowed, seen) = channel();
        let specs = (0..2u16).map(|shard| {
            let allowed: Sender<(String, String)> = allowed.clone();
            let step = move |_| {
                let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
                let field =
                    |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap().trim().to_owned();
                allowed.send((field("Name:"), field("Cpus_allowed_list:"))).unwrap();
                Step::Done
            };
            let core = Some(cores[usize::from(shard)]);
            ShardSpec { core, ..stepping(shard, WaitPolicy::Park, step) }
        });
        run_well(kind, specs.collect());
        drop(allowed);
        let mut seen: Vec<_> = seen.iter().collect();
        seen.sort();
        let expected = |shard: usize| (format!("mill-shard-{shard}"), cores[shard].to_string());
        assert_eq!(seen, [expected(0), expected(1)], "{kind}");
    }
}

#[test]
fn a_panic_is_the_end_of_its_shard_only() {
    for kind in drivers() {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let healthy = stepping(2, WaitPolicy::Yield, move |_| {
            if seen.load(Ordering::Acquire) { Step::Done } else { Step::Idle { until: None } }
        });
        let mut steps = 0;
        let failing = stepping(1, WaitPolicy::Park, move |_| {
            steps += 1;
            assert!(steps < 3, "step {steps} of shard 1 is one too many");
            Step::Worked
        });
        let unbuildable = spec(0, WaitPolicy::Park, Box::new(|_| panic!("no such operator")));
        let mut running = start(kind, Clock::wall(), vec![healthy, failing, unbuildable]).unwrap();
        assert_eq!(running.driver(), kind);
        for _ in 0..2 {
            assert!(running.next_end(Duration::from_secs(20)).unwrap().result.is_err());
        }
        assert_eq!(running.next_end(Duration::ZERO), None, "the third one runs on");
        stop.store(true, Ordering::Release);
        let texts: Vec<_> =
            running.join().into_iter().map(|end| end.result.map_err(|e| e.to_string())).collect();
        assert_eq!(texts[0], Err("shard 0 panicked while being built: no such operator".to_owned()));
        assert_eq!(
            texts[1],
            Err("shard 1 panicked while running: step 3 of shard 1 is one too many".to_owned())
        );
        assert_eq!(texts[2], Ok(()));
    }
}

#[test]
fn a_panic_in_drop_is_reported() {
    struct Sore;
    impl Drop for Sore {
        fn drop(&mut self) {
            panic!("cannot let go");
        }
    }
    impl Drive for Sore {
        fn step(&mut self, _: Nanos) -> Step {
            Step::Done
        }
        fn has_work(&self) -> bool {
            false
        }
    }
    for kind in drivers() {
        let ends = run(kind, vec![spec(0, WaitPolicy::Park, Box::new(|_| Box::new(Sore)))]);
        let text = ends[0].result.clone().unwrap_err().to_string();
        assert_eq!(text, "shard 0 panicked while being dropped: cannot let go");
    }
}

#[test]
fn nothing_starts_where_one_shard_cannot() {
    for kind in drivers() {
        let built = Arc::new(AtomicBool::new(false));
        let seen = built.clone();
        let fine = stepping(0, WaitPolicy::Park, move |_| {
            seen.store(true, Ordering::Release);
            Step::Done
        });
        let stray = ShardSpec { core: Some(CoreId(1023)), ..stepping(1, WaitPolicy::Park, |_| Step::Done) };
        let error = start(kind, Clock::wall(), vec![fine, stray]).unwrap_err().to_string();
        assert!(error.starts_with("cannot pin shard 1 to core 1023: this process may use cores "), "{error}");
        assert!(!built.load(Ordering::Acquire));
    }
    assert!(matches!(start(DriverKind::Auto, Clock::wall(), vec![]), Err(DriverError::NoShards)));
}

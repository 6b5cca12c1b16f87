//! Timers of processing time, and what becomes of those that fell due while the job did not run.

use std::path::Path;
use std::time::Duration;

use millstream::operator::{KeyedContext, KeyedProcess, States, Timer};
use millstream::prelude::*;
use millstream::timers::Overdue;

use crate::time::fed::{Fed, Stepped};
use crate::ways::Paused;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Sets a timer of processing time for each record, and gives out when it fires.
struct Alarms(Overdue);

impl KeyedProcess<u64, u64> for Alarms {
    type Out = (u64, i64, i64);

    fn open(&mut self, states: &mut States<'_, u64>) {
        states.overdue(self.0);
    }

    fn process(&mut self, at: &u64, ctx: &mut KeyedContext<'_, u64, Self::Out>) {
        ctx.register_processing_timer(Timestamp(*at as i64));
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, u64, Self::Out>) {
        let now = ctx.processing_time().0;
        ctx.emit((ctx.key(), timer.at.0, now));
    }
}

#[test]
fn pf_01_timers_of_processing_time_fire_by_the_clock_and_those_for_the_past_at_once() {
    for shards in [1, 2] {
        let fed = Fed::new(1);
        let source = fed.clone();
        let job = Stepped::start(shards, move |flow, sink| {
            flow.source("fed", source.clone())
                .key_by(|at| *at)
                .process(Alarms(Overdue::Fire))
                .sink("out", sink);
        });
        fed.feed(0, 100, 0);
        job.nothing();
        job.clock.set(ms(99));
        job.nothing();
        job.clock.set(ms(100));
        assert_eq!(job.next(), (100, 100, 100));
        fed.feed(0, 50, 0);
        assert_eq!(job.next(), (50, 50, 100));
        job.stop();
    }
}

/// What fires after a job that has set timers for 100 and 600 has been stopped at 50 and goes on at 500.
fn gone_on_with(state: &Path, policy: Overdue, shards: u16) -> Stepped<(u64, i64, i64)> {
    let program = move |flow: &Flow, sink| {
        let records = [100, 600].map(|at| (at, Timestamp(0))).to_vec();
        flow.source("records", Paused::endless(vec![records]))
            .key_by(|at| *at)
            .process(Alarms(policy))
            .sink("out", sink);
    };
    let job = Stepped::start_in(state, 1, ms(50), program);
    job.nothing();
    job.stop_with_checkpoint();
    Stepped::start_in(state, shards, ms(500), program)
}

#[test]
fn pf_06_a_timer_that_is_overdue_fires_once_when_the_job_goes_on() {
    for shards in [1, 2] {
        let state = tempfile::tempdir().unwrap();
        let job = gone_on_with(state.path(), Overdue::Fire, shards);
        assert_eq!(job.next(), (100, 100, 500));
        job.nothing();
        job.clock.set(ms(600));
        assert_eq!(job.next(), (600, 600, 600));
        job.stop();
    }
}

#[test]
fn pf_06_timers_that_are_overdue_may_be_skipped() {
    for shards in [1, 2] {
        let state = tempfile::tempdir().unwrap();
        let job = gone_on_with(state.path(), Overdue::Skip, shards);
        job.nothing();
        job.clock.set(ms(600));
        assert_eq!(job.next(), (600, 600, 600));
        job.stop();
    }
}

#[test]
fn pf_06_timers_that_are_overdue_may_fire_in_the_time_that_follows() {
    for shards in [1, 2] {
        let state = tempfile::tempdir().unwrap();
        let job = gone_on_with(state.path(), Overdue::Reschedule { within: 50 }, shards);
        job.clock.set(ms(550));
        let (key, at, now) = job.next();
        assert_eq!(key, 100);
        assert!((500..=550).contains(&at), "{at}");
        assert_eq!(now, 550);
        job.clock.set(ms(600));
        assert_eq!(job.next(), (600, 600, 600));
        job.stop();
    }
}

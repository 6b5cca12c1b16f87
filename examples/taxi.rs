//! Exercises on taxi rides in New York, those of Flink's training: a stateless filter, a join by state and timers, windows and their best, and an
//! alert for what does not happen.
//!
//! ```text
//! taxi filter        rides that begin and end in the city
//! taxi join          rides with their fares; rides whose fare never came
//! taxi tips          of every hour, the driver with the most tips
//! taxi long-rides    rides that are longer than two hours, as soon as that is known
//! ```

mod common;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use millstream::io::Print;
use millstream::io::demos::{Fare, RideEvent, RideKind, Taxis};
use millstream::operator::{
    KeyedCoProcess, KeyedContext, KeyedProcess, NamedTimer, States, Timer, ValueState,
};
use millstream::prelude::*;

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: i64 = 3_600_000;

/// Exercises on generated taxi rides and fares.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// What is to be found out.
    exercise: Exercise,
    /// How many rides there are.
    #[arg(long, default_value_t = 1000)]
    rides: u64,
    /// Other seeds give other rides.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    #[command(flatten)]
    explain: common::Explain,
}

#[derive(Clone, Copy, ValueEnum)]
enum Exercise {
    /// Rides that begin and end in the city.
    Filter,
    /// Rides with their fares.
    Join,
    /// Of every hour, the driver with the most tips.
    Tips,
    /// Rides that are longer than two hours.
    LongRides,
}

/// Rides that begin and end in the city: nothing is kept.
fn filter(flow: &Flow, taxis: &Taxis) {
    flow.source("rides", taxis.ride_source())
        .filter(|ride| ride.start.is_in_nyc() && ride.end.is_in_nyc())
        .map(|ride| format!("{},{:?}", ride.ride, ride.kind))
        .sink("out", Print::stdout());
}

/// Keeps whichever comes first of a ride and its fare until the other one is there, or is waited for no longer.
#[derive(Default)]
struct Settle {
    ride: ValueState<RideEvent>,
    fare: ValueState<Fare>,
    patience: NamedTimer,
    unpaid: Option<Tag<u64>>,
}

impl Settle {
    /// A ride takes three hours at the most.
    const PATIENCE_MS: i64 = 4 * HOUR_MS;

    fn paid(ride: u64, fare: &Fare) -> String {
        format!("{ride},{}", fare.total_cents)
    }
}

impl KeyedCoProcess<RideEvent, Fare, u64> for Settle {
    type Out = String;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.ride = states.value("ride");
        self.fare = states.value("fare");
        self.patience = states.event_timer("patience");
    }

    fn first(&mut self, ride: &RideEvent, ctx: &mut KeyedContext<'_, u64, String>) {
        match ctx.take(&self.fare) {
            Some(fare) => ctx.emit(Settle::paid(ride.ride, &fare)),
            None => {
                ctx.set(&self.ride, *ride);
                ctx.reset(self.patience, Timestamp(ride.at + Settle::PATIENCE_MS));
            }
        }
    }

    fn second(&mut self, fare: &Fare, ctx: &mut KeyedContext<'_, u64, String>) {
        match ctx.take(&self.ride) {
            Some(ride) => {
                ctx.cancel(self.patience);
                ctx.emit(Settle::paid(ride.ride, fare));
            }
            None => ctx.set(&self.fare, *fare),
        }
    }

    fn on_timer(&mut self, _: Timer<'_>, ctx: &mut KeyedContext<'_, u64, String>) {
        if let (Some(ride), Some(unpaid)) = (ctx.take(&self.ride), &self.unpaid) {
            ctx.side(unpaid, &ride.ride);
        }
    }
}

fn join(flow: &Flow, taxis: &Taxis) {
    let time = || Watermarks::bounded_out_of_orderness(taxis.disorder());
    let unpaid = flow.tag("unpaid");
    let rides = flow
        .source("rides", taxis.ride_source())
        .source_time(time())
        .filter(|ride| ride.kind == RideKind::Start)
        .key_by(|ride| ride.ride);
    let fares = flow.source("fares", taxis.fare_source()).source_time(time()).key_by(|fare| fare.ride);
    let settled = rides.connect(fares).process(Settle { unpaid: Some(unpaid.clone()), ..Settle::default() });
    settled.side_output(&unpaid).map(|ride| format!("{ride},unpaid")).sink("unpaid", Print::stdout());
    settled.sink("out", Print::stdout());
}

/// Tips of drivers by the hour, and of each hour the best.
fn tips(flow: &Flow, taxis: &Taxis) {
    flow.source("fares", taxis.fare_source())
        .source_time(Watermarks::bounded_out_of_orderness(taxis.disorder()))
        .key_by(|fare| fare.driver)
        .window(Tumbling::of(HOUR))
        .sum(|fare| fare.tip_cents)
        .top_n(1, |tips| *tips)
        .map(|best| format!("{},{},{}", best.window.start, best.key, best.value))
        .sink("out", Print::stdout());
}

/// Tells of a ride when event time says that two hours have passed and it has not ended.
#[derive(Default)]
struct LongRides {
    /// Whichever event came first.
    first: ValueState<RideEvent>,
    two_hours: NamedTimer,
}

impl LongRides {
    const LONG_MS: i64 = 2 * HOUR_MS;
}

impl KeyedProcess<RideEvent, u64> for LongRides {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.first = states.value("first event");
        self.two_hours = states.event_timer("two hours");
    }

    fn process(&mut self, event: &RideEvent, ctx: &mut KeyedContext<'_, u64, u64>) {
        let Some(first) = ctx.take(&self.first) else {
            ctx.set(&self.first, *event);
            if event.kind == RideKind::Start {
                ctx.reset(self.two_hours, Timestamp(event.at + LongRides::LONG_MS));
            }
            return;
        };
        // Where the timer is gone, it has told of the ride. Otherwise the end may have come before event time did.
        let told = first.kind == RideKind::Start && ctx.cancel(self.two_hours).is_none();
        if !told && (event.at - first.at).abs() > LongRides::LONG_MS {
            ctx.emit(event.ride);
        }
    }

    fn on_timer(&mut self, _: Timer<'_>, ctx: &mut KeyedContext<'_, u64, u64>) {
        let ride = ctx.key();
        ctx.emit(ride);
    }
}

fn long_rides(flow: &Flow, taxis: &Taxis) {
    flow.source("rides", taxis.ride_source())
        .source_time(Watermarks::bounded_out_of_orderness(taxis.disorder()))
        .key_by(|event| event.ride)
        .process(LongRides::default())
        .sink("out", Print::stdout());
}

fn main() -> ExitCode {
    let args = Args::parse();
    let taxis = Taxis::seeded(args.seed).rides(args.rides);
    let job = Job::new("taxi").shards(args.shards);
    common::run(job, args.explain, move |flow| match args.exercise {
        Exercise::Filter => filter(flow, &taxis),
        Exercise::Join => join(flow, &taxis),
        Exercise::Tips => tips(flow, &taxis),
        Exercise::LongRides => long_rides(flow, &taxis),
    })
}

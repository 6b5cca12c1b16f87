//! Readings of sensors above limits that change while the job runs. The limits are broadcast: every shard knows them all.
//!
//! ```text
//! limits   ---broadcast---> every shard: (kind, since) -> limit
//!                                ^ looked up when event time has come to the reading's
//! readings ----by sensor---> waiting readings ---> alerts
//! ```
//!
//! There is no order between two streams. So a reading waits until event time has come to its own: then all limits up to there are known, and the
//! alerts are the same each time.

mod common;

use std::process::ExitCode;

use clap::Parser;
use millstream::io::Print;
use millstream::io::demos::{Limit, Reading, Sensors};
use millstream::operator::{
    BroadcastContext, BroadcastMap, KeyedBroadcastProcess, KeyedContext, States, Timer, ValueState,
};
use millstream::prelude::*;

/// Tells of generated readings that are above their limit.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// How many readings there are.
    #[arg(long, default_value_t = 10_000)]
    readings: u64,
    /// Other seeds give other readings.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    #[command(flatten)]
    explain: common::Explain,
}

#[derive(Default)]
struct AboveLimit {
    /// By kind, and since when it holds.
    limits: BroadcastMap<(u64, i64), i64>,
    waiting: ValueState<Vec<Reading>>,
}

impl KeyedBroadcastProcess<Reading, Limit, u64> for AboveLimit {
    type Out = String;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.limits = states.broadcast_map("limits");
        self.waiting = states.value("waiting readings");
    }

    fn process(&mut self, reading: &Reading, ctx: &mut KeyedContext<'_, u64, String>) {
        let mut waiting = ctx.get(&self.waiting).unwrap_or_default();
        waiting.push(*reading);
        ctx.set(&self.waiting, waiting);
        ctx.register_event_timer(Timestamp(reading.at));
    }

    fn broadcast(&mut self, limit: &Limit, ctx: &mut BroadcastContext<'_, u64, String>) {
        ctx.put(&self.limits, &(limit.kind, limit.since), &limit.value);
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, u64, String>) {
        let waiting = ctx.take(&self.waiting).unwrap_or_default();
        let (due, waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|reading| reading.at <= timer.at.0);
        if !waiting.is_empty() {
            ctx.set(&self.waiting, waiting);
        }
        for reading in due {
            let mut newest: Option<(i64, i64)> = None;
            ctx.each_of(&self.limits, |(kind, since), limit| {
                if kind == reading.kind && since <= reading.at {
                    newest = newest.max(Some((since, *limit)));
                }
            });
            if let Some((_, limit)) = newest
                && reading.value > limit
            {
                ctx.emit(format!("{},{},{},{limit}", reading.sensor, reading.at, reading.value));
            }
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let sensors = Sensors::seeded(args.seed).readings(args.readings);
    common::run(Job::new("sensor_alerts").shards(args.shards), args.explain, move |flow| {
        let limits =
            flow.source("limits", sensors.limit_source()).source_time(Watermarks::monotonous()).broadcast();
        flow.source("readings", sensors.reading_source())
            .source_time(Watermarks::monotonous())
            .key_by(|reading| reading.sensor)
            .connect_broadcast(limits)
            .process(AboveLimit::default())
            .sink("alerts", Print::stdout());
    })
}

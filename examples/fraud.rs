//! Fraud with cards, as in Flink's walkthrough: whoever has stolen a card tries it out with less than a dollar, and then spends more than 500 at
//! once. The job tells of such a payment if it is the next one of the account, within a minute.

mod common;

use std::process::ExitCode;

use clap::Parser;
use millstream::io::Print;
use millstream::io::demos::{Transaction, Transactions};
use millstream::operator::{KeyedContext, KeyedProcess, NamedTimer, States, Timer, ValueState};
use millstream::prelude::*;

/// Looks for fraud in generated payments.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// How many payments there are.
    #[arg(long, default_value_t = 10_000)]
    payments: u64,
    /// Other seeds give other payments.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    #[command(flatten)]
    explain: common::Explain,
}

const SMALL_CENTS: u64 = 100;
const LARGE_CENTS: u64 = 50_000;
const MINUTE_MS: i64 = 60_000;

/// Remembers for a minute that the last payment of an account was small.
#[derive(Default)]
struct FraudDetector {
    was_small: ValueState<bool>,
    forget: NamedTimer,
}

impl KeyedProcess<Transaction, u64> for FraudDetector {
    type Out = String;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.was_small = states.value("last payment was small");
        self.forget = states.event_timer("forget");
    }

    fn process(&mut self, payment: &Transaction, ctx: &mut KeyedContext<'_, u64, String>) {
        if ctx.take(&self.was_small).is_some() {
            // The timer may have been due and wait for event time, which is a tick behind.
            let in_time = ctx.cancel(self.forget).is_some_and(|until| payment.at < until.0);
            if in_time && payment.cents > LARGE_CENTS {
                ctx.emit(format!("{},{},{}", payment.account, payment.at, payment.cents));
            }
        }
        if payment.cents < SMALL_CENTS {
            ctx.set(&self.was_small, true);
            ctx.reset(self.forget, Timestamp(payment.at + MINUTE_MS));
        }
    }

    fn on_timer(&mut self, _: Timer<'_>, ctx: &mut KeyedContext<'_, u64, String>) {
        ctx.take(&self.was_small);
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let payments = Transactions::seeded(args.seed).count(args.payments);
    common::run(Job::new("fraud").shards(args.shards), args.explain, move |flow| {
        flow.source("payments", payments.into_source())
            .source_time(Watermarks::monotonous())
            .key_by(|payment| payment.account)
            .process(FraudDetector::default())
            .sink("alerts", Print::stdout());
    })
}

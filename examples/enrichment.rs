//! Payments with the names of those who pay, which a service far away knows: each question takes milliseconds, and a hundred are asked at a time.
//! The service is simulated: it is slow, is busy every now and then, and does not know every account.

mod common;

use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use millstream::io::Print;
use millstream::io::demos::{Transaction, Transactions};
use millstream::operator::async_io::{Retry, sleep};
use millstream::prelude::*;

/// Asks a simulated service who has paid.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// How many payments there are.
    #[arg(long, default_value_t = 1_000)]
    payments: u64,
    /// Other seeds give other payments.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Gives results out in the order of the payments.
    #[arg(long)]
    in_order: bool,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    #[command(flatten)]
    explain: common::Explain,
}

/// A client of the service. It is polled on the shard that it belongs to: it needs no locks.
#[derive(Clone, Default)]
struct Customers {
    questions: Rc<Cell<u64>>,
}

impl Customers {
    /// Who has an account.
    async fn owner_of(self, account: u64) -> Result<String, String> {
        let question = self.questions.get() + 1;
        self.questions.set(question);
        sleep(Duration::from_millis(1 + question % 5)).await;
        match account {
            13 => Err("no such account".to_owned()),
            _ if question.is_multiple_of(10) => Err("busy".to_owned()),
            _ => Ok(format!("customer {}", account * 7)),
        }
    }
}

fn program(flow: &Flow, args: Args) {
    let payments = Transactions::seeded(args.seed).count(args.payments);
    let payments = flow.source("payments", payments.into_source());
    let (customers, unknown) = (Customers::default(), flow.tag::<Transaction>("unknown"));

    let calls = if args.in_order { payments.ordered_wait() } else { payments.unordered_wait() };
    let named = calls
        .capacity(100)
        .timeout(Duration::from_secs(10))
        .retry(Retry::exponential(9, Duration::from_millis(1), 2.0, Duration::from_millis(4)))
        .or_side(&unknown)
        .try_call(move |payment| {
            let owner = customers.clone().owner_of(payment.account);
            async move { owner.await.map(|owner| format!("{owner},{},{}", payment.at, payment.cents)) }
        });

    let unknown = named.side_output(&unknown);
    let unknown = unknown.map(|payment| format!("unknown,{},{}", payment.at, payment.cents));
    named.union(unknown).sink("who paid", Print::stdout());
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::run(Job::new("enrichment").shards(args.shards), args.explain, move |flow| program(flow, args))
}

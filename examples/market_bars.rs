//! Bars of trades: the price at which each instrument opened, the highest, the lowest and the last one, and how much was traded, for every tenth of a
//! second. Event time is told by the microsecond.
//!
//! The program pushes the trades itself, as a feed handler would, and says how far event time has come:
//!
//! ```text
//! this thread   trades and watermarks --> ingress --> by instrument, windows --> egress `bars` --> a thread
//!                                                               late ----------> egress `late` --> a thread
//! ```
//!
//! A trade that comes after its bar is out is in no bar, and told of beside. What is late depends on the watermarks that are said, and on nothing
//! else: the output is the same each time.

mod common;

use std::error::Error;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Parser;
use millstream::io::demos::{Trade, Trades};
use millstream::prelude::*;

/// Makes bars of generated trades.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// How many trades there are: four in a millisecond.
    #[arg(long, default_value_t = 20_000)]
    trades: u64,
    /// Other seeds give other trades.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How long a bar is, in microseconds.
    #[arg(long, value_name = "US", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    bar: u64,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    #[command(flatten)]
    explain: common::Explain,
}

/// What an instrument's trades of some time come to. Prices are in cents, times in microseconds.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Prices {
    opened_at: i64,
    open: i64,
    high: i64,
    low: i64,
    closed_at: i64,
    close: i64,
    volume: u64,
}

/// The prices of an instrument from `start` on.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Bar {
    start: i64,
    instrument: u64,
    prices: Prices,
}

struct OfTrades;

impl Aggregate<Trade> for OfTrades {
    type Acc = Prices;
    type Out = Prices;

    fn create(&self) -> Prices {
        Prices {
            opened_at: i64::MAX,
            open: 0,
            high: i64::MIN,
            low: i64::MAX,
            closed_at: i64::MIN,
            close: 0,
            volume: 0,
        }
    }

    fn add(&self, prices: &mut Prices, trade: &Trade) {
        let Trade { at, price, size, .. } = *trade;
        let of_one = Prices {
            opened_at: at,
            open: price,
            high: price,
            low: price,
            closed_at: at,
            close: price,
            volume: size,
        };
        self.merge(prices, &of_one);
    }

    fn merge(&self, prices: &mut Prices, other: &Prices) {
        // Trades come out of order; no two are at one time.
        if other.opened_at < prices.opened_at {
            (prices.opened_at, prices.open) = (other.opened_at, other.open);
        }
        if other.closed_at > prices.closed_at {
            (prices.closed_at, prices.close) = (other.closed_at, other.close);
        }
        prices.high = prices.high.max(other.high);
        prices.low = prices.low.min(other.low);
        prices.volume += other.volume;
    }

    fn result(&self, prices: Prices) -> Prices {
        prices
    }
}

fn bars(flow: &Flow, length: Duration) {
    let late = flow.tag("late");
    let bars = flow
        .ingress::<Trade>("trades")
        .source_time(Watermarks::from_source())
        .key_by(|trade| trade.instrument)
        .window(Tumbling::of(length))
        .late_to(&late)
        .aggregate(OfTrades);
    bars.side_output(&late).owned().egress("late");
    bars.map(|bar| Bar { start: bar.window.start.0, instrument: bar.key, prices: bar.value }).egress("bars");
}

/// Sends all trades, and once in a millisecond of event time how far that has come.
fn feed(trades: Trades, into: &mut Ingress<Trade>) -> Result<(), Box<dyn Error>> {
    let disorder = trades.disorder().as_micros() as i64;
    let (mut newest, mut millisecond) = (0, 0);
    for trade in trades.all() {
        into.send_at(trade, Timestamp(trade.at))?;
        newest = newest.max(trade.at);
        if newest / 1_000 > millisecond {
            millisecond = newest / 1_000;
            // No trade of this time or before it is to come.
            let watermark = Timestamp(millisecond * 1_000 - disorder - 1);
            into.watermark(watermark)?;
        }
    }
    Ok(())
}

/// Receives on a thread of its own: one that sends and receives could wait for itself.
fn all_of<T: Send + 'static>(egress: Egress<T>) -> JoinHandle<Vec<T>> {
    std::thread::spawn(move || egress.collect())
}

fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let job = Job::new("market_bars").shards(args.shards).tick(Tick::Microsecond);
    let mut trades = job.ingress("trades", IngressOptions::new());
    let (made, late) = (job.egress("bars", EgressOptions::new()), job.egress("late", EgressOptions::new()));
    let program = move |flow: &Flow| bars(flow, Duration::from_micros(args.bar));
    if let Some(code) = args.explain.instead(&job, program) {
        return Ok(code);
    }
    let running = job.spawn(program)?;
    let (made, late) = (all_of::<Bar>(made), all_of::<Trade>(late));
    let fed = feed(Trades::seeded(args.seed).trades(args.trades), &mut trades);
    drop(trades);
    // If it failed, what ended it says more than that nothing could be sent any more.
    running.wait()?;
    fed?;
    let died = |_| "a thread that receives has died";
    let mut made = made.join().map_err(died)?;
    // Bars of one time come in the order of their hashes.
    made.sort_by_key(|bar| (bar.start, bar.instrument));
    for Bar { start, instrument, prices } in made {
        let Prices { open, high, low, close, volume, .. } = prices;
        println!("{start},{instrument},{open},{high},{low},{close},{volume}");
    }
    for Trade { instrument, at, .. } in late.join().map_err(died)? {
        println!("late,{instrument},{at}");
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run(Args::parse()).unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

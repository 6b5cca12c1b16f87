//! The works in renoir.

mod tumbling;

use std::process::ExitCode;

use clap::Parser;
use millstream_yardstick::course::Watch;
use millstream_yardstick::report::{Runner, line};
use millstream_yardstick::tally::Tally;
use millstream_yardstick::works::{
    Bid, BidSequence, Collected, LineSequence, Sequence, Task, WINDOW_MS, Work, discounted, parts,
};
use renoir::operator::Operator;
use renoir::prelude::*;
use renoir::{KeyedStream, Stream};
use tumbling::AlignedTumbling;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many records go on together.
const BATCH: usize = 1024;
/// How much later than others a bid may come.
const OUT_OF_ORDER_MS: i64 = 100;
/// A watermark comes after so many bids.
const BIDS_PER_WATERMARK: u64 = 1000;
/// How many records are generated between two looks at the clock of others.
const TURN: u64 = 256;

/// The works in renoir, one run at a time: prints one line of JSON.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    task: Task,
}

/// The records of one replica of the source.
struct Made<S> {
    records: S,
    left: u64,
    since: u64,
    replica: u16,
    tally: Tally,
}

impl<S: Sequence> Iterator for Made<S> {
    type Item = S::Item;

    #[inline(always)]
    fn next(&mut self) -> Option<S::Item> {
        if self.since == TURN || self.left == 0 {
            self.tally.add(self.replica, self.since);
            self.since = 0;
            if self.left == 0 {
                return None;
            }
        }
        self.left -= 1;
        self.since += 1;
        Some(self.records.next())
    }
}

fn made<S: Sequence<Item: Send>>(
    context: &StreamContext,
    task: &Task,
    tally: &Tally,
) -> Stream<impl Operator<Out = S::Item> + use<S>> {
    let (task, tally) = (task.clone(), tally.clone());
    let records = context.stream_par_iter(move |replica: u64, replicas: u64| {
        let replica = replica as u16;
        let part = parts(task.records(), replicas as u16).nth(usize::from(replica));
        let left = part.map_or(0, |part| part.records);
        Made {
            records: S::new(task.keys(), replica, replicas as u16),
            left,
            since: 0,
            replica,
            tally: tally.clone(),
        }
    });
    records.batch_mode(BatchMode::fixed(BATCH))
}

/// The count of each key so far.
fn running<K, V: Clone + Send + 'static>(
    keyed: KeyedStream<impl Operator<Out = (K, V)> + 'static>,
) -> KeyedStream<impl Operator<Out = (K, u64)>>
where
    K: Clone + Send + std::hash::Hash + Eq + 'static,
{
    let mut count = 0u64;
    keyed.rich_map(move |_| {
        count += 1;
        count
    })
}

fn build(context: &StreamContext, task: &Task, tally: &Tally, collected: &Collected) {
    let mut results = collected.collector();
    let bids = || made::<BidSequence>(context, task, tally);
    let words = || {
        made::<LineSequence>(context, task, tally)
            .flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    };
    let auction = |bid: &Bid| bid.auction;
    macro_rules! end_of_words {
        ($keyed:expr) => {
            running($keyed).for_each(move |(word, count)| results.word(word.as_bytes(), count))
        };
    }
    macro_rules! end_of_counts {
        ($keyed:expr) => {
            running($keyed).for_each(move |(key, count)| results.keyed(std::hint::black_box(key), count))
        };
    }
    macro_rules! end_of_windows {
        ($keyed:expr) => {
            $keyed
                .window(AlignedTumbling(WINDOW_MS))
                .fold((0i64, 0u64), |(start, count), bid: &Bid| {
                    *start = bid.date_time / WINDOW_MS * WINDOW_MS;
                    *count += 1;
                })
                .for_each(move |(key, (start, count))| results.window(key, start, count))
        };
    }
    match (task.work, task.exchange) {
        (Work::Passthrough, _) => bids()
            .map(|bid| Bid { price: discounted(bid.price), ..bid })
            .for_each(move |bid| results.bid(std::hint::black_box(&bid).price)),
        (Work::Wordcount, true) => end_of_words!(words().group_by(|word| word.clone())),
        (Work::Wordcount, false) => end_of_words!(words().key_by(|word| word.clone())),
        (Work::Keyed, true) => end_of_counts!(bids().group_by(auction)),
        (Work::Keyed, false) => end_of_counts!(bids().key_by(auction)),
        (Work::Window, true) => end_of_windows!(with_time(bids()).group_by(auction)),
        (Work::Window, false) => end_of_windows!(with_time(bids()).key_by(auction)),
    }
}

fn with_time(bids: Stream<impl Operator<Out = Bid> + 'static>) -> Stream<impl Operator<Out = Bid>> {
    let mut seen = 0;
    bids.add_timestamps(
        |bid| bid.date_time,
        move |_, time| {
            seen += 1;
            // A window ends after a watermark that is past its end.
            (seen % BIDS_PER_WATERMARK == 0).then(|| *time - OUT_OF_ORDER_MS - 1)
        },
    )
}

fn run(task: &Task) -> Result<(), String> {
    let (tally, collected) = (Tally::new(task.shards), Collected::default());
    let config = RuntimeConfig::local(u64::from(task.shards)).map_err(|error| error.to_string())?;
    let context = StreamContext::new(config);
    build(&context, task, &tally, &collected);
    let watch = Watch::start(&tally, task.warm_up, task.events);
    context.execute_blocking();
    let runner = Runner {
        system: "renoir",
        version: "0.6.0",
        guarantee: "none",
        settings: "mimalloc, batches of 1024; windows of our own that begin where the others' do",
    };
    println!("{}", line(&runner, task, &watch.end()?, collected.all()?));
    Ok(())
}

fn main() -> ExitCode {
    match run(&Args::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

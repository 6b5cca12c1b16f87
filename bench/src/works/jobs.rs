//! The works as jobs.

use std::hint::black_box;
use std::time::Duration;

use millstream::prelude::*;
use millstream_yardstick::tally::Tally;
use millstream_yardstick::works::{BidSequence, Collected, LineSequence, Task, WINDOW_MS, Work, discounted};

use super::source::{Bid, Made};

/// How much later than others of its partition a bid may come.
const OUT_OF_ORDER: Duration = Duration::from_millis(100);

/// The job of a task: its source counts in the tally, its end in `collected`.
pub fn program(flow: &Flow, task: &Task, tally: &Tally, collected: &Collected) {
    let mut results = collected.collector();
    let bids = || flow.source("bids", Made::<BidSequence, Bid>::new(task, tally));
    match task.work {
        Work::Passthrough => bids()
            .map(|bid| Bid { price: discounted(bid.price), ..bid })
            .for_each(move |bid, _| results.bid(black_box(bid).price)),
        Work::Wordcount => flow
            .source("lines", Made::<LineSequence, String>::new(task, tally))
            .flat_map_with(|line, words| line.split(' ').for_each(|word| words.emit(word.to_owned())))
            .key_by_ref(|word| word.as_str())
            .count()
            .for_each(move |(word, count), _| results.word(word.as_bytes(), *count)),
        Work::Keyed => bids()
            .key_by(|bid| bid.auction as u64)
            .count()
            .for_each(move |(key, count), _| results.keyed(*key as i64, *count)),
        Work::Window => bids()
            .event_time(Watermarks::bounded_out_of_orderness(OUT_OF_ORDER), |bid| bid.date_time)
            .key_by(|bid| bid.auction as u64)
            .window(Tumbling::of(Duration::from_millis(WINDOW_MS as u64)))
            .count()
            .for_each(move |result, _| {
                results.window(result.key as i64, result.window.start.0, result.value);
            }),
    }
}

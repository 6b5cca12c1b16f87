//! Counts of tumbling windows: one map for each open window, and a capability that holds its end.

use millstream_yardstick::works::{Bid, WINDOW_MS};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::{Capability, Operator};

use crate::counts::Map;

struct Window {
    start_ms: i64,
    end: Capability<u64>,
    counts: Map<i64>,
}

/// Key, start and count of every window of every key.
pub fn counted(exchange: bool, bids: StreamVec<'_, u64, Bid>) -> StreamVec<'_, u64, (i64, i64, u64)> {
    let (mut open, mut empty) = (Vec::<Window>::new(), Vec::<Map<i64>>::new());
    macro_rules! count_after {
        ($pact:expr) => {
            bids.unary_frontier($pact, "windows", |_, _| {
                move |(input, frontier), output| {
                    input.for_each_time(|time, batches| {
                        for batch in batches {
                            for bid in batch.iter() {
                                let start_ms = bid.date_time / WINDOW_MS * WINDOW_MS;
                                let at = match open.iter().position(|window| window.start_ms == start_ms) {
                                    Some(at) => at,
                                    None => {
                                        let end = (start_ms + WINDOW_MS) as u64;
                                        open.push(Window {
                                            start_ms,
                                            end: time.delayed(&end, output.output_index()),
                                            counts: empty.pop().unwrap_or_default(),
                                        });
                                        open.len() - 1
                                    }
                                };
                                *open[at].counts.entry(bid.auction).or_insert(0) += 1;
                            }
                            batch.clear();
                        }
                    });
                    let mut at = 0;
                    while at < open.len() {
                        if frontier.less_than(open[at].end.time()) {
                            at += 1;
                            continue;
                        }
                        let Window { start_ms, end, mut counts } = open.swap_remove(at);
                        let mut session = output.session(&end);
                        counts.drain().for_each(|(key, count)| session.give((key, start_ms, count)));
                        empty.push(counts);
                    }
                }
            })
        };
    }
    if exchange {
        count_after!(Exchange::new(|bid: &Bid| bid.auction as u64))
    } else {
        count_after!(Pipeline)
    }
}

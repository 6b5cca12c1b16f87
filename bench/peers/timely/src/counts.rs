//! The works, windows apart.

use std::hash::Hash;

use hashbrown::HashMap;
use millstream_yardstick::works::{Bid, BidSequence, LineSequence, Results, Work, discounted};
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Operator;
use timely::dataflow::operators::vec::Map as _;
use timely::dataflow::{Scope, StreamVec};

use crate::source::Run;
use crate::windows;

/// The hash map of all works.
pub type Map<K> = HashMap<K, u64, ahash::RandomState>;

/// Builds the work of the task.
pub fn build(scope: Scope<'_, u64>, run: &mut Run) {
    match run.task.work {
        Work::Passthrough => {
            let bids = run.source::<BidSequence>(scope, None);
            let cheaper = bids.map(|bid| Bid { price: discounted(bid.price), ..bid });
            run.collect(cheaper, |results, bid| results.bid(bid.price));
        }
        Work::Wordcount => {
            let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
            let lines = run.source::<LineSequence>(scope, None);
            let words = lines.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
            let counts = counted(run, words, |word| word, move |word| hasher.hash_one(word));
            run.collect(counts, |results: &mut Results, (word, count): &(String, u64)| {
                results.word(word.as_bytes(), *count);
            });
        }
        Work::Keyed => {
            let bids = run.source::<BidSequence>(scope, None);
            let counts = counted(run, bids, |bid| bid.auction, |bid| bid.auction as u64);
            run.collect(counts, |results, (key, count)| results.keyed(*key, *count));
        }
        Work::Window => {
            let bids = run.source::<BidSequence>(scope, Some(|bid: &Bid| bid.date_time));
            let counts = windows::counted(run.task.exchange, bids);
            run.collect(counts, |results, (key, start, count)| results.window(*key, *start, *count));
        }
    }
}

/// The running count of every record's key.
fn counted<'scope, T, K>(
    run: &Run,
    records: StreamVec<'scope, u64, T>,
    key: impl Fn(T) -> K + 'static,
    route: impl Fn(&T) -> u64 + 'static,
) -> StreamVec<'scope, u64, (K, u64)>
where
    T: serde::Serialize + for<'de> serde::Deserialize<'de> + Clone + Send + 'static,
    K: Hash + Eq + Clone + 'static,
{
    let mut counts = Map::<K>::default();
    let mut count = move |record| {
        let key = key(record);
        match counts.get_mut(&key) {
            Some(count) => {
                *count += 1;
                (key, *count)
            }
            None => {
                counts.insert(key.clone(), 1);
                (key, 1)
            }
        }
    };
    macro_rules! count_after {
        ($pact:expr) => {
            records.unary($pact, "count", |_, _| {
                move |input, output| {
                    input.for_each_time(|time, batches| {
                        let mut session = output.session(&time);
                        for batch in batches {
                            batch.drain(..).for_each(|record| session.give(count(record)));
                        }
                    });
                }
            })
        };
    }
    // The two are of different types.
    if run.task.exchange { count_after!(Exchange::new(route)) } else { count_after!(Pipeline) }
}

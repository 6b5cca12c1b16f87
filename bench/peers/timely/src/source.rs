//! Where the records come from, and where they end.

use std::hint::black_box;

use millstream_yardstick::tally::Tally;
use millstream_yardstick::works::{Collector, Results, Sequence, Task, parts};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::operators::{Operator, Probe};
use timely::dataflow::{ProbeHandle, Scope, StreamVec};

/// How many records a batch has.
const BATCH: u64 = 1024;
/// How many batches are under way at most: more would only fill memory.
const UNDER_WAY: u64 = 16;
/// How far event time may be ahead of what has come through.
const AHEAD_MS: u64 = 2000;
/// How much later than others a bid may come.
pub const OUT_OF_ORDER_MS: i64 = 100;

/// What a worker has.
pub struct Run {
    pub task: Task,
    worker: u16,
    tally: Tally,
    results: Option<Collector>,
    probe: ProbeHandle<u64>,
}

impl Run {
    pub fn new(task: &Task, worker: u16, tally: &Tally, results: Collector) -> Run {
        let probe = ProbeHandle::new();
        Run { task: task.clone(), worker, tally: tally.clone(), results: Some(results), probe }
    }

    /// The worker's records. A batch's time is its number, or with `event_time` what all later ones are at or after.
    pub fn source<'scope, S: Sequence<Item: Clone>>(
        &self,
        scope: Scope<'scope, u64>,
        event_time: Option<fn(&S::Item) -> i64>,
    ) -> StreamVec<'scope, u64, S::Item> {
        let (probe, tally, worker) = (self.probe.clone(), self.tally.clone(), self.worker);
        let part = parts(self.task.records(), self.task.shards).nth(usize::from(worker));
        let mut left = part.map_or(0, |part| part.records);
        let mut records = S::new(self.task.keys(), worker, self.task.shards);
        source(scope, "records", move |capability, info| {
            let activator = scope.activator_for(info.address);
            let mut capability = Some(capability);
            let mut batches = 0;
            move |output| {
                let Some(held) = &mut capability else { return };
                let behind = if event_time.is_some() { AHEAD_MS } else { UNDER_WAY };
                if probe.less_than(&held.time().saturating_sub(behind)) {
                    activator.activate();
                    return;
                }
                let turn = left.min(BATCH);
                let mut time = batches + 1;
                {
                    let mut session = output.session(&*held);
                    for at in 0..turn {
                        let record = records.next();
                        if let (Some(event_time), true) = (event_time, at + 1 == turn) {
                            time = (event_time(&record) - OUT_OF_ORDER_MS).max(0) as u64;
                        }
                        session.give(record);
                    }
                }
                batches += 1;
                left -= turn;
                tally.add(worker, turn);
                if left == 0 {
                    capability = None;
                } else {
                    if time > *held.time() {
                        held.downgrade(&time);
                    }
                    activator.activate();
                }
            }
        })
    }

    /// The end: every result is added up.
    pub fn collect<T: 'static>(
        &mut self,
        stream: StreamVec<'_, u64, T>,
        add: impl Fn(&mut Results, &T) + 'static,
    ) {
        let mut results = self.results.take();
        stream
            .unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(Pipeline, "collect", |_, _| {
                move |input, _| {
                    input.for_each_time(|_, batches| {
                        for batch in batches {
                            // There is one end for each worker.
                            if let Some(results) = &mut results {
                                batch.iter().for_each(|result| add(results, black_box(result)));
                            }
                            batch.clear();
                        }
                    });
                }
            })
            .probe_with(&self.probe);
    }
}

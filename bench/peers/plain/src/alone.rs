//! One loop per thread, which keeps all its records to itself: with several threads each key is counted on each of them.

use millstream_yardstick::works::{Results, Sequence, parts};

use crate::Run;
use crate::steps::Step;

/// How many records are worked on between two looks at the clock of others.
const TURN: u64 = 1024;

/// Runs it.
pub fn on_all<S: Sequence, W: Step<From = S::Item>>(run: &Run) {
    std::thread::scope(|scope| {
        for part in parts(run.task.records(), run.task.shards) {
            scope.spawn(move || {
                let mut collector = run.collected.collector();
                // A copy stays in registers.
                let mut results = Results::default();
                let mut records = S::new(run.task.keys(), part.partition, part.partitions);
                let mut step = W::default();
                let mut left = part.records;
                while left > 0 {
                    let turn = left.min(TURN);
                    let mut time = i64::MIN;
                    for _ in 0..turn {
                        W::split(records.next(), |item| {
                            time = W::time_after(&item);
                            step.take(&item, &mut results);
                        });
                    }
                    step.advance(time, &mut results);
                    left -= turn;
                    run.tally.add(part.partition, turn);
                }
                step.finish(&mut results);
                *collector = results;
            });
        }
    });
}

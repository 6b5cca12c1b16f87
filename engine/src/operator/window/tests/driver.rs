//! Drives a window operator over numbers, by numbers.

use crate::operator::tests::driver;
pub use crate::operator::tests::driver::SEED;
use crate::operator::window::WindowAggregate;
use crate::operator::window::finish::{DropLate, Whole};
use crate::operator::window::rule::WindowRule;
use crate::window::{Slices, WindowResult};

pub type Windows<W, R> = WindowAggregate<i64, u64, W, R, Whole, DropLate>;
type ResultOf<R> = WindowResult<u64, <R as WindowRule<i64>>::Out>;
pub type Driver<W, R> = driver::Driver<Windows<W, R>, ResultOf<R>>;

impl<W: Slices, R: WindowRule<i64>> Driver<W, R> {
    /// Gives records `(key, timestamp, value)` that all belong to one shard.
    pub fn batch(&mut self, shard: usize, records: &[(u64, i64, i64)]) {
        self.give(0, shard, records);
    }

    pub fn record(&mut self, key: u64, at: i64, value: i64) {
        self.batch(self.shard_of(key), &[(key, at, value)]);
    }

    /// What was given out since the last call.
    pub fn results(&mut self) -> Vec<ResultOf<R>> {
        let kept = self.take().into_iter().map(|(result, at)| {
            assert_eq!(at, result.window.max_timestamp(), "WN-17");
            result
        });
        kept.collect()
    }

    /// How many records came too late, and how many belonged to no window.
    pub fn lost(&self) -> (u64, u64) {
        let late = self.operators().map(|shard| shard.late.count()).sum();
        (late, self.operators().map(|shard| shard.unassigned).sum())
    }

    /// How many tables lie in a shard's arena, slices and blocks.
    pub fn tables(&self, shard: usize) -> (usize, usize) {
        let panes = self.operator(shard).panes.as_ref().unwrap();
        (panes.slices.len(), panes.blocks.metas().len())
    }
}

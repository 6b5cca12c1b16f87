//! The best few results of each window.

use super::aggregate::Aggregate;
use super::assigner::WindowAssigner;
use super::error::WindowError;
use super::result::WindowResult;
use super::time_window::TimeWindow;
use crate::element::Timestamp;
use crate::record::{Record, View};

/// One of the best results of a window: what [`Stream::top_n`](crate::stream::Stream::top_n) gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Record)]
pub struct Ranked<K, V> {
    /// The window.
    pub window: TimeWindow,
    /// Its place among the results of the window: 1 is the best.
    pub rank: u32,
    /// The key.
    pub key: K,
    /// What the records of the key in the window add up to.
    pub value: V,
}

/// A key and its value, as they are kept until the window is ranked.
#[derive(Clone, Debug, Record)]
pub struct Candidate<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
}

/// Gives a window's result the window that it is of.
#[derive(Clone, Copy, Debug)]
pub struct OfResult;

impl<K, V> WindowAssigner<WindowResult<K, V>> for OfResult
where
    K: 'static,
    V: 'static,
    WindowResult<K, V>: Record,
{
    fn assign(
        &self,
        at: Timestamp,
        _: &View<WindowResult<K, V>>,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<(), WindowError> {
        // The results of one window lie on one shard under a key of their own; all have its last tick as their time.
        windows.push(TimeWindow { start: at, end: Timestamp(at.0.saturating_add(1)) });
        Ok(())
    }
}

/// Keeps the best of what it is given.
pub struct Best<F> {
    pub(crate) count: usize,
    pub(crate) score: F,
}

impl<F> Best<F> {
    /// Puts a candidate in its place, where it has one: behind those that are better, or as good with a lesser key.
    fn place<K: Ord, V, S: PartialOrd>(&self, best: &mut Vec<Candidate<K, V>>, candidate: Candidate<K, V>)
    where
        F: Fn(&V) -> S,
    {
        let score = (self.score)(&candidate.value);
        let is_before = |other: &Candidate<K, V>| {
            let other_score = (self.score)(&other.value);
            // What cannot be compared, such as a NaN, comes last.
            match other_score.partial_cmp(&score) {
                Some(order) => order.then_with(|| candidate.key.cmp(&other.key)).is_gt(),
                None => other_score.partial_cmp(&other_score).is_some(),
            }
        };
        let place = best.iter().position(|other| !is_before(other)).unwrap_or(best.len());
        if place < self.count {
            best.insert(place, candidate);
            best.truncate(self.count);
        }
    }
}

impl<K, V, S, F> Aggregate<WindowResult<K, V>> for Best<F>
where
    K: Ord + Clone + 'static,
    V: Clone + 'static,
    S: PartialOrd,
    F: Fn(&V) -> S + 'static,
    WindowResult<K, V>: Record,
    Vec<Candidate<K, V>>: Record,
{
    type Acc = Vec<Candidate<K, V>>;
    type Out = Vec<Candidate<K, V>>;

    fn create(&self) -> Self::Acc {
        Vec::new()
    }

    fn add(&self, best: &mut Self::Acc, result: &View<WindowResult<K, V>>) {
        let WindowResult { key, value, .. } = WindowResult::owned(result);
        self.place(best, Candidate { key, value });
    }

    fn merge(&self, best: &mut Self::Acc, other: &Self::Acc) {
        other.iter().for_each(|candidate| self.place(best, candidate.clone()));
    }

    fn result(&self, best: Self::Acc) -> Self::Out {
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked<S: PartialOrd>(count: usize, of: &[(u64, f64)], score: impl Fn(&f64) -> S) -> Vec<u64> {
        let best = Best { count, score };
        let mut list = Vec::new();
        for (key, value) in of {
            best.place(&mut list, Candidate { key: *key, value: *value });
            assert!(list.len() <= count);
        }
        list.into_iter().map(|candidate| candidate.key).collect()
    }

    #[test]
    fn wn_24_the_best_come_first_and_of_equals_the_lesser_key() {
        let results = [(4, 1.0), (2, 3.0), (1, 3.0), (3, 2.0)];
        assert_eq!(ranked(3, &results, |value| *value), [1, 2, 3]);
        assert_eq!(ranked(2, &results, |value| -value), [4, 3]);
        assert!(ranked(0, &results, |value| *value).is_empty());
        assert_eq!(ranked(9, &results, |value| *value), [1, 2, 3, 4]);
    }

    #[test]
    fn wn_24_what_cannot_be_compared_comes_last() {
        let results = [(1, f64::NAN), (2, 1.0), (3, f64::NEG_INFINITY), (4, 2.0)];
        assert_eq!(ranked(4, &results, |value| *value), [4, 2, 3, 1]);
    }
}

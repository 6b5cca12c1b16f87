//! What windows should give, by brute force: every window keeps all its records.

use std::collections::{BTreeMap, BTreeSet};

use crate::window::Firing;

/// Windows, told apart by their formula alone.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Tumbling { size: i64, offset: i64 },
    Sliding { size: i64, slide: i64, offset: i64 },
    Cumulative { step: i64, steps: i64, offset: i64 },
}

impl Kind {
    /// The windows `[start, end)` of a timestamp, by ascending end.
    pub fn windows(self, at: i64) -> Vec<(i64, i64)> {
        match self {
            Kind::Tumbling { size, offset } => Kind::Sliding { size, slide: size, offset }.windows(at),
            Kind::Sliding { size, slide, offset } => {
                let starts = (at - size - slide..=at).filter(|start| (start - offset).rem_euclid(slide) == 0);
                starts.map(|start| (start, start + size)).filter(|(_, end)| at < *end).collect()
            }
            Kind::Cumulative { step, steps, offset } => {
                let start = (at - offset).div_euclid(step * steps) * step * steps + offset;
                (1..=steps).map(|n| (start, start + n * step)).filter(|(_, end)| at < *end).collect()
            }
        }
    }
}

/// One result: window, key, the values of its records, why it was given.
pub type Result = ((i64, i64), u64, Vec<i64>, Firing);

/// The model of a window operator.
pub struct Model {
    kind: Kind,
    lateness: i64,
    /// What each key has seen of the watermark.
    watermarks: BTreeMap<u64, i64>,
    /// By end, start and key.
    contents: BTreeMap<(i64, i64, u64), Vec<i64>>,
    pub late: u64,
    pub unassigned: u64,
}

impl Model {
    pub fn new(kind: Kind, lateness: i64) -> Self {
        Model {
            kind,
            lateness,
            watermarks: BTreeMap::new(),
            contents: BTreeMap::new(),
            late: 0,
            unassigned: 0,
        }
    }

    fn seen(&self, key: u64) -> i64 {
        self.watermarks.get(&key).copied().unwrap_or(i64::MIN)
    }

    /// A record; gives what fires at once.
    pub fn record(&mut self, key: u64, at: i64, value: i64) -> Vec<Result> {
        let seen = self.seen(key);
        let windows = self.kind.windows(at);
        let open: Vec<_> =
            windows.iter().filter(|(_, end)| (end - 1).saturating_add(self.lateness) > seen).collect();
        self.unassigned += u64::from(windows.is_empty());
        self.late += u64::from(!windows.is_empty() && open.is_empty());
        let mut fired = Vec::new();
        for (start, end) in open.into_iter().rev() {
            let values = self.contents.entry((*end, *start, key)).or_default();
            values.push(value);
            if end - 1 <= seen {
                fired.push(((*start, *end), key, sorted(values), Firing::Late));
            }
        }
        fired
    }

    /// The watermark of some keys; gives what fires, in the order of the windows, then of the keys.
    pub fn watermark(&mut self, keys: &BTreeSet<u64>, at: i64) -> Vec<Result> {
        let mut fired = Vec::new();
        for (&(end, start, key), values) in &self.contents {
            if keys.contains(&key) && end - 1 <= at && end - 1 > self.seen(key) {
                fired.push(((start, end), key, sorted(values), Firing::OnTime));
            }
        }
        for key in keys {
            let seen = self.seen(*key).max(at);
            self.watermarks.insert(*key, seen);
        }
        fired
    }
}

fn sorted(values: &[i64]) -> Vec<i64> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values
}

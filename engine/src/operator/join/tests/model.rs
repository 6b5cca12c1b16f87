//! What an interval join should give: every record looks at all others.

use std::collections::BTreeMap;

use crate::operator::tests::trace::{Oracle, Sent};

/// A value and its timestamp.
pub type Timed = (i64, i64);

/// An interval and what is wanted of it.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    pub lower: i64,
    pub upper: i64,
    /// Whether the bounds themselves are left out.
    pub exclusive: [bool; 2],
    /// Whether records of each side without a partner are wanted.
    pub alone: [bool; 2],
}

impl Spec {
    fn meets(&self, left: i64, right: i64) -> bool {
        let behind = i128::from(right) - i128::from(left);
        let (lower, upper) = (i128::from(self.lower), i128::from(self.upper));
        let above = if self.exclusive[0] { lower < behind } else { lower <= behind };
        let below = if self.exclusive[1] { behind < upper } else { behind <= upper };
        above && below
    }

    /// When a record of a side is waited for no longer, as in Flink: when its last partner's time has come, or its own if that is later.
    fn over_at(&self, side: usize, at: i64) -> i64 {
        let waits = match side {
            0 => i128::from(self.upper) - i128::from(self.exclusive[1]),
            _ => -i128::from(self.lower) - i128::from(self.exclusive[0]),
        };
        let over_at = i128::from(at) + waits.max(0);
        // Event time comes to no more than this before the stream ends.
        i64::try_from(over_at).unwrap_or(i64::MAX).min(i64::MAX - 1)
    }
}

/// A pair, or a record without a partner, and what the function knew of event time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Given {
    pub key: u64,
    pub left: Option<Timed>,
    pub right: Option<Timed>,
    pub watermark: i64,
}

struct Row {
    side: usize,
    key: u64,
    record: Timed,
    has_partner: bool,
}

/// See the [module](self).
pub struct Model {
    spec: Spec,
    rows: Vec<Row>,
    /// How far event time has come for each key.
    seen: BTreeMap<u64, i64>,
    /// Records of each side that came too late.
    pub late: [u64; 2],
    groups: Vec<Vec<Given>>,
}

impl Model {
    pub fn new(spec: Spec) -> Self {
        Model { spec, rows: Vec::new(), seen: BTreeMap::new(), late: [0; 2], groups: Vec::new() }
    }

    /// How many records are waited for.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    fn seen(&self, key: u64) -> i64 {
        self.seen.get(&key).copied().unwrap_or(i64::MIN)
    }
}

impl Oracle<i64> for Model {
    type Given = Given;

    fn record(&mut self, sent: &Sent<i64>) {
        let Sent { port: side, key, at, record } = *sent;
        let watermark = self.seen(key);
        if at < watermark {
            self.late[side] += 1;
            return;
        }
        let mine = (record, at);
        let mut group = Vec::new();
        for row in self.rows.iter_mut().filter(|row| row.side != side && row.key == key) {
            let (left, right) = if side == 0 { (mine, row.record) } else { (row.record, mine) };
            if self.spec.meets(left.1, right.1) && self.spec.over_at(row.side, row.record.1) > watermark {
                row.has_partner = true;
                group.push(Given { key, left: Some(left), right: Some(right), watermark });
            }
        }
        self.rows.push(Row { side, key, record: mine, has_partner: !group.is_empty() });
        self.groups.push(group);
    }

    fn watermark(&mut self, keys: &[u64], at: i64) {
        for key in keys {
            let seen = self.seen(*key).max(at);
            self.seen.insert(*key, seen);
        }
        let spec = self.spec;
        let is_over = |row: &mut Row| keys.contains(&row.key) && spec.over_at(row.side, row.record.1) <= at;
        let over: Vec<Row> = self.rows.extract_if(.., is_over).collect();
        let alone = over.into_iter().filter(|row| !row.has_partner && spec.alone[row.side]);
        let group = alone.map(|row| {
            let (left, right) =
                if row.side == 0 { (Some(row.record), None) } else { (None, Some(row.record)) };
            Given { key: row.key, left, right, watermark: self.seen[&row.key] }
        });
        self.groups.push(group.collect());
    }

    fn clock(&mut self, _: &[u64], _: i64) {}

    fn restart(&mut self, _: i64) {}

    fn take(&mut self) -> Vec<Vec<Given>> {
        std::mem::take(&mut self.groups)
    }
}

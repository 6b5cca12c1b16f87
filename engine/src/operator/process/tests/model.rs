//! What timers should do: a sorted set of them, whole.

use std::collections::{BTreeMap, BTreeSet};

use super::commands::{Answer, Clock, Command, Given, Name, reaction};
use crate::operator::tests::trace::{Oracle, Sent};

/// Clock, time, key, name.
type Timer = (Clock, i64, u64, Option<Name>);

/// See the [module](self).
#[derive(Default)]
pub struct Model {
    timers: BTreeSet<Timer>,
    /// How far event time has come for each key.
    watermarks: BTreeMap<u64, i64>,
    now: i64,
    /// Whether timers that have fallen due while the operator was not running are dropped.
    skips_overdue: bool,
    /// The keys whose clock has not been looked at since a restart.
    restarted: BTreeSet<u64>,
    groups: Vec<Vec<Given>>,
}

impl Model {
    pub fn new(skips_overdue: bool) -> Self {
        Model { skips_overdue, ..Model::default() }
    }

    /// How many timers there are.
    pub fn timers(&self) -> u64 {
        self.timers.len() as u64
    }

    fn watermark_of(&self, key: u64) -> Option<i64> {
        self.watermarks.get(&key).copied().filter(|watermark| *watermark > i64::MIN)
    }

    fn named(&self, key: u64, name: Name) -> Option<i64> {
        let mut timers = self.timers.iter();
        timers.find(|(_, _, of, named)| (*of, *named) == (key, Some(name))).map(|(_, at, ..)| *at)
    }

    fn cancel(&mut self, key: u64, name: Name) -> Option<i64> {
        let before = self.named(key, name);
        self.timers.retain(|(_, _, of, named)| (*of, *named) != (key, Some(name)));
        before
    }

    fn obey(&mut self, key: u64, command: Command, stamp: i64) {
        let answer = match command {
            Command::Register(clock, at) => Answer::Is(self.timers.insert((clock, at, key, None))),
            Command::Delete(clock, at) => Answer::Is(self.timers.remove(&(clock, at, key, None))),
            Command::Reset(name, at) => {
                let before = self.cancel(key, name);
                self.timers.insert((name.clock(), at, key, Some(name)));
                Answer::Was(before)
            }
            Command::Cancel(name) => Answer::Was(self.cancel(key, name)),
            Command::Ask(name) => Answer::Was(self.named(key, name)),
        };
        self.give(Given::Did { key, command, answer, stamp });
    }

    fn give(&mut self, given: Given) {
        self.groups.last_mut().expect("one was begun").push(given);
    }

    /// Fires what is due of some keys, in the order of time.
    fn fire(&mut self, clock: Clock, keys: &[u64], up_to: i64) {
        let mut last = None;
        loop {
            let is_due = |(of, at, key, _): &&Timer| *of == clock && *at <= up_to && keys.contains(key);
            let Some(&timer) = self.timers.iter().find(is_due) else { return };
            self.timers.remove(&timer);
            let (_, at, key, name) = timer;
            if last != Some(at) {
                self.groups.push(Vec::new());
                last = Some(at);
            }
            let stamp = if clock == Clock::Event { at } else { i64::MIN };
            let (watermark, now) = (self.watermark_of(key), self.now);
            self.give(Given::Fired { key, clock, name, at, watermark, now, stamp });
            for command in reaction(clock, name, at, watermark, now) {
                self.obey(key, command, stamp);
            }
        }
    }
}

impl Oracle<String> for Model {
    type Given = Given;

    fn record(&mut self, sent: &Sent<String>) {
        self.groups.push(Vec::new());
        let command = sent.record.parse().expect("a command");
        self.obey(sent.key, command, sent.at);
    }

    fn watermark(&mut self, keys: &[u64], at: i64) {
        self.watermarks.extend(keys.iter().map(|key| (*key, at)));
        self.fire(Clock::Event, keys, at);
    }

    fn clock(&mut self, keys: &[u64], now: i64) {
        self.now = now;
        for key in keys {
            if self.restarted.remove(key) && self.skips_overdue {
                let is_overdue =
                    |(clock, at, of, _): &Timer| *clock == Clock::Processing && *at <= now && of == key;
                self.timers.retain(|timer| !is_overdue(timer));
            }
        }
        self.fire(Clock::Processing, keys, now);
    }

    fn restart(&mut self, now: i64) {
        self.now = now;
        self.restarted = (0..crate::operator::tests::trace::KEYS).collect();
    }

    fn take(&mut self) -> Vec<Vec<Given>> {
        std::mem::take(&mut self.groups)
    }
}

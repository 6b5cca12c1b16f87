//! What windows should give: Flink's `WindowOperator`, word for word, on sorted maps. Every window keeps all its records.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::{Evicts, Spec, Windows, distance, gap_of};
use super::triggers::{Calls, Clocks, Memory, Verdict};
use crate::operator::tests::trace::{Oracle, Sent};
use crate::window::Firing;

/// Start and end.
pub type Span = (i64, i64);

/// Which clock a timer goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clock {
    Event,
    Processing,
}

/// What can be seen of the operator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Given {
    /// A window has fired: the values and timestamps of its elements.
    Fired { key: u64, window: Span, firing: Firing, elements: Vec<(i64, i64)> },
    /// What the function knew of the time, and the how manieth firing of the window it was, where windows do not merge.
    Knew { key: u64, window: Span, watermark: i64, processing: i64, of_window: u64 },
    /// The how manieth firing of the key it was.
    OfKey { key: u64, count: u64 },
    /// A window is over, after so many firings.
    Cleared { key: u64, window: Span, of_window: u64 },
    /// A window of two streams has fired: the elements of each.
    Grouped { key: u64, window: Span, firing: Firing, sides: [Vec<i64>; 2] },
    /// A pair of a window of two streams, or what has no partner there.
    Paired { key: u64, window: Span, pair: [Option<i64>; 2] },
}

/// How much the function under test tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tells {
    /// What the elements add up to, in their order. Where there are none, nothing.
    Sum,
    /// Everything.
    All,
    /// The elements of two streams, and all their pairs.
    Sides,
}

#[derive(Clone, Debug, Default)]
struct Window {
    /// With the stream that each came from.
    elements: Vec<(i64, i64, usize)>,
    memory: Memory,
    /// It covers windows whose time had come, and has not fired since.
    covers_fired: bool,
    firings: u64,
}

/// See the [module](self).
pub struct Model {
    spec: Spec,
    tells: Tells,
    windows: BTreeMap<(u64, Span), Window>,
    timers: BTreeSet<(Clock, i64, u64, Span)>,
    /// How far event time has come for each key.
    seen: BTreeMap<u64, i64>,
    now: i64,
    firings: BTreeMap<u64, u64>,
    pub late: u64,
    pub unassigned: u64,
    groups: Vec<Vec<Given>>,
}

/// What made a trigger decide.
#[derive(Clone, Copy, PartialEq)]
enum Occasion {
    Record,
    Timer(Clock, i64),
}

impl Model {
    pub fn new(spec: Spec, tells: Tells) -> Self {
        Model {
            spec,
            tells,
            windows: BTreeMap::new(),
            timers: BTreeSet::new(),
            seen: BTreeMap::new(),
            now: i64::MIN,
            firings: BTreeMap::new(),
            late: 0,
            unassigned: 0,
            groups: Vec::new(),
        }
    }

    /// How many windows hold something.
    pub fn filled(&self) -> u64 {
        self.windows.values().filter(|window| !window.elements.is_empty()).count() as u64
    }

    /// How many windows there are.
    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    fn seen(&self, key: u64) -> i64 {
        self.seen.get(&key).copied().unwrap_or(i64::MIN)
    }

    fn own_clock(&self) -> Clock {
        if self.spec.on_clock { Clock::Processing } else { Clock::Event }
    }

    fn clocks(&self, key: u64) -> Clocks {
        Clocks { on_clock: self.spec.on_clock, watermark: self.seen(key), processing: self.now }
    }

    /// The windows of a record, the latest first.
    fn assign(&self, at: i64, record: i64) -> Vec<Span> {
        match self.spec.windows {
            Windows::Tumbling { size, offset } => {
                let start = at - (at - offset).rem_euclid(size);
                vec![(start, start + size)]
            }
            Windows::Sliding { size, slide, offset } => {
                let starts = (at - size + 1..=at).rev();
                let starts = starts.filter(|start| (start - offset).rem_euclid(slide) == 0);
                starts.map(|start| (start, start + size)).collect()
            }
            Windows::Session { gap } => vec![(at, at + gap)],
            Windows::Dynamic => vec![(at, at + gap_of(record))],
            Windows::Global => vec![(i64::MIN, i64::MAX)],
        }
    }

    /// When a window is over.
    fn cleanup(&self, window: Span) -> Option<i64> {
        let at = (window.1 - 1).saturating_add(self.spec.lateness);
        (self.spec.has_end() && at < i64::MAX).then_some(at)
    }

    fn is_late(&self, key: u64, window: Span) -> bool {
        let over_at = (window.1 - 1).saturating_add(self.spec.lateness);
        !self.spec.on_clock && self.spec.has_end() && over_at <= self.seen(key)
    }

    /// Merges a new window with those of the key that it touches. The elements of the earlier window come first.
    fn merge(&mut self, key: u64, new: Span) -> Span {
        let touches = |one: &Span, other: &Span| one.0 <= other.1 && one.1 >= other.0;
        let mut cover = new;
        let mut merged = BTreeSet::new();
        loop {
            let of_key = self.windows.keys().filter(|(of, _)| *of == key).map(|(_, window)| *window);
            let touched: BTreeSet<Span> = of_key.filter(|window| touches(window, &cover)).collect();
            if touched == merged {
                break;
            }
            merged = touched;
            cover = merged.iter().fold(cover, |cover, other| (cover.0.min(other.0), cover.1.max(other.1)));
        }
        if merged.is_empty() || (merged.len() == 1 && merged.contains(&cover)) {
            return cover;
        }
        let mut result = Window::default();
        for old in &merged {
            let window = self.windows.remove(&(key, *old)).expect("it was there");
            let had_come = !self.spec.on_clock && old.1 - 1 <= self.seen(key);
            result.covers_fired |= window.covers_fired || had_come;
            result.elements.extend(window.elements);
            result.memory.merge(&window.memory);
            self.timers.retain(|(_, _, of, window)| (*of, *window) != (key, *old));
        }
        let (mut memory, mut calls) = (result.memory.clone(), Calls::default());
        memory.on_merge(&self.spec.fires, cover, self.clocks(key), &mut calls);
        result.memory = memory;
        self.windows.insert((key, cover), result);
        self.register(key, cover, calls);
        cover
    }

    fn register(&mut self, key: u64, window: Span, calls: Calls) {
        self.timers.extend(calls.timers.into_iter().map(|(clock, at)| (clock, at, key, window)));
    }

    fn act(&mut self, key: u64, window: Span, verdict: Verdict, occasion: Occasion) {
        if verdict.fires {
            self.emit(key, window, occasion);
        }
        if verdict.purges {
            self.windows.get_mut(&(key, window)).expect("it is there").elements.clear();
        }
    }

    fn emit(&mut self, key: u64, window: Span, occasion: Occasion) {
        let (firing, watermark) = (self.firing(key, window, occasion), self.seen(key));
        let (evicts, after) = (self.spec.evicts, self.spec.evicts_after);
        let state = self.windows.get_mut(&(key, window)).expect("it is there");
        if state.elements.is_empty() {
            return;
        }
        if !after {
            evict(evicts, &mut state.elements);
        }
        let elements = state.elements.clone();
        if after {
            evict(evicts, &mut state.elements);
        }
        state.covers_fired = false;
        state.firings += 1;
        let of_window = state.firings;
        let group = self.groups.last_mut().expect("one was begun");
        match self.tells {
            Tells::All => {}
            Tells::Sum if elements.is_empty() => return,
            Tells::Sum => {
                let elements = elements.into_iter().map(|(value, ..)| (value, 0)).collect();
                return group.push(Given::Fired { key, window, firing, elements });
            }
            Tells::Sides => {
                let side = |port| elements.iter().filter(move |of| of.2 == port).map(|of| of.0);
                let sides = [side(0).collect(), side(1).collect()];
                let pairs = nested_loops(&sides).into_iter().map(|pair| Given::Paired { key, window, pair });
                group.extend(pairs);
                return group.push(Given::Grouped { key, window, firing, sides });
            }
        }
        let elements = elements.into_iter().map(|(value, at, _)| (value, at)).collect();
        let count = self.firings.entry(key).or_default();
        *count += 1;
        let of_window = if self.spec.is_merging() { 0 } else { of_window };
        group.push(Given::Fired { key, window, firing, elements });
        group.push(Given::Knew { key, window, watermark, processing: self.now, of_window });
        group.push(Given::OfKey { key, count: *count });
    }

    /// Why a window fires, by the clock that its windows go by.
    fn firing(&self, key: u64, window: Span, occasion: Occasion) -> Firing {
        let last = window.1 - 1;
        let own = self.own_clock();
        match occasion {
            _ if self.windows[&(key, window)].covers_fired => Firing::Merged,
            _ if !self.spec.has_end() => Firing::OnTime,
            Occasion::Timer(clock, at) if clock == own && at < last => Firing::Early,
            Occasion::Timer(clock, at) if clock == own && at == last => Firing::OnTime,
            // It is over when its time has come.
            _ if own == Clock::Processing => Firing::Early,
            Occasion::Record | Occasion::Timer(Clock::Processing, _) if self.seen(key) < last => {
                Firing::Early
            }
            _ => Firing::Late,
        }
    }

    fn add(&mut self, key: u64, window: Span, sent: &Sent<i64>) {
        let clocks = self.clocks(key);
        let state = self.windows.entry((key, window)).or_default();
        state.elements.push((sent.record, sent.at, sent.port));
        let mut calls = Calls::default();
        let verdict =
            state.memory.on_element(&self.spec.fires, window, clocks, (sent.record, sent.at), &mut calls);
        if let Some(at) = self.cleanup(window) {
            calls.timers.push((self.own_clock(), at));
        }
        self.register(key, window, calls);
        self.act(key, window, verdict, Occasion::Record);
    }

    fn timer(&mut self, clock: Clock, at: i64, key: u64, window: Span) {
        let clocks = self.clocks(key);
        let Some(state) = self.windows.get_mut(&(key, window)) else { return };
        let mut calls = Calls::default();
        let verdict = state.memory.on_timer(&self.spec.fires, window, clocks, (clock, at), &mut calls);
        self.register(key, window, calls);
        self.act(key, window, verdict, Occasion::Timer(clock, at));
        if clock == self.own_clock() && self.cleanup(window) == Some(at) {
            let state = self.windows.remove(&(key, window)).expect("it is there");
            self.timers.retain(|(_, _, of, other)| (*of, *other) != (key, window));
            if self.tells == Tells::All {
                let of_window = if self.spec.is_merging() { 0 } else { state.firings };
                let group = self.groups.last_mut().expect("one was begun");
                group.push(Given::Cleared { key, window, of_window });
            }
        }
    }

    /// Fires the timers that are due for some keys, in the order of time.
    fn fire(&mut self, clock: Clock, keys: &[u64], up_to: i64) {
        let mut last = None;
        loop {
            let due = |(of, at, key, _): &&(Clock, i64, u64, Span)| {
                *of == clock && *at <= up_to && keys.contains(key)
            };
            let Some(&timer) = self.timers.iter().find(due) else { return };
            self.timers.remove(&timer);
            let (_, at, key, window) = timer;
            if last != Some(at) {
                self.groups.push(Vec::new());
                last = Some(at);
            }
            self.timer(clock, at, key, window);
        }
    }
}

/// All pairs of two sides, and what is alone there.
fn nested_loops([left, right]: &[Vec<i64>; 2]) -> Vec<[Option<i64>; 2]> {
    let mut pairs = Vec::new();
    for one in left {
        pairs.extend(right.iter().map(|other| [Some(*one), Some(*other)]));
    }
    if right.is_empty() {
        pairs.extend(left.iter().map(|one| [Some(*one), None]));
    }
    if left.is_empty() {
        pairs.extend(right.iter().map(|other| [None, Some(*other)]));
    }
    pairs
}

/// Takes elements out.
fn evict(evicts: Evicts, elements: &mut Vec<(i64, i64, usize)>) {
    match evicts {
        Evicts::Nothing => {}
        Evicts::Count(keeps) => {
            let surplus = elements.len().saturating_sub(keeps);
            elements.drain(..surplus);
        }
        Evicts::Time(span) => {
            let newest = elements.iter().map(|(_, at, _)| *at).max().unwrap_or(0);
            elements.retain(|(_, at, _)| *at >= newest - span);
        }
        Evicts::Delta(threshold) => {
            if let Some(&(last, ..)) = elements.last() {
                elements.retain(|(value, ..)| distance(*value, last) < threshold);
            }
        }
    }
}

impl Oracle<i64> for Model {
    type Given = Given;

    fn record(&mut self, sent: &Sent<i64>) {
        let by = if self.spec.on_clock { self.now } else { sent.at };
        let windows = self.assign(by, sent.record);
        self.unassigned += u64::from(windows.is_empty());
        let mut skipped = !windows.is_empty();
        for window in windows {
            let window = if self.spec.is_merging() { self.merge(sent.key, window) } else { window };
            if self.is_late(sent.key, window) {
                continue;
            }
            skipped = false;
            self.groups.push(Vec::new());
            self.add(sent.key, window, sent);
        }
        self.late += u64::from(skipped);
    }

    fn watermark(&mut self, keys: &[u64], at: i64) {
        for key in keys {
            let seen = self.seen(*key).max(at);
            self.seen.insert(*key, seen);
        }
        self.fire(Clock::Event, keys, at);
    }

    fn clock(&mut self, keys: &[u64], now: i64) {
        self.now = now;
        self.fire(Clock::Processing, keys, now);
    }

    fn restart(&mut self, now: i64) {
        self.now = now;
    }

    fn take(&mut self) -> Vec<Vec<Given>> {
        std::mem::take(&mut self.groups)
    }
}

//! What triggers should decide: Flink's, word for word.
//!
//! They differ from Flink's in that firings of continuous triggers stay on multiples of the interval, before time 0 and after the end of a
//! session was moved, too; in that those by the clock look at the end of a window only where windows go by the clock; and in that a window
//! without end fires once more when the stream ends, instead of for ever.

use super::model::{Clock, Span};
use super::spec::{Fires, distance};

/// What a trigger decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    pub fires: bool,
    pub purges: bool,
}

const CONTINUE: Verdict = Verdict { fires: false, purges: false };
const FIRE: Verdict = Verdict { fires: true, purges: false };

/// What a trigger remembers of a window.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    count: u64,
    next: Option<i64>,
    last: Option<i64>,
}

/// Timers that a trigger registers.
#[derive(Debug, Default)]
pub struct Calls {
    pub timers: Vec<(Clock, i64)>,
}

/// What a trigger knows of the time.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    pub on_clock: bool,
    pub watermark: i64,
    pub processing: i64,
}

fn fire_if(fires: bool) -> Verdict {
    if fires { FIRE } else { CONTINUE }
}

fn either(one: Verdict, other: Verdict) -> Verdict {
    Verdict { fires: one.fires || other.fires, purges: one.purges || other.purges }
}

fn purging(verdict: Verdict) -> Verdict {
    Verdict { purges: verdict.purges || verdict.fires, ..verdict }
}

/// The trigger that `AtEnd` stands for.
fn at_end(clocks: Clocks) -> Fires {
    if clocks.on_clock { Fires::ProcessingTime } else { Fires::EventTime }
}

impl Memory {
    /// Takes in what was remembered of a window that has become part of this one.
    pub fn merge(&mut self, other: &Memory) {
        self.count += other.count;
        self.next = [self.next, other.next].into_iter().flatten().min();
    }

    fn go_on(&mut self, clock: Clock, after: i64, interval: i64, end: i64, calls: &mut Calls) {
        let next = (after.div_euclid(interval) * interval + interval).min(end);
        self.next = Some(next);
        calls.timers.push((clock, next));
    }

    pub fn on_element(
        &mut self,
        fires: &Fires,
        window: Span,
        clocks: Clocks,
        (value, at): (i64, i64),
        calls: &mut Calls,
    ) -> Verdict {
        let last = window.1 - 1;
        match fires {
            Fires::AtEnd => self.on_element(&at_end(clocks), window, clocks, (value, at), calls),
            Fires::EventTime if last <= clocks.watermark => FIRE,
            Fires::EventTime => {
                calls.timers.push((Clock::Event, last));
                CONTINUE
            }
            Fires::ProcessingTime => {
                calls.timers.push((Clock::Processing, last));
                CONTINUE
            }
            Fires::Count(most) => {
                self.count += 1;
                let full = self.count >= *most;
                self.count = if full { 0 } else { self.count };
                fire_if(full)
            }
            Fires::Delta(threshold) => match self.last {
                Some(before) if distance(before, value) <= *threshold => CONTINUE,
                before => {
                    self.last = Some(value);
                    fire_if(before.is_some())
                }
            },
            Fires::ContinuousEventTime(_) if last <= clocks.watermark => FIRE,
            Fires::ContinuousEventTime(interval) => {
                calls.timers.push((Clock::Event, last));
                if self.next.is_none() {
                    self.go_on(Clock::Event, at, *interval, last, calls);
                }
                CONTINUE
            }
            Fires::ContinuousProcessingTime(interval) => {
                if self.next.is_none() {
                    let end = if clocks.on_clock { last } else { i64::MAX };
                    self.go_on(Clock::Processing, clocks.processing, *interval, end, calls);
                }
                CONTINUE
            }
            Fires::Never => CONTINUE,
            Fires::OrEnd(inner) => {
                let end = self.on_element(&Fires::AtEnd, window, clocks, (value, at), calls);
                either(self.on_element(inner, window, clocks, (value, at), calls), end)
            }
            Fires::Purging(inner) => purging(self.on_element(inner, window, clocks, (value, at), calls)),
        }
    }

    pub fn on_timer(
        &mut self,
        fires: &Fires,
        window: Span,
        clocks: Clocks,
        (clock, at): (Clock, i64),
        calls: &mut Calls,
    ) -> Verdict {
        let last = window.1 - 1;
        match (fires, clock) {
            (Fires::AtEnd, _) => self.on_timer(&at_end(clocks), window, clocks, (clock, at), calls),
            (Fires::EventTime, Clock::Event) | (Fires::ProcessingTime, Clock::Processing) => {
                fire_if(at == last)
            }
            (Fires::ContinuousEventTime(_), Clock::Event) if at == last => FIRE,
            (Fires::ContinuousEventTime(interval), Clock::Event) => {
                let due = self.next == Some(at);
                let is_last = clocks.watermark == i64::MAX && window.1 == i64::MAX;
                match due {
                    true if is_last => calls.timers.push((clock, last)),
                    true => self.go_on(clock, at, *interval, last, calls),
                    false => {}
                }
                fire_if(due)
            }
            (Fires::ContinuousProcessingTime(interval), Clock::Processing) => {
                let due = self.next == Some(at);
                if due {
                    let end = if clocks.on_clock { last } else { i64::MAX };
                    self.go_on(clock, at, *interval, end, calls);
                }
                fire_if(due)
            }
            (Fires::OrEnd(inner), _) => {
                let end = self.on_timer(&Fires::AtEnd, window, clocks, (clock, at), calls);
                either(self.on_timer(inner, window, clocks, (clock, at), calls), end)
            }
            (Fires::Purging(inner), _) => purging(self.on_timer(inner, window, clocks, (clock, at), calls)),
            _ => CONTINUE,
        }
    }

    /// Windows have become one; what was remembered of them is here.
    pub fn on_merge(&mut self, fires: &Fires, window: Span, clocks: Clocks, calls: &mut Calls) {
        let last = window.1 - 1;
        match fires {
            Fires::AtEnd => self.on_merge(&at_end(clocks), window, clocks, calls),
            Fires::EventTime if last > clocks.watermark => calls.timers.push((Clock::Event, last)),
            Fires::ProcessingTime if last > clocks.processing => calls.timers.push((Clock::Processing, last)),
            Fires::ContinuousEventTime(_) => calls.timers.extend(self.next.map(|next| (Clock::Event, next))),
            Fires::ContinuousProcessingTime(_) => {
                calls.timers.extend(self.next.map(|next| (Clock::Processing, next)));
            }
            Fires::OrEnd(inner) => {
                self.on_merge(&Fires::AtEnd, window, clocks, calls);
                self.on_merge(inner, window, clocks, calls);
            }
            Fires::Purging(inner) => self.on_merge(inner, window, clocks, calls),
            _ => {}
        }
    }
}

//! In which order what was taken in is given out: records as they are answered or as they came, and signals of event time never before a
//! record that came before them.
//!
//! Between two signals lies a stretch of records. Only the first stretch gives records out.

use std::collections::VecDeque;

use crate::element::Timestamp;
use crate::time::Signal;

/// Signals with no record between them, which come to this. One of each kind is as good as all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) watermark: Option<Timestamp>,
    /// Whether inputs are idle from here on.
    pub(super) idle: Option<bool>,
    end: bool,
}

impl Marks {
    /// Marks that were saved.
    pub(super) fn new(watermark: Option<Timestamp>, idle: Option<bool>) -> Self {
        Marks { watermark, idle, end: false }
    }

    fn is_empty(&self) -> bool {
        *self == Marks::default()
    }

    fn add(&mut self, signal: Signal) {
        match signal {
            // A watermark also says that there is input again.
            Signal::Advance(at) => (self.watermark, self.idle) = (Some(at), None),
            Signal::Active => self.idle = Some(false),
            Signal::Idle => self.idle = Some(true),
            Signal::End => self.end = true,
        }
    }

    fn take_first(&mut self) -> Option<Signal> {
        if let Some(at) = self.watermark.take() {
            return Some(Signal::Advance(at));
        }
        match self.idle.take() {
            Some(true) => return Some(Signal::Idle),
            Some(false) => return Some(Signal::Active),
            None => {}
        }
        std::mem::take(&mut self.end).then_some(Signal::End)
    }
}

/// Records and the signals behind them. Records are known by their slots.
#[derive(Debug, Default)]
struct Stretch {
    /// How many have no answer.
    open: usize,
    /// In order: all that have not been given out, and whether they are answered. Out of order: those that are answered.
    records: VecDeque<(usize, bool)>,
    /// How many were given out.
    given: u64,
    /// How many were taken in.
    taken: u64,
    marks: Marks,
}

impl Stretch {
    fn is_done(&self) -> bool {
        self.open == 0 && self.records.is_empty()
    }
}

/// The place of a record in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) stretch: u64,
    number: u64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The record in this slot.
    Record(usize),
    /// A signal.
    Signal(Signal),
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Queue {
    ordered: bool,
    stretches: VecDeque<Stretch>,
    /// The number of the first one.
    first: u64,
    /// Stretches that are over: their memory is used again.
    spare: Vec<Stretch>,
}

impl Queue {
    pub(super) fn new(ordered: bool) -> Self {
        Queue { ordered, stretches: VecDeque::new(), first: 0, spare: Vec::new() }
    }

    /// Whether a record that is answered as it comes can be given out at once.
    #[inline]
    pub(super) fn is_passable(&self) -> bool {
        match self.stretches.front() {
            None => true,
            Some(only) if self.stretches.len() == 1 && only.marks.is_empty() => only.records.is_empty(),
            Some(_) => false,
        }
    }

    /// Adds a record.
    pub(super) fn push(&mut self, slot: usize) -> Place {
        if self.stretches.back().is_none_or(|last| !last.marks.is_empty()) {
            self.stretches.push_back(self.spare.pop().unwrap_or_default());
        }
        let stretch = self.first + self.stretches.len() as u64 - 1;
        let last = self.stretches.back_mut().expect("there is one now");
        last.open += 1;
        last.taken += 1;
        if self.ordered {
            last.records.push_back((slot, false));
        }
        Place { stretch, number: last.taken - 1 }
    }

    /// The record at this place is answered.
    pub(super) fn answered(&mut self, slot: usize, place: Place) {
        let stretch = &mut self.stretches[(place.stretch - self.first) as usize];
        stretch.open -= 1;
        if self.ordered {
            stretch.records[(place.number - stretch.given) as usize].1 = true;
        } else {
            stretch.records.push_back((slot, true));
        }
    }

    /// Keeps a signal where it must not go on yet. Otherwise it may.
    pub(super) fn hold(&mut self, signal: Signal) -> bool {
        if self.is_clear() {
            return false;
        }
        self.stretches.back_mut().expect("one that is not clear").marks.add(signal);
        true
    }

    /// Whether nothing waits to be given out.
    fn is_clear(&self) -> bool {
        match self.stretches.front() {
            None => true,
            Some(first) => self.stretches.len() == 1 && first.is_done() && first.marks.is_empty(),
        }
    }

    /// Whether signals wait behind records.
    pub(super) fn holds_signals(&self) -> bool {
        self.stretches.iter().any(|stretch| !stretch.marks.is_empty())
    }

    /// Adds signals that were saved behind the records before.
    pub(super) fn restore_marks(&mut self, marks: Marks) {
        match self.stretches.back_mut() {
            Some(last) => last.marks = marks,
            None => self.stretches.push_back(Stretch { marks, ..Stretch::default() }),
        }
    }

    /// Takes out what comes next, if that may go on.
    pub(super) fn next(&mut self) -> Option<Next> {
        loop {
            let first = self.stretches.front_mut()?;
            if let Some(&(slot, true)) = first.records.front() {
                first.records.pop_front();
                first.given += 1;
                return Some(Next::Record(slot));
            }
            if !first.is_done() {
                return None;
            }
            if let Some(signal) = first.marks.take_first() {
                return Some(Next::Signal(signal));
            }
            if self.stretches.len() == 1 {
                return None;
            }
            self.first += 1;
            let over = self.stretches.pop_front().expect("looked at above");
            self.spare.push(Stretch { records: over.records, ..Stretch::default() });
        }
    }

    /// The stretches, with their numbers and the signals behind them.
    pub(super) fn stretches(&self) -> impl ExactSizeIterator<Item = (u64, Marks)> {
        let first = self.first;
        self.stretches.iter().enumerate().map(move |(number, stretch)| (first + number as u64, stretch.marks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What happens to a queue.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Take,
        /// One of those that have no answer, by its number among them.
        Answer(usize),
        Signal(Signal),
        Give,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => Just(Event::Take),
            4 => (0usize..8).prop_map(Event::Answer),
            1 => (0i64..100).prop_map(|at| Event::Signal(Signal::Advance(Timestamp(at)))),
            1 => prop_oneof![Just(Signal::Idle), Just(Signal::Active)].prop_map(Event::Signal),
            3 => Just(Event::Give),
        ]
    }

    /// A list of all that was taken in, in order; what is given out is looked for from the front.
    #[derive(Default)]
    struct Model {
        list: Vec<Held>,
        answers: u64,
    }

    enum Held {
        /// A record, and when it was answered among all.
        Record(usize, Option<u64>),
        Signal(Signal),
    }

    impl Model {
        fn next(&mut self, ordered: bool) -> Option<Next> {
            let records = self.list.iter().take_while(|held| matches!(held, Held::Record(..))).count();
            let answered = |number: &usize| match self.list[*number] {
                Held::Record(_, answered) => answered,
                Held::Signal(_) => None,
            };
            let at = match records {
                0 if self.list.is_empty() => return None,
                0 => 0,
                _ if ordered => Some(0).filter(|first| answered(first).is_some())?,
                _ => (0..records).filter(|number| answered(number).is_some()).min_by_key(answered)?,
            };
            Some(match self.list.remove(at) {
                Held::Record(slot, _) => Next::Record(slot),
                Held::Signal(signal) => Next::Signal(signal),
            })
        }

        fn unanswered(&mut self) -> Vec<&mut Held> {
            self.list.iter_mut().filter(|held| matches!(held, Held::Record(_, None))).collect()
        }
    }

    /// Signals without records between them, as far as they say anything: the last watermark and the last mark.
    fn folded(given: &[Next]) -> Vec<(Option<usize>, Marks)> {
        let mut folded = vec![(None, Marks::default())];
        for next in given {
            match next {
                Next::Record(slot) => folded.push((Some(*slot), Marks::default())),
                Next::Signal(signal) => folded.last_mut().unwrap().1.add(*signal),
            }
        }
        folded
    }

    proptest! {
        #[test]
        fn gives_out_what_a_list_would(ordered: bool, events in proptest::collection::vec(event(), 1..120)) {
            let (mut queue, mut model) = (Queue::new(ordered), Model::default());
            let (mut given, mut expected) = (Vec::new(), Vec::new());
            let mut places = Vec::new();
            for event in events {
                match event {
                    Event::Take => {
                        places.push(queue.push(places.len()));
                        model.list.push(Held::Record(places.len() - 1, None));
                    }
                    Event::Answer(number) => {
                        let answers = model.answers;
                        let mut open = model.unanswered();
                        if !open.is_empty() {
                            let number = number % open.len();
                            if let Held::Record(slot, answered) = &mut *open[number] {
                                queue.answered(*slot, places[*slot]);
                                *answered = Some(answers);
                            }
                            model.answers += 1;
                        }
                    }
                    Event::Signal(signal) => {
                        if !queue.hold(signal) {
                            given.push(Next::Signal(signal));
                        }
                        model.list.push(Held::Signal(signal));
                    }
                    Event::Give => {
                        given.extend(std::iter::from_fn(|| queue.next()));
                        expected.extend(std::iter::from_fn(|| model.next(ordered)));
                        prop_assert_eq!(folded(&given), folded(&expected));
                        prop_assert_eq!(queue.is_passable(), model.list.is_empty() || (!ordered && model.list.iter().all(|held| matches!(held, Held::Record(..)))));
                    }
                }
            }
        }
    }
}

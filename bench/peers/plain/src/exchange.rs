//! Threads that hand records to each other, in batches over rings: each generates its part and works on its keys.

use std::collections::VecDeque;

use millstream_yardstick::works::{Results, Sequence, WORDS_PER_LINE, parts};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::Run;
use crate::steps::Step;

/// How many records a batch has at most.
const BATCH: usize = 256;
/// How many batches a ring holds.
const RING: usize = 16;
/// How many records are generated in a turn.
const TURN: u64 = 64;
/// The most messages that a turn sends on one ring: batches that get full (eight words to the line), the last one, and the time.
const MESSAGES_PER_TURN: usize = TURN as usize * WORDS_PER_LINE / BATCH + 3;
/// Event time is told to others once it has gone on by this much.
const TIME_STEP_MS: i64 = 50;

enum Message<T> {
    Batch(Vec<T>),
    /// All later records of this sender are at or after this event time.
    Time(i64),
    End,
}

/// What a thread sends to another, and gets back to fill again.
struct Lane<T> {
    open: Vec<T>,
    out: Producer<Message<T>>,
    empty: Consumer<Vec<T>>,
}

/// What a thread receives from another.
struct Inlet<T> {
    from: Consumer<Message<T>>,
    back: Producer<Vec<T>>,
    time_ms: i64,
    ended: bool,
}

/// The ends of the rings that one thread holds.
struct Ends<T> {
    lanes: Vec<Lane<T>>,
    inlets: Vec<Inlet<T>>,
}

/// A ring from every thread to every thread, and one back for the empty batches.
fn mesh<T>(threads: usize) -> VecDeque<Ends<T>> {
    let mut ends: VecDeque<Ends<T>> =
        (0..threads).map(|_| Ends { lanes: Vec::new(), inlets: Vec::new() }).collect();
    for sender in 0..threads {
        for receiver in 0..threads {
            let (out, from) = RingBuffer::new(RING);
            let (back, empty) = RingBuffer::new(2 * RING);
            ends[sender].lanes.push(Lane { open: Vec::with_capacity(BATCH), out, empty });
            ends[receiver].inlets.push(Inlet { from, back, time_ms: i64::MIN, ended: false });
        }
    }
    ends
}

impl<T> Lane<T> {
    fn push(&mut self, message: Message<T>) {
        // Nobody generates before there is room for what a turn can send.
        assert!(self.out.push(message).is_ok(), "a ring is full");
    }

    fn flush(&mut self) {
        if !self.open.is_empty() {
            let next = self.empty.pop().unwrap_or_else(|_| Vec::with_capacity(BATCH));
            let full = std::mem::replace(&mut self.open, next);
            self.push(Message::Batch(full));
        }
    }
}

impl<T> Ends<T> {
    fn have_room(&self) -> bool {
        self.lanes.iter().all(|lane| lane.out.slots() >= MESSAGES_PER_TURN)
    }

    fn flush(&mut self) {
        self.lanes.iter_mut().for_each(Lane::flush);
    }

    fn send_all(&mut self, message: impl Fn() -> Message<T>) {
        self.flush();
        self.lanes.iter_mut().for_each(|lane| lane.push(message()));
    }

    /// Works on what has come.
    fn receive<W: Step<Item = T>>(&mut self, step: &mut W, results: &mut Results) {
        for at in 0..self.inlets.len() {
            while let Ok(message) = self.inlets[at].from.pop() {
                match message {
                    Message::Batch(mut batch) => {
                        batch.iter().for_each(|item| step.take(item, results));
                        batch.clear();
                        // Where the ring is full, others have enough.
                        let _ = self.inlets[at].back.push(batch);
                    }
                    Message::Time(time_ms) => self.inlets[at].time_ms = time_ms,
                    Message::End => (self.inlets[at].time_ms, self.inlets[at].ended) = (i64::MAX, true),
                }
            }
        }
        let time_ms = self.inlets.iter().map(|inlet| inlet.time_ms).min().unwrap_or(i64::MAX);
        if time_ms < i64::MAX {
            step.advance(time_ms, results);
        }
    }

    fn ended(&self) -> bool {
        self.inlets.iter().all(|inlet| inlet.ended)
    }
}

/// Runs it.
pub fn on_all<S: Sequence, W: Step<From = S::Item>>(run: &Run) {
    let threads = usize::from(run.task.shards);
    let mut ends = mesh(threads);
    std::thread::scope(|scope| {
        for part in parts(run.task.records(), run.task.shards) {
            let Some(mut ends) = ends.pop_front() else { return };
            scope.spawn(move || {
                let mut collector = run.collected.collector();
                let (mut results, mut step) = (Results::default(), W::default());
                let mut records = S::new(run.task.keys(), part.partition, part.partitions);
                let (mut left, mut time, mut told) = (part.records, i64::MIN, i64::MIN);
                let mut open = true;
                while open || !ends.ended() {
                    let far = step.horizon_ms().is_some_and(|horizon| time > horizon);
                    if left > 0 && !far && ends.have_room() {
                        let turn = left.min(TURN);
                        for _ in 0..turn {
                            W::split(records.next(), |item| {
                                time = W::time_after(&item);
                                let lane = &mut ends.lanes[W::thread_of(&item, threads)];
                                lane.open.push(item);
                                if lane.open.len() == BATCH {
                                    lane.flush();
                                }
                            });
                        }
                        left -= turn;
                        run.tally.add(part.partition, turn);
                        if time > i64::MIN && time.saturating_sub(told) >= TIME_STEP_MS {
                            told = time;
                            ends.send_all(|| Message::Time(time));
                        }
                    } else if left == 0 && open && ends.have_room() {
                        ends.send_all(|| Message::End);
                        open = false;
                    }
                    ends.receive(&mut step, &mut results);
                }
                step.finish(&mut results);
                *collector = results;
            });
        }
    });
}

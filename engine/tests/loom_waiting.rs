//! The bell that wakes host threads, and the set of lanes that have something, under every interleaving and every allowed reordering of memory.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p millstream-engine --test loom_waiting --release
//! ```
#![cfg(loom)]

use std::task::{Wake, Waker};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;
use millstream_engine::embed::ready::ReadySet;
use millstream_engine::waiting::Bell;

/// Notes that it was woken.
struct Note(AtomicBool);

impl Wake for Note {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn either_the_last_look_sees_it_or_the_ring_wakes() {
    loom::model(|| {
        let (bell, done) = (Arc::new(Bell::default()), Arc::new(AtomicU64::new(0)));
        let note = std::sync::Arc::new(Note(AtomicBool::new(false)));
        let (of_ringer, done_by_ringer) = (bell.clone(), done.clone());
        let ringer = thread::spawn(move || {
            done_by_ringer.store(1, Ordering::Relaxed);
            of_ringer.ring();
        });
        bell.arm(&Waker::from(note.clone()));
        let seen = done.load(Ordering::Relaxed) == 1;
        ringer.join().unwrap();
        assert!(seen || note.0.load(Ordering::Acquire), "it sleeps for ever");
    });
}

#[test]
fn one_of_two_rings_is_enough() {
    loom::model(|| {
        let (bell, done) = (Arc::new(Bell::default()), Arc::new(AtomicU64::new(0)));
        let note = std::sync::Arc::new(Note(AtomicBool::new(false)));
        let ringers: Vec<_> = (0..2)
            .map(|_| {
                let (bell, done) = (bell.clone(), done.clone());
                thread::spawn(move || {
                    done.fetch_add(1, Ordering::Relaxed);
                    bell.ring();
                })
            })
            .collect();
        bell.arm(&Waker::from(note.clone()));
        let seen = done.load(Ordering::Relaxed) > 0;
        ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
        assert!(seen || note.0.load(Ordering::Acquire), "it sleeps for ever");
    });
}

/// A lane is a counter of what was put in.
fn put(lane: &AtomicU64, set: &ReadySet, number: usize) {
    lane.fetch_add(1, Ordering::Relaxed);
    set.add(number);
}

#[test]
fn what_was_put_into_a_lane_is_seen_or_the_lane_is_in_the_set() {
    loom::model(|| {
        let (set, lanes) = (Arc::new(ReadySet::default()), Arc::new([AtomicU64::new(0), AtomicU64::new(0)]));
        // Both lanes lie in one word.
        let senders: Vec<_> = (0..2)
            .map(|number| {
                let (set, lanes) = (set.clone(), lanes.clone());
                thread::spawn(move || put(&lanes[number], &set, number))
            })
            .collect();
        let mut seen = [0; 2];
        let mut ready = Vec::new();
        set.take(|number| ready.push(number));
        for number in ready {
            seen[number] = lanes[number].load(Ordering::Relaxed);
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let mut left = Vec::new();
        set.take(|number| left.push(number));
        for number in 0..2 {
            assert!(seen[number] == 1 || left.contains(&number), "lane {number} is forgotten");
        }
    });
}

#[test]
fn a_lane_that_is_in_the_set_already_is_looked_into_once_more() {
    loom::model(|| {
        let (set, lane) = (Arc::new(ReadySet::default()), Arc::new(AtomicU64::new(0)));
        put(&lane, &set, 0);
        let (of_sender, of_lane) = (set.clone(), lane.clone());
        let sender = thread::spawn(move || put(&of_lane, &of_sender, 0));
        let mut seen = 0;
        set.take(|_| {});
        // After the set was emptied, as the reader does.
        seen = lane.load(Ordering::Relaxed).max(seen);
        sender.join().unwrap();
        let mut left = false;
        set.take(|_| left = true);
        assert!(seen == 2 || left, "the second one is forgotten");
    });
}

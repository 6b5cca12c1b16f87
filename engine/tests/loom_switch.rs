//! The switch protocol under every interleaving and every allowed reordering of memory, on a ring that is a stand-in.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p millstream-engine --test loom_switch --release
//! ```
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use millstream_engine::channel::{ChannelError, SwitchObserver, SwitchPublisher, switch_point};
use millstream_engine::element::Epoch;

/// Words that carry the epoch they were written in, and the number of words ever written.
struct Ring {
    words: [AtomicU64; 3],
    tail: AtomicU64,
}

impl Ring {
    fn new() -> Arc<Ring> {
        Arc::new(Ring { words: std::array::from_fn(|_| AtomicU64::new(0)), tail: AtomicU64::new(0) })
    }

    fn write(&self, epoch: Epoch) {
        let tail = self.tail.load(Ordering::Relaxed);
        self.words[tail as usize].store(epoch.0, Ordering::Relaxed);
        self.tail.store(tail + 1, Ordering::Release);
    }

    fn end(&self) -> u64 {
        self.tail.load(Ordering::Acquire)
    }

    fn epoch_of(&self, at: u64) -> Epoch {
        Epoch(self.words[at as usize].load(Ordering::Relaxed))
    }
}

/// Writes one word in epoch 0 and one in each epoch it is allowed to switch to.
fn produce(ring: &Ring, publisher: &SwitchPublisher, epochs: u64) {
    ring.write(Epoch(0));
    let mut current = Epoch(0);
    for epoch in (1..=epochs).map(Epoch) {
        match publisher.publish(epoch, ring.tail.load(Ordering::Relaxed)) {
            Ok(()) => current = epoch,
            Err(ChannelError::SwitchTooEarly { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        ring.write(current);
    }
}

/// Reads as an inlet does: up to what the look allows, switching when all before the position is read.
fn consume(
    ring: &Ring,
    observer: &mut SwitchObserver,
    looks: usize,
    observe: impl Fn(&Ring, &mut SwitchObserver) -> (u64, millstream_engine::channel::Switched),
) {
    let (mut epoch, mut position) = (Epoch(0), 0);
    for _ in 0..looks {
        let (end, switched) = observe(ring, observer);
        let end = if switched.epoch > epoch { end.min(switched.position) } else { end };
        while position < end {
            assert!(ring.epoch_of(position) <= epoch, "a word past an unseen switch was read");
            position += 1;
        }
        if switched.epoch > epoch && position == switched.position {
            epoch = switched.epoch;
            observer.acknowledge();
        }
    }
}

fn check(epochs: u64, looks: usize, ring_first: bool) {
    loom::model(move || {
        let ring = Ring::new();
        let (publisher, mut observer) = switch_point();
        let producer_ring = ring.clone();
        let producer = thread::spawn(move || produce(&producer_ring, &publisher, epochs));
        consume(&ring, &mut observer, looks, |ring, observer| {
            if ring_first {
                observer.observe(|| ring.end())
            } else {
                let switched = observer.look();
                (ring.end(), switched)
            }
        });
        producer.join().unwrap();
    });
}

#[test]
fn no_word_passes_an_unseen_switch() {
    check(1, 3, true);
}

#[test]
fn no_position_is_overwritten_before_it_is_acknowledged() {
    check(2, 3, true);
}

#[test]
#[should_panic(expected = "a word past an unseen switch was read")]
fn looking_before_asking_the_ring_lets_words_pass() {
    check(1, 3, false);
}

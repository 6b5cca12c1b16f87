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

/// Reads as an inlet does: up to what the look allows, switching when all before the position is read. Returns the epoch it came to.
fn consume(ring: &Ring, observer: &mut SwitchObserver, looks: usize, order: Order) -> Epoch {
    let (mut epoch, mut position) = (Epoch(0), 0);
    for _ in 0..looks {
        let (end, switched) = match order {
            Order::RingFirst => observer.observe(|| ring.end()),
            Order::SwitchFirst => {
                let switched = observer.look();
                (ring.end(), switched)
            }
        };
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
    epoch
}

#[derive(Clone, Copy)]
enum Order {
    RingFirst,
    SwitchFirst,
}

/// Checks all executions, and that the consumer came to the last epoch in some.
fn check(epochs: u64, looks: usize, order: Order) {
    let reached = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let model_reached = reached.clone();
    loom::model(move || {
        let ring = Ring::new();
        let (publisher, mut observer) = switch_point();
        // Both ends are threads of their own: loom 0.7.2 misses interleavings with the thread that spawns.
        let (producer_ring, consumer_ring) = (ring.clone(), ring);
        let producer = thread::spawn(move || produce(&producer_ring, &publisher, epochs));
        let consumer = thread::spawn(move || consume(&consumer_ring, &mut observer, looks, order));
        producer.join().unwrap();
        let epoch = consumer.join().unwrap();
        model_reached.fetch_max(epoch.0, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(reached.load(std::sync::atomic::Ordering::Relaxed), epochs, "the model was explored");
}

#[test]
fn no_word_passes_an_unseen_switch() {
    check(1, 3, Order::RingFirst);
}

#[test]
fn no_position_is_overwritten_before_it_is_acknowledged() {
    check(2, 3, Order::RingFirst);
}

#[test]
#[should_panic(expected = "a word past an unseen switch was read")]
fn looking_before_asking_the_ring_lets_words_pass() {
    check(1, 3, Order::SwitchFirst);
}

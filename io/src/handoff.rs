//! The bounded queue between a connector's thread and the shard. The thread waits while the queue is full; the shard
//! never waits.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use millstream_engine::runtime::Waker;

/// The connector's end.
pub(crate) struct Producer<T> {
    shared: Arc<Shared<T>>,
}

/// The shard's end. When it is dropped, the connector's thread is told at its next push.
pub(crate) struct Consumer<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    room: Condvar,
    capacity: usize,
    waker: Waker,
}

struct State<T> {
    items: VecDeque<T>,
    producers: usize,
    consumer_gone: bool,
}

/// What the shard finds.
pub(crate) enum Taken<T> {
    /// The next item.
    Item(T),
    /// Nothing yet.
    Empty,
    /// Nothing, and all producers are gone.
    Closed,
}

/// A queue of at most `capacity` items whose arrival wakes the shard.
pub(crate) fn handoff<T>(capacity: usize, waker: Waker) -> (Producer<T>, Consumer<T>) {
    let state = State { items: VecDeque::with_capacity(capacity), producers: 1, consumer_gone: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), room: Condvar::new(), capacity, waker });
    (Producer { shared: shared.clone() }, Consumer { shared })
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code that can panic runs under the lock, so the state behind a poisoned one is sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Producer<T> {
    /// Adds an item, waiting for room; gives it back when the shard's end is gone.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.shared.lock();
        while state.items.len() >= self.shared.capacity && !state.consumer_gone {
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.consumer_gone {
            return Err(item);
        }
        state.items.push_back(item);
        drop(state);
        self.shared.waker.wake();
        Ok(())
    }

    /// Whether the shard's end is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.lock().consumer_gone
    }
}

impl<T> Clone for Producer<T> {
    fn clone(&self) -> Self {
        self.shared.lock().producers += 1;
        Producer { shared: self.shared.clone() }
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.shared.lock().producers -= 1;
        self.shared.waker.wake();
    }
}

impl<T> Consumer<T> {
    /// The next item, without waiting.
    pub(crate) fn take(&mut self) -> Taken<T> {
        let mut state = self.shared.lock();
        match state.items.pop_front() {
            Some(item) => {
                let was_full = state.items.len() + 1 == self.shared.capacity;
                drop(state);
                if was_full {
                    self.shared.room.notify_all();
                }
                Taken::Item(item)
            }
            None if state.producers == 0 => Taken::Closed,
            None => Taken::Empty,
        }
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.consumer_gone = true;
        let items = std::mem::take(&mut state.items);
        drop(state);
        drop(items);
        self.shared.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_pushed_comes_out_in_order_and_then_the_queue_closes() {
        let (producer, mut consumer) = handoff(3, Waker::new());
        let pusher = std::thread::spawn(move || (0..10_000).all(|i| producer.push(i).is_ok()));
        let mut seen = Vec::new();
        loop {
            match consumer.take() {
                Taken::Item(i) => seen.push(i),
                Taken::Empty => std::thread::yield_now(),
                Taken::Closed => break,
            }
        }
        assert_eq!(seen, (0..10_000).collect::<Vec<i32>>());
        assert!(pusher.join().unwrap());
    }

    #[test]
    fn a_waiting_producer_is_let_go_when_the_consumer_leaves() {
        let (producer, consumer) = handoff(1, Waker::new());
        producer.push(1).unwrap();
        let pusher = std::thread::spawn(move || (producer.push(2), producer.is_closed()));
        std::thread::sleep(std::time::Duration::from_millis(20));
        drop(consumer);
        assert_eq!(pusher.join().unwrap(), (Err(2), true));
    }
}

//! Threads that wait for what futures wait for.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How often a thread looks between two glances at the clock.
const LOOKS_PER_GLANCE: u32 = 32;

/// Looks until there is something, or until the deadline (`None`). For the first `spin` it looks again and again; then it hands the
/// waker of this thread over, looks once more, and sleeps until that is woken.
pub(crate) fn wait_for<T>(
    spin: Duration,
    deadline: Option<Instant>,
    mut look: impl FnMut(Option<&Waker>) -> Poll<T>,
) -> Option<T> {
    if let Poll::Ready(found) = look(None) {
        return Some(found);
    }
    if !spin.is_zero() {
        let begin = Instant::now();
        loop {
            for _ in 0..LOOKS_PER_GLANCE {
                if let Poll::Ready(found) = look(None) {
                    return Some(found);
                }
                std::hint::spin_loop();
            }
            let now = Instant::now();
            if now.duration_since(begin) >= spin || deadline.is_some_and(|deadline| now >= deadline) {
                break;
            }
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        if let Poll::Ready(found) = look(Some(&waker)) {
            return Some(found);
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => std::thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => std::thread::park_timeout(left),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_looks_then_sleeps_until_the_deadline() {
        let begin = Instant::now();
        let (mut looks, mut hands) = (0, 0);
        let deadline = begin + Duration::from_millis(20);
        let found: Option<()> = wait_for(Duration::from_millis(5), Some(deadline), |waker| {
            looks += 1;
            hands += u32::from(waker.is_some());
            Poll::Pending
        });
        assert_eq!(found, None);
        assert!(begin.elapsed() >= Duration::from_millis(20));
        assert!(looks > 32 && (1..32).contains(&hands), "{looks} looks, {hands} with the waker");
        assert_eq!(
            wait_for(Duration::ZERO, Some(begin), |_| Poll::Ready(7)),
            Some(7),
            "a look before the clock"
        );
    }
}

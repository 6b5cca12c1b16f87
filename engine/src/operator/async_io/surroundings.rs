//! What a call finds around it while it is polled: the clock of its shard, and threads for work that blocks.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::blocking::Pool;
use crate::element::Nanos;

thread_local! {
    /// The operator whose call is being polled.
    static AT_WORK: RefCell<Option<Rc<Surroundings>>> = const { RefCell::new(None) };
}

/// What an operator has for its calls.
pub(super) struct Surroundings {
    now: Cell<Nanos>,
    sleepers: RefCell<BinaryHeap<Reverse<Sleeper>>>,
    pool: Pool,
}

/// Who is to be woken, and when. Ordered by that.
struct Sleeper {
    until: Nanos,
    waker: Waker,
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
    }
}
impl Eq for Sleeper {}
impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.until.cmp(&other.until)
    }
}

/// What [`Surroundings::enter`] gives: puts back what was there before.
pub(super) struct Entered {
    before: Option<Rc<Surroundings>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        AT_WORK.with(|at_work| at_work.replace(self.before.take()));
    }
}

impl Surroundings {
    /// With so many threads at most.
    pub(super) fn new(threads: usize) -> Rc<Self> {
        let (now, sleepers) = (Cell::default(), RefCell::default());
        Rc::new(Surroundings { now, sleepers, pool: Pool::new(threads) })
    }

    /// Lets calls be polled here, until what this gives is dropped.
    pub(super) fn enter(self: &Rc<Self>) -> Entered {
        Entered { before: AT_WORK.with(|at_work| at_work.replace(Some(self.clone()))) }
    }

    /// Those around the call that is being polled.
    pub(super) fn at_work(of: &str) -> Rc<Surroundings> {
        match AT_WORK.with(|at_work| at_work.borrow().clone()) {
            Some(here) => here,
            None => panic!(
                "{of} works in the calls of ordered_wait and unordered_wait: await it there, not on a task of another runtime"
            ),
        }
    }

    /// What the job's clock reads.
    pub(super) fn now(&self) -> Nanos {
        self.now.get()
    }

    /// Where work that blocks is done.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Moves the clock, and wakes who has slept long enough.
    pub(super) fn set_clock(&self, now: Nanos) {
        self.now.set(now);
        let mut sleepers = self.sleepers.borrow_mut();
        while sleepers.peek().is_some_and(|Reverse(first)| first.until <= now) {
            if let Some(Reverse(sleeper)) = sleepers.pop() {
                sleeper.waker.wake();
            }
        }
    }

    /// When the next one has slept long enough.
    pub(super) fn next_waking(&self) -> Option<Nanos> {
        self.sleepers.borrow().peek().map(|Reverse(sleeper)| sleeper.until)
    }
}

/// Waits for so long, by the job's clock, from the first time it is polled: in a test, by the clock that the test moves. For calls that pace
/// themselves, and for services that are simulated.
///
/// # Panics
/// It is polled outside of a call of [`ordered_wait`](crate::stream::Stream::ordered_wait) or
/// [`unordered_wait`](crate::stream::Stream::unordered_wait).
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { duration, asleep: None }
}

/// What [`sleep`] gives.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    duration: Duration,
    asleep: Option<Asleep>,
}

struct Asleep {
    here: Rc<Surroundings>,
    until: Nanos,
    waker: Waker,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (here, until) = match &self.asleep {
            Some(asleep) => (asleep.here.clone(), asleep.until),
            None => {
                let here = Surroundings::at_work("sleep(..)");
                let until = here.now.get().after(self.duration);
                (here, until)
            }
        };
        if here.now.get() >= until {
            return Poll::Ready(());
        }
        if !self.asleep.as_ref().is_some_and(|asleep| asleep.waker.will_wake(context.waker())) {
            let waker = context.waker().clone();
            here.sleepers.borrow_mut().push(Reverse(Sleeper { until, waker: waker.clone() }));
            self.asleep = Some(Asleep { here, until, waker });
        }
        Poll::Pending
    }
}

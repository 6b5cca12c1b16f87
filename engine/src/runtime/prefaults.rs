//! Memory for state, had from the kernel before it is needed: on a thread beside the shards, since a huge page takes up to milliseconds to
//! be cleared.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::beside::spawn_beside;
use crate::arena::Prefault;

/// Where shards order memory. The thread behind it ends with the last of these.
#[derive(Clone)]
pub(crate) struct Prefaults {
    orders: Sender<Prefault>,
}

impl Prefaults {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(crate) fn start() -> io::Result<Prefaults> {
        let (orders, ordered) = channel();
        spawn_beside("mill-memory", move || carry_out(ordered))?;
        Ok(Prefaults { orders })
    }

    /// Has a plan carried out, some time.
    pub(crate) fn order(&self, plan: Prefault) {
        // A thread that is gone leaves it to the first touch.
        let _ = self.orders.send(plan);
    }
}

fn carry_out(ordered: Receiver<Prefault>) {
    ordered.into_iter().for_each(Prefault::run);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{Arena, ArenaConfig};

    #[test]
    fn what_was_ordered_is_carried_out_before_the_thread_ends() {
        let mut arena = Arena::new(ArenaConfig::new("test")).unwrap();
        let (orders, ordered) = channel();
        let prefaults = Prefaults { orders };
        prefaults.order(arena.plan_ahead().expect("a new arena has nothing ready"));
        assert!(arena.plan_ahead().is_none(), "what is ordered counts as ready");
        drop(prefaults);
        carry_out(ordered);
        Prefaults::start().unwrap().order(arena.plan_prefault(1000).unwrap());
    }
}

//! A simulation that a test leads by the hand: time stands until it is moved, checkpoints are made when they are asked for, and the job
//! goes on until it has nothing left to do.

use super::{Running, SimEnd, Simulation};
use crate::element::Nanos;

/// How far a job has come.
pub(in crate::testing) enum Settled {
    /// Nobody has anything to do before time passes or input comes.
    Rests,
    /// It is over.
    Ended(SimEnd),
    /// It is still at it.
    Works,
}

impl Simulation {
    /// Lets time stand at `now`, unless [`Simulation::pass_time`] moves it or a restart is delayed.
    pub(in crate::testing) fn stop_time(&mut self, now: Nanos) {
        self.stands = true;
        self.now = now;
    }

    /// What the clock reads.
    pub(in crate::testing) fn now(&self) -> Nanos {
        self.now
    }

    /// Goes on until nobody has anything to do, for so many turns at the most.
    pub(in crate::testing) fn settle(&mut self, turns: u64) -> Settled {
        for _ in 0..turns {
            if let Some(end) = self.run(1) {
                return Settled::Ended(end);
            }
            if self.rests() {
                return Settled::Rests;
            }
        }
        Settled::Works
    }

    fn rests(&mut self) -> bool {
        let (now, turns) = (self.now, self.turns);
        let Some(running) = &mut self.running else { return false };
        running.inbox.extend(running.events.try_iter());
        let all_seen = running.shows_at.iter().all(|shows_at| *shows_at <= turns);
        all_seen && running.actors().all(|actor| !running.is_ready(actor, now))
    }

    /// Moves a standing clock to the next moment, not after `to`, at which a shard has something to do. `None`: there is none.
    pub(in crate::testing) fn pass_time(&mut self, to: Nanos) -> Option<Nanos> {
        let due = self.running.as_ref()?.next_step(self.now).filter(|due| *due <= to)?;
        self.now = due;
        Some(due)
    }

    /// Moves a standing clock to this time, and lets all shards see it.
    pub(in crate::testing) fn set_time(&mut self, to: Nanos) {
        self.now = self.now.max(to);
        self.wake();
    }

    /// Wakes all shards: there is something new that they would not see by themselves.
    pub(in crate::testing) fn wake(&self) {
        for waker in self.running.iter().flat_map(|running| &running.control.wakers) {
            waker.wake();
        }
    }

    /// Asks for a checkpoint. Gives back whether there is a job to make one.
    pub(in crate::testing) fn ask_for_checkpoint(&mut self) -> bool {
        let Some(running) = &mut self.running else { return false };
        running.coordinator.ask();
        true
    }
}

impl Running {
    /// The next time after `now` at which a shard has something to do.
    fn next_step(&self, now: Nanos) -> Option<Nanos> {
        let seats = self.seats.iter().filter(|seat| seat.drive.is_some());
        let due = seats.filter_map(|seat| seat.until).chain(self.coordinator.look_at_loops_due());
        due.filter(|until| *until > now).min()
    }
}

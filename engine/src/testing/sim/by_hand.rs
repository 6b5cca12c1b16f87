//! A simulation that a test leads by the hand: time stands until it is moved, checkpoints are made when they are asked for, and the job
//! goes on until it has nothing left to do.

use std::path::{Path, PathBuf};

use super::{Running, SimEnd, Simulation};
use crate::element::Nanos;
use crate::savepoint::SavepointError;

/// How far a job has come.
pub(crate) enum Settled {
    /// Nobody has anything to do before time passes or input comes.
    Rests,
    /// It is over.
    Ended(SimEnd),
    /// It is still at it.
    Works,
}

impl Simulation {
    /// Lets time stand at `now`, unless [`Simulation::pass_time`] moves it or a restart is delayed.
    pub(crate) fn stop_time(&mut self, now: Nanos) {
        self.stands = true;
        self.now = now;
    }

    /// What the clock reads.
    pub(in crate::testing) fn now(&self) -> Nanos {
        self.now
    }

    /// Goes on until nobody has anything to do, for so many turns at the most.
    pub(crate) fn settle(&mut self, turns: u64) -> Settled {
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

    /// Makes a savepoint of the newest checkpoint, in a new directory in `into`.
    pub(crate) fn savepoint(&mut self, into: &Path) -> Result<PathBuf, SavepointError> {
        let conversion = self.attempts.convert()?;
        let written = conversion.write(into);
        self.attempts.unpin(conversion.checkpoint.epoch);
        written
    }

    /// Asks for a checkpoint. Gives back whether there is a job to make one.
    pub(crate) fn ask_for_checkpoint(&mut self) -> bool {
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

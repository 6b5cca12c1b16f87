//! One shard at its driver: guarded steps, and rest between them. What both drivers have in common.
#![allow(unsafe_code)] // prctl, to make short sleeps punctual and to name threads

use super::super::wait::{Pace, Rest};
use super::super::wake::Waker;
use super::{Clock, Drive, Phase, ShardFailure, ShardSpec, Step, panic_message};
use crate::disk::ShardDisk;
use crate::element::ShardId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How often a resting shard looks for work before it steps again, which costs more than a look.
const LOOKS_PER_SPIN: u32 = 32;

/// How long a shard rests that has nothing to do by a clock that does not move by itself. Whoever moves it wakes the shard; this is for what
/// waits for real time, such as a sink on a thread of its own.
const VIRTUAL_REST: Duration = Duration::from_millis(1);

/// A shard on its thread.
pub(super) struct Shard {
    id: ShardId,
    drive: Box<dyn Drive>,
    pace: Pace,
    waker: Waker,
    clock: Clock,
}

/// What comes after a step.
pub(super) enum Turn {
    /// Another step, at once.
    Again,
    /// Rest, then another step.
    Rest(Rest),
    /// Nothing: that was the last.
    Done,
}

impl Shard {
    /// Builds the shard on the calling thread, which becomes its own.
    pub(super) fn build(
        spec: ShardSpec,
        clock: Clock,
        disk: Box<dyn ShardDisk>,
    ) -> Result<Self, ShardFailure> {
        spec.waker.bind_to_current_thread();
        sleep_punctually();
        let drive = guard(spec.shard, Phase::Build, || (spec.build)(disk))?;
        Ok(Shard { id: spec.shard, drive, pace: Pace::new(spec.wait), waker: spec.waker, clock })
    }

    /// One step.
    pub(super) fn turn(&mut self) -> Result<Turn, ShardFailure> {
        let now = self.clock.now();
        let drive = &mut self.drive;
        match guard(self.id, Phase::Step, || drive.step(now))? {
            Step::Worked => {
                self.pace.worked(now);
                Ok(Turn::Again)
            }
            Step::Idle { until } if self.clock.is_virtual() => match until {
                Some(until) if until <= now => Ok(Turn::Again),
                _ => Ok(Turn::Rest(Rest::Park(Some(VIRTUAL_REST)))),
            },
            Step::Idle { until } => Ok(Turn::Rest(self.pace.idle(now, until))),
            Step::Done => Ok(Turn::Done),
        }
    }

    /// Whether the shard has something to do, as far as it knows.
    pub(super) fn has_work(&self) -> bool {
        self.drive.has_work()
    }

    /// Rests until there may be something to do. `disk_answered` tells whether the disk has answers that the shard has not seen.
    pub(super) fn rest(&self, rest: Rest, disk_answered: impl Fn() -> bool) {
        match rest {
            Rest::Spin => {
                for _ in 0..LOOKS_PER_SPIN {
                    if self.has_work() || disk_answered() {
                        break;
                    }
                    std::hint::spin_loop();
                }
            }
            Rest::Yield => std::thread::yield_now(),
            Rest::Park(timeout) => self.waker.park(timeout, || !self.has_work() && !disk_answered()),
        }
    }

    /// Drops the shard.
    pub(super) fn close(self) -> Result<(), ShardFailure> {
        guard(self.id, Phase::Drop, || drop(self.drive))
    }
}

/// Calls into a shard; a panic becomes its failure.
fn guard<T>(shard: ShardId, phase: Phase, call: impl FnOnce() -> T) -> Result<T, ShardFailure> {
    // Unwind safe: after a panic the shard is only dropped, and that is guarded as well.
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| ShardFailure::Panicked {
        shard,
        phase,
        message: panic_message(payload.as_ref()),
    })
}

/// Lets this thread's sleeps end within a microsecond of their time; Linux allows itself 50 otherwise.
fn sleep_punctually() {
    #[cfg(target_os = "linux")]
    // SAFETY: this option takes a plain number, and concerns the calling thread only.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1000, 0, 0, 0);
    }
}

/// Renames the calling thread, as the operating system shows it; threads that it starts inherit that name.
#[cfg(target_os = "linux")]
pub(super) fn name_thread(name: &str) {
    // The system takes 15 bytes and a zero.
    let mut bytes = [0u8; 16];
    let len = name.len().min(15);
    bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
    // SAFETY: 16 bytes that end in a zero, read during the call.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, bytes.as_ptr());
    }
}

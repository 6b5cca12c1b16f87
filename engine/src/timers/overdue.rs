//! Timers of processing time that fell due while the job was not running.

use super::queue::{Due, Pop, TimerQueue};
use crate::arena::{Arena, StateError};
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;

/// What happens to overdue timers of processing time when a job is restored. (Event time stands still while a job does: its timers are
/// never overdue.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overdue {
    /// They fire as soon as the job runs, in order and in bounded pieces. This is what Flink does.
    #[default]
    Fire,
    /// They are dropped, and never fire.
    Skip,
    /// They fire in the time that follows, spread evenly over it by their keys, so that not everything that has piled up is done at once.
    /// The timers of one key keep their order: where there is one at the chosen tick already, the next tick is taken.
    Reschedule {
        /// How many ticks from the restore on; 1 at least.
        within: i64,
    },
}

impl<K: Key + ?Sized> TimerQueue<K> {
    /// Does to all timers due at or before `now` what the policy says. Returns how many were dropped or moved.
    ///
    /// To be called when a queue of processing time has been restored, before the job runs: it is not done in pieces, and takes a fraction
    /// of a microsecond for each timer that is overdue.
    pub fn apply_overdue(
        &mut self,
        arena: &mut Arena,
        policy: Overdue,
        now: Timestamp,
    ) -> Result<u64, StateError> {
        let within = match policy {
            Overdue::Fire => return Ok(0),
            Overdue::Skip => None,
            Overdue::Reschedule { within } => Some(within.max(1)),
        };
        // So that there is time left to move them to.
        let now = Timestamp(now.0.min(i64::MAX - 1));
        let (mut due, mut count) = (Due::default(), 0);
        loop {
            match self.pop(arena, now, &mut due)? {
                Pop::Done => return Ok(count),
                Pop::Again => continue,
                Pop::Due => count += 1,
            }
            let Some(within) = within else { continue };
            let mut at = Timestamp((now.0 + 1).saturating_add(spread(due.hash, within)));
            match due.name {
                Some(name) => {
                    self.reset(arena, name, at, due.hash, &due.key)?;
                }
                None => {
                    while !self.register(arena, at, due.hash, &due.key)? && at < Timestamp::MAX {
                        at.0 += 1;
                    }
                }
            }
        }
    }
}

/// A number below `within` that depends on the key. Not on the leading bits of its hash, which the keys of a shard have in common.
fn spread(hash: KeyHash, within: i64) -> i64 {
    let evenly = u128::from(hash.0.rotate_left(32)) * u128::from(within.unsigned_abs());
    (evenly >> 64) as i64
}

//! Two stops on the way of a run that is to show that checkpoints and failures change nothing: at each, readers wait until checkpoints hold what
//! came before.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use millstream::source::SourceError;

/// Where readers wait, and whether they fail there.
#[derive(Debug)]
pub struct Stops {
    /// So many events come before each.
    at: [u64; 2],
    /// The number of the newest checkpoint.
    newest: AtomicU64,
    /// The one that is waited for at the second stop; 0 before a reader has come there.
    enough: AtomicU64,
    /// Whether the failure is still to come.
    fails: AtomicBool,
    /// Readers that have come to the end do not say so before they are let go.
    holds_ends: AtomicBool,
    /// The partitions of which the readers have come to the end.
    at_end: Mutex<BTreeSet<u64>>,
}

/// So many checkpoints are waited for, so that one of them began after all readers had stopped.
pub const CHECKPOINTS: u64 = 2;

impl Stops {
    /// How often a reader that waits looks again.
    pub const LOOK_EVERY: Duration = Duration::from_millis(1);

    /// A third and two thirds of the way through so many events. Where it `fails`, the first reader that has come half way through does, once.
    pub fn on_the_way(events: u64, fails: bool) -> Stops {
        Stops {
            at: [events / 3, events / 3 * 2],
            newest: AtomicU64::new(0),
            enough: AtomicU64::new(0),
            fails: AtomicBool::new(fails),
            holds_ends: AtomicBool::new(false),
            at_end: Mutex::default(),
        }
    }

    /// Readers wait at the end, too, until [`let_go`](Stops::let_go).
    pub fn holding_ends(self) -> Stops {
        Stops { holds_ends: AtomicBool::new(true), ..self }
    }

    /// Readers may end.
    pub fn let_go(&self) {
        self.holds_ends.store(false, Ordering::Relaxed);
    }

    /// Whether the reader of a partition, which has come to the end, may say so.
    pub fn may_end(&self, partition: u64) -> bool {
        self.at_end.lock().unwrap_or_else(PoisonError::into_inner).insert(partition);
        !self.holds_ends.load(Ordering::Relaxed)
    }

    /// Whether the readers of so many partitions, all that there are, have come to the end.
    pub fn all_at_end(&self, partitions: u16) -> bool {
        self.at_end.lock().unwrap_or_else(PoisonError::into_inner).len() == usize::from(partitions)
    }

    /// Tells the number of the newest checkpoint.
    pub fn tell(&self, newest: u64) {
        self.newest.fetch_max(newest, Ordering::Relaxed);
    }

    /// Up to which event a reader may go that is at `next`.
    ///
    /// # Errors
    /// It fails here.
    pub fn limit(&self, next: u64) -> Result<u64, SourceError> {
        let newest = self.newest.load(Ordering::Relaxed);
        if newest < CHECKPOINTS {
            return Ok(self.at[0]);
        }
        if self.fails.load(Ordering::Relaxed) {
            let half = self.at[0].midpoint(self.at[1]);
            return match next >= half && self.fails.swap(false, Ordering::Relaxed) {
                true => Err(SourceError::retryable("the run fails here, once, as it is to")),
                false => Ok(half),
            };
        }
        if next < self.at[1] {
            return Ok(self.at[1]);
        }
        let enough = newest + CHECKPOINTS;
        let enough = match self.enough.compare_exchange(0, enough, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => enough,
            Err(enough) => enough,
        };
        Ok(if newest >= enough { u64::MAX } else { self.at[1] })
    }
}

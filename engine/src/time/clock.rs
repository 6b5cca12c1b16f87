//! Processing time: the clock of a job, on the wall or in the hands of a test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::span::Tick;
use crate::element::{Nanos, Timestamp};
use crate::runtime::Waker;

/// What a job takes for processing time. All its shards share one clock, and it goes on through restarts.
///
/// It never goes back: a wall clock asks the operating system for the date once, when it is made, and counts on from there.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Wall { started: Instant, started_unix_nanos: i64 },
    Virtual(VirtualClock),
}

impl Clock {
    /// The time that passes.
    pub fn wall() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_unix_nanos = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        Clock(Kind::Wall { started: Instant::now(), started_unix_nanos })
    }

    /// The time since the clock's origin: for a wall clock, since it was made.
    #[inline]
    pub fn now(&self) -> Nanos {
        match &self.0 {
            Kind::Wall { started, .. } => {
                Nanos(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX))
            }
            Kind::Virtual(clock) => clock.now(),
        }
    }

    /// How its readings become dates.
    pub fn processing_time(&self, tick: Tick) -> ProcessingTime {
        let origin_unix_nanos = match &self.0 {
            Kind::Wall { started_unix_nanos, .. } => *started_unix_nanos,
            Kind::Virtual(_) => 0,
        };
        ProcessingTime { origin_unix_nanos, tick }
    }

    /// Whether time passes by itself.
    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self.0, Kind::Virtual(_))
    }

    /// Lets a clock that is moved by hand wake these shards, in the place of those before.
    pub(crate) fn wakes(&self, wakers: &[Waker]) {
        if let Kind::Virtual(clock) = &self.0 {
            clock.wakes(wakers);
        }
    }
}

impl From<VirtualClock> for Clock {
    fn from(clock: VirtualClock) -> Self {
        Clock(Kind::Virtual(clock))
    }
}

/// A clock that a test moves by hand. It begins at the Unix epoch, stands until it is moved, and its clones are the same clock.
///
/// ```
/// use millstream_engine::time::VirtualClock;
/// use std::time::Duration;
///
/// let clock = VirtualClock::new();
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.since_epoch(), Duration::from_secs(5));
/// ```
///
/// Timers, idleness and windows of processing time follow it, and so do sources that give so many records per second. The intervals of
/// checkpoints and the delays of restarts are in real time. One clock serves one job at a time.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    nanos: AtomicU64,
    wakers: Mutex<Vec<Waker>>,
}

impl VirtualClock {
    /// A clock that stands at the Unix epoch.
    pub fn new() -> Self {
        VirtualClock::default()
    }

    /// Moves the clock forward, and lets the job see it.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let moved = |now: u64| Some(now.saturating_add(by));
        // The closure always gives a value.
        let _ = self.shared.nanos.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
        self.wake();
    }

    /// Sets the clock to this time after the Unix epoch, and lets the job see it. A time that has passed changes nothing: processing time
    /// does not go back.
    pub fn set(&self, since_epoch: Duration) {
        let nanos = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
        self.shared.nanos.fetch_max(nanos, Ordering::SeqCst);
        self.wake();
    }

    /// The time since the Unix epoch.
    pub fn since_epoch(&self) -> Duration {
        Duration::from_nanos(self.now().0)
    }

    fn now(&self) -> Nanos {
        Nanos(self.shared.nanos.load(Ordering::SeqCst))
    }

    fn wakes(&self, wakers: &[Waker]) {
        *self.shared.wakers.lock().unwrap_or_else(PoisonError::into_inner) = wakers.to_vec();
    }

    fn wake(&self) {
        for waker in self.shared.wakers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            waker.wake();
        }
    }
}

/// Turns readings of a clock into processing time as operators see it: ticks since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessingTime {
    origin_unix_nanos: i64,
    tick: Tick,
}

impl ProcessingTime {
    /// For a clock whose origin is the Unix epoch.
    pub fn from_epoch(tick: Tick) -> Self {
        ProcessingTime { origin_unix_nanos: 0, tick }
    }

    /// The tick that has begun at a reading.
    pub fn at(&self, now: Nanos) -> Timestamp {
        let nanos = i128::from(self.origin_unix_nanos) + i128::from(now.0);
        Timestamp(clamped(nanos.div_euclid(i128::from(self.tick.nanos()))))
    }

    /// The reading at which this tick begins; 0 where it has begun before the clock did.
    pub fn when(&self, at: Timestamp) -> Nanos {
        let nanos = i128::from(at.0) * i128::from(self.tick.nanos()) - i128::from(self.origin_unix_nanos);
        Nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }

    /// How many whole ticks a length of time has.
    pub fn ticks_in(&self, length: Duration) -> i64 {
        let ticks = length.as_nanos() / u128::from(self.tick.nanos().unsigned_abs());
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }
}

fn clamped(ticks: i128) -> i64 {
    i64::try_from(ticks).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_virtual_clock_stands_until_it_is_moved_and_never_goes_back() {
        let clock = VirtualClock::new();
        let same = Clock::from(clock.clone());
        assert_eq!(same.now(), Nanos(0));
        clock.advance(Duration::from_nanos(7));
        clock.set(Duration::from_nanos(5));
        assert_eq!(same.now(), Nanos(7));
        clock.set(Duration::from_secs(2));
        assert_eq!((same.now(), clock.since_epoch()), (Nanos(2_000_000_000), Duration::from_secs(2)));
        clock.advance(Duration::MAX);
        assert_eq!(same.now(), Nanos(u64::MAX));
    }

    #[test]
    fn moving_it_wakes_the_shards() {
        let (clock, waker) = (VirtualClock::new(), Waker::new());
        Clock::from(clock.clone()).wakes(std::slice::from_ref(&waker));
        assert!(!waker.is_notified());
        clock.advance(Duration::from_nanos(1));
        assert!(waker.is_notified());
    }

    #[test]
    fn a_wall_clock_knows_the_date() {
        let clock = Clock::wall();
        let told = clock.processing_time(Tick::Millisecond).at(clock.now());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        assert!((told.0 - now).abs() < 10_000, "{told} is not {now}");
    }

    #[test]
    fn processing_time_is_ticks_since_the_epoch() {
        let clock = Clock::from(VirtualClock::new());
        let now = Nanos(5_999_999);
        let at = |tick| clock.processing_time(tick).at(now).0;
        assert_eq!([Tick::Millisecond, Tick::Microsecond, Tick::Nanosecond].map(at), [5, 5_999, 5_999_999]);
    }

    proptest! {
        #[test]
        fn a_tick_begins_when_it_is_said_to(origin: i64, now in 0..u64::MAX / 2) {
            for tick in [Tick::Millisecond, Tick::Microsecond, Tick::Nanosecond] {
                let time = ProcessingTime { origin_unix_nanos: origin, tick };
                let at = time.at(Nanos(now));
                if at < Timestamp::MAX {
                    prop_assert!(time.when(at) <= Nanos(now));
                    prop_assert!(time.when(Timestamp(at.0 + 1)) > Nanos(now));
                }
            }
        }
    }
}

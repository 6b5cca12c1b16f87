//! Who else used the cores, second by second.

use std::thread::sleep;
use std::time::Duration;

use super::schedule::NANOS_PER_SECOND;
use crate::clock::{monotonic_nanos, processor_nanos};
use crate::machine::{NANOS_PER_TICK, Ticks, ticks};

/// A second in which other programs had more of the cores than this was disturbed.
const OTHERS_MAX: Duration = Duration::from_millis(30);

/// A second in which the hypervisor gave the cores to others for longer than this was, too: a tick is what its clock can be wrong by.
const STOLEN_MAX: Duration = Duration::from_millis(10);

/// How the cores and this process stood at one time.
#[derive(Clone, Copy, Debug)]
struct Moment {
    of_cores: Ticks,
    own_nanos: u64,
}

impl Moment {
    fn now(cores: &[usize]) -> Moment {
        Moment { of_cores: ticks(cores), own_nanos: processor_nanos() }
    }

    /// What disturbed the time from here to there, if anything did.
    fn disturbance(&self, then: &Moment) -> Option<String> {
        let (before, after) = (self.of_cores, then.of_cores);
        let stolen = Duration::from_nanos((after.stolen - before.stolen) * NANOS_PER_TICK);
        if stolen > STOLEN_MAX {
            return Some(format!("the hypervisor took {stolen:?}"));
        }
        let busy = (after.busy - before.busy) * NANOS_PER_TICK;
        // Threads of this process that ran elsewhere make this less than it was.
        let others = Duration::from_nanos(busy.saturating_sub(then.own_nanos - self.own_nanos));
        (others > OTHERS_MAX).then(|| format!("other programs had {} ms of the cores", others.as_millis()))
    }
}

/// Sleeps through the seconds that count, and says of each what disturbed it. `each` is called after each.
pub fn watch(cores: &[usize], from: u64, seconds: u64, mut each: impl FnMut()) -> Vec<Option<String>> {
    sleep_until(from);
    let mut before = Moment::now(cores);
    let mut disturbances = Vec::new();
    for second in 1..=seconds {
        sleep_until(from + second * NANOS_PER_SECOND);
        let now = Moment::now(cores);
        disturbances.push(before.disturbance(&now));
        each();
        before = now;
    }
    disturbances
}

/// Sleeps until then, by the clock that all processes share.
pub fn sleep_until(then: u64) {
    sleep(Duration::from_nanos(then.saturating_sub(monotonic_nanos())));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(busy: u64, stolen: u64, own_millis: u64) -> Moment {
        Moment { of_cores: Ticks { busy, stolen }, own_nanos: own_millis * 1_000_000 }
    }

    #[test]
    fn what_others_take_disturbs_and_what_this_process_takes_does_not() {
        let before = moment(1000, 7, 0);
        assert_eq!(before.disturbance(&moment(1200, 7, 1980)), None);
        assert_eq!(before.disturbance(&moment(1100, 8, 2000)), None, "some of it ran on other cores");
        assert!(before.disturbance(&moment(1200, 7, 1000)).unwrap().contains("1000 ms"));
        assert!(before.disturbance(&moment(1200, 9, 2000)).unwrap().contains("hypervisor"));
    }

    #[test]
    fn there_is_an_answer_for_each_second() {
        let mut looks = 0;
        let from = monotonic_nanos();
        assert_eq!(watch(&[], from, 1, || looks += 1).len(), 1);
        assert_eq!(looks, 1);
        assert!(monotonic_nanos() >= from + NANOS_PER_SECOND);
    }
}

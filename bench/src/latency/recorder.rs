//! Latencies, second by second.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;

use super::schedule::{NANOS_PER_SECOND, Plan};

/// What takes longer is taken for this.
const LONGEST: u64 = 60 * NANOS_PER_SECOND;

/// Values are kept to one part in a hundred: such histograms are small enough to stay in a core's cache.
const DIGITS: u8 = 2;

/// An empty one.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are in order")
}

/// What several add up to.
pub fn merged<'a>(parts: impl IntoIterator<Item = &'a Histogram<u64>>) -> Histogram<u64> {
    let mut all = histogram();
    for part in parts {
        all.add(part).expect("all have the same bounds");
    }
    all
}

/// Gathers latencies by the second in which they began. All memory is there, and has been touched, before the first one.
#[derive(Debug)]
pub struct Recorder {
    from: u64,
    seconds: Vec<Histogram<u64>>,
}

impl Recorder {
    /// For what counts of a plan.
    pub fn new(plan: &Plan) -> Recorder {
        let mut seconds: Vec<_> = (0..plan.seconds).map(|_| histogram()).collect();
        // Fresh memory comes with its first touch, which is to be no part of a latency.
        seconds.iter_mut().for_each(Histogram::reset);
        Recorder { from: plan.from(), seconds }
    }

    /// What was due at one time has come to its end at another. What was due before the plan counts, or after, is left out.
    #[inline(always)]
    pub fn record(&mut self, due: u64, now: u64) {
        let Some(since) = due.checked_sub(self.from) else { return };
        if let Some(second) = self.seconds.get_mut((since / NANOS_PER_SECOND) as usize) {
            second.saturating_record(now.saturating_sub(due));
        }
    }

    /// The seconds, in order.
    pub fn into_seconds(self) -> Vec<Histogram<u64>> {
        self.seconds
    }
}

/// Adds what several threads recorded of the same seconds.
pub fn merge_seconds(recorders: Vec<Recorder>) -> Vec<Histogram<u64>> {
    let most = recorders.iter().map(|recorder| recorder.seconds.len()).max().unwrap_or(0);
    let of_second = |second| recorders.iter().filter_map(move |recorder| recorder.seconds.get(second));
    (0..most).map(|second| merged(of_second(second))).collect()
}

/// A recorder that an operator has, and gives back at the end of its shard.
pub struct InJob {
    recorder: Recorder,
    back: Recorders,
}

/// Where the recorders of a job's shards end up.
#[derive(Clone, Default)]
pub struct Recorders(Arc<Mutex<Vec<Recorder>>>);

impl Recorders {
    /// Another one, for an operator.
    pub fn open(&self, plan: &Plan) -> InJob {
        InJob { recorder: Recorder::new(plan), back: self.clone() }
    }

    /// All together, once the job is over.
    pub fn take(&self) -> Vec<Histogram<u64>> {
        merge_seconds(mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl InJob {
    /// As [`Recorder::record`].
    #[inline(always)]
    pub fn record(&mut self, due: u64, now: u64) {
        self.recorder.record(due, now);
    }
}

impl Drop for InJob {
    fn drop(&mut self) {
        let recorder = Recorder { from: self.recorder.from, seconds: mem::take(&mut self.recorder.seconds) };
        self.back.0.lock().unwrap_or_else(PoisonError::into_inner).push(recorder);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn plan() -> Plan {
        Plan { start: 1000, rate: 10, warm_up: Duration::from_secs(1), seconds: 2 }
    }

    #[test]
    fn a_latency_belongs_to_the_second_in_which_it_began() {
        let (mut recorder, from) = (Recorder::new(&plan()), plan().from());
        recorder.record(from - 1, from);
        recorder.record(from, from + 100);
        recorder.record(from + NANOS_PER_SECOND - 1, from + 3 * NANOS_PER_SECOND);
        recorder.record(from + NANOS_PER_SECOND, from + NANOS_PER_SECOND + 50);
        recorder.record(plan().end(), plan().end() + 1);
        let seconds = recorder.into_seconds();
        assert_eq!(seconds.iter().map(Histogram::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(seconds[0].min(), 100);
        assert!(seconds[0].max() > 2 * NANOS_PER_SECOND, "it was late for longer than its second");
    }

    #[test]
    fn merged_histograms_hold_what_their_parts_hold() {
        let (mut first, mut second) = (histogram(), histogram());
        (1..=60u64).for_each(|value| first.record(value).unwrap());
        (61..=100u64).for_each(|value| second.record(value).unwrap());
        let all = merged([&first, &second]);
        assert_eq!((all.len(), all.min(), all.max()), (100, 1, 100));
        assert_eq!((all.value_at_quantile(0.5), all.value_at_quantile(0.99)), (50, 99));
        assert_eq!(merged([]).len(), 0);
    }

    #[test]
    fn the_recorders_of_all_shards_add_up_second_by_second() {
        let (plan, recorders) = (plan(), Recorders::default());
        let mut shards = [recorders.open(&plan), recorders.open(&plan)];
        shards[0].record(plan.from(), plan.from() + 10);
        shards[1].record(plan.from(), plan.from() + 20);
        shards[1].record(plan.from() + NANOS_PER_SECOND, plan.from() + NANOS_PER_SECOND + 30);
        drop(shards);
        let seconds = recorders.take();
        assert_eq!(seconds.iter().map(Histogram::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((seconds[0].max(), seconds[1].max()), (20, 30));
    }

    #[test]
    fn what_takes_longer_than_can_be_kept_is_kept_as_the_longest() {
        let (mut recorder, from) = (Recorder::new(&plan()), plan().from());
        recorder.record(from, from + 2 * LONGEST);
        assert!(recorder.into_seconds()[0].max() >= LONGEST);
    }
}

//! A source that says what it is told to.

mod cue;

pub use cue::{Abort, Cue};

use std::time::Duration;

use crate::element::{Nanos, Timestamp};
use crate::record::Record;
use crate::source::{PartitionId, Reader, ReaderContext, Records, Replay, Source, SourceError, SourcePoll};
use crate::testing::position;

/// A bounded, replayable source of one partition that gives these records, in order.
pub fn script<T: Record + Clone>(records: impl IntoIterator<Item = T>) -> Script<T> {
    Script::of(records.into_iter().map(Cue::record))
}

/// A bounded, replayable source with one partition for each of these lists, whose records have timestamps.
pub fn timed_script<T: Record + Clone>(partitions: Vec<Vec<(T, Timestamp)>>) -> Script<T> {
    let cues = |records: Vec<(T, Timestamp)>| {
        records.into_iter().map(|(record, at)| Cue::timed(record, at)).collect()
    };
    Script { partitions: partitions.into_iter().map(cues).collect(), pace: usize::MAX }
}

/// A source of one partition that gives these records in order, and does what is said between them.
///
/// | cue | what it does |
/// | --- | --- |
/// | `record` | gives a record without an event time |
/// | `record => at` | gives a record with this event time |
/// | `Watermark(at)` | says that event time has come to `at`, for [`Watermarks::from_source`](crate::time::Watermarks::from_source) |
/// | `Idle` | says that nothing is to be expected for a while, likewise |
/// | `Wait(duration)` | pauses for so long, by the job's clock |
/// | `Abort` | fails the job, once: a restart passes over it |
///
/// ```
/// use millstream_engine::prelude::*;
/// use millstream_engine::testing::script;
/// use std::time::Duration;
///
/// // Made outside of the closure, which is called again for each attempt: so the second one knows of the first one's abort.
/// let numbers = script![1u64, 2, Abort, 3];
/// let summary = Job::new("once_more")
///     .restart(RestartStrategy::fixed_delay(1, Duration::ZERO))
///     .run(move |flow| flow.source("numbers", numbers.clone()).discard())?;
/// assert_eq!(summary.metrics.restarts, 1);
/// # Ok::<(), JobError>(())
/// ```
#[macro_export]
macro_rules! script {
    (@cues [$($cues:tt)*]) => { $crate::testing::Script::of([$($cues)*]) };
    (@cues [$($cues:tt)*] Abort $(, $($rest:tt)*)?) => {
        $crate::script!(@cues [$($cues)* $crate::testing::Cue::abort(),] $($($rest)*)?)
    };
    (@cues [$($cues:tt)*] Idle $(, $($rest:tt)*)?) => {
        $crate::script!(@cues [$($cues)* $crate::testing::Cue::idle(),] $($($rest)*)?)
    };
    (@cues [$($cues:tt)*] Watermark($at:expr) $(, $($rest:tt)*)?) => {
        $crate::script!(@cues [$($cues)* $crate::testing::Cue::watermark($at),] $($($rest)*)?)
    };
    (@cues [$($cues:tt)*] Wait($pause:expr) $(, $($rest:tt)*)?) => {
        $crate::script!(@cues [$($cues)* $crate::testing::Cue::wait($pause),] $($($rest)*)?)
    };
    (@cues [$($cues:tt)*] $record:expr => $at:expr $(, $($rest:tt)*)?) => {
        $crate::script!(@cues [$($cues)* $crate::testing::Cue::timed($record, $at),] $($($rest)*)?)
    };
    (@cues [$($cues:tt)*] $record:expr $(, $($rest:tt)*)?) => {
        $crate::script!(@cues [$($cues)* $crate::testing::Cue::record($record),] $($($rest)*)?)
    };
    ($($cues:tt)*) => { $crate::script!(@cues [] $($cues)*) };
}

/// See [`script!`](crate::script!), [`script()`] and [`timed_script`]. Clones share what has been aborted.
#[derive(Clone, Debug)]
pub struct Script<T> {
    partitions: Vec<Vec<Cue<T>>>,
    pace: usize,
}

impl<T> Script<T> {
    /// A script of one partition.
    pub fn of(cues: impl IntoIterator<Item = Cue<T>>) -> Self {
        Script { partitions: vec![cues.into_iter().collect()], pace: usize::MAX }
    }

    /// The partitions of this script, and then those of another.
    pub fn beside(mut self, other: Script<T>) -> Self {
        self.partitions.extend(other.partitions);
        self
    }

    /// Gives at most so many records at a poll, so that a job takes many steps.
    pub fn pace(mut self, records_per_poll: usize) -> Self {
        self.pace = records_per_poll.max(1);
        self
    }
}

impl<T: Record + Clone> Source for Script<T> {
    type Item = T;
    type Reader = ScriptReader<T>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok((0..self.partitions.len()).map(|number| PartitionId(number.to_string())).collect())
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<ScriptReader<T>, SourceError> {
        let cues = position::partition(&self.partitions, &partition.0)?.clone();
        let next = position::read(offset)?;
        Ok(ScriptReader { cues, next, polled_from: next, pace: self.pace, waits_until: None })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Reads a [`Script`].
#[derive(Debug)]
pub struct ScriptReader<T> {
    cues: Vec<Cue<T>>,
    next: usize,
    /// The cue that the first record of the last poll was.
    polled_from: usize,
    pace: usize,
    /// The end of the pause at hand.
    waits_until: Option<Nanos>,
}

impl<T> ScriptReader<T> {
    /// The end of a pause that began now or before, unless it is over.
    fn pauses_until(&mut self, pause: Duration, now: Nanos) -> Option<Nanos> {
        let until = *self.waits_until.get_or_insert(now.after(pause));
        if now < until {
            return Some(until);
        }
        self.waits_until = None;
        None
    }
}

impl<T: Record + Clone> Reader for ScriptReader<T> {
    type Item = T;

    fn poll(&mut self, now: Nanos, out: &mut Records<T>) -> Result<SourcePoll, SourceError> {
        while let Some(cue) = self.cues.get(self.next) {
            if out.room() == 0 || out.len() >= self.pace {
                return Ok(SourcePoll::More);
            }
            match cue {
                Cue::Give(record, at) => {
                    if out.is_empty() {
                        self.polled_from = self.next;
                    }
                    out.push_at(record.clone(), *at);
                }
                // What comes before a cue is taken first.
                Cue::Abort(_) | Cue::Wait(_) if !out.is_empty() => return Ok(SourcePoll::More),
                Cue::Watermark(at) => out.watermark(*at),
                Cue::Idle => out.idle(),
                Cue::Wait(pause) => {
                    let pause = *pause;
                    if let Some(until) = self.pauses_until(pause, now) {
                        return Ok(SourcePoll::Idle { until: Some(until) });
                    }
                }
                Cue::Abort(abort) if abort.is_first() => {
                    let what = format!(
                        "the script aborts the job before cue {}, once; where it does so at each attempt, it is made in the job's closure: \
                         make it outside, and clone it in",
                        self.next + 1
                    );
                    return Err(SourceError::retryable(what));
                }
                Cue::Abort(_) => {}
            }
            self.next += 1;
        }
        Ok(SourcePoll::End)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        position::write(self.next, out);
    }

    fn place(&self, index: usize) -> String {
        format!("record {} of the script", self.polled_from + index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;
    use crate::testing::Harness;
    use std::sync::{Arc, Mutex};

    #[test]
    fn each_abort_fails_one_attempt_at_its_place() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (numbers, saw) = (script![1i64, 2, Abort, 3, Abort], seen.clone());
        let summary =
            Job::new("aborted").restart(RestartStrategy::fixed_delay(2, Duration::ZERO)).run(move |flow| {
                let saw = saw.clone();
                flow.source("numbers", numbers.clone()).for_each(move |n, _| saw.lock().unwrap().push(*n));
            });
        assert_eq!(summary.unwrap().metrics.restarts, 2);
        // Without checkpoints each attempt begins at the beginning.
        assert_eq!(*seen.lock().unwrap(), [1, 2, 1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn a_script_in_the_closure_is_told_apart() {
        let error = Job::new("made_anew")
            .restart(RestartStrategy::fixed_delay(3, Duration::ZERO))
            .run(|flow| flow.source("numbers", script![1i64, Abort]).discard())
            .unwrap_err();
        assert_eq!(error.restarts(), Some(3));
        assert!(error.to_string().contains("before cue 2, once"), "{error}");
        assert!(error.to_string().contains("make it outside, and clone it in"), "{error}");
    }

    #[test]
    fn cues_of_time_count_where_they_stand() {
        let pause = Duration::from_millis(7);
        let script =
            script!["a".to_owned() => 3, Watermark(3), "b".to_owned() => 9, Idle, Wait(pause), Watermark(20)];
        let mut harness = Harness::new(move |flow| {
            flow.output("out", flow.source("words", script.clone()).source_time(Watermarks::from_source()));
        });
        let expected = [("a".to_owned(), Timestamp(3)), ("b".to_owned(), Timestamp(9))];
        assert_eq!(harness.outputs::<String>(), expected);
        assert_eq!(harness.event_time("out"), Timestamp(3));
        harness.advance_clock(6);
        assert_eq!(harness.event_time("out"), Timestamp(3));
        harness.advance_clock(7);
        assert_eq!(harness.event_time("out"), Timestamp::MAX, "the script is over");
    }

    #[test]
    fn partitions_lie_beside_each_other() {
        let script = script![1u64 => 5, 2u64 => 6].beside(script![3u64 => 1]).pace(1);
        let mut harness = Harness::new(move |flow| {
            flow.output("out", flow.source("numbers", script.clone()).source_time(Watermarks::monotonous()));
        });
        let mut numbers: Vec<u64> = harness.outputs().into_iter().map(|(number, _)| number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3]);
    }
}

//! What the machine does to any thread: bare loops on the same cores, which look at the clock and do nothing else.
//!
//! A loop on each core has the schedule of the scenario beside it, and records how long after its time it came by each record that it does
//! not send. That is what an operator would show that takes no time at all. A loop and a shard cannot have the same core at the same time, so
//! they take turns; what the host's core did during the turn of the job is told by how late the host sent.

use super::figures::{Second, Series};
use super::recorder::Recorder;
use super::schedule::Plan;
use super::settings::{Length, Settings};
use super::watch::watch;
use crate::clock::monotonic_nanos;
use crate::throughput::pin;

/// How long before its first record a loop begins.
const LEAD: std::time::Duration = std::time::Duration::from_millis(50);

/// The series of the loops, one on each of these cores at the same time.
pub fn measure(settings: &Settings, cores: &[usize], length: Length) -> Result<Vec<Series>, String> {
    let plan = length.plan(LEAD);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            cores.iter().map(|core| scope.spawn(move || pin(*core).map(|()| looks(&plan)))).collect();
        let disturbed = watch(&settings.cores, plan.from(), plan.seconds, || {});
        let series = cores.iter().zip(threads).map(|(core, thread)| {
            let recorder = thread.join().map_err(|_| "a bare loop panicked".to_owned())??;
            let seconds = Second::all(recorder.into_seconds(), disturbed.clone());
            Ok(Series { label: label(*core), seconds, ..Series::default() })
        });
        series.collect()
    })
}

/// What the series of a core is called.
pub fn label(core: usize) -> String {
    format!("bare loop on core {core}")
}

fn looks(plan: &Plan) -> Recorder {
    let (mut recorder, mut dues) = (Recorder::new(plan), plan.dues());
    while dues.peek().is_some() {
        let now = monotonic_nanos();
        while let Some(due) = dues.due(now) {
            recorder.record(due, now);
            dues.advance();
        }
    }
    recorder
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::brief;
    use super::*;

    #[test]
    fn each_core_has_a_loop_that_comes_by_every_record() {
        let settings = brief(std::path::Path::new("."));
        let length = Length { rate: 1000, warm_up: std::time::Duration::ZERO, seconds: 1 };
        let series = measure(&settings, &settings.cores[..1], length).unwrap();
        assert_eq!(series.len(), 1);
        assert_eq!(series[0].label, label(settings.cores[0]));
        assert_eq!(series[0].seconds.len(), 1);
        assert_eq!(series[0].seconds[0].histogram.len(), 1000);
    }
}

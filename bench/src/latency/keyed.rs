//! `keyed`: over one exchange by key, with a running count, on one shard and on two.

use std::error::Error;
use std::time::Duration;

use millstream::prelude::*;

use super::chain::{LEAD, ROOM, exchange};
use super::figures::Series;
use super::jobs::{Unstarted, series};
use super::paced::Paced;
use super::probe::Probe;
use super::recorder::Recorders;
use super::report::Report;
use super::settings::{Length, Settings, Variant};
use super::turns::{Run, by_turns};
use crate::clock::monotonic_nanos;

const RATES: [u64; 3] = [10_000, 100_000, 1_000_000];

/// How long before its first record a job whose source keeps the schedule is started.
const START: Duration = Duration::from_millis(500);

/// What a key's records add up to, and when the last one was due.
#[derive(Record, Clone, Copy, Debug)]
#[repr(C)]
struct Counted {
    count: u64,
    due: u64,
}

fn count(counted: &mut Counted, probe: &Probe) {
    counted.count += 1;
    counted.due = probe.due;
}

const NONE: Counted = Counted { count: 0, due: 0 };

/// Measures it.
pub fn measure(settings: &Settings, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for shards in [1, 2] {
        let host_core = settings.host_core(shards);
        let cores: Vec<usize> = settings.shard_cores(shards).into_iter().chain(host_core).collect();
        for rate in settings.rates(&RATES) {
            let variants = settings.variants();
            let mut runs: Vec<Run<'_>> = variants
                .iter()
                .map(|variant| -> Run<'_> {
                    Box::new(move |length| match host_core {
                        Some(core) => with_host(settings, *variant, shards, core, length),
                        None => by_itself(settings, *variant, shards, length),
                    })
                })
                .collect();
            let title =
                format!("keyed: one exchange by key and a running count; {shards} shards, {rate} records/s");
            let mut group = by_turns(settings, title, &cores, settings.turns(rate), &mut runs)?;
            group.notes.push(match host_core {
                Some(core) => format!(
                    "from ingress to egress; shards on cores {:?}, the host's thread on core {core}",
                    settings.shard_cores(shards)
                ),
                None => format!(
                    "shards on cores {:?}, which leaves none to a host's thread: a source on shard 0 keeps the schedule, and the operator after \
                     the count takes the time",
                    settings.shard_cores(shards)
                ),
            });
            report.add(group);
        }
    }
    Ok(())
}

fn with_host(
    settings: &Settings,
    variant: Variant,
    shards: u16,
    host_core: usize,
    length: Length,
) -> Result<Series, Box<dyn Error>> {
    let unstarted = Unstarted::new(settings, variant, "keyed", shards)?;
    let mut ingress = unstarted.job.ingress::<Probe>("in", IngressOptions::new().capacity(ROOM));
    let mut egress = unstarted.job.egress::<(u64, Counted)>("out", EgressOptions::new().capacity(ROOM));
    let running = unstarted.start(|flow| {
        flow.ingress::<Probe>("in").key_by(|probe| probe.key).fold(NONE, count).egress("out");
    })?;
    let plan = length.plan(LEAD);
    running.with_host(settings, host_core, &plan, move || {
        exchange(&plan, plan.records(), &mut ingress, &mut egress, |(_, counted)| counted.due)
    })
}

fn by_itself(
    settings: &Settings,
    variant: Variant,
    shards: u16,
    length: Length,
) -> Result<Series, Box<dyn Error>> {
    let unstarted = Unstarted::new(settings, variant, "keyed", shards)?;
    let (plan, recorders) = (length.plan(START), Recorders::default());
    let of_job = recorders.clone();
    let running = unstarted.start(move |flow| {
        let mut recorder = of_job.open(&plan);
        flow.source("probes", Paced(plan))
            .key_by(|probe| probe.key)
            .fold(NONE, count)
            .for_each(move |(_, counted), _| recorder.record(counted.due, monotonic_nanos()));
    })?;
    let watched = running.watch(&settings.cores, &plan);
    let summary = running.await_end()?;
    let mut series = series(&variant, recorders.take(), watched, &summary);
    series.notes.push(format!("{} records", summary.metrics.records_out()));
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::brief;
    use super::*;

    #[test]
    fn every_record_is_counted_on_one_shard_and_on_two() {
        let dir = tempfile::tempdir().unwrap();
        let mut report = Report::quiet();
        measure(&brief(dir.path()), &mut report).unwrap();
        for group in report.groups() {
            let job = group.series.last().unwrap();
            assert_eq!(job.seconds[0].histogram.len(), 1000, "{}", group.title);
        }
        assert_eq!(report.groups().len(), 2);
    }

    #[test]
    fn two_shards_that_have_all_cores_keep_the_schedule_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let settings = brief(dir.path());
        let length = Length { rate: 1000, warm_up: Duration::ZERO, seconds: 1 };
        let series = by_itself(&settings, settings.variants()[0], 2, length).unwrap();
        assert_eq!(series.seconds[0].histogram.len(), 1000);
    }
}

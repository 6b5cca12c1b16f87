//! `chain`: through a chain of stateless operators on one shard and back, from ingress to egress.

use std::error::Error;
use std::time::Duration;

use millstream::embed::RecvError;
use millstream::prelude::*;

use super::figures::Series;
use super::host::{Seen, open_loop};
use super::jobs::Unstarted;
use super::probe::{Probe, send};
use super::report::Report;
use super::schedule::Plan;
use super::settings::{Length, Settings, Variant};
use super::turns::{Run, by_turns};

const RATES: [u64; 3] = [10_000, 100_000, 1_000_000];

/// Room enough that it is the job that is measured, and not how long its callers wait.
pub const ROOM: usize = 1 << 14;

/// How long before the first record a host begins.
pub const LEAD: Duration = Duration::from_millis(50);

/// Measures it.
pub fn measure(settings: &Settings, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let host_core = settings.host_core_beside_one()?;
    let cores = [settings.cores[0], host_core];
    for rate in settings.rates(&RATES) {
        let variants = settings.variants();
        let mut runs: Vec<Run<'_>> = variants
            .iter()
            .map(|variant| -> Run<'_> { Box::new(move |length| run(settings, *variant, host_core, length)) })
            .collect();
        let title = format!("chain: ingress, eight stateless operators, egress; 1 shard, {rate} records/s");
        let mut group = by_turns(settings, title, &cores, settings.turns(rate), &mut runs)?;
        group.notes.push(format!("shard 0 on core {}, the host's thread on core {host_core}", cores[0]));
        report.add(group);
    }
    Ok(())
}

fn run(
    settings: &Settings,
    variant: Variant,
    host_core: usize,
    length: Length,
) -> Result<Series, Box<dyn Error>> {
    let unstarted = Unstarted::new(settings, variant, "chain", 1)?;
    let mut ingress = unstarted.job.ingress::<Probe>("in", IngressOptions::new().capacity(ROOM));
    let mut egress = unstarted.job.egress::<Probe>("out", EgressOptions::new().capacity(ROOM));
    let running = unstarted.start(|flow| {
        flow.ingress::<Probe>("in")
            .map(|probe| Probe { key: probe.key.wrapping_mul(3), ..probe })
            .filter(|probe| probe.key != u64::MAX)
            .map(|probe| Probe { key: probe.key ^ probe.key >> 7, ..probe })
            .filter(|probe| probe.due != 0)
            .map(|probe| Probe { key: probe.key.rotate_left(5), ..probe })
            .filter(|probe| probe.key != 1)
            .map(|probe| Probe { key: probe.key.wrapping_add(11), ..probe })
            .map(|probe| Probe { key: probe.key ^ 0xFF, ..probe })
            .egress("out");
    })?;
    let plan = length.plan(LEAD);
    running.with_host(settings, host_core, &plan, move || {
        exchange(&plan, plan.records(), &mut ingress, &mut egress, |probe| probe.due)
    })
}

/// Sends a plan's probes into one end of a job and takes records out of the other, whose time is what `due` says.
pub fn exchange<R: Record + Send>(
    plan: &Plan,
    expected: u64,
    ingress: &mut Ingress<Probe>,
    egress: &mut Egress<R>,
    due: impl Fn(&R) -> u64,
) -> Result<Seen, String> {
    let mut number = 0;
    open_loop(
        plan,
        expected,
        |at| send(ingress, &mut number, at),
        || match egress.try_recv() {
            Ok(record) => Ok(Some(due(&record))),
            Err(RecvError::Empty { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::brief;
    use super::*;

    #[test]
    fn every_record_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut report = Report::quiet();
        measure(&brief(dir.path()), &mut report).unwrap();
        let group = &report.groups()[0];
        assert_eq!(group.series.len(), 3, "two bare loops and a job");
        assert_eq!(group.series[2].seconds[0].histogram.len(), 1000);
    }
}

//! Which records came too late for the windows and joins of a job.

use std::fmt;

use crate::element::Timestamp;
use crate::graph::Plan;
use crate::operator::keyed::LateReport;
use crate::runtime::control::ShardAccount;
use crate::window::{LateSample, TimeWindow};

/// The late ledgers of a job's windows and joins. `Display` prints a table for each.
///
/// A record is in the ledger whether it was dropped or given out under a tag. Checkpoints hold the ledgers: a job that goes on from one, on as
/// many shards or on others, goes on with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LateRecords {
    /// Operator by operator, in the order in which records pass; those without late records, too.
    pub operators: Vec<OperatorLateRecords>,
}

/// The late ledger of an operator, over all shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorLateRecords {
    /// The operator.
    pub operator: String,
    /// How many records came too late for all their windows.
    pub count: u64,
    /// The furthest that any lay behind the watermark, in ticks; 0 where there was none.
    pub late_by_max: i64,
    /// The last ones, up to [`LATE_SAMPLES`](crate::window::LATE_SAMPLES), oldest first. Those of different shards are ordered by the watermark
    /// when they came.
    pub last: Vec<LateRecord>,
}

/// A record that came too late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateRecord {
    /// Its key, for people to read.
    pub key: String,
    /// Its event time.
    pub at: Timestamp,
    /// The watermark when it came.
    pub watermark: Timestamp,
    /// How far its event time lay behind that, in ticks.
    pub late_by: i64,
    /// The last window that it belongs to. For a join by time, the tick at which it would have found partners.
    pub window: TimeWindow,
}

impl LateRecords {
    /// What the shards give account of.
    pub(super) fn of(plan: &Plan, shards: &[ShardAccount]) -> LateRecords {
        let operators = plan.chains.iter().filter_map(|chain| {
            let head = chain.ops[0];
            let reports = shards.iter().flat_map(|shard| &shard.late).filter(|(op, _)| *op == head);
            let all = reports.map(|(_, report)| report.clone()).reduce(LateReport::with)?;
            Some(OperatorLateRecords::new(plan.name(head), &all))
        });
        LateRecords { operators: operators.collect() }
    }

    /// The ledger of one operator. None where there is no such operator, or it is no window and no join by time.
    pub fn of_operator(&self, operator: &str) -> Option<&OperatorLateRecords> {
        self.operators.iter().find(|of| of.operator == operator)
    }
}

impl OperatorLateRecords {
    fn new(operator: &str, all: &LateReport) -> OperatorLateRecords {
        OperatorLateRecords {
            operator: operator.to_owned(),
            count: all.ledger.count(),
            late_by_max: all.ledger.worst(),
            last: all.samples().map(|(key, sample)| LateRecord::new(key, sample)).collect(),
        }
    }
}

impl LateRecord {
    fn new(key: String, sample: &LateSample) -> LateRecord {
        let (at, watermark, late_by) = (sample.at, sample.watermark, sample.late_by());
        LateRecord { key, at, watermark, late_by, window: sample.window }
    }

    fn cells(&self) -> [String; 5] {
        let LateRecord { key, at, watermark, late_by, window } = self;
        [key.clone(), at.to_string(), watermark.to_string(), late_by.to_string(), window.to_string()]
    }
}

impl fmt::Display for LateRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.operators.iter().try_for_each(|of| of.fmt(f))
    }
}

impl fmt::Display for OperatorLateRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OperatorLateRecords { operator, count, late_by_max, last } = self;
        if *count == 0 {
            return writeln!(f, "{operator}: no record came too late");
        }
        writeln!(
            f,
            "{operator}: {count} came too late, by up to {late_by_max} ticks; the last {}:",
            last.len()
        )?;
        let titles = ["key", "event time", "watermark", "late by", "window"].map(str::to_owned);
        let rows: Vec<[String; 5]> =
            std::iter::once(titles).chain(last.iter().map(LateRecord::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [for_key, for_at, for_watermark, for_late_by] = std::array::from_fn(width);
        for [key, at, watermark, late_by, window] in &rows {
            writeln!(
                f,
                "  {key:<for_key$}  {at:>for_at$}  {watermark:>for_watermark$}  {late_by:>for_late_by$}  {window}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Flow, JobShards, Setting};
    use crate::key::{HashSeed, Key};
    use crate::prelude::*;
    use crate::testing::timed_script;
    use crate::time::Ticks;
    use crate::window::LateLedger;

    const SEED: HashSeed = HashSeed(7);

    fn plan() -> Plan {
        let program = |flow: &Flow| {
            flow.source("clicks", timed_script(vec![vec![(1u64, Timestamp(1))]]))
                .source_time(Watermarks::monotonous())
                .key_by(|key| *key)
                .window(Tumbling::of(Ticks(5000)))
                .count()
                .map(|result| result.value)
                .discard();
        };
        let two = JobShards { count: 2, ..JobShards::default() };
        Flow::build(&program, Setting { shards: two, ..Setting::default() }).ok().unwrap().plan
    }

    /// The ledgers of windows by numbers, by shard: keys with event times and watermarks.
    fn late(shards: &[&[(u64, i64, i64)]]) -> LateRecords {
        let plan = plan();
        let head = plan.chains[1].ops[0];
        let account = |records: &&[(u64, i64, i64)]| {
            let mut ledger = LateLedger::default();
            for (key, at, watermark) in *records {
                let start = Timestamp(at / 5000 * 5000);
                let window = TimeWindow { start, end: Timestamp(start.0 + 5000) };
                ledger.enter(key.hash(SEED), &[], Timestamp(*at), Timestamp(*watermark), window);
            }
            let report = LateReport { ledger, show_key: u64::show, seed: SEED };
            ShardAccount { late: vec![(head, report)], ..ShardAccount::default() }
        };
        LateRecords::of(&plan, &shards.iter().map(account).collect::<Vec<_>>())
    }

    #[test]
    fn the_ledgers_of_all_shards_are_one() {
        let all = late(&[&[(1, 2000, 7999), (1, 3000, 20_000)], &[], &[(7, 100, 12_345)]]);
        let of = all.of_operator("window_count").unwrap();
        assert_eq!((of.count, of.late_by_max), (3, 17_000));
        let last: Vec<(&str, i64)> = of.last.iter().map(|late| (late.key.as_str(), late.late_by)).collect();
        assert_eq!(last, [("1", 5999), ("7", 12_245), ("1", 17_000)]);
        assert_eq!(all.of_operator("clicks"), None);
    }

    #[test]
    fn it_prints_as_a_table() {
        let table = late(&[&[(1, 2000, 7999)], &[(123_456, 100, 12_345)]]).to_string();
        let expected = [
            "window_count: 2 came too late, by up to 12245 ticks; the last 2:",
            "  key     event time  watermark  late by  window",
            "  1             2000       7999     5999  [0,5000)",
            "  123456         100      12345    12245  [0,5000)",
        ];
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
        assert_eq!(late(&[&[], &[]]).to_string(), "window_count: no record came too late\n");
    }
}

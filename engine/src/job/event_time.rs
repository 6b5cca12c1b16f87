//! Where event time stands in a running job, and why.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::NoAnswer;
use crate::element::{ShardId, Timestamp};
use crate::graph::{ExchangeId, ExchangeNode, Plan};
use crate::operator::OpId;
use crate::time::{ClockReport, Head, PartitionReport, PartitionState, Standstill};

/// A partition that was heard of less than this ago is not called silent.
const SILENT_FROM: Duration = Duration::from_secs(1);

/// What all shards said of event time when they were asked. `Display` prints a table.
#[derive(Clone, Debug)]
pub struct EventTime {
    plan: Arc<Plan>,
    /// By shard.
    shards: Vec<Vec<(OpId, ClockReport)>>,
}

/// The event time of one operator on one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorTime {
    /// The operator.
    pub operator: String,
    /// The shard.
    pub shard: ShardId,
    /// Its watermark.
    pub watermark: Timestamp,
    /// How far, in ticks, it is behind what its sources have let out: what is on its way, or not handled yet. None where either has no
    /// watermark, or is at the end of time.
    pub lag: Option<i64>,
}

/// Why the event time of an operator on one shard stands where it stands. `Display` says it in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The operator.
    pub operator: String,
    /// The shard.
    pub shard: ShardId,
    /// Its watermark.
    pub watermark: Timestamp,
    /// What it waits for.
    pub cause: WaitingFor,
}

/// What event time waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitingFor {
    /// A partition of a source: nothing that feeds the operator has come less far.
    Partition {
        /// The source.
        source: String,
        /// The shard that reads the partition.
        shard: ShardId,
        /// The partition.
        partition: PartitionReport,
        /// Whether the shard cannot read because downstream is full.
        blocked: bool,
    },
    /// A source without event time.
    Untimed {
        /// The source.
        source: String,
    },
    /// A later watermark has been sent and not been handled yet.
    OnItsWay {
        /// The operator that sent it.
        from: String,
        /// That operator's shard.
        shard: ShardId,
        /// The watermark.
        watermark: Timestamp,
    },
    /// The results of the last watermark are still being given out.
    Firing,
    /// A watermark waits for the asynchronous calls of the records before it.
    Calls {
        /// The operator that makes them.
        operator: String,
        /// Its shard.
        shard: ShardId,
        /// How many records are under way there.
        under_way: usize,
    },
    /// Whoever is active was idle before, and has yet to catch up.
    CatchingUp {
        /// The operator that is furthest ahead of those.
        from: String,
        /// That operator's shard.
        shard: ShardId,
        /// Its watermark.
        watermark: Timestamp,
    },
    /// Nothing: everything that feeds it is idle.
    AllIdle,
    /// Nothing: everything that feeds it has ended.
    Ended,
}

/// Why a job did not say where its event time stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventTimeError {
    /// The shards did not answer.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The name is wrong.
    #[error("the job has no operator named `{operator}`; it has {known}")]
    NoSuchOperator {
        /// The name.
        operator: String,
        /// Those there are.
        known: String,
    },
}

impl EventTime {
    pub(super) fn new(plan: Arc<Plan>, shards: Vec<Vec<(OpId, ClockReport)>>) -> Self {
        EventTime { plan, shards }
    }

    /// Every operator on every shard, in the order in which records pass.
    pub fn operators(&self) -> Vec<OperatorTime> {
        let mut all = Vec::new();
        for chain in &self.plan.chains {
            let head = chain.ops[0];
            let sent = self.let_out_by_sources(head);
            for op in &chain.ops {
                for shard in self.shard_ids() {
                    let Some(report) = self.report(head, shard) else { continue };
                    let watermark = report.watermark;
                    all.push(OperatorTime {
                        operator: self.plan.name(*op).to_owned(),
                        shard,
                        watermark,
                        lag: sent.and_then(|sent| lag(sent, watermark)),
                    });
                }
            }
        }
        all
    }

    /// What the event time of an operator waits for, on each shard.
    ///
    /// # Errors
    /// There is no operator of this name.
    pub fn why_waiting(&self, operator: &str) -> Result<Vec<Waiting>, EventTimeError> {
        let named = |op: &&OpId| self.plan.name(**op) == operator;
        let Some(chain) = self.plan.chains.iter().find(|chain| chain.ops.iter().any(|op| named(&op))) else {
            let known: Vec<String> = self.plan.ops.iter().map(|op| format!("`{}`", op.name)).collect();
            let operator = operator.to_owned();
            return Err(EventTimeError::NoSuchOperator { operator, known: known.join(", ") });
        };
        let head = chain.ops[0];
        let on_shard = |shard: ShardId| {
            let report = self.report(head, shard)?;
            Some(Waiting {
                operator: operator.to_owned(),
                shard,
                watermark: report.watermark,
                cause: self.cause(head, shard, report),
            })
        };
        Ok(self.shard_ids().filter_map(on_shard).collect())
    }

    fn shard_ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.shards.len() as u16).map(ShardId)
    }

    fn report(&self, head: OpId, shard: ShardId) -> Option<&ClockReport> {
        self.shards.get(shard.index())?.iter().find(|(op, _)| *op == head).map(|(_, report)| report)
    }

    /// The exchanges that feed a chain, in the order of its inputs.
    fn fed_by(&self, head: OpId) -> impl Iterator<Item = ExchangeId> {
        let numbered = self.plan.exchanges.iter().enumerate();
        let to_head = |(number, node): (usize, &ExchangeNode)| {
            node.to.filter(|(op, _)| *op == head).map(|(_, port)| (port, ExchangeId(number)))
        };
        let mut inputs: Vec<_> = numbered.filter_map(to_head).collect();
        inputs.sort_by_key(|(port, _)| *port);
        inputs.into_iter().map(|(_, exchange)| exchange)
    }

    fn cause(&self, head: OpId, shard: ShardId, report: &ClockReport) -> WaitingFor {
        let source = || self.plan.name(head).to_owned();
        match (&report.of, &report.standstill) {
            (Head::Operator { under_way: under_way @ 1.., .. }, _) => {
                WaitingFor::Calls { operator: source(), shard, under_way: *under_way }
            }
            (_, Standstill::Ended) => WaitingFor::Ended,
            (Head::Source { timed: false, .. }, _) => WaitingFor::Untimed { source: source() },
            (Head::Operator { firing: true, .. }, _) => WaitingFor::Firing,
            (_, Standstill::AllIdle) => WaitingFor::AllIdle,
            (
                Head::Source { partitions, blocked, .. },
                Standstill::HeldBack(held) | Standstill::CatchingUp(held),
            ) => WaitingFor::Partition {
                source: source(),
                shard,
                partition: partitions[held.input].clone(),
                blocked: *blocked,
            },
            (
                Head::Operator { .. },
                standstill @ (Standstill::HeldBack(held) | Standstill::CatchingUp(held)),
            ) => {
                let mut lanes = self.fed_by(head).flat_map(|exchange| {
                    let writer = self.plan.writer(exchange);
                    self.plan.lanes_to(exchange, shard).shards().map(move |producer| (writer, producer))
                });
                let held_by = lanes.nth(held.input);
                let known = held_by
                    .and_then(|(writer, producer)| Some((writer, producer, self.report(writer, producer)?)));
                let Some((writer, producer, upstream)) = known else { return WaitingFor::AllIdle };
                let from = self.plan.name(writer).to_owned();
                if matches!(standstill, Standstill::CatchingUp(_)) {
                    let watermark = held.watermark;
                    return WaitingFor::CatchingUp { from, shard: producer, watermark };
                }
                let calls = matches!(upstream.of, Head::Operator { under_way: 1.., .. });
                if upstream.watermark > held.watermark && !calls {
                    let watermark = upstream.watermark;
                    return WaitingFor::OnItsWay { from, shard: producer, watermark };
                }
                self.cause(writer, producer, upstream)
            }
        }
    }

    /// Where event time would stand in a chain if everything had arrived: the least of what the sources that feed it have let out.
    fn let_out_by_sources(&self, head: OpId) -> Option<Timestamp> {
        let mut heads = vec![head];
        let mut sources = Vec::new();
        while let Some(head) = heads.pop() {
            let before = heads.len();
            heads.extend(self.fed_by(head).map(|exchange| self.plan.writer(exchange)));
            if heads.len() == before && !sources.contains(&head) {
                sources.push(head);
            }
        }
        let instances = || {
            let reports = self.shards.iter().flatten();
            reports.filter(|(op, _)| sources.contains(op)).map(|(_, report)| report)
        };
        let at_work = instances().filter(|report| report.standstill.input().is_some());
        let least = at_work.map(|report| report.watermark).min();
        least.or_else(|| instances().map(|report| report.watermark).max())
    }
}

fn lag(sent: Timestamp, watermark: Timestamp) -> Option<i64> {
    let counts = |at: Timestamp| at > Timestamp::MIN && at < Timestamp::MAX;
    (counts(sent) && counts(watermark)).then(|| sent.0.saturating_sub(watermark.0).max(0))
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for OperatorTime { operator, shard, watermark, lag } in self.operators() {
            write!(f, "{operator} on shard {shard}: {watermark}")?;
            match lag {
                Some(lag) => writeln!(f, ", lag {lag}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Waiting { operator, shard, watermark, cause } = self;
        write!(f, "{operator} on shard {shard} stands at {watermark}: {cause}")
    }
}

impl fmt::Display for WaitingFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitingFor::Partition { source, shard, partition, blocked } => {
                write!(f, "partition {} of source {source} on shard {shard} ", partition.name)?;
                about(partition, f)?;
                if *blocked {
                    f.write_str("; its shard cannot read, because downstream is full")?;
                }
                Ok(())
            }
            WaitingFor::Untimed { source } => {
                write!(f, "source {source} has no event time; call .event_time(..) right after .source(..)")
            }
            WaitingFor::OnItsWay { from, shard, watermark } => write!(
                f,
                "{from} on shard {shard} has sent {watermark}, which is on its way or waits to be handled"
            ),
            WaitingFor::Calls { operator, shard, under_way } => {
                write!(f, "{operator} on shard {shard} waits for its calls; records under way: {under_way}")
            }
            WaitingFor::Firing => f.write_str("it is giving out the results of its last watermark"),
            WaitingFor::CatchingUp { from, shard, watermark } => write!(
                f,
                "{from} on shard {shard} was idle and is back at {watermark}; event time goes on once it has caught up"
            ),
            WaitingFor::AllIdle => f.write_str(
                "everything that feeds it is idle; .advance_on_idle() would let event time go on with the clock",
            ),
            WaitingFor::Ended => f.write_str("everything that feeds it has ended"),
        }
    }
}

/// Says what a partition that holds event time is at.
fn about(partition: &PartitionReport, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let watermark = partition.watermark;
    if partition.state == PartitionState::Paused {
        return write!(f, "is paused at {watermark}, because it is ahead of the others by the largest drift");
    }
    match partition.silent_for {
        Some(silent) if silent < SILENT_FROM && watermark == Timestamp::MIN => {
            return f.write_str("gives records, but there is no watermark yet");
        }
        Some(silent) if silent < SILENT_FROM => {
            return write!(
                f,
                "is the furthest behind, at {watermark}; its last record came {} ago",
                seconds(silent)
            );
        }
        Some(silent) => write!(f, "has been silent for {}", seconds(silent))?,
        None => write!(f, "has given no record for {}", seconds(partition.stands_for))?,
    }
    match partition.idle_after {
        None => f.write_str("; .with_idleness(..) would let the others go on"),
        Some(after) => write!(f, "; after {} the others will go on without it", seconds(after)),
    }
}

fn seconds(length: Duration) -> String {
    format!("{:.1} s", length.as_secs_f64())
}

#[cfg(test)]
mod tests;

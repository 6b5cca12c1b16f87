//! What a job promises from end to end: for each path from a source to a sink, the least that a part of it promises
//! ([Flink: Fault Tolerance Guarantees](https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/datastream/guarantees/)).

use std::collections::BTreeSet;
use std::fmt;

use super::{OpNode, Plan, Role};
use crate::checkpoint::CheckpointMode;
use crate::operator::OpId;
use crate::sink::Delivery;
use crate::source::Replay;

/// How often what a source gave shows in a sink, after failures too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// Once or not at all: what was on its way when the job failed is lost.
    AtMostOnce,
    /// Once or more often.
    AtLeastOnce,
    /// Once.
    ExactlyOnce,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guarantee::AtMostOnce => "at most once",
            Guarantee::AtLeastOnce => "at least once",
            Guarantee::ExactlyOnce => "exactly once",
        })
    }
}

/// What is promised from a source to a sink, and what keeps it from being more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The source.
    pub source: String,
    /// The sink.
    pub sink: String,
    /// What is promised.
    pub guarantee: Guarantee,
    /// Why no more is, in a sentence each.
    pub because: Vec<String>,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Path { source, sink, guarantee, because } = self;
        write!(f, "`{source}` to `{sink}`: {guarantee}")?;
        if because.is_empty() { Ok(()) } else { write!(f, ", because {}", because.join("; ")) }
    }
}

impl Plan {
    /// What is promised on each path from a source to a sink. `checkpoints`: how they are taken, if they are.
    pub fn paths(&self, checkpoints: Option<CheckpointMode>) -> Vec<Path> {
        let sources = self.sources().flat_map(|source| {
            let sinks = self.sinks_behind(source).into_iter();
            sinks.map(move |sink| self.path(source, sink, checkpoints))
        });
        sources.collect()
    }

    /// Whether results are exactly once from end to end, and if not, why: `yes`, or `no, because ...`.
    pub fn guarantee(&self, checkpoints: Option<CheckpointMode>) -> String {
        let mut reasons = Vec::new();
        for reason in self.paths(checkpoints).into_iter().flat_map(|path| path.because) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        if reasons.is_empty() { "yes".to_owned() } else { format!("no, because {}", reasons.join("; ")) }
    }

    fn path(&self, source: OpId, sink: OpId, checkpoints: Option<CheckpointMode>) -> Path {
        let (from, to) = (&self.ops[usize::from(source.0)], &self.ops[usize::from(sink.0)]);
        let parts = [of_checkpoints(checkpoints), of_source(from), of_sink(to)];
        let guarantee = parts.iter().flatten().map(|(guarantee, _)| *guarantee).min();
        Path {
            source: from.name.clone(),
            sink: to.name.clone(),
            guarantee: guarantee.unwrap_or(Guarantee::ExactlyOnce),
            because: parts.into_iter().flatten().map(|(_, because)| because).collect(),
        }
    }

    /// The sinks that records of a source may come to, in the order of the plan.
    fn sinks_behind(&self, source: OpId) -> BTreeSet<OpId> {
        let (mut seen, mut next) = (BTreeSet::from([source]), vec![source]);
        while let Some(op) = next.pop() {
            let in_chains = self.chains.iter().flat_map(|chain| chain.ops.windows(2));
            let in_chains = in_chains.filter(|pair| pair[0] == op).map(|pair| pair[1]);
            let exchanges = self.exchanges.iter().filter(|exchange| exchange.from == op);
            let behind = in_chains.chain(exchanges.filter_map(|exchange| Some(exchange.to?.0)));
            next.extend(behind.filter(|behind| seen.insert(*behind)));
        }
        seen.retain(|op| matches!(self.ops[usize::from(op.0)].role, Role::Sink(_)));
        seen
    }
}

fn of_checkpoints(checkpoints: Option<CheckpointMode>) -> Option<(Guarantee, String)> {
    match checkpoints {
        // All is read again from the beginning.
        None => Some((Guarantee::AtLeastOnce, "checkpoints are off (no state directory)".to_owned())),
        Some(mode) if !mode.is_exactly_once() => {
            let because = "checkpoints may count records twice (CheckpointMode::AtLeastOnce)".to_owned();
            Some((Guarantee::AtLeastOnce, because))
        }
        Some(_) => None,
    }
}

fn of_source(source: &OpNode) -> Option<(Guarantee, String)> {
    match &source.role {
        Role::Source(Replay::No { because }) => {
            Some((Guarantee::AtMostOnce, format!("source `{}`: {because}", source.name)))
        }
        _ => None,
    }
}

fn of_sink(sink: &OpNode) -> Option<(Guarantee, String)> {
    let name = &sink.name;
    let because = match sink.role {
        Role::Sink(Delivery::Plain) => {
            format!("sink `{name}` makes output visible at once and repeats it after a failure")
        }
        Role::Sink(Delivery::Durable) => {
            format!("sink `{name}` repeats the output of a checkpoint after a failure in the middle of it")
        }
        _ => return None,
    };
    Some((Guarantee::AtLeastOnce, because))
}

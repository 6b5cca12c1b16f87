//! What a plan says of itself, for people to read.

mod cuts;
mod memory;

pub(crate) use memory::Memory;

use std::fmt;
use std::fmt::Write as _;
use std::ops::Deref;

use super::drawing::draw;
use super::guarantee::Path;
use super::{ExchangeId, OpNode, Plan, Role};
use crate::checkpoint::CheckpointMode;
use crate::sink::Delivery;
use crate::source::Replay;

/// What a job is, before it runs: its operators, the chains that they make, and the shards that these run on. `Display` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    text: String,
    chains: String,
    checkpoints: String,
    paths: Vec<Path>,
    drawing: String,
}

/// What of a job's settings shows in its explanation.
pub(crate) struct Settings<'a> {
    pub(crate) job: &'a str,
    pub(crate) checkpoints: Option<CheckpointMode>,
    pub(crate) memory: Memory,
}

impl Explanation {
    pub(crate) fn of(plan: &Plan, settings: &Settings<'_>) -> Explanation {
        Explanation {
            text: text(plan, settings),
            chains: plan.explain(),
            checkpoints: plan.explain_checkpoints(settings.checkpoints),
            paths: plan.paths(settings.checkpoints),
            drawing: draw(plan, settings.job),
        }
    }

    /// The chains alone: each with its operators, its exchanges, and what is to be known of an operator.
    pub fn chains(&self) -> &str {
        &self.chains
    }

    /// What is promised on each path from a source to a sink, and what keeps it from being more.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// How checkpoints are taken: for each chain, when it is cut, and how many of its inputs have to say that they have been (each input
    /// channel of an instance says it once; in Flink it is a barrier that does).
    pub fn checkpoints(&self) -> &str {
        &self.checkpoints
    }

    /// A drawing of the chains, as an SVG file.
    pub fn drawing(&self) -> &str {
        &self.drawing
    }
}

impl Deref for Explanation {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn text(plan: &Plan, settings: &Settings<'_>) -> String {
    let shards = plan.shards.count;
    let mut text =
        format!("job {}: {}, a tick is {}\n", settings.job, counted(shards.into(), "shard"), plan.tick);
    let _ = writeln!(text, "mode: {}", plan.mode.text());
    let _ = writeln!(text, "exactly once end to end: {}", plan.guarantee(settings.checkpoints));
    for path in plan.paths(settings.checkpoints) {
        let _ = writeln!(text, "  {} -> {}: {}", path.source, path.sink, path.guarantee);
    }
    text.push_str("\noperators\n");
    let width = plan.ops.iter().map(|op| op.name.chars().count()).max().unwrap_or(0);
    for (number, op) in plan.ops.iter().enumerate() {
        let line = format!("  {number:>2}  {:width$}  {}", op.name, kind(op));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push_str("\nchains\n");
    for line in plan.explain().lines() {
        let _ = writeln!(text, "  {line}");
    }
    if settings.checkpoints.is_some() && !plan.mode.batch {
        text.push_str("\nin checkpoints\n");
        for (op, holds) in implicit_state(plan) {
            let line = format!("  {:width$}  {}", op.name, holds.join(", "));
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text.push_str("\nshards\n");
    for shard in (0..shards).map(crate::element::ShardId) {
        let numbered = plan.chains.iter().enumerate().filter(|(_, chain)| chain.on.contains(shard));
        let chains: Vec<String> = numbered.map(|(number, _)| number.to_string()).collect();
        let _ = writeln!(text, "  shard {shard}: chains {}", chains.join(", "));
    }
    let rings: usize = (0..plan.exchanges.len()).map(|exchange| rings(plan, ExchangeId(exchange))).sum();
    if rings > 0 {
        let each = settings.memory.ring_bytes / 1024;
        let _ = writeln!(text, "  {} of {each} KiB between them", counted(rings, "ring"));
    }
    text.push_str("\nmemory\n");
    text.push_str(&settings.memory.text(rings));
    text
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// What an operator is.
fn kind(op: &OpNode) -> &'static str {
    match &op.role {
        Role::Source(Replay::Yes) => "source, gives its records again after a failure",
        Role::Source(Replay::No { .. }) => "source, gives its records once",
        Role::Sink(Delivery::Plain) => "sink, shows its output at once",
        Role::Sink(Delivery::Durable) => "sink, shows its output once it is durable",
        Role::Sink(Delivery::Idempotent) => "sink, takes output again without harm",
        Role::Sink(Delivery::Transactional) => "sink, shows its output with each checkpoint",
        Role::Inner if op.stateful => "keeps state",
        Role::Inner => "",
    }
}

/// What checkpoints hold of each operator that has something in them, whether the program says so or not.
fn implicit_state(plan: &Plan) -> Vec<(&OpNode, Vec<&'static str>)> {
    let mut all = Vec::new();
    for chain in &plan.chains {
        for (place, op) in chain.ops.iter().map(|op| &plan.ops[usize::from(op.0)]).enumerate() {
            let mut holds = Vec::new();
            match &op.role {
                Role::Source(_) => holds.extend(["offsets", "event time of partitions"]),
                _ if place == 0 => holds.extend(["records on their way to it", "event time of inputs"]),
                _ => {}
            }
            if op.stateful && matches!(op.role, Role::Inner) {
                holds.push("state");
            }
            if matches!(op.role, Role::Sink(Delivery::Transactional)) {
                holds.push("output that is not committed");
            }
            if !holds.is_empty() {
                all.push((op, holds));
            }
        }
    }
    all
}

/// How many rings an exchange takes: one for each pair of different shards.
fn rings(plan: &Plan, exchange: ExchangeId) -> usize {
    let producers = plan.producer_shards(exchange).shards();
    let pairs = producers.flat_map(|from| plan.lanes_from(exchange, from).shards().map(move |to| (from, to)));
    pairs.filter(|(from, to)| from != to).count()
}

impl Plan {
    /// The chains as text: each with its operators, each exchange with its partitioner, and what is to be
    /// known of an operator on a line of its own.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        if let Some(origin) = &self.shards.origin {
            let _ = writeln!(text, "shards: {}, from {origin}", self.shards.count);
        }
        for (number, chain) in self.chains.iter().enumerate() {
            let names: Vec<&str> = chain.ops.iter().map(|op| self.name(*op)).collect();
            let _ = write!(text, "chain {number}: {}", names.join(" -> "));
            if let Some(exchange) = chain.output {
                self.explain_exchange(&mut text, exchange);
            }
            text.push('\n');
            for side in &chain.sides {
                let _ = write!(text, "  beside, {}", self.name(self.exchanges[side.0].from));
                self.explain_exchange(&mut text, *side);
                text.push('\n');
            }
            if let Some(placed) = &chain.placed {
                let _ = writeln!(text, "  {placed}");
            }
            self.explain_partitions(&mut text, chain);
            let notes = chain.ops.iter().map(|op| &self.ops[usize::from(op.0)]);
            for (op, note) in notes.filter_map(|op| op.note.as_ref().map(|note| (op, note))) {
                let _ = writeln!(text, "  {}: {note}", op.name);
            }
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        text
    }

    fn explain_exchange(&self, text: &mut String, exchange: ExchangeId) {
        let node = &self.exchanges[exchange.0];
        let to = node.to.map_or("?", |(op, _)| self.name(op));
        let _ = write!(text, " --{}--> {to}", self.label(exchange));
    }

    /// How an exchange deals out its records, in a word.
    pub(super) fn label(&self, exchange: ExchangeId) -> String {
        let funnel = if self.funnels.contains(&exchange) { ", ONE SHARD" } else { "" };
        let sorted = if self.sorts(exchange) { ", SORTED" } else { "" };
        format!("{}{funnel}{sorted}", self.exchanges[exchange.0].partitioner.as_str())
    }
}

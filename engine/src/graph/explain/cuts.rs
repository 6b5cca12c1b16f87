//! What a plan says of its checkpoints: how many of its inputs each chain has to hear from (Flink's barriers).

use std::fmt::Write as _;

use super::super::{ChainNode, ExchangeId, Plan};
use super::counted;
use crate::checkpoint::CheckpointMode;

impl Plan {
    /// How checkpoints are taken, chain by chain.
    pub(super) fn explain_checkpoints(&self, mode: Option<CheckpointMode>) -> String {
        let Some(mode) = mode else {
            return "checkpoints: off, because there is no state directory\n".to_owned();
        };
        let mut text = format!("checkpoints: {mode}\n");
        for (number, chain) in self.chains.iter().enumerate() {
            let on = counted(chain.on.count.into(), "shard");
            let _ = writeln!(text, "  chain {number} on {on}: {}", self.cut_of(chain, mode));
        }
        text
    }

    /// When a chain is cut.
    fn cut_of(&self, chain: &ChainNode, mode: CheckpointMode) -> String {
        let inputs: Vec<String> = self.inputs_of(chain).map(|exchange| self.marks(exchange, chain)).collect();
        if inputs.is_empty() {
            return "cut when its shard hears of the checkpoint".to_owned();
        }
        let inputs = inputs.join(" and ");
        match mode {
            CheckpointMode::Unaligned => {
                format!("each cut with its shard, with what is on its way up to the marks of {inputs}")
            }
            CheckpointMode::Aligned => format!("each cut behind the marks of {inputs}, which wait"),
            CheckpointMode::AlignedFor(time) => {
                format!("each cut behind the marks of {inputs}, which wait, for {time:?} at the most")
            }
            CheckpointMode::AtLeastOnce => {
                format!("each cut behind the marks of {inputs}, which do not wait")
            }
        }
    }

    fn inputs_of(&self, chain: &ChainNode) -> impl Iterator<Item = ExchangeId> + use<'_> {
        let head = chain.ops[0];
        let ends_here = move |(number, node): (usize, &super::super::ExchangeNode)| {
            node.to.filter(|(op, _)| *op == head).map(|_| ExchangeId(number))
        };
        self.exchanges.iter().enumerate().filter_map(ends_here)
    }

    /// The lanes of an exchange that an instance of its consumer reads: a mark comes on each.
    fn marks(&self, exchange: ExchangeId, chain: &ChainNode) -> String {
        let mut counts: Vec<u16> =
            chain.on.shards().map(|shard| self.lanes_to(exchange, shard).count).collect();
        counts.sort_unstable();
        counts.dedup();
        let from = self.name(self.exchanges[exchange.0].from);
        let counts: Vec<String> = counts.iter().map(u16::to_string).collect();
        format!("{} of `{from}`", counts.join(" or "))
    }
}

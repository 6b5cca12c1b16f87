//! Which keys a running job sees most.

use std::fmt;

use crate::element::ShardId;
use crate::graph::Plan;
use crate::operator::OpId;
use crate::operator::keyed::SeenKeys;

/// How many keys of an operator are told.
const KEYS_TOLD: usize = 10;

/// The most frequent keys of each keyed operator, of late. `Display` prints a table.
///
/// One record of each batch is looked at, so that shares are estimates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HotKeys {
    /// Operator by operator, in the order in which records pass; of each the most frequent key first.
    pub keys: Vec<HotKey>,
}

/// A frequent key of an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct HotKey {
    /// The operator.
    pub operator: String,
    /// The key, for people to read.
    pub key: String,
    /// The shard that it lives on.
    pub shard: ShardId,
    /// Its share of the operator's records over all shards, from 0 to 1.
    pub share: f64,
    /// By how much that may be too large, because the count was taken over from another key.
    pub share_error: f64,
    /// How many of its records came per second.
    pub per_second: f64,
}

impl HotKeys {
    /// What the shards, in their order, say of operators.
    pub(super) fn of(plan: &Plan, shards: &[Vec<(OpId, SeenKeys)>]) -> HotKeys {
        let mut keys = Vec::new();
        for chain in &plan.chains {
            let of_head = || {
                let numbered = (0..).map(ShardId).zip(shards);
                numbered.flat_map(|(shard, seen)| seen.iter().map(move |(op, seen)| (shard, op, seen)))
            };
            let of_head = || of_head().filter(|(_, op, seen)| **op == chain.ops[0] && seen.looks > 0);
            let records: u64 = of_head().map(|(_, _, seen)| seen.all_records).sum();
            let mut all: Vec<HotKey> = of_head()
                .flat_map(|(shard, op, seen)| {
                    let records_per_look = seen.records as f64 / f64::from(seen.looks);
                    let of_shard = seen.all_records as f64 / records as f64;
                    seen.keys.iter().map(move |key| {
                        let share = |looks: u32| f64::from(looks) / f64::from(seen.looks) * of_shard;
                        let seconds = seen.over.as_secs_f64().max(f64::MIN_POSITIVE);
                        HotKey {
                            operator: plan.name(*op).to_owned(),
                            key: key.key.clone(),
                            shard,
                            share: share(key.count),
                            share_error: share(key.error),
                            per_second: f64::from(key.count) * records_per_look / seconds,
                        }
                    })
                })
                .collect();
            all.sort_by(|a, b| b.share.total_cmp(&a.share));
            keys.extend(all.into_iter().take(KEYS_TOLD));
        }
        HotKeys { keys }
    }

    /// Those of one operator, the most frequent first.
    pub fn of_operator(&self, operator: &str) -> impl Iterator<Item = &HotKey> {
        self.keys.iter().filter(move |key| key.operator == operator)
    }
}

impl fmt::Display for HotKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for HotKey { operator, key, shard, share, share_error, per_second } in &self.keys {
            let (most, least) = (share * 100.0, (share - share_error).max(0.0) * 100.0);
            writeln!(
                f,
                "{operator}: key {key} on shard {shard}: {least:.1} to {most:.1} % of records, {per_second:.0}/s"
            )?;
        }
        Ok(())
    }
}

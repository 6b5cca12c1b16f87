//! How much a state may hold: what a program says.

/// How much a state may hold, in keys, in bytes, or both, and what becomes of what is too much. Unless said otherwise the job fails, and says
/// how much there was: a state that is larger than was planned for is a mistake to be found.
///
/// A budget is that of the whole job. Each shard that the function runs on may hold the part of it that is its part of the keys, so that shards
/// need not ask one another: one that happens to have more keys than others comes to its limit first.
///
/// Bytes are those of the pages that the state's tables lie in. A new key is let in as long as they are fewer than that; it may bring a few
/// pages more.
///
/// ```
/// use millstream_engine::operator::StateBudget;
///
/// let planned = StateBudget::of_keys(1_000_000).and_bytes(256 << 20);
/// let best_effort = StateBudget::of_keys(1_000_000).sheds_new_keys();
/// # let _ = (planned, best_effort);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StateBudget {
    pub(super) keys: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) sheds: bool,
}

impl StateBudget {
    /// So many keys, on all shards together.
    pub fn of_keys(keys: u64) -> StateBudget {
        StateBudget { keys: Some(keys), bytes: None, sheds: false }
    }

    /// So many bytes, on all shards together.
    pub fn of_bytes(bytes: u64) -> StateBudget {
        StateBudget { keys: None, bytes: Some(bytes), sheds: false }
    }

    /// No more than so many keys, either.
    pub fn and_keys(self, keys: u64) -> StateBudget {
        StateBudget { keys: Some(keys), ..self }
    }

    /// No more than so many bytes, either.
    pub fn and_bytes(self, bytes: u64) -> StateBudget {
        StateBudget { bytes: Some(bytes), ..self }
    }

    /// Where there is no room, nothing is kept for keys that are new, and the job goes on: writing does nothing, and what is left out is
    /// counted as [`shed_writes`](crate::runtime::metrics::ShardMetrics::shed_writes). Keys that are there stay, and may go on growing.
    pub fn sheds_new_keys(self) -> StateBudget {
        StateBudget { sheds: true, ..self }
    }
}

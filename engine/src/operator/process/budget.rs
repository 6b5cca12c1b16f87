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
/// let first_come = StateBudget::of_keys(1_000_000).sheds_new_keys();
/// let cache = StateBudget::of_keys(1_000_000).evicts_unused_keys();
/// # let _ = (planned, first_come, cache);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StateBudget {
    pub(super) keys: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) policy: Policy,
}

/// What becomes of what is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Fail,
    Shed,
    Evict,
}

impl StateBudget {
    /// So many keys, on all shards together.
    pub fn of_keys(keys: u64) -> StateBudget {
        StateBudget { keys: Some(keys), bytes: None, policy: Policy::Fail }
    }

    /// So many bytes, on all shards together.
    pub fn of_bytes(bytes: u64) -> StateBudget {
        StateBudget { keys: None, bytes: Some(bytes), policy: Policy::Fail }
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
        StateBudget { policy: Policy::Shed, ..self }
    }

    /// Where there is no room, all that is kept for a key goes that has not been written or read for a long time, and is counted as
    /// [`evicted_keys`](crate::runtime::metrics::ShardMetrics::evicted_keys).
    ///
    /// Which one is found by samples: of a page of keys, the eighth that was used longest ago. When a key was last used is kept beside the
    /// state, by processing time, for which each write and each read costs a little more.
    ///
    /// Over its bytes, a state gives up two keys for each write until enough pages are free. A page comes free when most of its keys have gone,
    /// so up to two thirds of the keys go before the state grows again: a budget of keys keeps more of them.
    pub fn evicts_unused_keys(self) -> StateBudget {
        StateBudget { policy: Policy::Evict, ..self }
    }
}

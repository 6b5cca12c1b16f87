//! What can go wrong with state.

use super::page::PageNo;

/// An operation on state failed. The job has to go back to its last checkpoint: the operation may have been carried out in part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The job's memory budget is used up.
    #[error(
        "operator `{operator}`, state `{state}`: the job's memory budget of {limit} bytes is used up ({used} bytes in use); {remedy}"
    )]
    BudgetExceeded {
        /// The operator that asked for more.
        operator: Box<str>,
        /// The state it asked for.
        state: Box<str>,
        /// The budget in bytes.
        limit: u64,
        /// What was in use, in bytes.
        used: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// A state holds as much as the program lets it hold.
    #[error(
        "operator `{operator}`, state `{state}`: its budget of {limit} on this shard is used up ({keys} keys, {bytes} bytes); clear what is \
         not needed any more, give the state a time to live or a larger budget, or let it shed new keys or evict unused ones"
    )]
    StateBudgetExceeded {
        /// The operator whose state it is.
        operator: Box<str>,
        /// The state.
        state: Box<str>,
        /// What it may hold on this shard.
        limit: Box<str>,
        /// How many keys it holds there.
        keys: u64,
        /// How many bytes its pages take there.
        bytes: u64,
    },
    /// The arena's reservation of address space is used up.
    #[error(
        "operator `{operator}`, state `{state}`: all {pages} pages that were reserved for its chain on this shard are in use; \
         reserve more pages or run with more shards"
    )]
    ReservationFull {
        /// The operator that asked for more.
        operator: Box<str>,
        /// The state it asked for.
        state: Box<str>,
        /// How many pages were reserved.
        pages: u32,
    },
    /// The operating system refused the reservation.
    #[error(
        "operator `{operator}`: cannot reserve {bytes} bytes of address space: {message}; lift the limit of the process \
         (ulimit -v), or run with fewer shards"
    )]
    Reserve {
        /// The chain's first operator.
        operator: Box<str>,
        /// How much was asked for.
        bytes: u64,
        /// The operating system's words.
        message: Box<str>,
    },
    /// An entry of a savepoint could not be taken over.
    #[error("operator `{operator}`, state `{state}`: cannot take it over from the savepoint: {message}")]
    Import {
        /// The operator whose state it is.
        operator: Box<str>,
        /// The state.
        state: Box<str>,
        /// What went wrong.
        message: Box<str>,
    },
    /// A page of a checkpoint could not be read.
    #[error("page {page} cannot be read: {message}")]
    Load {
        /// Which page.
        page: PageNo,
        /// Where it lies and what went wrong, in the loader's words.
        message: Box<str>,
    },
    /// A page that memory has no room for cannot be written.
    #[error(
        "operator `{operator}`, state `{state}`: cannot write {bytes} bytes of state that memory has no room for to {file}: {message}; make room \
         there, name another directory (Job::spill_dir), or raise Job::memory_limit"
    )]
    SpillWrite {
        /// The operator whose page it is.
        operator: Box<str>,
        /// The state it belongs to.
        state: Box<str>,
        /// The file.
        file: Box<str>,
        /// How much was to be written.
        bytes: u64,
        /// The disk's words.
        message: Box<str>,
    },
    /// A page that memory had no room for does not come back.
    #[error(
        "operator `{operator}`, state `{state}`: page {page} cannot be read back from {file} at byte {offset}: {message}; look at the disk, or \
         name a directory on another one (Job::spill_dir)"
    )]
    SpillRead {
        /// The operator whose page it is.
        operator: Box<str>,
        /// The state it belongs to.
        state: Box<str>,
        /// Which page.
        page: PageNo,
        /// The file.
        file: Box<str>,
        /// Where in it.
        offset: u64,
        /// What went wrong: the disk's words, or that the checksum is wrong.
        message: Box<str>,
    },
    /// What was restored is not what this table wrote: damage, or a checkpoint of another program.
    #[error(
        "operator `{operator}`, state `{state}`: page {page} is damaged: {what}; go back to an older checkpoint"
    )]
    Corrupt {
        /// The operator whose page it is.
        operator: Box<str>,
        /// The state it belongs to.
        state: Box<str>,
        /// Which page.
        page: PageNo,
        /// What is wrong with it.
        what: &'static str,
    },
}

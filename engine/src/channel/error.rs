//! What can go wrong on a channel.

use crate::element::Epoch;

/// A channel that cannot take what it was given, or that was used against its protocol.
///
/// The channel knows neither operator nor record: whoever pushes adds those to the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// One record (with its key and frame header) takes more than half of a ring.
    #[error(
        "a record takes {bytes} bytes in a frame, but a frame may take {limit} (half of its ring): make the record smaller or \
         raise `{setting}` to at least {}",
        bytes.saturating_mul(2).next_power_of_two()
    )]
    RecordTooLarge {
        /// The length of the frame that holds only this record.
        bytes: u64,
        /// The longest frame.
        limit: u64,
        /// The setting that decides the limit.
        setting: &'static str,
    },
    /// The job asks for rings of an impossible size.
    #[error("`{setting}` is {bytes}, but must be between {min} and {max} bytes")]
    RingSize {
        /// What was asked for.
        bytes: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
        /// The setting.
        setting: &'static str,
    },
    /// Records wait for room on full rings, and there is no memory left to let them wait in.
    #[error(
        "{bytes} bytes have to wait for a full ring, but {used} of {limit} bytes are taken by what waits already: the operator makes \
         far more output than input, or a consumer does not keep up; raise `{setting}`"
    )]
    OverflowBudget {
        /// What had to be added.
        bytes: u64,
        /// What the job's channels hold already.
        used: u64,
        /// What they may hold.
        limit: u64,
        /// The setting that decides the limit.
        setting: &'static str,
    },
    /// A shard switched epoch before a consumer had made its last switch and knew the position of it. A fault of the coordinator, which
    /// publishes an epoch only when every shard has all positions of the one before.
    #[error(
        "a shard switched to epoch {epoch} before a consumer of it was through with epoch {pending}: this is a fault of Millstream, \
         please report it"
    )]
    SwitchTooEarly {
        /// The new epoch.
        epoch: Epoch,
        /// The epoch whose position is still under way.
        pending: Epoch,
    },
    /// A switch to an epoch that is not later than the current one. A fault of the coordinator.
    #[error(
        "a shard in epoch {current} was to switch to epoch {epoch}: this is a fault of Millstream, please report it"
    )]
    SwitchBackwards {
        /// The epoch asked for.
        epoch: Epoch,
        /// The epoch in force.
        current: Epoch,
    },
    /// A consumer switched epoch while the in-flight records of the epoch before were neither taken nor given up. A fault of the
    /// coordinator.
    #[error(
        "a shard switched to epoch {epoch} while in-flight records of epoch {current} were still being saved: this is a fault of \
         Millstream, please report it"
    )]
    CaptureUnfinished {
        /// The epoch asked for.
        epoch: Epoch,
        /// The epoch in force.
        current: Epoch,
    },
}

/// Saved in-flight bytes that are not a sequence of frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("in-flight records, frame at byte {at_byte}: {fault}; the checkpoint is damaged, use an older one")]
pub struct FrameError {
    /// Where the frame starts in the bytes given.
    pub at_byte: u64,
    /// What is wrong with it.
    pub fault: FrameFault,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// It ends after the bytes do.
    #[error("it takes {needed} bytes, {left} are left")]
    Truncated {
        /// Its length, as far as known.
        needed: u64,
        /// What is there.
        left: u64,
    },
    /// Its first byte names no kind of frame that can be saved.
    #[error("there is no kind {0}")]
    Kind(u8),
    /// A field of the header holds what no writer puts there.
    #[error("its header has an impossible {0}")]
    Header(&'static str),
    /// The columns that its header announces do not fill its length exactly.
    #[error("its columns do not fill its length")]
    Columns,
    /// The ends of its keys or records do not ascend as they must.
    #[error("the end of {column} {index} lies where it cannot")]
    Ends {
        /// `key` or `record`.
        column: &'static str,
        /// Which.
        index: usize,
    },
    /// It is a sound frame of other records or keys than this channel's.
    #[error("its records or keys have another shape than this exchange's")]
    Shape,
}

//! How a checkpoint is taken.

use std::fmt;
use std::time::Duration;

/// How checkpoints are taken: when a chain's part of one is cut, and what is cut with it
/// ([Flink: Checkpointing](https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/fault-tolerance/checkpointing/)).
/// All of them are consistent; what they cost differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckpointMode {
    /// All chains of a shard are cut at once, as soon as the shard hears of the checkpoint. Records on their way between shards are part
    /// of it. How long it takes does not depend on how full the rings are.
    #[default]
    Unaligned,
    /// A chain is cut when it has handled all that its inputs had given out before they were cut themselves; until then an input that
    /// has been cut waits. No records on their way are part of it. Behind a slow sink it takes as long as the sink takes for what waits.
    Aligned,
    /// [`CheckpointMode::Aligned`] for this long, then [`CheckpointMode::Unaligned`] for what is not cut yet. No time at all is
    /// [`CheckpointMode::Unaligned`].
    AlignedFor(Duration),
    /// As [`CheckpointMode::Aligned`], but no input waits: a chain goes on with what comes after the cut until it is cut itself. After a
    /// restart such records come again, so that some are counted twice. None is lost.
    AtLeastOnce,
}

impl CheckpointMode {
    /// Whether what is restored has counted each record once.
    pub fn is_exactly_once(self) -> bool {
        self != CheckpointMode::AtLeastOnce
    }

    /// In one word, for shards to read.
    pub(crate) fn to_word(self) -> u64 {
        match self {
            CheckpointMode::Unaligned => 0,
            CheckpointMode::Aligned => 1,
            CheckpointMode::AtLeastOnce => 2,
            CheckpointMode::AlignedFor(time) => {
                u64::try_from(time.as_nanos()).map_or(u64::MAX, |nanos| nanos.saturating_add(3))
            }
        }
    }

    /// What a word says.
    pub(crate) fn of_word(word: u64) -> CheckpointMode {
        match word {
            0 => CheckpointMode::Unaligned,
            1 => CheckpointMode::Aligned,
            2 => CheckpointMode::AtLeastOnce,
            nanos => CheckpointMode::AlignedFor(Duration::from_nanos(nanos - 3)),
        }
    }
}

impl fmt::Display for CheckpointMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointMode::Unaligned => f.write_str("unaligned"),
            CheckpointMode::Aligned => f.write_str("aligned"),
            CheckpointMode::AlignedFor(time) => write!(f, "aligned for {time:?}, then unaligned"),
            CheckpointMode::AtLeastOnce => f.write_str("at least once"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_what_its_word_says() {
        let times = [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(3600)];
        let modes = [CheckpointMode::Unaligned, CheckpointMode::Aligned, CheckpointMode::AtLeastOnce];
        for mode in modes.into_iter().chain(times.map(CheckpointMode::AlignedFor)) {
            assert_eq!(CheckpointMode::of_word(mode.to_word()), mode);
        }
    }
}

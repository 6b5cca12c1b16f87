//! What becomes of the checkpoints of a job that is canceled.

use std::str::FromStr;

/// What becomes of the checkpoints of a job that is canceled. Those of one that failed, was stopped, or has finished stay in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckpointRetention {
    /// They stay, and a later run goes on from them.
    #[default]
    RetainOnCancellation,
    /// They go, with everything else in the state directory: a journal without its checkpoints would be read from where it was trimmed to.
    DeleteOnCancellation,
}

/// A text is no [`CheckpointRetention`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no retention: say RETAIN_ON_CANCELLATION or DELETE_ON_CANCELLATION")]
pub struct NoRetention(String);

impl FromStr for CheckpointRetention {
    type Err = NoRetention;

    /// Reads Flink's names, in letters of any case.
    fn from_str(text: &str) -> Result<Self, NoRetention> {
        match text.trim().to_ascii_uppercase().as_str() {
            "RETAIN_ON_CANCELLATION" => Ok(CheckpointRetention::RetainOnCancellation),
            // What has no external checkpoints in Flink has none after its end.
            "DELETE_ON_CANCELLATION" | "NO_EXTERNALIZED_CHECKPOINTS" => {
                Ok(CheckpointRetention::DeleteOnCancellation)
            }
            _ => Err(NoRetention(text.to_owned())),
        }
    }
}

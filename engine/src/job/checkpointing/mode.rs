//! The mode of checkpoints by Flink's keys: there it is two settings, a guarantee and whether barriers overtake records.

use std::str::FromStr;

use crate::checkpoint::CheckpointMode;
use crate::job::JobError;
use crate::job::given::Given;
use crate::params::{Length, Params};

const MODE: &str = "execution.checkpointing.mode";
const UNALIGNED: [&str; 2] =
    ["execution.checkpointing.unaligned", "execution.checkpointing.unaligned.enabled"];
const TIMEOUT: &str = "execution.checkpointing.aligned-checkpoint-timeout";

/// What Flink calls a checkpointing mode.
struct Guarantee {
    exactly_once: bool,
}

impl FromStr for Guarantee {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_uppercase().replace('-', "_").as_str() {
            "EXACTLY_ONCE" => Ok(Guarantee { exactly_once: true }),
            "AT_LEAST_ONCE" => Ok(Guarantee { exactly_once: false }),
            _ => Err("say EXACTLY_ONCE or AT_LEAST_ONCE".to_owned()),
        }
    }
}

/// What the parameters say, where the program says nothing. What says more counts before what says less.
pub(super) fn settle(mode: &mut Given<CheckpointMode>, params: &Params) -> Result<(), JobError> {
    const SETTING: &str = "checkpoint_mode";
    let mut by_params = Given::by_default(CheckpointMode::default());
    by_params.or_params(params, SETTING, &[MODE], |Guarantee { exactly_once }| match exactly_once {
        true => CheckpointMode::default(),
        false => CheckpointMode::AtLeastOnce,
    })?;
    if by_params.value.is_exactly_once() {
        let mut unaligned = Given::by_default(CheckpointMode::default());
        unaligned.or_params(params, SETTING, &UNALIGNED, |unaligned: bool| match unaligned {
            true => CheckpointMode::Unaligned,
            false => CheckpointMode::Aligned,
        })?;
        let mut aligned_for = Given::by_default(CheckpointMode::default());
        aligned_for
            .or_params(params, SETTING, &[TIMEOUT], |Length(time)| CheckpointMode::AlignedFor(time))?;
        // As in Flink, the timeout says something only where barriers may overtake records at all.
        if unaligned.value != CheckpointMode::Aligned && !aligned_for.is_default() {
            by_params = aligned_for;
        } else if !unaligned.is_default() {
            by_params = unaligned;
        }
    }
    if mode.is_default() {
        *mode = by_params;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn settled(args: &[&str]) -> Result<CheckpointMode, JobError> {
        let mut mode = Given::by_default(CheckpointMode::default());
        settle(&mut mode, &Params::from_args(args.iter().copied()).unwrap())?;
        Ok(mode.value)
    }

    #[test]
    fn cp_07_exactly_once_unless_told_otherwise() {
        assert_eq!(settled(&[]).unwrap(), CheckpointMode::Unaligned);
        assert_eq!(
            settled(&["-Dexecution.checkpointing.mode=EXACTLY_ONCE"]).unwrap(),
            CheckpointMode::Unaligned
        );
        let at_least_once = ["-Dexecution.checkpointing.mode=AT_LEAST_ONCE"];
        assert_eq!(settled(&at_least_once).unwrap(), CheckpointMode::AtLeastOnce);
        assert_eq!(settled(&["-Dexecution.checkpointing.unaligned=false"]).unwrap(), CheckpointMode::Aligned);
        let timeout = ["-Dexecution.checkpointing.aligned-checkpoint-timeout=5 ms"];
        assert_eq!(settled(&timeout).unwrap(), CheckpointMode::AlignedFor(Duration::from_millis(5)));
        assert!(settled(&["--execution.checkpointing.mode", "sometimes"]).is_err());
    }
}

//! How a job runs: record by record as they come, or stage by stage over all there is.

use std::fmt;
use std::str::FromStr;

use super::{BuildError, Plan, place};

/// How a job runs ([Flink: Execution Mode](https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/execution_mode/)).
/// The same program gives the same final result either way; in batch mode it gives nothing but that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuntimeMode {
    /// Each record is handled as it comes, and every change of a result is given out. Checkpoints are made.
    #[default]
    Streaming,
    /// All records of a key are brought together before the first of them is handled, key after key. Only final results are given out. All
    /// sources have to end by themselves.
    Batch,
    /// [`RuntimeMode::Batch`] where all sources end by themselves, else [`RuntimeMode::Streaming`].
    Automatic,
}

impl fmt::Display for RuntimeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuntimeMode::Streaming => "streaming",
            RuntimeMode::Batch => "batch",
            RuntimeMode::Automatic => "automatic",
        })
    }
}

/// No [`RuntimeMode`] is called this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no runtime mode `{0}`; say streaming, batch or automatic")]
pub struct NoSuchMode(String);

impl FromStr for RuntimeMode {
    type Err = NoSuchMode;

    /// Reads a mode, in letters of any case.
    fn from_str(text: &str) -> Result<Self, NoSuchMode> {
        let all = [RuntimeMode::Streaming, RuntimeMode::Batch, RuntimeMode::Automatic];
        let named = all.into_iter().find(|mode| mode.to_string().eq_ignore_ascii_case(text.trim()));
        named.ok_or_else(|| NoSuchMode(text.to_owned()))
    }
}

/// What a job's mode has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mode {
    /// What was asked for, and who asked; none where nobody did.
    pub(crate) asked: RuntimeMode,
    pub(crate) origin: Option<&'static str>,
    pub(crate) batch: bool,
    /// Why, where that follows from the program.
    because: Option<String>,
}

impl Mode {
    pub(super) fn asked(asked: RuntimeMode, origin: Option<&'static str>) -> Mode {
        Mode { asked, origin, ..Mode::default() }
    }

    /// The mode that a plan runs in. It is asked for in the plan.
    pub(super) fn of(plan: &Plan) -> Result<Mode, BuildError> {
        let mode = &plan.mode;
        let endless = plan.ops.iter().find(|op| op.endless);
        let (batch, because) = match (mode.asked, endless) {
            (RuntimeMode::Streaming, _) => (false, None),
            (RuntimeMode::Batch, Some(source)) => {
                return Err(BuildError::Endless { name: source.name.clone(), place: place(source.built_at) });
            }
            (RuntimeMode::Batch, None) if plan.has_loops => return Err(BuildError::BatchOfLoops),
            (RuntimeMode::Batch, None) => (true, None),
            (RuntimeMode::Automatic, Some(source)) => {
                (false, Some(format!("source `{}` does not end by itself", source.name)))
            }
            (RuntimeMode::Automatic, None) if plan.has_loops => {
                (false, Some("records go round in an iteration".to_owned()))
            }
            (RuntimeMode::Automatic, None) => (true, Some("all sources end by themselves".to_owned())),
        };
        Ok(Mode { batch, because, ..mode.clone() })
    }

    /// What [`Plan::explain`] says of it.
    pub(super) fn text(&self) -> String {
        let runs_in = if self.batch { RuntimeMode::Batch } else { RuntimeMode::Streaming };
        let origin = self.origin.unwrap_or("by default");
        match &self.because {
            Some(because) => format!("{runs_in}, because {because} ({}: {origin})", self.asked),
            None => format!("{runs_in}, {origin}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written() {
        for mode in [RuntimeMode::Streaming, RuntimeMode::Batch, RuntimeMode::Automatic] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
            assert_eq!(mode.to_string().to_uppercase().parse(), Ok(mode));
        }
        let error = "bath".parse::<RuntimeMode>().unwrap_err().to_string();
        assert_eq!(error, "there is no runtime mode `bath`; say streaming, batch or automatic");
    }
}

//! What is done where records come faster than the job takes them.

use std::path::PathBuf;

/// What an [`Ingress`](super::Ingress) does with a record for which there is no room. Every loss is counted in its
/// [`Ledger`](super::Ledger).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Overload {
    /// The caller waits: backpressure.
    #[default]
    Block,
    /// Records go to a file, and from there to the job, in order; where the file has come to its limit, the caller waits. The file is made
    /// when it is needed and is gone with the process: what lies in it is as safe as what lies in memory.
    Spill {
        /// The directory that the file is made in.
        dir: PathBuf,
        /// The most bytes that may lie in it.
        max_bytes: u64,
    },
    /// The record is dropped.
    DropNewest,
    /// The record that has waited longest is dropped, of all handles together.
    DropOldest,
    /// While at least half the room is taken, each record is let in with this probability, from 0 to 1; where all of it is, none is.
    Sample(f64),
    /// The record is given back to the caller, who can answer its own peer accordingly (HTTP's 429, say).
    Reject,
}

impl Overload {
    /// What is wrong with it, if anything is.
    pub(super) fn check(&self, journaled: bool) -> Result<(), String> {
        match self {
            Overload::Sample(share) if !(0.0..=1.0).contains(share) => {
                Err(format!("a share of {share} is none; give one from 0 to 1"))
            }
            Overload::Spill { max_bytes: 0, .. } => {
                Err("a file of 0 bytes takes no record; raise max_bytes".to_owned())
            }
            Overload::Spill { .. } if journaled => Err(
                "it spills to a file although its journal holds every record anyway; leave one of the two out".to_owned(),
            ),
            Overload::DropOldest if journaled => Err(
                "it drops records that its journal would give again after a failure; choose DropNewest, or leave the journal out"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

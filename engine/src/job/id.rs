//! Which run of which job.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A number that tells the runs of jobs apart: drawn anew for each. `Display` shows it as Flink shows a `JobID`, in 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(u128);

impl JobId {
    /// One that nobody can guess, from the operating system's randomness.
    pub(super) fn random() -> JobId {
        JobId(u128::from(random()) << 64 | u128::from(random()))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A number nobody can guess.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

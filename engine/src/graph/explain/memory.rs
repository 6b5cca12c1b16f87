//! What memory a job will take, as far as its settings say.

use std::fmt::Write as _;

use crate::runtime::metrics::Bytes;

/// The settings that bound a job's memory.
pub(crate) struct Memory {
    /// For state; none where there is no limit.
    pub(crate) limit: Option<u64>,
    /// Whether state beyond that lies on disk.
    pub(crate) spills: bool,
    pub(crate) ring_bytes: usize,
    pub(crate) overflow_bytes: u64,
    /// In batch mode.
    pub(crate) sort_bytes: Option<u64>,
}

impl Memory {
    /// A line for each part, for a job with so many rings.
    pub(super) fn text(&self, rings: usize) -> String {
        let mut text = String::new();
        let mut line = |part: &str, what: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {part:8}  {what}");
        };
        match (self.limit, self.spills) {
            (None, _) => line("state", "as much as it needs; Job::memory_limit sets a limit".to_owned()),
            (Some(limit), false) => line("state", format!("{} at most, then the job fails", Bytes(limit))),
            (Some(limit), true) => {
                line("state", format!("{} at most, what is more lies on disk", Bytes(limit)));
            }
        }
        if let Some(bytes) = self.sort_bytes {
            let part = if self.limit.is_some() { ", a part of that" } else { "" };
            line("sorting", format!("{} at most{part}, what is more lies on disk", Bytes(bytes)));
        }
        if rings > 0 {
            line("rings", format!("{} from the start", Bytes(rings as u64 * self.ring_bytes as u64)));
        }
        line("overflow", format!("{} at most, then the job fails", Bytes(self.overflow_bytes)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_is_said_and_what_happens_there() {
        let memory = Memory {
            limit: None,
            spills: false,
            ring_bytes: 1 << 20,
            overflow_bytes: 1 << 28,
            sort_bytes: None,
        };
        assert_eq!(
            memory.text(2),
            "  state     as much as it needs; Job::memory_limit sets a limit\n  \
               rings     2.0 MiB from the start\n  \
               overflow  256.0 MiB at most, then the job fails\n"
        );
        let memory = Memory { limit: Some(1 << 30), spills: true, sort_bytes: Some(1 << 28), ..memory };
        assert!(memory.text(0).starts_with(
            "  state     1.0 GiB at most, what is more lies on disk\n  \
               sorting   256.0 MiB at most, a part of that, what is more lies on disk\n  \
               overflow  256.0 MiB at most, then the job fails\n"
        ));
    }
}

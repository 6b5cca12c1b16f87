//! Which of the job's ends in its host program the graph uses.

use std::panic::Location;

use super::{BuildError, GraphBuilder, place};
use crate::embed::endpoints::{Endpoints, NoSuchEnd};

/// How an end is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndUse {
    /// Records are read from it.
    Read,
    /// Records are written to it.
    Write,
}

impl GraphBuilder {
    /// Notes that an end is used, or why it cannot be.
    pub(crate) fn use_end(
        &mut self,
        name: &str,
        how: EndUse,
        error: Option<NoSuchEnd>,
        at: &'static Location<'static>,
    ) {
        self.ends.push((name.to_owned(), how));
        if let Some(NoSuchEnd(what)) = error {
            self.error(BuildError::NoSuchEnd { name: name.to_owned(), place: place(at), what });
        }
    }

    /// Whether each end that the host has a handle of leads somewhere: whoever has the handle would wait for ever.
    pub(super) fn check_ends(&mut self, ends: &Endpoints) {
        for (name, kind) in ends.names() {
            let missing = |how| !self.ends.iter().any(|(used, as_what)| *used == name && *as_what == how);
            let remedy = match kind {
                "ingress" if missing(EndUse::Read) => "begin a stream with flow.ingress(..)",
                "egress" if missing(EndUse::Write) => "end a stream with .egress(..)",
                "ask" if missing(EndUse::Read) => "begin a stream with flow.ask(..)",
                "ask" if missing(EndUse::Write) => "end the stream of replies with .reply(..)",
                _ => continue,
            };
            self.error(BuildError::UnusedEnd { kind, name, remedy });
        }
    }
}

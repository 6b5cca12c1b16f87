//! Processing time as idleness counts it.

use crate::element::Nanos;

/// Processing time without the spans in which the shard was blocked.
#[derive(Debug, Default)]
pub(super) struct UnblockedTime {
    /// The sum of all ended spans, in nanoseconds.
    blocked: u64,
    since: Option<Nanos>,
}

impl UnblockedTime {
    pub(super) fn block(&mut self, now: Nanos) {
        self.since.get_or_insert(now);
    }

    pub(super) fn unblock(&mut self, now: Nanos) {
        if let Some(since) = self.since.take() {
            self.blocked += now.0.saturating_sub(since.0);
        }
    }

    pub(super) fn at(&self, now: Nanos) -> Nanos {
        let now = self.since.map_or(now, |since| now.min(since));
        Nanos(now.0.saturating_sub(self.blocked))
    }

    /// When it will be `unblocked` by this clock, unless it stands.
    pub(super) fn real(&self, unblocked: Nanos) -> Option<Nanos> {
        self.since.is_none().then(|| Nanos(unblocked.0.saturating_add(self.blocked)))
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.since.is_some()
    }
}

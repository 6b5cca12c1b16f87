//! Checks of windows that are kept one by one, and what the plan says of them.

use super::window_kinds::AssignsTo;
use crate::graph::GraphBuilder;
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::buckets::Manner;
use crate::operator::window::note::entry_bytes;
use crate::record::Record;
use crate::time::Span;
use crate::window::{TimeDomain, Trigger, WindowAssigner, lateness};

/// Windows that have been checked: what their operator is made of.
#[doc(hidden)]
pub struct WindowsPlanned<A, G, E> {
    /// No assigner in a graph that will be refused.
    pub(crate) windows: (Option<A>, Manner),
    pub(crate) trigger: G,
    pub(crate) evictor: E,
    /// The manner of the windows in words.
    pub(crate) words: &'static str,
}

/// Checks windows, and notes what is legal and yet probably not meant.
pub(super) fn planned<T: Record, W: AssignsTo<T>, G: Trigger<T>, E>(
    (kind, trigger, evictor): (W, G, E),
    op: OpId,
    graph: &mut GraphBuilder,
    timed: bool,
    late: Span,
) -> WindowsPlanned<W::Assigner, G, E> {
    let tick = graph.tick();
    let assigner = kind.assigner(tick).map_err(|error| graph.bad_setting(op, error.to_string())).ok();
    let lateness = lateness(late, tick).unwrap_or_else(|error| {
        graph.bad_setting(op, error.to_string());
        0
    });
    let mut manner = match &assigner {
        Some(windows) => Manner {
            domain: windows.domain(),
            merging: windows.is_merging(),
            has_end: windows.has_end(),
            lateness,
        },
        None => Manner { domain: TimeDomain::Event, merging: false, has_end: true, lateness },
    };
    let Manner { domain, merging, has_end, .. } = manner;
    if domain == TimeDomain::Event && has_end && !timed {
        graph.no_event_time(op);
    }
    if lateness > 0 && (domain == TimeDomain::Processing || !has_end) {
        graph.warn(op, "has an allowed lateness, but nothing is ever late for its windows; leave it out");
        manner.lateness = 0;
    }
    if merging && !trigger.can_merge() {
        graph.bad_setting(
            op,
            "its trigger cannot be used with windows that merge, such as sessions; use another trigger, or other windows"
                .to_owned(),
        );
    }
    if has_end && !trigger.fires_at_end(domain) {
        graph.warn(
            op,
            "has a trigger that does not fire at the end of its windows: what has not been given out by then is dropped; say \
             .or_end_of_window() on the trigger if it should be",
        );
    }
    let words = match (merging, has_end, domain) {
        (true, _, _) => "windows that merge",
        (false, true, TimeDomain::Event) => "windows of event time, kept one by one",
        (false, true, TimeDomain::Processing) => "windows of processing time, kept one by one",
        (false, false, _) => "one window without end",
    };
    graph.note(op, words.to_owned());
    WindowsPlanned { windows: (assigner, manner), trigger, evictor, words }
}

impl<A, G, E> WindowsPlanned<A, G, E> {
    /// Notes that every element is kept.
    pub(super) fn note_elements(&self, op: OpId, graph: &mut GraphBuilder) {
        graph.note(op, format!("{}; every element is kept until its window is over", self.words));
    }

    /// Points out that an evictor keeps an aggregate from being made ahead.
    pub(super) fn warn_of_evictor<T: Record, K: Key + ?Sized>(&self, op: OpId, graph: &mut GraphBuilder) {
        // Beside the element, its number and its window, and its timestamp in an entry of its own.
        const NUMBERED: u64 = 40;
        let bytes = match entry_bytes::<K, T>() {
            Some(bytes) => format!("about {} bytes", 2 * (bytes + NUMBERED) - T::SIZE.unwrap_or(0) as u64),
            None => "its own size and about 100 bytes".to_owned(),
        };
        graph.warn(
            op,
            &format!(
                "has an evictor: nothing can be aggregated ahead, and every record takes {bytes} until its window is over"
            ),
        );
        self.note_elements(op, graph);
    }
}

//! Windows kept one by one: a bucket per key and window, with timers of its own.
//!
//! This is how windows are kept that are no runs of [slices](super::window): those that follow from the records (sessions, the global window,
//! assigners of the program's own), those that go by processing time, those with a trigger or an evictor, and those whose function wants to
//! see the elements. One operator does all of that; what differs are its parts:
//!
//! ```text
//! record -> Assign: its windows -> Contents: an accumulator, elements, or the elements of two streams
//!                                     |
//!           Decide: a trigger --fires--> WindowFunction -> results
//! ```
//!
//! Contents lie in *slots*, named by the window that they were made for. Windows that merge keep one of their slots, so that the contents of
//! a session stay where they are while it grows ([sessions]). Timers belong to slots, too.

mod accumulated;
mod add;
mod contents;
mod context;
mod elements;
mod fire;
mod function;
mod intake;
mod list;
mod pair;
mod sessions;
mod slot;
#[cfg(test)]
mod tests;

pub(crate) use accumulated::Accumulated;
pub use contents::Contents;
pub use context::{PerKey, PerWindow, ProcessWindowContext, WindowStates};
pub(crate) use elements::Elements as KeptElements;
pub(crate) use function::{AddedUp, Applied, AppliedToBoth, Finished, Processed};
pub use function::{Elements, ProcessWindow, WindowFunction};
pub(crate) use intake::LateOfEach;
pub use intake::{Assign, Decide, FromOne, FromTwo, Intake, Late};
pub(crate) use list::{Lists, Names as ListNames};
pub(crate) use pair::{Pair, each_pair};
pub(crate) use slot::{Slot as WindowSlot, SlotOf as WindowSlotOf};

use std::marker::PhantomData;

use super::failure::{Blame, Cause, Failure};
use super::inputs::Inputs;
use super::keyed::{Fed, Firing, FromExchange, Operator};
use super::progress::Progress;
use super::segment::OpenContext;
use super::store::{Contents as Saved, Opening, Store};
use super::typed::shown_key;
use super::{OpId, Push, owned_items};
use crate::arena::Arena;
use crate::channel::Batch;
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::record::Record;
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::state::Table;
use crate::timers::{Due, TimerQueue};
use crate::window::{LateLedger, TimeDomain, TimeWindow, TimerChange};
use context::{WindowStates as States, WindowTables};
use sessions::Sessions;
use slot::{Slot, SlotOf};

const TRIGGERS: &str = "what triggers remember";
const EVENT: &str = "timers of event time";
const PROCESSING: &str = "timers of processing time";

/// How windows are assigned, as far as that does not depend on the record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The clock they go by.
    pub(crate) domain: TimeDomain,
    /// Whether those of a key that touch become one.
    pub(crate) merging: bool,
    /// Whether they are over at some time.
    pub(crate) has_end: bool,
    /// For how many ticks after that they take records in; 0 by processing time.
    pub(crate) lateness: i64,
}

/// The operator: `I` are the streams, `A` gives windows, `G` decides when they fire, `C` is what they hold, `F` is called when they fire, `L`
/// takes late records.
pub struct Buckets<I, K, A, G, C, F, L>
where
    I: Intake,
    K: Key + ?Sized,
    G: Decide<I>,
    F: WindowFunction<K, C::Values>,
    C: Contents<I, K>,
{
    op: OpId,
    /// None in a graph that will be refused.
    assigner: Option<A>,
    manner: Manner,
    trigger: G,
    contents: C,
    function: F,
    on_late: L,
    seed: HashSeed,
    kept: Option<Kept<K, G::State>>,
    progress: Progress,
    processing: Timestamp,
    /// The timers of processing time fire for the last time: none is set any more.
    last_call: bool,
    scratch: Scratch,
    out: Vec<(F::Out, Timestamp)>,
    types: PhantomData<fn() -> I>,
}

/// What the operator keeps on one shard beside the windows' contents.
struct Kept<K: Key + ?Sized, S: Record> {
    store: Store,
    /// Where windows merge.
    sessions: Option<Sessions<K>>,
    /// What triggers remember, where they do.
    triggers: Option<Table<SlotOf<K>, S>>,
    event: TimerQueue<SlotOf<K>>,
    processing: TimerQueue<SlotOf<K>>,
    tables: WindowTables,
}

/// Room that is used again and again.
#[derive(Default)]
struct Scratch {
    windows: Vec<TimeWindow>,
    changes: Vec<TimerChange>,
    slot: Slot,
    other: Slot,
    due: Due,
}

impl<I, K, A, G, C, F, L> Buckets<I, K, A, G, C, F, L>
where
    I: Intake,
    K: Key + ?Sized,
    A: Assign<I>,
    G: Decide<I>,
    C: Contents<I, K>,
    F: WindowFunction<K, C::Values>,
    L: Late<I>,
{
    pub(crate) fn new(
        op: OpId,
        (assigner, manner): (Option<A>, Manner),
        trigger: G,
        contents: C,
        function: F,
        on_late: L,
    ) -> Self {
        Buckets {
            op,
            assigner,
            manner,
            trigger,
            contents,
            function,
            on_late,
            seed: HashSeed(0),
            kept: None,
            progress: Progress::default(),
            processing: Timestamp::MIN,
            last_call: false,
            scratch: Scratch::default(),
            out: Vec::new(),
            types: PhantomData,
        }
    }

    fn opened(&mut self, context: &OpenContext) -> Result<(), Cause> {
        let mut opening = Opening::new(context, self.op)?;
        self.contents.open(&mut opening)?;
        let sessions = self.manner.merging.then(|| Sessions::open(&mut opening)).transpose()?;
        // A trigger that remembers nothing needs no table.
        let remembers = G::State::SIZE != Some(0);
        let triggers = remembers.then(|| opening.table(TRIGGERS)).transpose()?;
        let (event, processing) = (opening.timers(EVENT)?, opening.timers(PROCESSING)?);
        let mut states = States::new(opening, self.manner.merging);
        Blame::on(self.op, || self.function.open(&mut states));
        let (opening, tables) = states.finish()?;
        self.progress = Progress::restore(&opening).map_err(Cause::fatal)?;
        let store = opening.finish()?;
        self.kept = Some(Kept { store, sessions, triggers, event, processing, tables });
        Ok(())
    }
}

impl<I, K, A, G, C, F, L> Fed for Buckets<I, K, A, G, C, F, L>
where
    I: Intake,
    K: Key + ?Sized,
    A: Assign<I>,
    G: Decide<I>,
    C: Contents<I, K>,
    F: WindowFunction<K, C::Values>,
    L: Late<I>,
{
    owned_items!(F::Out);
}

impl<I, K, A, G, C, F, L> Operator for Buckets<I, K, A, G, C, F, L>
where
    I: Intake,
    K: Key + ?Sized,
    A: Assign<I>,
    G: Decide<I>,
    C: Contents<I, K>,
    F: WindowFunction<K, C::Values>,
    L: Late<I>,
{
    type In = I::In;

    const HAS_CLOCK: bool = true;

    fn op(&self) -> OpId {
        self.op
    }

    fn show_key(&self, batch: Batch<'_>, index: usize) -> Option<String> {
        shown_key::<K>(batch, index, self.seed)
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.seed = context.seed;
        self.opened(context).map_err(|cause| Box::new(Failure::of(self.op, cause)))
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &<I::In as Inputs>::Batch<'_>, push: &mut P) {
        self.take(batch, push);
    }

    fn watermark<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, push: &mut P) -> Firing {
        self.progress.advance(at);
        let firing = self.fire(TimeDomain::Event, at, push);
        if firing == Firing::Done {
            self.progress.settle();
        }
        firing
    }

    fn set_clock(&mut self, now: Timestamp) {
        self.processing = now;
    }

    fn clock<P: Push<FromExchange<Self>>>(&mut self, now: Timestamp, push: &mut P) -> Firing {
        self.fire(TimeDomain::Processing, now, push)
    }

    fn next_clock(&self) -> Option<Timestamp> {
        self.kept.as_ref()?.processing.first()
    }

    fn fire_waiting<P: Push<FromExchange<Self>>>(&mut self, push: &mut P) -> Firing {
        self.last_call = true;
        self.fire(TimeDomain::Processing, Timestamp::MAX, push)
    }

    fn end_key<P: Push<FromExchange<Self>>>(&mut self, _: (KeyHash, &[u8]), _: &mut P) {
        self.last_call = false;
        self.progress.begin_anew();
        let kept = self.kept.as_mut().expect("open comes first");
        let arena = kept.store.arena();
        // What is left is that of windows without an end.
        self.contents.clear_all(arena);
        kept.tables.tables.clear_those(arena, |_| true);
        if let Some(triggers) = kept.triggers.as_mut().filter(|triggers| !triggers.is_empty()) {
            triggers.clear(arena);
        }
        if let Some(sessions) = &mut kept.sessions {
            sessions.clear(arena);
        }
    }

    fn switch(&mut self, _: Epoch) -> Option<OperatorSnapshot> {
        let kept = self.kept.as_ref()?;
        let mut saved = Saved::default();
        self.contents.list(&mut saved);
        if let Some(sessions) = &kept.sessions {
            sessions.list(&mut saved);
        }
        if let Some(triggers) = &kept.triggers {
            saved.table(TRIGGERS, triggers.meta());
        }
        kept.tables.tables.list(&mut saved);
        saved.timers(EVENT, &kept.event).timers(PROCESSING, &kept.processing);
        Some(kept.store.snapshot(saved.own(self.progress.words())))
    }

    fn arena(&mut self) -> Option<&mut Arena> {
        self.kept.as_mut().map(|kept| kept.store.arena())
    }

    fn late_ledger(&self) -> Option<&LateLedger> {
        Some(&self.progress.late)
    }

    fn gauge(&self, gauges: &mut Gauges) {
        gauges.late_records += self.progress.late.count();
        gauges.unassigned_records += self.progress.unassigned;
        gauges.keys += self.contents.windows();
    }
}

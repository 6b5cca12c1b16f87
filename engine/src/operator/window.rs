//! Aggregates per key and window of event time, for all aligned kinds of windows.
//!
//! Such windows are slices, not timers: a record is added to one slice, one table per slice, however many windows it belongs to.
//!
//! - Where windows overlap, a running total per key over the slices of the window at hand is kept: slices that enter a window are
//!   merged in, slices that leave it are taken out, so that firing looks at one entry per key, however many slices a window has.
//! - Where an aggregate cannot take a part out (a maximum that may have been the part's), the key's total is put together anew from
//!   [blocks](blocks), a few dozen look-ups at most.
//! - A record that comes within the allowed lateness fires the windows it belongs to again, for its key; their values are put together from
//!   blocks as well.
//!
//! What is in slices is the truth; totals and blocks follow from it, and are made anew after a rescaling.

mod add;
mod blocks;
pub(crate) mod finish;
mod fire;
mod gathered;
pub(crate) mod note;
mod panes;
pub(crate) mod rule;
mod saved;
#[cfg(test)]
mod tests;
mod totals;

use std::marker::PhantomData;

use super::failure::Failure;
use super::floors::Floors;
use super::inputs::One;
use super::keyed::{Fed, Firing, FromExchange, Operator};
use super::segment::OpenContext;
use super::typed::{BatchOf, shown_key};
use super::{OpId, Push, owned_items};
use crate::arena::Arena;
use crate::channel::Batch;
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::record::Record;
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::state::Table;
use crate::window::{LateLedger, Slices};
use add::Scratch;
pub(crate) use add::add_one;
use finish::{Finish, OnLate};
use fire::Position;
use gathered::Gathered;
use panes::{Needs, Panes};
use rule::WindowRule;

/// The operator of aggregating windows: `W` are the windows, `R` the aggregate, `F` what becomes of its results, `L` of records that
/// come too late.
pub struct WindowAggregate<T, K, W, R, F, L>
where
    T: Record,
    K: Key + ?Sized,
    R: WindowRule<T>,
{
    op: OpId,
    windows: W,
    /// At least 0.
    lateness: i64,
    rule: R,
    finish: F,
    on_late: L,
    seed: HashSeed,
    panes: Option<Panes<K, R::Acc>>,
    position: Position,
    watermark: Timestamp,
    /// Records of slices that end no later than this come too late.
    retained: Timestamp,
    /// No window of a slice that ends later has fired.
    plain_after: Timestamp,
    floors: Floors,
    late: LateLedger,
    /// How many records belonged to no window.
    unassigned: u64,
    scratch: Scratch,
    gathered: Gathered<R::Acc>,
    /// Which gathered keys need their totals put together anew.
    anew: Vec<usize>,
    types: PhantomData<fn() -> T>,
}

impl<T, K, W, R, F, L> WindowAggregate<T, K, W, R, F, L>
where
    T: Record,
    K: Key + ?Sized,
    W: Slices,
    R: WindowRule<T>,
{
    pub(crate) fn new(op: OpId, windows: W, lateness: i64, rule: R, finish: F, on_late: L) -> Self {
        WindowAggregate {
            op,
            windows,
            lateness,
            rule,
            finish,
            on_late,
            seed: HashSeed(0),
            panes: None,
            position: Position::START,
            watermark: Timestamp::MIN,
            retained: Timestamp::MIN,
            plain_after: Timestamp::MIN,
            floors: Floors::default(),
            late: LateLedger::default(),
            unassigned: 0,
            scratch: Scratch::default(),
            gathered: Gathered::new(),
            anew: Vec::new(),
            types: PhantomData,
        }
    }

    /// Which tables are needed beside slices.
    fn needs(&self) -> Needs {
        let totals = self.windows.slices_max() > 1;
        Needs { totals, blocks: totals && (self.lateness > 0 || !R::ALWAYS_RETRACTS) }
    }
}

impl<T, K, W, R, F, L> Fed for WindowAggregate<T, K, W, R, F, L>
where
    T: Record,
    K: Key + ?Sized,
    W: Slices,
    R: WindowRule<T>,
    F: Finish<K, R::Out>,
    L: OnLate<T>,
{
    owned_items!(F::Out);
}

impl<T, K, W, R, F, L> Operator for WindowAggregate<T, K, W, R, F, L>
where
    T: Record,
    K: Key + ?Sized,
    W: Slices,
    R: WindowRule<T>,
    F: Finish<K, R::Out>,
    L: OnLate<T>,
{
    type In = One<T>;

    fn op(&self) -> OpId {
        self.op
    }

    fn show_key(&self, batch: Batch<'_>, index: usize) -> Option<String> {
        shown_key::<K>(batch, index, self.seed)
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.seed = context.seed;
        let mut panes = Panes::open(context, self.op, self.needs(), &self.windows)?;
        self.restore(context, &mut panes).map_err(|cause| Box::new(Failure::of(self.op, cause)))?;
        self.panes = Some(panes);
        Ok(())
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        self.take(batch, push);
    }

    fn watermark<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, push: &mut P) -> Firing {
        self.fire(at, push)
    }

    fn end_key<P: Push<FromExchange<Self>>>(&mut self, _: (KeyHash, &[u8]), _: &mut P) {
        self.position = Position::START;
        (self.watermark, self.retained, self.plain_after) = (Timestamp::MIN, Timestamp::MIN, Timestamp::MIN);
        let panes = self.panes.as_mut().expect("open comes first");
        if let Some(totals) = &mut panes.totals {
            totals.clear(panes.tables.arena());
        }
        panes.drop_before(Timestamp::MAX, usize::MAX);
    }

    fn switch(&mut self, _: Epoch) -> Option<OperatorSnapshot> {
        let panes = self.panes.as_ref()?;
        Some(panes.tables.snapshot(self.saved(panes).encode()))
    }

    fn arena(&mut self) -> Option<&mut Arena> {
        self.panes.as_mut().map(|panes| panes.tables.arena())
    }

    fn late_ledger(&self) -> Option<&LateLedger> {
        Some(&self.late)
    }

    fn gauge(&self, gauges: &mut Gauges) {
        gauges.late_records += self.late.count();
        gauges.unassigned_records += self.unassigned;
        if let Some(panes) = &self.panes {
            gauges.keys += panes.slices.values().map(Table::len).sum::<u64>();
        }
    }
}

//! The join of records whose event times are near each other.

use std::marker::PhantomData;

use super::function::{JoinContext, JoinFunction};
use super::grid::Grid;
use super::running::{TIMERS_PER_PIECE, runs_join};
use super::side::{Names, Side};
use crate::arena::Arena;
use crate::channel::Batch;
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::operator::buckets::WindowSlot as Slot;
use crate::operator::failure::{Blame, Cause, Cursor, Failure, KeyAtHand, raise};
use crate::operator::inputs::{EitherBatch, Two};
use crate::operator::keyed::{Fed, Firing, FromExchange, Operator};
use crate::operator::progress::Progress;
use crate::operator::segment::OpenContext;
use crate::operator::store::{Contents, Opening, Store};
use crate::operator::typed::{BatchOf, shown_key};
use crate::operator::window::finish::OnLate;
use crate::operator::{OpId, Push, owned_items};
use crate::record::Record;
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::state::StateError;
use crate::timers::{Due, Pop};
use crate::window::{TimeWindow, Timed};

/// How far the second record of a pair may lie behind the first: `lower <= second - first <= upper`, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) lower: i64,
    pub(crate) upper: i64,
}

impl Bounds {
    /// As long as the interval, so that it lies in two buckets at most.
    fn bucket(self) -> i64 {
        self.upper.saturating_sub(self.lower).saturating_add(1)
    }

    /// How long a record of the first stream may have to wait for one of the second.
    fn left_waits(self) -> i64 {
        self.upper.max(0)
    }

    /// How long a record of the second stream may have to wait for one of the first.
    fn right_waits(self) -> i64 {
        self.lower.saturating_neg().max(0)
    }
}

/// The operator of interval joins: `F` is called with pairs, `L` and `M` take late records of either stream.
pub struct IntervalJoin<A, B, K, F, L, M>
where
    A: Record,
    B: Record,
    K: Key + ?Sized,
    F: JoinFunction<A, B, K>,
{
    op: OpId,
    bounds: Bounds,
    function: F,
    on_late: (L, M),
    seed: HashSeed,
    pub(super) kept: Option<Kept<A, B, K>>,
    pub(super) progress: Progress,
    due: Due,
    slot: Slot,
    left: Vec<Timed<A>>,
    right: Vec<Timed<B>>,
    out: Vec<(F::Out, Timestamp)>,
    types: PhantomData<fn() -> (A, B)>,
}

pub(super) struct Kept<A: Record, B: Record, K: Key + ?Sized> {
    store: Store,
    pub(super) left: Side<K, A>,
    pub(super) right: Side<K, B>,
}

impl<A, B, K, F, L, M> IntervalJoin<A, B, K, F, L, M>
where
    A: Record,
    B: Record,
    K: Key + ?Sized,
    F: JoinFunction<A, B, K>,
    L: OnLate<A>,
    M: OnLate<B>,
{
    pub(crate) fn new(op: OpId, bounds: Bounds, function: F, on_late: (L, M)) -> Self {
        IntervalJoin {
            op,
            bounds,
            function,
            on_late,
            seed: HashSeed(0),
            kept: None,
            progress: Progress::default(),
            due: Due::default(),
            slot: Slot::default(),
            left: Vec::new(),
            right: Vec::new(),
            out: Vec::new(),
            types: PhantomData,
        }
    }

    fn opened(&mut self, context: &OpenContext) -> Result<(), Cause> {
        let mut opening = Opening::new(context, self.op)?;
        let (bounds, length) = (self.bounds, self.bounds.bucket());
        let left =
            Side::open(&mut opening, Names::LEFT, F::LEFT, Grid { length, waits: bounds.left_waits() })?;
        let right =
            Side::open(&mut opening, Names::RIGHT, F::RIGHT, Grid { length, waits: bounds.right_waits() })?;
        self.progress = Progress::restore(&opening).map_err(Cause::fatal)?;
        self.kept = Some(Kept { store: opening.finish()?, left, right });
        Ok(())
    }

    /// Whether a record comes too late, which is then counted.
    fn is_late(&mut self, key: (KeyHash, &[u8]), at: Timestamp) -> bool {
        let seen = self.progress.seen(key.0);
        if at >= seen {
            return false;
        }
        let moment = TimeWindow { start: at, end: Timestamp(at.0.saturating_add(1)) };
        self.progress.enter_late(key, at, seen, moment);
        true
    }

    /// A record of the first stream.
    fn left(&mut self, batch: &BatchOf<'_, A>, index: usize, at: Timestamp) -> Result<(), StateError> {
        let key = (batch.hashes()[index], batch.key_bytes::<K>(index));
        if self.is_late(key, at) {
            self.on_late.0.late(self.op, batch.record(index), at);
            return Ok(());
        }
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        let Bounds { lower, upper } = self.bounds;
        let range = (at.0.saturating_add(lower), at.0.saturating_add(upper));
        let (arena, mut found) = (kept.store.arena(), std::mem::take(&mut self.right));
        let (range, seen) = ((Timestamp(range.0), Timestamp(range.1)), self.progress.seen(key.0));
        kept.right.partners(arena, key, range, seen, &mut found)?;
        kept.left.add(arena, key, batch.record_bytes(index), at, !found.is_empty())?;
        if !found.is_empty() {
            let record = A::owned(batch.record(index));
            for partner in found.drain(..) {
                let times = (Some(at), Some(partner.at));
                self.call(key, times, (Some(&record), Some(&partner.value)));
            }
        }
        self.right = found;
        Ok(())
    }

    /// A record of the second stream.
    fn right(&mut self, batch: &BatchOf<'_, B>, index: usize, at: Timestamp) -> Result<(), StateError> {
        let key = (batch.hashes()[index], batch.key_bytes::<K>(index));
        if self.is_late(key, at) {
            self.on_late.1.late(self.op, batch.record(index), at);
            return Ok(());
        }
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        let Bounds { lower, upper } = self.bounds;
        let range = (at.0.saturating_sub(upper), at.0.saturating_sub(lower));
        let (arena, mut found) = (kept.store.arena(), std::mem::take(&mut self.left));
        let (range, seen) = ((Timestamp(range.0), Timestamp(range.1)), self.progress.seen(key.0));
        kept.left.partners(arena, key, range, seen, &mut found)?;
        kept.right.add(arena, key, batch.record_bytes(index), at, !found.is_empty())?;
        if !found.is_empty() {
            let record = B::owned(batch.record(index));
            for partner in found.drain(..) {
                let times = (Some(partner.at), Some(at));
                self.call(key, times, (Some(&partner.value), Some(&record)));
            }
        }
        self.left = found;
        Ok(())
    }

    fn call(
        &mut self,
        key: (KeyHash, &[u8]),
        (left_at, right_at): (Option<Timestamp>, Option<Timestamp>),
        (left, right): (Option<&A>, Option<&B>),
    ) {
        let function = &mut self.function;
        let mut context = JoinContext {
            op: self.op,
            seed: self.seed,
            key,
            left: left_at,
            right: right_at,
            watermark: self.progress.seen(key.0),
            out: &mut self.out,
            types: PhantomData,
        };
        Blame::on(self.op, || function.call(left, right, &mut context));
    }

    /// Handles one timer of either side, the earlier one first. Says whether there was one.
    fn timer(&mut self, up_to: Timestamp) -> Result<Pop, StateError> {
        let kept = self.kept.as_mut().expect("open comes first");
        let first = |at: Option<Timestamp>| at.unwrap_or(Timestamp::MAX);
        let is_left = first(kept.left.timers.first()) <= first(kept.right.timers.first());
        let arena = kept.store.arena();
        let mut popped = match is_left {
            true => kept.left.timers.pop(arena, up_to, &mut self.due)?,
            false => kept.right.timers.pop(arena, up_to, &mut self.due)?,
        };
        let mut of_left = is_left;
        if popped == Pop::Done {
            // What comes first is known only roughly.
            of_left = !is_left;
            popped = match of_left {
                true => kept.left.timers.pop(arena, up_to, &mut self.due)?,
                false => kept.right.timers.pop(arena, up_to, &mut self.due)?,
            };
        }
        if popped != Pop::Due {
            return Ok(popped);
        }
        self.slot.hash = self.due.hash;
        self.slot.bytes.clone_from(&self.due.key);
        let slot = std::mem::take(&mut self.slot);
        let at = self.due.at;
        let (mut left, mut right) = (std::mem::take(&mut self.left), std::mem::take(&mut self.right));
        match of_left {
            true => kept.left.over(arena, &slot, at, &mut left)?,
            false => kept.right.over(arena, &slot, at, &mut right)?,
        }
        let (_, hash, key) = Slot::split::<K>(&slot.bytes);
        let at_hand = KeyAtHand::<K>::new((hash, key), self.seed);
        for alone in left.drain(..) {
            self.call((hash, key), (Some(alone.at), None), (Some(&alone.value), None));
        }
        for alone in right.drain(..) {
            self.call((hash, key), (None, Some(alone.at)), (None, Some(&alone.value)));
        }
        drop(at_hand);
        (self.left, self.right, self.slot) = (left, right, slot);
        Ok(Pop::Due)
    }

    fn checked<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}

impl<A, B, K, F, L, M> Fed for IntervalJoin<A, B, K, F, L, M>
where
    A: Record,
    B: Record,
    K: Key + ?Sized,
    F: JoinFunction<A, B, K>,
    L: OnLate<A>,
    M: OnLate<B>,
{
    owned_items!(F::Out);
}

impl<A, B, K, F, L, M> Operator for IntervalJoin<A, B, K, F, L, M>
where
    A: Record,
    B: Record,
    K: Key + ?Sized,
    F: JoinFunction<A, B, K>,
    L: OnLate<A>,
    M: OnLate<B>,
{
    type In = Two<A, B>;

    runs_join!();

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &EitherBatch<'_, A, B>, push: &mut P) {
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            let taken = match batch {
                EitherBatch::First(batch) => self.left(batch, index, at),
                EitherBatch::Second(batch) => self.right(batch, index, at),
            };
            self.checked(taken);
            self.out.drain(..).for_each(|(record, at)| push.push(record, at));
        }
    }

    fn holds_back(&self) -> i64 {
        // What is alone is given out with its own event time, when its last possible partner could have come.
        let left = if F::LEFT { self.bounds.left_waits() } else { 0 };
        let right = if F::RIGHT { self.bounds.right_waits() } else { 0 };
        left.max(right)
    }

    fn end_key<P: Push<FromExchange<Self>>>(&mut self, _: (KeyHash, &[u8]), _: &mut P) {
        self.progress.begin_anew();
    }

    fn switch(&mut self, _: Epoch) -> Option<OperatorSnapshot> {
        let kept = self.kept.as_ref()?;
        let mut contents = Contents::default();
        kept.left.list(&mut contents);
        kept.right.list(&mut contents);
        Some(kept.store.snapshot(contents.own(self.progress.words())))
    }

    fn gauge(&self, gauges: &mut Gauges) {
        gauges.late_records += self.progress.late.count();
        if let Some(kept) = &self.kept {
            gauges.keys += kept.left.lists.len() + kept.right.lists.len();
        }
    }
}

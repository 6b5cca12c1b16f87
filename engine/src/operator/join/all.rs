//! The join of three streams or more: one operator, whatever their number.
//!
//! The records of a key that all lie within a span of event time make a row, one of each stream. Where rows may be incomplete, a record that no
//! row holds is the first of one when event time has passed its last possible partner: with whatever came within the span after it.

mod side;
mod streams;

use std::marker::PhantomData;

pub use side::AnySide;
pub use streams::{AllFunction, Chosen, Complete, LateOfAll, Partial, Streams};

use streams::{BatchOfOne, MOST};

use super::grid::Grid;
use super::running::{TIMERS_PER_PIECE, runs_join};
use crate::arena::Arena;
use crate::channel::Batch;
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::operator::buckets::{WindowSlot as Slot, WindowSlotOf as SlotOf};
use crate::operator::failure::{Blame, Cause, Cursor, Failure, KeyAtHand, raise};
use crate::operator::keyed::{Fed, Firing, FromExchange, Operator};
use crate::operator::progress::Progress;
use crate::operator::segment::OpenContext;
use crate::operator::store::{Contents, Opening, Store};
use crate::operator::typed::shown_key;
use crate::operator::{OpId, Push, owned_items};
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::state::StateError;
use crate::timers::{Due, Pop, TimerQueue};
use crate::window::TimeWindow;

const TIMERS: &str = "timers";

/// The operator: `S` are the types of the streams' records, `F` is called with rows, `L` takes late records.
pub struct AllJoin<S, K, F, L>
where
    S: Streams<K>,
    K: Key + ?Sized,
    F: AllFunction<S, K>,
{
    op: OpId,
    seed: HashSeed,
    /// How far apart the records of a row may be, in ticks.
    within: i64,
    function: F,
    on_late: L,
    kept: Option<Kept<S, K>>,
    progress: Progress,
    due: Due,
    slot: Slot,
    rows: Vec<Row>,
    out: Vec<(F::Out, Timestamp)>,
}

struct Kept<S: Streams<K>, K: Key + ?Sized> {
    store: Store,
    sides: S::Sides,
    /// One for each bucket of a key, and one for each record that may have to be given out alone.
    timers: TimerQueue<SlotOf<K>>,
    types: PhantomData<fn() -> S>,
}

/// Records that make a row, complete or not.
#[derive(Clone, Copy)]
struct Row {
    chosen: Chosen,
    first: Timestamp,
    last: Timestamp,
}

impl Row {
    const EMPTY: Row = Row { chosen: [None; MOST], first: Timestamp::MAX, last: Timestamp::MIN };

    /// With one more record, if that is not too far away from the others.
    fn with(mut self, side: usize, index: usize, at: Timestamp, within: i64) -> Option<Row> {
        self.chosen[side] = Some(index);
        (self.first, self.last) = (self.first.min(at), self.last.max(at));
        (self.last.0.saturating_sub(self.first.0) <= within).then_some(self)
    }
}

impl<S, K, F, L> AllJoin<S, K, F, L>
where
    S: Streams<K>,
    K: Key + ?Sized,
    F: AllFunction<S, K>,
    L: LateOfAll<S, K>,
{
    pub(crate) fn new(op: OpId, within: i64, function: F, on_late: L) -> Self {
        AllJoin {
            op,
            seed: HashSeed(0),
            within,
            function,
            on_late,
            kept: None,
            progress: Progress::default(),
            due: Due::default(),
            slot: Slot::default(),
            rows: Vec::new(),
            out: Vec::new(),
        }
    }

    fn grid(&self) -> Grid {
        Grid { length: self.within.saturating_add(1), waits: self.within }
    }

    fn opened(&mut self, context: &OpenContext) -> Result<(), Cause> {
        let mut opening = Opening::new(context, self.op)?;
        let sides = S::open(&mut opening, self.grid(), F::PARTIAL)?;
        let timers = opening.timers(TIMERS)?;
        self.progress = Progress::restore(&opening).map_err(Cause::fatal)?;
        self.kept = Some(Kept { store: opening.finish()?, sides, timers, types: PhantomData });
        Ok(())
    }

    fn take(&mut self, batch: &BatchOfOne<'_, S, K>, index: usize, at: Timestamp) -> Result<(), StateError> {
        let (number, key) = S::key(batch, index);
        let seen = self.progress.seen(key.0);
        if at < seen {
            let moment = TimeWindow { start: at, end: Timestamp(at.0.saturating_add(1)) };
            self.progress.enter_late(key, at, seen, moment);
            self.on_late.late(self.op, batch, index, at);
            return Ok(());
        }
        let (grid, within) = (self.grid(), self.within);
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        let bucket = grid.bucket_of(at);
        if S::add(&mut kept.sides, kept.store.arena(), batch, index)? {
            self.slot.set::<K>(key, bucket);
            let over_at = grid.over_at(bucket.max_timestamp());
            kept.timers.register(kept.store.arena(), over_at, self.slot.hash, &self.slot.bytes)?;
        }
        let from = Timestamp(at.0.saturating_sub(within)).max(grid.waited_from(seen));
        let complete = self.find_others(number, key, (from, Timestamp(at.0.saturating_add(within))))?;
        let given = complete && self.give(key)?;
        if F::PARTIAL && !given {
            let kept = self.kept.as_mut().expect("open comes before the first batch");
            self.slot.set::<K>(key, bucket);
            let over_at = grid.over_at(at);
            kept.timers.register(kept.store.arena(), over_at, self.slot.hash, &self.slot.bytes)?;
        }
        Ok(())
    }

    /// Looks for the partners that a record of one stream has in the others. Says whether all have some.
    fn find_others(
        &mut self,
        number: usize,
        key: (KeyHash, &[u8]),
        (from, to): (Timestamp, Timestamp),
    ) -> Result<bool, StateError> {
        let kept = self.kept.as_mut().expect("open comes first");
        let mut all = true;
        for other in (0..S::COUNT).filter(|other| *other != number) {
            let side = S::side(&mut kept.sides, other);
            side.find(kept.store.arena(), key, from, to)?;
            all &= side.found() > 0;
        }
        Ok(all)
    }

    /// Gives out the rows that the records make which were found. Says whether there are any.
    fn give(&mut self, key: (KeyHash, &[u8])) -> Result<bool, StateError> {
        let kept = self.kept.as_mut().expect("open comes first");
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        rows.push(Row::EMPTY);
        for number in 0..S::COUNT {
            let side = S::side(&mut kept.sides, number);
            if side.found() == 0 {
                continue;
            }
            let longer = rows.iter().flat_map(|row| {
                let with = |index| row.with(number, index, side.found_at(index), self.within);
                (0..side.found()).filter_map(with)
            });
            rows = longer.collect();
        }
        for row in &rows {
            let (function, sides) = (&mut self.function, &kept.sides);
            let record = Blame::on(self.op, || function.call(sides, &row.chosen));
            self.out.extend(record.map(|record| (record, row.last)));
            if F::PARTIAL {
                for (number, chosen) in row.chosen.iter().enumerate() {
                    let Some(index) = *chosen else { continue };
                    S::side(&mut kept.sides, number).note_given(kept.store.arena(), key, index)?;
                }
            }
        }
        let any = !rows.is_empty();
        self.rows = rows;
        Ok(any)
    }

    /// Handles the next thing that is due. Says whether there was one.
    fn timer(&mut self, up_to: Timestamp) -> Result<Pop, StateError> {
        let kept = self.kept.as_mut().expect("open comes first");
        let popped = kept.timers.pop(kept.store.arena(), up_to, &mut self.due)?;
        if popped != Pop::Due {
            return Ok(popped);
        }
        let slot = Slot { hash: self.due.hash, bytes: std::mem::take(&mut self.due.key) };
        if F::PARTIAL {
            self.give_alone(&slot, self.due.at)?;
        }
        let (bucket, ..) = Slot::split::<K>(&slot.bytes);
        if self.due.at >= self.grid().over_at(bucket.max_timestamp()) {
            let kept = self.kept.as_mut().expect("open comes first");
            for number in 0..S::COUNT {
                S::side(&mut kept.sides, number).clear(kept.store.arena(), &slot)?;
            }
        }
        self.due.key = slot.bytes;
        Ok(Pop::Due)
    }

    /// Gives out the incomplete rows that begin with records of a bucket which are waited for no longer.
    fn give_alone(&mut self, slot: &Slot, at: Timestamp) -> Result<(), StateError> {
        let (_, hash, key) = Slot::split::<K>(&slot.bytes);
        let _at_hand = KeyAtHand::<K>::new((hash, key), self.seed);
        let first = Timestamp(at.0.saturating_sub(self.within));
        for number in 0..S::COUNT {
            let kept = self.kept.as_mut().expect("open comes first");
            let over = S::side(&mut kept.sides, number).find_over(kept.store.arena(), slot, at)?;
            for _ in 0..over {
                let kept = self.kept.as_mut().expect("open comes first");
                if S::side(&mut kept.sides, number).next_over(kept.store.arena(), slot)? {
                    self.find_others(number, (hash, key), (first, at))?;
                    self.give((hash, key))?;
                }
            }
        }
        Ok(())
    }

    /// How many lists, timers and notes of what was given out there are.
    #[cfg(test)]
    pub(super) fn left_behind(&mut self) -> u64 {
        let kept = self.kept.as_mut().expect("open comes first");
        let sides = (0..S::COUNT).map(|number| S::side(&mut kept.sides, number).left_behind());
        sides.sum::<u64>() + kept.timers.len()
    }

    fn checked<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}

impl<S, K, F, L> Fed for AllJoin<S, K, F, L>
where
    S: Streams<K>,
    K: Key + ?Sized,
    F: AllFunction<S, K>,
    L: LateOfAll<S, K>,
{
    owned_items!(F::Out);
}

impl<S, K, F, L> Operator for AllJoin<S, K, F, L>
where
    S: Streams<K>,
    K: Key + ?Sized,
    F: AllFunction<S, K>,
    L: LateOfAll<S, K>,
{
    type In = S::In;

    runs_join!();

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOfOne<'_, S, K>, push: &mut P) {
        let mut cursor = Cursor::new();
        for (index, &at) in S::timestamps(batch).iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            let taken = self.take(batch, index, at);
            self.checked(taken);
            self.out.drain(..).for_each(|(record, at)| push.push(record, at));
        }
    }

    fn holds_back(&self) -> i64 {
        // A row that is not complete is given out when its first record has waited long enough.
        if F::PARTIAL { self.within } else { 0 }
    }

    fn end_key<P: Push<FromExchange<Self>>>(&mut self, _: (KeyHash, &[u8]), _: &mut P) {
        self.progress.begin_anew();
    }

    fn switch(&mut self, _: Epoch) -> Option<OperatorSnapshot> {
        let kept = self.kept.as_mut()?;
        let mut contents = Contents::default();
        for number in 0..S::COUNT {
            S::side(&mut kept.sides, number).list(&mut contents);
        }
        contents.timers(TIMERS, &kept.timers);
        Some(kept.store.snapshot(contents.own(self.progress.words())))
    }

    fn gauge(&self, gauges: &mut Gauges) {
        gauges.late_records += self.progress.late.count();
        if let Some(kept) = &self.kept {
            gauges.keys += S::buckets(&kept.sides);
        }
    }
}

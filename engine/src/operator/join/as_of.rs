//! The join of records with the version that is in force at their event time.
//!
//! Both records and versions wait until event time has come to theirs. Then a version takes the place of the one before, and a record meets the
//! one in force. So what it costs does not depend on how many versions there are.

use std::marker::PhantomData;

use super::function::{JoinContext, JoinFunction};
use super::running::{TIMERS_PER_PIECE, runs_join};
use crate::arena::Arena;
use crate::channel::Batch;
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::operator::buckets::{ListNames, Lists, WindowSlot as Slot, WindowSlotOf as SlotOf};
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
use crate::state::{StateError, Table};
use crate::timers::{Due, Pop, TimerQueue};
use crate::window::{TimeWindow, Timed};

const VERSIONS: &str = "versions in force";
const SINCE: &str = "versions in force since";
const TIMERS: &str = "timers";

/// The operator of joins by version: `F` is called with records and versions, `L` and `M` take what comes too late.
pub struct AsOfJoin<A, B, K, F, L, M>
where
    A: Record,
    B: Record,
    K: Key + ?Sized,
    F: JoinFunction<A, B, K>,
{
    op: OpId,
    /// How long a version is in force, in ticks.
    within: i64,
    function: F,
    on_late: (L, M),
    seed: HashSeed,
    kept: Option<Kept<A, B, K>>,
    progress: Progress,
    due: Due,
    slot: Slot,
    left: Vec<Timed<A>>,
    out: Vec<(F::Out, Timestamp)>,
    types: PhantomData<fn() -> (A, B)>,
}

struct Kept<A: Record, B: Record, K: Key + ?Sized> {
    store: Store,
    /// Records and versions that wait, by key and event time.
    left: Lists<K, A>,
    right: Lists<K, B>,
    /// One for each key and event time at which something waits or ends.
    timers: TimerQueue<SlotOf<K>>,
    versions: Table<K, B>,
    since: Table<K, i64>,
}

impl<A: Record, B: Record, K: Key + ?Sized> Kept<A, B, K> {
    /// Since when the version of a key has been in force.
    fn since(&mut self, (hash, key): (KeyHash, &[u8])) -> Result<Option<i64>, StateError> {
        self.since.get(self.store.arena(), hash, key, |since| *since)
    }

    fn bring_into_force(
        &mut self,
        (hash, key): (KeyHash, &[u8]),
        version: &B,
        at: Timestamp,
    ) -> Result<(), StateError> {
        let arena = self.store.arena();
        self.versions.insert(arena, hash, key, version)?;
        self.since.insert(arena, hash, key, &at.0).map(drop)
    }

    fn end(&mut self, (hash, key): (KeyHash, &[u8])) -> Result<(), StateError> {
        let arena = self.store.arena();
        self.versions.remove(arena, hash, key)?;
        self.since.remove(arena, hash, key).map(drop)
    }
}

impl<A, B, K, F, L, M> AsOfJoin<A, B, K, F, L, M>
where
    A: Record,
    B: Record,
    K: Key + ?Sized,
    F: JoinFunction<A, B, K>,
    L: OnLate<A>,
    M: OnLate<B>,
{
    pub(crate) fn new(op: OpId, within: i64, function: F, on_late: (L, M)) -> Self {
        AsOfJoin {
            op,
            within,
            function,
            on_late,
            seed: HashSeed(0),
            kept: None,
            progress: Progress::default(),
            due: Due::default(),
            slot: Slot::default(),
            left: Vec::new(),
            out: Vec::new(),
            types: PhantomData,
        }
    }

    fn opened(&mut self, context: &OpenContext) -> Result<(), Cause> {
        let mut opening = Opening::new(context, self.op)?;
        let left = Lists::open(&mut opening, ListNames::FIRST)?;
        let right = Lists::open(&mut opening, ListNames::SECOND)?;
        let timers = opening.timers(TIMERS)?;
        let (versions, since) = (opening.table(VERSIONS)?, opening.table(SINCE)?);
        self.progress = Progress::restore(&opening).map_err(Cause::fatal)?;
        self.kept = Some(Kept { store: opening.finish()?, left, right, timers, versions, since });
        Ok(())
    }

    /// Where what has an event time waits for it. Says whether the time has come already, and how far event time is.
    fn wait_for(&mut self, key: (KeyHash, &[u8]), at: Timestamp) -> (bool, Timestamp) {
        let seen = self.progress.seen(key.0);
        self.slot.set::<K>(key, moment(at));
        (at <= seen, seen)
    }

    /// A record of the first stream.
    fn left(&mut self, batch: &BatchOf<'_, A>, index: usize, at: Timestamp) -> Result<(), StateError> {
        let key = (batch.hashes()[index], batch.key_bytes::<K>(index));
        let (late, seen) = self.wait_for(key, at);
        if late {
            self.progress.enter_late(key, at, seen, moment(at));
            self.on_late.0.late(self.op, batch.record(index), at);
            return Ok(());
        }
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        kept.left.push(kept.store.arena(), &self.slot, batch.record_bytes(index), at)?;
        kept.timers.register(kept.store.arena(), at, self.slot.hash, &self.slot.bytes).map(drop)
    }

    /// A version. One that comes late is in force from here on, unless the one in force is newer.
    fn right(&mut self, batch: &BatchOf<'_, B>, index: usize, at: Timestamp) -> Result<(), StateError> {
        let key = (batch.hashes()[index], batch.key_bytes::<K>(index));
        let (late, seen) = self.wait_for(key, at);
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        if !late {
            kept.right.push(kept.store.arena(), &self.slot, batch.record_bytes(index), at)?;
            return kept.timers.register(kept.store.arena(), at, self.slot.hash, &self.slot.bytes).map(drop);
        }
        let newest = kept.since(key)?.is_none_or(|since| since <= at.0);
        if newest && ends_at(at, self.within) > seen {
            let kept = self.kept.as_mut().expect("open comes before the first batch");
            kept.bring_into_force(key, &B::owned(batch.record(index)), at)?;
            return self.note_end(at);
        }
        self.progress.enter_late(key, at, seen, moment(at));
        self.on_late.1.late(self.op, batch.record(index), at);
        Ok(())
    }

    /// Sees to it that the version of the slot at hand does not stay longer than it is in force.
    fn note_end(&mut self, since: Timestamp) -> Result<(), StateError> {
        let ends_at = ends_at(since, self.within);
        if self.within == i64::MAX || ends_at == Timestamp::MAX {
            return Ok(());
        }
        let kept = self.kept.as_mut().expect("open comes first");
        kept.timers.register(kept.store.arena(), ends_at, self.slot.hash, &self.slot.bytes).map(drop)
    }

    /// Handles the next thing that is due. Says whether there was one.
    fn timer(&mut self, up_to: Timestamp) -> Result<Pop, StateError> {
        let kept = self.kept.as_mut().expect("open comes first");
        let popped = kept.timers.pop(kept.store.arena(), up_to, &mut self.due)?;
        if popped != Pop::Due {
            return Ok(popped);
        }
        self.slot.hash = self.due.hash;
        self.slot.bytes.clone_from(&self.due.key);
        let bytes = std::mem::take(&mut self.due.key);
        let (moment, hash, key) = Slot::split::<K>(&bytes);
        let at_hand = KeyAtHand::<K>::new((hash, key), self.seed);
        if self.due.at == moment.start {
            self.comes((hash, key), moment.start)?;
        } else if kept.since((hash, key))? == Some(moment.start.0) {
            kept.end((hash, key))?;
        }
        drop(at_hand);
        self.due.key = bytes;
        Ok(Pop::Due)
    }

    /// Event time has come to that of a key's versions and records at hand: versions come first, of which the last counts.
    fn comes(&mut self, key: (KeyHash, &[u8]), at: Timestamp) -> Result<(), StateError> {
        let kept = self.kept.as_mut().expect("open comes first");
        let mut version = None;
        kept.right.read(kept.store.arena(), &self.slot, |_, last| version = Some(last.value))?;
        if let Some(version) = version {
            kept.right.clear(kept.store.arena(), &self.slot)?;
            kept.bring_into_force(key, &version, at)?;
            self.note_end(at)?;
        }
        let kept = self.kept.as_mut().expect("open comes first");
        let mut records = std::mem::take(&mut self.left);
        kept.left.read(kept.store.arena(), &self.slot, |_, record| records.push(record))?;
        if !records.is_empty() {
            kept.left.clear(kept.store.arena(), &self.slot)?;
            // One that has come to its end may still be there: timers of one time fire in any order.
            let since = kept.since(key)?.map(Timestamp).filter(|since| ends_at(*since, self.within) > at);
            let version = match since {
                Some(_) => kept.versions.get(kept.store.arena(), key.0, key.1, B::owned)?,
                None => None,
            };
            for record in records.drain(..) {
                self.call(key, (at, since), (&record.value, version.as_ref()));
            }
        }
        self.left = records;
        Ok(())
    }

    fn call(
        &mut self,
        key: (KeyHash, &[u8]),
        (at, since): (Timestamp, Option<Timestamp>),
        (record, version): (&A, Option<&B>),
    ) {
        let function = &mut self.function;
        let mut context = JoinContext {
            op: self.op,
            seed: self.seed,
            key,
            left: Some(at),
            right: since,
            watermark: self.progress.watermark,
            out: &mut self.out,
            types: PhantomData,
        };
        Blame::on(self.op, || function.call(Some(record), version, &mut context));
    }

    /// How many lists, timers and versions there are.
    #[cfg(test)]
    pub(super) fn left_behind(&self) -> [u64; 3] {
        let kept = self.kept.as_ref().expect("open comes first");
        [kept.left.len() + kept.right.len(), kept.timers.len(), kept.versions.len()]
    }

    fn checked<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}

/// When a version is in force no longer.
fn ends_at(since: Timestamp, within: i64) -> Timestamp {
    Timestamp(since.0.saturating_add(within).saturating_add(1))
}

/// A single tick as a window: what a list is kept under.
fn moment(at: Timestamp) -> TimeWindow {
    TimeWindow { start: at, end: Timestamp(at.0.saturating_add(1)) }
}

impl<A, B, K, F, L, M> Fed for AsOfJoin<A, B, K, F, L, M>
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

impl<A, B, K, F, L, M> Operator for AsOfJoin<A, B, K, F, L, M>
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

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &EitherBatch<'_, A, B>, _: &mut P) {
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            let taken = match batch {
                EitherBatch::First(batch) => self.left(batch, index, at),
                EitherBatch::Second(batch) => self.right(batch, index, at),
            };
            self.checked(taken);
        }
    }

    fn end_key<P: Push<FromExchange<Self>>>(&mut self, key: (KeyHash, &[u8]), _: &mut P) {
        self.progress.begin_anew();
        let ended = self.kept.as_mut().expect("open comes first").end(key);
        self.checked(ended);
    }

    fn switch(&mut self, _: Epoch) -> Option<OperatorSnapshot> {
        let kept = self.kept.as_ref()?;
        let mut contents = Contents::default();
        kept.left.list(&mut contents);
        kept.right.list(&mut contents);
        contents
            .timers(TIMERS, &kept.timers)
            .table(VERSIONS, kept.versions.meta())
            .table(SINCE, kept.since.meta());
        Some(kept.store.snapshot(contents.own(self.progress.words())))
    }

    fn gauge(&self, gauges: &mut Gauges) {
        gauges.late_records += self.progress.late.count();
        if let Some(kept) = &self.kept {
            gauges.keys += kept.left.len() + kept.right.len() + kept.versions.len();
        }
    }
}

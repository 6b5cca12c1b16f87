//! Folds per key and event-time window. An aggregating window is slices, not timers: one table per slice, and firing walks it in
//! bounded pieces.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::failure::{BatchCursor, Blame, Cause, Failure, raise};
use super::fold::Rule;
use super::keyed::{Fed, Firing, FromExchange, Operator};
use super::keyed_state::{OperatorState, State};
use super::inputs::One;
use super::segment::OpenContext;
use super::typed::BatchOf;
use super::{OpId, Push, owned_items};
use crate::arena::Arena;
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::record::Record;
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::state::Table;
use crate::time::KeyGroupFloors;
use crate::window::{Slices, TimeWindow, TumblingWindows};

/// How many pages of a slice's table one piece of a firing walks.
const PAGES_PER_PIECE: usize = 1;

/// The result of one window for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowResult<K, V> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: TimeWindow,
    /// What its records add up to.
    pub value: V,
}

/// The operator of aggregating windows.
pub struct WindowFold<T: Record, K: Key + ?Sized, R: Rule<T>> {
    op: OpId,
    windows: TumblingWindows,
    rule: R,
    seed: HashSeed,
    tables: Option<Tables<K, R::Acc>>,
    /// By the end of the slice.
    slices: BTreeMap<Timestamp, Table<K, R::Acc>>,
    /// Where the walk through the first slice's table goes on, if it has begun.
    resume: Option<KeyHash>,
    watermark: Timestamp,
    /// After a rescaling: what each key group had already seen.
    floors: KeyGroupFloors,
    late: u64,
    scratch: Scratch,
    types: PhantomData<fn() -> T>,
}

/// The operator's state, open.
struct Tables<K: ?Sized, A> {
    states: OperatorState,
    slice: State<K, A>,
}

/// Room for taking a batch apart that falls into several slices.
#[derive(Default)]
struct Scratch {
    pending: Vec<u32>,
    rest: Vec<u32>,
    chosen: Vec<u32>,
    hashes: Vec<KeyHash>,
}

impl<T: Record, K: Key + ?Sized, R: Rule<T>> WindowFold<T, K, R> {
    pub(crate) fn new(op: OpId, windows: TumblingWindows, rule: R) -> Self {
        WindowFold {
            op,
            windows,
            rule,
            seed: HashSeed(0),
            tables: None,
            slices: BTreeMap::new(),
            resume: None,
            watermark: Timestamp::MIN,
            floors: KeyGroupFloors::none(),
            late: 0,
            scratch: Scratch::default(),
            types: PhantomData,
        }
    }

    /// Adds records of one batch to one slice: those that `pick` numbers, whose hashes are `hashes`.
    fn add(
        &mut self,
        slice: Timestamp,
        batch: &BatchOf<'_, T>,
        hashes: &[KeyHash],
        pick: impl Fn(usize) -> usize,
    ) {
        let tables = self.tables.as_mut().expect("open comes before the first batch");
        let table = self.slices.entry(slice).or_insert_with(|| tables.states.create(&tables.slice));
        let (op, rule) = (self.op, &self.rule);
        let cursor = BatchCursor::over(batch.timestamps());
        let result = table.update_batch(
            tables.states.arena(),
            hashes,
            |index| batch.key_bytes::<K>(pick(index)),
            |index| {
                let index = pick(index);
                cursor.set(index);
                Blame::on(op, || rule.first(batch.record(index)))
            },
            |index, acc, new| {
                if !new {
                    let index = pick(index);
                    cursor.set(index);
                    Blame::on(op, || rule.next(acc, batch.record(index)));
                }
            },
        );
        if let Err(error) = result {
            raise(self.op, Cause::state(error));
        }
    }

    /// Whether a record comes too late: its window has fired.
    fn is_late(&self, end: Timestamp, hash: KeyHash) -> bool {
        let seen = self.watermark.max(self.floors.floor(hash));
        TimeWindow { start: Timestamp::MIN, end }.fires_at(seen)
    }

    /// Takes a batch apart whose records fall into several slices, or of which some may be late.
    #[cold]
    fn add_mixed(&mut self, batch: &BatchOf<'_, T>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.pending.clear();
        scratch.pending.extend(0..batch.len() as u32);
        while let Some(&first) = scratch.pending.first() {
            let slice = self.windows.slice_of(batch.timestamps()[first as usize]);
            scratch.chosen.clear();
            scratch.hashes.clear();
            scratch.rest.clear();
            for &index in &scratch.pending {
                let (at, hash) = (batch.timestamps()[index as usize], batch.hashes()[index as usize]);
                if !slice.contains(at) {
                    scratch.rest.push(index);
                } else if self.is_late(slice.end, hash) {
                    self.late += 1;
                } else {
                    scratch.chosen.push(index);
                    scratch.hashes.push(hash);
                }
            }
            std::mem::swap(&mut scratch.pending, &mut scratch.rest);
            if !scratch.chosen.is_empty() {
                let chosen = &scratch.chosen;
                self.add(slice.end, batch, &scratch.hashes, |index| chosen[index] as usize);
            }
        }
        self.scratch = scratch;
    }

    fn restore(&mut self, context: &OpenContext) -> Result<(), Cause> {
        let Some(restored) = &context.restored else { return Ok(()) };
        let name = context.name(self.op).to_owned();
        let tables = self.tables.as_mut().expect("made before it is restored");
        let same_shards = restored.shards() == context.shards;
        for (old_shard, snapshot) in restored.operators(&name) {
            let saved = Saved::decode(&snapshot.data).map_err(Cause::fatal)?;
            if same_shards {
                if old_shard != context.shard {
                    continue;
                }
                for (end, table) in saved.slices {
                    self.slices.insert(end, tables.states.restore(&tables.slice, table).map_err(Cause::state)?);
                }
                (self.resume, self.watermark, self.late) = (saved.resume, saved.watermark, saved.late);
                let mine = crate::element::KeyGroups::of_shard(context.shard, context.shards);
                self.floors = KeyGroupFloors::new(mine, saved.floors);
                continue;
            }
            let mut old = tables.states.old_shard(restored, old_shard, snapshot).map_err(Cause::state)?;
            let first_end = saved.slices.first().map(|(end, _)| *end);
            for (end, table) in saved.slices {
                // What a half-done firing had given out must not be given out again.
                let from = if Some(end) == first_end { saved.resume } else { None };
                let into = self.slices.entry(end).or_insert_with(|| tables.states.create(&tables.slice));
                tables.states.import(&tables.slice, into, &mut old, table, from).map_err(Cause::state)?;
            }
        }
        if !same_shards {
            let mine = crate::element::KeyGroups::of_shard(context.shard, context.shards);
            let mut floors = Vec::new();
            for (old_shard, snapshot) in restored.operators(&name) {
                let saved = Saved::decode(&snapshot.data).map_err(Cause::fatal)?;
                let range = crate::element::KeyGroups::of_shard(old_shard, restored.shards());
                floors.push((range, saved.watermark));
                floors.extend(saved.floors);
                if context.shard.0 == 0 {
                    self.late += saved.late;
                }
            }
            self.floors = KeyGroupFloors::new(mine, floors);
        }
        Ok(())
    }
}

impl<T: Record, K: Key + ?Sized, R: Rule<T>> Fed for WindowFold<T, K, R>
where
    R::Acc: Clone,
{
    owned_items!(WindowResult<K::Owned, R::Acc>);
}

impl<T: Record, K: Key + ?Sized, R: Rule<T>> Operator for WindowFold<T, K, R>
where
    R::Acc: Clone,
{
    type In = One<T>;

    fn op(&self) -> OpId {
        self.op
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.seed = context.seed;
        let mut states = OperatorState::open(context, self.op)?;
        let slice = states
            .declare(context, "window")
            .and_then(|slice| states.refuse_others(context).map(|()| slice))
            .map_err(|cause| Box::new(Failure::of(self.op, cause)))?;
        self.tables = Some(Tables { states, slice });
        self.restore(context).map_err(|cause| Box::new(Failure::of(self.op, cause)))
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, _: &mut P) {
        let timestamps = batch.timestamps();
        let (mut least, mut greatest) = (Timestamp::MAX, Timestamp::MIN);
        for &at in timestamps {
            least = least.min(at);
            greatest = greatest.max(at);
        }
        let slice = self.windows.slice_of(least);
        if slice.contains(greatest) && !slice.fires_at(self.watermark) && self.floors.is_empty() {
            self.add(slice.end, batch, batch.hashes(), |index| index);
        } else {
            self.add_mixed(batch);
        }
    }

    fn watermark<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, push: &mut P) -> Firing {
        self.watermark = self.watermark.max(at);
        let tables = self.tables.as_mut().expect("open comes before the first watermark");
        let Some((&end, table)) = self.slices.first_key_value() else {
            self.floors.pass(at);
            return Firing::Done;
        };
        let window = self.windows.slice_of(Timestamp(end.0 - 1));
        if !window.fires_at(at) {
            self.floors.pass(at);
            return Firing::Done;
        }
        let (seed, result_at) = (self.seed, window.max_timestamp());
        let from = self.resume.take().unwrap_or_default();
        let last = KeyHash(u64::MAX);
        let walked = table.walk(tables.states.arena(), from, last, PAGES_PER_PIECE, |hash, key_bytes, value| {
            let (key, value) = (K::decode(hash, key_bytes, seed), R::Acc::owned(value));
            push.push(WindowResult { key, window, value }, result_at);
        });
        match walked {
            Err(error) => raise(self.op, Cause::state(error)),
            Ok(Some(resume)) => self.resume = Some(resume),
            Ok(None) => {
                let (_, table) = self.slices.pop_first().expect("it was the first just now");
                table.discard(tables.states.arena());
            }
        }
        Firing::More
    }

    fn switch(&mut self, _: Epoch) -> Option<OperatorSnapshot> {
        let tables = self.tables.as_ref()?;
        let saved = Saved {
            slices: self.slices.iter().map(|(end, table)| (*end, table.meta())).collect(),
            resume: self.resume,
            watermark: self.watermark,
            late: self.late,
            floors: self.floors.ranges(),
        };
        Some(tables.states.snapshot(saved.encode()))
    }

    fn arena(&mut self) -> Option<&mut Arena> {
        self.tables.as_mut().map(|tables| tables.states.arena())
    }

    fn late_records(&self) -> u64 {
        self.late
    }

    fn gauge(&self, gauges: &mut Gauges) {
        gauges.late_records += self.late;
        gauges.keys += self.slices.values().map(Table::len).sum::<u64>();
    }
}

/// What a checkpoint holds of the operator beside its tables.
struct Saved {
    slices: Vec<(Timestamp, crate::state::TableMeta)>,
    resume: Option<KeyHash>,
    watermark: Timestamp,
    late: u64,
    floors: Vec<(crate::element::KeyGroups, Timestamp)>,
}

impl Saved {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.put_list(&self.slices, |out, (end, table)| {
            out.put_i64(end.0);
            super::keyed_state::put_table(out, table);
        });
        out.put_option(self.resume, |out, hash| {
            out.put_u64(hash.0);
        });
        out.put_i64(self.watermark.0).put_u64(self.late);
        out.put_list(&self.floors, |out, (groups, at)| {
            out.put_u32(groups.start).put_u32(groups.end).put_i64(at.0);
        });
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Saved, CodecError> {
        let mut input = Reader::new(bytes);
        let saved = Saved {
            slices: input.list("slices", 12, |input| {
                Ok((Timestamp(input.i64("slice end")?), super::keyed_state::table(input)?))
            })?,
            resume: input.option("firing position", |input| Ok(KeyHash(input.u64("firing position")?)))?,
            watermark: Timestamp(input.i64("watermark")?),
            late: input.u64("late records")?,
            floors: input.list("floors", 16, |input| {
                let groups = crate::element::KeyGroups {
                    start: input.u32("first key group")?,
                    end: input.u32("last key group")?,
                };
                Ok((groups, Timestamp(input.i64("floor")?)))
            })?,
        };
        input.finish()?;
        Ok(saved)
    }
}

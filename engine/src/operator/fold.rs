//! Running folds per key: `count`, `sum`, `min`, `max`, `min_by`, `max_by`, `reduce`, `fold`. One operator, one rule each.

use std::marker::PhantomData;

use super::failure::{BatchCursor, Blame, Cause, Cursor, Failure, raise};
use super::inputs::One;
use super::keyed::{Fed, FromExchange, Operator};
use super::keyed_state::KeyedState;
use super::segment::OpenContext;
use super::typed::{BatchOf, shown_key};
use super::{OpId, Push, owned_items};
use crate::arena::Arena;
use crate::channel::Batch;
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::record::{Record, View};
use crate::runtime::metrics::Gauges;
use crate::runtime::reads::{Read, StateRead};
use crate::runtime::snapshot::OperatorSnapshot;

/// How one record changes what is kept for its key.
pub trait Rule<T: Record>: 'static {
    /// What is kept per key.
    type Acc: Record;

    /// What is kept after the first record of a key.
    fn first(&self, record: &View<T>) -> Self::Acc;

    /// Takes a further record in.
    fn next(&self, acc: &mut Self::Acc, record: &View<T>);
}

/// What is given out after a record was taken in.
pub trait Emit<K: Key + ?Sized, A>: 'static {
    /// The output record.
    type Out: 'static;

    /// Makes it. `key` decodes the record's key.
    fn out(key: impl FnOnce() -> K::Owned, acc: &A) -> Self::Out;
}

/// Gives out the key and what is kept for it.
pub struct KeyAndValue;

impl<K: Key + ?Sized, A: Clone + 'static> Emit<K, A> for KeyAndValue {
    type Out = (K::Owned, A);

    #[inline(always)]
    fn out(key: impl FnOnce() -> K::Owned, acc: &A) -> (K::Owned, A) {
        (key(), acc.clone())
    }
}

/// Gives out only what is kept: a record that carries its key.
pub struct ValueOnly;

impl<K: Key + ?Sized, A: Clone + 'static> Emit<K, A> for ValueOnly {
    type Out = A;

    #[inline(always)]
    fn out(_: impl FnOnce() -> K::Owned, acc: &A) -> A {
        acc.clone()
    }
}

/// The number of records per key.
pub struct Count;

impl<T: Record> Rule<T> for Count {
    type Acc = u64;

    #[inline(always)]
    fn first(&self, _: &View<T>) -> u64 {
        1
    }

    #[inline(always)]
    fn next(&self, acc: &mut u64, _: &View<T>) {
        *acc += 1;
    }
}

/// Begins with a given value and changes it with each record.
pub struct FoldFrom<A, F> {
    pub(crate) init: A,
    pub(crate) f: F,
}

impl<T: Record, A: Record + Clone, F: Fn(&mut A, &View<T>) + 'static> Rule<T> for FoldFrom<A, F> {
    type Acc = A;

    #[inline(always)]
    fn first(&self, record: &View<T>) -> A {
        let mut acc = self.init.clone();
        (self.f)(&mut acc, record);
        acc
    }

    #[inline(always)]
    fn next(&self, acc: &mut A, record: &View<T>) {
        (self.f)(acc, record);
    }
}

/// Begins with the first record itself and takes the others into it.
pub struct Reduce<F>(pub(crate) F);

impl<T: Record, F: Fn(&mut T, T) + 'static> Rule<T> for Reduce<F> {
    type Acc = T;

    #[inline(always)]
    fn first(&self, record: &View<T>) -> T {
        T::owned(record)
    }

    #[inline(always)]
    fn next(&self, acc: &mut T, record: &View<T>) {
        (self.0)(acc, T::owned(record));
    }
}

/// The operator of all running folds. In batch mode they give out what they come to, and nothing on the way there.
pub struct KeyedFold<T: Record, K: Key + ?Sized, R: Rule<T>, E> {
    op: OpId,
    rule: R,
    seed: HashSeed,
    state: Option<KeyedState<K, R::Acc>>,
    /// Whether keys come one after the other.
    by_key: bool,
    /// What the key at hand has come to, and the event time of its last record, where keys come one after the other.
    current: Option<(R::Acc, Timestamp)>,
    types: PhantomData<fn() -> (T, E)>,
}

impl<T: Record, K: Key + ?Sized, R: Rule<T>, E> KeyedFold<T, K, R, E> {
    pub(crate) fn new(op: OpId, rule: R) -> Self {
        let (by_key, current) = (false, None);
        KeyedFold { op, rule, seed: HashSeed(0), state: None, by_key, current, types: PhantomData }
    }

    /// Takes in records of the key at hand.
    fn take(&mut self, batch: &BatchOf<'_, T>) {
        let (op, rule) = (self.op, &self.rule);
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            let record = batch.record(index);
            match &mut self.current {
                Some((acc, last)) => {
                    Blame::on(op, || rule.next(acc, record));
                    *last = at;
                }
                empty => *empty = Some((Blame::on(op, || rule.first(record)), at)),
            }
        }
    }
}

impl<T: Record, K: Key + ?Sized, R: Rule<T>, E: Emit<K, R::Acc>> Fed for KeyedFold<T, K, R, E> {
    owned_items!(E::Out);
}

impl<T: Record, K: Key + ?Sized, R: Rule<T>, E: Emit<K, R::Acc>> Operator for KeyedFold<T, K, R, E> {
    type In = One<T>;

    fn op(&self) -> OpId {
        self.op
    }

    fn show_key(&self, batch: Batch<'_>, index: usize) -> Option<String> {
        shown_key::<K>(batch, index, self.seed)
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.seed = context.seed;
        self.by_key = context.plan.mode.batch;
        self.state = Some(KeyedState::open(context, self.op, "value")?);
        Ok(())
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        if self.by_key {
            return self.take(batch);
        }
        let (op, seed, rule) = (self.op, self.seed, &self.rule);
        let (table, arena) = self.state.as_mut().expect("open comes before the first batch").parts();
        let (timestamps, hashes) = (batch.timestamps(), batch.hashes());
        let cursor = BatchCursor::over(timestamps);
        let result = table.update_batch(
            arena,
            hashes,
            |index| batch.key_bytes::<K>(index),
            |index| {
                cursor.set(index);
                Blame::on(op, || rule.first(batch.record(index)))
            },
            |index, acc, new| {
                cursor.set(index);
                if !new {
                    Blame::on(op, || rule.next(acc, batch.record(index)));
                }
                let key = || K::decode(hashes[index], batch.key_bytes::<K>(index), seed);
                push.push(E::out(key, acc), timestamps[index]);
            },
        );
        if let Err(error) = result {
            raise(op, Cause::state(error));
        }
    }

    fn end_key<P: Push<FromExchange<Self>>>(&mut self, (hash, key): (KeyHash, &[u8]), push: &mut P) {
        if let Some((acc, at)) = self.current.take() {
            push.push(E::out(|| K::decode(hash, key, self.seed), &acc), at);
        }
    }

    fn switch(&mut self, _: Epoch) -> Option<OperatorSnapshot> {
        self.state.as_ref().map(KeyedState::snapshot)
    }

    fn arena(&mut self) -> Option<&mut Arena> {
        self.state.as_mut().map(KeyedState::arena)
    }

    fn read_state(&mut self, read: &StateRead) -> Read {
        self.state.as_mut().map_or(Read::NoSuchState(Vec::new()), |state| state.read(read))
    }

    fn gauge(&self, gauges: &mut Gauges) {
        if let Some(state) = &self.state {
            gauges.keys += state.len();
        }
    }
}

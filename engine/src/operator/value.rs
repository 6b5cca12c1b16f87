//! One value per key, read and changed by a user's closure (Flink's `ValueState`).

use std::marker::PhantomData;

use super::failure::{Blame, Cause, Cursor, Failure, raise};
use super::flat_map::Out;
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

/// The state of the key at hand: at most one value.
pub struct Value<S> {
    current: Option<S>,
    changed: bool,
}

impl<S> Value<S> {
    /// What is kept for this key, if anything.
    pub fn get(&self) -> Option<&S> {
        self.current.as_ref()
    }

    /// Keeps a value for this key.
    pub fn set(&mut self, value: S) {
        self.current = Some(value);
        self.changed = true;
    }

    /// Keeps nothing for this key any more; its memory is free again.
    pub fn clear(&mut self) {
        self.changed |= self.current.is_some();
        self.current = None;
    }

    /// Takes out what is kept, leaving nothing.
    pub fn take(&mut self) -> Option<S> {
        self.changed |= self.current.is_some();
        self.current.take()
    }
}

/// Gives each record to a closure together with the value of its key.
pub struct WithValue<T, K: Key + ?Sized, S: Record, U, F> {
    op: OpId,
    state_name: &'static str,
    f: F,
    seed: HashSeed,
    state: Option<KeyedState<K, S>>,
    out: Out<U>,
    types: PhantomData<fn() -> T>,
}

impl<T, K: Key + ?Sized, S: Record, U, F> WithValue<T, K, S, U, F> {
    pub(crate) fn new(op: OpId, state_name: &'static str, f: F) -> Self {
        WithValue { op, state_name, f, seed: HashSeed(0), state: None, out: Out::new(), types: PhantomData }
    }
}

impl<T: Record, K: Key + ?Sized, S: Record, U: 'static, F> Fed for WithValue<T, K, S, U, F>
where
    F: for<'a> FnMut(&'a K::Owned, &'a View<T>, &mut Value<S>, &mut Out<U>) + 'static,
{
    owned_items!(U);
}

impl<T: Record, K: Key + ?Sized, S: Record, U: 'static, F> WithValue<T, K, S, U, F>
where
    F: for<'a> FnMut(&'a K::Owned, &'a View<T>, &mut Value<S>, &mut Out<U>) + 'static,
{
    fn one<P: Push<FromExchange<Self>>>(
        &mut self,
        batch: &BatchOf<'_, T>,
        index: usize,
        at: Timestamp,
        push: &mut P,
    ) -> Result<(), crate::state::StateError> {
        let state = self.state.as_mut().expect("open comes before the first batch");
        let (hash, key_bytes) = (batch.hashes()[index], batch.key_bytes::<K>(index));
        let (table, arena) = state.parts();
        let current = table.get(arena, hash, key_bytes, S::owned)?;
        let mut value = Value { current, changed: false };
        let key = K::decode(hash, key_bytes, self.seed);
        Blame::on(self.op, || (self.f)(&key, batch.record(index), &mut value, &mut self.out));
        if value.changed {
            match value.current {
                Some(new) => table.insert(arena, hash, key_bytes, &new)?,
                None => table.remove(arena, hash, key_bytes)?,
            };
        }
        for record in self.out.drain() {
            push.push(record, at);
        }
        Ok(())
    }
}

impl<T: Record, K: Key + ?Sized, S: Record, U: 'static, F> Operator for WithValue<T, K, S, U, F>
where
    F: for<'a> FnMut(&'a K::Owned, &'a View<T>, &mut Value<S>, &mut Out<U>) + 'static,
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
        self.state = Some(KeyedState::open(context, self.op, self.state_name)?);
        Ok(())
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            if let Err(error) = self.one(batch, index, at, push) {
                raise(self.op, Cause::state(error));
            }
        }
    }

    fn end_key<P: Push<FromExchange<Self>>>(&mut self, (hash, key): (KeyHash, &[u8]), _: &mut P) {
        let Some(state) = &mut self.state else { return };
        let (table, arena) = state.parts();
        if let Err(error) = table.remove(arena, hash, key) {
            raise(self.op, Cause::state(error));
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

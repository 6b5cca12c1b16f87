//! Records that come again: of each id only the first goes on.

use std::panic::Location;

use super::{Keyed, Stream};
use crate::key::Key;
use crate::operator::keyed::FromExchange;
use crate::operator::process::KeyedProcessing;
use crate::operator::{KeyedContext, KeyedProcess, MapKey, MapState, States, Ttl, ValueState};
use crate::record::{Record, View};

/// Which ids [`Keyed::dedup_by`] keeps for each key, to know them again.
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    /// So many different ones that came last.
    Last(u64),
    /// Each for so long after it first came.
    For(Ttl),
}

impl From<u64> for Keep {
    fn from(ids: u64) -> Self {
        Keep::Last(ids)
    }
}

impl From<Ttl> for Keep {
    fn from(ttl: Ttl) -> Self {
        Keep::For(ttl)
    }
}

/// The chain after [`Keyed::dedup_by`].
pub type Deduped<T, K, Q, F> = FromExchange<KeyedProcessing<T, K, Dedup<Q, F>>>;

impl<T: Record, K: Key + ?Sized> Keyed<T, K> {
    /// Lets a record pass only if none with the same id is known for its key: what an upstream that gives records again after a failure
    /// needs so that a sink has each once. What is known is keyed state and part of checkpoints. A repeat does not make its id live longer.
    ///
    /// ```
    /// use millstream_engine::prelude::*;
    /// use millstream_engine::testing::{Harness, Input};
    ///
    /// let mut once = Harness::single(|_, payments: Input<(u64, u64)>| {
    ///     payments.key_by(|payment| payment.0).dedup_by(|payment| payment.1, 10)
    /// });
    /// for id in [5u64, 6, 7, 6, 5, 8] {
    ///     once.push((1u64, id), 0);
    /// }
    /// assert_eq!(once.values(), [(1, 5), (1, 6), (1, 7), (1, 8)]);
    /// ```
    #[track_caller]
    pub fn dedup_by<Q, F>(self, id: F, keep: impl Into<Keep>) -> Stream<T, Deduped<T, K, Q, F>>
    where
        Q: MapKey,
        F: Fn(&View<T>) -> Q + 'static,
    {
        let dedup = Dedup {
            id,
            keep: keep.into(),
            known: MapState::default(),
            order: MapState::default(),
            next: ValueState::default(),
        };
        self.begin("dedup_by", true, Location::caller(), |op| KeyedProcessing::new(op, dedup))
    }
}

/// What [`Keyed::dedup_by`] does.
pub struct Dedup<Q, F> {
    id: F,
    keep: Keep,
    /// The number of each id that is known.
    known: MapState<Q, u64>,
    /// The ids by their numbers, where the oldest has to go.
    order: MapState<u64, Q>,
    /// The number of the next id.
    next: ValueState<u64>,
}

impl<T, K, Q, F> KeyedProcess<T, K> for Dedup<Q, F>
where
    T: Record,
    K: Key + ?Sized,
    Q: MapKey,
    F: Fn(&View<T>) -> Q + 'static,
{
    type Out = T;

    fn open(&mut self, states: &mut States<'_, K>) {
        match self.keep {
            Keep::For(ttl) => self.known = states.expiring(ttl).map("ids"),
            Keep::Last(_) => {
                self.known = states.map("ids");
                self.order = states.map("order");
                self.next = states.value("next");
            }
        }
    }

    fn process(&mut self, record: &View<T>, ctx: &mut KeyedContext<'_, K, T>) {
        let id = (self.id)(record);
        if ctx.map(&self.known).contains(&id) {
            return;
        }
        let mut number = 0;
        if let Keep::Last(ids) = self.keep {
            number = ctx.get(&self.next).unwrap_or(0);
            ctx.set(&self.next, number + 1);
            ctx.map(&self.order).put(&number, &id);
            // The ids that were kept before a restart with a smaller number stay known.
            if let Some(oldest) = number.checked_sub(ids)
                && let Some(forgotten) = ctx.map(&self.order).get(&oldest)
            {
                ctx.map(&self.order).remove(&oldest);
                ctx.map(&self.known).remove(&forgotten);
            }
        }
        ctx.map(&self.known).put(&id, &number);
        ctx.emit(T::owned(record));
    }
}

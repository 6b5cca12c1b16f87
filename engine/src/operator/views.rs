//! What comes out of an exchange when no state is kept: the records' views, as they lie in the frame.

use super::inputs::{Many, One};
use super::keyed::{Fed, FromExchange, Operator};
use super::segment::OpenContext;
use super::typed::BatchOf;
use super::{OpId, Push};
use crate::channel::{ChannelError, Outlet};
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::failure::{Cursor, Failure};
use crate::record::{Record, View};

/// A view with the bytes it lies in, so that it can be sent on without being archived again.
pub struct Viewed<'a, T: Record> {
    pub(crate) view: &'a View<T>,
    pub(crate) bytes: &'a [u8],
}

impl<T: Record> Clone for Viewed<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Record> Copy for Viewed<'_, T> {}

/// Hands the records of an exchange on as views.
pub struct Views<T> {
    op: OpId,
    record: std::marker::PhantomData<fn() -> T>,
}

impl<T> Views<T> {
    pub(crate) fn new(op: OpId) -> Self {
        Views { op, record: std::marker::PhantomData }
    }
}

/// The parts of [`Fed`] of an operator that hands views on.
macro_rules! viewed_items {
    () => {
        type Record = T;
        type Item<'a> = Viewed<'a, T>;
        type Arg<'a> = &'a View<T>;
        type Ref = View<T>;

        #[inline(always)]
        fn arg<'a>(item: Self::Item<'a>) -> Self::Arg<'a> {
            item.view
        }

        #[inline(always)]
        fn by_ref<'b>(item: &'b Viewed<'_, T>) -> &'b View<T> {
            item.view
        }

        #[inline(always)]
        fn owned(item: Viewed<'_, T>) -> T {
            T::owned(item.view)
        }

        #[inline(always)]
        fn append<K: Key + ?Sized>(
            item: &Viewed<'_, T>,
            at: Timestamp,
            hash: KeyHash,
            key: &K,
            outlet: &mut Outlet,
        ) -> Result<(), ChannelError> {
            outlet.push_archived(at, hash, key, item.bytes)
        }

        #[inline(always)]
        fn append_unkeyed(
            item: &Viewed<'_, T>,
            at: Timestamp,
            outlet: &mut Outlet,
        ) -> Result<(), ChannelError> {
            outlet.push_archived_unkeyed(at, item.bytes)
        }
    };
}

pub(crate) use viewed_items;

impl<T: Record> Fed for Views<T> {
    viewed_items!();
}

impl<T: Record> Operator for Views<T> {
    type In = One<T>;

    const BY_KEY: bool = false;

    fn op(&self) -> OpId {
        self.op
    }

    fn open(&mut self, _: &OpenContext) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        hand_on(batch, |item, at| push.push(item, at));
    }
}

/// Hands the records of several exchanges on as views: the union of their streams.
pub struct Union<T> {
    op: OpId,
    record: std::marker::PhantomData<fn() -> T>,
}

impl<T> Union<T> {
    pub(crate) fn new(op: OpId) -> Self {
        Union { op, record: std::marker::PhantomData }
    }
}

impl<T: Record> Fed for Union<T> {
    viewed_items!();
}

impl<T: Record> Operator for Union<T> {
    type In = Many<T>;

    const BY_KEY: bool = false;

    fn op(&self) -> OpId {
        self.op
    }

    fn open(&mut self, _: &OpenContext) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, (_, batch): &(usize, BatchOf<'_, T>), push: &mut P) {
        hand_on(batch, |item, at| push.push(item, at));
    }
}

#[inline(always)]
pub(crate) fn hand_on<'a, T: Record>(batch: &BatchOf<'a, T>, mut to: impl FnMut(Viewed<'a, T>, Timestamp)) {
    let mut cursor = Cursor::new();
    for (index, &at) in batch.timestamps().iter().enumerate() {
        (cursor.index, cursor.at) = (index, at);
        to(Viewed { view: batch.record(index), bytes: batch.record_bytes(index) }, at);
    }
}

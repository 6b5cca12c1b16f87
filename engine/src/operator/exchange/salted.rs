//! Keys that are split: the records of one key go to several places in turn.

use std::cell::Cell;
use std::marker::PhantomData;

use super::KeyFn;
use crate::key::{Key, KeyPart};
use crate::operator::OpId;
use crate::operator::failure::Blame;

/// A key and the number of one of the places that its records go to.
pub struct Salted<F, K> {
    key: F,
    ways: u16,
    next: Cell<u16>,
    types: PhantomData<fn() -> K>,
}

impl<F, K> Salted<F, K> {
    pub(crate) fn new(key: F, ways: u16) -> Self {
        Salted { key, ways, next: Cell::new(0), types: PhantomData }
    }
}

impl<R, F, K> KeyFn<R> for Salted<F, K>
where
    R: ?Sized,
    F: Fn(&R) -> K + 'static,
    K: KeyPart + 'static,
    (K, u16): Key,
{
    type Key = (K, u16);

    // The next record of the same key is to go elsewhere.
    const IS_FUNCTION: bool = false;

    #[inline(always)]
    fn with_key<O>(&self, record: &R, op: OpId, then: impl FnOnce(&(K, u16)) -> O) -> O {
        let salt = self.next.get();
        self.next.set(if salt + 1 >= self.ways { 0 } else { salt + 1 });
        then(&(Blame::on(op, || (self.key)(record)), salt))
    }
}

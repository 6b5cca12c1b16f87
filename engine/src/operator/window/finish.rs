//! What becomes of a window's value, and of records that came too late.

use crate::element::Timestamp;
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::failure::Blame;
use crate::operator::flat_map::Out;
use crate::operator::side::Tag;
use crate::record::{Record, View};
use crate::window::{WindowContext, WindowResult};

/// Makes records of a window's value.
pub trait Finish<K: Key + ?Sized, V>: 'static {
    /// The output record.
    type Out: 'static;

    /// Hands every record to `give`.
    fn finish(&mut self, op: OpId, context: WindowContext<K::Owned>, value: V, give: impl FnMut(Self::Out));
}

/// Gives out the value with its key and window.
pub struct Whole;

impl<K: Key + ?Sized, V: 'static> Finish<K, V> for Whole {
    type Out = WindowResult<K::Owned, V>;

    #[inline(always)]
    fn finish(
        &mut self,
        _: OpId,
        context: WindowContext<K::Owned>,
        value: V,
        mut give: impl FnMut(Self::Out),
    ) {
        let WindowContext { key, window, firing, .. } = context;
        give(WindowResult { key, window, value, firing });
    }
}

/// Gives out what a closure makes of the value.
pub struct With<F, U> {
    f: F,
    out: Out<U>,
}

impl<F, U> With<F, U> {
    pub(crate) fn new(f: F) -> Self {
        With { f, out: Out::new() }
    }
}

impl<K, V, F, U> Finish<K, V> for With<F, U>
where
    K: Key + ?Sized,
    V: 'static,
    F: FnMut(&WindowContext<K::Owned>, V, &mut Out<U>) + 'static,
    U: 'static,
{
    type Out = U;

    #[inline(always)]
    fn finish(&mut self, op: OpId, context: WindowContext<K::Owned>, value: V, mut give: impl FnMut(U)) {
        Blame::on(op, || (self.f)(&context, value, &mut self.out));
        self.out.drain().for_each(&mut give);
    }
}

/// Takes the records that came too late for all their windows.
pub trait OnLate<T: Record>: 'static {
    /// Takes one of them, which was late for `op`.
    fn late(&mut self, op: OpId, record: &View<T>, at: Timestamp);
}

/// Lets them go: they are counted all the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct DropLate;

impl<T: Record> OnLate<T> for DropLate {
    #[inline(always)]
    fn late(&mut self, _: OpId, _: &View<T>, _: Timestamp) {}
}

/// Gives them out beside the results.
pub struct LateTo<T>(pub(crate) Tag<T>);

impl<T: Record> OnLate<T> for LateTo<T> {
    #[cold]
    fn late(&mut self, op: OpId, record: &View<T>, at: Timestamp) {
        self.0.emit(op, &T::owned(record), at);
    }
}

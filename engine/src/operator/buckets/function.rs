//! What is called when a window fires.

use super::context::{ProcessWindowContext, WindowStates};
use crate::key::Key;
use crate::operator::flat_map::Out;
use crate::operator::window::finish::Finish;
use crate::operator::window::rule::WindowRule;
use crate::record::{Record, RecordBuf};
use crate::window::{Timed, WindowContext};

/// A function of a window's contents. `V` is what [contents](super::contents::Contents) give it.
pub trait WindowFunction<K: Key + ?Sized, V>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Declares what it keeps.
    #[doc(hidden)]
    fn open(&mut self, states: &mut WindowStates<'_, K>) {
        let _ = states;
    }

    /// The window fires.
    #[doc(hidden)]
    fn call(&mut self, values: &mut V, ctx: &mut ProcessWindowContext<'_, K, Self::Out>);

    /// The window is over.
    #[doc(hidden)]
    fn clear(&mut self, ctx: &mut ProcessWindowContext<'_, K, Self::Out>) {
        let _ = ctx;
    }
}

/// What a window adds up to, made into records by a [`Finish`].
pub struct Finished<F>(pub(crate) F);

impl<K: Key + ?Sized, V: 'static, F: Finish<K, V>> WindowFunction<K, Vec<Timed<V>>> for Finished<F> {
    type Out = F::Out;

    fn call(&mut self, values: &mut Vec<Timed<V>>, ctx: &mut ProcessWindowContext<'_, K, F::Out>) {
        if let Some(Timed { value, .. }) = values.pop() {
            finish(&mut self.0, value, ctx);
        }
    }
}

fn finish<K: Key + ?Sized, V, F: Finish<K, V>>(
    with: &mut F,
    value: V,
    ctx: &mut ProcessWindowContext<'_, K, F::Out>,
) {
    with.finish(ctx.op, ctx.window_context(), value, |record| ctx.emit(record));
}

/// Adds the elements up that an evictor has left, then finishes.
pub struct AddedUp<R, F> {
    rule: R,
    finish: F,
    bytes: RecordBuf,
}

impl<R, F> AddedUp<R, F> {
    pub(crate) fn new(rule: R, finish: F) -> Self {
        AddedUp { rule, finish, bytes: RecordBuf::new() }
    }
}

impl<T, K, R, F> WindowFunction<K, Vec<Timed<T>>> for AddedUp<R, F>
where
    T: Record,
    K: Key + ?Sized,
    R: WindowRule<T>,
    F: Finish<K, R::Out>,
{
    type Out = F::Out;

    fn call(&mut self, values: &mut Vec<Timed<T>>, ctx: &mut ProcessWindowContext<'_, K, F::Out>) {
        let mut acc = None;
        for element in values.iter() {
            self.bytes.clear();
            element.value.encode(&mut self.bytes);
            let view = T::view(&self.bytes).expect("what has just been archived can be viewed");
            match &mut acc {
                Some(acc) => self.rule.next(acc, view),
                none => *none = Some(self.rule.first(view)),
            }
        }
        if let Some(acc) = acc {
            finish(&mut self.finish, self.rule.result(acc), ctx);
        }
    }
}

/// The elements of a window, as its function sees them.
#[derive(Debug)]
pub struct Elements<'a, T>(&'a [Timed<T>]);

impl<T> Clone for Elements<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Elements<'_, T> {}

impl<'a, T> Elements<'a, T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none, which happens only where an evictor has taken them all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The elements in the order of their arrival.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a T> + ExactSizeIterator {
        self.0.iter().map(|element| &element.value)
    }

    /// The elements with their timestamps.
    pub fn timed(&self) -> &'a [Timed<T>] {
        self.0
    }
}

impl<'a, T> IntoIterator for Elements<'a, T> {
    type Item = &'a T;
    type IntoIter = std::iter::Map<std::slice::Iter<'a, Timed<T>>, fn(&'a Timed<T>) -> &'a T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|element| &element.value)
    }
}

/// A function of a window's elements, with state of its own (Flink's `ProcessWindowFunction`,
/// <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/windows/#processwindowfunction>).
///
/// After an aggregate, `T` is its result, and there is one element.
pub trait ProcessWindow<T: 'static, K: Key + ?Sized>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Called once on each shard, before anything else: declares states.
    fn open(&mut self, states: &mut WindowStates<'_, K>) {
        let _ = states;
    }

    /// The window fires for a key.
    fn process(&mut self, elements: Elements<'_, T>, ctx: &mut ProcessWindowContext<'_, K, Self::Out>);

    /// The window is over: what is kept for it goes by itself after this; what is kept for the key stays.
    fn clear(&mut self, ctx: &mut ProcessWindowContext<'_, K, Self::Out>) {
        let _ = ctx;
    }
}

/// Calls a [`ProcessWindow`].
pub struct Processed<P>(pub(crate) P);

impl<T: 'static, K: Key + ?Sized, P: ProcessWindow<T, K>> WindowFunction<K, Vec<Timed<T>>> for Processed<P> {
    type Out = P::Out;

    fn open(&mut self, states: &mut WindowStates<'_, K>) {
        self.0.open(states);
    }

    fn call(&mut self, values: &mut Vec<Timed<T>>, ctx: &mut ProcessWindowContext<'_, K, P::Out>) {
        self.0.process(Elements(values), ctx);
    }

    fn clear(&mut self, ctx: &mut ProcessWindowContext<'_, K, P::Out>) {
        self.0.clear(ctx);
    }
}

/// Calls a closure with the window, its elements and where to put output.
pub struct Applied<F, U> {
    f: F,
    out: Out<U>,
}

impl<F, U> Applied<F, U> {
    pub(crate) fn new(f: F) -> Self {
        Applied { f, out: Out::new() }
    }
}

impl<T, K, F, U> WindowFunction<K, Vec<Timed<T>>> for Applied<F, U>
where
    T: 'static,
    K: Key + ?Sized,
    F: FnMut(&WindowContext<K::Owned>, Elements<'_, T>, &mut Out<U>) + 'static,
    U: 'static,
{
    type Out = U;

    fn call(&mut self, values: &mut Vec<Timed<T>>, ctx: &mut ProcessWindowContext<'_, K, U>) {
        (self.f)(&ctx.window_context(), Elements(values), &mut self.out);
        self.out.drain().for_each(|record| ctx.emit(record));
    }
}

/// Calls a closure with the window, the elements of both streams and where to put output.
pub struct AppliedToBoth<F, U> {
    f: F,
    out: Out<U>,
}

impl<F, U> AppliedToBoth<F, U> {
    pub(crate) fn new(f: F) -> Self {
        AppliedToBoth { f, out: Out::new() }
    }
}

impl<A, B, K, F, U> WindowFunction<K, (Vec<Timed<A>>, Vec<Timed<B>>)> for AppliedToBoth<F, U>
where
    A: 'static,
    B: 'static,
    K: Key + ?Sized,
    F: FnMut(&WindowContext<K::Owned>, Elements<'_, A>, Elements<'_, B>, &mut Out<U>) + 'static,
    U: 'static,
{
    type Out = U;

    fn call(
        &mut self,
        (first, second): &mut (Vec<Timed<A>>, Vec<Timed<B>>),
        ctx: &mut ProcessWindowContext<'_, K, U>,
    ) {
        (self.f)(&ctx.window_context(), Elements(first), Elements(second), &mut self.out);
        self.out.drain().for_each(|record| ctx.emit(record));
    }
}

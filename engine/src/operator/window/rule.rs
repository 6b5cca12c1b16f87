//! Rules of windows: how records add up, how parts of a window are put together, and how a part is taken out again.

use std::marker::PhantomData;

use crate::operator::fold::{Count, Reduce, Rule};
use crate::record::{Record, View};
use crate::window::Aggregate;

/// A [`Rule`] whose accumulators can be put together.
pub trait WindowRule<T: Record>: Rule<T, Acc: Clone> {
    /// The result of a window.
    type Out: 'static;

    /// Whether [`WindowRule::retract`] always succeeds.
    const ALWAYS_RETRACTS: bool;

    /// Takes in what a later part has added up to.
    fn merge(&self, acc: &mut Self::Acc, other: &Self::Acc);

    /// Takes out what a part had added up to, if that is possible. Other parts remain.
    fn retract(&self, acc: &mut Self::Acc, part: &Self::Acc) -> bool;

    /// The result.
    fn result(&self, acc: Self::Acc) -> Self::Out;
}

impl<T: Record> WindowRule<T> for Count {
    type Out = u64;
    const ALWAYS_RETRACTS: bool = true;

    #[inline(always)]
    fn merge(&self, acc: &mut u64, other: &u64) {
        *acc += other;
    }

    #[inline(always)]
    fn retract(&self, acc: &mut u64, part: &u64) -> bool {
        *acc -= part;
        true
    }

    #[inline(always)]
    fn result(&self, acc: u64) -> u64 {
        acc
    }
}

impl<T: Record + Clone, F: Fn(&mut T, T) + 'static> WindowRule<T> for Reduce<F> {
    type Out = T;
    const ALWAYS_RETRACTS: bool = false;

    fn merge(&self, acc: &mut T, other: &T) {
        (self.0)(acc, other.clone());
    }

    fn retract(&self, _: &mut T, _: &T) -> bool {
        false
    }

    #[inline(always)]
    fn result(&self, acc: T) -> T {
        acc
    }
}

/// A number that sums can be made of.
pub trait Addend: Record + Copy {
    /// Whether what was added can be taken out again without a trace. Not so for floats: what is left depends on what was there.
    const EXACT: bool;

    /// The sum.
    fn plus(self, other: Self) -> Self;

    /// The difference.
    fn minus(self, other: Self) -> Self;
}

macro_rules! addends {
    ($exact:literal: $($number:ty)*) => {$(
        impl Addend for $number {
            const EXACT: bool = $exact;

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self + other
            }

            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self - other
            }
        }
    )*};
}
addends!(true: i8 i16 i32 i64 i128 u8 u16 u32 u64 u128);
addends!(false: f32 f64);

/// The sum of what a closure gives for each record.
pub struct SumOf<N, F> {
    of: F,
    number: PhantomData<fn() -> N>,
}

impl<N, F> SumOf<N, F> {
    pub(crate) fn new(of: F) -> Self {
        SumOf { of, number: PhantomData }
    }
}

impl<T: Record, N: Addend, F: Fn(&View<T>) -> N + 'static> Rule<T> for SumOf<N, F> {
    type Acc = N;

    #[inline(always)]
    fn first(&self, record: &View<T>) -> N {
        (self.of)(record)
    }

    #[inline(always)]
    fn next(&self, acc: &mut N, record: &View<T>) {
        *acc = acc.plus((self.of)(record));
    }
}

impl<T: Record, N: Addend, F: Fn(&View<T>) -> N + 'static> WindowRule<T> for SumOf<N, F> {
    type Out = N;
    const ALWAYS_RETRACTS: bool = N::EXACT;

    #[inline(always)]
    fn merge(&self, acc: &mut N, other: &N) {
        *acc = acc.plus(*other);
    }

    #[inline(always)]
    fn retract(&self, acc: &mut N, part: &N) -> bool {
        if N::EXACT {
            *acc = acc.minus(*part);
        }
        N::EXACT
    }

    #[inline(always)]
    fn result(&self, acc: N) -> N {
        acc
    }
}

/// The least (or with `GREATEST` the greatest) of what a closure gives for each record.
pub struct ExtremeOf<N, F, const GREATEST: bool> {
    of: F,
    number: PhantomData<fn() -> N>,
}

impl<N: PartialOrd, F, const GREATEST: bool> ExtremeOf<N, F, GREATEST> {
    pub(crate) fn new(of: F) -> Self {
        ExtremeOf { of, number: PhantomData }
    }

    /// Whether `a` wins against `b`.
    #[inline(always)]
    fn beats(a: &N, b: &N) -> bool {
        if GREATEST { a > b } else { a < b }
    }
}

impl<T: Record, N, F, const GREATEST: bool> Rule<T> for ExtremeOf<N, F, GREATEST>
where
    N: Record + PartialOrd,
    F: Fn(&View<T>) -> N + 'static,
{
    type Acc = N;

    #[inline(always)]
    fn first(&self, record: &View<T>) -> N {
        (self.of)(record)
    }

    #[inline(always)]
    fn next(&self, acc: &mut N, record: &View<T>) {
        let new = (self.of)(record);
        if Self::beats(&new, acc) {
            *acc = new;
        }
    }
}

impl<T: Record, N, F, const GREATEST: bool> WindowRule<T> for ExtremeOf<N, F, GREATEST>
where
    N: Record + PartialOrd + Clone,
    F: Fn(&View<T>) -> N + 'static,
{
    type Out = N;
    const ALWAYS_RETRACTS: bool = false;

    #[inline(always)]
    fn merge(&self, acc: &mut N, other: &N) {
        if Self::beats(other, acc) {
            *acc = other.clone();
        }
    }

    #[inline(always)]
    fn retract(&self, acc: &mut N, part: &N) -> bool {
        // A part that had lost takes nothing away.
        Self::beats(acc, part)
    }

    #[inline(always)]
    fn result(&self, acc: N) -> N {
        acc
    }
}

/// A sum and how many numbers it is of.
#[derive(Clone, Copy, Debug, crate::record::Record)]
#[repr(C)]
pub struct Mean {
    sum: f64,
    count: u64,
}

/// The mean of what a closure gives for each record.
pub struct MeanOf<F>(pub(crate) F);

impl<T: Record, F: Fn(&View<T>) -> f64 + 'static> Rule<T> for MeanOf<F> {
    type Acc = Mean;

    #[inline(always)]
    fn first(&self, record: &View<T>) -> Mean {
        Mean { sum: (self.0)(record), count: 1 }
    }

    #[inline(always)]
    fn next(&self, acc: &mut Mean, record: &View<T>) {
        acc.sum += (self.0)(record);
        acc.count += 1;
    }
}

impl<T: Record, F: Fn(&View<T>) -> f64 + 'static> WindowRule<T> for MeanOf<F> {
    type Out = f64;
    const ALWAYS_RETRACTS: bool = false;

    #[inline(always)]
    fn merge(&self, acc: &mut Mean, other: &Mean) {
        acc.sum += other.sum;
        acc.count += other.count;
    }

    fn retract(&self, _: &mut Mean, _: &Mean) -> bool {
        false
    }

    #[inline(always)]
    fn result(&self, acc: Mean) -> f64 {
        acc.sum / acc.count as f64
    }
}

/// How the accumulators of a fold are put together.
pub trait Merge<A>: 'static {
    /// Takes in what a later part has added up to.
    fn merge(&self, acc: &mut A, other: &A);
}

impl<A, M: Fn(&mut A, &A) + 'static> Merge<A> for M {
    #[inline(always)]
    fn merge(&self, acc: &mut A, other: &A) {
        self(acc, other);
    }
}

/// For windows of one slice: there is nothing to put together.
pub struct OnePart;

impl<A> Merge<A> for OnePart {
    fn merge(&self, _: &mut A, _: &A) {
        unreachable!(
            "folds without a way to merge are offered for tumbling windows only, which are one slice"
        )
    }
}

/// Begins with a given value, changes it with each record, and puts parts together with `merge`.
pub struct FoldParts<A, F, M> {
    pub(crate) init: A,
    pub(crate) f: F,
    pub(crate) merge: M,
}

impl<T, A, F, M> Rule<T> for FoldParts<A, F, M>
where
    T: Record,
    A: Record + Clone,
    F: Fn(&mut A, &View<T>) + 'static,
    M: Merge<A>,
{
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

impl<T, A, F, M> WindowRule<T> for FoldParts<A, F, M>
where
    T: Record,
    A: Record + Clone,
    F: Fn(&mut A, &View<T>) + 'static,
    M: Merge<A>,
{
    type Out = A;
    const ALWAYS_RETRACTS: bool = false;

    #[inline(always)]
    fn merge(&self, acc: &mut A, other: &A) {
        self.merge.merge(acc, other);
    }

    fn retract(&self, _: &mut A, _: &A) -> bool {
        false
    }

    #[inline(always)]
    fn result(&self, acc: A) -> A {
        acc
    }
}

/// An [`Aggregate`] of the program's own.
pub struct ByAggregate<A>(pub(crate) A);

impl<T: Record, A: Aggregate<T>> Rule<T> for ByAggregate<A> {
    type Acc = A::Acc;

    #[inline(always)]
    fn first(&self, record: &View<T>) -> A::Acc {
        let mut acc = self.0.create();
        self.0.add(&mut acc, record);
        acc
    }

    #[inline(always)]
    fn next(&self, acc: &mut A::Acc, record: &View<T>) {
        self.0.add(acc, record);
    }
}

impl<T: Record, A: Aggregate<T>> WindowRule<T> for ByAggregate<A> {
    type Out = A::Out;
    const ALWAYS_RETRACTS: bool = A::ALWAYS_RETRACTS;

    #[inline(always)]
    fn merge(&self, acc: &mut A::Acc, other: &A::Acc) {
        self.0.merge(acc, other);
    }

    #[inline(always)]
    fn retract(&self, acc: &mut A::Acc, part: &A::Acc) -> bool {
        self.0.retract(acc, part)
    }

    #[inline(always)]
    fn result(&self, acc: A::Acc) -> A::Out {
        self.0.result(acc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<R: WindowRule<i64>>(rule: R, first: &[i64], second: &[i64]) -> (R::Out, Option<R::Out>) {
        let of = |records: &[i64]| {
            let mut acc = rule.first(&records[0]);
            records[1..].iter().for_each(|record| rule.next(&mut acc, record));
            acc
        };
        let (mut acc, part) = (of(first), of(second));
        rule.merge(&mut acc, &part);
        let merged = rule.result(acc.clone());
        let retracted = rule.retract(&mut acc, &part).then(|| rule.result(acc));
        (merged, retracted)
    }

    #[test]
    fn parts_are_put_together_and_taken_out() {
        assert_eq!(check(Count, &[1, 2], &[3]), (3, Some(2)));
        assert_eq!(check(SumOf::new(|n: &i64| *n), &[1, 2], &[3]), (6, Some(3)));
        assert_eq!(check(SumOf::new(|n: &i64| *n as f64), &[1, 2], &[3]), (6.0, None));
        assert_eq!(check(MeanOf(|n: &i64| *n as f64), &[1, 2], &[3]), (2.0, None));
        assert_eq!(check(Reduce(|acc: &mut i64, n: i64| *acc = *acc * 10 + n), &[1], &[3]), (13, None));
    }

    #[test]
    fn an_extreme_stays_where_the_part_had_lost() {
        let greatest = || ExtremeOf::<i64, _, true>::new(|n: &i64| *n);
        assert_eq!(check(greatest(), &[1, 7], &[3]), (7, Some(7)));
        assert_eq!(check(greatest(), &[1, 7], &[7]), (7, None));
        assert_eq!(check(greatest(), &[1, 7], &[9]), (9, None));
        let least = || ExtremeOf::<i64, _, false>::new(|n: &i64| *n);
        assert_eq!(check(least(), &[1, 7], &[3]), (1, Some(1)));
        assert_eq!(check(least(), &[4, 7], &[3]), (3, None));
    }
}

//! Running folds per key: one output for each input record.

use std::ops::AddAssign;
use std::panic::Location;

use super::{Keyed, Stream};
use crate::key::Key;
use crate::operator::fold::{Count, FoldFrom, KeyAndValue, KeyedFold, Reduce, Rule, ValueOnly};
use crate::operator::keyed::FromExchange;
use crate::operator::window::note::state_of_key;
use crate::record::{Record, View};

/// The chain after a fold that gives out keys and values.
pub type Folded<T, K, R> = FromExchange<KeyedFold<T, K, R, KeyAndValue>>;

/// The chain after a fold that gives out whole records.
pub type Reduced<T, K, F> = FromExchange<KeyedFold<T, K, Reduce<F>, ValueOnly>>;

/// What can be summed.
pub trait Sum: AddAssign + Copy + 'static {}
impl<N: AddAssign + Copy + 'static> Sum for N {}

impl<T: Record, K: Key + ?Sized> Keyed<T, K> {
    /// How many records of the key have come: gives `(key, count)` after each record.
    #[track_caller]
    pub fn count(self) -> Stream<(K::Owned, u64), Folded<T, K, Count>> {
        self.rule("count", Location::caller(), Count)
    }

    /// Folds the records of a key, beginning with `init`: gives `(key, value)` after each record.
    #[track_caller]
    pub fn fold<A, F>(self, init: A, f: F) -> Stream<(K::Owned, A), Folded<T, K, FoldFrom<A, F>>>
    where
        A: Record + Clone,
        F: Fn(&mut A, &View<T>) + 'static,
    {
        self.rule("fold", Location::caller(), FoldFrom { init, f })
    }

    fn rule<R: Rule<T>>(
        self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        rule: R,
    ) -> Stream<(K::Owned, R::Acc), Folded<T, K, R>>
    where
        R::Acc: Clone,
    {
        self.begin(kind, true, built_at, |op| KeyedFold::new(op, rule)).noting(state_of_key::<K, R::Acc>())
    }
}

impl<T: Record + Clone, K: Key + ?Sized> Keyed<T, K> {
    /// Combines the records of a key into one, beginning with the first: gives the combination after each record (Flink's rolling
    /// `reduce`).
    #[track_caller]
    pub fn reduce<F: Fn(&mut T, T) + 'static>(self, f: F) -> Stream<T, Reduced<T, K, F>> {
        self.reduced("reduce", Location::caller(), f)
    }

    fn reduced<F: Fn(&mut T, T) + 'static>(
        self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        f: F,
    ) -> Stream<T, Reduced<T, K, F>> {
        self.begin(kind, true, built_at, |op| KeyedFold::new(op, Reduce(f))).noting(state_of_key::<K, T>())
    }

    /// The running sum of a field: gives the first record of the key with the field replaced by the sum. The closure points at the
    /// field: `.sum(|order| &mut order.price)`.
    #[track_caller]
    pub fn sum<N: Sum, F>(self, field: F) -> Stream<T, Reduced<T, K, impl Fn(&mut T, T) + 'static>>
    where
        F: for<'x> Fn(&'x mut T) -> &'x mut N + 'static,
    {
        self.reduced("sum", Location::caller(), move |acc, mut record| *field(acc) += *field(&mut record))
    }

    /// The running minimum of a field: gives the first record of the key with the field replaced by the minimum. For the whole
    /// record that has the minimum, see [`Keyed::min_by`].
    #[track_caller]
    pub fn min<N: PartialOrd + Copy + 'static, F>(
        self,
        field: F,
    ) -> Stream<T, Reduced<T, K, impl Fn(&mut T, T) + 'static>>
    where
        F: for<'x> Fn(&'x mut T) -> &'x mut N + 'static,
    {
        self.reduced("min", Location::caller(), move |acc, mut record| {
            let (least, new) = (field(acc), *field(&mut record));
            if new < *least {
                *least = new;
            }
        })
    }

    /// The running maximum of a field: gives the first record of the key with the field replaced by the maximum. For the whole
    /// record that has the maximum, see [`Keyed::max_by`].
    #[track_caller]
    pub fn max<N: PartialOrd + Copy + 'static, F>(
        self,
        field: F,
    ) -> Stream<T, Reduced<T, K, impl Fn(&mut T, T) + 'static>>
    where
        F: for<'x> Fn(&'x mut T) -> &'x mut N + 'static,
    {
        self.reduced("max", Location::caller(), move |acc, mut record| {
            let (greatest, new) = (field(acc), *field(&mut record));
            if new > *greatest {
                *greatest = new;
            }
        })
    }

    /// The record of the key with the least value of what the closure gives; of equal ones, the first that came.
    #[track_caller]
    pub fn min_by<N: PartialOrd + 'static, F>(
        self,
        by: F,
    ) -> Stream<T, Reduced<T, K, impl Fn(&mut T, T) + 'static>>
    where
        F: Fn(&T) -> N + 'static,
    {
        self.reduced("min_by", Location::caller(), move |acc, record| {
            if by(&record) < by(acc) {
                *acc = record;
            }
        })
    }

    /// The record of the key with the greatest value of what the closure gives; of equal ones, the first that came.
    #[track_caller]
    pub fn max_by<N: PartialOrd + 'static, F>(
        self,
        by: F,
    ) -> Stream<T, Reduced<T, K, impl Fn(&mut T, T) + 'static>>
    where
        F: Fn(&T) -> N + 'static,
    {
        self.reduced("max_by", Location::caller(), move |acc, record| {
            if by(&record) > by(acc) {
                *acc = record;
            }
        })
    }
}

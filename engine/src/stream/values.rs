//! One value per key, read and changed by the program.

use std::panic::Location;

use super::{Keyed, Stream};
use crate::key::Key;
use crate::operator::flat_map::Out;
use crate::operator::keyed::FromExchange;
use crate::operator::value::{Value, WithValue};
use crate::operator::window::note::state_of_key;
use crate::record::{Record, View};

impl<T: Record, K: Key + ?Sized> Keyed<T, K> {
    /// Gives each record to a closure together with a value that is kept per key under the given state name (Flink's `ValueState` in a
    /// rich flat map). The closure is given the key, the record, the value and where to put output.
    #[track_caller]
    pub fn flat_map_with_value<S, U, F>(
        self,
        state: &'static str,
        f: F,
    ) -> Stream<U, FromExchange<WithValue<T, K, S, U, F>>>
    where
        S: Record,
        U: 'static,
        F: for<'a> FnMut(&'a K::Owned, &'a View<T>, &mut Value<S>, &mut Out<U>) + 'static,
    {
        self.begin("flat_map_with_value", true, Location::caller(), |op| WithValue::new(op, state, f))
            .noting(state_of_key::<K, S>())
    }

    /// Makes one record of each, given what is kept for its key, and says what to keep from now on; `None` keeps nothing (Flink's
    /// `mapWithState`).
    #[track_caller]
    pub fn map_with_state<S, U, F>(
        self,
        mut f: F,
    ) -> Stream<
        U,
        FromExchange<
            WithValue<
                T,
                K,
                S,
                U,
                impl for<'a> FnMut(&'a K::Owned, &'a View<T>, &mut Value<S>, &mut Out<U>) + 'static,
            >,
        >,
    >
    where
        S: Record,
        U: 'static,
        F: for<'a> FnMut(&'a View<T>, Option<S>) -> (U, Option<S>) + 'static,
    {
        self.begin("map_with_state", true, Location::caller(), |op| {
            WithValue::new(
                op,
                "value",
                move |_: &K::Owned, record: &View<T>, value: &mut Value<S>, out: &mut Out<U>| {
                    let (output, keep) = f(record, value.take());
                    out.emit(output);
                    match keep {
                        Some(keep) => value.set(keep),
                        None => value.clear(),
                    }
                },
            )
        })
        .noting(state_of_key::<K, S>())
    }
}

//! A harness for what has one input and one output.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use super::ports::{INPUT, OUTPUT};
use super::{Harness, Input, TestFlow};
use crate::element::Timestamp;
use crate::operator::Chain;
use crate::record::Record;
use crate::stream::Stream;

/// Makes a program for a [`Harness`] of what becomes of one stream: its input is named `in`, its output `out`.
pub fn single<T, U, C, F>(stream: F) -> impl Fn(&TestFlow) + Send + Sync + 'static
where
    T: Record,
    U: Debug + Send + 'static,
    C: Chain<Record = U>,
    F: Fn(&TestFlow, Input<T>) -> Stream<U, C> + Send + Sync + 'static,
{
    move |flow| {
        let input = flow.input(INPUT);
        flow.output(OUTPUT, stream(flow, input));
    }
}

/// A [`Harness`] for what has one input of records `T` and one main output of records `U`. It is one: whatever a harness can do, it
/// can; pushing and taking need no names and no types here.
pub struct Single<T, U> {
    harness: Harness,
    types: PhantomData<fn(T) -> U>,
}

impl Harness {
    /// A harness for what becomes of one stream.
    ///
    /// ```
    /// use millstream_engine::prelude::*;
    /// use millstream_engine::testing::{Harness, Input};
    ///
    /// let mut evens = Harness::single(|_, numbers: Input<i64>| numbers.filter(|n| n % 2 == 0));
    /// evens.push(1, 100);
    /// evens.push(2, 200);
    /// assert_eq!(evens.outputs(), [(2, Timestamp(200))]);
    /// ```
    ///
    /// # Panics
    /// The program cannot be built.
    #[track_caller]
    pub fn single<T, U, C, F>(stream: F) -> Single<T, U>
    where
        T: Record,
        U: Debug + Send + 'static,
        C: Chain<Record = U>,
        F: Fn(&TestFlow, Input<T>) -> Stream<U, C> + Send + Sync + 'static,
    {
        Single { harness: Harness::new(single(stream)), types: PhantomData }
    }
}

impl<T: Record + Debug, U: Debug + Send + 'static> Single<T, U> {
    /// Pushes a record with this event time, and runs the job until it rests.
    ///
    /// # Panics
    /// The job fails, or is over.
    #[track_caller]
    pub fn push(&mut self, record: T, at: impl Into<Timestamp>) {
        self.harness.push(record, at);
    }

    /// Takes what has come out since the last call, with its event time.
    pub fn outputs(&mut self) -> Vec<(U, Timestamp)> {
        self.harness.outputs_of(OUTPUT)
    }

    /// Takes what has come out since the last call, without its event time.
    pub fn values(&mut self) -> Vec<U> {
        self.outputs().into_iter().map(|(value, _)| value).collect()
    }
}

impl<T, U> Deref for Single<T, U> {
    type Target = Harness;

    fn deref(&self) -> &Harness {
        &self.harness
    }
}

impl<T, U> DerefMut for Single<T, U> {
    fn deref_mut(&mut self) -> &mut Harness {
        &mut self.harness
    }
}

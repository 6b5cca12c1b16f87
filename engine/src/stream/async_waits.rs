//! Calls of the world outside for the records of a stream.

use std::error::Error;
use std::panic::Location;
use std::time::Duration;

use super::Stream;
use super::exchanges::{Input, begin};
use crate::operator::async_io::{Always, Answer, AsyncWait, MayFail, NoAnswer, Otherwise, Retry, Settings};
use crate::operator::keyed::FromExchange;
use crate::operator::side::Tag;
use crate::operator::{Chain, OpId};
use crate::record::Record;

/// How calls are made for the records of a stream: what [`Stream::ordered_wait`] and [`Stream::unordered_wait`] give. `U` is what goes on.
#[must_use = "without .call(..) or .try_call(..) no call is made"]
pub struct AsyncCalls<T, U> {
    input: Input,
    pub(super) kind: &'static str,
    settings: Settings,
    otherwise: Otherwise<T, U>,
}

/// The chain after asynchronous calls.
pub type AsyncWaitOf<T, F, C, A> = FromExchange<AsyncWait<T, F, C, A>>;

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// Makes an asynchronous call for each record; results go on in the order of their records (Flink's `AsyncDataStream.orderedWait`). One
    /// that is slow lets those behind it wait, though not their calls.
    ///
    /// Calls begin a chain of their own, on the same shard. Records whose results have not gone on are part of checkpoints, and are asked again
    /// after a restart: the service outside may be asked twice, and results go on once.
    ///
    /// ```
    /// # use millstream_engine::prelude::*;
    /// # use millstream_engine::operator::async_io::Retry;
    /// # use std::time::Duration;
    /// # async fn name_of(user: u64) -> Result<String, std::io::Error> { Ok(user.to_string()) }
    /// # fn program(flow: &Flow, users: impl Source<Item = u64>) {
    /// flow.source("users", users)
    ///     .ordered_wait()
    ///     .capacity(50)
    ///     .timeout(Duration::from_secs(2))
    ///     .retry(Retry::fixed(3, Duration::from_millis(100)))
    ///     .try_call(|user| name_of(user))
    ///     .discard();
    /// # }
    /// ```
    pub fn ordered_wait<U>(self) -> AsyncCalls<T, U> {
        self.calls("ordered_wait", true)
    }

    /// Makes an asynchronous call for each record; results go on as they come, but never across a watermark: what came before one goes on
    /// before it, and what came behind it goes on behind it (Flink's `AsyncDataStream.unorderedWait`). Otherwise as
    /// [`ordered_wait`](Stream::ordered_wait).
    pub fn unordered_wait<U>(self) -> AsyncCalls<T, U> {
        self.calls("unordered_wait", false)
    }

    fn calls<U>(self, kind: &'static str, ordered: bool) -> AsyncCalls<T, U> {
        let settings = Settings::new(ordered);
        AsyncCalls { input: self.forward(), kind, settings, otherwise: Otherwise::Fail }
    }
}

impl<T: Record, U: 'static> AsyncCalls<T, U> {
    /// How many records may be under way at a time, on each shard: 100 unless it is said. Where so many are, the operator takes no more, and so
    /// those before it wait.
    pub fn capacity(mut self, records: usize) -> Self {
        self.settings.capacity = records;
        self
    }

    /// How long a record may be under way, over all its attempts and by the job's clock: a minute unless it is said. After a restart its time begins
    /// anew.
    pub fn timeout(mut self, within: Duration) -> Self {
        self.settings.timeout = Some(within);
        self
    }

    /// Lets a record be under way for as long as it takes. A call that never comes back holds event time for ever, and in the end the stream.
    pub fn without_timeout(mut self) -> Self {
        self.settings.timeout = None;
        self
    }

    /// Makes calls again that fail: not at all unless it is said.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.settings.retry = retry;
        self
    }

    /// Lets this go on for a record that has no answer: its time is over, or its last attempt failed. Unless it is said, the job fails
    /// then.
    pub fn or_value(mut self, value: impl FnMut(T, &NoAnswer) -> U + 'static) -> Self {
        self.otherwise = Otherwise::Value(Box::new(value));
        self
    }

    /// Gives a record that has no answer to a side output, to be read from the stream that follows.
    pub fn or_side(mut self, tag: &Tag<T>) -> Self {
        self.otherwise = Otherwise::Side(tag.clone());
        self
    }

    /// Makes the calls: `call` makes a future of each record. It is polled on the shard, by the operator: it need not be `Send`, must not
    /// block, and can be woken from anywhere.
    #[track_caller]
    pub fn call<F, C>(self, call: F) -> Stream<U, AsyncWaitOf<T, F, C, Always>>
    where
        F: FnMut(T) -> C + 'static,
        C: Future<Output = U> + 'static,
    {
        self.begin(Location::caller(), call)
    }

    /// Makes calls that may fail; otherwise as [`call`](AsyncCalls::call).
    #[track_caller]
    pub fn try_call<F, C, E>(self, call: F) -> Stream<U, AsyncWaitOf<T, F, C, MayFail>>
    where
        F: FnMut(T) -> C + 'static,
        C: Future<Output = Result<U, E>> + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        self.begin(Location::caller(), call)
    }

    pub(super) fn begin<F, C, A>(
        self,
        built_at: &'static Location<'static>,
        call: F,
    ) -> Stream<U, AsyncWaitOf<T, F, C, A>>
    where
        F: FnMut(T) -> C + 'static,
        C: Future + 'static,
        A: Answer<C::Output, Value = U>,
    {
        let AsyncCalls { input, kind, settings, otherwise } = self;
        let flow = input.flow.clone();
        begin(vec![input], kind, true, built_at, move |op: OpId| {
            if let Some(fault) = settings.fault() {
                flow.graph.borrow_mut().bad_setting(op, fault);
            }
            AsyncWait::new(op, call, settings, otherwise)
        })
    }
}

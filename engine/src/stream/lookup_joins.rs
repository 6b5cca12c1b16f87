//! Joins with what lies outside: a database, a service, a file of its own.

use std::error::Error;
use std::hash::Hash;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

use super::Stream;
use super::async_waits::{AsyncCalls, AsyncWaitOf};
use crate::operator::Chain;
use crate::operator::async_io::{IfAny, LookedUp, Lookup};
use crate::record::Record;

/// A stream whose records are joined with what lies outside under their keys: what [`Stream::lookup_join`] and [`AsyncCalls::look_up`] give.
#[must_use = "a join without a function does nothing"]
pub struct LookupJoined<T, U, K, V, G, L> {
    calls: AsyncCalls<T, U>,
    key: G,
    fetch: L,
    cache: Option<(usize, Duration)>,
    remember_missing: bool,
    types: PhantomData<fn() -> (K, V)>,
}

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// Joins every record with what lies outside under its key, at the time at which it is looked up (a lookup join,
    /// <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/joins/#lookup-join>). Results go on in the order of their
    /// records. For another order, a capacity, timeouts and retries begin with [`unordered_wait`](Stream::unordered_wait) or
    /// [`ordered_wait`](Stream::ordered_wait) and go on with [`look_up`](AsyncCalls::look_up).
    ///
    /// ```
    /// # use millstream_engine::prelude::*;
    /// # use std::time::Duration;
    /// # async fn name_of(user: u64) -> Result<Option<String>, std::io::Error> { Ok(Some(user.to_string())) }
    /// # fn program(flow: &Flow, clicks: impl Source<Item = (u64, String)>) {
    /// flow.source("clicks", clicks)
    ///     .lookup_join(|click| click.0, |user| name_of(user))
    ///     .cache(10_000, Duration::from_secs(60))
    ///     .left_join(|(user, page), name| (name.cloned().unwrap_or(format!("user {user}")), page))
    ///     .discard();
    /// # }
    /// ```
    pub fn lookup_join<U, K, V, G, L, F, E>(self, key: G, fetch: L) -> LookupJoined<T, U, K, V, G, L>
    where
        U: 'static,
        K: Hash + Eq + Clone + 'static,
        G: FnMut(&T) -> K + 'static,
        L: FnMut(K) -> F + 'static,
        F: Future<Output = Result<Option<V>, E>> + 'static,
    {
        self.ordered_wait().look_up(key, fetch)
    }
}

impl<T: Record, U: 'static> AsyncCalls<T, U> {
    /// Looks up what lies outside under the key of each record: `key` makes the key, and `fetch` a future of what there is, which may be
    /// nothing.
    pub fn look_up<K, V, G, L, F, E>(mut self, key: G, fetch: L) -> LookupJoined<T, U, K, V, G, L>
    where
        K: Hash + Eq + Clone + 'static,
        G: FnMut(&T) -> K + 'static,
        L: FnMut(K) -> F + 'static,
        F: Future<Output = Result<Option<V>, E>> + 'static,
    {
        self.kind = "lookup_join";
        LookupJoined { calls: self, key, fetch, cache: None, remember_missing: true, types: PhantomData }
    }
}

impl<T, U, K, V, G, L, F, E> LookupJoined<T, U, K, V, G, L>
where
    T: Record,
    U: 'static,
    K: Hash + Eq + Clone + 'static,
    V: 'static,
    G: FnMut(&T) -> K + 'static,
    L: FnMut(K) -> F + 'static,
    F: Future<Output = Result<Option<V>, E>> + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    /// Remembers what was found for up to so many `keys` on each shard, for so long; the least recently used are forgotten first. Unless it is said,
    /// nothing is remembered. Records with equal keys share what is remembered where they meet on one shard: after `.key_by(..).views()`.
    ///
    /// What is remembered is not part of checkpoints.
    pub fn cache(mut self, keys: usize, keep_for: Duration) -> Self {
        self.cache = Some((keys, keep_for));
        self
    }

    /// Looks keys up anew under which there was nothing, instead of remembering that.
    pub fn forget_missing(mut self) -> Self {
        self.remember_missing = false;
        self
    }

    /// Makes something of every record under whose key there is something.
    #[track_caller]
    pub fn join<J>(
        self,
        mut join: J,
    ) -> Stream<U, AsyncWaitOf<T, impl FnMut(T) -> LookedUp<U> + 'static, LookedUp<U>, IfAny>>
    where
        J: FnMut(T, &V) -> U + 'static,
    {
        self.run(Location::caller(), move |record, value: Option<&V>| value.map(|value| join(record, value)))
    }

    /// Makes something of every record, and of what there is under its key.
    #[track_caller]
    pub fn left_join<J>(
        self,
        mut join: J,
    ) -> Stream<U, AsyncWaitOf<T, impl FnMut(T) -> LookedUp<U> + 'static, LookedUp<U>, IfAny>>
    where
        J: FnMut(T, Option<&V>) -> U + 'static,
    {
        self.run(Location::caller(), move |record, value: Option<&V>| Some(join(record, value)))
    }

    fn run<J>(
        self,
        built_at: &'static Location<'static>,
        join: J,
    ) -> Stream<U, AsyncWaitOf<T, impl FnMut(T) -> LookedUp<U> + 'static, LookedUp<U>, IfAny>>
    where
        J: FnMut(T, Option<&V>) -> Option<U> + 'static,
    {
        let LookupJoined { calls, key, fetch, cache, remember_missing, .. } = self;
        let lookup = Lookup { key, fetch, join, cache, remember_missing };
        calls.begin(built_at, lookup.into_call())
    }
}

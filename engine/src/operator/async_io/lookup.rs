//! Look-ups: a key is made of each record, what is outside under the key is fetched or remembered, and something is made of both.

use std::cell::RefCell;
use std::hash::Hash;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::answer::UserError;
use super::cache::Cache;
use super::surroundings::Surroundings;

/// How a look-up goes.
pub(crate) struct Lookup<G, L, J> {
    /// Makes the key of a record.
    pub(crate) key: G,
    /// Fetches what is under a key.
    pub(crate) fetch: L,
    /// Makes something of a record and of what is under its key.
    pub(crate) join: J,
    /// How many keys are remembered, and for how long.
    pub(crate) cache: Option<(usize, Duration)>,
    /// Whether it is remembered that there is nothing under a key.
    pub(crate) remember_missing: bool,
}

impl<G, L, J> Lookup<G, L, J> {
    /// The call for a record.
    pub(crate) fn into_call<T, K, V, U, C, E>(self) -> impl FnMut(T) -> LookedUp<U> + 'static
    where
        T: 'static,
        K: Hash + Eq + Clone + 'static,
        V: 'static,
        U: 'static,
        G: FnMut(&T) -> K + 'static,
        L: FnMut(K) -> C + 'static,
        C: Future<Output = Result<Option<V>, E>> + 'static,
        E: Into<UserError> + 'static,
        J: FnMut(T, Option<&V>) -> Option<U> + 'static,
    {
        let Lookup { mut key, mut fetch, join, cache, remember_missing } = self;
        let (most, keep_for) = cache.unwrap_or_default();
        let cache = Rc::new(RefCell::new(Cache::<K, V>::new(most, keep_for)));
        let join = Rc::new(RefCell::new(join));
        move |record| {
            let key = key(&record);
            if most > 0 {
                let now = Surroundings::at_work("a look-up").now();
                if let Some(known) = cache.borrow_mut().get(&key, now) {
                    return LookedUp::Known((join.borrow_mut())(record, known.as_deref()));
                }
            }
            let fetched = fetch(key.clone());
            let (cache, join) = (cache.clone(), join.clone());
            LookedUp::Fetched(Box::pin(async move {
                let value = fetched.await.map_err(Into::into)?.map(Rc::new);
                if value.is_some() || remember_missing {
                    let now = Surroundings::at_work("a look-up").now();
                    cache.borrow_mut().put(key, value.clone(), now);
                }
                let joined = (join.borrow_mut())(record, value.as_deref());
                Ok(joined)
            }))
        }
    }
}

/// The call of a look-up.
pub enum LookedUp<U> {
    /// It was known what is under the key.
    Known(Option<U>),
    /// It is fetched.
    Fetched(Pin<Box<dyn Future<Output = Result<Option<U>, UserError>>>>),
}

// What is known is moved out, and what is fetched lies in a box of its own.
impl<U> Unpin for LookedUp<U> {}

impl<U> Future for LookedUp<U> {
    type Output = Result<Option<U>, UserError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            LookedUp::Known(joined) => Poll::Ready(Ok(joined.take())),
            LookedUp::Fetched(fetched) => fetched.as_mut().poll(context),
        }
    }
}

//! Event-time windows per key.

use std::marker::PhantomData;
use std::panic::Location;

use super::{Keyed, Stream};
use crate::key::Key;
use crate::operator::fold::{Count, FoldFrom, Reduce, Rule};
use crate::operator::keyed::FromExchange;
use crate::operator::window::{WindowFold, WindowResult};
use crate::record::{Record, View};
use crate::time::Ticks;
use crate::window::Tumbling;

/// A keyed stream cut into windows of event time.
#[must_use = "windows without an aggregate do nothing"]
pub struct Windowed<T, K: ?Sized> {
    keyed: Keyed<T, K>,
    window: Tumbling,
    types: PhantomData<fn() -> T>,
}

/// The chain after a window's aggregate.
pub type Aggregated<T, K, R> = FromExchange<WindowFold<T, K, R>>;

impl<T: Record, K: Key + ?Sized> Keyed<T, K> {
    /// Cuts the stream into windows of event time. A window's result is given out once, when the watermark passes its last tick, with the
    /// window's last tick as event time. A record that comes later is dropped and counted.
    pub fn window(self, window: Tumbling) -> Windowed<T, K> {
        Windowed { keyed: self, window, types: PhantomData }
    }
}

impl<T: Record, K: Key + ?Sized> Windowed<T, K> {
    /// How many records of the key fell into the window.
    #[track_caller]
    pub fn count(self) -> Stream<WindowResult<K::Owned, u64>, Aggregated<T, K, Count>> {
        self.rule("window_count", Location::caller(), Count)
    }

    /// Folds the records of the key and window, beginning with `init`.
    #[track_caller]
    pub fn fold<A, F>(
        self,
        init: A,
        f: F,
    ) -> Stream<WindowResult<K::Owned, A>, Aggregated<T, K, FoldFrom<A, F>>>
    where
        A: Record + Clone,
        F: Fn(&mut A, &View<T>) + 'static,
    {
        self.rule("window_fold", Location::caller(), FoldFrom { init, f })
    }

    /// Combines the records of the key and window into one, beginning with the first.
    #[track_caller]
    pub fn reduce<F>(self, f: F) -> Stream<WindowResult<K::Owned, T>, Aggregated<T, K, Reduce<F>>>
    where
        T: Clone,
        F: Fn(&mut T, T) + 'static,
    {
        self.rule("window_reduce", Location::caller(), Reduce(f))
    }

    fn rule<R: Rule<T>>(
        self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        rule: R,
    ) -> Stream<WindowResult<K::Owned, R::Acc>, Aggregated<T, K, R>>
    where
        R::Acc: Clone,
    {
        let Windowed { keyed, window, .. } = self;
        let graph = keyed.flow.graph.clone();
        let (timed, tick) = (keyed.timed, keyed.flow.tick());
        keyed.begin(kind, true, built_at, move |op| {
            if !timed {
                graph.borrow_mut().no_event_time(op);
            }
            let windows = window.build(tick).unwrap_or_else(|error| {
                // The graph is refused; until then it needs some windows.
                graph.borrow_mut().bad_setting(op, error.to_string());
                Tumbling::of(Ticks(1)).build(tick).expect("one tick is a window")
            });
            WindowFold::new(op, windows, rule)
        })
    }
}

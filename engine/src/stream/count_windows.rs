//! Windows by the number of records of a key.

use super::window_kinds::{Buckets, Evicted};
use super::{Keyed, Windowed};
use crate::key::Key;
use crate::record::Record;
use crate::window::{CountEvictor, CountTrigger, Global, PurgingTrigger};

impl<T: Record, K: Key + ?Sized> Keyed<T, K> {
    /// Cuts the records of each key into windows of so many (Flink's `countWindow`): a window gives out its result with its last record. What is
    /// left at the end of the stream is dropped.
    pub fn count_window(self, size: u64) -> Windowed<T, K, Buckets<Global, PurgingTrigger<CountTrigger>>> {
        self.window(Global).trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// Gives out a result with every `slide`-th record of a key, over its last `size` records (Flink's `countWindow` with a slide). These are
    /// kept.
    pub fn count_window_sliding(
        self,
        size: usize,
        slide: u64,
    ) -> Windowed<T, K, Evicted<Buckets<Global, CountTrigger>, CountEvictor>> {
        self.window(Global).trigger(CountTrigger::of(slide)).evictor(CountEvictor::of(size))
    }
}

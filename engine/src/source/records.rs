//! A batch of records on its way out of a source.
#![allow(unsafe_code)] // moves records out of the batch one by one, without an iterator that would have to live in memory

use std::ptr;

use crate::element::Timestamp;

/// A batch of records on its way out of a source.
#[derive(Debug)]
pub struct Records<T> {
    items: Vec<T>,
    /// Of the first items; those past its end have none of their own.
    timestamps: Vec<Timestamp>,
    limit: usize,
    /// The limit that it was made with.
    most: usize,
    /// What the source says of event time after these records.
    watermark: Option<Timestamp>,
    /// Whether the source says that its partition is idle after these records.
    idle: bool,
}

impl<T> Records<T> {
    /// An empty batch that takes up to `limit` records.
    pub fn with_limit(limit: usize) -> Self {
        Records {
            items: Vec::with_capacity(limit),
            timestamps: Vec::with_capacity(limit),
            limit,
            most: limit,
            watermark: None,
            idle: false,
        }
    }

    /// Takes a single record at a time from now on.
    pub(crate) fn take_one(&mut self) {
        self.limit = 1;
    }

    /// Takes as many as it was made for.
    pub(crate) fn take_many(&mut self) {
        self.limit = self.most;
    }

    /// How many more records fit.
    #[inline]
    pub fn room(&self) -> usize {
        if self.watermark.is_some() || self.idle { 0 } else { self.limit - self.items.len() }
    }

    /// Says that no more records with a timestamp of `at` or less are to be expected from this partition. It counts after the records
    /// of this batch, ends it (there is no more room), and is what a source with
    /// [`Watermarks::from_source`](crate::time::Watermarks::from_source) goes by; others ignore it.
    pub fn watermark(&mut self, at: Timestamp) {
        self.watermark = Some(at);
    }

    /// Takes out what [`Records::watermark`] said.
    pub(crate) fn take_watermark(&mut self) -> Option<Timestamp> {
        self.watermark.take()
    }

    /// Says that nothing is to be expected from this partition for a while, so that event time does not wait for it (Flink's
    /// `WatermarkOutput.markIdle`). It counts after the records of this batch, ends it, and holds until the partition's next record or
    /// watermark. Needs no [`Watermarks::with_idleness`](crate::time::Watermarks::with_idleness), which goes by the clock.
    pub fn idle(&mut self) {
        self.idle = true;
    }

    /// Takes out what [`Records::idle`] said.
    pub(crate) fn take_idle(&mut self) -> bool {
        std::mem::take(&mut self.idle)
    }

    /// Adds a record that has no timestamp of its own.
    #[inline]
    pub fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// Adds records that have no timestamps of their own, as many as fit: the fastest way for a reader that makes them one by one.
    // Always inlined, unlike `Vec::extend`: so that what makes the records can keep its state in registers.
    #[inline(always)]
    pub fn extend(&mut self, items: impl IntoIterator<Item = T>) {
        let (len, room) = (self.items.len(), self.room());
        self.items.reserve(room);
        let (mut items, mut added) = (items.into_iter(), 0);
        for place in &mut self.items.spare_capacity_mut()[..room] {
            let Some(item) = items.next() else { break };
            place.write(item);
            added += 1;
        }
        // SAFETY: so many places behind the items have just been written, one after the other. (Where making one unwinds, those before it
        // are leaked.)
        unsafe { self.items.set_len(len + added) };
    }

    /// Adds a record with the event time its source knows.
    #[inline]
    pub fn push_at(&mut self, item: T, at: Timestamp) {
        self.fill_timestamps();
        self.items.push(item);
        self.timestamps.push(at);
    }

    /// Gives every item a timestamp.
    #[inline]
    fn fill_timestamps(&mut self) {
        if self.timestamps.len() < self.items.len() {
            self.timestamps.resize(self.items.len(), Timestamp::MIN);
        }
    }

    /// How many records it holds.
    #[inline]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it holds none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The records.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// Their timestamps; [`Timestamp::MIN`] where the source knows none.
    #[inline]
    pub fn timestamps(&mut self) -> &[Timestamp] {
        self.fill_timestamps();
        &self.timestamps
    }

    /// Takes all records out, in order, and keeps the room.
    pub fn drain(&mut self) -> impl Iterator<Item = (T, Timestamp)> + '_ {
        self.fill_timestamps();
        self.items.drain(..).zip(self.timestamps.drain(..))
    }

    /// Takes all records out, in order, and hands each to `each`.
    #[inline(always)]
    pub(crate) fn take_each(&mut self, mut each: impl FnMut(T, Timestamp)) {
        self.fill_timestamps();
        let mut rest = Rest { first: self.items.as_mut_ptr(), count: self.items.len() };
        // SAFETY: no items are claimed; those there were are `rest`'s now.
        unsafe { self.items.set_len(0) };
        for at in &self.timestamps[..rest.count] {
            each(rest.take(), *at);
        }
        self.timestamps.clear();
    }

    /// Forgets all records and keeps the room.
    pub fn clear(&mut self) {
        self.items.clear();
        self.timestamps.clear();
        self.watermark = None;
        self.idle = false;
    }
}

/// Items that were not taken yet: `count` of them from `first` on, which are nobody else's. Dropped where taking unwinds.
struct Rest<T> {
    first: *mut T,
    count: usize,
}

impl<T> Rest<T> {
    /// The next item. There is one.
    #[inline(always)]
    fn take(&mut self) -> T {
        assert!(self.count > 0, "an item for each timestamp");
        // SAFETY: the first of at least one item, which is given away; what follows it begins one further on.
        unsafe {
            let item = self.first.read();
            self.first = self.first.add(1);
            self.count -= 1;
            item
        }
    }
}

impl<T> Drop for Rest<T> {
    // What is left is passed by value: the loop's state need not lie in memory for the sake of the cold path.
    #[inline(always)]
    fn drop(&mut self) {
        if std::mem::needs_drop::<T>() && self.count > 0 {
            // SAFETY: they are this one's, as the type says.
            unsafe { drop_items(self.first, self.count) }
        }
    }
}

/// # Safety
/// `first` points to `count` items that are the caller's.
#[cold]
unsafe fn drop_items<T>(first: *mut T, count: usize) {
    // SAFETY: passed on.
    unsafe { ptr::slice_from_raw_parts_mut(first, count).drop_in_place() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    #[test]
    fn records_without_timestamps_may_come_before_and_after_those_with() {
        let mut records = Records::with_limit(4);
        records.push('a');
        records.push_at('b', Timestamp(7));
        records.extend(['c', 'd', 'e']);
        assert_eq!(records.items(), ['a', 'b', 'c', 'd'], "as many as fit");
        assert_eq!(records.room(), 0);
        assert_eq!(records.timestamps(), [Timestamp::MIN, Timestamp(7), Timestamp::MIN, Timestamp::MIN]);
        let drained: Vec<_> = records.drain().collect();
        assert_eq!(drained[1], ('b', Timestamp(7)));
        assert_eq!((drained.len(), records.len(), records.room()), (4, 0, 4));
    }

    #[test]
    fn tm_08_a_watermark_ends_the_batch() {
        let mut records = Records::with_limit(3);
        records.push_at('a', Timestamp(7));
        records.watermark(Timestamp(6));
        records.extend(['b']);
        assert_eq!((records.room(), records.items()), (0, &['a'][..]));
        assert_eq!((records.take_watermark(), records.room()), (Some(Timestamp(6)), 2));
    }

    #[test]
    fn each_is_taken_once() {
        let mut records = Records::with_limit(3);
        let shared = Rc::new(());
        records.extend((0..2).map(|_| shared.clone()));
        records.push_at(shared.clone(), Timestamp(9));
        let mut taken = Vec::new();
        records.take_each(|item, at| taken.push((item, at)));
        assert_eq!((taken.len(), Rc::strong_count(&shared), records.len()), (3, 4, 0));
        assert_eq!((taken[1].1, taken[2].1), (Timestamp::MIN, Timestamp(9)));
        drop(records);
        drop(taken);
        assert_eq!(Rc::strong_count(&shared), 1);
    }

    #[test]
    fn what_was_not_taken_is_dropped_when_taking_unwinds() {
        let mut records = Records::with_limit(5);
        let shared = Rc::new(());
        records.extend((0..5).map(|_| shared.clone()));
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let mut seen = 0;
            records.take_each(|_, _| {
                seen += 1;
                assert!(seen < 3, "the third");
            });
        }));
        assert!(unwound.is_err());
        assert_eq!((Rc::strong_count(&shared), records.len()), (1, 0));
    }
}

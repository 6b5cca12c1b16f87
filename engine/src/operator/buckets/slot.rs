//! Where a window's contents lie: a sub-key of the key, named by the window that it was made for.

use crate::element::{KeyHash, Timestamp};
use crate::key::{Key, Sub};
use crate::window::TimeWindow;

/// A key and the window that its contents were made for.
pub type SlotOf<K> = Sub<K, (i64, i64)>;

/// A slot as it travels: its hash, and its stored bytes. Sessions grow, but keep their slot.
#[derive(Default)]
pub struct Slot {
    pub(crate) hash: KeyHash,
    pub(crate) bytes: Vec<u8>,
}

impl Slot {
    /// Becomes the slot of a key for a window.
    pub(crate) fn set<K: Key + ?Sized>(&mut self, (hash, key): (KeyHash, &[u8]), window: TimeWindow) {
        let part = (window.start.0, window.end.0);
        self.hash = SlotOf::<K>::encode_parts(hash, key, &part, &mut self.bytes);
    }

    /// The key and the window that stored bytes stand for.
    pub(crate) fn split<K: Key + ?Sized>(bytes: &[u8]) -> (TimeWindow, KeyHash, &[u8]) {
        let ((start, end), hash, key) = SlotOf::<K>::split(bytes);
        (TimeWindow { start: Timestamp(start), end: Timestamp(end) }, hash, key)
    }

    pub(crate) fn key(&self) -> (KeyHash, &[u8]) {
        (self.hash, &self.bytes)
    }
}

//! How the entries of a table lie in its pages: computed at compile time from the key's and the value's type. A picture is in
//! `docs/formats/page.md`.

use std::marker::PhantomData;

use crate::key::{Key, KeyShape};
use crate::limits::PAGE_BYTES;
use crate::record::{RECORD_ALIGN, Record};

use super::probe::GROUP;

/// Keys of a fixed size up to this lie in the entry itself.
const INLINE_KEY_BYTES_MAX: usize = 32;
/// Values of a fixed size up to this lie in the entry itself.
const INLINE_VALUE_BYTES_MAX: usize = 256;
/// What a reference to bytes in a slab page or extent takes.
pub(super) const REF_BYTES: usize = 8;
/// Where the tags of a page start.
pub(super) const TAGS_AT: usize = 16;

/// The layout of entries of `K` and `V`: value, key, padding, hash.
pub(super) struct Entry<K: ?Sized, V>(PhantomData<(V, K)>);

impl<K: Key + ?Sized, V: Record> Entry<K, V> {
    /// Whether the key's bytes lie elsewhere.
    pub(super) const KEY_IS_REF: bool = match K::SHAPE {
        KeyShape::InHash => false,
        KeyShape::Fixed(n) => n > INLINE_KEY_BYTES_MAX,
        KeyShape::Var => true,
    };
    /// How many bytes of an entry the key takes.
    pub(super) const KEY_BYTES: usize = match K::SHAPE {
        KeyShape::InHash => 0,
        KeyShape::Fixed(n) if n <= INLINE_KEY_BYTES_MAX => n,
        _ => REF_BYTES,
    };
    /// Whether the value's bytes lie elsewhere.
    pub(super) const VALUE_IS_REF: bool = match V::SIZE {
        Some(n) => n > INLINE_VALUE_BYTES_MAX,
        None => true,
    };
    /// How many bytes of an entry the value takes. It lies at its beginning.
    pub(super) const VALUE_BYTES: usize = match V::SIZE {
        Some(n) if n <= INLINE_VALUE_BYTES_MAX => n,
        _ => REF_BYTES,
    };
    const VALUE_ALIGN: usize = if Self::VALUE_IS_REF {
        REF_BYTES
    } else if V::PLAIN {
        align_of::<V>()
    } else {
        RECORD_ALIGN
    };
    /// Where the key lies in an entry.
    pub(super) const KEY_AT: usize =
        if Self::KEY_IS_REF { Self::VALUE_BYTES.next_multiple_of(REF_BYTES) } else { Self::VALUE_BYTES };
    const ALIGN: usize = if Self::VALUE_ALIGN > 8 { Self::VALUE_ALIGN } else { 8 };
    /// How many bytes an entry takes.
    pub(super) const BYTES: usize = (Self::KEY_AT + Self::KEY_BYTES + 8).next_multiple_of(Self::ALIGN);
    /// Where the hash lies in an entry.
    pub(super) const HASH_AT: usize = Self::BYTES - 8;

    /// How many entries a page has room for.
    pub(super) const SLOTS: usize = {
        let mut slots = (PAGE_BYTES - TAGS_AT) / (Self::BYTES + 1);
        while Self::entries_at(slots) + slots * Self::BYTES > PAGE_BYTES {
            slots -= 1;
        }
        slots
    };
    /// How many groups of tags a page has.
    pub(super) const GROUPS: usize = Self::SLOTS.div_ceil(GROUP);
    /// Where the entries of a page start.
    pub(super) const ENTRIES_AT: usize = Self::entries_at(Self::SLOTS);
    /// How many entries make a page full. A few free slots keep probes short.
    pub(super) const FULL: usize =
        if Self::GROUPS == 1 { Self::SLOTS } else { Self::SLOTS - Self::SLOTS / 16 };
    /// Two neighbours with at most this many entries together become one page.
    pub(super) const SPARSE: usize = Self::FULL / 3;

    const fn entries_at(slots: usize) -> usize {
        (TAGS_AT + slots.next_multiple_of(GROUP)).next_multiple_of(Self::ALIGN)
    }

    /// Refuses, at compile time, types that break the promises of their traits where a table depends on them.
    pub(super) const CHECK: () = {
        assert!(Self::SLOTS >= 8, "a page holds at least eight entries");
        if V::PLAIN {
            assert!(matches!(V::SIZE, Some(n) if n == size_of::<V>()), "a plain record's size is its own");
            assert!(align_of::<V>() <= RECORD_ALIGN, "a plain record's alignment is at most that of records");
        }
    };
}

//! Lists in a table: elements one behind the other, in chunks. A picture is in `docs/formats/page.md`.
//!
//! The table of lists has for each key a head and the last chunk, to which elements are appended in place. A chunk that is full is cut
//! off, for the caller to put into a table of chunks under the number that it is given here.
#![allow(unsafe_code)] // sees bytes in chunks as records

use std::marker::PhantomData;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::arena::{Arena, StateError};
use crate::checkpoint::codec::Writer;
use crate::element::KeyHash;
use crate::key::Key;
use crate::record::{Layout, RECORD_ALIGN, Record, RecordBuf, RecordError, View};
use crate::schema::{Member, Misfit, Shape, Type, Types, Value, put_items};

use super::probe::Probe;
use super::slab::SLOT_BYTES_MAX;
use super::table::Table;

/// The head of a list: the number of its first chunk, that of the last one, how many elements there are, and how many there have been; `u64` each.
const HEAD_BYTES: usize = 32;
/// What the length of an element takes, where it does not go without saying.
const LEN_BYTES: usize = 4;

/// Archived elements of `T`, one behind the other, `AT` bytes behind the beginning.
pub(crate) struct Chunk<T, const AT: usize = 0>(RecordBuf, PhantomData<T>);

/// The head of a list of `T`, and its last chunk.
pub(crate) type List<T> = Chunk<T, HEAD_BYTES>;

/// What is seen of a [`Chunk`].
#[repr(transparent)]
pub(crate) struct ChunkView<T, const AT: usize>(PhantomData<T>, [u8]);

/// How elements of `T` lie in a chunk.
struct Lie<T>(PhantomData<T>);

impl<T: Record> Lie<T> {
    /// The size of all elements: where it is the same for all, and is any.
    const SIZE: Option<usize> = match T::SIZE {
        Some(0) => None,
        size => size,
    };
    const ALIGN: usize = if T::PLAIN { align_of::<T>() } else { RECORD_ALIGN };

    /// Where an element begins that comes behind what ends here. Its length, if any, stands just before.
    #[inline(always)]
    fn start(end: usize) -> usize {
        let len_bytes = if Self::SIZE.is_some() { 0 } else { LEN_BYTES };
        (end + len_bytes).next_multiple_of(Self::ALIGN)
    }

    /// The element behind what ends here, and where it ends.
    #[inline]
    fn element(bytes: &[u8], end: usize) -> Option<(&[u8], usize)> {
        let start = Self::start(end);
        let len = match Self::SIZE {
            Some(size) => size,
            None => {
                let len = bytes.get(start - LEN_BYTES..start)?;
                u32::from_le_bytes(len.try_into().expect("four bytes")) as usize
            }
        };
        let end = start + len;
        Some((bytes.get(start..end)?, end))
    }

    /// Where an element of this length is to be written, behind what ends at `end`.
    #[inline]
    fn place(bytes: &mut [u8], end: usize, len: usize) -> &mut [u8] {
        let start = Self::start(end);
        if start > end {
            bytes[end..start].fill(0);
        }
        if Self::SIZE.is_none() {
            let len = u32::try_from(len).expect("an element is shorter than 4 GiB");
            bytes[start - LEN_BYTES..start].copy_from_slice(&len.to_le_bytes());
        }
        &mut bytes[start..start + len]
    }
}

impl<T: Record, const AT: usize> ChunkView<T, AT> {
    #[inline]
    fn new(bytes: &[u8]) -> &Self {
        // SAFETY: a transparent wrapper of bytes.
        unsafe { &*(std::ptr::from_ref(bytes) as *const Self) }
    }

    /// Shows the archived bytes of the elements, in order.
    #[inline]
    pub(crate) fn each_bytes(&self, mut each: impl FnMut(&[u8])) {
        let mut end = AT;
        while end < self.1.len() {
            let (element, next) = Lie::<T>::element(&self.1, end).expect("a chunk consists of elements");
            each(element);
            end = next;
        }
    }

    /// Shows the elements, in order.
    #[inline]
    pub(crate) fn each(&self, mut each: impl FnMut(&View<T>)) {
        // SAFETY: what `Lie::write` has put there: an archived `T`, at a multiple of its alignment from the chunk's beginning, which is one
        // of 16.
        self.each_bytes(|bytes| each(unsafe { Table::<(), T>::view_of(bytes) }));
    }

    /// How many elements there are in the chunk.
    pub(crate) fn count(&self) -> u64 {
        match Lie::<T>::SIZE {
            Some(size) => (self.1.len() - AT).div_ceil(size.next_multiple_of(Lie::<T>::ALIGN)) as u64,
            None => {
                let mut count = 0;
                self.each_bytes(|_| count += 1);
                count
            }
        }
    }
}

impl<T> ChunkView<T, HEAD_BYTES> {
    /// The numbers of the chunks that there may be beside the last one.
    #[inline]
    pub(crate) fn chunks(&self) -> std::ops::Range<u64> {
        let [first, next, ..] = head(&self.1);
        first..next
    }

    /// How many elements there are in the list.
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        head(&self.1)[2]
    }
}

/// The head of a list.
#[inline]
fn head(bytes: &[u8]) -> [u64; 4] {
    let word = |n: usize| u64::from_le_bytes(bytes[n * 8..][..8].try_into().expect("eight bytes"));
    [word(0), word(1), word(2), word(3)]
}

/// Changes the head of a list.
#[inline]
fn change_head<R>(bytes: &mut [u8], change: impl FnOnce(&mut [u64; 4]) -> R) -> R {
    let mut head = head(bytes);
    let result = change(&mut head);
    for (n, word) in head.into_iter().enumerate() {
        bytes[n * 8..][..8].copy_from_slice(&word.to_le_bytes());
    }
    result
}

impl<K: Key + ?Sized, T: Record, P: Probe> Table<K, List<T>, P> {
    /// Appends an element to the last chunk of a list, which begins with it where there is none. Says no where the chunk is full.
    #[inline]
    pub(crate) fn push(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        element: &T,
    ) -> Result<bool, StateError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let element = Table::<K, T, P>::encode(&mut scratch, element);
        let pushed = self.append(arena, hash, key, element.len(), |bytes, _| bytes.copy_from_slice(element));
        self.scratch = scratch;
        Ok(pushed?.is_some())
    }

    /// The same for an element that `write` archives, in so many bytes: it is told how many elements the list has had before, which is given back.
    /// None where the chunk is full.
    #[inline]
    pub(crate) fn append(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        len: usize,
        write: impl FnOnce(&mut [u8], u64),
    ) -> Result<Option<u64>, StateError> {
        let len_of = |list: &[u8]| {
            let end = list.len().max(HEAD_BYTES);
            let len = Lie::<T>::start(end) + len;
            // One that is larger than a chunk is one by itself.
            (end == HEAD_BYTES || len <= SLOT_BYTES_MAX).then_some(len)
        };
        let write = |list: &mut [u8], old_len: usize| {
            if old_len == 0 {
                list[..HEAD_BYTES].fill(0);
            }
            let before = change_head(list, |[_, _, len, appended]| {
                (*len, *appended) = (*len + 1, *appended + 1);
                *appended - 1
            });
            write(Lie::<T>::place(list, old_len.max(HEAD_BYTES), len), before);
            before
        };
        self.resize(arena, hash, key, len_of, write)
    }

    /// Cuts the last chunk of a list off, unless it is empty: puts it into `chunk`, and gives its number.
    pub(crate) fn cut(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        chunk: &mut Vec<u8>,
    ) -> Result<Option<u64>, StateError> {
        let len_of = |list: &[u8]| {
            chunk.extend_from_slice(list.get(HEAD_BYTES..).unwrap_or_default());
            (!chunk.is_empty()).then_some(HEAD_BYTES)
        };
        let number = |head: &mut [u64; 4]| {
            head[1] += 1;
            head[1] - 1
        };
        self.resize(arena, hash, key, len_of, |list, _| change_head(list, number))
    }

    /// Lets elements of the last chunk of a list be changed in place.
    pub(crate) fn change_last(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        change: impl FnMut(&mut [u8]),
    ) -> Result<(), StateError> {
        change_elements::<K, T, P, HEAD_BYTES>(self, arena, (hash, key), change)
    }

    /// A chunk of a list is gone, with so many elements. Gives how many there are left.
    pub(crate) fn lose(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        (number, elements): (u64, u64),
    ) -> Result<Option<u64>, StateError> {
        let lose = |head: &mut [u64; 4]| {
            head[2] = head[2].saturating_sub(elements);
            if head[0] == number {
                head[0] += 1;
            }
            head[2]
        };
        let as_it_is = |list: &[u8]| (!list.is_empty()).then_some(list.len());
        self.resize(arena, hash, key, as_it_is, |list, _| change_head(list, lose))
    }
}

impl<K: Key + ?Sized, T: Record, P: Probe> Table<K, Chunk<T>, P> {
    /// Lets elements of a chunk be changed in place.
    pub(crate) fn change(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        change: impl FnMut(&mut [u8]),
    ) -> Result<(), StateError> {
        change_elements::<K, T, P, 0>(self, arena, (hash, key), change)
    }
}

/// Shows the archived bytes of a chunk's elements, in order, to be changed. What `change` leaves is an archived `T`.
fn change_elements<K: Key + ?Sized, T: Record, P: Probe, const AT: usize>(
    table: &mut Table<K, Chunk<T, AT>, P>,
    arena: &mut Arena,
    (hash, key): (KeyHash, &[u8]),
    mut change: impl FnMut(&mut [u8]),
) -> Result<(), StateError> {
    let as_it_is = |chunk: &[u8]| (!chunk.is_empty()).then_some(chunk.len());
    let changed = table.resize(arena, hash, key, as_it_is, |chunk, _| {
        let mut end = AT;
        while end < chunk.len() {
            let (element, next) = Lie::<T>::element(chunk, end).expect("a chunk consists of elements");
            let start = next - element.len();
            change(&mut chunk[start..next]);
            end = next;
        }
    });
    changed.map(drop)
}

// SAFETY: elements lie in a chunk as `Lie` says, at multiples of their alignment, which is at most that of records; they have neither
// pointers nor uninitialised bytes, and what is between them is zeros.
unsafe impl<T: Record, const AT: usize> Record for Chunk<T, AT> {
    type View = ChunkView<T, AT>;
    const SIZE: Option<usize> = None;
    const PLAIN: bool = false;
    const ELEMENTS: bool = true;

    fn encode(&self, out: &mut RecordBuf) {
        out.extend_from_slice(&self.0);
    }

    #[inline]
    unsafe fn view_unchecked(bytes: &[u8]) -> &Self::View {
        ChunkView::new(bytes)
    }

    fn view(bytes: &[u8]) -> Result<&Self::View, RecordError> {
        let refused = |reason: &str| RecordError { expected: Self::layout().text, reason: reason.to_owned() };
        let mut end = AT;
        if bytes.len() < AT {
            return Err(refused("there is no head"));
        }
        while end < bytes.len() {
            let (element, next) =
                Lie::<T>::element(bytes, end).ok_or_else(|| refused("an element is cut off"))?;
            let mut aligned = RecordBuf::new();
            aligned.extend_from_slice(element);
            T::view(&aligned)?;
            end = next;
        }
        Ok(ChunkView::new(bytes))
    }

    fn owned(view: &Self::View) -> Self {
        let mut bytes = RecordBuf::new();
        bytes.extend_from_slice(&view.1);
        Chunk(bytes, PhantomData)
    }

    fn layout() -> Layout {
        let element = T::layout();
        let text = format!("chunk of {} from {AT}", element.text);
        let fingerprint = xxh3_64_with_seed(text.as_bytes(), element.fingerprint);
        Layout { text, fingerprint }
    }

    fn record_type(types: &mut Types) -> Type {
        let elements = Type::list(T::record_type(types));
        if AT == 0 {
            return elements;
        }
        types.named::<Self>("List", |_| {
            let word = || Type::Int { bits: 64, signed: false };
            Shape::Struct(vec![
                Member::new("first", word()),
                Member::new("next", word()),
                Member::new("len", word()),
                Member::new("appended", word()),
                Member::new("last", elements),
            ])
        })
    }

    fn save_record(view: &Self::View, out: &mut Writer) {
        if AT > 0 {
            for word in head(&view.1) {
                out.put_u64(word);
            }
        }
        out.put_u64(view.count());
        view.each(|element| put_items(out, [element], |out, element| T::save_record(element, out)));
    }

    fn load_record(mut value: Value) -> Result<Self, Misfit> {
        let mut bytes = RecordBuf::new();
        bytes.resize(AT, 0);
        if AT > 0 {
            for (nth, name) in ["first", "next", "len", "appended"].into_iter().enumerate() {
                let word = value.get(name).and_then(Value::as_u64);
                let word = word.ok_or_else(|| Misfit::found(&value, "the head of a list"))?;
                bytes[nth * 8..][..8].copy_from_slice(&word.to_le_bytes());
            }
            value = value.take("last").ok_or_else(|| Misfit::new("it is missing").within("last"))?;
        }
        let Value::List(elements) = value else {
            return Err(Misfit::found(&value, "the elements of a list"));
        };
        let mut archived = RecordBuf::new();
        for element in elements {
            archived.clear();
            T::load_record(element)?.encode(&mut archived);
            let end = bytes.len();
            bytes.resize(Lie::<T>::start(end) + archived.len(), 0);
            Lie::<T>::place(&mut bytes, end, archived.len()).copy_from_slice(&archived);
        }
        Ok(Chunk(bytes, PhantomData))
    }
}

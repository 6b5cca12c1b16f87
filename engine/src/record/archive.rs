//! How archived bytes are written, checked and read back: the one place that calls rkyv's machinery.
#![allow(unsafe_code)] // archived bytes are seen as values of their type

use std::alloc::Layout as AllocLayout;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use rkyv::api::high::{HighDeserializer, HighValidator};
use rkyv::de::Pool;
use rkyv::rancor::{Fallible, Panic, Strategy};
use rkyv::ser::sharing::{Share, SharingState};
use rkyv::ser::{Allocator, Positional, Sharing, Writer};
use rkyv::{Archive, Deserialize, Place, SerializeUnsized};

use super::layout::record_layout;
use super::{Field, Layout, RECORD_ALIGN, RecordBuf, RecordError};

/// What values are archived with. Archiving fails only where a record is larger than rkyv's relative pointers reach (2 GiB);
/// that panics.
pub struct Encoder<'a> {
    out: &'a mut RecordBuf,
    /// Where shared pointers were written; made when the first one is met.
    shared: Option<Share>,
}

/// What archived values are turned back into owned ones with. It cannot fail.
pub type Decoder = HighDeserializer<Panic>;

/// What foreign bytes are checked with.
pub type Checker<'a> = HighValidator<'a, rkyv::rancor::Error>;

impl std::fmt::Debug for Encoder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("position", &self.out.len()).finish_non_exhaustive()
    }
}

impl Fallible for Encoder<'_> {
    type Error = Panic;
}

impl Positional for Encoder<'_> {
    #[inline]
    fn pos(&self) -> usize {
        self.out.len()
    }
}

impl Writer for Encoder<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), Panic> {
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

/// Room for the resolvers of a collection's items, where these have out-of-line parts of their own (`Vec<String>`). It comes from
/// the global allocator: an arena per thread would cost every record with a `String` more than this costs the few that ask.
// SAFETY: what `push_alloc` returns is a live allocation of `layout`, or dangling where that has no bytes.
unsafe impl Allocator for Encoder<'_> {
    unsafe fn push_alloc(&mut self, layout: AllocLayout) -> Result<NonNull<[u8]>, Panic> {
        let at = if layout.size() == 0 {
            NonNull::without_provenance(NonZeroUsize::new(layout.align()).expect("alignments are not zero"))
        } else {
            // SAFETY: the layout has bytes.
            NonNull::new(unsafe { std::alloc::alloc(layout) })
                .unwrap_or_else(|| std::alloc::handle_alloc_error(layout))
        };
        Ok(NonNull::slice_from_raw_parts(at, layout.size()))
    }

    unsafe fn pop_alloc(&mut self, at: NonNull<u8>, layout: AllocLayout) -> Result<(), Panic> {
        if layout.size() != 0 {
            // SAFETY: the caller pops what it pushed, with the same layout.
            unsafe { std::alloc::dealloc(at.as_ptr(), layout) };
        }
        Ok(())
    }
}

impl Sharing for Encoder<'_> {
    fn start_sharing(&mut self, address: usize) -> SharingState {
        Sharing::<Panic>::start_sharing(self.shared.get_or_insert_default(), address)
    }

    fn finish_sharing(&mut self, address: usize, at: usize) -> Result<(), Panic> {
        self.shared.get_or_insert_default().finish_sharing(address, at)
    }
}

/// [`Record::encode`](super::Record::encode) for a field type: the archived form, root last.
#[inline]
pub fn encode<T: Field>(value: &T, out: &mut RecordBuf) {
    debug_assert!(out.len().is_multiple_of(RECORD_ALIGN), "the caller pads");
    if T::INLINE {
        encode_inline(value, out);
    } else {
        encode_unsized(value, out);
    }
}

/// The form of a type without out-of-line parts: it is put together in place and copied, which compiles to plain stores.
#[inline]
fn encode_inline<T: Field>(value: &T, out: &mut RecordBuf) {
    let at = out.len();
    let Ok(resolver) = value.serialize(&mut Encoder { out, shared: None });
    let mut form = MaybeUninit::<T::Archived>::zeroed();
    // SAFETY: `form` is aligned, and its bytes were zeroed.
    let place = unsafe { Place::new_unchecked(at, form.as_mut_ptr()) };
    value.resolve(resolver, place);
    out.extend_from_slice(place.as_slice());
}

/// Archives anything that rkyv can write.
#[inline]
pub(super) fn encode_unsized<T>(value: &T, out: &mut RecordBuf)
where
    T: for<'a> SerializeUnsized<Encoder<'a>> + ?Sized,
{
    let Ok(_root) = value.serialize_unsized(&mut Encoder { out, shared: None });
}

/// [`Record::view_unchecked`](super::Record::view_unchecked) for a field type.
///
/// # Safety
/// As there.
#[inline]
pub unsafe fn view_unchecked<T: Field>(bytes: &[u8]) -> &T::Native {
    if size_of::<T::Native>() == 0 {
        return nothing::<T>();
    }
    // SAFETY: the caller promises that these bytes are the whole of what `encode` wrote, where they may lie.
    native::<T>(unsafe { rkyv::access_unchecked::<T::Archived>(bytes) })
}

/// [`Record::view`](super::Record::view) for a field type.
pub fn view<T: Field>(bytes: &[u8]) -> Result<&T::Native, RecordError> {
    let size = size_of::<T::Archived>();
    if (T::INLINE || size == 0) && bytes.len() != size {
        return Err(refuse(T::describe, format!("{} bytes where it has {size}", bytes.len())));
    }
    if size == 0 {
        return Ok(nothing::<T>());
    }
    match rkyv::access::<T::Archived, rkyv::rancor::Error>(bytes) {
        Ok(archived) => Ok(native::<T>(archived)),
        Err(reason) => Err(refuse(T::describe, reason.to_string())),
    }
}

/// The value of a type without bytes. No bytes need not lie at an aligned address: those of an empty `RecordBuf` do not.
#[inline]
fn nothing<'a, T: Field>() -> &'a T::Native {
    const { assert!(size_of::<T::Archived>() == size_of::<T::Native>()) };
    // SAFETY: the pointer is aligned, and the only value of a type without bytes is valid at any address.
    unsafe { NonNull::dangling().as_ref() }
}

/// [`Record::owned`](super::Record::owned) for a field type.
#[inline]
pub fn owned<T: Field>(view: &T::Native) -> T {
    let Ok(value) = decode_field::<T>(view, Strategy::wrap(&mut Pool::new()));
    value
}

/// [`Record::layout`](super::Record::layout) for a field type.
pub fn layout<T: Field>() -> Layout {
    record_layout(T::describe)
}

/// [`Record::SIZE`](super::Record::SIZE) for a field type.
pub const fn size<T: Field>() -> Option<usize> {
    if T::INLINE { Some(size_of::<T::Native>()) } else { None }
}

/// The error for bytes that are not what `describe` describes.
pub(super) fn refuse(describe: fn(&mut super::Description), reason: String) -> RecordError {
    RecordError { expected: record_layout(describe).text, reason }
}

/// The archived value, seen with native members.
#[inline]
fn native<T: Field>(archived: &T::Archived) -> &T::Native {
    const { assert_same_layout::<T>() };
    // SAFETY: `Field` promises that the two types have the same layout and the same valid values.
    unsafe { &*(&raw const *archived).cast::<T::Native>() }
}

const fn assert_same_layout<T: Field>() {
    assert!(
        size_of::<T::Archived>() == size_of::<T::Native>()
            && align_of::<T::Archived>() == align_of::<T::Native>(),
        "the native form of a field has another size or alignment than its archived form"
    );
    assert!(align_of::<T::Native>() <= RECORD_ALIGN, "a record's alignment is at most 16 bytes");
}

// The steps that derived code is made of.

/// Writes the archived form of a field into its parent's.
///
/// # Safety
/// `at` points to the field `T` of `parent`.
#[inline]
pub unsafe fn resolve_field<T: Field, P>(
    value: &T,
    resolver: <T as Archive>::Resolver,
    parent: Place<P>,
    at: *mut T::Native,
) {
    // SAFETY: the caller promises where `at` points; the parent's bytes are initialised and aligned.
    let place = unsafe { Place::from_field_unchecked(parent, at.cast::<T::Archived>()) };
    value.resolve(resolver, place);
}

/// Checks a field of a checked parent.
///
/// # Safety
/// `at` is aligned and points to the bytes of one `T::Native`, all initialised.
pub unsafe fn check_field<T: Field>(
    at: *const T::Native,
    checker: &mut Checker<'_>,
) -> Result<(), rkyv::rancor::Error> {
    // SAFETY: the caller promises just this.
    unsafe { rkyv::bytecheck::CheckBytes::check_bytes(at.cast::<T::Archived>(), checker) }
}

/// The owned value of a field.
#[inline]
pub fn decode_field<T: Field>(view: &T::Native, decoder: &mut Decoder) -> Result<T, Panic> {
    const { assert_same_layout::<T>() };
    // SAFETY: the inverse of `native`: same layout, same valid values.
    let archived = unsafe { &*(&raw const *view).cast::<T::Archived>() };
    archived.deserialize(decoder)
}

/// The error for an enum's tag that names no variant.
#[derive(Debug, thiserror::Error)]
#[error("{tag} is not a variant of {name}")]
struct UnknownVariant {
    name: &'static str,
    tag: i128,
}

/// Refuses an enum's tag.
pub fn unknown_variant(name: &'static str, tag: i128) -> rkyv::rancor::Error {
    rkyv::rancor::Source::new(UnknownVariant { name, tag })
}

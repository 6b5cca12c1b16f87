//! `String`, `Vec` and the slices that they are seen as.
#![allow(unsafe_code)] // archived bytes are seen as slices

use rkyv::api::high::HighValidator;
use rkyv::rancor::Strategy;
use rkyv::string::ArchivedString;
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;
use rkyv::validation::shared::SharedValidator;
use rkyv::vec::ArchivedVec;

use super::{Description, Field, Layout, Record, RecordBuf, RecordError, archive, layout};
use crate::checkpoint::codec::Writer;
use crate::schema::{Misfit, Type, Types, Value, load, put_items};

// SAFETY: `Native` is `Archived`.
unsafe impl Field for String {
    type Native = ArchivedString;
    const INLINE: bool = false;
    type Get<'a> = &'a str;
    type GetView<'a> = &'a str;

    #[inline]
    fn get(&self) -> &str {
        self
    }

    #[inline]
    fn get_view(native: &ArchivedString) -> &str {
        native
    }

    fn describe(out: &mut Description) {
        out.push("String");
    }

    fn field_type(_: &mut Types) -> Type {
        Type::Text
    }

    fn save_field(native: &ArchivedString, out: &mut Writer) {
        out.put_str(native);
    }

    fn load_field(value: Value) -> Result<Self, Misfit> {
        match value {
            Value::Text(text) => Ok(text),
            other => Err(Misfit::found(&other, "a text")),
        }
    }
}

// SAFETY: the encoding is the text itself, which has no alignment; its length travels with the record.
unsafe impl Record for String {
    type View = str;
    const SIZE: Option<usize> = None;
    const PLAIN: bool = false;

    #[inline]
    fn encode(&self, out: &mut RecordBuf) {
        out.extend_from_slice(self.as_bytes());
    }

    #[inline]
    unsafe fn view_unchecked(bytes: &[u8]) -> &str {
        // SAFETY: the caller promises that `encode` wrote these bytes: those of a `String`.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }

    fn view(bytes: &[u8]) -> Result<&str, RecordError> {
        std::str::from_utf8(bytes).map_err(|reason| archive::refuse(Self::describe, reason.to_string()))
    }

    #[inline]
    fn owned(view: &str) -> String {
        view.to_owned()
    }

    fn layout() -> Layout {
        layout::record_layout(|out| {
            out.push("String");
        })
    }

    fn record_type(types: &mut Types) -> Type {
        Self::field_type(types)
    }

    fn save_record(view: &str, out: &mut Writer) {
        out.put_str(view);
    }

    fn load_record(value: Value) -> Result<Self, Misfit> {
        load(value)
    }
}

// SAFETY: an `ArchivedVec` is a relative pointer and a length whatever it holds; its items are `Native` where they were
// `Archived`, which is the same by induction.
unsafe impl<T: Field> Field for Vec<T> {
    type Native = ArchivedVec<T::Native>;
    const INLINE: bool = false;
    type Get<'a> = &'a [T];
    type GetView<'a> = &'a [T::Native];

    #[inline]
    fn get(&self) -> &[T] {
        self
    }

    #[inline]
    fn get_view(native: &Self::Native) -> &[T::Native] {
        native
    }

    fn describe(out: &mut Description) {
        out.push("Vec<");
        T::describe(out);
        out.push(">");
    }

    fn field_type(types: &mut Types) -> Type {
        Type::list(T::field_type(types))
    }

    fn save_field(native: &Self::Native, out: &mut Writer) {
        save_items::<T>(native, out);
    }

    fn load_field(value: Value) -> Result<Self, Misfit> {
        match value {
            Value::List(items) => items.into_iter().map(load).collect(),
            other => Err(Misfit::found(&other, "a list")),
        }
    }
}

/// The portable form of items: their number, then each.
fn save_items<T: Field>(items: &[T::Native], out: &mut Writer) {
    out.put_u64(items.len() as u64);
    put_items(out, items, |out, item| T::save_field(item, out));
}

/// Whether a `Vec<T>` is archived as its items alone, so that the number of bytes tells how many there are.
const fn items_alone<T: Field>() -> bool {
    T::INLINE && size_of::<T::Native>() != 0
}

// SAFETY: items without out-of-line parts are archived one after the other; any others as rkyv archives a `Vec`, whose root says
// where they lie.
unsafe impl<T: Field> Record for Vec<T> {
    type View = [T::Native];
    const SIZE: Option<usize> = None;
    const PLAIN: bool = false;

    #[inline]
    fn encode(&self, out: &mut RecordBuf) {
        if items_alone::<T>() {
            archive::encode_unsized(self.as_slice(), out);
        } else {
            archive::encode(self, out);
        }
    }

    #[inline]
    unsafe fn view_unchecked(bytes: &[u8]) -> &[T::Native] {
        if items_alone::<T>() {
            if bytes.is_empty() {
                return &[]; // no bytes need not lie at an aligned address
            }
            let len = bytes.len() / size_of::<T::Native>();
            // SAFETY: the caller promises that `encode` wrote these bytes, at an aligned address: `len` items in a row.
            unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), len) }
        } else {
            // SAFETY: the caller promises what `view_unchecked` asks for.
            unsafe { archive::view_unchecked::<Self>(bytes) }
        }
    }

    fn view(bytes: &[u8]) -> Result<&[T::Native], RecordError> {
        if !items_alone::<T>() {
            return archive::view::<Self>(bytes).map(ArchivedVec::as_slice);
        }
        check_items::<T>(bytes).map_err(|reason| archive::refuse(Self::describe, reason))?;
        // SAFETY: the bytes were checked: aligned, whole items, each of them valid.
        Ok(unsafe { Self::view_unchecked(bytes) })
    }

    #[inline]
    fn owned(view: &[T::Native]) -> Vec<T> {
        if !T::COPY_OPTIMIZATION.is_enabled() {
            return view.iter().map(archive::owned::<T>).collect();
        }
        let mut items = Vec::with_capacity(view.len());
        // SAFETY: copy optimisation says that a `T` and its archived form are the same bytes; there is room for `view.len()` items,
        // and after the copy that many are initialised.
        unsafe {
            std::ptr::copy_nonoverlapping(view.as_ptr().cast::<T>(), items.as_mut_ptr(), view.len());
            items.set_len(view.len());
        }
        items
    }

    fn layout() -> Layout {
        archive::layout::<Self>()
    }

    fn record_type(types: &mut Types) -> Type {
        Self::field_type(types)
    }

    fn save_record(view: &[T::Native], out: &mut Writer) {
        save_items::<T>(view, out);
    }

    fn load_record(value: Value) -> Result<Self, Misfit> {
        load(value)
    }
}

/// Checks items that lie one after the other.
fn check_items<T: Field>(bytes: &[u8]) -> Result<(), String> {
    let size = size_of::<T::Native>();
    if !bytes.len().is_multiple_of(size) {
        return Err(format!("{} bytes, which is not a multiple of an item's {size}", bytes.len()));
    }
    if !bytes.is_empty() && !bytes.as_ptr().cast::<T::Native>().is_aligned() {
        return Err(format!("the bytes do not lie at a multiple of {}", align_of::<T::Native>()));
    }
    let mut validator = Validator::new(ArchiveValidator::new(bytes), SharedValidator::new());
    let checker: &mut HighValidator<'_, rkyv::rancor::Error> = Strategy::wrap(&mut validator);
    for item in bytes.chunks_exact(size) {
        // SAFETY: the first item is aligned and an item's size is a multiple of its alignment; a chunk has an item's size.
        unsafe { archive::check_field::<T>(item.as_ptr().cast(), checker) }
            .map_err(|reason| reason.to_string())?;
    }
    Ok(())
}

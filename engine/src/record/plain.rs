//! Records that are archived as themselves.
#![allow(unsafe_code)] // values are copied from and to bytes

use rkyv::Archived;

use super::compound::{items_of, portable_as_field};
use super::{Description, Field, Layout, Plain, Record, RecordBuf, RecordError, archive};
use crate::checkpoint::codec::Writer;
use crate::schema::{Misfit, Type, Types, Value, load, put_items};

#[cfg(target_endian = "big")]
compile_error!(
    "millstream sees archived numbers in place, which needs a little-endian target (x86-64, AArch64, RISC-V, ...)"
);

const _: () = assert!(
    size_of::<Archived<u64>>() == 8
        && align_of::<Archived<u64>>() == align_of::<u64>()
        && align_of::<Archived<u128>>() == align_of::<u128>(),
    "rkyv's feature `unaligned` is switched on somewhere in this program; millstream sees archived numbers in place and \
     cannot work with it"
);
/// The bytes of an archived number, as they lie in memory.
// SAFETY: both are four bytes without padding.
pub(super) const ARCHIVED_1234: [u8; 4] =
    unsafe { std::mem::transmute::<Archived<u32>, [u8; 4]>(Archived::<u32>::from_native(0x0403_0201)) };

const _: () = assert!(
    ARCHIVED_1234[0] == 1 && ARCHIVED_1234[3] == 4,
    "rkyv's feature `big_endian` is switched on somewhere in this program; millstream sees archived numbers in place and \
     cannot work with it"
);

/// Appends a plain value's own bytes.
#[inline]
pub fn encode_plain<T: Plain>(value: &T, out: &mut RecordBuf) {
    // SAFETY: `Plain` promises that there is no padding, so all bytes are initialised.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()) };
    out.extend_from_slice(bytes);
}

/// A copy of a plain value.
#[inline]
pub fn copy_plain<T: Plain>(value: &T) -> T {
    // SAFETY: `value` is valid for reads; `Plain` promises that there is no destructor, so that a copy of the bytes is a value of
    // its own.
    unsafe { std::ptr::read(value) }
}

/// Shows `f` a record: a copy of one that is plain, so that the record itself can stay in registers, whoever `f` passes it to. For cold paths.
#[inline(always)]
pub(crate) fn show_apart<T: Record, R>(record: &T, f: impl FnOnce(&T) -> R) -> R {
    if !T::PLAIN {
        return f(record);
    }
    // SAFETY: `record` is valid for reads; what is plain has no destructor and nothing in it changes behind a shared reference, so that a
    // copy of its bytes may be looked at in its place.
    let copy = std::mem::ManuallyDrop::new(unsafe { std::ptr::read(record) });
    // The compiler would rather show the record than a copy that nobody changes.
    let copy = std::hint::black_box(copy);
    f(&copy)
}

/// The parts of a `Record` implementation that all plain types share.
macro_rules! plain_record {
    () => {
        type View = Self;
        const SIZE: Option<usize> = Some(size_of::<Self>());
        const PLAIN: bool = true;

        #[inline]
        fn encode(&self, out: &mut RecordBuf) {
            encode_plain(self, out);
        }

        #[inline]
        unsafe fn view_unchecked(bytes: &[u8]) -> &Self {
            // SAFETY: the caller promises what `view_unchecked` asks for.
            unsafe { archive::view_unchecked::<Self>(bytes) }
        }

        fn view(bytes: &[u8]) -> Result<&Self, RecordError> {
            archive::view::<Self>(bytes)
        }

        #[inline]
        fn owned(view: &Self) -> Self {
            copy_plain(view)
        }

        fn layout() -> Layout {
            archive::layout::<Self>()
        }

        portable_as_field!();
    };
}

/// An integer in portable form.
macro_rules! portable_int {
    ($integer:ty) => {
        fn field_type(_: &mut Types) -> Type {
            Type::Int { bits: <$integer>::BITS as u8, signed: <$integer>::MIN != 0 }
        }

        fn save_field(native: &Self, out: &mut Writer) {
            out.put_raw(&native.to_le_bytes());
        }

        fn load_field(value: Value) -> Result<Self, Misfit> {
            let number = match &value {
                Value::Unsigned(number) => <$integer>::try_from(*number).ok(),
                Value::Signed(number) => <$integer>::try_from(*number).ok(),
                _ => None,
            };
            number.ok_or_else(|| Misfit::found(&value, stringify!($integer)))
        }
    };
}

/// A floating-point number in portable form.
macro_rules! portable_float {
    ($float:ty) => {
        fn field_type(_: &mut Types) -> Type {
            Type::Float { bits: size_of::<$float>() as u8 * 8 }
        }

        fn save_field(native: &Self, out: &mut Writer) {
            out.put_raw(&native.to_le_bytes());
        }

        fn load_field(value: Value) -> Result<Self, Misfit> {
            match value {
                Value::Float(number) => Ok(number as $float),
                other => Err(Misfit::found(&other, stringify!($float))),
            }
        }
    };
}

macro_rules! portable_bool {
    ($_:ty) => {
        fn field_type(_: &mut Types) -> Type {
            Type::Bool
        }

        fn save_field(native: &Self, out: &mut Writer) {
            out.put_bool(*native);
        }

        fn load_field(value: Value) -> Result<Self, Misfit> {
            match value {
                Value::Bool(value) => Ok(value),
                other => Err(Misfit::found(&other, "a truth value")),
            }
        }
    };
}

macro_rules! portable_char {
    ($_:ty) => {
        fn field_type(_: &mut Types) -> Type {
            Type::Char
        }

        fn save_field(native: &Self, out: &mut Writer) {
            out.put_u32(u32::from(*native));
        }

        fn load_field(value: Value) -> Result<Self, Misfit> {
            match value {
                Value::Char(value) => Ok(value),
                other => Err(Misfit::found(&other, "a character")),
            }
        }
    };
}

macro_rules! primitives {
    ($($portable:ident: $($primitive:ty),*;)*) => {$($(
        // SAFETY: on a little-endian target, with rkyv's default layout (asserted above), the archived form has the native bytes;
        // where not all bytes are valid (`bool`, `char`) rkyv's check refuses the same ones.
        unsafe impl Field for $primitive {
            type Native = Self;
            const INLINE: bool = true;
            type Get<'a> = Self;
            type GetView<'a> = Self;

            #[inline]
            fn get(&self) -> Self {
                *self
            }

            #[inline]
            fn get_view(native: &Self) -> Self {
                *native
            }

            fn describe(out: &mut Description) {
                out.push(stringify!($primitive));
            }

            $portable!($primitive);
        }

        // SAFETY: a primitive has no padding, no pointer and no destructor.
        unsafe impl Plain for $primitive {}

        // SAFETY: as above; the alignment of primitives is at most 16.
        unsafe impl Record for $primitive {
            plain_record!();
        }
    )*)*};
}

primitives! {
    portable_int: u8, u16, u32, u64, u128, i8, i16, i32, i64, i128;
    portable_float: f32, f64;
    portable_bool: bool;
    portable_char: char;
}

// SAFETY: there is nothing to have a layout.
unsafe impl Field for () {
    type Native = ();
    const INLINE: bool = true;
    type Get<'a> = ();
    type GetView<'a> = ();

    #[inline]
    fn get(&self) {}

    #[inline]
    fn get_view((): &()) {}

    fn describe(out: &mut Description) {
        out.push("()");
    }

    fn field_type(_: &mut Types) -> Type {
        Type::Unit
    }

    fn save_field((): &(), _: &mut Writer) {}

    fn load_field(value: Value) -> Result<Self, Misfit> {
        match value {
            Value::Unit => Ok(()),
            other => Err(Misfit::found(&other, "()")),
        }
    }
}

// SAFETY: no bytes at all.
unsafe impl Plain for () {}

// SAFETY: no bytes at all.
unsafe impl Record for () {
    plain_record!();
}

// SAFETY: an array is its members, one after the other, archived or not.
unsafe impl<T: Field, const N: usize> Field for [T; N] {
    type Native = [T::Native; N];
    const INLINE: bool = T::INLINE;
    type Get<'a> = &'a [T; N];
    type GetView<'a> = &'a [T::Native; N];

    #[inline]
    fn get(&self) -> &Self {
        self
    }

    #[inline]
    fn get_view(native: &Self::Native) -> &Self::Native {
        native
    }

    fn describe(out: &mut Description) {
        out.push("[");
        T::describe(out);
        out.push(&format!("; {N}]"));
    }

    fn field_type(types: &mut Types) -> Type {
        Type::Array(Box::new(T::field_type(types)), N as u64)
    }

    fn save_field(native: &Self::Native, out: &mut Writer) {
        put_items(out, native, |out, item| T::save_field(item, out));
    }

    fn load_field(value: Value) -> Result<Self, Misfit> {
        let items = items_of(value, N, "an array")?.into_iter().map(load).collect::<Result<Vec<T>, _>>()?;
        Ok(items.try_into().unwrap_or_else(|_| unreachable!("as many as were counted")))
    }
}

// SAFETY: an array has no bytes but its members'.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

// SAFETY: as above.
unsafe impl<T: Plain, const N: usize> Record for [T; N] {
    plain_record!();
}

/// One field of a `#[repr(C)]` struct, in order: its name, where it begins and how long it is.
pub type FieldBytes = (&'static str, usize, usize);

/// Refuses, at compile time, a plain struct with padding. Bytes of padding are uninitialised: they must not reach a ring or a file.
pub const fn assert_no_padding(record: &str, fields: &[FieldBytes], size: usize) {
    let mut index = 0;
    while index < fields.len() {
        let (name, start, len) = fields[index];
        let end = start + len;
        let next = if index + 1 < fields.len() { fields[index + 1].1 } else { size };
        if next != end {
            let mut text = Message::new();
            text.push("`");
            text.push(record);
            text.push("` has ");
            text.push_number(next - end);
            text.push(" bytes of padding after field `");
            text.push(name);
            text.push(
                "`: reorder the fields by size, largest first, or add an explicit padding field `_pad: [u8; ",
            );
            text.push_number(next - end);
            text.push("]` there, or remove `#[repr(C)]`");
            panic!("{}", text.as_str());
        }
        index += 1;
    }
}

/// Text put together in a constant.
struct Message {
    bytes: [u8; 512],
    len: usize,
}

impl Message {
    const fn new() -> Self {
        Message { bytes: [b' '; 512], len: 0 }
    }

    const fn push(&mut self, text: &str) {
        let text = text.as_bytes();
        let mut index = 0;
        while index < text.len() && self.len < self.bytes.len() {
            self.bytes[self.len] = text[index];
            self.len += 1;
            index += 1;
        }
    }

    const fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        let digit = [b'0' + (number % 10) as u8];
        if let Ok(digit) = std::str::from_utf8(&digit) {
            self.push(digit);
        }
    }

    const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "a plain record has padding",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "`Tick` has 12 bytes of padding after field `side`: reorder the fields")]
    fn padding_is_named() {
        assert_no_padding("Tick", &[("side", 0, 4), ("price", 16, 16)], 32);
    }

    #[test]
    #[should_panic(expected = "`Tick` has 3 bytes of padding after field `side`")]
    fn padding_at_the_end_is_named() {
        assert_no_padding("Tick", &[("price", 0, 8), ("side", 8, 1)], 12);
    }
}

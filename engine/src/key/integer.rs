//! Integers, `bool` and `char` as keys.
#![allow(unsafe_code)] // the promises of `KeyPart` are made here

use crate::record::Description;
use crate::schema::{Type, Types};

use super::part::{KeyPart, KeySink, KeyText, cut_array};

macro_rules! integers {
    ($($integer:ty),*) => {$(
        // SAFETY: the bytes of an integer in a fixed order and width are the integer.
        unsafe impl KeyPart for $integer {
            type Owned = Self;
            const WIDTH: Option<usize> = Some(size_of::<Self>());

            #[inline]
            fn put<S: KeySink>(&self, out: &mut S) {
                out.put(&self.to_le_bytes());
            }

            #[inline]
            fn take(bytes: &mut &[u8]) -> Self {
                Self::from_le_bytes(cut_array(bytes))
            }

            fn describe(out: &mut Description) {
                out.push(stringify!($integer));
            }

            fn key_type(_: &mut Types) -> Type {
                Type::Int { bits: <$integer>::BITS as u8, signed: <$integer>::MIN != 0 }
            }

            fn show(bytes: &mut &[u8], out: &mut KeyText) {
                out.push(&Self::take(bytes).to_string());
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

// SAFETY: one byte, 0 or 1.
unsafe impl KeyPart for bool {
    type Owned = bool;
    const WIDTH: Option<usize> = Some(1);

    #[inline]
    fn put<S: KeySink>(&self, out: &mut S) {
        u8::from(*self).put(out);
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> bool {
        u8::take(bytes) != 0
    }

    fn describe(out: &mut Description) {
        out.push("bool");
    }

    fn key_type(_: &mut Types) -> Type {
        Type::Bool
    }

    fn show(bytes: &mut &[u8], out: &mut KeyText) {
        out.push(&bool::take(bytes).to_string());
    }
}

// SAFETY: the code point in a fixed width is the character.
unsafe impl KeyPart for char {
    type Owned = char;
    const WIDTH: Option<usize> = Some(4);

    #[inline]
    fn put<S: KeySink>(&self, out: &mut S) {
        u32::from(*self).put(out);
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> char {
        char::from_u32(u32::take(bytes)).expect("a `char` key's encoding is a code point")
    }

    fn describe(out: &mut Description) {
        out.push("char");
    }

    fn key_type(_: &mut Types) -> Type {
        Type::Char
    }

    fn show(bytes: &mut &[u8], out: &mut KeyText) {
        out.push(&format!("{:?}", char::take(bytes)));
    }
}

// SAFETY: there is one value, of no bytes.
unsafe impl KeyPart for () {
    type Owned = ();
    const WIDTH: Option<usize> = Some(0);

    #[inline]
    fn put<S: KeySink>(&self, _out: &mut S) {}

    #[inline]
    fn take(_bytes: &mut &[u8]) {}

    fn describe(out: &mut Description) {
        out.push("()");
    }

    fn key_type(_: &mut Types) -> Type {
        Type::Unit
    }

    fn show(_: &mut &[u8], out: &mut KeyText) {
        out.push("()");
    }
}

//! Text and bytes as keys: alone they are their own encoding, inside another key their length comes first.
#![allow(unsafe_code)] // the promises of `KeyPart` are made here

use crate::record::Description;
use crate::schema::{Type, Types};

use super::part::{KeyPart, KeySink, KeyText, cut, cut_array};

#[inline]
fn put_with_length<S: KeySink>(bytes: &[u8], out: &mut S) {
    let len = u32::try_from(bytes.len()).expect("a key is shorter than 4 GiB");
    len.put(out);
    out.put(bytes);
}

#[inline]
fn take_with_length<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let len = u32::take(bytes);
    cut(bytes, len as usize)
}

const BYTE: Type = Type::Int { bits: 8, signed: false };

macro_rules! text_and_bytes {
    ($($key:ty, $owned:ty, $name:literal, $ty:expr, $as_bytes:expr, $from_bytes:expr;)*) => {$(
        // SAFETY: the length says where the bytes end.
        unsafe impl KeyPart for $key {
            type Owned = $owned;
            const WIDTH: Option<usize> = None;

            #[inline]
            fn put<S: KeySink>(&self, out: &mut S) {
                let as_bytes: fn(&$key) -> &[u8] = $as_bytes;
                put_with_length(as_bytes(self), out);
            }

            #[inline]
            fn take(bytes: &mut &[u8]) -> $owned {
                Self::from_encoding(take_with_length(bytes))
            }

            fn describe(out: &mut Description) {
                out.push($name);
            }

            fn key_type(_: &mut Types) -> Type {
                $ty
            }

            fn show(bytes: &mut &[u8], out: &mut KeyText) {
                Self::show_encoding(take_with_length(bytes), out);
            }

            fn show_encoding(bytes: &[u8], out: &mut KeyText) {
                out.push(&format!("{:?}", Self::from_encoding(bytes)));
            }

            #[inline]
            fn with_encoding<R>(&self, use_it: impl FnOnce(&[u8]) -> R) -> R {
                let as_bytes: fn(&$key) -> &[u8] = $as_bytes;
                use_it(as_bytes(self))
            }

            #[inline]
            fn from_encoding(bytes: &[u8]) -> $owned {
                let from_bytes: fn(&[u8]) -> $owned = $from_bytes;
                from_bytes(bytes)
            }
        }
    )*};
}

fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).expect("a text key's encoding is UTF-8").to_owned()
}

text_and_bytes! {
    str, String, "String", Type::Text, str::as_bytes, text;
    String, String, "String", Type::Text, |key| key.as_bytes(), text;
    [u8], Vec<u8>, "Vec<u8>", Type::list(BYTE), |key| key, <[u8]>::to_vec;
    Vec<u8>, Vec<u8>, "Vec<u8>", Type::list(BYTE), |key| key, <[u8]>::to_vec;
}

// SAFETY: always the same number of bytes.
unsafe impl<const N: usize> KeyPart for [u8; N] {
    type Owned = Self;
    const WIDTH: Option<usize> = Some(N);

    #[inline]
    fn put<S: KeySink>(&self, out: &mut S) {
        out.put(self);
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Self {
        cut_array(bytes)
    }

    fn describe(out: &mut Description) {
        out.push(&format!("[u8; {N}]"));
    }

    fn key_type(_: &mut Types) -> Type {
        Type::Array(Box::new(BYTE), N as u64)
    }

    fn show(bytes: &mut &[u8], out: &mut KeyText) {
        out.push(&format!("{:?}", Self::take(bytes)));
    }

    #[inline]
    fn with_encoding<R>(&self, use_it: impl FnOnce(&[u8]) -> R) -> R {
        use_it(self)
    }
}

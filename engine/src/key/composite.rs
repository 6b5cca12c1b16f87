//! Keys of keys: `Option`, tuples, references that live for ever.
#![allow(unsafe_code)] // the promises of `KeyPart` are made here

use crate::record::Description;
use crate::schema::{Type, Types};

use super::part::{KeyPart, KeySink, KeyText, cut, total_width};

// SAFETY: the first byte says whether a key follows; zeros in its place keep the width.
unsafe impl<K: KeyPart> KeyPart for Option<K> {
    type Owned = Option<K::Owned>;
    const WIDTH: Option<usize> = total_width(&[Some(1), K::WIDTH]);

    #[inline]
    fn put<S: KeySink>(&self, out: &mut S) {
        self.is_some().put(out);
        match self {
            Some(key) => key.put(out),
            None => (0..K::WIDTH.unwrap_or(0)).for_each(|_| out.put(&[0])),
        }
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Self::Owned {
        if bool::take(bytes) {
            return Some(K::take(bytes));
        }
        cut(bytes, K::WIDTH.unwrap_or(0));
        None
    }

    fn describe(out: &mut Description) {
        out.push("Option<");
        K::describe(out);
        out.push(">");
    }

    fn key_type(types: &mut Types) -> Type {
        Type::option(K::key_type(types))
    }

    fn show(bytes: &mut &[u8], out: &mut KeyText) {
        if bool::take(bytes) {
            out.push("Some(");
            K::show(bytes, out);
            return out.push(")");
        }
        cut(bytes, K::WIDTH.unwrap_or(0));
        out.push("None");
    }
}

// SAFETY: the same encoding as what it refers to.
unsafe impl<K: KeyPart + ?Sized> KeyPart for &'static K {
    type Owned = K::Owned;
    const WIDTH: Option<usize> = K::WIDTH;

    #[inline]
    fn put<S: KeySink>(&self, out: &mut S) {
        K::put(self, out);
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Self::Owned {
        K::take(bytes)
    }

    fn describe(out: &mut Description) {
        K::describe(out);
    }

    fn key_type(types: &mut Types) -> Type {
        K::key_type(types)
    }

    fn show(bytes: &mut &[u8], out: &mut KeyText) {
        K::show(bytes, out);
    }

    fn show_encoding(bytes: &[u8], out: &mut KeyText) {
        K::show_encoding(bytes, out);
    }

    #[inline]
    fn with_encoding<R>(&self, use_it: impl FnOnce(&[u8]) -> R) -> R {
        K::with_encoding(self, use_it)
    }

    #[inline]
    fn from_encoding(bytes: &[u8]) -> Self::Owned {
        K::from_encoding(bytes)
    }
}

macro_rules! tuples {
    ($(($first:ident 0 $(, $more:ident $index:tt)*))*) => {$(
        // SAFETY: encodings that can follow each other, following each other.
        unsafe impl<$first: KeyPart $(, $more: KeyPart)*> KeyPart for ($first, $($more,)*) {
            type Owned = ($first::Owned, $($more::Owned,)*);
            const WIDTH: Option<usize> = total_width(&[$first::WIDTH $(, $more::WIDTH)*]);

            #[inline]
            fn put<Sink: KeySink>(&self, out: &mut Sink) {
                self.0.put(out);
                $(self.$index.put(out);)*
            }

            #[inline]
            fn take(bytes: &mut &[u8]) -> Self::Owned {
                ($first::take(bytes), $($more::take(bytes),)*)
            }

            fn describe(out: &mut Description) {
                out.push("(");
                $first::describe(out);
                $(
                    out.push(", ");
                    $more::describe(out);
                )*
                out.push(")");
            }

            fn key_type(types: &mut Types) -> Type {
                Type::Tuple(vec![$first::key_type(types) $(, $more::key_type(types))*])
            }

            fn show(bytes: &mut &[u8], out: &mut KeyText) {
                out.push("(");
                $first::show(bytes, out);
                $(
                    out.push(", ");
                    $more::show(bytes, out);
                )*
                out.push(")");
            }
        }
    )*};
}

tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

//! What keys are made of: types with a canonical encoding.
#![allow(unsafe_code)] // the trait's promises are what unsafe code relies on

use crate::record::Description;
use crate::schema::{Type, Types};

/// A type with a canonical encoding: a key of its own, and a member of composite keys.
///
/// Derive it, and with it [`Key`](super::Key), by `#[derive(Key)]`.
///
/// # Safety
/// - Two values are the same if and only if `put` writes the same bytes, on every machine and in every version.
/// - `put` writes exactly `WIDTH` bytes where that is `Some`; otherwise no encoding is the beginning of another one, so that encodings
///   can follow each other.
/// - `with_encoding` is injective as well, and `take` and `from_encoding` are the inverses of `put` and `with_encoding`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key",
    label = "not a key, and no part of one",
    note = "keys are integers, `bool`, `char`, `String`, `[u8; N]`, `Vec<u8>`, `Option`s and tuples of these, and types with \
            `#[derive(Key)]`",
    note = "floats are not keys: round them to an integer, or use `to_bits()`"
)]
pub unsafe trait KeyPart: 'static {
    /// The key as a value of its own.
    type Owned: Clone + 'static;

    /// The length of the encoding in bytes, where that is the same for all values.
    const WIDTH: Option<usize>;

    /// Writes the encoding in the form that other encodings can follow.
    fn put<S: KeySink>(&self, out: &mut S);

    /// Reads what `put` wrote off the beginning of `bytes`.
    fn take(bytes: &mut &[u8]) -> Self::Owned;

    /// Describes the key.
    fn describe(out: &mut Description);

    /// The key as data.
    fn key_type(types: &mut Types) -> Type;

    /// Reads what `put` wrote off the beginning of `bytes`, and says what it is, for people to read.
    fn show(bytes: &mut &[u8], out: &mut KeyText);

    /// Says what an encoding given by `with_encoding` is.
    fn show_encoding(mut bytes: &[u8], out: &mut KeyText) {
        Self::show(&mut bytes, out);
    }

    /// Gives `use_it` the encoding of a key that stands alone.
    #[inline]
    fn with_encoding<R>(&self, use_it: impl FnOnce(&[u8]) -> R) -> R {
        let mut encoding = Encoding::default();
        self.put(&mut encoding);
        use_it(encoding.bytes())
    }

    /// Reads what `with_encoding` gave.
    #[inline]
    fn from_encoding(mut bytes: &[u8]) -> Self::Owned {
        Self::take(&mut bytes)
    }
}

/// A key as people read it.
#[derive(Debug, Default)]
pub struct KeyText(String);

impl KeyText {
    /// Appends to it.
    pub fn push(&mut self, text: &str) {
        self.0.push_str(text);
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Where encodings are written to.
pub trait KeySink {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl KeySink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// An encoding of at most eight bytes, as a little-endian integer. It compiles to shifts.
#[derive(Default)]
pub(super) struct Word {
    value: u64,
    bits: u32,
}

impl Word {
    #[inline]
    pub(super) fn value(&self) -> u64 {
        self.value
    }
}

impl KeySink for Word {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        // Byte by byte, so that nothing is called: lengths are known where this is inlined.
        for &byte in bytes {
            self.value |= u64::from(byte) << self.bits;
            self.bits += 8;
        }
    }
}

/// How long an encoding may be before it is put together on the heap.
const ON_STACK: usize = 64;

/// An encoding of any length.
struct Encoding {
    len: usize,
    short: [u8; ON_STACK],
    /// All of it, once it is longer than `short`.
    long: Vec<u8>,
}

impl Default for Encoding {
    #[inline]
    fn default() -> Self {
        Encoding { len: 0, short: [0; ON_STACK], long: Vec::new() }
    }
}

impl Encoding {
    #[inline]
    fn bytes(&self) -> &[u8] {
        if self.len <= ON_STACK { &self.short[..self.len] } else { &self.long }
    }
}

impl KeySink for Encoding {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let start = self.len;
        self.len += bytes.len();
        if self.len <= ON_STACK {
            self.short[start..self.len].copy_from_slice(bytes);
        } else {
            if start <= ON_STACK {
                self.long.extend_from_slice(&self.short[..start]);
            }
            self.long.extend_from_slice(bytes);
        }
    }
}

/// Takes `len` bytes off the beginning.
#[inline]
pub(super) fn cut<'a>(bytes: &mut &'a [u8], len: usize) -> &'a [u8] {
    bytes.split_off(..len).expect("a key's encoding is as long as the key's type wrote it")
}

/// [`cut`] for a length that the type knows.
#[inline]
pub(super) fn cut_array<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    cut(bytes, N).try_into().expect("just cut to this length")
}

/// The width of encodings that follow each other.
#[doc(hidden)]
pub const fn total_width(widths: &[Option<usize>]) -> Option<usize> {
    let mut total = 0;
    let mut index = 0;
    while index < widths.len() {
        match widths[index] {
            Some(width) => total += width,
            None => return None,
        }
        index += 1;
    }
    Some(total)
}

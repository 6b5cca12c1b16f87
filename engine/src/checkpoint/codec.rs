//! What goes to disk, field by field: little-endian, fixed widths, every length checked before it is believed.

use std::fmt::Display;

/// Writes fields one after the other.
///
/// ```
/// use millstream_engine::checkpoint::codec::{Reader, Writer};
///
/// let mut out = Writer::new();
/// out.put_u32(7).put_str("seven").put_list(&[1u64, 2, 3], |out, n| {
///     out.put_u64(*n);
/// });
/// let bytes = out.into_bytes();
///
/// let mut fields = Reader::new(&bytes);
/// assert_eq!(fields.u32("number")?, 7);
/// assert_eq!(fields.str("name")?, "seven");
/// assert_eq!(fields.list("counts", 8, |fields| fields.u64("count"))?, [1, 2, 3]);
/// fields.finish()?;
/// # Ok::<(), millstream_engine::checkpoint::codec::CodecError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Begins with nothing.
    pub fn new() -> Self {
        Writer::default()
    }

    /// Begins with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Writer { bytes: Vec::with_capacity(bytes) }
    }

    /// Goes on at the end of `bytes`.
    pub fn append_to(bytes: Vec<u8>) -> Self {
        Writer { bytes }
    }

    /// Writes one byte.
    pub fn put_u8(&mut self, value: u8) -> &mut Self {
        self.put_raw(&[value])
    }

    /// Writes a truth value as one byte, 0 or 1.
    pub fn put_bool(&mut self, value: bool) -> &mut Self {
        self.put_u8(u8::from(value))
    }

    /// Writes two bytes.
    pub fn put_u16(&mut self, value: u16) -> &mut Self {
        self.put_raw(&value.to_le_bytes())
    }

    /// Writes four bytes.
    pub fn put_u32(&mut self, value: u32) -> &mut Self {
        self.put_raw(&value.to_le_bytes())
    }

    /// Writes eight bytes.
    pub fn put_u64(&mut self, value: u64) -> &mut Self {
        self.put_raw(&value.to_le_bytes())
    }

    /// Writes eight bytes.
    pub fn put_i64(&mut self, value: i64) -> &mut Self {
        self.put_raw(&value.to_le_bytes())
    }

    /// Writes the bytes as they are: the reader has to know how many there are.
    pub fn put_raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Writes the number of bytes (as `u64`), then the bytes.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.put_u64(bytes.len() as u64).put_raw(bytes)
    }

    /// Writes a text as [`Writer::put_bytes`] does.
    pub fn put_str(&mut self, text: &str) -> &mut Self {
        self.put_bytes(text.as_bytes())
    }

    /// Writes whether there is a value, then the value.
    pub fn put_option<T>(&mut self, value: Option<T>, mut put: impl FnMut(&mut Self, T)) -> &mut Self {
        self.put_bool(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
        self
    }

    /// Writes the number of items (as `u64`), then each item.
    pub fn put_list<I>(&mut self, items: I, mut put: impl FnMut(&mut Self, I::Item)) -> &mut Self
    where
        I: IntoIterator,
        I::IntoIter: ExactSizeIterator,
    {
        let items = items.into_iter();
        self.put_u64(items.len() as u64);
        for item in items {
            put(self, item);
        }
        self
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What has been written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What has been written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// What is wrong with the bytes, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}: {problem}")]
pub struct CodecError {
    /// The field.
    pub what: &'static str,
    /// Where it begins, counted from the first byte the [`Reader`] was given.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// Reads fields one after the other. Nothing is allocated on the word of a length that the bytes do not back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Begins at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error about the field that begins at the reader's place: for values that make no sense.
    pub fn error(&self, what: &'static str, problem: impl Display) -> CodecError {
        CodecError { what, offset: self.at, problem: problem.to_string() }
    }

    /// Reads one byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, CodecError> {
        Ok(self.array::<1>(what)?[0])
    }

    /// Reads a truth value.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, CodecError> {
        match self.clone().u8(what)? {
            value @ (0 | 1) => {
                self.at += 1;
                Ok(value == 1)
            }
            other => Err(self.error(what, format_args!("{other} is neither 0 nor 1"))),
        }
    }

    /// Reads two bytes.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, CodecError> {
        self.array(what).map(u16::from_le_bytes)
    }

    /// Reads four bytes.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, CodecError> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Reads eight bytes.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, CodecError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Reads eight bytes.
    pub fn i64(&mut self, what: &'static str) -> Result<i64, CodecError> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// Reads `N` bytes.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CodecError> {
        let bytes = self.raw(what, N)?;
        Ok(bytes.try_into().expect("raw gives as many bytes as asked for"))
    }

    /// Reads `len` bytes.
    pub fn raw(&mut self, what: &'static str, len: usize) -> Result<&'a [u8], CodecError> {
        if len > self.remaining() {
            let problem = format_args!("{len} bytes are needed, {} are left", self.remaining());
            return Err(self.error(what, problem));
        }
        let bytes = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }

    /// Reads what [`Writer::put_bytes`] wrote.
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], CodecError> {
        let len = self.count(what, 1)?;
        self.raw(what, len)
    }

    /// Reads what [`Writer::put_str`] wrote.
    pub fn str(&mut self, what: &'static str) -> Result<&'a str, CodecError> {
        let offset = self.at;
        std::str::from_utf8(self.bytes(what)?).map_err(|error| CodecError {
            what,
            offset,
            problem: error.to_string(),
        })
    }

    /// Reads what [`Writer::put_option`] wrote.
    pub fn option<T>(
        &mut self,
        what: &'static str,
        get: impl FnOnce(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        if self.bool(what)? { get(self).map(Some) } else { Ok(None) }
    }

    /// Reads a number of items (as `u64`) of which each takes at least `item_bytes_min` bytes, and makes sure that so many can be there.
    pub fn count(&mut self, what: &'static str, item_bytes_min: usize) -> Result<usize, CodecError> {
        let start = self.clone();
        let count = self.u64(what)?;
        let possible = self.remaining() / item_bytes_min.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= possible => Ok(count),
            _ => Err(start.error(what, format_args!("{count} cannot be there: at most {possible} fit"))),
        }
    }

    /// Reads what [`Writer::put_list`] wrote; each item takes at least `item_bytes_min` bytes (at least 1).
    pub fn list<T>(
        &mut self,
        what: &'static str,
        item_bytes_min: usize,
        mut get: impl FnMut(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Vec<T>, CodecError> {
        let count = self.count(what, item_bytes_min)?;
        // The bytes back this many items, so that what is allocated is in proportion to them.
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(get(self)?);
        }
        Ok(items)
    }

    /// Makes sure that nothing is left.
    pub fn finish(self) -> Result<(), CodecError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error("end", format_args!("{left} bytes too many"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Sample {
        small: (u8, bool, u16),
        large: (u32, u64, i64),
        blob: Vec<u8>,
        names: Vec<String>,
        maybe: Option<u32>,
    }

    impl Sample {
        fn put(&self, out: &mut Writer) {
            out.put_u8(self.small.0).put_bool(self.small.1).put_u16(self.small.2);
            out.put_u32(self.large.0).put_u64(self.large.1).put_i64(self.large.2);
            out.put_bytes(&self.blob);
            out.put_list(&self.names, |out, name| {
                out.put_str(name);
            });
            out.put_option(self.maybe, |out, n| {
                out.put_u32(n);
            });
        }

        fn get(fields: &mut Reader<'_>) -> Result<Self, CodecError> {
            Ok(Sample {
                small: (fields.u8("a")?, fields.bool("b")?, fields.u16("c")?),
                large: (fields.u32("d")?, fields.u64("e")?, fields.i64("f")?),
                blob: fields.bytes("blob")?.to_vec(),
                names: fields.list("names", 8, |fields| fields.str("name").map(str::to_owned))?,
                maybe: fields.option("maybe", |fields| fields.u32("number"))?,
            })
        }
    }

    prop_compose! {
        fn sample()(
            small in any::<(u8, bool, u16)>(),
            large in any::<(u32, u64, i64)>(),
            blob in any::<Vec<u8>>(),
            names in prop::collection::vec(any::<String>(), 0..5),
            maybe in any::<Option<u32>>(),
        ) -> Sample {
            Sample { small, large, blob, names, maybe }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(sample in sample()) {
            let mut out = Writer::new();
            sample.put(&mut out);
            let mut fields = Reader::new(out.bytes());
            prop_assert_eq!(Sample::get(&mut fields).unwrap(), sample);
            prop_assert!(fields.finish().is_ok());
        }

        #[test]
        fn a_truncated_value_is_an_error_that_lies_within_it(sample in sample(), cut in any::<prop::sample::Index>()) {
            let mut out = Writer::new();
            sample.put(&mut out);
            let cut = cut.index(out.len());
            let error = Sample::get(&mut Reader::new(&out.bytes()[..cut])).unwrap_err();
            prop_assert!(error.offset <= cut);
        }

        #[test]
        fn random_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            let _ = Sample::get(&mut Reader::new(&bytes));
        }
    }

    #[test]
    fn an_absurd_length_is_refused_and_named() {
        let mut out = Writer::new();
        out.put_u8(1).put_u64(u64::MAX);
        let mut fields = Reader::new(out.bytes());
        fields.u8("first").unwrap();
        let error = fields.clone().bytes("the blob").unwrap_err();
        assert_eq!((error.what, error.offset), ("the blob", 1));
        assert!(fields.list("items", 8, |fields| fields.u64("item")).is_err());
    }
}

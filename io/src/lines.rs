//! Lines: how bytes are cut into them, and what becomes of those that are not UTF-8. Shared by every source of lines.

mod cutter;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem::Finder;
use millstream_engine::source::SourceError;

pub(crate) use cutter::{LineCutter, RunTooLong};

/// The longest line unless [`LineFormat::max_line_bytes`] says otherwise: 1 MiB.
pub const MAX_LINE_BYTES_DEFAULT: usize = 1024 * 1024;

/// What to do with a line that is not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Utf8Policy {
    /// Fail, with the file and the byte.
    #[default]
    Fail,
    /// Leave the line out and count it (see [`LineFormat::count_skipped`]).
    Skip,
    /// Put U+FFFD in the place of what is not UTF-8.
    Lossy,
}

/// How bytes become lines.
///
/// ```
/// use millstream_io::{LineFormat, TextFiles, Utf8Policy};
///
/// let records = LineFormat::new().delimiter("||").utf8(Utf8Policy::Lossy).max_line_bytes(4096);
/// let source = TextFiles::new(["export.txt"]).format(records);
/// ```
#[derive(Clone, Debug)]
pub struct LineFormat {
    delimiter: Vec<u8>,
    utf8: Utf8Policy,
    max_line_bytes: usize,
    skipped: Arc<AtomicU64>,
}

impl Default for LineFormat {
    fn default() -> Self {
        LineFormat {
            delimiter: b"\n".to_vec(),
            utf8: Utf8Policy::Fail,
            max_line_bytes: MAX_LINE_BYTES_DEFAULT,
            skipped: Arc::default(),
        }
    }
}

impl LineFormat {
    /// Lines that end with `\n` or `\r\n`, of at most 1 MiB, that must be UTF-8.
    pub fn new() -> Self {
        Self::default()
    }

    /// What ends a line. With the default, `\n`, a carriage return before it belongs to the end of the line; with any other
    /// delimiter nothing is taken off.
    pub fn delimiter(mut self, delimiter: impl Into<Vec<u8>>) -> Self {
        self.delimiter = delimiter.into();
        self
    }

    /// What to do with a line that is not UTF-8.
    pub fn utf8(mut self, policy: Utf8Policy) -> Self {
        self.utf8 = policy;
        self
    }

    /// The longest line, in bytes without the delimiter. A longer one is an error.
    pub fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    /// Counts lines left out by [`Utf8Policy::Skip`] here. Give the same counter to the format of every shard to have the
    /// total.
    pub fn count_skipped(mut self, counter: Arc<AtomicU64>) -> Self {
        self.skipped = counter;
        self
    }

    /// Refuses settings that cannot be meant.
    pub(crate) fn check(&self, source: &str) -> Result<(), SourceError> {
        if self.delimiter.is_empty() {
            return Err(SourceError::fatal(format!(
                "{source}: the line delimiter is empty; give at least one byte"
            )));
        }
        if self.max_line_bytes == 0 || self.max_line_bytes > u32::MAX as usize / 2 {
            return Err(SourceError::fatal(format!(
                "{source}: max_line_bytes is {}; give 1 to {}",
                self.max_line_bytes,
                u32::MAX / 2
            )));
        }
        Ok(())
    }

    /// Takes the carriage return off a line that ended with `\n`.
    fn strip<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        if self.delimiter == b"\n" { line.strip_suffix(b"\r").unwrap_or(line) } else { line }
    }

    /// The text of a line (without its delimiter); `None` where it is to be left out. `place` names its first byte.
    pub(crate) fn text(
        &self,
        line: &[u8],
        place: impl Fn() -> String,
    ) -> Result<Option<String>, SourceError> {
        let line = self.strip(line);
        if line.len() > self.max_line_bytes {
            return Err(self.too_long(place()));
        }
        match std::str::from_utf8(line) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(error) => match self.utf8 {
                Utf8Policy::Lossy => Ok(Some(String::from_utf8_lossy(line).into_owned())),
                Utf8Policy::Skip => {
                    if self.skipped.fetch_add(1, Ordering::Relaxed) == 0 {
                        tracing::warn!(
                            "{}: left out a line that is not UTF-8; further ones are only counted",
                            place()
                        );
                    }
                    Ok(None)
                }
                Utf8Policy::Fail => Err(SourceError::fatal(format!(
                    "{}: the line is not UTF-8 (byte {} of it is 0x{:02x}); convert the input, or choose \
                     Utf8Policy::Skip or Utf8Policy::Lossy",
                    place(),
                    error.valid_up_to() + 1,
                    line[error.valid_up_to()]
                ))),
            },
        }
    }

    pub(crate) fn too_long(&self, place: String) -> SourceError {
        SourceError::fatal(format!(
            "{place}: the line is longer than {} bytes; raise LineFormat::max_line_bytes, or check the delimiter",
            self.max_line_bytes
        ))
    }

    pub(crate) fn delimiter_bytes(&self) -> &[u8] {
        &self.delimiter
    }

    /// The longest run of bytes without a delimiter that can still be a line (or a line and its carriage return).
    pub(crate) fn longest_run(&self) -> usize {
        self.max_line_bytes + 1
    }
}

/// Finds delimiters.
#[derive(Clone, Debug)]
pub(crate) enum Delimiter {
    Byte(u8),
    Bytes(Box<Finder<'static>>),
}

impl Delimiter {
    pub(crate) fn of(format: &LineFormat) -> Self {
        match *format.delimiter_bytes() {
            [byte] => Delimiter::Byte(byte),
            ref bytes => Delimiter::Bytes(Box::new(Finder::new(bytes).into_owned())),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Delimiter::Byte(_) => 1,
            Delimiter::Bytes(finder) => finder.needle().len(),
        }
    }

    /// Where the first delimiter begins.
    #[inline]
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Delimiter::Byte(byte) => memchr::memchr(*byte, bytes),
            Delimiter::Bytes(finder) => finder.find(bytes),
        }
    }

    /// Where the last delimiter ends, the delimiters being found from the left and not overlapping.
    pub(crate) fn last_end(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Delimiter::Byte(byte) => memchr::memrchr(*byte, bytes).map(|at| at + 1),
            Delimiter::Bytes(finder) => finder.find_iter(bytes).last().map(|at| at + finder.needle().len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: &LineFormat, line: &[u8]) -> Result<Option<String>, SourceError> {
        format.text(line, || "f.txt, byte 7".to_owned())
    }

    #[test]
    fn lines_that_are_not_utf8_follow_the_policy() {
        let bad = b"ab\xffc";
        let fail = text(&LineFormat::new(), bad).unwrap_err();
        assert!(
            fail.what.starts_with("f.txt, byte 7: the line is not UTF-8 (byte 3 of it is 0xff)"),
            "{fail}"
        );
        assert!(!fail.retryable);
        let counter = Arc::new(AtomicU64::new(0));
        let skip = LineFormat::new().utf8(Utf8Policy::Skip).count_skipped(counter.clone());
        assert_eq!(text(&skip, bad).unwrap(), None);
        assert_eq!(text(&skip, b"fine").unwrap().as_deref(), Some("fine"));
        assert_eq!(counter.load(Ordering::Relaxed), 1);
        let lossy = LineFormat::new().utf8(Utf8Policy::Lossy);
        assert_eq!(text(&lossy, bad).unwrap().as_deref(), Some("ab\u{fffd}c"));
    }

    #[test]
    fn a_carriage_return_belongs_to_the_newline_only() {
        assert_eq!(text(&LineFormat::new(), b"a\r").unwrap().as_deref(), Some("a"));
        assert_eq!(text(&LineFormat::new().delimiter(";"), b"a\r").unwrap().as_deref(), Some("a\r"));
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let format = LineFormat::new().max_line_bytes(3);
        assert_eq!(text(&format, b"abc\r").unwrap().as_deref(), Some("abc"));
        let error = text(&format, b"abcd").unwrap_err();
        assert!(
            error.what.contains("longer than 3 bytes") && error.what.contains("max_line_bytes"),
            "{error}"
        );
    }

    #[test]
    fn absurd_settings_are_refused() {
        assert!(LineFormat::new().delimiter("").check("f").is_err());
        assert!(LineFormat::new().max_line_bytes(0).check("f").is_err());
        assert!(LineFormat::new().max_line_bytes(usize::MAX).check("f").is_err());
        assert!(LineFormat::new().check("f").is_ok());
    }
}

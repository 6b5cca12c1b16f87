//! Cuts a stream of bytes into blocks of whole lines, so that the shard never has to put a line together.

use super::{Delimiter, LineFormat};

/// Collects what was read and gives it out up to the end of the last whole line.
pub(crate) struct LineCutter {
    delimiter: Delimiter,
    longest_run: usize,
    /// What was read and not given out, and room behind it.
    buffer: Vec<u8>,
    filled: usize,
    /// No delimiter ends in `buffer[..searched]`.
    searched: usize,
}

/// A run of bytes without a delimiter that is longer than any line may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RunTooLong;

impl LineCutter {
    pub(crate) fn new(format: &LineFormat) -> Self {
        LineCutter {
            delimiter: Delimiter::of(format),
            longest_run: format.longest_run(),
            buffer: Vec::new(),
            filled: 0,
            searched: 0,
        }
    }

    /// Lets `read` put up to `at_most` bytes behind what is pending; it says how many it put.
    pub(crate) fn fill<E>(
        &mut self,
        at_most: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let end = self.filled + at_most;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        let count = read(&mut self.buffer[self.filled..end])?;
        self.filled += count;
        Ok(count)
    }

    /// All whole lines that are pending, each with its delimiter. `None` where there is none yet.
    pub(crate) fn whole_lines(&mut self) -> Result<Option<Vec<u8>>, RunTooLong> {
        // A delimiter may have begun in the part already searched.
        let from = self.searched.saturating_sub(self.delimiter.len() - 1);
        match self.delimiter.last_end(&self.buffer[from..self.filled]) {
            Some(end) => Ok(Some(self.take(from + end))),
            None => {
                self.searched = self.filled;
                if self.filled >= self.longest_run + self.delimiter.len() {
                    return Err(RunTooLong);
                }
                Ok(None)
            }
        }
    }

    /// What is pending when the stream has ended: a last line without a delimiter, unless it is empty.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.take(self.filled)
    }

    /// Takes out the first `end` bytes; no delimiter ends in what stays.
    fn take(&mut self, end: usize) -> Vec<u8> {
        let taken = self.buffer[..end].to_vec();
        self.buffer.copy_within(end..self.filled, 0);
        self.filled -= end;
        self.searched = self.filled;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn feed(cutter: &mut LineCutter, bytes: &[u8]) {
        let n = cutter.fill(bytes.len() + 5, |room| {
            room[..bytes.len()].copy_from_slice(bytes);
            Ok::<_, Infallible>(bytes.len())
        });
        assert_eq!(n, Ok(bytes.len()));
    }

    proptest! {
        /// However the stream is chopped up, the blocks are whole lines and together they are the stream.
        #[test]
        fn blocks_are_whole_lines(
            text in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'\n')], 0..200),
            cuts in proptest::collection::vec(0usize..30, 0..30),
            delimiter in prop_oneof![Just(&b"\n"[..]), Just(&b"ab"[..]), Just(&b"aa"[..]), Just(&b"\nab"[..])],
        ) {
            let format = LineFormat::new().delimiter(delimiter);
            let delimiter = Delimiter::of(&format);
            let mut cutter = LineCutter::new(&format);
            let (mut rest, mut blocks) = (&text[..], Vec::new());
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                rest = later;
                feed(&mut cutter, now);
                blocks.extend(cutter.whole_lines().unwrap());
            }
            feed(&mut cutter, rest);
            blocks.extend(cutter.whole_lines().unwrap());
            for block in &blocks {
                prop_assert_eq!(delimiter.last_end(block), Some(block.len()));
            }
            let tail = cutter.rest();
            prop_assert_eq!(delimiter.find(&tail), None);
            blocks.push(tail);
            prop_assert_eq!(blocks.concat(), text);
        }
    }

    #[test]
    fn a_run_without_a_delimiter_is_bounded() {
        let mut cutter = LineCutter::new(&LineFormat::new().max_line_bytes(4));
        feed(&mut cutter, b"abcd");
        assert_eq!(cutter.whole_lines(), Ok(None));
        feed(&mut cutter, b"\r");
        assert_eq!(cutter.whole_lines(), Ok(None), "the newline may still come");
        feed(&mut cutter, b"e");
        assert_eq!(cutter.whole_lines(), Err(RunTooLong));
    }
}

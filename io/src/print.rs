//! A line per record on standard output.

use std::fmt::Display;
use std::io::{self, Stderr, Stdout, Write};

use millstream_engine::element::{Epoch, Timestamp};
use millstream_engine::sink::{Committable, Delivery, Sink, SinkContext, SinkError};

/// Lines are written when this much has come together, or when the shard has no more input.
const BUFFER_BYTES: usize = 64 * 1024;

/// Prints records, one per line. With more than one shard each line begins with the number of its shard, counted from 1.
///
/// | shards | without identifier | with identifier `out` |
/// | --- | --- | --- |
/// | 1 | `(a,1)` | `out> (a,1)` |
/// | 2 and more | `2> (a,1)` | `out:2> (a,1)` |
///
/// Lines of different shards never mix. Where the reader of a pipe is slow the shard waits for it.
///
/// ```
/// use millstream_io::Print;
///
/// let sink = Print::stdout().identifier("out");
/// ```
#[derive(Debug)]
pub struct Print<W> {
    to: W,
    name: &'static str,
    identifier: String,
    prefix: String,
    buffer: Vec<u8>,
}

impl Print<Stdout> {
    /// Prints on standard output.
    pub fn stdout() -> Self {
        Print::to(io::stdout(), "standard output")
    }
}

impl Print<Stderr> {
    /// Prints on standard error.
    pub fn stderr() -> Self {
        Print::to(io::stderr(), "standard error")
    }
}

impl<W: Write + 'static> Print<W> {
    /// Prints into a writer of the program's own; `name` stands for it in errors. Each batch of lines is one `write_all`.
    pub fn to(writer: W, name: &'static str) -> Self {
        Print { to: writer, name, identifier: String::new(), prefix: String::new(), buffer: Vec::new() }
    }

    /// Begins each line with this word.
    pub fn identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = identifier.into();
        self
    }

    fn write_out(&mut self) -> Result<(), SinkError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        // Both streams lock themselves for the whole of `write_all`.
        let written = self.to.write_all(&self.buffer).and_then(|()| self.to.flush());
        self.buffer.clear();
        written.map_err(|error| {
            let what = match error.kind() {
                io::ErrorKind::BrokenPipe => format!("nobody reads {} any more (broken pipe)", self.name),
                _ => format!("cannot write to {}: {error}", self.name),
            };
            SinkError::fatal(what).because(error)
        })
    }
}

impl<R: Display + ?Sized, W: Write + 'static> Sink<R> for Print<W> {
    fn delivery(&self) -> Delivery {
        Delivery::Plain
    }

    fn open(&mut self, context: &SinkContext, _recovered: &[Committable]) -> Result<(), SinkError> {
        let shard = u32::from(context.shard.0) + 1;
        self.prefix = match (self.identifier.as_str(), context.shards > 1) {
            ("", false) => String::new(),
            ("", true) => format!("{shard}> "),
            (identifier, false) => format!("{identifier}> "),
            (identifier, true) => format!("{identifier}:{shard}> "),
        };
        Ok(())
    }

    fn write(&mut self, record: &R, _at: Timestamp) -> Result<(), SinkError> {
        writeln!(self.buffer, "{}{record}", self.prefix).map_err(|error| {
            SinkError::fatal(format!("the record's Display failed: {error}")).because(error)
        })?;
        if self.buffer.len() >= BUFFER_BYTES { self.write_out() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.write_out()
    }

    fn prepare(&mut self, _epoch: Epoch) -> Result<(), SinkError> {
        self.write_out()
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.write_out()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_engine::element::ShardId;
    use millstream_engine::runtime::Waker;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn context(shard: u16, shards: u16) -> SinkContext {
        SinkContext {
            shard: ShardId(shard),
            shards,
            restored: Epoch(0),
            job: "job".into(),
            operator: "print".into(),
            waker: Waker::new(),
        }
    }

    fn printed(identifier: &str, shard: u16, shards: u16) -> String {
        let out = Shared::default();
        let mut sink = Print::to(out.clone(), "a test").identifier(identifier);
        Sink::<str>::open(&mut sink, &context(shard, shards), &[]).unwrap();
        Sink::<str>::write(&mut sink, "(a,1)", Timestamp::MIN).unwrap();
        assert!(out.0.lock().unwrap().is_empty(), "lines wait for the flush");
        Sink::<str>::flush(&mut sink).unwrap();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_prefix_follows_the_parallelism_and_the_identifier() {
        assert_eq!(printed("", 0, 1), "(a,1)\n");
        assert_eq!(printed("", 0, 2), "1> (a,1)\n");
        assert_eq!(printed("", 1, 2), "2> (a,1)\n");
        assert_eq!(printed("out", 0, 1), "out> (a,1)\n");
        assert_eq!(printed("out", 1, 2), "out:2> (a,1)\n");
    }

    #[test]
    fn a_broken_pipe_is_an_error() {
        let mut sink = Print::to(Closed, "standard output");
        Sink::<str>::open(&mut sink, &context(0, 1), &[]).unwrap();
        Sink::<str>::write(&mut sink, "x", Timestamp::MIN).unwrap();
        let error = Sink::<str>::flush(&mut sink).unwrap_err();
        assert_eq!(error.what, "nobody reads standard output any more (broken pipe)");
        Sink::<str>::close(&mut sink).unwrap();
    }

    #[test]
    fn a_full_buffer_is_written_without_a_flush() {
        let out = Shared::default();
        let mut sink = Print::to(out.clone(), "a test");
        Sink::<str>::open(&mut sink, &context(0, 1), &[]).unwrap();
        let line = "x".repeat(BUFFER_BYTES);
        Sink::<str>::write(&mut sink, &line, Timestamp::MIN).unwrap();
        assert_eq!(out.0.lock().unwrap().len(), BUFFER_BYTES + 1);
    }
}

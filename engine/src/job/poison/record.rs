//! A record that failed the job again and again, as errors show it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::job::OperatorFailure;
use crate::operator::failure::panic_message;

/// How many bytes of a record are shown.
const SHOWN_BYTES: usize = 256;

/// A record that a function has failed on three times.
#[derive(Debug)]
pub struct PoisonRecord {
    /// The last failure: operator, place, key, event time, cause.
    pub failure: OperatorFailure,
    /// How often it has made the job fail.
    pub failures: u32,
    /// Where it was read, where it had not passed an exchange yet: the source, its partition, and the offset right before the record, as
    /// [`Reader::offset`](crate::source::Reader::offset) writes it.
    pub source: Option<(String, String, Vec<u8>)>,
    /// Its archived bytes; none where it is a timer that fails.
    pub bytes: Option<Vec<u8>>,
    /// The bytes as they may be shown.
    pub shown: Option<String>,
}

impl PoisonRecord {
    pub(super) fn new(
        failure: OperatorFailure,
        failures: u32,
        source: Option<(String, String, Vec<u8>)>,
        bytes: Option<Vec<u8>>,
        redact: Option<&(dyn Fn(&[u8]) -> String + Send + Sync)>,
    ) -> PoisonRecord {
        // The control thread does this: a function of the program's must not end it.
        let by = |redact: &(dyn Fn(&[u8]) -> String + Send + Sync), bytes| {
            catch_unwind(AssertUnwindSafe(|| redact(bytes))).unwrap_or_else(|panic| {
                format!("(the function that shows them panicked: {})", panic_message(&*panic))
            })
        };
        let shown =
            bytes.as_deref().map(|bytes| redact.map_or_else(|| show(bytes), |redact| by(redact, bytes)));
        PoisonRecord { failure, failures, source, bytes, shown }
    }
}

fn show(bytes: &[u8]) -> String {
    let cut = if bytes.len() > SHOWN_BYTES { "..." } else { "" };
    format!("\"{}{cut}\"", bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii())
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for PoisonRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.bytes.is_some() { "record" } else { "key" };
        write!(f, "the same {what} has made it fail {} times: {}", self.failures, self.failure)?;
        if let Some((source, partition, offset)) = &self.source {
            write!(
                f,
                "; read by source `{source}` from partition `{partition}` at offset 0x{}",
                hex(offset)
            )?;
        }
        if let (Some(bytes), Some(shown)) = (&self.bytes, &self.shown) {
            write!(f, "; its {} bytes: {shown}", bytes.len())?;
        }
        Ok(())
    }
}

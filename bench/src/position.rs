//! How a source of made-up records keeps its place: how many it made, and the state of its random numbers.

use millstream::source::SourceError;
use millstream_yardstick::works::Xorshift;

/// Appends a position.
pub fn write(made: u64, random: &Xorshift, out: &mut Vec<u8>) {
    out.extend_from_slice(&made.to_le_bytes());
    out.extend_from_slice(&random.state().to_le_bytes());
}

/// Reads one.
pub fn read(offset: &[u8]) -> Result<(u64, Xorshift), SourceError> {
    let word = |at: usize| offset.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    match (word(0), word(8)) {
        (Some(made), Some(state)) => Ok((u64::from_le_bytes(made), Xorshift::at(u64::from_le_bytes(state)))),
        _ => Err(SourceError::fatal("an offset of made-up records has sixteen bytes")),
    }
}

//! Where a reader of the kit stands: the number of the next thing that it gives, as its offset has it.

use crate::source::SourceError;

/// Reads an offset; none is the beginning.
pub(super) fn read(offset: Option<&[u8]>) -> Result<usize, SourceError> {
    match offset.map(<[u8; 8]>::try_from) {
        None => Ok(0),
        Some(Ok(bytes)) => Ok(u64::from_le_bytes(bytes) as usize),
        Some(Err(_)) => Err(SourceError::fatal(
            "the offset is not one of this source: it has eight bytes; start with an empty state directory",
        )),
    }
}

/// Writes an offset.
pub(super) fn write(next: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(next as u64).to_le_bytes());
}

/// The partition of a numbered name.
pub(super) fn partition<'a, P>(partitions: &'a [P], name: &str) -> Result<&'a P, SourceError> {
    let number = name.parse().ok().and_then(|number: usize| partitions.get(number));
    number.ok_or_else(|| SourceError::fatal(format!("the source has no partition {name}")))
}

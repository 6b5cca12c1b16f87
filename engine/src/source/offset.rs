//! Offsets as bytes: little endian, fixed width, decoded with an error that names the partition.

use super::{PartitionId, SourceError};

/// Takes `N` little-endian words out of a remembered offset.
///
/// # Errors
/// It has another length.
pub fn decode<const N: usize>(partition: &PartitionId, bytes: &[u8]) -> Result<[u64; N], SourceError> {
    if bytes.len() != 8 * N {
        return Err(SourceError::fatal(format!(
            "partition {}: the remembered offset has {} bytes where {} were expected; it was written by another kind \
             of source: restore with the source that the checkpoint was made with",
            partition.0,
            bytes.len(),
            8 * N
        )));
    }
    let mut words = [0u64; N];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(chunk.try_into().expect("chunks_exact gives 8 bytes"));
    }
    Ok(words)
}

/// The inverse of [`decode`].
pub fn encode<const N: usize>(words: [u64; N], out: &mut Vec<u8>) {
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

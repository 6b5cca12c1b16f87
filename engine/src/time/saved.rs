//! What a checkpoint holds of event time, and its bytes. Drawn in `docs/formats/time.md`.

use crate::element::Timestamp;

/// Bytes in a checkpoint that are not the state of a clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeStateError {
    /// They have another length than their kind or their count says.
    #[error("event-time state has {found} bytes where {expected} belong; the checkpoint is damaged")]
    Length {
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A flag byte has bits that mean nothing.
    #[error("event-time state has the flags {0:#04x}, which mean nothing; the checkpoint is damaged")]
    Flags(u8),
    /// A list holds a range that is no part of the key space.
    #[error(
        "event-time state names the key groups {start}..{end}, which do not exist; the checkpoint is damaged"
    )]
    KeyGroups {
        /// The first group.
        start: u32,
        /// One past the last group.
        end: u32,
    },
}

const IDLE: u8 = 1;
const ENDED: u8 = 2;

fn flags(idle: bool, ended: bool) -> u8 {
    (if idle { IDLE } else { 0 }) | (if ended { ENDED } else { 0 })
}

fn from_flags(byte: u8) -> Result<(bool, bool), TimeStateError> {
    if byte & !(IDLE | ENDED) != 0 {
        return Err(TimeStateError::Flags(byte));
    }
    Ok((byte & IDLE != 0, byte & ENDED != 0))
}

pub(super) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

/// Checks the length of `head` bytes, whose last four are a count, followed by that many entries of `entry` bytes.
pub(super) fn check_list(bytes: &[u8], head: usize, entry: usize) -> Result<(), TimeStateError> {
    let found = bytes.len() as u64;
    let count = if bytes.len() < head { 0 } else { u64::from(u32_at(bytes, head - 4)) };
    let expected = head as u64 + count * entry as u64;
    if found == expected { Ok(()) } else { Err(TimeStateError::Length { expected, found }) }
}

/// The state of a [`PartitionClock`](super::PartitionClock).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionTime {
    /// What the generator remembers (the built-in ones: the largest timestamp first).
    pub generator: Vec<u8>,
    /// The partition's watermark, as far as it was let out.
    pub watermark: Timestamp,
    /// Whether it was idle.
    pub idle: bool,
    /// Whether it had ended.
    pub ended: bool,
}

impl PartitionTime {
    /// How many bytes come before those of the generator.
    const HEAD: usize = 9;

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::HEAD + self.generator.len());
        bytes.extend_from_slice(&self.watermark.0.to_le_bytes());
        bytes.push(flags(self.idle, self.ended));
        bytes.extend_from_slice(&self.generator);
        bytes
    }

    /// The state that these bytes stand for.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TimeStateError> {
        if bytes.len() < Self::HEAD {
            return Err(TimeStateError::Length { expected: Self::HEAD as u64, found: bytes.len() as u64 });
        }
        let (idle, ended) = from_flags(bytes[8])?;
        let generator = bytes[Self::HEAD..].to_vec();
        Ok(PartitionTime { generator, watermark: Timestamp(i64_at(bytes, 0)), idle, ended })
    }
}

/// The state of one input of an [`InputMerge`](super::InputMerge).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputTime {
    /// The last watermark that came from it.
    pub watermark: Timestamp,
    /// Whether it was idle.
    pub idle: bool,
    /// Whether it had ended.
    pub ended: bool,
}

/// The state of an [`InputMerge`](super::InputMerge).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeTime {
    /// The operator's watermark.
    pub output: Timestamp,
    /// Its inputs, in order.
    pub inputs: Vec<InputTime>,
}

impl MergeTime {
    /// The same time, with inputs that have not ended.
    pub fn reopened(&self) -> Self {
        let reopened = |input: &InputTime| InputTime { ended: false, ..*input };
        MergeTime { output: self.output, inputs: self.inputs.iter().map(reopened).collect() }
    }

    const HEAD: usize = 12;
    const ENTRY: usize = 9;

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.output.0.to_le_bytes());
        let count = u32::try_from(self.inputs.len()).expect("fewer inputs than 2^32");
        out.extend_from_slice(&count.to_le_bytes());
        for input in &self.inputs {
            out.extend_from_slice(&input.watermark.0.to_le_bytes());
            out.push(flags(input.idle, input.ended));
        }
    }

    /// The state that these bytes stand for.
    pub fn decode(bytes: &[u8]) -> Result<Self, TimeStateError> {
        check_list(bytes, Self::HEAD, Self::ENTRY)?;
        let inputs = bytes[Self::HEAD..]
            .chunks_exact(Self::ENTRY)
            .map(|entry| {
                let (idle, ended) = from_flags(entry[8])?;
                Ok(InputTime { watermark: Timestamp(i64_at(entry, 0)), idle, ended })
            })
            .collect::<Result<_, TimeStateError>>()?;
        Ok(MergeTime { output: Timestamp(i64_at(bytes, 0)), inputs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn partition_time_comes_back(generator: Vec<u8>, watermark: i64, idle: bool, ended: bool) {
            let state = PartitionTime { generator, watermark: Timestamp(watermark), idle, ended };
            prop_assert_eq!(PartitionTime::from_bytes(&state.to_bytes()), Ok(state));
        }

        #[test]
        fn merge_time_comes_back(output: i64, inputs: Vec<(i64, bool, bool)>) {
            let inputs = inputs.into_iter().map(|(w, idle, ended)| InputTime { watermark: Timestamp(w), idle, ended });
            let state = MergeTime { output: Timestamp(output), inputs: inputs.collect() };
            let mut bytes = Vec::new();
            state.encode(&mut bytes);
            prop_assert_eq!(MergeTime::decode(&bytes), Ok(state));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = PartitionTime::from_bytes(&bytes);
            let _ = MergeTime::decode(&bytes);
        }
    }

    #[test]
    fn damage_is_named() {
        assert_eq!(PartitionTime::from_bytes(&[0; 5]), Err(TimeStateError::Length { expected: 9, found: 5 }));
        let mut bytes = [0; 17];
        bytes[8] = 4;
        assert_eq!(PartitionTime::from_bytes(&bytes), Err(TimeStateError::Flags(4)));
        assert_eq!(MergeTime::decode(&[0; 3]), Err(TimeStateError::Length { expected: 12, found: 3 }));
    }
}

//! Tests of whole channels, both ends together, and the instruments they share.

mod capture;
mod lanes;
mod stress;

use super::*;
use crate::element::{KeyHash, Timestamp};
use crate::key::KeyShape;

/// Records and keys of any length; the record starts with its number.
pub(super) const VAR: BatchShape = BatchShape { record_size: None, key: KeyShape::Var, hashed: true };

/// What travels, as a list without frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Record(u64),
    Watermark(i64),
    Idle,
    End,
}

/// A record of `VAR` with a number, and filling that depends on it.
pub(super) fn record(number: u64, filling: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..filling).map(|i| (number as usize + i) as u8));
    bytes
}

/// Pushes one with all columns derived from its number.
pub(super) fn push(outlet: &mut Outlet, number: u64, filling: usize) -> Result<(), ChannelError> {
    let key = &number.to_le_bytes()[..(number % 9) as usize];
    outlet.push_bytes(Timestamp(number as i64), KeyHash(!number), key, &record(number, filling))
}

/// Takes a frame apart and checks that the columns of each record belong together.
pub(super) fn items(frame: Frame<'_>, into: &mut Vec<Item>) {
    match frame {
        Frame::Watermark(at) => into.push(Item::Watermark(at.0)),
        Frame::Idle => into.push(Item::Idle),
        Frame::End => into.push(Item::End),
        Frame::Batch(batch) => {
            for index in 0..batch.len() {
                let bytes = batch.record_bytes(index);
                assert_eq!(bytes.as_ptr() as usize % 16, 0, "records are aligned");
                let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
                assert_eq!(bytes, record(number, bytes.len() - 8), "a record arrives whole");
                assert_eq!(batch.timestamps()[index], Timestamp(number as i64));
                assert_eq!(batch.hashes()[index], KeyHash(!number));
                assert_eq!(batch.key_bytes(index), &number.to_le_bytes()[..(number % 9) as usize]);
                into.push(Item::Record(number));
            }
        }
    }
}

/// What saved bytes hold.
pub(super) fn saved_items(bytes: &[u8]) -> Vec<Item> {
    let mut all = Vec::new();
    let saved = SavedFrames::parse(bytes, &VAR).unwrap();
    saved.frames().for_each(|frame| items(frame, &mut all));
    all
}

/// Consumes the next frame, if there is one.
pub(super) fn read_one(inlet: &mut Inlet, into: &mut Vec<Item>) -> Option<crate::element::Epoch> {
    match inlet.peek() {
        Peek::Empty => return None,
        Peek::Switch(epoch) => return Some(epoch),
        Peek::Frame(frame) => items(frame, into),
    }
    inlet.consume();
    None
}

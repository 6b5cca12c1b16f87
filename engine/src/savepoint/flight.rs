//! Records in flight: frames become values with time and key, and the other way round.
//!
//! Marks of event time between the records are left out, as they are after a rescaling: they concern producers that will be others.

use super::types::RecordType;
use crate::channel::{BatchShape, Frame, OpenBatch, SavedFrames};
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{KeyHash, Timestamp};
use crate::key::KeyShape;
use crate::record::RecordBuf;
use crate::schema::{Misfit, Schema, Value, read_value};

/// The least that a record takes.
const RECORD_BYTES_MIN: usize = 32;

/// The portable form of the records in some frames: their number, then for each its time, the hash and the bytes of its key, and its value.
pub(crate) fn save_frames(frames: &[u8], shape: &BatchShape, of: RecordType) -> Result<Vec<u8>, String> {
    let frames = SavedFrames::parse(frames, shape).map_err(|error| error.to_string())?;
    let (mut records, mut count) = (Writer::new(), 0u64);
    for frame in frames.frames() {
        let Frame::Batch(batch) = frame else { continue };
        for (index, at) in batch.timestamps().iter().enumerate() {
            let hash = batch.hashes().get(index).copied().unwrap_or_default();
            records.put_i64(at.0).put_u64(hash.0).put_bytes(batch.key_bytes(index));
            let mut value = Writer::new();
            of.save(batch.record_bytes(index), &mut value).map_err(|error| error.to_string())?;
            records.put_bytes(value.bytes());
            count += 1;
        }
    }
    let mut out = Writer::new();
    out.put_u64(count).put_raw(records.bytes());
    Ok(out.into_bytes())
}

/// A record in flight.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InFlight {
    pub(super) at: Timestamp,
    pub(super) hash: KeyHash,
    pub(super) key: Vec<u8>,
    pub(super) value: Value,
}

/// What [`save_frames`] wrote.
pub(super) fn read_records(schema: &Schema, bytes: &[u8]) -> Result<Vec<InFlight>, CodecError> {
    let mut input = Reader::new(bytes);
    let records = input.list("records in flight", RECORD_BYTES_MIN, |input| {
        let (at, hash) = (Timestamp(input.i64("time")?), KeyHash(input.u64("hash")?));
        let key = input.bytes("key")?.to_vec();
        let mut bytes = Reader::new(input.bytes("value")?);
        let value = read_value(schema, &mut bytes)?;
        bytes.finish()?;
        Ok(InFlight { at, hash, key, value })
    })?;
    input.finish()?;
    Ok(records)
}

/// Why records in flight cannot come back.
#[derive(Debug)]
pub(super) enum FlightError {
    Codec(CodecError),
    Misfit(Misfit),
}

/// Frames of the records that [`save_frames`] wrote.
pub(super) fn load_frames(
    bytes: &[u8],
    schema: &Schema,
    shape: BatchShape,
    load: impl Fn(Value, &mut RecordBuf) -> Result<(), Misfit>,
) -> Result<Vec<u8>, FlightError> {
    let records = read_records(schema, bytes).map_err(FlightError::Codec)?;
    let (mut frames, mut open) = (Vec::new(), OpenBatch::new(shape));
    for InFlight { at, hash, key, value } in records {
        let fits = match shape.key {
            KeyShape::InHash => key.is_empty(),
            KeyShape::Fixed(size) => key.len() == size,
            KeyShape::Var => true,
        };
        if !fits {
            return Err(FlightError::Misfit(Misfit::new("its key is of another type")));
        }
        let mut archived = RecordBuf::new();
        load(value, &mut archived).map_err(FlightError::Misfit)?;
        open.push_bytes(at, hash, &key, &archived);
        if open.is_full() {
            open.save(&mut frames);
            open.clear();
        }
    }
    if !open.is_empty() {
        open.save(&mut frames);
    }
    Ok(frames)
}

//! What a checkpoint holds of records under way: the records and the signals between them, in the order in which they came
//! (`docs/formats/shard-metadata.md`).

use std::marker::PhantomData;

use super::queue::Marks;
use crate::channel::{BatchShape, Frame, OpenBatch, SavedFrames};
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::Timestamp;
use crate::graph::{Partitioner, Port};
use crate::operator::OpId;
use crate::operator::exchange::belongs;
use crate::operator::failure::Cause;
use crate::operator::segment::OpenContext;
use crate::record::{Record, RecordBuf};
use crate::runtime::restored::Restored;
use crate::savepoint::{RecordType, save_frames};

/// Writes what is under way on a shard.
pub(super) struct Saving<T> {
    out: Writer,
    /// Records on their way into a frame.
    open: OpenBatch,
    /// The stretches so far.
    stretches: Vec<(Vec<u8>, Marks)>,
    record: PhantomData<fn() -> T>,
}

impl<T: Record> Saving<T> {
    /// Begins with what has gone on of event time: the watermark, and whether inputs are idle.
    pub(super) fn new((watermark, idle): (Timestamp, bool)) -> Self {
        let mut out = Writer::new();
        out.put_i64(watermark.0).put_bool(idle);
        let open = OpenBatch::new(BatchShape::unkeyed::<T>());
        Saving { out, open, stretches: Vec::new(), record: PhantomData }
    }

    /// Adds records and the signals behind them.
    pub(super) fn stretch<'a>(&mut self, records: impl Iterator<Item = (Timestamp, &'a [u8])>, marks: Marks) {
        let mut frames = Vec::new();
        for (at, bytes) in records {
            if self.open.is_full() {
                self.open.save(&mut frames);
                self.open.clear();
            }
            self.open.push_archived_unkeyed(at, bytes);
        }
        self.open.save(&mut frames);
        self.open.clear();
        self.stretches.push((frames, marks));
    }

    /// The bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        put_stretches(&mut self.out, &self.stretches);
        self.out.into_bytes()
    }
}

/// Records and the signals behind them.
pub(super) struct SavedStretch {
    pub(super) requests: Vec<(Timestamp, RecordBuf)>,
    pub(super) marks: Marks,
}

/// What was under way and belongs to a shard now.
pub(super) struct Saved {
    pub(super) watermark: Timestamp,
    pub(super) idle: bool,
    pub(super) stretches: Vec<SavedStretch>,
}

impl Saved {
    /// What a checkpoint holds of an operator for one of its shards. Where they are others than then, records go where those go that were on
    /// their way to the operator, and what was to be said behind them is left out: event time goes on where all shards had come to.
    pub(super) fn restore<T: Record>(
        restored: &Restored,
        context: &OpenContext,
        op: OpId,
    ) -> Result<Saved, Cause> {
        let operator = context.name(op);
        // The records are those of the input.
        let of = (RecordType::of::<T>(), BatchShape::unkeyed::<T>());
        restored.check_in_flight(operator, &[T::layout()], &[of.0]).map_err(Cause::fatal)?;
        let frames = |bytes: &[u8]| {
            let frames = restored.frames(operator, Port(0), bytes, of).map_err(Cause::fatal)?;
            requests::<T>(&frames)
        };
        let as_was = restored.keeps_channels(context, op);
        let mut all = Saved { watermark: Timestamp::MAX, idle: false, stretches: Vec::new() };
        let mut any = false;
        for (from, snapshot) in restored.operators(operator) {
            let mut saved = Saved::read(&snapshot.data, frames)?;
            if as_was {
                if from == context.shard {
                    return Ok(saved);
                }
                continue;
            }
            any = true;
            all.watermark = all.watermark.min(saved.watermark);
            let hash = || unreachable!("a lane to the same shard has no keys");
            let (from, before) = restored.instance(operator, from);
            if belongs(Partitioner::Forward, (from, from), hash, before, context.instance()) {
                saved.stretches.iter_mut().for_each(|stretch| stretch.marks = Marks::default());
                all.stretches.append(&mut saved.stretches);
            }
        }
        if !any {
            all.watermark = Timestamp::MIN;
        }
        Ok(all)
    }

    fn read(
        bytes: &[u8],
        requests: impl Fn(&[u8]) -> Result<Vec<(Timestamp, RecordBuf)>, Cause>,
    ) -> Result<Saved, Cause> {
        let (watermark, idle, stretches) = stretches(bytes).map_err(Cause::fatal)?;
        let stretches = stretches
            .into_iter()
            .map(|(frames, marks)| Ok(SavedStretch { requests: requests(&frames)?, marks }));
        Ok(Saved { watermark, idle, stretches: stretches.collect::<Result<_, Cause>>()? })
    }
}

/// What [`Saving::finish`] wrote: watermark, idle mark, and the frames of each stretch with the marks behind them.
fn stretches(bytes: &[u8]) -> Result<(Timestamp, bool, Vec<(Vec<u8>, Marks)>), CodecError> {
    let mut input = Reader::new(bytes);
    let (watermark, idle) = (Timestamp(input.i64("watermark")?), input.bool("idle")?);
    let stretches = input.list("records under way", 6, |input| {
        let frames = input.bytes("frames")?.to_vec();
        let watermark = input.option("watermark behind records", |input| input.i64("watermark"))?;
        let idle = input.option("idle mark behind records", |input| input.bool("idle"))?;
        Ok((frames, Marks::new(watermark.map(Timestamp), idle)))
    })?;
    input.finish()?;
    Ok((watermark, idle, stretches))
}

/// The words with values in the place of frames.
pub(super) fn portable_words<T: Record>(words: &[u8]) -> Result<Vec<u8>, String> {
    let (watermark, idle, mut stretches) = stretches(words).map_err(|error| error.to_string())?;
    for (frames, _) in &mut stretches {
        *frames = save_frames(frames, &BatchShape::unkeyed::<T>(), RecordType::of::<T>())?;
    }
    let mut out = Writer::new();
    out.put_i64(watermark.0).put_bool(idle);
    put_stretches(&mut out, &stretches);
    Ok(out.into_bytes())
}

fn put_stretches(out: &mut Writer, stretches: &[(Vec<u8>, Marks)]) {
    out.put_list(stretches, |out, (frames, marks)| {
        out.put_bytes(frames);
        out.put_option(marks.watermark, |out, at| {
            out.put_i64(at.0);
        });
        out.put_option(marks.idle, |out, idle| {
            out.put_bool(idle);
        });
    });
}

/// The records of some frames.
fn requests<T: Record>(frames: &[u8]) -> Result<Vec<(Timestamp, RecordBuf)>, Cause> {
    let frames = SavedFrames::parse(frames, &BatchShape::unkeyed::<T>()).map_err(Cause::fatal)?;
    let mut requests = Vec::new();
    for frame in frames.frames() {
        let Frame::Batch(batch) = frame else { continue };
        for (index, &at) in batch.timestamps().iter().enumerate() {
            let mut request = RecordBuf::new();
            request.extend_from_slice(batch.record_bytes(index));
            requests.push((at, request));
        }
    }
    Ok(requests)
}

//! A ring between two shards, both ends in one thread.

use std::error::Error;

use millstream_engine::channel::{BatchShape, Frame, OverflowBudget, Peek, ring_lane};
use millstream_engine::element::Timestamp;
use millstream_engine::key::{HashSeed, Key};
use millstream_engine::limits::RING_BYTES_DEFAULT;
use millstream_engine::runtime::Waker;

/// Records that are alone on the ring, as at low load: pushed, framed, sent, looked at and consumed.
pub fn one_by_one(records: u64) -> Result<(), Box<dyn Error>> {
    let shape = BatchShape::keyed::<u64, u64>();
    let (outlet, inlet) = ring_lane(RING_BYTES_DEFAULT, Waker::new(), Waker::new())?;
    let mut outlet = outlet.open(shape, OverflowBudget::new(0))?;
    let mut inlet = inlet.open(shape);
    let mut came = 0;
    for number in 0..records {
        outlet.push(Timestamp(0), number.hash(HashSeed(7)), &number, &number)?;
        outlet.flush()?;
        while let Peek::Frame(frame) = inlet.peek() {
            came += match frame {
                Frame::Batch(batch) => batch.len() as u64,
                _ => 0,
            };
            inlet.consume();
        }
    }
    match came == records {
        true => Ok(()),
        false => Err(format!("{records} records went onto the ring, and {came} came off it").into()),
    }
}

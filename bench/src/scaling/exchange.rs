//! What an exchange costs a record, by how many go together: over the own lane, and over rings between two threads that send as much as
//! they take.

use std::error::Error;
use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream::element::Timestamp;
use millstream_engine::channel::{
    BatchShape, ChannelError, Frame, Inlet, OpenBatch, Outlet, OverflowBudget, Peek, own_lane, ring_lane,
};
use millstream_engine::key::{HashSeed, Key};
use millstream_engine::limits::RING_BYTES_DEFAULT;
use millstream_engine::runtime::Waker;

use super::KEYS;
use crate::bids::{Bid, Generator};
use crate::micro::Settings;
use crate::throughput::{Stretch, WarmUp, of_batches, pin};

const SHAPE: BatchShape = BatchShape::keyed::<Bid, u64>();
const SEED: HashSeed = HashSeed(7);
const WARM_UP: WarmUp = WarmUp { records: 1_000_000 };

/// What may wait beside a ring that is full: a batch and its watermark, which are sent where there was room before the batch.
const OVERFLOW_BYTES: u64 = 1 << 20;

/// How many bids there are, which are used again and again: making them is no part of an exchange. They stay in the nearest cache.
const BIDS: usize = 256;

fn bids() -> Vec<Bid> {
    let mut generator = <Generator>::new(KEYS, 0, 1);
    (0..BIDS).map(|_| generator.bid()).collect()
}

/// Hashing and writing into a batch, which goes nowhere.
pub fn route(settings: &Settings) -> Result<Stretch, Box<dyn Error>> {
    of_batches(settings, WARM_UP, 1, || {
        let (bids, mut batch) = (bids(), OpenBatch::new(SHAPE));
        move || {
            batch.clear();
            for bid in &bids {
                let key = bid.auction as u64;
                batch.push(Timestamp(bid.at), key.hash(SEED), &key, bid);
            }
            black_box(&mut batch).len() as u64
        }
    })
}

/// Both ends of an exchange, as a shard has them.
struct Ends {
    outlet: Outlet,
    inlet: Inlet,
    bids: Vec<Bid>,
    next: usize,
    time: i64,
}

impl Ends {
    /// Sends so many and a watermark, and takes what has come. Says how many were sent.
    fn turn(&mut self, batch: usize) -> Result<u64, ChannelError> {
        let room = self.outlet.ready();
        if room {
            for _ in 0..batch {
                let bid = &self.bids[self.next];
                self.next = (self.next + 1) % BIDS;
                let key = bid.auction as u64;
                self.outlet.push(Timestamp(self.time), key.hash(SEED), &key, bid)?;
            }
            self.time += 1;
            self.outlet.watermark(Timestamp(self.time))?;
        }
        // What waits beside the ring goes as soon as there is room, whatever else can be sent.
        self.outlet.flush()?;
        self.take();
        Ok(if room { batch as u64 } else { 0 })
    }

    fn take(&mut self) {
        let mut sum = 0;
        while let Peek::Frame(frame) = self.inlet.peek() {
            if let Frame::Batch(batch) = &frame {
                for index in 0..batch.len() {
                    sum ^= batch.hashes()[index].0 ^ u64::from(batch.record_bytes(index)[0]);
                }
            }
            self.inlet.consume();
        }
        black_box(sum);
    }
}

/// Over a shard's lane to itself.
pub fn over_own_lane(settings: &Settings, batch: usize) -> Result<Stretch, Box<dyn Error>> {
    let lane = || own_lane(SHAPE, RING_BYTES_DEFAULT, OverflowBudget::new(0));
    // Shown here, where it can be told.
    lane()?;
    of_batches(settings, WARM_UP, 1, || {
        let (outlet, inlet) = lane().expect("it was made before");
        let mut ends = Ends { outlet, inlet, bids: bids(), next: 0, time: 0 };
        move || ends.turn(batch).expect("there is room")
    })
}

/// Says when it is dropped that the other thread may end.
struct Last(Arc<AtomicBool>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Over a ring each way between two threads. Each sends one record for each that it takes, so that a thread's time per record is what
/// sending one and taking one cost.
pub fn over_rings(settings: &Settings, batch: usize) -> Result<Stretch, Box<dyn Error>> {
    let other_core = settings.cores_for(2)?[1];
    let lane = || ring_lane(RING_BYTES_DEFAULT, Waker::new(), Waker::new());
    let (there, back) = (lane()?, lane()?);
    of_batches(settings, WARM_UP, 2, move || {
        let over = Arc::new(AtomicBool::new(false));
        let (outlet_end, inlet_end) = (back.0, there.1);
        let last = Last(over.clone());
        std::thread::spawn(move || {
            pin(other_core)?;
            let budget = OverflowBudget::new(OVERFLOW_BYTES);
            let outlet = outlet_end.open(SHAPE, budget).map_err(|error| error.to_string())?;
            let mut ends = Ends { outlet, inlet: inlet_end.open(SHAPE), bids: bids(), next: 0, time: 0 };
            while !over.load(Ordering::Relaxed) {
                if ends.turn(batch).map_err(|error| error.to_string())? == 0 {
                    spin_loop();
                }
            }
            Ok::<(), String>(())
        });
        let outlet = there.0.open(SHAPE, OverflowBudget::new(OVERFLOW_BYTES)).expect("a small record");
        let mut ends = Ends { outlet, inlet: back.1.open(SHAPE), bids: bids(), next: 0, time: 0 };
        move || {
            let _ = &last;
            ends.turn(batch).expect("there is room")
        }
    })
}

#[cfg(test)]
mod tests {
    use millstream_engine::channel::{InletEnd, OutletEnd};
    use millstream_engine::limits::RING_BYTES_MIN;

    use super::*;

    #[test]
    fn what_is_sent_over_the_own_lane_comes_at_once() {
        let (outlet, inlet) = own_lane(SHAPE, RING_BYTES_DEFAULT, OverflowBudget::new(0)).unwrap();
        let mut ends = Ends { outlet, inlet, bids: bids(), next: 0, time: 0 };
        for _ in 0..1000 {
            assert_eq!(ends.turn(7).unwrap(), 7);
            assert!(!ends.inlet.has_input());
        }
        assert_eq!(ends.next, 7000 % BIDS);
    }

    #[test]
    fn a_ring_that_was_full_is_used_again_once_it_is_read() {
        for batch in [256, 64, 8] {
            let lane = || ring_lane(RING_BYTES_MIN, Waker::new(), Waker::new()).unwrap();
            let ((to_b, from_a), (to_a, from_b)) = (lane(), lane());
            let ends = |outlet: OutletEnd, inlet: InletEnd| {
                let outlet = outlet.open(SHAPE, OverflowBudget::new(OVERFLOW_BYTES)).unwrap();
                Ends { outlet, inlet: inlet.open(SHAPE), bids: bids(), next: 0, time: 0 }
            };
            let (mut a, mut b) = (ends(to_b, from_b), ends(to_a, from_a));
            for _ in 0..3 {
                while a.turn(batch).unwrap() > 0 {}
                b.take();
                a.turn(batch).unwrap();
                assert_eq!(a.turn(batch).unwrap(), batch as u64, "{batch} to a flush: it stays full");
            }
        }
    }
}

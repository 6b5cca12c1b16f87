//! What a record costs between two operators on either side of an exchange: pushed, framed, passed over a ring or the own lane, viewed.
//! Reference: the same 32 bytes pushed into a `Vec` and read back.

#![allow(missing_docs, unsafe_code)] // criterion's macro; records are viewed in place.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millstream_engine::channel::{
    BatchShape, Frame, Inlet, OpenBatch, Outlet, OverflowBudget, Peek, own_lane, ring_lane,
};
use millstream_engine::element::{KeyHash, Timestamp};
use millstream_engine::key::{HashSeed, Key, KeyShape};
use millstream_engine::limits::{BATCH_RECORDS_MAX, RING_BYTES_DEFAULT};
use millstream_engine::record::{Layout, Record, RecordBuf, RecordError};
use millstream_engine::runtime::Waker;
use std::hint::black_box;

#[repr(C)]
#[derive(Clone, Copy)]
struct Bid {
    auction: u64,
    bidder: u64,
    price: i64,
    at: i64,
}

// SAFETY: four eight-byte integers in C order, so without padding; archived as its own bytes.
unsafe impl Record for Bid {
    type View = Bid;
    const SIZE: Option<usize> = Some(32);
    const PLAIN: bool = true;
    fn encode(&self, out: &mut RecordBuf) {
        for number in [self.auction, self.bidder, self.price as u64, self.at as u64] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    unsafe fn view_unchecked(bytes: &[u8]) -> &Bid {
        // SAFETY: the caller gives the 32 bytes of a `Bid`, aligned to 16.
        unsafe { &*bytes.as_ptr().cast::<Bid>() }
    }
    fn view(bytes: &[u8]) -> Result<&Bid, RecordError> {
        assert!(bytes.len() == 32 && bytes.as_ptr().cast::<Bid>().is_aligned());
        // SAFETY: just checked; any bytes are a `Bid`.
        Ok(unsafe { Self::view_unchecked(bytes) })
    }
    fn owned(view: &Bid) -> Bid {
        *view
    }
    fn layout() -> Layout {
        Layout { text: "Bid".into(), fingerprint: 1 }
    }
}

struct Auction(u64);

// SAFETY: the hash is a bijection of the number.
unsafe impl Key for Auction {
    type Owned = u64;
    const SHAPE: KeyShape = KeyShape::InHash;
    fn hash(&self, seed: HashSeed) -> KeyHash {
        KeyHash(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed.0)
    }
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(hash: KeyHash, _: &[u8], seed: HashSeed) -> u64 {
        (hash.0 ^ seed.0).wrapping_mul(0xf1de_83e1_9937_733d)
    }
    fn show(hash: KeyHash, _: &[u8], _: HashSeed) -> String {
        format!("{hash:?}")
    }
    fn layout() -> Layout {
        Layout { text: "Auction".into(), fingerprint: 2 }
    }
}

const SHAPE: BatchShape = BatchShape::keyed::<Bid, Auction>();

fn bids() -> Vec<Bid> {
    (0..BATCH_RECORDS_MAX as i64)
        .map(|i| Bid { auction: i as u64 * 7, bidder: i as u64, price: i, at: i })
        .collect()
}

fn sum(frame: &Frame<'_>) -> i64 {
    match frame {
        // SAFETY: only `Bid`s are pushed.
        Frame::Batch(batch) => unsafe { batch.views::<Bid>() }.iter().map(|bid| bid.price).sum(),
        _ => 0,
    }
}

fn cross(outlet: &mut Outlet, inlet: &mut Inlet, bids: &[Bid]) -> i64 {
    for bid in bids {
        let key = Auction(bid.auction);
        outlet.push(Timestamp(bid.at), key.hash(HashSeed(1)), &key, bid).expect("there is room");
    }
    outlet.flush().expect("there is room");
    let mut total = 0;
    while let Peek::Frame(frame) = inlet.peek() {
        total += sum(&frame);
        inlet.consume();
    }
    total
}

fn benches(criterion: &mut Criterion) {
    let bids = bids();
    let budget = OverflowBudget::new(0);
    let mut group = criterion.benchmark_group("channel");
    group.throughput(Throughput::Elements(bids.len() as u64));

    group.bench_function("reference: vec", |bench| {
        let mut vec = Vec::with_capacity(bids.len());
        bench.iter(|| {
            vec.clear();
            for bid in &bids {
                let key = Auction(bid.auction);
                vec.push((key.hash(HashSeed(1)), *bid));
            }
            black_box(&mut vec).iter().map(|(_, bid)| bid.price).sum::<i64>()
        });
    });
    group.bench_function("push", |bench| {
        let mut batch = OpenBatch::new(SHAPE);
        bench.iter(|| {
            batch.clear();
            for bid in &bids {
                let key = Auction(bid.auction);
                batch.push(Timestamp(bid.at), key.hash(HashSeed(1)), &key, bid);
            }
            batch.len()
        });
    });
    group.bench_function("push, ring, view", |bench| {
        let (outlet, inlet) =
            ring_lane(RING_BYTES_DEFAULT, Waker::new(), Waker::new()).expect("the default size");
        let mut outlet = outlet.open(SHAPE, budget.clone()).expect("a small record");
        let mut inlet = inlet.open(SHAPE);
        bench.iter(|| cross(&mut outlet, &mut inlet, &bids));
    });
    group.bench_function("push, own lane, view", |bench| {
        let (mut outlet, mut inlet) =
            own_lane(SHAPE, RING_BYTES_DEFAULT, budget.clone()).expect("a small record");
        bench.iter(|| cross(&mut outlet, &mut inlet, &bids));
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("one record over a ring, same thread", |bench| {
        let (outlet, inlet) =
            ring_lane(RING_BYTES_DEFAULT, Waker::new(), Waker::new()).expect("the default size");
        let mut outlet = outlet.open(SHAPE, budget.clone()).expect("a small record");
        let mut inlet = inlet.open(SHAPE);
        bench.iter(|| cross(&mut outlet, &mut inlet, &bids[..1]));
    });
    group.finish();
}

criterion_group!(channel, benches);
criterion_main!(channel);

//! Batches through frames and back, damaged frames, and what a full batch refuses.

use super::*;
use crate::channel::Frame;
use crate::key::HashSeed;
use crate::record::{Layout, RecordError};
use proptest::prelude::*;

/// A plain record whose size is not a multiple of 16.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Trade {
    id: u64,
    price: i64,
    size: u64,
}

// SAFETY: three eight-byte integers in C order, so without padding and aligned to 8; archived as its own bytes.
unsafe impl Record for Trade {
    type View = Trade;
    const SIZE: Option<usize> = Some(24);
    const PLAIN: bool = true;
    fn encode(&self, out: &mut RecordBuf) {
        [self.id, self.price as u64, self.size].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
    }
    unsafe fn view_unchecked(bytes: &[u8]) -> &Trade {
        // SAFETY: the caller gives 24 bytes of a `Trade`, aligned to 16.
        unsafe { &*bytes.as_ptr().cast::<Trade>() }
    }
    fn view(bytes: &[u8]) -> Result<&Trade, RecordError> {
        assert_eq!(bytes.len(), 24);
        // SAFETY: any 24 bytes are a `Trade`.
        Ok(unsafe { Self::view_unchecked(bytes) })
    }
    fn owned(view: &Trade) -> Trade {
        *view
    }
    fn layout() -> Layout {
        Layout { text: "Trade".into(), fingerprint: 1 }
    }
}

/// A key that travels in its hash.
struct Id(u64);

// SAFETY: the hash is the number itself.
unsafe impl Key for Id {
    type Owned = u64;
    const SHAPE: KeyShape = KeyShape::InHash;
    fn hash(&self, _: HashSeed) -> KeyHash {
        KeyHash(self.0)
    }
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(hash: KeyHash, _: &[u8], _: HashSeed) -> u64 {
        hash.0
    }
    fn show(hash: KeyHash, _: &[u8], _: HashSeed) -> String {
        hash.0.to_string()
    }
    fn layout() -> Layout {
        Layout { text: "Id".into(), fingerprint: 2 }
    }
}

fn framed(batch: &OpenBatch) -> Vec<Word> {
    // Old contents of a ring must not show through.
    let mut words = vec![Word([u64::MAX; 2]); batch.frame_words()];
    batch.write_frame(&mut words);
    words
}

#[test]
fn plain_records_come_back_as_themselves() {
    let shape = BatchShape::keyed::<Trade, Id>();
    let mut batch = OpenBatch::new(shape);
    for round in 0..2u64 {
        let trades: Vec<_> =
            (0..BATCH_RECORDS_MAX as u64).map(|id| Trade { id, price: -(id as i64), size: round }).collect();
        for trade in &trades {
            assert!(!batch.is_full());
            batch.push(Timestamp(trade.price), KeyHash(trade.id), &Id(trade.id), trade);
        }
        assert!(batch.is_full());
        let words = framed(&batch);
        assert_eq!(words.len(), batch.full_frame_words());
        let Frame::Batch(read) = Frame::parse(&words).unwrap().0 else { panic!("a batch") };
        for read in [read, batch.as_batch()] {
            // SAFETY: `Trade`s were pushed.
            let views = unsafe { read.views::<Trade>() };
            assert!(views.iter().eq(&trades));
            assert_eq!(views.get(7), &trades[7]);
            assert_eq!(read.hashes()[9], KeyHash(9));
            assert_eq!(read.timestamps()[9], Timestamp(-9));
            assert!(read.key_bytes(3).is_empty());
        }
        batch.clear();
        assert!(batch.is_empty());
    }
}

#[test]
fn large_fixed_records_fill_a_batch_sooner() {
    let shape = BatchShape { record_size: Some(10_000), key: KeyShape::InHash, hashed: false };
    let mut batch = OpenBatch::new(shape);
    while !batch.is_full() {
        batch.push_bytes(Timestamp(0), KeyHash(0), &[], &[7; 10_000]);
    }
    assert_eq!(batch.len(), BATCH_BYTES_MAX / 10_000);
}

#[test]
#[should_panic(expected = "the batch is full")]
fn a_full_batch_takes_no_more() {
    let mut batch = OpenBatch::new(BatchShape { record_size: Some(0), key: KeyShape::InHash, hashed: false });
    (0..=BATCH_RECORDS_MAX).for_each(|_| batch.push_bytes(Timestamp(0), KeyHash(0), &[], &[]));
}

#[test]
#[should_panic(expected = "a record of another shape")]
fn a_record_of_another_shape_is_refused() {
    let mut batch = OpenBatch::new(BatchShape { record_size: Some(8), key: KeyShape::InHash, hashed: false });
    batch.push_unkeyed(Timestamp(0), &Trade { id: 0, price: 0, size: 0 });
}

fn shapes() -> impl Strategy<Value = BatchShape> {
    let key =
        prop_oneof![Just(KeyShape::InHash), (0usize..40).prop_map(KeyShape::Fixed), Just(KeyShape::Var),];
    (prop::option::of(0usize..70), key, any::<bool>()).prop_map(|(record_size, key, hashed)| BatchShape {
        record_size,
        key,
        hashed,
    })
}

type Row = (i64, u64, Vec<u8>, Vec<u8>);

fn filled(shape: BatchShape, rows: &mut [Row]) -> OpenBatch {
    let mut batch = OpenBatch::new(shape);
    for (at, hash, key, record) in rows {
        match shape.key {
            KeyShape::InHash => key.clear(),
            KeyShape::Fixed(size) => key.resize(size, 1),
            KeyShape::Var => {}
        }
        if let Some(size) = shape.record_size {
            record.resize(size, 2);
        }
        batch.push_bytes(Timestamp(*at), KeyHash(*hash), key, record);
    }
    batch
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    prop::collection::vec((any::<i64>(), any::<u64>(), bytes(), bytes()), 1..30)
}

fn same(batch: &Batch<'_>, shape: BatchShape, rows: &[Row]) {
    assert_eq!((batch.shape(), batch.len()), (shape, rows.len()));
    for (index, (at, hash, key, record)) in rows.iter().enumerate() {
        assert_eq!(batch.timestamps()[index].0, *at);
        assert_eq!(batch.hashes().get(index).copied(), shape.hashed.then_some(KeyHash(*hash)));
        assert_eq!(batch.key_bytes(index), key);
        assert_eq!(batch.record_bytes(index), record);
        assert_eq!(batch.record_bytes(index).as_ptr() as usize % 16, 0);
    }
}

proptest! {
    #[test]
    fn any_batch_comes_back(shape in shapes(), mut rows in rows(), cut in any::<prop::sample::Index>()) {
        let batch = filled(shape, &mut rows);
        same(&batch.as_batch(), shape, &rows);
        let words = framed(&batch);
        let (frame, length) = Frame::parse(&words).unwrap();
        prop_assert_eq!(length, words.len());
        let Frame::Batch(read) = frame else { panic!("a batch") };
        same(&read, shape, &rows);
        // Part of a batch is a batch.
        let part = cut.index(rows.len())..rows.len();
        let mut words = vec![Word([u64::MAX; 2]); batch.frame_words_of(part.clone())];
        batch.write_frame_of(part.clone(), &mut words);
        let Frame::Batch(read) = Frame::parse_trusted(&words) else { panic!("a batch") };
        same(&read, shape, &rows[part]);
    }

    #[test]
    fn a_damaged_frame_never_panics(
        shape in shapes(), mut rows in rows(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut words = framed(&filled(shape, &mut rows));
        // Most damage goes where it hurts: the header and the first columns.
        for (place, value) in places {
            let bytes = crate::channel::frame::bytes_of_mut(&mut words);
            let reach = if value % 2 == 0 { 32 } else { bytes.len() };
            bytes[place.index(reach)] = value;
        }
        if let Ok((Frame::Batch(batch), _)) = Frame::parse(&words) {
            for index in 0..batch.len() {
                let _ = (batch.record_bytes(index), batch.key_bytes(index));
            }
        }
    }
}

#[test]
fn saved_bytes_hold_no_old_memory() {
    let shape = BatchShape { record_size: Some(3), key: KeyShape::Fixed(5), hashed: true };
    let mut batch = OpenBatch::new(shape);
    batch.push_bytes(Timestamp(-1), KeyHash(u64::MAX), &[0xff; 5], &[0xff; 3]);
    let words = framed(&batch);
    let set = crate::channel::frame::bytes_of(&words[HEADER_WORDS..]).iter().filter(|byte| **byte != 0);
    assert_eq!(set.count(), 8 + 8 + 5 + 3, "everything but the columns is zero");
}

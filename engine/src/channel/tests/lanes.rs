//! The two faces of both kinds of channel: order, headroom, overflow, limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::channel::lane::{own_lane_of, ring_lane_of};
use crate::limits::{BATCH_RECORDS_MAX, RING_BYTES_MIN};
use crate::runtime::Waker;

fn over_ring(words: usize, shape: BatchShape, overflow: u64) -> (Outlet, Inlet) {
    let (outlet, inlet) = ring_lane_of(words, Waker::new(), Waker::new());
    (outlet.open(shape, OverflowBudget::new(overflow)).unwrap(), inlet.open(shape))
}

fn both(words: usize, overflow: u64) -> [(Outlet, Inlet); 2] {
    [over_ring(words, VAR, overflow), own_lane_of(VAR, words, OverflowBudget::new(overflow)).unwrap()]
}

fn read_all(inlet: &mut Inlet) -> Vec<Item> {
    let mut read = Vec::new();
    while let Peek::Frame(frame) = inlet.peek() {
        items(frame, &mut read);
        inlet.consume();
    }
    read
}

#[test]
fn control_frames_stay_behind_the_records_pushed_before_them() {
    for (mut outlet, mut inlet) in both(256, 0) {
        push(&mut outlet, 0, 5).unwrap();
        outlet.watermark(Timestamp(7)).unwrap();
        outlet.idle().unwrap();
        push(&mut outlet, 1, 5).unwrap();
        assert_eq!(read_all(&mut inlet), [Item::Record(0), Item::Watermark(7), Item::Idle]);
        outlet.end().unwrap();
        assert_eq!(read_all(&mut inlet), [Item::Record(1), Item::End]);
        outlet.flush().unwrap();
        assert!(matches!(inlet.peek(), Peek::Empty));
    }
}

#[test]
fn a_full_batch_goes_off_by_itself() {
    for (mut outlet, mut inlet) in both(RING_BYTES_MIN / WORD_BYTES, 0) {
        for number in 0..BATCH_RECORDS_MAX as u64 - 1 {
            push(&mut outlet, number, 0).unwrap();
        }
        assert!(matches!(inlet.peek(), Peek::Empty));
        push(&mut outlet, BATCH_RECORDS_MAX as u64 - 1, 0).unwrap();
        assert_eq!(read_all(&mut inlet).len(), BATCH_RECORDS_MAX);
        assert!(outlet.open_batch().is_empty());
    }
}

#[test]
fn what_does_not_fit_waits_within_the_budget_and_keeps_its_order() {
    for (mut outlet, mut inlet) in both(64, 4096) {
        let mut sent = 0;
        let error = loop {
            if let Err(error) = push(&mut outlet, sent, 100).and_then(|()| outlet.flush()) {
                break error;
            }
            sent += 1;
        };
        assert!(matches!(error, ChannelError::OverflowBudget { limit: 4096, .. }), "{error}");
        assert!(!outlet.ready());
        assert!(outlet.overflow_bytes() > 3500 && outlet.overflow_bytes() <= 4096);
        let mut read = Vec::new();
        while read.len() < sent as usize {
            read.extend(read_all(&mut inlet));
            outlet.flush().unwrap();
        }
        assert!(read.iter().copied().take(sent as usize).eq((0..sent).map(Item::Record)));
    }
}

#[test]
fn an_outlet_is_ready_again_after_the_consumer_made_room() {
    for (mut outlet, mut inlet) in both(RING_BYTES_MIN / WORD_BYTES, u64::MAX) {
        let mut number = 0;
        while outlet.ready() {
            push(&mut outlet, number, 40).unwrap();
            number += 1;
        }
        assert_eq!(outlet.overflow_bytes(), 0, "a ready outlet never spills");
        assert!(outlet.fill() > 0.0 && inlet.fill_bytes() > 0);
        read_all(&mut inlet);
        assert!(outlet.ready());
        assert_eq!(outlet.fill_bytes(), 0);
    }
}

#[test]
fn a_large_record_parts_company_and_one_past_half_the_ring_is_refused() {
    // Half of the ring is 512 words or 8 KiB: less than what makes a batch full.
    for (mut outlet, mut inlet) in both(1024, u64::MAX) {
        for number in 0..30 {
            push(&mut outlet, number, 1000).unwrap();
        }
        push(&mut outlet, 30, 8000).unwrap();
        outlet.flush().unwrap();
        let mut read = Vec::new();
        while read.len() < 31 {
            read.extend(read_all(&mut inlet));
            outlet.flush().unwrap();
        }
        assert!(read.iter().copied().eq((0..31).map(Item::Record)));

        let error = push(&mut outlet, 31, 9000).and_then(|()| outlet.flush()).unwrap_err();
        assert!(
            matches!(error, ChannelError::RecordTooLarge { limit: 8192, setting: "ring_bytes", bytes } if bytes > 9000),
            "{error}"
        );
        assert!(error.to_string().contains("raise `ring_bytes` to at least 32768"), "{error}");
        assert!(matches!(inlet.peek(), Peek::Empty));
    }
}

#[test]
fn a_shape_that_fits_no_frame_is_refused_at_once() {
    let shape = BatchShape { record_size: Some(100_000), key: KeyShape::InHash, hashed: false };
    let refused = own_lane(shape, RING_BYTES_MIN, OverflowBudget::new(0)).err();
    assert!(matches!(refused, Some(ChannelError::RecordTooLarge { .. })), "{refused:?}");
    let refused = ring_lane(1000, Waker::new(), Waker::new()).err();
    assert!(matches!(refused, Some(ChannelError::RingSize { bytes: 1000, .. })), "{refused:?}");
}

#[test]
fn restored_frames_come_first_and_damaged_ones_are_refused() {
    let (mut outlet, _inlet) = over_ring(64, VAR, u64::MAX);
    (0..5).for_each(|number| push(&mut outlet, number, 3).unwrap());
    let mut save = Vec::new();
    outlet.switch(crate::element::Epoch(1), &mut save).unwrap();
    for (mut outlet, mut inlet) in both(256, 0) {
        let other = BatchShape { record_size: Some(8), ..VAR };
        assert!(matches!(
            SavedFrames::parse(&save, &other),
            Err(FrameError { fault: FrameFault::Shape, .. })
        ));
        assert!(inlet.restore(&save[..save.len() - 16]).is_err());
        assert!(inlet.restore(&save[..save.len() - 1]).is_err());
        inlet.restore(&save).unwrap();
        inlet.restore(&save).unwrap();
        push(&mut outlet, 9, 0).unwrap();
        outlet.flush().unwrap();
        let numbers = (0..5).chain(0..5).chain([9]);
        assert!(read_all(&mut inlet).into_iter().eq(numbers.map(Item::Record)));
    }
}

#[test]
fn both_ends_wake_each_other() {
    let (producer, consumer) = (Waker::new(), Waker::new());
    let (outlet, inlet) = ring_lane_of(256, producer.clone(), consumer.clone());
    let done = Arc::new(AtomicBool::new(false));
    let reader_done = done.clone();
    let reader = std::thread::spawn(move || {
        consumer.bind_to_current_thread();
        let (mut inlet, mut read) = (inlet.open(VAR), Vec::new());
        while read.last() != Some(&Item::End) {
            read_one(&mut inlet, &mut read);
            inlet.wake_producer();
            let more_comes = read.last() != Some(&Item::End);
            consumer.park(None, || more_comes && matches!(inlet.peek(), Peek::Empty));
        }
        reader_done.store(true, Ordering::SeqCst);
    });
    producer.bind_to_current_thread();
    let mut outlet = outlet.open(VAR, OverflowBudget::new(u64::MAX)).unwrap();
    for number in 0..2000 {
        push(&mut outlet, number, 60).unwrap();
        outlet.flush().unwrap();
        while outlet.overflow_bytes() > 0 {
            let before = outlet.overflow_bytes();
            producer.park(None, || {
                outlet.flush().unwrap();
                outlet.overflow_bytes() == before
            });
        }
    }
    outlet.end().unwrap();
    while !done.load(Ordering::SeqCst) {
        outlet.flush().unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    reader.join().unwrap();
}

//! Two threads, a small ring, and many switches: what `tests/loom_switch.rs` shows for a few steps, for many.

use std::sync::mpsc;
use std::thread;

use super::*;
use crate::channel::lane::ring_lane_of;
use crate::element::Epoch;
use crate::runtime::Waker;

const RECORDS: u64 = 200_000;

/// What the producer tells the test at a switch.
struct Produced {
    epoch: Epoch,
    sent: u64,
    save: Vec<u8>,
}

fn produce(end: OutletEnd, produced: mpsc::Sender<Produced>) {
    let mut outlet = end.open(VAR, OverflowBudget::new(u64::MAX)).unwrap();
    let (mut random, mut epoch) = (1u64, Epoch(0));
    for number in 0..RECORDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let dice = random >> 56;
        push(&mut outlet, number, (dice % 40) as usize).unwrap();
        if dice.is_multiple_of(32) {
            let mut save = Vec::new();
            match outlet.switch(Epoch(epoch.0 + 1), &mut save) {
                Ok(()) => {
                    epoch = Epoch(epoch.0 + 1);
                    produced.send(Produced { epoch, sent: number + 1, save }).unwrap();
                }
                Err(ChannelError::SwitchTooEarly { .. }) => assert!(save.is_empty()),
                Err(other) => panic!("{other}"),
            }
        }
        if dice % 8 == 1 {
            outlet.flush().unwrap();
        }
        // Not always: the overflow is to be seen too.
        while dice > 40 && !outlet.ready() {
            outlet.flush().unwrap();
            thread::yield_now();
        }
    }
    outlet.end().unwrap();
    while outlet.overflow_bytes() > 0 {
        outlet.flush().unwrap();
        thread::yield_now();
    }
}

#[test]
fn no_record_passes_a_switch_and_none_is_lost() {
    let (outlet_end, inlet_end) = ring_lane_of(1024, Waker::new(), Waker::new());
    let (send, produced) = mpsc::channel();
    let producer = thread::spawn(move || produce(outlet_end, send));
    let mut inlet = inlet_end.open(VAR);
    let (mut epoch, mut read, mut switches) = (Epoch(0), Vec::new(), 0);
    for round in 0u64.. {
        if read.last() == Some(&Item::End) {
            break;
        }
        let before = read.len();
        let ahead = match read_one(&mut inlet, &mut read) {
            Some(ahead) => ahead,
            // Sometimes the shard switches before it has read up to the position.
            None if round % 64 == 0 => inlet.producer_epoch(),
            None => epoch,
        };
        if ahead > epoch {
            epoch = ahead;
            switches += 1;
            let at = read.len() as u64;
            inlet.switch(epoch).unwrap();
            while !inlet.capture_some(16) {}
            let mut in_flight = saved_items(&inlet.take_capture().unwrap());
            let Produced { epoch: theirs, sent, save } = produced.recv().unwrap();
            assert_eq!(theirs, epoch);
            assert!(at <= sent, "a record past an unseen switch was read");
            in_flight.extend(saved_items(&save));
            assert!(in_flight.iter().copied().eq((at..sent).map(Item::Record)));
        } else if read.len() == before {
            thread::yield_now();
        }
    }
    producer.join().unwrap();
    assert!(read.iter().copied().eq((0..RECORDS).map(Item::Record).chain([Item::End])));
    assert!(switches > 20, "only {switches} switches");
}

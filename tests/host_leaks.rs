//! What handles, calls and jobs in a host program leave behind on the heap: nothing. Alone in its binary, since it counts all that is allocated.

#![allow(clippy::unwrap_used)] // helpers of a test
#![allow(unsafe_code)] // an allocator that counts

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream::prelude::*;

/// Bytes that are allocated and not freed.
static LIVE: AtomicI64 = AtomicI64::new(0);

struct Counting;

// SAFETY: the system's allocator does it all; what is counted beside changes nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PATIENCE: Duration = Duration::from_secs(60);

/// Handles that come and go, calls that are answered, given up and cut off, and the end of the job.
fn a_life(in_the_middle: bool) {
    let job = Job::new("life");
    let mut asks = job.ask::<String, String>("echo", AskOptions::new());
    let numbers = job.ingress::<Vec<u64>>("numbers", IngressOptions::new().capacity(8));
    let mut out = job.egress::<Vec<u64>>("out", EgressOptions::new());
    let running = job
        .spawn(|flow| {
            flow.ask::<String, String>("echo")
                .filter(|asked| asked.request != "silence")
                .rebalance()
                .map(|asked| asked.reply(asked.request().to_owned()))
                .reply("echo");
            flow.ingress::<Vec<u64>>("numbers").egress("out");
        })
        .unwrap();
    for round in 0..20 {
        let mut handles: Vec<_> = (0..20).map(|_| (asks.clone(), numbers.clone())).collect();
        for (number, (asks, numbers)) in handles.iter_mut().enumerate() {
            let text = format!("{round} {number}");
            assert_eq!(asks.call(text.clone(), PATIENCE), Ok(text));
            drop(asks.start("silence".to_owned(), PATIENCE).unwrap());
            numbers.send(vec![round, number as u64]).unwrap();
            out.recv().unwrap();
        }
    }
    if in_the_middle {
        let _under_way = asks.start("silence".to_owned(), PATIENCE).unwrap();
        numbers.clone().send(vec![7; 100]).unwrap();
        running.cancel();
        running.wait().unwrap();
    } else {
        drop((asks, numbers));
        running.wait().unwrap();
    }
}

#[test]
fn nothing_is_left_behind() {
    let both = || [false, true].map(a_life);
    // What is made once stays: names of threads, what libraries keep.
    both();
    both();
    let before = LIVE.load(Ordering::Relaxed);
    let lives = 5;
    for _ in 0..lives {
        both();
    }
    // Threads that have just ended may still be letting go of theirs.
    let left = (0..100).map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        LIVE.load(Ordering::Relaxed) - before
    });
    let left = left.min().unwrap();
    assert!(left < 16 * 1024, "{left} bytes are left behind by {lives} lives");
}

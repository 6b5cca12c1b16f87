use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::*;
use crate::element::{Epoch, ShardId, Timestamp};
use crate::embed::RecvError;
use crate::job::JobStatus;
use crate::runtime::Waker;
use crate::sink::{Sink, SinkContext};
use std::future::Future as _;

fn outlets(options: EgressOptions) -> Arc<Outlets<u64>> {
    Arc::new(Outlets::new("numbers".to_owned(), options))
}

fn sink(outlets: &Arc<Outlets<u64>>) -> EgressSink<u64> {
    let mut sink = EgressSink::new(Some(outlets.clone()));
    let context = SinkContext {
        shard: ShardId(0),
        shards: 1,
        restored: Epoch(0),
        job: "job".to_owned(),
        operator: "numbers".to_owned(),
        waker: Waker::new(),
    };
    sink.open(&context, &[]).unwrap();
    sink
}

fn write(sink: &mut EgressSink<u64>, numbers: impl IntoIterator<Item = u64>) {
    numbers.into_iter().for_each(|n| sink.write(&n, Timestamp::MIN).unwrap());
    sink.flush().unwrap();
}

#[test]
fn records_of_each_shard_come_in_order_and_the_end_after_them() {
    let outlets = outlets(EgressOptions::new());
    let (mut first, mut second) = (sink(&outlets), sink(&outlets));
    let mut egress = Egress::new(outlets.clone());
    assert!(matches!(egress.try_recv(), Err(RecvError::Empty { .. })));
    write(&mut first, 0..10);
    write(&mut second, 100..110);
    let all: Vec<u64> = (0..20).map(|_| egress.recv().unwrap()).collect();
    let of = |which: fn(&u64) -> bool| all.iter().copied().filter(which).collect::<Vec<_>>();
    assert_eq!(of(|n| *n < 100), (0..10).collect::<Vec<_>>());
    assert_eq!(of(|n| *n >= 100), (100..110).collect::<Vec<_>>());
    write(&mut first, [10]);
    drop((first, second));
    outlets.close(JobStatus::Finished);
    assert_eq!(egress.recv().unwrap(), 10);
    let error = egress.recv().unwrap_err();
    assert_eq!(error, RecvError::Closed { egress: "numbers".to_owned(), status: JobStatus::Finished });
    assert_eq!(egress.next(), None);
}

#[test]
fn a_slow_receiver_holds_the_job_back_and_loses_nothing() {
    let outlets = outlets(EgressOptions::new().capacity(2));
    let mut sink = sink(&outlets);
    let mut egress = Egress::new(outlets.clone());
    // A batch is written whole.
    write(&mut sink, 0..5);
    assert!(!sink.ready());
    assert_eq!(egress.recv().unwrap(), 0);
    assert!(!sink.ready());
    assert_eq!([egress.recv().unwrap(), egress.recv().unwrap()], [1, 2]);
    assert!(sink.ready());
    sink.close().unwrap();
    drop(sink);
    outlets.close(JobStatus::Stopped);
    assert_eq!(egress.by_ref().collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn what_a_shard_had_no_room_for_at_its_end_is_received() {
    let outlets = outlets(EgressOptions::new().capacity(1));
    let mut sink = sink(&outlets);
    let egress = Egress::new(outlets.clone());
    write(&mut sink, 0..3);
    sink.close().unwrap();
    drop(sink);
    outlets.close(JobStatus::Finished);
    assert_eq!(egress.collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn where_that_is_asked_for_records_without_room_are_dropped_and_counted() {
    let outlets = outlets(EgressOptions::new().capacity(2).drop_newest());
    let mut sink = sink(&outlets);
    let mut egress = Egress::new(outlets);
    write(&mut sink, 0..5);
    assert!(sink.ready());
    assert_eq!([egress.recv().unwrap(), egress.recv().unwrap()], [0, 1]);
    assert_eq!(egress.dropped(), 3);
}

#[test]
fn a_job_whose_output_nobody_receives_goes_on() {
    let outlets = outlets(EgressOptions::new().capacity(1));
    let mut sink = sink(&outlets);
    let egress = Egress::new(outlets.clone());
    write(&mut sink, 0..3);
    assert!(!sink.ready());
    drop(egress);
    assert!(sink.ready());
    write(&mut sink, 3..5);
    assert_eq!(Egress::new(outlets).dropped(), 2 + 2);
}

#[test]
fn clones_share_the_records() {
    let outlets = outlets(EgressOptions::new());
    let mut sink = sink(&outlets);
    let first = Egress::new(outlets.clone());
    let receivers =
        [first.clone(), first].map(|egress| std::thread::spawn(move || egress.collect::<Vec<_>>()));
    write(&mut sink, 0..1000);
    drop(sink);
    std::thread::sleep(Duration::from_millis(5));
    outlets.close(JobStatus::Finished);
    let mut all: Vec<u64> = receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_task_that_waits_is_woken_and_one_that_is_dropped_takes_nothing() {
    use std::task::Context;
    let outlets = outlets(EgressOptions::new());
    let mut sink = sink(&outlets);
    let mut egress = Egress::new(outlets);
    {
        let mut given_up = Box::pin(egress.recv_async());
        assert!(given_up.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
    }
    let receiver = std::thread::spawn(move || {
        let mut receiving = Box::pin(egress.recv_async());
        crate::waiting::wait_for(Duration::ZERO, None, |waker| {
            waker.map_or(Poll::Pending, |waker| receiving.as_mut().poll(&mut Context::from_waker(waker)))
        })
    });
    std::thread::sleep(Duration::from_millis(5));
    write(&mut sink, [7]);
    assert_eq!(receiver.join().unwrap().unwrap(), Ok(7));
}

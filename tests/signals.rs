//! The second signal ends a job that cannot end by itself.

use std::task::Poll;
use std::time::{Duration, Instant};

use millstream::element::{Epoch, Timestamp};
use millstream::io::sequence;
use millstream::prelude::*;
use millstream::signals::SignalWatch;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::raise;

/// Never has its cut safe, so that no checkpoint is ever complete.
struct Stuck;

impl Sink<i64> for Stuck {
    fn delivery(&self) -> Delivery {
        Delivery::Transactional
    }

    fn open(&mut self, _: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, _: &i64, _: Timestamp) -> Result<(), SinkError> {
        Ok(())
    }

    fn poll_prepared(&mut self, _: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        Poll::Pending
    }
}

#[test]
fn the_second_signal_ends_the_job_at_once() {
    let state = tempfile::tempdir().expect("a directory for the state");
    let handle = Job::new("stuck")
        .state_dir(state.path())
        .checkpoint_timeout(Duration::from_secs(3600))
        .spawn(|flow| flow.source("numbers", sequence(0..=i64::MAX)).sink("stuck", Stuck))
        .expect("the job can be started");
    let _watch = SignalWatch::over(handle.control()).expect("signals can be listened to");
    let end = Instant::now() + Duration::from_secs(60);
    while handle.metrics().records_out() == 0 {
        assert!(Instant::now() < end, "{:?}", handle.status());
        std::thread::sleep(Duration::from_millis(1));
    }
    raise(SIGTERM).expect("a signal can be sent");
    // It waits for its checkpoint.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(handle.status(), JobStatus::Running);
    raise(SIGINT).expect("a signal can be sent");
    let summary = handle.wait().expect("it was canceled");
    assert_eq!((summary.status, summary.metrics.checkpoints.completed), (JobStatus::Canceled, 0));
}

mod journaled;
mod lanes;
mod overload;

use std::sync::Arc;

use super::*;
use crate::element::Nanos;
use crate::embed::endpoints::Endpoints;
use crate::job::JobStatus;
use crate::runtime::Waker as ShardWaker;
use crate::source::{Reader as _, ReaderContext, Records, SourcePoll};

/// A hub, as a job makes it.
fn hub<T: Record + Send>(options: IngressOptions) -> Arc<Hub<T>> {
    Arc::new(Hub::new("numbers".to_owned(), options))
}

fn context() -> ReaderContext {
    ReaderContext {
        waker: ShardWaker::new(),
        job: "job".to_owned(),
        operator: "numbers".to_owned(),
        state_dir: None,
    }
}

fn reader<T: Record + Send>(hub: &Arc<Hub<T>>, offset: Option<[u64; 2]>) -> IngressReader<T> {
    IngressReader::open(hub.clone(), offset, &context()).unwrap()
}

/// All that is at hand, and how the last poll ended.
fn read<T: Record + Send>(reader: &mut IngressReader<T>) -> (Vec<T>, SourcePoll) {
    let mut all = Vec::new();
    loop {
        let mut batch = Records::with_limit(8);
        let answer = reader.poll(Nanos(0), &mut batch).unwrap();
        all.extend(batch.drain().map(|(record, _)| record));
        if answer != SourcePoll::More {
            return (all, answer);
        }
    }
}

const IDLE: SourcePoll = SourcePoll::Idle { until: None };

/// The same, waiting for what comes from other threads, until there are so many.
fn read_until<T: Record + Send>(reader: &mut IngressReader<T>, count: usize) -> Vec<T> {
    let mut all = Vec::new();
    for _ in 0..5000 {
        all.extend(read(reader).0);
        if all.len() >= count {
            return all;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{} of {count} records came within five seconds", all.len());
}

#[test]
fn ends_are_closed_with_the_job_that_never_ran() {
    let ends = Endpoints::default();
    let job = crate::job::Job::new("never");
    let mut numbers = job.ingress::<u64>("numbers", IngressOptions::new());
    assert_eq!(numbers.send(1).unwrap(), Sent::Queued);
    drop((job, ends));
    let error = numbers.send(2).unwrap_err();
    assert!(matches!(error, SendError::Closed { status: JobStatus::Canceled, record: 2, .. }), "{error}");
}

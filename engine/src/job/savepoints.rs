//! Savepoints that somebody has asked for: from the handle to the control thread, which has them made, and back.
//!
//! ```text
//! handle: ask --> control thread: a checkpoint --> durable --> a thread of its own: written --> handle: the path
//! ```

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use super::JobStatus;
use super::attempts::Attempts;
use crate::element::Epoch;
use crate::runtime::beside::spawn_beside;
use crate::runtime::coordinator::Coordinator;
use crate::savepoint::SavepointError;

/// What becomes of a request.
pub(super) type Written = Result<PathBuf, SavepointError>;

/// Somebody waits for a savepoint.
#[derive(Debug)]
struct Request {
    /// The directory that it goes into; none for the one in the state directory.
    into: Option<PathBuf>,
    end: Option<Ending>,
    answer: Sender<Written>,
}

/// How a job is to end for a savepoint, which is then made of its last checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It stops where it is.
    Stop,
    /// Its sources end.
    Drain,
}

/// Requests on their way to the control thread.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<Inbox>);

#[derive(Debug, Default)]
struct Inbox {
    waiting: Vec<Request>,
    /// Where the job stands that takes no more of them.
    over: Option<JobStatus>,
}

impl Requests {
    /// Asks for a savepoint. The answer comes once.
    pub(super) fn ask(&self, into: Option<&Path>, end: Option<Ending>) -> Receiver<Written> {
        let (answer, answers) = channel();
        let mut inbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match inbox.over {
            Some(status) => {
                // The receiver is still here.
                let _ = answer.send(Err(SavepointError::NotRunning { status }));
            }
            None => inbox.waiting.push(Request { into: into.map(Path::to_owned), end, answer }),
        }
        answers
    }

    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting)
    }

    /// The job is over: whoever still waits, or asks from now on, is told.
    pub(super) fn close(&self, status: JobStatus) {
        let mut inbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.over = Some(status);
        for request in inbox.waiting.drain(..) {
            // Nobody may be waiting any more.
            let _ = request.answer.send(Err(SavepointError::NotRunning { status }));
        }
    }
}

/// The control thread's part: what it has taken of the requests.
#[derive(Default)]
pub(super) struct Savepoints {
    /// Requests, with the newest epoch when they came: a later checkpoint serves them.
    waiting: Vec<(Request, Option<Epoch>)>,
    writing: Vec<(Epoch, JoinHandle<()>)>,
}

impl Savepoints {
    /// Looks for requests, and has those served for which there is a checkpoint. Says how the job is to end, if one asks for that.
    pub(super) fn turn(
        &mut self,
        requests: &Requests,
        attempts: &mut Attempts,
        coordinator: &mut Coordinator,
    ) -> Option<Ending> {
        self.waiting.extend(requests.take().into_iter().map(|request| (request, None)));
        let (mut rest, mut ending) = (Vec::new(), None);
        for (request, after) in std::mem::take(&mut self.waiting) {
            if let Some(error) = refused(attempts) {
                drop(request.answer.send(Err(error)));
                continue;
            }
            if request.end.is_some() {
                ending = ending.or(request.end);
                rest.push((request, after));
                continue;
            }
            let after = after.unwrap_or_else(|| {
                coordinator.ask();
                coordinator.newest()
            });
            if coordinator.has_committed_after(after) {
                self.write(request, attempts);
            } else {
                rest.push((request, Some(after)));
            }
        }
        self.waiting = rest;
        for (epoch, writer) in std::mem::take(&mut self.writing) {
            match writer.is_finished() {
                true => finish(attempts, epoch, writer),
                false => self.writing.push((epoch, writer)),
            }
        }
        ending
    }

    /// The attempt is over, and another one follows: it makes other checkpoints.
    pub(super) fn start_again(&mut self) {
        self.waiting.iter_mut().for_each(|(_, after)| *after = None);
    }

    /// The job has ended. Where that was with a checkpoint that holds all of it, whoever still waits is served.
    pub(super) fn end(&mut self, requests: &Requests, attempts: &mut Attempts, status: JobStatus) {
        self.waiting.extend(requests.take().into_iter().map(|request| (request, None)));
        for (request, _) in std::mem::take(&mut self.waiting) {
            let complete = matches!(status, JobStatus::Finished | JobStatus::Stopped);
            match refused(attempts) {
                Some(error) => drop(request.answer.send(Err(error))),
                None if complete => self.write(request, attempts),
                None => drop(request.answer.send(Err(SavepointError::NotRunning { status }))),
            }
        }
        for (epoch, writer) in std::mem::take(&mut self.writing) {
            finish(attempts, epoch, writer);
        }
        requests.close(status);
    }

    /// Has a savepoint written of the newest checkpoint, by a thread of its own.
    fn write(&mut self, request: Request, attempts: &mut Attempts) {
        let into = request.into.or_else(|| Some(attempts.job.state_dir.as_ref()?.join("savepoints")));
        let conversion =
            into.ok_or(SavepointError::NoStateDir).and_then(|into| Ok((into, attempts.convert()?)));
        let (into, conversion) = match conversion {
            Ok(ready) => ready,
            Err(error) => return drop(request.answer.send(Err(error))),
        };
        let epoch = conversion.checkpoint.epoch;
        let (answer, job) = (request.answer, attempts.job.name.clone());
        let write = move || {
            let written = conversion.write(&into);
            match &written {
                Ok(path) => tracing::info!(job, path = %path.display(), "savepoint complete"),
                Err(error) => tracing::warn!(job, %error, "savepoint failed"),
            }
            // Nobody may be waiting any more.
            let _ = answer.send(written);
        };
        match spawn_beside("mill-savepoint", write) {
            Ok(writer) => self.writing.push((epoch, writer)),
            // The answer went with the thread: whoever waits is told so.
            Err(error) => {
                attempts.unpin(epoch);
                tracing::warn!(%error, "cannot start a thread for the savepoint");
            }
        }
    }
}

/// Why a job makes no savepoints at all.
fn refused(attempts: &Attempts) -> Option<SavepointError> {
    if attempts.plan.mode.batch {
        return Some(SavepointError::BatchMode);
    }
    attempts.job.state_dir.is_none().then_some(SavepointError::NoStateDir)
}

fn finish(attempts: &mut Attempts, epoch: Epoch, writer: JoinHandle<()>) {
    // A panic has dropped the answer, which whoever waits is told of.
    let _ = writer.join();
    attempts.unpin(epoch);
}

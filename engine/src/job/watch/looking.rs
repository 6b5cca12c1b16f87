//! Which checkpoint is looked into, and when: the control thread's part.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::WatchError;
use super::watched::Watches;
use crate::checkpoint::RestoredJob;
use crate::disk::Disk;
use crate::element::{Epoch, Nanos};
use crate::job::CommittedState;
use crate::job::attempts::Attempts;
use crate::runtime::beside::spawn_beside;

/// The longest pause between two looks. They take as long as the look before took, so that looking takes half of the thread's time at most.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A checkpoint to be looked into.
struct Look {
    checkpoint: RestoredJob,
    is_own: bool,
}

/// The thread that looks.
struct Reader {
    looks: Sender<Look>,
    /// How long each took.
    done: Receiver<Duration>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn start(watches: Arc<Watches>, disk: Arc<dyn Disk>, dir: PathBuf) -> io::Result<Reader> {
        let (looks, to_look) = channel::<Look>();
        let (is_done, done) = channel();
        let thread = spawn_beside("mill-watch", move || {
            for Look { checkpoint, is_own } in to_look {
                let (began, epoch) = (Instant::now(), checkpoint.epoch);
                let committed = CommittedState::of(disk.clone(), dir.clone(), checkpoint);
                watches.look_into(epoch, committed, is_own);
                // The control thread outlives its wish to know.
                let _ = is_done.send(began.elapsed());
            }
        })?;
        Ok(Reader { looks, done, thread })
    }
}

/// See the [module](self).
#[derive(Default)]
pub(in crate::job) struct Looking {
    reader: Option<Reader>,
    /// The checkpoint that is looked into.
    into: Option<Epoch>,
    not_before: Nanos,
    /// The checkpoint that the attempt went on from.
    from: Epoch,
}

impl Looking {
    /// An attempt begins.
    pub(in crate::job) fn begin(&mut self, watches: &Watches, from: Epoch) {
        self.from = from;
        watches.go_on_from(from);
    }

    /// Has the newest durable checkpoint looked into, where there is something to be found in it and nobody is looking yet.
    pub(in crate::job) fn turn(
        &mut self,
        watches: &Arc<Watches>,
        attempts: &mut Attempts,
        newest: Epoch,
        now: Nanos,
    ) {
        self.hear(attempts, now);
        if self.into.is_none() && now >= self.not_before && watches.want(newest) {
            self.look(watches, attempts, newest);
        }
    }

    fn look(&mut self, watches: &Arc<Watches>, attempts: &mut Attempts, newest: Epoch) {
        if self.reader.is_none() {
            let Some(dir) = attempts.job.state_dir.clone() else { return };
            match Reader::start(watches.clone(), attempts.disk().clone(), dir) {
                Ok(reader) => self.reader = Some(reader),
                Err(error) => {
                    watches.close(Some(WatchError::NoThread { problem: error.to_string() }));
                    return;
                }
            }
        }
        let Some(reader) = &self.reader else { return };
        match attempts.pin(newest) {
            Some(Ok(checkpoint)) => {
                self.into = Some(newest);
                // A thread that is gone is missed when it is listened to.
                let _ = reader.looks.send(Look { checkpoint, is_own: newest > self.from });
            }
            // A job that began with a savepoint has none of this number yet.
            Some(Err(error)) => {
                tracing::debug!(%error, "watched keys are looked up in the next checkpoint");
                watches.pass_over(newest);
            }
            None => {}
        }
    }

    /// Whether the thread is done with its checkpoint.
    fn hear(&mut self, attempts: &mut Attempts, now: Nanos) {
        let (Some(epoch), Some(reader)) = (self.into, &self.reader) else { return };
        match reader.done.try_recv() {
            Err(TryRecvError::Empty) => return,
            Ok(took) => self.not_before = now.after(took.min(PAUSE_MAX)),
            // It has panicked; the next look starts another one.
            Err(TryRecvError::Disconnected) => self.reader = None,
        }
        self.into = None;
        attempts.unpin(epoch);
    }

    /// The job has ended: gives out the last change, and closes.
    pub(in crate::job) fn end(&mut self, watches: &Arc<Watches>, attempts: &mut Attempts, newest: Epoch) {
        self.wait(attempts);
        if watches.want(newest) {
            self.look(watches, attempts, newest);
            self.wait(attempts);
        }
        watches.close(None);
        if let Some(Reader { looks, thread, .. }) = self.reader.take() {
            drop(looks);
            // Where it has panicked, it has said so itself.
            let _ = thread.join();
        }
    }

    /// Waits until the thread is done with its checkpoint.
    fn wait(&mut self, attempts: &mut Attempts) {
        if let (Some(epoch), Some(reader)) = (self.into.take(), &self.reader) {
            // A thread that has panicked has nothing more to say.
            let _ = reader.done.recv();
            attempts.unpin(epoch);
        }
    }
}

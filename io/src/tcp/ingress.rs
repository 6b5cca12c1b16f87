//! A connection whose lines go into a journal. It belongs to the process, not to a reader: while a job restarts it goes on
//! receiving, so that nothing is lost between the old reader and the new one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millstream_engine::runtime::Waker;
use millstream_engine::runtime::beside::spawn_beside;
use millstream_engine::source::SourceError;

use super::BATCHES_AHEAD;
use super::batch::{LineBatch, Message};
use super::connection::{ASK_EVERY, Ended, Feed, Receiver, Stop};
use super::replay;
use crate::handoff::{Consumer, Producer, handoff};
use millstream_engine::journal::{Journal, JournalOptions};

/// How much is journaled while nobody reads before the peer is held back.
const UNREAD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Of the process and not of a job: a connection goes on receiving while its job restarts, and a job that is started anew in the process finds it
/// by its journal's directory, which one ingress may write at a time.
static INGRESSES: Mutex<BTreeMap<PathBuf, Arc<Ingress>>> = Mutex::new(BTreeMap::new());

fn registry() -> MutexGuard<'static, BTreeMap<PathBuf, Arc<Ingress>>> {
    // Entries come and go whole.
    INGRESSES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection and its journal.
pub(super) struct Ingress {
    key: PathBuf,
    feed: Feed,
    journal: Arc<Journal>,
    sync_before_hand_out: bool,
    linger: Duration,
    state: Mutex<State>,
}

struct State {
    /// Who reads now.
    producer: Option<Producer<Message>>,
    token: u64,
    detached_at: Instant,
    unread_bytes: u64,
    /// The peer has closed the connection for good.
    finished: bool,
}

/// What a new reader gets.
pub(super) struct Attachment {
    /// Tells this reader from a later one.
    pub(super) token: u64,
    /// The number of the first line.
    pub(super) from: u64,
    /// The lines that were there already; ends with `End`.
    pub(super) replay: Consumer<Message>,
    /// All later ones.
    pub(super) live: Consumer<Message>,
}

impl Ingress {
    /// Attaches a reader to the ingress into this journal, which this process may have already.
    pub(super) fn attach_to(
        dir: &Path,
        feed: Feed,
        linger: Duration,
        options: &JournalOptions,
        remembered: Option<[u64; 2]>,
        waker: &Waker,
    ) -> Result<(Arc<Ingress>, Attachment), SourceError> {
        let key = std::fs::create_dir_all(dir).and_then(|()| dir.canonicalize()).map_err(|e| {
            SourceError::fatal(format!("cannot make the journal's directory {}: {e}", dir.display()))
                .because(e)
        })?;
        // Held until the reader is attached: an ingress leaves the registry before it ends.
        let mut ingresses = registry();
        let ingress = match ingresses.get(&key) {
            Some(ingress) if ingress.feed.address == feed.address => ingress.clone(),
            Some(ingress) => {
                return Err(SourceError::fatal(format!(
                    "the journal in {} is in use for {}; give each source its own directory",
                    dir.display(),
                    ingress.feed.address
                )));
            }
            None => {
                let ingress = Arc::new(Ingress::start(key.clone(), feed, linger, options)?);
                ingress.clone().spawn()?;
                ingresses.insert(key, ingress.clone());
                ingress
            }
        };
        let attachment = ingress.attach(remembered, options, waker)?;
        Ok((ingress, attachment))
    }

    fn start(
        key: PathBuf,
        feed: Feed,
        linger: Duration,
        options: &JournalOptions,
    ) -> Result<Ingress, SourceError> {
        let journal = Journal::open(&key, options.journal_settings())?;
        let state =
            State { producer: None, token: 0, detached_at: Instant::now(), unread_bytes: 0, finished: false };
        Ok(Ingress {
            key,
            feed,
            journal: Arc::new(journal),
            sync_before_hand_out: options.syncs_before_hand_out(),
            linger,
            state: Mutex::new(state),
        })
    }

    fn spawn(self: Arc<Self>) -> Result<(), SourceError> {
        let address = self.feed.address.clone();
        spawn_beside("tcp-journal", move || self.run()).map(drop).map_err(|e| {
            SourceError::retryable(format!("cannot start a thread to read {address}: {e}")).because(e)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Fields are set in single steps.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn id(&self) -> u64 {
        self.journal.id()
    }

    pub(super) fn trim_to(&self, number: u64) {
        self.journal.trim_to(number);
    }

    pub(super) fn mark_failed(&self, number: u64) -> Result<(), SourceError> {
        Ok(self.journal.mark_failed(number)?)
    }

    /// Makes a reader the one that gets the lines, from a remembered offset (journal number and line) or the journal's beginning
    /// on. An earlier reader is cut off.
    fn attach(
        &self,
        remembered: Option<[u64; 2]>,
        options: &JournalOptions,
        waker: &Waker,
    ) -> Result<Attachment, SourceError> {
        let (producer, live) = handoff(BATCHES_AHEAD, waker.clone());
        // Under this lock nothing is appended: what is there now is replayed, what comes later is live.
        let mut state = self.state();
        let from = self.journal.resume(remembered)?;
        let entries = self.journal.read_from(from)?;
        let left_out = self.journal.left_out(options);
        let to_sync = self.sync_before_hand_out.then(|| self.journal.clone());
        let replay = replay::spawn(&self.feed.address, entries, left_out, to_sync, waker.clone())?;
        if state.finished {
            // The queue is new and has room.
            let _ = producer.push(Message::End);
        }
        state.producer = Some(producer);
        state.token += 1;
        state.unread_bytes = 0;
        Ok(Attachment { token: state.token, from, replay, live })
    }

    /// The reader is gone; unless another one has come, what arrives is only journaled.
    pub(super) fn detach(&self, token: u64) {
        let mut state = self.state();
        if state.token == token {
            state.producer = None;
            state.detached_at = Instant::now();
        }
    }

    /// The thread: receives until nobody has read for the lingering time.
    fn run(self: Arc<Self>) {
        let stop = Stop::default();
        loop {
            match self.feed.run(&stop, &mut &*self) {
                Ok(Ended::Unwanted) => {}
                Ok(Ended::Eof) => {
                    self.finish();
                    while self.is_wanted() {
                        stop.pause(ASK_EVERY);
                    }
                }
                Err(error) => {
                    registry().remove(&self.key);
                    let producer = self.state().producer.take();
                    if let Some(producer) = producer {
                        // A reader that is gone needs no answer.
                        let _ = producer.push(Message::Failed(error));
                    }
                    return;
                }
            }
            // A reader may have come at the last moment.
            let mut ingresses = registry();
            if !self.is_wanted() {
                ingresses.remove(&self.key);
                // Still under the lock, so that a successor finds the journal closed.
                drop(self);
                return;
            }
        }
    }

    fn finish(&self) {
        let producer = {
            let mut state = self.state();
            state.finished = true;
            state.producer.clone()
        };
        if let Some(producer) = producer {
            // A reader that is gone needs no answer; the next one is told when it attaches.
            let _ = producer.push(Message::End);
        }
    }

    fn is_wanted(&self) -> bool {
        let state = self.state();
        state.producer.is_some() || state.detached_at.elapsed() < self.linger
    }

    /// Journals lines and says who is to get them.
    fn journal_lines(&self, batch: &mut LineBatch) -> Result<Option<Producer<Message>>, SourceError> {
        let mut state = self.state();
        batch.first = self.journal.append_all(batch.iter())?;
        if state.producer.is_none() {
            state.unread_bytes += batch.bytes() as u64;
        }
        Ok(state.producer.clone())
    }
}

impl Receiver for &Ingress {
    fn lines(&mut self, mut batch: LineBatch) -> Result<bool, SourceError> {
        if let Some(producer) = self.journal_lines(&mut batch)? {
            if self.sync_before_hand_out {
                self.journal.sync()?;
            }
            // A reader that left meanwhile leaves the lines to its successor, in the journal.
            let _ = producer.push(Message::Lines(batch));
        }
        while self.state().unread_bytes > UNREAD_BYTES_MAX && self.is_wanted() {
            std::thread::sleep(ASK_EVERY);
        }
        Ok(self.is_wanted())
    }

    fn wanted(&mut self) -> bool {
        self.is_wanted()
    }
}

//! Gives a new reader the lines that its journal already has.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_engine::journal::{Entries, Journal, JournalError};
use millstream_engine::runtime::Waker;
use millstream_engine::runtime::beside::spawn_beside;
use millstream_engine::source::SourceError;

use super::BATCHES_AHEAD;
use super::batch::{LineBatch, Message};
use crate::handoff::{Consumer, Producer, handoff};

/// How much of the journal goes to the shard in one piece.
const BATCH_BYTES: usize = 64 * 1024;

/// Reads the entries on a thread of its own, without those left out, and says `End` after the last. `to_sync` is synced
/// first.
pub(super) fn spawn(
    address: &str,
    entries: Entries,
    left_out: BTreeSet<u64>,
    to_sync: Option<Arc<Journal>>,
    waker: Waker,
) -> Result<Consumer<Message>, SourceError> {
    let (producer, consumer) = handoff(BATCHES_AHEAD, waker);
    let replay = Replay { address: address.to_owned(), left_out, producer };
    let thread = spawn_beside("journal-replay", move || {
        let synced = to_sync.map_or(Ok(()), |journal| journal.sync());
        let last = match synced.and_then(|()| replay.run(entries)) {
            Ok(()) => Message::End,
            Err(error) => Message::Failed(error.into()),
        };
        // A reader that is gone needs no answer.
        let _ = replay.producer.push(last);
    });
    thread.map_err(|e| {
        SourceError::retryable(format!("cannot start a thread to replay the journal: {e}")).because(e)
    })?;
    Ok(consumer)
}

struct Replay {
    address: String,
    left_out: BTreeSet<u64>,
    producer: Producer<Message>,
}

impl Replay {
    fn run(&self, entries: Entries) -> Result<(), JournalError> {
        let mut batch = LineBatch::default();
        for entry in entries {
            let entry = entry?;
            let skip = self.left_out.contains(&entry.seq);
            if skip || batch.bytes() >= BATCH_BYTES {
                // The lines of a batch are numbered without gaps.
                self.hand_out(&mut batch);
            }
            if self.producer.is_closed() {
                return Ok(());
            }
            if skip {
                tracing::warn!("{}: line {} made the job fail and is left out", self.address, entry.seq + 1);
                continue;
            }
            if batch.len() == 0 {
                batch.first = entry.seq;
            }
            batch.push(&entry.payload);
        }
        self.hand_out(&mut batch);
        Ok(())
    }

    fn hand_out(&self, batch: &mut LineBatch) {
        if batch.len() > 0 {
            // Whether somebody still listens is asked in the loop.
            let _ = self.producer.push(Message::Lines(std::mem::take(batch)));
        }
    }
}

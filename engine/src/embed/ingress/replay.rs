//! Gives a new reader the records that its journal has.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::entry::Form;
use super::queue::Item;
use crate::journal::{Entries, Journal, JournalError};
use crate::record::Record;
use crate::runtime::Waker;
use crate::runtime::beside::spawn_beside;
use crate::source::SourceError;

/// How many records go to the shard in one piece, and how many pieces may be on their way.
const RECORDS_PER_BATCH: usize = 512;
const BATCHES_AHEAD: usize = 8;

/// Records from the journal, in order; or why there are no more. The end of the channel is their end.
pub(super) type Replayed<T> = Result<VecDeque<Item<T>>, SourceError>;

/// Reads the entries on a thread of its own. `to_sync` is synced first.
pub(super) fn spawn<T: Record + Send>(
    entries: Entries,
    to_sync: Option<Arc<Journal>>,
    operator: &str,
    waker: Waker,
) -> Result<Receiver<Replayed<T>>, SourceError> {
    let (sender, receiver) = sync_channel(BATCHES_AHEAD);
    let thread = spawn_beside("mill-replay", move || {
        let synced = to_sync.map_or(Ok(()), |journal| journal.sync());
        if let Err(error) = synced.and_then(|()| run(entries, &sender, &waker)) {
            // A reader that is gone needs no answer.
            let _ = sender.send(Err(error.into()));
        }
        // The end is to be seen, too.
        drop(sender);
        waker.wake();
    });
    thread.map_err(|e| {
        SourceError::retryable(format!("{operator}: cannot start a thread to replay the journal: {e}"))
            .because(e)
    })?;
    Ok(receiver)
}

fn run<T: Record + Send>(
    entries: Entries,
    sender: &SyncSender<Replayed<T>>,
    waker: &Waker,
) -> Result<(), JournalError> {
    let form = Form::<T>::new();
    let mut batch = VecDeque::new();
    for entry in entries {
        let entry = entry?;
        let (at, record) = form.decode(&entry.payload)?;
        batch.push_back(Item { seq: entry.seq, at, record });
        if batch.len() == RECORDS_PER_BATCH && !hand_over(&mut batch, sender, waker) {
            return Ok(());
        }
    }
    hand_over(&mut batch, sender, waker);
    Ok(())
}

/// False where nobody wants it.
fn hand_over<T>(batch: &mut VecDeque<Item<T>>, sender: &SyncSender<Replayed<T>>, waker: &Waker) -> bool {
    let sent = sender.send(Ok(std::mem::take(batch))).is_ok();
    waker.wake();
    sent
}

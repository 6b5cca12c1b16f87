//! Takes records out of the queue that handles share; after a restart first those that the journal has.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use super::hub::Hub;
use super::queue::{Item, Queue};
use super::reader::Given;
use super::replay::{self, Replayed};
use crate::element::{Nanos, Timestamp};
use crate::journal::{Journal, JournalOptions, NO_JOURNAL};
use crate::record::Record;
use crate::source::{ReaderContext, SourceError, SourcePoll};

/// How often a reader looks whether records are durable that it may not hand out before.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// See the [module](self).
pub(super) struct QueueIntake<T> {
    kept: Option<Kept>,
    /// Records from the journal, on their way from the thread that reads it.
    replay: Option<Receiver<Replayed<T>>>,
    replayed: VecDeque<Item<T>>,
    /// Records that were taken out of the queue and not handed out.
    live: VecDeque<Item<T>>,
    next: u64,
    /// The numbers of the records of the last poll.
    numbers: Vec<u64>,
}

/// The journal, as the reader uses it.
struct Kept {
    journal: Arc<Journal>,
    /// Records that failed the job before, and are not given again.
    left_out: BTreeSet<u64>,
    only_durable: bool,
}

impl<T: Record + Send> QueueIntake<T> {
    pub(super) fn open(
        hub: &Hub<T>,
        remembered: Option<[u64; 2]>,
        context: &ReaderContext,
    ) -> Result<Self, SourceError> {
        let queue = queue_of(hub);
        let mut intake = QueueIntake {
            kept: None,
            replay: None,
            replayed: VecDeque::new(),
            live: VecDeque::new(),
            next: remembered.map_or(0, |[_, next]| next),
            numbers: Vec::new(),
        };
        if let (Some(options), Some(journal)) = (&hub.options.journal, queue.journal()) {
            intake.replay_from(queue, options, journal, remembered, context)?;
        }
        Ok(intake)
    }

    fn replay_from(
        &mut self,
        queue: &Queue<T>,
        options: &JournalOptions,
        journal: Arc<Journal>,
        remembered: Option<[u64; 2]>,
        context: &ReaderContext,
    ) -> Result<(), SourceError> {
        let [from, to] = queue.resume(|journal| journal.resume(remembered))?;
        self.next = from;
        let only_durable = options.syncs_before_hand_out();
        if from < to {
            let entries = journal.read_range(from, to)?;
            let to_sync = only_durable.then(|| journal.clone());
            self.replay = Some(replay::spawn(entries, to_sync, &context.operator, context.waker.clone())?);
        }
        let left_out = journal.left_out(options);
        self.kept = Some(Kept { journal, left_out, only_durable });
        Ok(())
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn number(&self, index: usize) -> u64 {
        self.numbers.get(index).copied().unwrap_or(self.next)
    }

    pub(super) fn journal_id(&self) -> u64 {
        self.kept.as_ref().map_or(NO_JOURNAL, |kept| kept.journal.id())
    }

    #[inline]
    pub(super) fn has_any(&self, hub: &Hub<T>) -> bool {
        // What has to be durable first is waited for by the clock, and what comes from the journal wakes the shard.
        let waits = self.replay.is_some() || self.kept.as_ref().is_some_and(|kept| kept.only_durable);
        !waits && queue_of(hub).len() > 0
    }

    /// Hands out what is at hand, up to `room` records.
    #[inline(always)]
    pub(super) fn give(
        &mut self,
        hub: &Hub<T>,
        room: usize,
        now: Nanos,
        mut each: impl FnMut(T, Timestamp),
    ) -> Result<Given, SourceError> {
        self.numbers.clear();
        let queue = queue_of(hub);
        // Asked first: what the last handle sent before it went is seen below.
        let is_left = hub.is_left();
        let mut given = 0;
        while given < room {
            let (item, is_live) = match self.next_item(queue, room - given)? {
                Some(item) => item,
                None => break,
            };
            // Without a journal records are numbered as they come.
            let seq = if self.kept.is_some() { item.seq } else { self.next };
            self.next = seq + 1;
            if is_live {
                hub.taken.store(hub.taken.load(Ordering::Relaxed) + 1, Ordering::Release);
            }
            if self.kept.as_ref().is_some_and(|kept| kept.left_out.contains(&seq)) {
                tracing::warn!("{}: record {} made the job fail and is left out", hub.name, seq + 1);
                continue;
            }
            self.numbers.push(seq);
            given += 1;
            each(item.record, item.at);
        }
        let waits = queue.len() > 0;
        let answer = match () {
            () if given == room => SourcePoll::More,
            () if self.replay.is_some() => SourcePoll::Idle { until: None },
            () if waits && self.kept.as_ref().is_some_and(|kept| kept.only_durable) => {
                SourcePoll::Idle { until: Some(now.after(LOOK_EVERY)) }
            }
            // Somebody is putting a record in this moment.
            () if waits => SourcePoll::More,
            () if is_left && given == 0 && !queue.has_spilled() => SourcePoll::End,
            () => SourcePoll::Idle { until: None },
        };
        Ok(Given { watermark: None, idle: false, answer })
    }

    /// The next record, and whether it comes from a handle and not from the journal.
    #[inline(always)]
    fn next_item(&mut self, queue: &Queue<T>, most: usize) -> Result<Option<(Item<T>, bool)>, SourceError> {
        while let Some(replay) = &self.replay {
            if let Some(item) = self.replayed.pop_front() {
                return Ok(Some((item, false)));
            }
            match replay.try_recv() {
                Ok(batch) => self.replayed = batch?,
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => self.replay = None,
            }
        }
        if self.live.is_empty() {
            if let Some(error) = queue.failure() {
                return Err(error.into());
            }
            let below = match &self.kept {
                Some(Kept { journal, only_durable: true, .. }) => journal.durable_up_to(),
                _ => u64::MAX,
            };
            queue.take(most, below, &mut self.live);
        }
        Ok(self.live.pop_front().map(|item| (item, true)))
    }

    pub(super) fn trim(&self, journal: u64, next: u64) {
        // A checkpoint from before the journal was switched on has nothing in it.
        if let Some(kept) = self.kept.as_ref().filter(|kept| kept.journal.id() == journal) {
            kept.journal.trim_to(next);
        }
    }

    pub(super) fn mark_failed(&self, index: usize) -> Result<(), SourceError> {
        match (&self.kept, self.numbers.get(index)) {
            (Some(kept), Some(&number)) => Ok(kept.journal.mark_failed(number)?),
            _ => Ok(()),
        }
    }

    /// Leaves what was not handed out to the next reader.
    pub(super) fn give_back(&mut self, hub: &Hub<T>) {
        queue_of(hub).give_back(std::mem::take(&mut self.live));
    }
}

fn queue_of<T>(hub: &Hub<T>) -> &Queue<T> {
    hub.queue.as_ref().expect("the intake of a queue has one")
}

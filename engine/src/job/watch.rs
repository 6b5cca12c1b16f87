//! Being told of what a state holds for a key, as the job commits it.
//!
//! ```text
//! control thread: a checkpoint is durable --> mill-watch: looks the keys up in it --> slot of each key --> whoever watches
//! ```
//!
//! Shards have no part in it. What is given is in a durable checkpoint, so no failure undoes it.

mod looking;
mod slot;
mod watched;

pub(super) use looking::Looking;
pub(super) use watched::Watches;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::state_reads::listed;
use super::{CommittedStateError, JobHandle, StateReadError};
use crate::element::Epoch;
use crate::key::Key;
use crate::record::{Record, RecordBuf};
use slot::{Next, RawChange};
use watched::Watched;

/// Why a key cannot be watched, or not any more.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WatchError {
    /// A job in batch mode makes no checkpoints before its end.
    #[error(
        "a job in batch mode commits nothing before its end; watch it in streaming mode, or take its output"
    )]
    BatchMode,
    /// The state cannot be read from the job's checkpoints.
    #[error(transparent)]
    State(Arc<CommittedStateError>),
    /// What a checkpoint has for the key is no value of this type.
    #[error("what checkpoint {epoch} has for the key cannot be read: {problem}")]
    Unreadable {
        /// The checkpoint.
        epoch: Epoch,
        /// What is wrong.
        problem: String,
    },
    /// A checkpoint that was looked at turned out to be damaged elsewhere, and the job has gone back to an older one.
    #[error(
        "the job has gone back from checkpoint {seen}, which is damaged, to {to}: what was seen of it no longer holds; watch the key anew"
    )]
    WentBack {
        /// The newest checkpoint that was looked at.
        seen: Epoch,
        /// The one that the job has gone on from.
        to: Epoch,
    },
    /// There is no thread that could look.
    #[error(
        "cannot start a thread to look into checkpoints: {problem}; raise the limit on threads (ulimit -u)"
    )]
    NoThread {
        /// The operating system's words.
        problem: String,
    },
}

impl From<CommittedStateError> for WatchError {
    fn from(error: CommittedStateError) -> Self {
        WatchError::State(Arc::new(error))
    }
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<V> {
    /// The checkpoint in which it was found so first.
    pub epoch: Epoch,
    /// What is kept for the key now. None: what was kept has been removed.
    pub value: Option<V>,
}

/// The changes of one key, each once it is committed: see [`JobHandle::watch`].
pub struct Watch<V> {
    watched: Arc<Watched>,
    value: PhantomData<fn() -> V>,
}

impl JobHandle {
    /// Watches what a state of a keyed operator holds for a key: of a process function by the name that it was declared with, of a running fold
    /// (`count`, `sum`, `reduce`, ..) as `value`. Whenever a checkpoint is durable in which that is something else than before, there is a
    /// [`Change`]; the first one says what is there already, if anything is.
    ///
    /// No failure undoes what was given: it is what the job goes on from. It comes once per checkpoint at most, so
    /// [`Job::checkpoint_interval`](super::Job::checkpoint_interval) is the delay. Whoever is slower than that gets the newest change, and not those in between.
    /// The shards have no part in it: a thread of the job's looks into each checkpoint, and where that takes longer than making them, not
    /// into each. What it takes grows with the pages of the operator's state on the key's shard. After the job's end, the last
    /// change is given, and then nothing more.
    ///
    /// ```
    /// # use millstream_engine::prelude::*;
    /// # use millstream_engine::testing::script;
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir()?;
    /// let job = Job::new("words").state_dir(dir.path()).checkpoint_interval(Duration::from_millis(10));
    /// let handle = job.spawn(|flow| {
    ///     let words = flow.source("words", script(["a", "b", "a"].map(str::to_owned)));
    ///     words.key_by(|word| word.clone()).count().name("counts").discard();
    /// })?;
    /// let mut last = None;
    /// for change in handle.watch::<str, u64>("counts", "value", "a")? {
    ///     last = change?.value;
    /// }
    /// assert_eq!(last, Some(2));
    /// # handle.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The job keeps no checkpoints, or has no operator of this name that keeps state by keys. Whether it has the state, and of these types,
    /// shows in its first checkpoint.
    pub fn watch<K: Key + ?Sized, V: Record>(
        &self,
        operator: &str,
        state: &str,
        key: &K,
    ) -> Result<Watch<V>, WatchError> {
        let plan = self.shared.plan();
        if plan.mode.batch {
            return Err(WatchError::BatchMode);
        }
        if self.shared.state_dir().is_none() {
            return Err(CommittedStateError::NoStateDir.into());
        }
        if !plan.keyed_heads().any(|(op, _)| plan.name(op) == operator) {
            let known = listed(plan.keyed_heads().map(|(op, _)| plan.name(op)));
            let error = StateReadError::NoSuchOperator { operator: operator.to_owned(), known };
            return Err(CommittedStateError::from(error).into());
        }
        let watched = Arc::new(Watched::new::<K, V>(operator, state, key, self.shared.seed()));
        self.shared.watches.add(&watched);
        Ok(Watch { watched, value: PhantomData })
    }
}

impl<V: Record> Watch<V> {
    /// The next change, as a future that any executor can poll. None: there will be no more. It may be dropped before it is done; nothing is
    /// lost by that.
    #[allow(clippy::should_implement_trait)] // what streams call it everywhere; iterators are made by `into_iter`
    pub fn next(&mut self) -> NextChange<'_, V> {
        NextChange(self)
    }

    /// What [`Watch::next`] does, for streams of one's own: `futures::stream::poll_fn(move |context| watch.poll_next(context))`.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Change<V>, WatchError>>> {
        self.watched.slot.poll(context.waker()).map(owned)
    }

    /// Waits for the next change, on this thread and no longer than this. None: the time is over, or there will be no more, which
    /// [`Watch::is_over`] tells apart.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<Change<V>, WatchError>> {
        owned(self.watched.slot.wait(Some(timeout))?)
    }
}

impl<V> Watch<V> {
    /// Whether all changes have been given, and there will be no more.
    pub fn is_over(&self) -> bool {
        self.watched.slot.is_over()
    }
}

fn owned<V: Record>(next: Next) -> Option<Result<Change<V>, WatchError>> {
    let value_of = |(epoch, archived): RawChange| {
        let value = archived.map(|bytes| {
            let mut aligned = RecordBuf::with_capacity(bytes.len());
            aligned.extend_from_slice(&bytes);
            V::view(&aligned).map(V::owned)
        });
        let value = value.transpose();
        let value = value.map_err(|error| WatchError::Unreadable { epoch, problem: error.to_string() })?;
        Ok(Change { epoch, value })
    };
    next.map(|next| next.and_then(value_of))
}

/// Waits for each change on this thread.
impl<V: Record> IntoIterator for Watch<V> {
    type Item = Result<Change<V>, WatchError>;
    type IntoIter = Changes<V>;

    fn into_iter(self) -> Changes<V> {
        Changes(self)
    }
}

/// All changes of a key, one after the other: what [`Watch::into_iter`] gives. Waits for each on the thread that asks.
#[derive(Debug)]
pub struct Changes<V>(Watch<V>);

impl<V: Record> Iterator for Changes<V> {
    type Item = Result<Change<V>, WatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        owned(self.0.watched.slot.wait(None)?)
    }
}

/// The next change of a key: what [`Watch::next`] gives.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct NextChange<'a, V>(&'a mut Watch<V>);

impl<V: Record> Future for NextChange<'_, V> {
    type Output = Option<Result<Change<V>, WatchError>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_next(context)
    }
}

impl<V> fmt::Debug for Watch<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({}.{})", self.watched.operator, self.watched.state)
    }
}

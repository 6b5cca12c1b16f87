//! How an operator fails.
//!
//! An error that a user's closure returns and a panic inside it take the same way: they unwind to the shard's edge. That costs
//! nothing per record where nothing fails, and leaves no half-applied batch behind, since the shard stops for good. On the way,
//! drop guards note what was at hand: the operator whose closure was running ([`Blame`]) and the record of the batch
//! ([`Cursor`]).

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

use super::OpId;
use super::suspects::Blamed;
use crate::element::{KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::sort::SortError;
use crate::state::StateError;

/// What made an operator fail.
#[derive(Debug)]
pub enum Cause {
    /// A user's closure returned an error.
    User(Box<dyn Error + Send + Sync>),
    /// A user's closure, or the engine, panicked.
    Panic(String),
    /// The engine could not go on: state over its budget, a record too large, a source or sink that failed.
    Engine {
        /// The error.
        error: Box<dyn Error + Send + Sync>,
        /// Whether starting again can help.
        retryable: bool,
    },
}

impl Cause {
    /// An error of the engine that starting again may mend.
    pub(crate) fn engine(error: impl Error + Send + Sync + 'static) -> Cause {
        Cause::Engine { error: Box::new(error), retryable: true }
    }

    /// State could not be read or written.
    pub(crate) fn state(error: StateError) -> Cause {
        match error {
            // The same records would fill it again, and the savepoint stays what it is.
            StateError::StateBudgetExceeded { .. } | StateError::Import { .. } => Cause::fatal(error),
            _ => Cause::engine(error),
        }
    }

    /// An error of the engine that no restart can mend.
    pub(crate) fn fatal(error: impl Error + Send + Sync + 'static) -> Cause {
        Cause::Engine { error: Box::new(error), retryable: false }
    }
}

impl From<crate::source::SourceError> for Cause {
    fn from(error: crate::source::SourceError) -> Cause {
        Cause::Engine { retryable: error.retryable, error: Box::new(error) }
    }
}

impl From<crate::sink::SinkError> for Cause {
    fn from(error: crate::sink::SinkError) -> Cause {
        Cause::Engine { retryable: error.retryable, error: Box::new(error) }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::User(error) | Cause::Engine { error, .. } => {
                let mut said = error.to_string();
                let mut source = error.source();
                while let Some(cause) = source {
                    let words = cause.to_string();
                    // Many errors give their cause in their own words.
                    if !said.contains(&words) {
                        said = format!("{said}: {words}");
                    }
                    source = cause.source();
                }
                f.write_str(&said)
            }
            Cause::Panic(message) => write!(f, "panicked: {message}"),
        }
    }
}

/// A failure with its place: which operator, at which record.
#[derive(Debug)]
pub struct Failure {
    /// The operator, where one is to blame.
    pub op: Option<OpId>,
    /// What happened.
    pub cause: Cause,
    /// The place of the record at its source, in the source's words.
    pub place: Option<String>,
    /// The record's event time.
    pub event_time: Option<Timestamp>,
    /// The key of the record, or of the timer that fired.
    pub key: Option<String>,
    /// What the chain with this operator at its head says of the record.
    pub(crate) blamed: Option<(OpId, Blamed)>,
}

impl Failure {
    /// A failure of an operator that no record is to blame for.
    pub(crate) fn of(op: OpId, cause: impl Into<Cause>) -> Failure {
        Failure { op: Some(op), cause: cause.into(), place: None, event_time: None, key: None, blamed: None }
    }

    /// A failure that no operator is to blame for.
    pub(crate) fn without_operator(cause: Cause) -> Box<Failure> {
        Box::new(Failure { op: None, cause, place: None, event_time: None, key: None, blamed: None })
    }

    /// What is damaged, where a page of a checkpoint is to blame.
    pub(crate) fn damage(&self) -> Option<String> {
        let Cause::Engine { error, .. } = &self.cause else { return None };
        match error.downcast_ref::<StateError>()? {
            damaged @ (StateError::Load { .. } | StateError::Corrupt { .. }) => Some(damaged.to_string()),
            _ => None,
        }
    }

    /// The file of a stage that is damaged, where that is to blame.
    pub(crate) fn damaged_run(&self) -> Option<PathBuf> {
        let Cause::Engine { error, .. } = &self.cause else { return None };
        match error.downcast_ref::<SortError>()? {
            SortError::Damaged { path, .. } => Some(path.clone()),
            _ => None,
        }
    }

    /// Whether a user's closure is to blame. Then the chain around it is whole: what it has given out can go on.
    pub(crate) fn by_closure(&self) -> bool {
        match self.cause {
            Cause::User(_) => true,
            Cause::Panic(_) => self.op.is_some(),
            Cause::Engine { .. } => false,
        }
    }

    /// Whether the restart strategy may answer with a restart.
    pub fn retryable(&self) -> bool {
        !matches!(self.cause, Cause::Engine { retryable: false, .. })
    }
}

thread_local! {
    /// The innermost operator that unwound, and the record that was in the loop.
    static NOTED: Cell<Noted> = const { Cell::new(Noted { op: None, record: None }) };
    /// The key that was at hand.
    static KEY: Cell<Option<String>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Noted {
    op: Option<OpId>,
    record: Option<(usize, Timestamp)>,
}

/// Names the operator while its closure runs. Forgotten on the way out; dropped only when the closure unwinds.
pub(crate) struct Blame(OpId);

impl Blame {
    /// Runs a user's closure under the operator's name.
    #[inline(always)]
    pub(crate) fn on<R>(op: OpId, run: impl FnOnce() -> R) -> R {
        let guard = Blame(op);
        let result = run();
        std::mem::forget(guard);
        result
    }
}

impl Drop for Blame {
    // What is noted is passed by value: so that a loop need not keep its guards in memory for the sake of the cold path.
    #[inline(always)]
    fn drop(&mut self) {
        note_operator(self.0);
    }
}

/// Knows which record of a batch is in the loop. Must be forgotten or dropped after the loop; notes the record only when
/// unwinding.
pub(crate) struct Cursor {
    /// The record's number in its batch.
    pub(crate) index: usize,
    /// The record's event time.
    pub(crate) at: Timestamp,
}

impl Cursor {
    /// At the beginning of a batch.
    #[inline(always)]
    pub(crate) fn new() -> Cursor {
        Cursor { index: 0, at: Timestamp::MIN }
    }
}

impl Drop for Cursor {
    #[inline(always)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            note_record(self.index, self.at);
        }
    }
}

/// A [`Cursor`] over a batch whose timestamps are at hand: they need not be looked at before something fails.
pub(crate) struct BatchCursor<'a> {
    index: Cell<usize>,
    timestamps: &'a [Timestamp],
}

impl<'a> BatchCursor<'a> {
    /// At the beginning of a batch with these timestamps.
    #[inline(always)]
    pub(crate) fn over(timestamps: &'a [Timestamp]) -> BatchCursor<'a> {
        BatchCursor { index: Cell::new(0), timestamps }
    }

    /// The record with this number is in the loop.
    #[inline(always)]
    pub(crate) fn set(&self, index: usize) {
        self.index.set(index);
    }
}

impl Drop for BatchCursor<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let index = self.index.get();
            note_record(index, self.timestamps.get(index).copied().unwrap_or(Timestamp::MIN));
        }
    }
}

/// The key whose timer fires. Notes it only when unwinding.
pub(crate) struct KeyAtHand<'a, K: Key + ?Sized> {
    key: (KeyHash, &'a [u8]),
    seed: HashSeed,
    type_of_key: PhantomData<fn() -> Box<K>>,
}

impl<'a, K: Key + ?Sized> KeyAtHand<'a, K> {
    #[inline(always)]
    pub(crate) fn new(key: (KeyHash, &'a [u8]), seed: HashSeed) -> Self {
        KeyAtHand { key, seed, type_of_key: PhantomData }
    }
}

impl<K: Key + ?Sized> Drop for KeyAtHand<'_, K> {
    #[inline(always)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            note_key(|| K::show(self.key.0, self.key.1, self.seed));
        }
    }
}

#[cold]
fn note_key(show: impl FnOnce() -> String) {
    KEY.with(|cell| cell.set(Some(show())));
}

#[cold]
fn note_operator(op: OpId) {
    note(|noted| {
        noted.op.get_or_insert(op);
    });
}

#[cold]
fn note_record(index: usize, at: Timestamp) {
    note(|noted| {
        noted.record.get_or_insert((index, at));
    });
}

fn note(change: impl FnOnce(&mut Noted)) {
    NOTED.with(|cell| {
        let mut noted = cell.get();
        change(&mut noted);
        cell.set(noted);
    });
}

struct Raised {
    op: OpId,
    cause: Cause,
}

/// Fails the job from inside a chain.
#[cold]
pub(crate) fn raise(op: OpId, cause: impl Into<Cause>) -> ! {
    // Not a panic: the hook that prints panics is not called.
    resume_unwind(Box::new(Raised { op, cause: cause.into() }))
}

/// What [`catch`] gives for a failed run: the failure, and the number of the record in its batch where one was in the loop.
pub(crate) type Caught = (Box<Failure>, Option<usize>);

/// Runs a piece of a shard's work and turns whatever unwinds out of it into a [`Failure`]. What `run` touched must not be used
/// again except to be dropped.
pub(crate) fn catch<R>(run: impl FnOnce() -> Result<R, Box<Failure>>) -> Result<R, Caught> {
    NOTED.with(|cell| cell.set(Noted { op: None, record: None }));
    KEY.with(Cell::take);
    let payload = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(failure)) => return Err((failure, None)),
        Err(payload) => payload,
    };
    let noted = NOTED.with(|cell| cell.replace(Noted { op: None, record: None }));
    let (op, cause) = match payload.downcast::<Raised>() {
        Ok(raised) => (Some(raised.op), raised.cause),
        Err(panic) => (noted.op, Cause::Panic(panic_message(&*panic))),
    };
    let key = KEY.with(Cell::take);
    let event_time = noted.record.map(|(_, at)| at);
    let failure = Failure { op, cause, place: None, event_time, key, blamed: None };
    Err((Box::new(failure), noted.record.map(|(index, _)| index)))
}

/// Drops one after the other, and gives back the first panic: a second one while the first unwinds would end the process.
pub(crate) fn drop_each<T>(all: Vec<T>) -> std::thread::Result<()> {
    let dropped = all.into_iter().map(|one| catch_unwind(AssertUnwindSafe(|| drop(one))));
    dropped.collect::<Vec<_>>().into_iter().collect()
}

/// The words of a panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic with a payload that is not text".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_operator_and_the_record_are_named() {
        let caught = catch::<()>(|| {
            let mut cursor = Cursor::new();
            for index in 0..5 {
                cursor.index = index;
                cursor.at = Timestamp(index as i64 * 10);
                Blame::on(OpId(1), || Blame::on(OpId(2), || assert!(index != 3, "three")));
            }
            Ok(())
        });
        let (failure, index) = caught.unwrap_err();
        assert_eq!(failure.op, Some(OpId(2)));
        assert_eq!(index, Some(3));
        assert_eq!(failure.event_time, Some(Timestamp(30)));
        assert!(failure.cause.to_string().contains("three"));
    }

    #[test]
    fn a_raised_error_keeps_its_operator() {
        let caught = catch::<()>(|| raise(OpId(7), Cause::User("no".into())));
        let (failure, index) = caught.unwrap_err();
        assert_eq!((failure.op, index), (Some(OpId(7)), None));
        assert_eq!(failure.cause.to_string(), "no");
        assert!(failure.retryable());
    }
}

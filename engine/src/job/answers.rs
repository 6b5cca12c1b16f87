//! What shards answer when a program asks how things stand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::JobStatus;
use crate::element::ShardId;
use crate::runtime::control::ShardAnswer;

/// Why a job did not say how things stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No shards are at work.
    #[error("the job is {status}; its shards can be asked only while it is RUNNING")]
    NotRunning {
        /// Where it stands.
        status: JobStatus,
    },
    /// A shard is at something that takes long.
    #[error(
        "shard {shard} did not answer within {waited:?}: it is in the middle of a step, most likely in one of the program's closures; see \
         that none of them waits"
    )]
    Busy {
        /// The first shard that did not.
        shard: ShardId,
        /// How long it had.
        waited: Duration,
    },
}

/// The answers to the newest question, as far as they are there. The control thread puts them in, whoever asked waits for them.
#[derive(Debug, Default)]
pub(super) struct Answers {
    questions: AtomicU64,
    newest: Mutex<Newest>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Newest {
    question: u64,
    shards: Vec<Option<ShardAnswer>>,
}

impl Answers {
    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a new question.
    pub(super) fn question(&self) -> u64 {
        self.questions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A shard has answered. Of several questions, the newest counts; its answer is one to those before, too.
    pub(super) fn put(&self, shard: ShardId, question: u64, answer: ShardAnswer) {
        let mut newest = self.lock();
        if question > newest.question {
            *newest = Newest { question, shards: Vec::new() };
        }
        if question == newest.question {
            let len = newest.shards.len().max(shard.index() + 1);
            newest.shards.resize(len, None);
            newest.shards[shard.index()] = Some(answer);
        }
        drop(newest);
        self.arrived.notify_all();
    }

    /// Waits for the answers of so many shards to this question or a later one.
    ///
    /// # Errors
    /// The first shard that did not answer in time.
    pub(super) fn wait(
        &self,
        question: u64,
        shards: usize,
        timeout: Duration,
    ) -> Result<Vec<ShardAnswer>, ShardId> {
        let end = Instant::now() + timeout;
        let mut newest = self.lock();
        loop {
            let asked = newest.question >= question;
            let missing =
                (0..shards).find(|shard| !asked || newest.shards.get(*shard).is_none_or(Option::is_none));
            let Some(missing) = missing else {
                return Ok(newest.shards.iter().flatten().cloned().collect());
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ShardId(missing as u16));
            }
            newest = self
                .arrived
                .wait_timeout(newest, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shards_have_to_answer() {
        let answers = Answers::default();
        let put = |shard, question| answers.put(ShardId(shard), question, ShardAnswer::default());
        let wait = |question| answers.wait(question, 2, Duration::ZERO).map(|shards| shards.len());
        put(1, 3);
        assert_eq!(wait(3), Err(ShardId(0)));
        put(0, 3);
        assert_eq!(wait(3), Ok(2));
        assert_eq!(wait(4), Err(ShardId(0)));
        // Somebody else asked, too: the later answer serves both.
        put(0, 5);
        put(1, 4);
        put(1, 5);
        assert_eq!(wait(4), Ok(2));
    }
}

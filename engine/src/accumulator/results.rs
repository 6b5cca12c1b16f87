//! What the accumulators of a job have added up to.

use std::fmt;

use super::{Accumulator, LongCounter, Totals};

/// What the accumulators of a job add up to over all shards. `Display` prints one per line.
#[derive(Clone, Debug, Default)]
pub struct Accumulators(Totals);

/// Why there is no accumulator to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccumulatorError {
    /// The name is wrong.
    #[error("the job has no accumulator named `{name}`; it has {known}")]
    NoSuchAccumulator {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// It is of another type.
    #[error("accumulator `{name}` is a {kind}, not a {asked}")]
    OtherKind {
        /// The name.
        name: String,
        /// What it is.
        kind: &'static str,
        /// What was asked for.
        asked: &'static str,
    },
}

impl Accumulators {
    pub(crate) fn of<'a>(shards: impl IntoIterator<Item = &'a Totals>) -> Accumulators {
        let mut all = Totals::default();
        shards.into_iter().for_each(|shard| all.merge(shard));
        Accumulators(all)
    }

    /// The accumulator of a name.
    ///
    /// # Errors
    /// There is none of this name, or it is of another type.
    pub fn get<A: Accumulator>(&self, name: &str) -> Result<&A, AccumulatorError> {
        let Some(found) = self.0.0.get(name) else {
            let known: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(AccumulatorError::NoSuchAccumulator { name: name.to_owned(), known });
        };
        let other =
            || AccumulatorError::OtherKind { name: name.to_owned(), kind: found.kind(), asked: A::KIND };
        found.as_any().downcast_ref().ok_or_else(other)
    }

    /// The value of a counter.
    ///
    /// # Errors
    /// As [`Accumulators::get`].
    pub fn counter(&self, name: &str) -> Result<i64, AccumulatorError> {
        self.get::<LongCounter>(name).map(|counter| counter.value())
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.0.keys().map(String::as_str)
    }

    /// All of them, by name, to be printed.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &dyn fmt::Display)> {
        self.0.0.iter().map(|(name, total)| (name.as_str(), total as &dyn fmt::Display))
    }
}

impl fmt::Display for Accumulators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, total)| writeln!(f, "{name}: {total}"))
    }
}

//! What is wrong with a program.

use super::placement::ParallelismError;

/// A mistake in a program that shows before anything runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Two operators that keep state have one name, so that their state could not be told apart in a checkpoint.
    #[error(
        "two operators are named `{name}`: {first} and {second}; names are the identity of state, give one of them another with .name(\"...\")"
    )]
    DuplicateName {
        /// The name.
        name: String,
        /// Where the first was built.
        first: String,
        /// Where the second was built.
        second: String,
    },
    /// A stream ends nowhere.
    #[error("`{name}`, built at {place}, leads nowhere: end it with .sink(..), .print() or .discard()")]
    LeadsNowhere {
        /// The last operator.
        name: String,
        /// Where it was built.
        place: String,
    },
    /// An operator on event time is fed by a source without timestamps.
    #[error(
        "`{name}`, built at {place}, needs event time, but its source has no timestamps: call .event_time(..) right after .source(..)"
    )]
    NoEventTime {
        /// The operator.
        name: String,
        /// Where it was built.
        place: String,
    },
    /// A setting of an operator makes no sense.
    #[error("`{name}`, built at {place}: {what}")]
    BadSetting {
        /// The operator.
        name: String,
        /// Where it was built.
        place: String,
        /// What is wrong and what would be right.
        what: String,
    },
    /// Two accumulators of different kinds have one name.
    #[error(
        "accumulator `{name}`, asked for at {place}, is a {kind} already, not a {asked}; give one of them another name"
    )]
    AccumulatorKinds {
        /// The name.
        name: String,
        /// Where it was asked for the second time.
        place: String,
        /// What it is.
        kind: &'static str,
        /// What was asked for.
        asked: &'static str,
    },
    /// Operators cannot run where the program wants them to.
    #[error(transparent)]
    Parallelism(#[from] ParallelismError),
    /// A job in batch mode has a source that does not end.
    #[error(
        "source `{name}`, built at {place}, does not end by itself, so that the job cannot run in batch mode; run it in streaming mode, or \
         give it a source that ends"
    )]
    Endless {
        /// The source.
        name: String,
        /// Where it was built.
        place: String,
    },
    /// A job in batch mode has iterations.
    #[error(
        "the job has an iteration, which ends at a checkpoint, and batch mode makes none; run it in streaming mode, in which it ends as well"
    )]
    BatchOfLoops,
    /// The job has no source.
    #[error("the job has no source: begin with flow.source(..)")]
    NoSource,
    /// An end of the job in its host program is not what the program takes it for.
    #[error("`{name}`, used at {place}: {what}")]
    NoSuchEnd {
        /// The end.
        name: String,
        /// Where it was used.
        place: String,
        /// What is wrong and what would be right.
        what: String,
    },
    /// The host program has a handle that leads nowhere.
    #[error("the {kind} `{name}` was made with the job, and its program never uses it: {remedy}")]
    UnusedEnd {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is to be done.
        remedy: &'static str,
    },
    /// The program built something else on this shard.
    #[error(
        "the program built another graph the second time:\n{first}\n---\n{second}\nA job's closure must build the same graph each time it is called; it may not depend on the clock, on randomness or on which shard it runs"
    )]
    NotDeterministic {
        /// The graph of the first call.
        first: String,
        /// The graph of a later call.
        second: String,
    },
}

//! Process functions on one stream.

use std::panic::Location;

use super::exchanges::begin;
use super::{Keyed, Stream};
use crate::key::Key;
use crate::operator::keyed::FromExchange;
use crate::operator::process::{CheckpointedProcessing, KeyedProcessing, Processing};
use crate::operator::{Chain, CheckpointedProcess, KeyedProcess, Process};
use crate::record::Record;

impl<T: Record, K: Key + ?Sized> Keyed<T, K> {
    /// Gives every record to a function with state and timers of its key.
    #[track_caller]
    pub fn process<F: KeyedProcess<T, K>>(
        self,
        function: F,
    ) -> Stream<F::Out, FromExchange<KeyedProcessing<T, K, F>>> {
        self.begin("process", true, Location::caller(), |op| KeyedProcessing::new(op, function))
    }
}

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// Gives every record to a function that sees the clocks and can give records out beside. It begins a chain of its own on the same
    /// shard; state and timers need a key.
    #[track_caller]
    pub fn process<F: Process<T>>(self, function: F) -> Stream<F::Out, FromExchange<Processing<T, F>>> {
        let input = self.forward();
        begin(vec![input], "process", false, Location::caller(), |op| Processing::new(op, function))
    }

    /// Gives every record to a function that takes part in checkpoints: with state of the operator, which no key owns, and told what becomes
    /// of each checkpoint. It begins a chain of its own on the same shard.
    #[track_caller]
    pub fn process_checkpointed<F: CheckpointedProcess<T>>(
        self,
        function: F,
    ) -> Stream<F::Out, FromExchange<CheckpointedProcessing<T, F>>> {
        let input = self.forward();
        begin(vec![input], "process_checkpointed", true, Location::caller(), |op| {
            CheckpointedProcessing::new(op, function)
        })
    }
}

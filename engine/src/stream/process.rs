//! Process functions on streams.

use std::panic::Location;

use super::{Keyed, Stream};
use crate::key::Key;
use crate::operator::keyed::FromExchange;
use crate::operator::{KeyedProcess, process::KeyedProcessing};
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

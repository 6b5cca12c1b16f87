//! Several streams as one.

use std::panic::Location;

use super::Stream;
use super::exchanges::begin;
use crate::operator::Chain;
use crate::operator::keyed::FromExchange;
use crate::operator::views::Union;
use crate::record::Record;

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// This stream and another one of the same type as one stream (SQL's `UNION ALL`): nothing is left out, and there is no order
    /// between the two. Event time is the minimum of both.
    #[track_caller]
    pub fn union<D: Chain<Record = T>>(self, other: Stream<T, D>) -> Stream<T, FromExchange<Union<T>>> {
        begin(vec![self.forward(), other.forward()], "union", false, Location::caller(), Union::new)
    }
}

//! Process functions: one function of the program's own per record, with state, timers, side outputs and a look at the clocks (Flink's
//! `ProcessFunction` family,
//! <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/process_function/>).
//!
//! A function is a type. It declares its states and named timers once, in `open`, and keeps what that gives in its fields:
//!
//! ```
//! use millstream_engine::prelude::*;
//! use millstream_engine::operator::{KeyedContext, KeyedProcess, States, Timer, ValueState};
//!
//! /// Gives out how many records a key had, once it has been silent for a minute.
//! #[derive(Default)]
//! struct Silence {
//!     count: ValueState<u64>,
//! }
//!
//! impl KeyedProcess<u64, u64> for Silence {
//!     type Out = (u64, u64);
//!
//!     fn open(&mut self, states: &mut States<'_, u64>) {
//!         self.count = states.value("count");
//!     }
//!
//!     fn process(&mut self, _: &u64, ctx: &mut KeyedContext<'_, u64, (u64, u64)>) {
//!         let count = ctx.get(&self.count).unwrap_or(0) + 1;
//!         ctx.set(&self.count, count);
//!         let at = ctx.timestamp().expect("the stream has event time");
//!         ctx.register_event_timer(Timestamp(at.0 + 60_000));
//!     }
//!
//!     fn on_timer(&mut self, _: Timer<'_>, ctx: &mut KeyedContext<'_, u64, (u64, u64)>) {
//!         if let Some(count) = ctx.take(&self.count) {
//!             ctx.emit((ctx.key(), count));
//!         }
//!     }
//! }
//! ```

mod bounds;
mod broadcast;
mod broadcast_plain;
mod budget;
mod checkpointed;
mod co;
mod context;
mod evictor;
mod folding_state;
mod kept;
mod keyed;
mod list_state;
mod lives;
mod map_state;
mod operator_state;
mod plain;
mod running;
mod states;
mod states_with;
#[cfg(test)]
mod tests;
mod timers;
mod ttl;
mod value_state;
mod wheel;

pub use broadcast::{BroadcastContext, BroadcastMap, KeyedBroadcastProcess, KeyedBroadcastProcessing};
pub use broadcast_plain::{BroadcastMaps, BroadcastProcess, BroadcastProcessing, BroadcastReadContext};
pub use budget::StateBudget;
pub use checkpointed::{CheckpointedProcess, CheckpointedProcessing};
pub use co::{KeyedCoProcess, KeyedCoProcessing};
pub use context::KeyedContext;
pub use folding_state::{AggregatingAt, AggregatingState, ReducingAt, ReducingState};
pub use keyed::{KeyedProcess, KeyedProcessing};
pub use list_state::{ListAt, ListState};
pub use map_state::{MapAt, MapKey, MapState};
pub(crate) use operator_state::saved_lists;
pub use operator_state::{OperatorState, OperatorStates, Redistribution};
pub use plain::{CoProcess, CoProcessing, FlatMapBoth, MapBoth, Process, ProcessContext, Processing};
pub use states::States;
pub use states_with::StatesWith;
pub use timers::{NamedTimer, Timer};
pub use ttl::Ttl;
pub use value_state::ValueState;

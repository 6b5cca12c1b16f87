//! Channels: everything between one producer shard and one consumer shard of an exchange.
//!
//! ```text
//!   producer shard                                                   consumer shard
//!   Outlet                                                           Inlet
//!     OpenBatch --seal--> [overflow] --> RingWriter ====ring====> RingReader --peek--> Frame
//!                                          position  --switch point-->  capture
//! ```
//!
//! Records are pushed into an [`OpenBatch`] (columns). A full batch, or one that is flushed because the shard has no more input at
//! hand, becomes a *frame*: a whole number of 16-byte words on a ring, usable in place (`docs/formats/frame.md` draws it). What
//! does not fit waits in an overflow queue that counts against the job's [`OverflowBudget`].
//!
//! A shard also sends to itself: then [`Outlet`] and [`Inlet`] share a queue of whole batches and nothing is copied. Both kinds have
//! the same two faces, and the choice between them is made once per batch, never per record.
//!
//! # Checkpoints
//!
//! What lies between two shards when a checkpoint is taken is saved exactly once. The producer publishes the position at which it
//! switched epoch *before* it writes past it, and saves what it has not written yet (open batch, overflow). The consumer saves
//! what lies before that position and was not read when it switched itself. It asks the ring how much there is, *then* looks
//! at the producer's position, and reads at most that and never past a position whose epoch it has not switched to. The other
//! order would let records past an unseen switch; `tests/loom_switch.rs` shows both.

mod batch;
mod error;
mod frame;
mod inlet;
mod lane;
mod open_batch;
mod outlet;
mod overflow;
mod own_lane;
mod ring;
mod ring_inlet;
mod ring_outlet;
mod saved;
mod switch;
mod sync;
#[cfg(test)]
mod tests;

pub use batch::{Batch, BatchShape, Views};
pub use error::{ChannelError, FrameError, FrameFault};
pub use frame::{Control, Frame, HEADER_WORDS, WORD_BYTES, Word};
pub(crate) use frame::{bytes_of, bytes_of_mut};
pub use inlet::{Inlet, Peek};
pub use lane::{InletEnd, OutletEnd, own_lane, ring_lane};
pub use open_batch::OpenBatch;
pub use outlet::Outlet;
pub use overflow::OverflowBudget;
pub use own_lane::OwnInlet;
pub use ring::{RingReader, RingWriter, ring};
pub use ring_inlet::RingInlet;
pub use saved::SavedFrames;
pub(crate) use saved::holds_records;
pub use switch::{SwitchObserver, SwitchPublisher, Switched, switch_point};

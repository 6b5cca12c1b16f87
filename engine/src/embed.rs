//! Jobs inside a host program: how its threads and tasks send records in, get records out, and ask.
//!
//! ```text
//! host program                                     job (shards)
//! Ingress  send --- a lane per handle ---------->  Flow::ingress ... operators ... Stream::egress
//! Egress   recv <-- a lane per shard ------------                                       |
//!                                                                                       v
//! Ask      call --- a lane per handle ---------->  Flow::ask ...... operators ... Stream::reply
//!               <-- a slot per call -------------------------------------------------/
//! ```
//!
//! All of them are made with the job, by name, before it is started; handles can be cloned and sent anywhere, and outlive the job's restarts.
//! No shard ever waits for a host's thread: what they share are lanes of one sender and one receiver, and atomics that say which have
//! something.

mod apart;
mod ask;
mod closing;
mod egress;
pub(crate) mod endpoints;
mod error;
mod ingress;
mod lane;
mod ledger;
mod listener;
mod making;
mod overload;
#[doc(hidden)]
pub mod ready;

pub use ask::{
    Ask, AskError, AskOptions, AskReader, AskSource, Asked, AskedView, Call, CallId, Level, Reply, ReplyView,
};
pub use egress::{Egress, EgressOptions, Recv};
pub use error::{RecvError, SendError};
pub use ingress::{Ingress, IngressOptions, IngressReader, IngressSource, Sent};
pub use ledger::{Ledger, Shed};
pub use overload::Overload;

//! The works that Millstream and its peers do alike: what comes in, what is to come out, and how that is checked.

mod bid;
mod collected;
mod line;
mod oracle;
mod results;
mod sequence;
mod task;
mod xorshift;

pub use bid::{Bid, BidSequence};
pub use collected::{Collected, Collector};
pub use line::{LineSequence, WORDS_PER_LINE};
pub use oracle::oracle;
pub use results::Results;
pub use sequence::{Part, Sequence, parts};
pub use task::{Task, WINDOW_MS, Work, discounted};
pub use xorshift::Xorshift;

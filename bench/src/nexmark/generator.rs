//! The events of an auction house: people come, sell things, and bid on them, as in the published generator of Nexmark (nexmark-flink, and Beam
//! before it).
//!
//! Of 50 events one is a person, 3 are auctions, 46 are bids. Most auctions are of a few hot sellers, most bids on a few hot auctions by a few hot
//! bidders. Every event is a function of its number alone: its content comes from `java.util.Random` with its id as the seed. So a reader can begin
//! anywhere, and a shard can draw every n-th event.
//!
//! What is drawn is what release 0.1 of nexmark-flink draws, to the bit; the tests compare with what that printed. Later releases do not seed their
//! generator, so that each run of theirs has other events. What they have added, [channels](Bid::channel), is drawn here after all that release 0.1
//! knows.

mod auction;
mod bid;
mod channel;
mod config;
mod event;
mod person;
mod random;
mod source;
#[cfg(test)]
mod tests;
mod text;

pub use auction::Auction;
pub use bid::Bid;
pub use channel::Channel;
pub use config::Config;
pub use event::{Draft, Event};
pub use person::Person;
pub use source::{Nexmark, Pace};
pub use text::ShortText;

use random::Random;

/// Ids begin here, so that few events already have ones to join by.
const FIRST_AUCTION: i64 = 1000;
const FIRST_PERSON: i64 = 1000;
const FIRST_CATEGORY: i64 = 10;

/// Of so many auctions, or people, that follow each other one is hot.
const HOT_EVERY: u64 = 100;

/// A price in cents: from 1 to 1,000,000 dollars, as many below 10 as from 10 to 100.
#[inline(always)]
fn price(random: &mut Random) -> i64 {
    let cents = 10f64.powf(random.double() * 6.0) * 100.0;
    // Rounds half up.
    let whole = cents as i64;
    whole + i64::from(cents - whole as f64 >= 0.5)
}

/// A number of something, below `bound`.
#[inline(always)]
fn below(random: &mut Random, bound: i64) -> i64 {
    match i32::try_from(bound) {
        Ok(bound) if bound < i32::MAX => i64::from(random.below(bound)),
        _ => (random.long() % bound).wrapping_abs(),
    }
}

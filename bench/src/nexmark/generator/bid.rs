//! Bids.

use millstream::prelude::*;

use super::channel::{Channel, draw_channel};
use super::event::Draft;
use super::random::Random;
use super::text::{Extra, draw_extra};
use super::{FIRST_AUCTION, FIRST_PERSON, HOT_EVERY, below, price};

/// How large a bid is to be, in bytes.
const SIZE: usize = 100;
/// Four numbers.
const SIZE_OF_NUMBERS: usize = 4 * 8;

/// Bids may be on auctions that come only then: so many.
const AUCTIONS_AHEAD: u64 = 10;

/// Someone offers so much for something.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Bid {
    pub auction: i64,
    pub bidder: i64,
    /// In cents.
    pub price: i64,
    /// In milliseconds since 1970.
    pub date_time: i64,
    /// Where the generator was then: the rest is drawn when it is asked for.
    rest: u64,
}

impl Bid {
    #[inline(always)]
    pub(super) fn draw(draft: Draft<'_>) -> Bid {
        let (config, mut random) = (draft.config, draft.random());
        let place = config.place(draft.id());
        let auction = if random.below(config.hot_auction_ratio) > 0 {
            config.last_auction(place) / HOT_EVERY * HOT_EVERY
        } else {
            let last = config.last_auction(place);
            let first = last.saturating_sub(config.in_flight_auctions);
            first + below(&mut random, (last - first + 1 + AUCTIONS_AHEAD) as i64) as u64
        };
        let bidder = if random.below(config.hot_bidder_ratio) > 0 {
            // The second one: hot sellers are the first ones.
            config.last_person(place) / HOT_EVERY * HOT_EVERY + 1
        } else {
            super::person::draw_active(config, place, &mut random)
        };
        let price = price(&mut random);
        Bid {
            auction: auction as i64 + FIRST_AUCTION,
            bidder: bidder as i64 + FIRST_PERSON,
            price,
            date_time: draft.time(),
            rest: random.state(),
        }
    }

    /// Text without meaning, so that a bid has its size.
    #[inline(always)]
    pub fn extra(&self) -> Extra {
        draw_extra(&mut Random::at(self.rest), SIZE_OF_NUMBERS, SIZE)
    }

    /// Where it was made.
    #[inline(always)]
    pub fn channel(&self) -> Channel {
        let extra = self.extra();
        draw_channel(&mut extra.after())
    }
}

//! Auctions.

use millstream::prelude::*;

use super::event::Draft;
use super::random::Random;
use super::text::{Extra, draw_extra, word};
use super::{FIRST_AUCTION, FIRST_CATEGORY, FIRST_PERSON, HOT_EVERY, below, price};

/// How large an auction is to be, in bytes.
const SIZE: usize = 500;
/// Six numbers.
const SIZE_OF_NUMBERS: usize = 6 * 8;

const CATEGORIES: i32 = 5;

/// Something is for sale.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Auction {
    pub id: i64,
    /// In cents.
    pub initial_bid: i64,
    /// In milliseconds since 1970.
    pub date_time: i64,
    /// Until then, in milliseconds since 1970.
    pub expires: i64,
    /// The person whose it is.
    pub seller: i64,
    pub category: i64,
    /// Where the generator was then: the rest is drawn when it is asked for.
    rest: u64,
}

/// What an auction says beside its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct AuctionTexts {
    pub item_name: String,
    pub description: String,
    /// In cents.
    pub reserve: i64,
    pub extra: Extra,
}

impl Auction {
    #[inline(always)]
    pub(super) fn draw(draft: Draft<'_>) -> Auction {
        let (config, mut random) = (draft.config, draft.random());
        let place = config.place(draft.id());
        let seller = if random.below(config.hot_seller_ratio) > 0 {
            config.last_person(place) / HOT_EVERY * HOT_EVERY
        } else {
            super::person::draw_active(config, place, &mut random)
        };
        let category = FIRST_CATEGORY + i64::from(random.below(CATEGORIES));
        let initial_bid = price(&mut random);
        let date_time = draft.time();
        // As long as it takes, on average, until so many others have come.
        let ahead = config.in_flight_auctions * config.total() / config.auctions;
        let horizon = config.time(draft.number + ahead) - date_time;
        let expires = date_time + 1 + below(&mut random, (horizon * 2).max(1));
        Auction {
            id: config.last_auction(place) as i64 + FIRST_AUCTION,
            initial_bid,
            date_time,
            expires,
            seller: seller as i64 + FIRST_PERSON,
            category,
            rest: random.state(),
        }
    }

    /// What it says beside.
    pub fn texts(&self) -> AuctionTexts {
        let mut random = Random::at(self.rest);
        let item_name = word(&mut random, 20, ' ');
        let description = word(&mut random, 100, ' ');
        let reserve = self.initial_bid + price(&mut random);
        let size = SIZE_OF_NUMBERS + item_name.len() + description.len();
        let extra = draw_extra(&mut random, size, SIZE);
        AuctionTexts { item_name, description, reserve, extra }
    }
}

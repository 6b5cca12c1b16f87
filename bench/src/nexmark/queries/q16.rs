//! Query 16, channel statistics: the bids that came by a channel on a day, the minute of the last one, and how many different bidders and auctions they have, in
//! all and by levels of price. They change with every bid; the last ones of each channel and day are compared.
//!
//! Channels go by their numbers, and have names again where rows are shown.

use millstream::prelude::*;

use crate::nexmark::calendar::{Day, Minute};
use crate::nexmark::distinct::{self, CountDistinct, Counts, Offer};
use crate::nexmark::generator::{Bid, Channel, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 16,
    name: "channel statistics",
    sql: include_str!("q16.sql"),
    rows: Rows::LastOfKey,
    build,
    reference,
};

/// A channel and a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    channel: Channel,
    day: Day,
}

impl Group {
    fn of(bid: &Bid) -> Group {
        Group { channel: bid.channel(), day: Day::of(bid.date_time) }
    }

    /// Both in one number: days fit into half of it for millions of years.
    fn number(self) -> u64 {
        (u64::from(self.channel.number()) << 32) | u64::from(self.day.number() as u32)
    }

    fn numbered(number: u64) -> Group {
        let day = (number as u32).cast_signed();
        Group { channel: Channel::of((number >> 32) as u32), day: Day::numbered(day.into()) }
    }
}

fn show((group, counts): &(u64, Counts)) -> String {
    let Group { channel, day } = Group::numbered(*group);
    format!("{},{day}\t{},{counts}", channel.name(), Minute::of(counts.last))
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, |draft| draft.bid().map(|bid| Offer::of(Group::of(&bid).number(), &bid)))
        .key_by(|offer| offer.group)
        .process(CountDistinct::default())
        .sink("rows", output.rows(show));
}

fn reference(events: &[Event]) -> Vec<String> {
    let group = |bid: &Bid| format!("{},{}", bid.channel().name(), Day::of(bid.date_time));
    let groups = distinct::reference(bids_of(events), group);
    groups.map(|(group, last, counts)| format!("{group}\t{},{counts}", Minute::of(last))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_comes_back_from_its_number() {
        for (channel, day) in [(0, 0), (10_003, 16_631), (7, -1)] {
            let group = Group { channel: Channel::of(channel), day: Day::numbered(day) };
            assert_eq!(Group::numbered(group.number()), group);
        }
    }
}

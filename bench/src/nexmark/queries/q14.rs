//! Query 14, calculation: the bids of a middling price, with the time of day and how many letters `c` their text has.

use millstream::prelude::*;

use crate::nexmark::calendar::Minute;
use crate::nexmark::generator::{Bid, Event, ShortText};
use crate::nexmark::money::Thousandths;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 14,
    name: "calculation",
    sql: include_str!("q14.sql"),
    rows: Rows::All,
    build,
    reference,
};

const ABOVE: Thousandths = Thousandths(1_000_000_000);
const BELOW: Thousandths = Thousandths(50_000_000_000);

/// A bid that is selected.
struct Row {
    auction: i64,
    bidder: i64,
    price: Thousandths,
    time_type: &'static str,
    date_time: i64,
    extra: ShortText,
    c_counts: usize,
}

impl Row {
    fn of(bid: Bid) -> Row {
        let Bid { auction, bidder, price, date_time, .. } = bid;
        let extra = bid.extra().to_short();
        Row {
            auction,
            bidder,
            price: Thousandths::in_euros(price),
            time_type: time_type(Minute::of(date_time).hour()),
            date_time,
            c_counts: count_char(extra.as_bytes(), b'c'),
            extra,
        }
    }

    fn show(&self) -> String {
        let Row { auction, bidder, price, time_type, date_time, extra, c_counts } = self;
        format!("{auction},{bidder},{price},{time_type},{date_time},{extra},{c_counts}")
    }
}

fn time_type(hour: i64) -> &'static str {
    match hour {
        8..=18 => "dayTime",
        ..=6 | 20.. => "nightTime",
        _ => "otherTime",
    }
}

/// How often a letter of ASCII occurs.
fn count_char(text: &[u8], letter: u8) -> usize {
    text.iter().filter(|byte| **byte == letter).count()
}

fn is_selected(bid: &Bid) -> bool {
    let price = Thousandths::in_euros(bid.price);
    ABOVE < price && price < BELOW
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, |draft| draft.bid().filter(is_selected))
        .map(Row::of)
        .sink("rows", output.rows(Row::show));
}

fn reference(events: &[Event]) -> Vec<String> {
    let row = |bid: Bid| {
        let euros = i128::from(bid.price) * 908;
        let hour = bid.date_time / 3_600_000 % 24;
        let time_type = if (8..=18).contains(&hour) {
            "dayTime"
        } else if hour <= 6 || hour >= 20 {
            "nightTime"
        } else {
            "otherTime"
        };
        let (extra, price) = (bid.extra().to_text(), format!("{}.{:03}", euros / 1000, euros % 1000));
        let c_counts = extra.split('c').count() - 1;
        (1_000_000_001..50_000_000_000).contains(&euros).then(|| {
            format!("{},{},{price},{time_type},{},{extra},{c_counts}", bid.auction, bid.bidder, bid.date_time)
        })
    };
    bids_of(events).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::{count_char, time_type};

    #[test]
    fn the_hours_between_day_and_night_are_of_another_type() {
        let types = [0, 6, 7, 8, 18, 19, 20, 23].map(time_type);
        let (night, day, other) = ("nightTime", "dayTime", "otherTime");
        assert_eq!(types, [night, night, other, day, day, other, night, night]);
    }

    #[test]
    fn letters_are_counted() {
        assert_eq!([count_char(b"", b'c'), count_char(b"accbC", b'c')], [0, 2]);
    }
}

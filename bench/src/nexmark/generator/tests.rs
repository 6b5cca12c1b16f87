//! Events are those that release 0.1 of nexmark-flink gives.

use super::{Config, Event};

/// What it printed for the first events, and checksums (CRC-32) of a hundred thousand with other settings.
const PUBLISHED: &str = include_str!("published.txt");

fn line(event: &Event) -> String {
    match event {
        Event::Person(person) => {
            let texts = person.texts();
            format!(
                "P|{}|{}|{}|{}|{}|{}|{}|{}",
                person.id,
                texts.name,
                texts.email_address,
                texts.credit_card,
                texts.city,
                texts.state,
                person.date_time,
                texts.extra
            )
        }
        Event::Auction(auction) => {
            let texts = auction.texts();
            format!(
                "A|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}",
                auction.id,
                texts.item_name,
                texts.description,
                auction.initial_bid,
                texts.reserve,
                auction.date_time,
                auction.expires,
                auction.seller,
                auction.category,
                texts.extra
            )
        }
        Event::Bid(bid) => {
            format!("B|{}|{}|{}|{}|{}", bid.auction, bid.bidder, bid.price, bid.date_time, bid.extra())
        }
    }
}

fn lines(config: Config, events: u64) -> impl Iterator<Item = String> {
    (0..events).map(move |so_far| line(&config.draft(so_far).event()))
}

#[test]
fn the_first_events_are_the_published_ones() {
    let published: Vec<&str> = PUBLISHED.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(published.len(), 100);
    for (number, (ours, published)) in lines(Config::default(), 100).zip(published).enumerate() {
        assert_eq!(ours, published, "event {number}");
    }
}

#[test]
fn checksums_of_a_hundred_thousand_events_are_the_published_ones() {
    let mut checked = 0;
    for line in PUBLISHED.lines().filter_map(|line| line.strip_prefix("# group ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [group, "rate", rate, "first", "id", id, "number", number, "events", events, "crc32", crc] =
            words[..]
        else {
            panic!("{line}")
        };
        let config = Config::default()
            .rate(rate.parse().unwrap())
            .out_of_order(group.parse().unwrap())
            .from(id.parse().unwrap(), number.parse().unwrap());
        let mut hasher = crc32fast::Hasher::new();
        for line in lines(config, events.parse().unwrap()) {
            hasher.update(line.as_bytes());
            hasher.update(b"\n");
        }
        assert_eq!(format!("{:08x}", hasher.finalize()), crc, "{line}");
        checked += 1;
    }
    assert_eq!(checked, 4);
}

//! `list_append`, `map_update`, `value_200_bytes`, `text_200_bytes`: the states of a process function, against collections in a map.

use std::error::Error;
use std::hint::black_box;

use millstream::operator::{KeyedContext, KeyedProcess, ListState, MapState, States, ValueState};
use millstream::prelude::*;

use super::Settings;
use crate::bids::{Bid, Bids, Generator};
use crate::outcome::{Outcome, Target};
use crate::throughput::{Comparison, WarmUp, of_job, of_loop};

const WARM_UP: WarmUp = WarmUp { records: 4_000_000 };

/// How long a list gets before it is cleared.
const ELEMENTS: u64 = 100;
/// How many entries a map has.
const ENTRIES: i64 = 1024;

const LISTS: u64 = 10_000;
const MAPS: u64 = 1_000;
const VALUES: u64 = 100_000;

type Map<V> = hashbrown::HashMap<u64, V, ahash::RandomState>;

/// A value of 200 bytes: a count, and what the bids of each of 24 groups of bidders add up to.
type Profile = [u64; 25];

/// Where in it a bid is added.
#[inline(always)]
fn group_of(bid: &Bid) -> usize {
    1 + (bid.bidder as usize) % 24
}

/// Measures one state: what the function keeps, and what the loop keeps in its place.
fn compare<F: KeyedProcess<Bid, u64, Out = u64>, L: FnMut()>(
    settings: &Settings,
    (name, reference_is): (&'static str, &'static str),
    (keys, about): (u64, &str),
    function: impl Fn() -> F + Send + Sync + Copy + 'static,
    by_hand: impl Fn() -> L + Send + Copy,
) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let job = || {
        let (stretch, _) = of_job(settings, WARM_UP, Job::new(name), 1, move |flow, tally| {
            flow.source("bids", Bids::new(keys, 1, tally))
                .key_by(|bid| bid.auction as u64)
                .process(function())
                .for_each(|said, _| {
                    black_box(said);
                });
        })?;
        Ok(stretch)
    };
    let rounds = Comparison::run(settings, job, || of_loop(settings, WARM_UP, by_hand))?;
    let notes = vec![format!("shard 0 and the loop on core {core}, by turns; {keys} keys, uniform; {about}")];
    Ok(vec![rounds.outcome(name, reference_is, Target::None, notes)])
}

/// Adds each bid to a list.
#[derive(Default)]
struct Appends(ListState<Bid>);

impl KeyedProcess<Bid, u64> for Appends {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.0 = states.list("bids");
    }

    fn process(&mut self, bid: &Bid, ctx: &mut KeyedContext<'_, u64, u64>) {
        let mut list = ctx.list(&self.0);
        list.add(bid);
        let len = list.len();
        if len == ELEMENTS {
            list.clear();
        }
        ctx.emit(len);
    }
}

/// Appending to lists.
pub fn list_append(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let by_hand = || {
        let (mut bids, mut lists) = (<Generator>::new(LISTS, 0, 1), Map::<Vec<Bid>>::default());
        move || {
            let bid = bids.bid();
            let list = lists.entry(bid.auction as u64).or_default();
            list.push(bid);
            black_box(list.len());
            if list.len() as u64 == ELEMENTS {
                list.clear();
            }
        }
    };
    let named = ("list_append", "a hand-written loop over hashbrown with ahash, with a `Vec` per key");
    let about = "an element of 32 bytes per record, lists cleared at 100";
    compare(settings, named, (LISTS, about), Appends::default, by_hand)
}

/// Counts the bids of each bidder in a map.
#[derive(Default)]
struct Counts(MapState<i64, u64>);

impl KeyedProcess<Bid, u64> for Counts {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.0 = states.map("bidders");
    }

    fn process(&mut self, bid: &Bid, ctx: &mut KeyedContext<'_, u64, u64>) {
        let count = ctx.map(&self.0).update(
            &(bid.bidder % ENTRIES),
            || 0,
            |count| {
                *count += 1;
                *count
            },
        );
        ctx.emit(count);
    }
}

/// Changing entries of maps.
pub fn map_update(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let by_hand = || {
        let (mut bids, mut maps) = (<Generator>::new(MAPS, 0, 1), Map::<Map<u64>>::default());
        move || {
            let bid = bids.bid();
            let map = maps.entry(bid.auction as u64).or_default();
            let count = map.entry((bid.bidder % ENTRIES) as u64).or_insert(0);
            *count += 1;
            black_box(*count);
        }
    };
    let named = ("map_update", "a hand-written loop over hashbrown with ahash, with a map per key");
    compare(settings, named, (MAPS, "1024 entries each"), Counts::default, by_hand)
}

/// Adds each bid to the value of its key.
#[derive(Default)]
struct Profiles(ValueState<Profile>);

impl KeyedProcess<Bid, u64> for Profiles {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.0 = states.value("profile");
    }

    fn process(&mut self, bid: &Bid, ctx: &mut KeyedContext<'_, u64, u64>) {
        let bids = ctx.update(
            &self.0,
            || [0; 25],
            |profile| {
                profile[0] += 1;
                profile[group_of(bid)] += bid.price as u64;
                profile[0]
            },
        );
        ctx.emit(bids);
    }
}

/// Reading and writing values that are larger than a record.
pub fn value_200_bytes(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let by_hand = || {
        let (mut bids, mut profiles) = (<Generator>::new(VALUES, 0, 1), Map::<Profile>::default());
        move || {
            let bid = bids.bid();
            let profile = profiles.entry(bid.auction as u64).or_insert([0; 25]);
            profile[0] += 1;
            profile[group_of(&bid)] += bid.price as u64;
            black_box(profile[0]);
        }
    };
    let named =
        ("value_200_bytes", "a hand-written loop over hashbrown with ahash that changes values in place");
    let about = "values of 200 bytes, read, changed and written per record";
    compare(settings, named, (VALUES, about), Profiles::default, by_hand)
}

/// How long the text of a key is, and how much of it each bid changes.
const TEXT: usize = 200;
const CHANGED: usize = 8;

/// Writes the price of a bid into a text.
#[inline(always)]
fn note(text: &mut String, bid: &Bid) {
    let at = (bid.bidder as usize % (TEXT / CHANGED)) * CHANGED;
    let digits = [b'0' + (bid.price % 10) as u8; CHANGED];
    text.replace_range(at..at + CHANGED, std::str::from_utf8(&digits).unwrap_or_default());
}

fn blank() -> String {
    "-".repeat(TEXT)
}

/// Writes each bid into the text of its key.
#[derive(Default)]
struct Texts(ValueState<String>);

impl KeyedProcess<Bid, u64> for Texts {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.0 = states.value("text");
    }

    fn process(&mut self, bid: &Bid, ctx: &mut KeyedContext<'_, u64, u64>) {
        let said = ctx.update(&self.0, blank, |text| {
            note(text, bid);
            u64::from(text.as_bytes()[0])
        });
        ctx.emit(said);
    }
}

/// Reading and writing texts.
pub fn text_200_bytes(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let by_hand = || {
        let (mut bids, mut texts) = (<Generator>::new(VALUES, 0, 1), Map::<String>::default());
        move || {
            let bid = bids.bid();
            let text = texts.entry(bid.auction as u64).or_insert_with(blank);
            note(text, &bid);
            black_box(text.as_bytes()[0]);
        }
    };
    let named =
        ("text_200_bytes", "a hand-written loop over hashbrown with ahash that changes texts in place");
    let about = "texts of 200 bytes, read, changed and written per record";
    compare(settings, named, (VALUES, about), Texts::default, by_hand)
}

//! People.

use std::fmt::Write as _;

use millstream::prelude::*;

use super::event::Draft;
use super::random::Random;
use super::text::{Extra, draw_extra, push_word};
use super::{Config, FIRST_PERSON, below};

/// How large a person is to be, in bytes.
const SIZE: usize = 200;
/// One number.
const SIZE_OF_NUMBERS: usize = 8;

/// People may sell and bid that come only then: so many.
const PEOPLE_AHEAD: u64 = 10;

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

/// Someone who sells and bids.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Person {
    pub id: i64,
    /// In milliseconds since 1970.
    pub date_time: i64,
    /// Where the generator was then: the rest is drawn when it is asked for.
    rest: u64,
}

/// What there is to know of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonTexts {
    pub name: String,
    pub email_address: String,
    pub credit_card: String,
    pub city: &'static str,
    pub state: &'static str,
    pub extra: Extra,
}

impl Person {
    #[inline(always)]
    pub(super) fn draw(draft: Draft<'_>) -> Person {
        let last = draft.config.last_person(draft.config.place(draft.id()));
        Person { id: last as i64 + FIRST_PERSON, date_time: draft.time(), rest: draft.random().state() }
    }

    /// What there is to know.
    pub fn texts(&self) -> PersonTexts {
        let random = &mut Random::at(self.rest);
        let first_name = one_of(random, &FIRST_NAMES);
        let name = format!("{first_name} {}", one_of(random, &LAST_NAMES));
        let mut email_address = String::with_capacity(16);
        push_word(random, 7, ' ', &mut email_address);
        email_address.push('@');
        push_word(random, 5, ' ', &mut email_address);
        email_address.push_str(".com");
        let mut credit_card = String::with_capacity(19);
        for group in 0..4 {
            let space = if group > 0 { " " } else { "" };
            // Into a text, which has room for all.
            let _ = write!(credit_card, "{space}{:04}", random.below(10_000));
        }
        let (city, state) = (one_of(random, &CITIES), one_of(random, &STATES));
        let texts = name.len() + email_address.len() + credit_card.len() + city.len() + state.len();
        let extra = draw_extra(random, SIZE_OF_NUMBERS + texts, SIZE);
        PersonTexts { name, email_address, credit_card, city, state, extra }
    }
}

fn one_of(random: &mut Random, choices: &[&'static str]) -> &'static str {
    choices[random.below(choices.len() as i32) as usize]
}

/// The number of a person that is active, from 0: one of those that came last, or that come next.
#[inline(always)]
pub(super) fn draw_active(config: &Config, place: (u64, u64), random: &mut Random) -> u64 {
    let people = config.last_person(place) + 1;
    let active = people.min(config.active_people);
    people - active + below(random, (active + PEOPLE_AHEAD) as i64) as u64
}

//! The queries: a file each, with the text in SQL beside it.

mod q00;
mod q01;
mod q02;
mod q03;
mod q04;
mod q05;
mod q06;
mod q07;
mod q08;
mod q09;
mod q10;
mod q11;
mod q12;
mod q13;
mod q14;
mod q15;
mod q16;
mod q17;
mod q18;
mod q19;
mod q20;
mod q21;
mod q22;
pub mod source;

use super::query::Query;

/// All of them, by number.
pub const ALL: &[Query] = &[
    q00::QUERY,
    q01::QUERY,
    q02::QUERY,
    q03::QUERY,
    q04::QUERY,
    q05::QUERY,
    q06::QUERY,
    q07::QUERY,
    q08::QUERY,
    q09::QUERY,
    q10::QUERY,
    q11::QUERY,
    q12::QUERY,
    q13::QUERY,
    q14::QUERY,
    q15::QUERY,
    q16::QUERY,
    q17::QUERY,
    q18::QUERY,
    q19::QUERY,
    q20::QUERY,
    q21::QUERY,
    q22::QUERY,
];

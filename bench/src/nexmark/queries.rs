//! The queries: a file each, with the text in SQL beside it.

mod q00;
mod q01;
mod q02;
mod q05;

use super::query::Query;

/// All of them, by number.
pub const ALL: &[Query] = &[q00::QUERY, q01::QUERY, q02::QUERY, q05::QUERY];

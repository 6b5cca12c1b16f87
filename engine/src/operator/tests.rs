//! What tests of operators have in common: a driver, and random traces that are held against a naive model.

pub(crate) mod driver;
pub(crate) mod trace;

//! No query: every event with all its numbers, and nothing behind it. What the others cost less than this is left out of events that they do not look at.

use std::hint::black_box;

use millstream::prelude::*;

use crate::nexmark::generator::Event;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows};

pub const QUERY: Query =
    Query { number: u8::MAX, name: "source", sql: "SELECT * FROM bid", rows: Rows::All, build, reference };

fn build(flow: &Flow, input: &Input, output: &Output) {
    let events = input.draw(flow, |draft| {
        black_box(draft.event());
        None::<u64>
    });
    events.sink("rows", output.rows(u64::to_string));
}

fn reference(_: &[Event]) -> Vec<String> {
    Vec::new()
}

use std::time::Duration;

use millstream::prelude::*;

fn rolling(flow: &Flow) {
    flow.source("records", millstream::io::sequence(0..=1)).sum(|record| *record).discard();
}

fn windowed(flow: &Flow) {
    flow.source("records", millstream::io::sequence(0..=1)).window(Tumbling::of(Duration::from_secs(1))).count().discard();
}

fn not_windowed(flow: &Flow) {
    flow.source("records", millstream::io::sequence(0..=1)).key_by(|record| *record).apply(|_, _, _| {}).discard();
}

fn main() {
    let _ = (rolling, windowed, not_windowed);
}

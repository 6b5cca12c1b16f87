use millstream::prelude::*;
use millstream::time::Ticks;

fn connected(flow: &Flow) {
    let numbers = flow.source("numbers", millstream::io::sequence(0..=1)).key_by(|number| *number);
    let texts = flow.source("texts", millstream::io::sequence(0..=1)).key_by(|number| number.to_string());
    numbers.interval_join(texts, Ticks(0), Ticks(1)).join(|_, _| 0u64).discard();
}

fn main() {
    let _ = connected;
}

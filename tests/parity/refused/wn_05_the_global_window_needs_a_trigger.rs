use millstream::prelude::*;
use millstream::window::Global;

fn program(flow: &Flow) {
    flow.source("numbers", millstream::io::sequence(0..=1)).key_by(|number| *number).window(Global).count().discard();
}

fn main() {
    let _ = program;
}

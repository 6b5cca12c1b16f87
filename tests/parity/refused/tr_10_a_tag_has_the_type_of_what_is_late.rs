use std::time::Duration;

use millstream::prelude::*;

fn program(flow: &Flow) {
    let late = flow.tag::<String>("late");
    flow.source("numbers", millstream::io::sequence(0..=1))
        .event_time(Watermarks::monotonous(), |_| 0)
        .key_by(|number| *number)
        .window(Tumbling::of(Duration::from_secs(1)))
        .late_to(&late)
        .count()
        .discard();
}

fn main() {
    let _ = program;
}

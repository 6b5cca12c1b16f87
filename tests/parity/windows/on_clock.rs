//! Windows by processing time.

use std::time::Duration;

use millstream::prelude::*;

use crate::time::fed::{Fed, Stepped};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn wn_22_a_window_of_processing_time_begins_at_a_multiple_of_its_size_and_fires_at_its_last_tick() {
    for shards in [1, 2] {
        let fed = Fed::new(1);
        let source = fed.clone();
        let job = Stepped::start(shards, move |flow, sink| {
            flow.source("fed", source.clone())
                .key_by(|_| 0u64)
                .window(Tumbling::of(ms(5_000)).on_clock())
                .count()
                .map(|result| (result.window.start.0, result.value))
                .sink("out", sink);
        });
        job.clock.set(ms(12_345));
        fed.feed(0, 1, 0);
        job.clock.set(ms(14_998));
        fed.feed(0, 2, 0);
        job.nothing();
        job.clock.set(ms(14_999));
        assert_eq!(job.next(), (10_000, 2));
        fed.feed(0, 3, 0);
        // The third record came at the last tick of the window, after it had fired: it is of a new one by the same name, which is due.
        assert_eq!(job.next(), (10_000, 1));
        job.stop();
    }
}

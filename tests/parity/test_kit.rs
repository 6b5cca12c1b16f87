//! The public test kit, used as a stranger would use it.

mod cases;
mod contract;
mod harness;
mod scripts;

use std::time::Duration;

use millstream::prelude::*;
use millstream::testing::{Input, TestFlow, single};

/// Sums in windows of five seconds that take records in for three more, and what comes after that.
fn sums() -> impl Fn(&TestFlow) + Send + Sync + 'static {
    single(|flow, money: Input<i64>| {
        let late = flow.tag("late");
        let windows = money.key_by(|_| 1u64).window(Tumbling::of(Duration::from_secs(5)));
        let sums = windows.allowed_lateness(Duration::from_secs(3)).late_to(&late).sum(|money| *money);
        flow.side_output(&late, &sums);
        sums.map(|sum| (sum.window.start.0, sum.value))
    })
}

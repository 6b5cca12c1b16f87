use millstream::operator::{KeyedContext, KeyedProcess, Process, ProcessContext};
use millstream::prelude::*;

/// Sets a timer where there is no key it could be for.
struct Unkeyed;

impl Process<u64> for Unkeyed {
    type Out = u64;

    fn process(&mut self, _: &u64, ctx: &mut ProcessContext<'_, u64>) {
        ctx.register_event_timer(Timestamp(1));
    }
}

/// Needs a key.
struct Keyed;

impl KeyedProcess<u64, u64> for Keyed {
    type Out = u64;

    fn process(&mut self, record: &u64, ctx: &mut KeyedContext<'_, u64, u64>) {
        ctx.emit(*record);
    }
}

fn program(flow: &Flow) {
    flow.source("records", millstream::io::sequence(0..=1)).process(Keyed).discard();
}

fn main() {
    let _ = (program, Unkeyed);
}

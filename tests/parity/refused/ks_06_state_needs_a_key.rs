use millstream::operator::{ListState, Process, ProcessContext};

/// A function of records without a key.
#[derive(Default)]
struct Counts {
    seen: ListState<u64>,
}

impl Process<u64> for Counts {
    type Out = u64;

    fn process(&mut self, n: &u64, ctx: &mut ProcessContext<'_, u64>) {
        ctx.list(&self.seen).add(n);
    }
}

fn main() {}

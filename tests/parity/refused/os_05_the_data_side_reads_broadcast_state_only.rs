use millstream::operator::{BroadcastContext, BroadcastMap, KeyedBroadcastProcess, KeyedContext, States};

#[derive(Default)]
struct Rules {
    rules: BroadcastMap<u64, u64>,
}

impl KeyedBroadcastProcess<u64, u64, u64> for Rules {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.rules = states.broadcast_map("rules");
    }

    fn process(&mut self, n: &u64, ctx: &mut KeyedContext<'_, u64, u64>) {
        ctx.put(&self.rules, n, n);
    }

    fn broadcast(&mut self, rule: &u64, ctx: &mut BroadcastContext<'_, u64, u64>) {
        ctx.put(&self.rules, rule, rule);
    }
}

fn main() {}

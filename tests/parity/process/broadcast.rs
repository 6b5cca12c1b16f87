//! Functions of a keyed stream and one that every shard gets.

use millstream::operator::{
    BroadcastContext, BroadcastMap, KeyedBroadcastProcess, KeyedContext, States, Timer, ValueState,
};
use millstream::prelude::*;

use crate::ways::every_way;

/// Holds readings back until event time has passed them, and looks their limit up then: so that it does not matter in which order records of
/// the two streams arrive.
#[derive(Default)]
struct Limits {
    limits: BroadcastMap<String, i64>,
    reading: ValueState<i64>,
}

/// Key, reading, limit.
type Over = (u64, i64, i64);

impl KeyedBroadcastProcess<(u64, i64), (String, i64), u64> for Limits {
    type Out = Over;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.limits = states.broadcast_map("limits");
        self.reading = states.value("reading");
    }

    fn process(&mut self, reading: &View<(u64, i64)>, ctx: &mut KeyedContext<'_, u64, Over>) {
        ctx.set(&self.reading, reading.1);
        ctx.register_event_timer(ctx.timestamp().unwrap());
    }

    fn broadcast(&mut self, rule: &View<(String, i64)>, ctx: &mut BroadcastContext<'_, u64, Over>) {
        let (name, limit): (String, i64) = (rule.0.as_str().to_owned(), rule.1);
        match limit {
            0 => {
                assert!(ctx.look_up(&self.limits, &name).is_some());
                ctx.remove(&self.limits, &name);
            }
            _ => ctx.put(&self.limits, &name, &limit),
        }
    }

    fn on_timer(&mut self, _: Timer<'_>, ctx: &mut KeyedContext<'_, u64, Over>) {
        let Some(reading) = ctx.take(&self.reading) else { return };
        let name = format!("rule {}", ctx.key());
        if let Some(limit) = ctx.look_up(&self.limits, &name)
            && reading > limit
        {
            ctx.emit((ctx.key(), reading, limit));
        }
        let mut rules = 0;
        ctx.each_of(&self.limits, |_, _| rules += 1);
        assert!(rules <= 3);
    }
}

#[test]
fn os_04_jn_06_every_shard_knows_the_rules() {
    let rule = |name: &str, limit: i64, at: i64| ((name.to_owned(), limit), Timestamp(at));
    // The last rule lets event time go on: readings are looked at when all rules before them are known.
    let rules =
        vec![rule("rule 1", 10, 0), rule("rule 2", 20, 1), rule("rule 3", 5, 2), rule("rule 3", 0, 3)];
    let readings: Vec<((u64, i64), Timestamp)> = [((1, 11), 10), ((2, 19), 11), ((3, 99), 12), ((2, 21), 13)]
        .map(|(reading, at)| (reading, Timestamp(at)))
        .to_vec();
    every_way(4, move |flow, run| {
        let rules = flow
            .source("rules", run.timed(vec![rules.clone()]))
            .source_time(Watermarks::monotonous())
            .broadcast();
        flow.source("readings", run.timed(vec![readings.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|reading| reading.0)
            .connect_broadcast(rules)
            .process(Limits::default())
            .sink("out", run.sink());
    })
    .are_in_any_order(&[(1, 11, 10), (2, 21, 20)]);
}

//! The programs that are simulated: one to three exchanges, drawn by the seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_engine::operator::Chain;
use millstream_engine::operator::async_io::sleep;
use millstream_engine::prelude::*;
use millstream_engine::stream::Keyed;
use millstream_engine::time::Ticks;

use crate::outside::Outside;
use crate::random::{Random, mix};
use crate::source::{IDLE_AFTER, Partition, SimSource};

/// The record that every level takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Record)]
#[repr(C)]
pub struct Event {
    pub key: u64,
    /// Says which record it is, where that does not depend on the order in which records came.
    pub id: u64,
    /// How many records of its key it stands for, of a running fold.
    pub n: u64,
    /// What they add up to.
    pub extra: u64,
}

/// A record whose length varies.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct Named {
    pub name: String,
    pub n: u64,
    pub sum: u64,
}

/// A stateful operator (or another exchange) between two exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A running count per number.
    Count,
    /// A running count per string of about this length.
    CountByName { len: usize },
    /// A running fold of a pair.
    Fold,
    /// A running reduce of records with strings.
    Reduce { len: usize },
    /// A value per key that is set, grows, and is cleared at every third record, which is given out.
    EveryThird { len: usize },
    /// Counts and sums per window.
    Window { size: i64 },
    /// Another exchange, without keys.
    Rebalance,
    /// Asynchronous calls, in order or not, that take up to so many milliseconds, for so many records at a time.
    Calls { ordered: bool, takes: u64, capacity: usize },
}

/// What is done to each record on the way to the next exchange.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// Every key whose remainder by 7 is this is dropped.
    pub drop: u64,
    /// Each record becomes so many, under different keys.
    pub fan: u64,
    /// Keys are cut down to so many.
    pub keys: u64,
}

impl Steps {
    pub fn keeps(&self, event: &Event) -> bool {
        event.key % 7 != self.drop
    }

    pub fn fan(self, event: Event) -> impl Iterator<Item = Event> {
        (0..self.fan).map(move |nth| Event {
            key: (event.key + nth * 5) % self.keys,
            id: if nth == 0 { event.id } else { mix(event.id ^ nth) },
            n: 0,
            extra: 0,
        })
    }
}

/// A program and its input.
#[derive(Clone, Debug)]
pub struct Topology {
    pub partitions: Arc<Vec<Partition>>,
    pub disorder: i64,
    pub marks_idle: bool,
    /// Each level with the steps before it.
    pub levels: Vec<(Steps, Level)>,
}

impl Topology {
    pub fn draw(random: &mut Random) -> Topology {
        // Now and then: more than rings can take at once, or state that is written once and not touched again for long.
        let (flood, wide) = (random.one_in(8), random.one_in(8));
        let keys = if wide { 2000 } else { random.skewed(1, 500) };
        let (disorder, step) = (random.below(60), random.between(1, 8));
        let mut levels = Vec::new();
        let mut timed = true;
        let mut budget = 6;
        for _ in 0..random.between(1, 3) {
            let fan = if random.one_in(4) { random.between(1, budget) } else { 1 };
            budget /= fan;
            let steps =
                Steps { drop: random.below(12), fan, keys: if wide { keys } else { random.skewed(1, 300) } };
            let len = if flood { 1500 } else { random.pick(&[1, 20, 300, 1500]) };
            let level = match random.below(if timed { 8 } else { 6 }) {
                _ if flood && levels.is_empty() => Level::CountByName { len },
                0 => Level::Count,
                1 => Level::CountByName { len },
                2 => Level::Fold,
                3 => Level::Reduce { len },
                4 => Level::EveryThird { len: 1 + len / 3 },
                5 if random.one_in(2) => Level::Rebalance,
                5 => Level::Calls {
                    ordered: random.one_in(2),
                    takes: random.below(5),
                    capacity: random.between(1, 200) as usize,
                },
                _ => Level::Window { size: random.between(1, 400) as i64 },
            };
            timed &= !matches!(level, Level::EveryThird { .. });
            levels.push((steps, level));
        }
        let heavy = levels.iter().any(
            |(_, level)| matches!(level, Level::CountByName { len } | Level::Reduce { len } if *len > 100),
        );
        let records = match (flood, heavy) {
            (true, _) => 600,
            (_, true) => random.skewed(1, 400),
            _ => random.skewed(1, 1500),
        };
        let marks_idle = random.one_in(4);
        let partitions = (0..random.between(1, 5)).map(|number| {
            let records = if random.one_in(6) { 0 } else { random.below(records + 1) };
            Partition::draw(random, number, records, keys, disorder, step, marks_idle)
        });
        let partitions = Arc::new(partitions.collect());
        Topology { partitions, disorder: disorder as i64, marks_idle, levels }
    }

    /// The program. `fuse`: the record of all shards that makes user code fail, counted down. `parallelism`: the source's, then each level's.
    pub fn program(
        &self,
        outside: Outside,
        sink_delay: u64,
        fuse: Arc<AtomicI64>,
        parallelism: Vec<u16>,
    ) -> impl Fn(&Flow) + Send + Sync + 'static {
        let topology = self.clone();
        move |flow| {
            let sink = outside.sink(sink_delay ^ 77, sink_delay);
            let mut sink = Some(sink);
            let mut watermarks = Watermarks::bounded_out_of_orderness(Ticks(topology.disorder));
            if topology.marks_idle {
                watermarks = watermarks.with_idleness(IDLE_AFTER);
            }
            let source = SimSource { partitions: topology.partitions.clone() };
            let first = flow.source("numbers", source).source_time(watermarks).parallelism(parallelism[0]);
            let mut keyed = key(first, topology.levels[0].0, Some(fuse.clone()));
            for (number, (_, level)) in topology.levels.iter().enumerate() {
                let next = topology.levels.get(number + 1).map(|(steps, _)| *steps);
                let sink = if next.is_none() { sink.take() } else { None };
                let mut end = End { next, sink, parallelism: parallelism[number + 1] };
                match add(keyed, number, *level, &mut end) {
                    Some(next) => keyed = next,
                    None => return,
                }
            }
        }
    }
}

/// What follows a level: the next one, or the sink.
struct End {
    next: Option<Steps>,
    sink: Option<crate::outside::OutsideSink>,
    /// Of the level.
    parallelism: u16,
}

fn key<C>(stream: Stream<Event, C>, steps: Steps, fuse: Option<Arc<AtomicI64>>) -> Keyed<Event, u64>
where
    C: for<'a> Chain<Record = Event, Ref = Event, Arg<'a> = Event>,
{
    stream
        .filter(move |event| steps.keeps(event))
        .try_flat_map(move |event| {
            if fuse.as_ref().is_some_and(|fuse| fuse.fetch_sub(1, Ordering::Relaxed) == 1) {
                return Err("the planned failure");
            }
            Ok(steps.fan(event).collect::<Vec<_>>())
        })
        .key_by(|event| event.key)
}

impl End {
    fn after<C>(&mut self, stream: Stream<Event, C>) -> Option<Keyed<Event, u64>>
    where
        C: for<'a> Chain<Record = Event, Ref = Event, Arg<'a> = Event>,
    {
        let stream = stream.parallelism(self.parallelism);
        match self.next {
            Some(steps) => Some(key(stream, steps, None)),
            None => {
                stream.sink("outside", self.sink.take().expect("a program has one sink"));
                None
            }
        }
    }
}

fn add(keyed: Keyed<Event, u64>, number: usize, level: Level, end: &mut End) -> Option<Keyed<Event, u64>> {
    let name = format!("level-{number}");
    match level {
        Level::Count => {
            let counts = keyed.count().name(name);
            end.after(counts.map(|(key, n)| Event { key, id: 0, n, extra: 0 }))
        }
        Level::CountByName { len } => {
            let counts = keyed.views().key_by(move |event| name_of(event.key, len)).count().name(name);
            end.after(counts.map(|(name, n)| Event { key: key_of(&name), id: 0, n, extra: 0 }))
        }
        Level::Fold => {
            let folds = keyed.fold((0i64, 0i64), |(sum, n), event| {
                *sum = sum.wrapping_add(event.id as i64);
                *n += 1;
            });
            let folds = folds.name(name);
            end.after(folds.map(|(key, (sum, n))| Event { key, id: 0, n: n as u64, extra: sum as u64 }))
        }
        Level::Reduce { len } => {
            let named =
                keyed.views().map(move |event| Named { name: name_of(event.key, len), n: 1, sum: event.id });
            let reduced = named.key_by_ref(|named| named.name.as_str()).reduce(|all, one| {
                assert_eq!(all.name, one.name);
                all.n += one.n;
                all.sum = all.sum.wrapping_add(one.sum);
            });
            let reduced = reduced.name(name);
            end.after(reduced.map(|named| Event {
                key: key_of(&named.name),
                id: 0,
                n: named.n,
                extra: named.sum,
            }))
        }
        Level::EveryThird { len } => {
            let thirds =
                keyed.flat_map_with_value("seen", move |key: &u64, _, seen: &mut Value<String>, out| {
                    match seen.get().map(String::len) {
                        None => seen.set("-".repeat(len)),
                        Some(had) if had == len => seen.set("-".repeat(2 * len)),
                        Some(had) => {
                            assert_eq!(had, 2 * len);
                            seen.clear();
                            out.emit(Event { key: *key, id: 0, n: 0, extra: 0 });
                        }
                    }
                });
            let thirds = thirds.name(name);
            end.after(thirds.map(|event| event))
        }
        Level::Window { size } => {
            let windows = keyed.window(Tumbling::of(Ticks(size))).fold((0u64, 0u64), |(n, sum), event| {
                *n += 1;
                *sum = sum.wrapping_add(event.id);
            });
            let windows = windows.name(name);
            end.after(windows.map(|result| {
                let (n, extra) = result.value;
                Event { key: result.key, id: n, n, extra }
            }))
        }
        Level::Calls { ordered, takes, capacity } => {
            // They stay on their shard, so that both chains run where the level does.
            let events = keyed.views().parallelism(end.parallelism).map(|event| *event);
            let calls = if ordered { events.ordered_wait() } else { events.unordered_wait() };
            // A shard may be kept from its calls for long.
            let answers = calls.capacity(capacity).without_timeout().call(move |event: Event| async move {
                for _ in 0..event.key % 3 {
                    sleep(Duration::from_millis(event.id % (takes + 1))).await;
                }
                event
            });
            end.after(answers.name(name))
        }
        Level::Rebalance => {
            let dealt = keyed.views().map(|event| *event).rebalance().name(name);
            end.after(dealt.map(|event| *event))
        }
    }
}

/// A string of about `len` bytes for a key.
fn name_of(key: u64, len: usize) -> String {
    format!("{key}{}", "#".repeat(len))
}

fn key_of(name: &str) -> u64 {
    name.trim_end_matches('#').parse().expect("the name begins with the key")
}

//! Lists, maps and folds per key.

use std::collections::BTreeMap;

use millstream::operator::{
    AggregatingState, KeyedContext, KeyedProcess, ListState, MapState, ReducingState, States, ValueState,
};
use millstream::prelude::*;
use millstream::testing::{Harness, Input};
use proptest::prelude::*;

use crate::ways::every_way;

/// What is done to the state of a key: a verb, a word, and a number.
type Command = (u64, String, String, u64);

fn command(key: u64, verb: &str, word: &str, n: u64) -> Command {
    (key, verb.to_owned(), word.to_owned(), n)
}

/// Words of many lengths, some of them longer than what lies in one place.
fn words(word: &str, n: u64) -> impl Iterator<Item = String> {
    (0..n * 4).map(move |length| word.repeat((length * length) as usize))
}

/// Does what it is told to a list and a map of its key, and tells what it sees.
#[derive(Default)]
struct Collections {
    list: ListState<u64>,
    words: ListState<String>,
    map: MapState<String, u64>,
    grid: MapState<(u32, u32), Vec<u64>>,
}

impl KeyedProcess<Command, u64> for Collections {
    type Out = (u64, String);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.list = states.list("list");
        self.words = states.list("words");
        self.map = states.map("map");
        self.grid = states.map("grid");
    }

    fn process(&mut self, command: &View<Command>, ctx: &mut KeyedContext<'_, u64, (u64, String)>) {
        let (key, verb, word, n) = Command::owned(command);
        let said = match verb.as_str() {
            "add" => {
                ctx.list(&self.list).add(&n);
                ctx.list(&self.words).add(&word);
                String::new()
            }
            "fill" => {
                ctx.list(&self.list).add_all(0..n * 60);
                ctx.list(&self.words).add_all(words(&word, n));
                (0..n * 60).for_each(|n| _ = ctx.map(&self.map).put(&format!("{word}{n}"), &n));
                (0..n * 60).for_each(|n| _ = ctx.map(&self.grid).put(&(n as u32, 1), &vec![n]));
                String::new()
            }
            "replace" => {
                ctx.list(&self.list).replace([n]);
                ctx.list(&self.words).replace([word]);
                String::new()
            }
            "list" => {
                let list = ctx.list(&self.list).to_vec();
                format!("{list:?} {:?} {}", ctx.list(&self.words).to_vec(), ctx.list(&self.words).len())
            }
            "forget" => {
                ctx.list(&self.list).clear();
                ctx.list(&self.words).clear();
                format!("{}", ctx.list(&self.list).is_empty())
            }
            "put" => {
                ctx.map(&self.grid).update(&(n as u32 % 3, 0), Vec::new, |all| all.push(n));
                format!("{}", ctx.map(&self.map).put(&word, &n))
            }
            "count" => {
                let count = ctx.map(&self.map).update(
                    &word,
                    || 0,
                    |count| {
                        *count += n;
                        *count
                    },
                );
                format!("{count}")
            }
            "get" => format!("{:?}", ctx.map(&self.map).get(&word)),
            "remove" => {
                let of_grid = ctx.map(&self.grid).remove(&(n as u32 % 3, 0));
                format!("{} {of_grid}", ctx.map(&self.map).remove(&word))
            }
            "entries" => {
                let mut map = ctx.map(&self.map);
                // The order is open.
                let (entries, len): (BTreeMap<_, _>, _) = (map.entries().into_iter().collect(), map.len());
                let grid: BTreeMap<_, _> = ctx.map(&self.grid).entries().into_iter().collect();
                format!("{entries:?} {len} {grid:?}")
            }
            _ => {
                ctx.map(&self.map).clear();
                ctx.map(&self.grid).clear();
                format!("{}", ctx.map(&self.map).is_empty())
            }
        };
        if !said.is_empty() {
            ctx.emit((key, said));
        }
    }
}

/// The same in plain collections.
#[derive(Clone, Default)]
struct Model {
    list: Vec<u64>,
    words: Vec<String>,
    map: BTreeMap<String, u64>,
    grid: BTreeMap<(u32, u32), Vec<u64>>,
}

impl Model {
    fn obey(&mut self, (_, verb, word, n): &Command) -> Option<String> {
        let (word, n) = (word.clone(), *n);
        match verb.as_str() {
            "add" => {
                self.list.push(n);
                self.words.push(word);
                None
            }
            "fill" => {
                self.list.extend(0..n * 60);
                self.words.extend(words(&word, n));
                (0..n * 60).for_each(|n| _ = self.map.insert(format!("{word}{n}"), n));
                (0..n * 60).for_each(|n| _ = self.grid.insert((n as u32, 1), vec![n]));
                None
            }
            "replace" => {
                (self.list, self.words) = (vec![n], vec![word]);
                None
            }
            "list" => Some(format!("{:?} {:?} {}", self.list, self.words, self.words.len())),
            "forget" => {
                (self.list, self.words) = (Vec::new(), Vec::new());
                Some("true".to_owned())
            }
            "put" => {
                self.grid.entry((n as u32 % 3, 0)).or_default().push(n);
                Some(format!("{}", self.map.insert(word, n).is_none()))
            }
            "count" => {
                let count = self.map.entry(word).or_insert(0);
                *count += n;
                Some(count.to_string())
            }
            "get" => Some(format!("{:?}", self.map.get(&word))),
            "remove" => {
                let of_grid = self.grid.remove(&(n as u32 % 3, 0)).is_some();
                Some(format!("{} {of_grid}", self.map.remove(&word).is_some()))
            }
            "entries" => Some(format!("{:?} {} {:?}", self.map, self.map.len(), self.grid)),
            _ => {
                (self.map, self.grid) = (BTreeMap::new(), BTreeMap::new());
                Some("true".to_owned())
            }
        }
    }
}

/// A command, or a restore on so many shards.
fn steps() -> impl Strategy<Value = Vec<Result<Command, u16>>> {
    let verb = prop_oneof![
        4 => Just("add"), 1 => Just("fill"), 1 => Just("replace"), 2 => Just("list"), 1 => Just("forget"), 6 => Just("put"), 3 => Just("count"),
        2 => Just("get"), 4 => Just("remove"), 2 => Just("entries"), 1 => Just("clear"),
    ];
    let of_command = (0u64..3, verb, "[a-e]{0,2}", 0u64..10)
        .prop_map(|(key, verb, word, n)| Ok(command(key, verb, &word, n)));
    proptest::collection::vec(prop_oneof![20 => of_command, 1 => (1u16..4).prop_map(Err)], 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ks_02_ks_03_lists_and_maps_are_what_they_are_elsewhere(steps in steps()) {
        let mut harness = Harness::single(|_, commands: Input<Command>| {
            commands.key_by(|command| command.0).process(Collections::default())
        });
        let mut models: BTreeMap<u64, Model> = BTreeMap::new();
        for step in steps {
            match step {
                Ok(command) => {
                    let said = models.entry(command.0).or_default().obey(&command);
                    harness.push(command.clone(), 0);
                    let expected: Vec<_> = said.map(|said| (command.0, said)).into_iter().collect();
                    prop_assert_eq!(harness.values(), expected, "{:?}", command);
                }
                Err(shards) => {
                    let snapshot = harness.snapshot();
                    harness.restore(&snapshot, shards);
                }
            }
        }
    }
}

fn collections(commands: &[Command], expected: &[&str]) {
    let commands = commands.to_vec();
    let expected: Vec<(u64, String)> = expected.iter().map(|said| (1, (*said).to_owned())).collect();
    every_way(commands.len(), move |flow, run| {
        flow.source("commands", run.source(commands.clone()))
            .key_by(|command| command.0)
            .process(Collections::default())
            .sink("out", run.sink());
    })
    .are(&expected);
}

#[test]
fn ks_02_list_state() {
    let of = |verb, n| command(1, verb, "", n);
    let commands = [of("add", 1), of("add", 2), of("replace", 9), of("add", 3), of("list", 0)];
    collections(&commands, &[r#"[9, 3] ["", ""] 2"#]);
}

#[test]
fn ks_03_map_state() {
    let of = |verb, word, n| command(1, verb, word, n);
    let commands = [of("put", "a", 1), of("put", "b", 2), of("remove", "a", 1), of("entries", "", 0)];
    collections(&commands, &["true", "true", "true true", r#"{"b": 2} 1 {(2, 0): [2]}"#]);
}

/// The mean of numbers.
pub(super) struct Mean;

impl Aggregate<u64> for Mean {
    type Acc = [u64; 2];
    type Out = f64;

    fn create(&self) -> [u64; 2] {
        [0, 0]
    }
    fn add(&self, acc: &mut [u64; 2], n: &u64) {
        acc[0] += n;
        acc[1] += 1;
    }
    fn merge(&self, acc: &mut [u64; 2], other: &[u64; 2]) {
        acc[0] += other[0];
        acc[1] += other[1];
    }
    fn result(&self, acc: [u64; 2]) -> f64 {
        acc[0] as f64 / acc[1] as f64
    }
}

/// Adds its numbers up in two ways; a zero begins anew.
#[derive(Default)]
struct Folds {
    greatest: ReducingState<u64>,
    mean: AggregatingState<u64, Mean>,
}

impl KeyedProcess<u64, u64> for Folds {
    type Out = String;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.greatest = states.reducing("greatest", |greatest: &mut u64, n| *greatest = n.max(*greatest));
        self.mean = states.aggregating("mean", Mean);
    }

    fn process(&mut self, n: &u64, ctx: &mut KeyedContext<'_, u64, String>) {
        if *n == 0 {
            assert!(ctx.reducing(&self.greatest).clear() && ctx.aggregating(&self.mean).clear());
        } else {
            ctx.reducing(&self.greatest).add(*n);
            ctx.aggregating(&self.mean).add(n);
        }
        let (greatest, mean) = (ctx.reducing(&self.greatest).get(), ctx.aggregating(&self.mean).get());
        ctx.emit(format!("{greatest:?} {mean:?}"));
    }
}

#[test]
fn ks_04_reducing_and_aggregating_state() {
    let expected =
        ["Some(1) Some(1.0)", "Some(6) Some(3.5)", "Some(6) Some(3.0)", "None None", "Some(4) Some(4.0)"];
    every_way(5, |flow, run| {
        flow.source("numbers", run.source([1u64, 6, 2, 0, 4]))
            .key_by(|_| 7u64)
            .process(Folds::default())
            .sink("out", run.sink());
    })
    .are(&expected.map(str::to_owned));
}

/// Declares one name twice.
#[derive(Default)]
struct Twice {
    value: ValueState<u64>,
    list: ListState<String>,
}

impl KeyedProcess<u64, u64> for Twice {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.value = states.value("seen");
        self.list = states.list("seen");
    }

    fn process(&mut self, _: &u64, _: &mut KeyedContext<'_, u64, u64>) {}
}

#[test]
fn ks_05_two_states_of_one_name_are_refused() {
    let error = Job::new("twice").run(|flow| {
        flow.source("numbers", millstream::io::sequence(0..=3))
            .map(|n| n as u64)
            .key_by(|n| *n)
            .process(Twice::default())
            .name("twice")
            .discard();
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("operator `twice` has two states named `seen`"), "{error}");
}

/// Fills the list and the map of one key, and empties them.
#[derive(Default)]
struct Fills {
    list: ListState<u64>,
    map: MapState<u64, u64>,
}

impl KeyedProcess<u64, u64> for Fills {
    type Out = (u64, u64, u64);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.list = states.list("list");
        self.map = states.map("map");
    }

    fn process(&mut self, n: &u64, ctx: &mut KeyedContext<'_, u64, (u64, u64, u64)>) {
        if *n > 0 {
            ctx.list(&self.list).add(n);
            ctx.map(&self.map).put(n, n);
            return;
        }
        let (len, mut sum) = (ctx.list(&self.list).len(), 0);
        ctx.map(&self.map).each(|_, n| sum += n);
        ctx.list(&self.list).clear();
        ctx.map(&self.map).clear();
        let left = ctx.map(&self.map).len();
        ctx.emit((len, sum, left));
    }
}

#[test]
fn ks_07_what_is_cleared_is_free_again() {
    const ENTRIES: u64 = 100_000;
    let mut harness =
        Harness::single(|_, numbers: Input<u64>| numbers.key_by(|_| 1u64).process(Fills::default()));
    let bytes =
        |harness: &Harness| harness.metrics().shards.iter().map(|shard| shard.state_bytes).sum::<u64>();
    let fill = |harness: &mut millstream::testing::Single<u64, (u64, u64, u64)>| {
        (1..=ENTRIES).for_each(|n| harness.push(n, 0));
        let full = bytes(harness);
        harness.push(0, 0);
        assert_eq!(harness.values(), [(ENTRIES, ENTRIES * (ENTRIES + 1) / 2, 0)]);
        full
    };
    let full = fill(&mut harness);
    // Filled a second time, it takes what it took before.
    let again = fill(&mut harness);
    assert!(again <= full + full / 100, "{full} bytes, then {again}");
}

/// Notes of a key what is known of it, which may be nothing.
#[derive(Default)]
struct Known {
    of: MapState<String, Option<u64>>,
}

impl KeyedProcess<(u64, String, Option<u64>), u64> for Known {
    type Out = String;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.of = states.map("known");
    }

    fn process(
        &mut self,
        record: &View<(u64, String, Option<u64>)>,
        ctx: &mut KeyedContext<'_, u64, String>,
    ) {
        let (_, word, known) = <(u64, String, Option<u64>)>::owned(record);
        let is_new = ctx.map(&self.of).put(&word, &known);
        let entries: BTreeMap<_, _> = ctx.map(&self.of).entries().into_iter().collect();
        let never = ctx.map(&self.of).get(&"never".to_owned());
        ctx.emit(format!("{is_new} {entries:?} {never:?}"));
    }
}

#[test]
fn ks_15_a_map_can_say_that_nothing_is_known_of_a_key() {
    let known = |word: &str, known| (1u64, word.to_owned(), known);
    let records = [known("a", Some(1)), known("b", None), known("a", None), known("a", Some(2))];
    let expected = [
        r#"true {"a": Some(1)} None"#,
        r#"true {"a": Some(1), "b": None} None"#,
        r#"false {"a": None, "b": None} None"#,
        r#"false {"a": Some(2), "b": None} None"#,
    ];
    every_way(records.len(), move |flow, run| {
        flow.source("records", run.source(records.clone()))
            .key_by(|record| record.0)
            .process(Known::default())
            .sink("out", run.sink());
    })
    .are(&expected.map(str::to_owned));
}

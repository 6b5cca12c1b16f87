//! State that may hold so much only.

use std::collections::{BTreeMap, BTreeSet};

use millstream::operator::{
    KeyedContext, KeyedProcess, ListState, MapState, ReducingState, StateBudget, States, Ttl, ValueState,
};
use millstream::prelude::*;
use millstream::testing::{Harness, Input, Single};
use proptest::prelude::*;

/// A key, what is done to its states, and a number.
type Command = (u64, String, u64);

/// Does what it is told to states of every kind, each with the same budget, and tells what it sees.
struct Keeps {
    budget: StateBudget,
    value: ValueState<u64>,
    list: ListState<u64>,
    map: MapState<u64, u64>,
    sum: ReducingState<u64>,
}

impl Keeps {
    fn new(budget: StateBudget) -> Self {
        Keeps {
            budget,
            value: ValueState::default(),
            list: ListState::default(),
            map: MapState::default(),
            sum: ReducingState::default(),
        }
    }
}

impl KeyedProcess<Command, u64> for Keeps {
    type Out = String;

    fn open(&mut self, states: &mut States<'_, u64>) {
        let mut states = states.bounded(self.budget);
        self.value = states.value("value");
        self.list = states.list("list");
        self.map = states.map("map");
        self.sum = states.reducing("sum", |sum, n| *sum += n);
    }

    fn process(&mut self, command: &View<Command>, ctx: &mut KeyedContext<'_, u64, String>) {
        let (_, verb, n) = Command::owned(command);
        match verb.as_str() {
            "set" => ctx.set(&self.value, n),
            "add" => ctx.list(&self.list).add(&n),
            "write" => {
                ctx.set(&self.value, n);
                ctx.list(&self.list).add(&n);
                let mut map = ctx.map(&self.map);
                map.put(&n, &n);
                // What is changed is given back, whether there is room for it or not.
                assert!(map.update(&0, || 0, |count| *count + 1) == 1);
                ctx.reducing(&self.sum).add(n);
            }
            "read" => {
                let (value, list) = (ctx.get(&self.value), ctx.list(&self.list).to_vec());
                let (map, sum) = (ctx.map(&self.map).keys().len(), ctx.reducing(&self.sum).get());
                ctx.emit(format!("{value:?} {list:?} {map} {sum:?}"));
            }
            _ => {
                ctx.clear(&self.value);
                ctx.list(&self.list).clear();
                ctx.map(&self.map).clear();
                ctx.reducing(&self.sum).clear();
            }
        }
    }
}

fn harness(budget: StateBudget) -> Single<Command, String> {
    Harness::single(move |_, commands: Input<Command>| {
        commands.key_by(|command| command.0).process(Keeps::new(budget)).name("keeps")
    })
}

fn tell(harness: &mut Single<Command, String>, key: u64, verb: &str, n: u64) -> String {
    harness.push((key, verb.to_owned(), n), 0);
    harness.values().pop().unwrap_or_default()
}

/// Tells one state of so many keys something, on one shard.
fn run(budget: StateBudget, verb: &'static str, keys: u64, times: u64) -> Result<Summary, String> {
    let ran = Job::new("budget").shards(1).run(move |flow| {
        flow.source("numbers", millstream::io::sequence(0..=(keys * times - 1) as i64))
            .map(move |n| (n as u64 % keys, verb.to_owned(), 7))
            .key_by(|command| command.0)
            .process(Keeps::new(budget))
            .name("keeps")
            .discard();
    });
    ran.map_err(|error| error.to_string())
}

#[test]
fn ks_09_the_first_key_too_many_fails_the_job() {
    for verb in ["set", "add"] {
        run(StateBudget::of_keys(1_000), verb, 1_000, 2).expect("there is room for 1,000 keys");
        let error = run(StateBudget::of_keys(1_000), verb, 1_001, 2).unwrap_err();
        let state = if verb == "set" { "value" } else { "list" };
        assert!(error.contains("after 0 restarts") && error.contains("key 1000"), "{error}");
        let words = format!("state `{state}`: its budget of 1000 keys on this shard is used up (1000 keys, ");
        assert!(error.contains("operator `keeps`") && error.contains(&words), "{error}");
    }
}

#[test]
fn ks_09_a_budget_of_bytes_holds_for_keys_that_are_there_as_well() {
    const BYTES: u64 = 1 << 20;
    let error = run(StateBudget::of_bytes(BYTES), "set", 1_000_000, 1).unwrap_err();
    assert!(error.contains("state `value`: its budget of 1048576 bytes on this shard"), "{error}");
    let error = run(StateBudget::of_bytes(BYTES), "add", 1, 1_000_000).unwrap_err();
    assert!(error.contains("state `list`") && error.contains("(1 keys, "), "{error}");
}

#[test]
fn ks_09_a_budget_is_divided_among_the_shards_that_the_function_runs_on() {
    // All of it for one shard of three, and a third for each of three.
    for (parallelism, keys, limit) in [(1, 900, None), (1, 901, Some(900)), (3, 901, Some(300))] {
        let ran = Job::new("budget").shards(3).oversubscribe(true).run(move |flow| {
            flow.source("numbers", millstream::io::sequence(0..=keys - 1))
                .map(|n| (n as u64, "set".to_owned(), 7))
                .key_by(|command| command.0)
                .process(Keeps::new(StateBudget::of_keys(900)))
                .name("keeps")
                .parallelism(parallelism)
                .discard();
        });
        let error = ran.err().map(|error| error.to_string());
        let expected = limit.map(|limit| format!("its budget of {limit} keys on this shard is used up"));
        match (&error, &expected) {
            (None, None) => {}
            (Some(error), Some(expected)) if error.contains(expected) => {}
            _ => panic!("{keys} keys on {parallelism} of 3 shards: {error:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn ks_09_new_keys_are_shed_and_counted() {
    let mut keeps = harness(StateBudget::of_keys(2).sheds_new_keys());
    for key in 1..=3 {
        tell(&mut keeps, key, "write", 7);
        tell(&mut keeps, key, "write", 8);
    }
    for key in 1..=2 {
        assert_eq!(tell(&mut keeps, key, "read", 0), "Some(8) [7, 8] 3 Some(15)");
    }
    assert_eq!(tell(&mut keeps, 3, "read", 0), "None [] 0 None");
    // A value, an element, two entries and a sum, twice.
    assert_eq!(keeps.metrics().shed_writes(), 10);
    // Where one goes there is room for another.
    tell(&mut keeps, 1, "clear", 0);
    tell(&mut keeps, 3, "write", 9);
    assert_eq!(tell(&mut keeps, 3, "read", 0), "Some(9) [9] 2 Some(9)");
    tell(&mut keeps, 1, "write", 9);
    assert_eq!(tell(&mut keeps, 1, "read", 0), "None [] 0 None");
}

#[test]
fn ks_09_what_a_checkpoint_brings_stays_although_it_is_too_much() {
    let mut keeps = harness(StateBudget::of_keys(1_000).sheds_new_keys());
    (0..600).for_each(|key| _ = tell(&mut keeps, key, "write", key));
    let snapshot = keeps.snapshot();
    for shards in [1, 2, 3] {
        let mut keeps = harness(StateBudget::of_keys(300).sheds_new_keys());
        keeps.restore(&snapshot, shards);
        for key in 0..600 {
            let expected = format!("Some({key}) [{key}] {} Some({key})", 2 - u64::from(key == 0));
            assert_eq!(tell(&mut keeps, key, "read", 0), expected, "{shards} shards");
        }
        for key in 600..700 {
            tell(&mut keeps, key, "write", 1);
            assert_eq!(tell(&mut keeps, key, "read", 0), "None [] 0 None", "{shards} shards");
        }
    }
}

#[test]
fn ks_09_shedding_keeps_within_bytes() {
    const BYTES: u64 = 256 << 10;
    let mut keeps = harness(StateBudget::of_bytes(BYTES).sheds_new_keys());
    let mut held = Vec::new();
    for keys in [0..50_000, 50_000..100_000] {
        let end = keys.end;
        keys.for_each(|key| _ = tell(&mut keeps, key, "set", key));
        let metrics = keeps.metrics();
        let (bytes, keys) = (metrics.shards[0].state_bytes, metrics.shards[0].keys);
        assert_eq!(keys + metrics.shed_writes(), end);
        // A key takes 16 bytes at least.
        assert!(keys > 0 && keys * 16 <= BYTES, "{keys} keys");
        held.push((bytes, keys));
    }
    // Once it is full, nothing grows any more.
    assert_eq!(held[0], held[1]);
}

/// A value that expires and may not have more than two keys.
#[derive(Default)]
struct Expires(ValueState<u64>);

impl KeyedProcess<u64, u64> for Expires {
    type Out = (u64, Option<u64>);

    fn open(&mut self, states: &mut States<'_, u64>) {
        let second = Ttl::of(std::time::Duration::from_secs(1));
        self.0 = states.expiring(second).bounded(StateBudget::of_keys(2).sheds_new_keys()).value("value");
    }

    fn process(&mut self, n: &u64, ctx: &mut KeyedContext<'_, u64, (u64, Option<u64>)>) {
        ctx.set(&self.0, *n);
        let value = ctx.get(&self.0);
        ctx.emit((*n, value));
    }
}

#[test]
fn ks_09_what_has_expired_makes_room() {
    let mut keeps =
        Harness::single(|_, keys: Input<u64>| keys.key_by(|key| *key).process(Expires::default()));
    keeps.advance_clock(0);
    (1..=3).for_each(|key| keeps.push(key, 0));
    assert_eq!(keeps.values(), [(1, Some(1)), (2, Some(2)), (3, None)]);
    keeps.advance_clock(1_032);
    keeps.push(3, 0);
    assert_eq!(keeps.values(), [(3, Some(3))]);
}

/// Adds up, for a second, the records of the two keys that were used last.
#[derive(Default)]
struct ExpiresAndEvicts(ReducingState<u64>);

impl KeyedProcess<u64, u64> for ExpiresAndEvicts {
    type Out = (u64, Option<u64>);

    fn open(&mut self, states: &mut States<'_, u64>) {
        let second = Ttl::of(std::time::Duration::from_secs(1)).without_cleanup();
        let budget = StateBudget::of_keys(2).evicts_unused_keys();
        self.0 = states.bounded(budget).expiring(second).reducing("sum", |sum, n| *sum += n);
    }

    fn process(&mut self, n: &u64, ctx: &mut KeyedContext<'_, u64, (u64, Option<u64>)>) {
        ctx.reducing(&self.0).add(*n);
        let sum = ctx.reducing(&self.0).get();
        ctx.emit((*n, sum));
    }
}

#[test]
fn ks_09_a_key_that_had_expired_and_is_back_is_not_the_oldest() {
    let mut sums =
        Harness::single(|_, keys: Input<u64>| keys.key_by(|key| *key).process(ExpiresAndEvicts::default()));
    sums.advance_clock(0);
    sums.push(1, 0);
    sums.advance_clock(2_000);
    // The first has expired and begins anew, later than the second. The third takes the room of the second.
    [2, 1, 3, 1, 2].into_iter().for_each(|key| sums.push(key, 0));
    assert_eq!(
        sums.values(),
        [(1, Some(1)), (2, Some(2)), (1, Some(1)), (3, Some(3)), (1, Some(2)), (2, Some(2))]
    );
}

#[test]
fn ks_09_a_budget_that_has_no_room_for_one_key_is_refused() {
    let error = run(StateBudget::of_keys(0), "set", 1, 1).unwrap_err();
    assert!(
        error.contains("the budget of state `value`: 0 keys are less than one for each shard"),
        "{error}"
    );
    let error = run(StateBudget::of_bytes(4_096), "set", 1, 1).unwrap_err();
    assert!(error.contains("the budget of state `list`: 4096 bytes are 4096 on a shard"), "{error}");
}

#[test]
fn ks_09_the_key_that_was_used_longest_ago_is_evicted() {
    let mut keeps = harness(StateBudget::of_keys(3).evicts_unused_keys());
    for key in 1..=3 {
        tell(&mut keeps, key, "write", key);
    }
    tell(&mut keeps, 1, "read", 0);
    tell(&mut keeps, 4, "write", 4);
    assert_eq!(tell(&mut keeps, 2, "read", 0), "None [] 0 None");
    for key in [1, 3, 4] {
        assert_eq!(tell(&mut keeps, key, "read", 0), format!("Some({key}) [{key}] 2 Some({key})"));
    }
    // One key of four states.
    assert_eq!((keeps.metrics().evicted_keys(), keeps.metrics().shed_writes()), (4, 0));
    // It comes back on other shards, with the times of use: where there is no room any more, the oldest goes.
    keeps.advance_clock(1);
    let snapshot = keeps.snapshot();
    keeps.restore(&snapshot, 1);
    tell(&mut keeps, 5, "write", 5);
    assert_eq!(tell(&mut keeps, 1, "read", 0), "None [] 0 None");
    assert_eq!(tell(&mut keeps, 3, "read", 0), "Some(3) [3] 2 Some(3)");
}

#[test]
fn ks_09_keys_in_use_are_not_evicted() {
    const HOT: u64 = 1_000;
    let mut keeps = harness(StateBudget::of_keys(10_000).evicts_unused_keys());
    for key in 0..60_000 {
        tell(&mut keeps, HOT + key, "set", key);
        tell(&mut keeps, key % HOT, "set", key);
    }
    for key in 0..HOT {
        assert_eq!(tell(&mut keeps, key, "read", 0), format!("Some({}) [] 0 None", 59_000 + key));
    }
    let metrics = keeps.metrics();
    assert_eq!((metrics.shards[0].keys, metrics.evicted_keys()), (10_000, 51_000));
}

#[test]
fn ks_09_evicting_keeps_within_bytes() {
    const BYTES: u64 = 256 << 10;
    let mut keeps = harness(StateBudget::of_bytes(BYTES).evicts_unused_keys());
    for key in 0..100_000 {
        tell(&mut keeps, key, "set", key);
        if key % 1_000 == 0 {
            assert_eq!(tell(&mut keeps, key, "read", 0), format!("Some({key}) [] 0 None"));
            let keys = keeps.metrics().shards[0].keys;
            // A key and the time of its last use take 32 bytes at least. Pages come free when they are sparse: up to two thirds of the keys go.
            assert!(keys * 32 <= BYTES && (key < 10_000 || keys * 256 >= BYTES), "{keys} keys");
        }
    }
    let metrics = keeps.metrics();
    assert_eq!(metrics.shards[0].keys + metrics.evicted_keys(), 100_000);
    // Some pages are kept ready beside those of the budget.
    let bytes = metrics.shards[0].state_bytes;
    assert!(bytes <= BYTES + 64 * 4096, "{bytes} bytes");
}

#[test]
fn ks_09_evicting_may_be_switched_on_and_off() {
    let budget = StateBudget::of_keys(300);
    for (then, now) in
        [(budget.sheds_new_keys(), budget.evicts_unused_keys()), (budget.evicts_unused_keys(), budget)]
    {
        let mut keeps = harness(then);
        (0..200).for_each(|key| _ = tell(&mut keeps, key, "write", 7));
        let snapshot = keeps.snapshot();
        for shards in [1, 2, 3] {
            let mut keeps = harness(now);
            keeps.restore(&snapshot, shards);
            for key in 0..200 {
                assert_eq!(tell(&mut keeps, key, "read", 0), "Some(7) [7] 2 Some(7)", "{shards} shards");
            }
        }
    }
}

/// What is used of the keys that a state has: first the one that goes next.
#[derive(Default)]
struct Recent(Vec<(u64, Vec<u64>)>);

impl Recent {
    /// Takes a key out of the order.
    fn take(&mut self, key: u64) -> Option<Vec<u64>> {
        let at = self.0.iter().position(|(other, _)| *other == key)?;
        Some(self.0.remove(at).1)
    }
}

/// What the states of a key say that so much was written to.
fn said_of(written: Option<&Vec<u64>>) -> String {
    let all = written.cloned().unwrap_or_default();
    let entries = all.iter().collect::<BTreeSet<_>>().len() + usize::from(!all.is_empty());
    let sum = (!all.is_empty()).then(|| all.iter().sum::<u64>());
    format!("{:?} {all:?} {entries} {sum:?}", all.last())
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, u64),
    Clear(u64),
    Read(u64),
    Restore,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0u64..8, 1u64..9).prop_map(|(key, n)| Step::Write(key, n)),
        3 => (0u64..8).prop_map(Step::Clear),
        4 => (0u64..8).prop_map(Step::Read),
        1 => Just(Step::Restore),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ks_09_as_many_keys_as_are_allowed(steps in steps(), keys in 1usize..6) {
        let mut keeps = harness(StateBudget::of_keys(keys as u64).sheds_new_keys());
        let mut model: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Write(key, n) => {
                    tell(&mut keeps, key, "write", n);
                    if model.len() < keys || model.contains_key(&key) {
                        model.entry(key).or_default().push(n);
                    }
                }
                Step::Clear(key) => {
                    tell(&mut keeps, key, "clear", 0);
                    model.remove(&key);
                }
                Step::Read(key) => {
                    let expected = said_of(model.get(&key));
                    prop_assert_eq!(tell(&mut keeps, key, "read", 0), expected);
                }
                Step::Restore => {
                    let snapshot = keeps.snapshot();
                    keeps.restore(&snapshot, 1);
                }
            }
        }
    }

    #[test]
    fn ks_09_the_least_recently_used_of_a_few_keys_goes(steps in steps(), keys in 1usize..6) {
        let mut keeps = harness(StateBudget::of_keys(keys as u64).evicts_unused_keys());
        let mut model = Recent::default();
        let mut now = 0;
        keeps.advance_clock(now);
        for step in steps {
            match step {
                Step::Write(key, n) => {
                    tell(&mut keeps, key, "write", n);
                    let mut all = model.take(key).unwrap_or_default();
                    all.push(n);
                    if model.0.len() == keys {
                        model.0.remove(0);
                    }
                    model.0.push((key, all));
                }
                Step::Clear(key) => {
                    tell(&mut keeps, key, "clear", 0);
                    model.take(key);
                }
                Step::Read(key) => {
                    let all = model.take(key);
                    prop_assert_eq!(tell(&mut keeps, key, "read", 0), said_of(all.as_ref()));
                    model.0.extend(all.map(|all| (key, all)));
                }
                Step::Restore => {
                    now += 1;
                    keeps.advance_clock(now);
                    let snapshot = keeps.snapshot();
                    keeps.restore(&snapshot, 1);
                }
            }
        }
    }
}

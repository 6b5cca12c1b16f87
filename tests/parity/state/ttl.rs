//! State that expires.

use std::time::Duration;

use millstream::operator::{
    AggregatingState, KeyedContext, KeyedProcess, ListState, MapState, ReducingState, States, Ttl, ValueState,
};
use millstream::prelude::*;
use millstream::testing::{Harness, Input, Single};
use proptest::prelude::*;

use super::collections::Mean;

/// What is done to the states of a key: a verb and a number.
type Command = (u64, String, u64);

const TEN_SECONDS: Duration = Duration::from_secs(10);

/// Does what it is told to states of every kind, and tells what it sees.
struct Keeps {
    /// None: they live for ever.
    ttl: Option<Ttl>,
    value: ValueState<u64>,
    list: ListState<u64>,
    map: MapState<u64, u64>,
    sum: ReducingState<u64>,
    mean: AggregatingState<u64, Mean>,
}

impl Keeps {
    fn new(ttl: Option<Ttl>) -> Self {
        Keeps {
            ttl,
            value: ValueState::default(),
            list: ListState::default(),
            map: MapState::default(),
            sum: ReducingState::default(),
            mean: AggregatingState::default(),
        }
    }
}

impl KeyedProcess<Command, u64> for Keeps {
    type Out = String;

    fn open(&mut self, states: &mut States<'_, u64>) {
        let sum = |sum: &mut u64, n| *sum += n;
        match self.ttl {
            Some(ttl) => {
                self.value = states.expiring(ttl).value("value");
                self.list = states.expiring(ttl).list("list");
                self.map = states.expiring(ttl).map("map");
                self.sum = states.expiring(ttl).reducing("sum", sum);
                self.mean = states.expiring(ttl).aggregating("mean", Mean);
            }
            None => {
                self.value = states.value("value");
                self.list = states.list("list");
                self.map = states.map("map");
                self.sum = states.reducing("sum", sum);
                self.mean = states.aggregating("mean", Mean);
            }
        }
    }

    fn process(&mut self, command: &View<Command>, ctx: &mut KeyedContext<'_, u64, String>) {
        let (_, verb, n) = Command::owned(command);
        match verb.as_str() {
            "write" => {
                ctx.set(&self.value, n);
                ctx.list(&self.list).add(&n);
                ctx.map(&self.map).put(&n, &n);
                ctx.reducing(&self.sum).add(n);
                ctx.aggregating(&self.mean).add(&n);
            }
            "value" => {
                let value = ctx.get(&self.value);
                ctx.emit(format!("{value:?}"));
            }
            "list" => {
                let list = ctx.list(&self.list).to_vec();
                let len = ctx.list(&self.list).len();
                ctx.emit(format!("{list:?} {len}"));
            }
            "entry" => {
                let entry = ctx.map(&self.map).get(&n);
                ctx.emit(format!("{entry:?}"));
            }
            "map" => {
                let mut keys = ctx.map(&self.map).keys();
                keys.sort_unstable();
                let len = ctx.map(&self.map).len();
                ctx.emit(format!("{keys:?} {len}"));
            }
            "folds" => {
                let (sum, mean) = (ctx.reducing(&self.sum).get(), ctx.aggregating(&self.mean).get());
                ctx.emit(format!("{sum:?} {mean:?}"));
            }
            _ => {
                ctx.clear(&self.value);
                ctx.list(&self.list).clear();
                ctx.map(&self.map).clear();
                ctx.reducing(&self.sum).clear();
                ctx.aggregating(&self.mean).clear();
            }
        }
    }
}

fn harness(ttl: Option<Ttl>) -> Single<Command, String> {
    Harness::single(move |_, commands: Input<Command>| {
        commands.key_by(|command| command.0).process(Keeps::new(ttl)).name("keeps")
    })
}

/// Tells the function something, and gives what it says.
fn tell(harness: &mut Single<Command, String>, verb: &str, n: u64) -> String {
    harness.push((1, verb.to_owned(), n), harness.clock());
    harness.values().pop().unwrap_or_default()
}

/// What its states say at a time, in seconds.
fn at(harness: &mut Single<Command, String>, seconds: i64, verb: &str) -> String {
    harness.advance_clock(seconds * 1_000);
    tell(harness, verb, 0)
}

fn keys(harness: &Harness) -> u64 {
    harness.metrics().shards.iter().map(|shard| shard.keys).sum()
}

#[test]
fn ks_10_elements_expire_one_by_one() {
    let mut keeps = harness(Some(Ttl::of(TEN_SECONDS)));
    keeps.advance_clock(0);
    tell(&mut keeps, "write", 7);
    keeps.advance_clock(6_000);
    tell(&mut keeps, "write", 8);
    assert_eq!(at(&mut keeps, 9, "list"), "[7, 8] 2");
    assert_eq!(at(&mut keeps, 11, "list"), "[8] 1");
    assert_eq!(at(&mut keeps, 11, "map"), "[8] 1");
    // Each has been written a second time.
    assert_eq!(at(&mut keeps, 11, "value"), "Some(8)");
    assert_eq!(at(&mut keeps, 11, "folds"), "Some(15) Some(7.5)");
    assert_eq!(at(&mut keeps, 16, "folds"), "None None");
    assert_eq!(at(&mut keeps, 16, "value"), "None");
    assert_eq!(at(&mut keeps, 16, "list"), "[] 0");
    assert_eq!(at(&mut keeps, 16, "map"), "[] 0");
}

#[test]
fn ks_10_event_time_is_a_clock_too() {
    let mut keeps = harness(Some(Ttl::of(TEN_SECONDS).by_event_time()));
    let tell = |keeps: &mut Single<Command, String>, verb: &str, at: i64| {
        keeps.push((1, verb.to_owned(), 7), at);
        keeps.values().pop().unwrap_or_default()
    };
    tell(&mut keeps, "write", 5_000);
    // Out of order: what was used later is not made older.
    tell(&mut keeps, "write", 1_000);
    keeps.watermark(14_999);
    assert_eq!(tell(&mut keeps, "value", 20_000), "Some(7)");
    keeps.watermark(15_000);
    assert_eq!(tell(&mut keeps, "value", 20_000), "None");
    // The clock on the wall means nothing to it.
    tell(&mut keeps, "write", 20_000);
    keeps.advance_clock(1_000_000_000);
    assert_eq!(tell(&mut keeps, "value", 20_000), "Some(7)");
}

#[test]
fn ks_11_reading_renews_where_it_is_asked_for() {
    for (ttl, last) in
        [(Ttl::of(TEN_SECONDS), "None"), (Ttl::of(TEN_SECONDS).renewed_by_reading(), "Some(7)")]
    {
        let mut keeps = harness(Some(ttl));
        keeps.advance_clock(0);
        tell(&mut keeps, "write", 7);
        assert_eq!(at(&mut keeps, 8, "value"), "Some(7)");
        assert_eq!(at(&mut keeps, 12, "value"), last);
    }
}

#[test]
fn ks_12_what_has_expired_is_shown_once_where_it_is_asked_for() {
    let second = Ttl::of(Duration::from_secs(1)).without_cleanup();
    let mut keeps = harness(Some(second));
    keeps.advance_clock(0);
    tell(&mut keeps, "write", 7);
    assert_eq!(at(&mut keeps, 2, "value"), "None");
    let mut keeps = harness(Some(second.shows_expired()));
    keeps.advance_clock(0);
    tell(&mut keeps, "write", 7);
    assert_eq!(at(&mut keeps, 2, "value"), "Some(7)");
    assert_eq!(at(&mut keeps, 2, "value"), "None");
    assert_eq!(at(&mut keeps, 2, "list"), "[7] 0");
    assert_eq!(at(&mut keeps, 2, "map"), "[7] 0");
}

#[test]
fn ks_13_what_has_expired_goes_without_being_looked_at() {
    let mut keeps = harness(Some(Ttl::of(TEN_SECONDS)));
    keeps.advance_clock(0);
    for key in 0..1_000 {
        keeps.push((key, "write".to_owned(), key), 0);
    }
    keeps.advance_clock(9_999);
    assert_eq!(keys(&keeps), 1_000);
    // Within a thirty-second part of the time to live.
    keeps.advance_clock(10_313);
    assert_eq!(keys(&keeps), 0);
    // A checkpoint holds none of them.
    let snapshot = keeps.snapshot();
    keeps.restore(&snapshot, 2);
    assert_eq!(keys(&keeps), 0);
}

/// Notes that a key was seen.
#[derive(Default)]
struct Seen(ValueState<u64>);

impl KeyedProcess<u64, u64> for Seen {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.0 = states.expiring(Ttl::of(TEN_SECONDS)).value("seen");
    }

    fn process(&mut self, n: &u64, ctx: &mut KeyedContext<'_, u64, u64>) {
        ctx.set(&self.0, *n);
    }
}

#[test]
fn ks_13_keys_that_never_come_again_take_no_more_than_their_time_to_live() {
    // Two new keys per millisecond: as many are alive as come in ten seconds.
    const ALIVE: u64 = 20_000;
    let mut seen = Harness::single(|_, keys: Input<u64>| keys.key_by(|key| *key).process(Seen::default()));
    let mut held = Vec::new();
    for life in 0..12u64 {
        for key in life * ALIVE..(life + 1) * ALIVE {
            seen.advance_clock((key / 2) as i64);
            seen.push(key, 0);
            if key % 500 == 0 {
                // And a thirty-second part more, in which they go.
                let keys = keys(&seen);
                assert!(keys <= ALIVE + ALIVE / 32 + 64, "{keys} keys, of {ALIVE} alive");
            }
        }
        held.push(seen.metrics().shards[0].state_bytes);
    }
    // Pages do not pile up either: what four lives took, twelve do.
    assert!(held[11] <= held[3] + held[3] / 8, "bytes after each life: {held:?}");
}

#[test]
fn ks_13_without_clean_up_it_stays_until_it_is_looked_at() {
    let mut keeps = harness(Some(Ttl::of(TEN_SECONDS).without_cleanup()));
    keeps.advance_clock(0);
    tell(&mut keeps, "write", 7);
    keeps.advance_clock(1_000_000);
    assert_eq!(keys(&keeps), 1);
    for verb in ["value", "list", "map", "folds"] {
        tell(&mut keeps, verb, 0);
    }
    assert_eq!(keys(&keeps), 0);
}

#[test]
fn ks_13_it_goes_after_a_restart_too() {
    for shards in [1, 3] {
        let mut keeps = harness(Some(Ttl::of(TEN_SECONDS)));
        keeps.advance_clock(0);
        for key in 0..1_000 {
            keeps.push((key, "write".to_owned(), key), 0);
        }
        let snapshot = keeps.snapshot();
        keeps.restore(&snapshot, shards);
        keeps.advance_clock(9_999);
        assert_eq!(keys(&keeps), 1_000);
        keeps.advance_clock(10_313);
        assert_eq!(keys(&keeps), 0);
    }
}

/// A function whose state lives as long as it is told to, in the run that it is told for.
fn with_ttls(ttls: [Option<Ttl>; 2]) -> impl Fn(usize) -> Single<Command, String> {
    move |run| harness(ttls[run])
}

#[test]
fn ks_14_a_time_to_live_can_come_and_go() {
    let runs = with_ttls([None, Some(Ttl::of(TEN_SECONDS))]);
    let write = |keeps: &mut Single<Command, String>, stopped_at: i64| {
        keeps.advance_clock(0);
        tell(keeps, "write", 7);
        keeps.advance_clock(stopped_at);
        keeps.snapshot()
    };
    // It gets one: it lives from the restart on.
    let snapshot = write(&mut runs(0), 60_000);
    for shards in [1, 2] {
        let mut keeps = runs(1);
        keeps.restore(&snapshot, shards);
        assert_eq!(at(&mut keeps, 69, "list"), "[7] 1", "{shards}");
        assert_eq!(at(&mut keeps, 71, "list"), "[] 0", "{shards}");
        assert_eq!(at(&mut keeps, 71, "folds"), "None None", "{shards}");
    }
    // It loses its own.
    let snapshot = write(&mut runs(1), 0);
    for shards in [1, 2] {
        let mut keeps = runs(0);
        keeps.restore(&snapshot, shards);
        assert_eq!(at(&mut keeps, 1_000, "list"), "[7] 1");
        assert_eq!(at(&mut keeps, 1_000, "folds"), "Some(7) Some(7.0)");
    }
    // So do lists of many elements, whether they were together before or not.
    let many = |keeps: &mut Single<Command, String>| (0..1_000).for_each(|n| _ = tell(keeps, "write", n));
    let list = |from: u64, to: u64| format!("{:?} {}", (from..to).collect::<Vec<_>>(), to - from);
    for shards in [1, 2] {
        let mut keeps = runs(0);
        keeps.advance_clock(0);
        many(&mut keeps);
        let snapshot = keeps.snapshot();
        let mut keeps = runs(1);
        keeps.restore(&snapshot, shards);
        assert_eq!(at(&mut keeps, 5, "list"), list(0, 1_000), "{shards}");
        tell(&mut keeps, "write", 1_000);
        assert_eq!(at(&mut keeps, 9, "list"), list(0, 1_001), "{shards}");
        assert_eq!(at(&mut keeps, 11, "list"), list(1_000, 1_001), "{shards}");
        let snapshot = keeps.snapshot();
        let mut keeps = runs(0);
        keeps.restore(&snapshot, shards);
        tell(&mut keeps, "write", 1_001);
        assert_eq!(at(&mut keeps, 1_000, "list"), list(1_000, 1_002), "{shards}");
        assert_eq!(at(&mut keeps, 1_000, "clear"), "");
        assert_eq!(at(&mut keeps, 1_000, "list"), "[] 0", "{shards}");
    }
    // It gets another one: what counts is when the state was last used, and how long it lives now.
    let mut keeps = harness(Some(Ttl::of(Duration::from_secs(100))));
    keeps.restore(&snapshot, 1);
    assert_eq!(at(&mut keeps, 99, "value"), "Some(7)");
    assert_eq!(at(&mut keeps, 101, "value"), "None");
}

#[test]
fn ks_10_a_time_to_live_that_is_none_is_refused() {
    let error = Job::new("none").run(|flow| {
        flow.source("numbers", millstream::io::sequence(0..=3))
            .map(|n| (n as u64, "value".to_owned(), 0))
            .key_by(|command| command.0)
            .process(Keeps::new(Some(Ttl::of(Duration::ZERO))))
            .name("keeps")
            .discard();
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`keeps`") && error.contains("time to live of state `value`"), "{error}");
}

/// When the states of a key were last used, of one key.
#[derive(Default)]
struct Model {
    value: Option<(u64, i64)>,
    list: Vec<(u64, i64)>,
    map: std::collections::BTreeMap<u64, i64>,
}

impl Model {
    fn obey(&mut self, verb: &str, n: u64, now: i64, renews: bool) -> Option<String> {
        let alive = |at: i64| at + 10_000 > now;
        self.value = self.value.filter(|(_, at)| alive(*at));
        self.list.retain(|(_, at)| alive(*at));
        self.map.retain(|_, at| alive(*at));
        match verb {
            "write" => {
                self.value = Some((n, now));
                self.list.push((n, now));
                self.map.insert(n, now);
                None
            }
            "value" => {
                if let Some((_, at)) = self.value.as_mut().filter(|_| renews) {
                    *at = now;
                }
                Some(format!("{:?}", self.value.map(|(n, _)| n)))
            }
            "list" => {
                self.list.iter_mut().filter(|_| renews).for_each(|(_, at)| *at = now);
                Some(format!(
                    "{:?} {}",
                    self.list.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
                    self.list.len()
                ))
            }
            "entry" => {
                let entry = self.map.get_mut(&n);
                let found = entry.map(|at| {
                    *at = if renews { now } else { *at };
                    n
                });
                Some(format!("{found:?}"))
            }
            "map" => {
                self.map.values_mut().filter(|_| renews).for_each(|at| *at = now);
                Some(format!("{:?} {}", self.map.keys().collect::<Vec<_>>(), self.map.len()))
            }
            _ => {
                *self = Model::default();
                None
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Tell(u64, &'static str, u64),
    Wait(i64),
    Restore(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verb = prop_oneof![
        6 => Just("write"), 2 => Just("value"), 2 => Just("list"), 2 => Just("entry"), 2 => Just("map"), 1 => Just("clear"),
    ];
    let step = prop_oneof![
        12 => (0u64..3, verb, 0u64..16).prop_map(|(key, verb, n)| Step::Tell(key, verb, n)),
        4 => (1i64..6_000).prop_map(Step::Wait),
        1 => (1u16..4).prop_map(Step::Restore),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ks_10_ks_11_nothing_expires_early_or_late(steps in steps(), renews: bool, cleans_up: bool) {
        let ttl = Ttl::of(TEN_SECONDS);
        let ttl = if renews { ttl.renewed_by_reading() } else { ttl };
        let mut keeps = harness(Some(if cleans_up { ttl } else { ttl.without_cleanup() }));
        let (mut models, mut now) = (std::collections::BTreeMap::<u64, Model>::new(), 0);
        keeps.advance_clock(now);
        for step in &steps {
            match step {
                Step::Tell(key, verb, n) => {
                    let said = models.entry(*key).or_default().obey(verb, *n, now, renews);
                    keeps.push((*key, (*verb).to_owned(), *n), now);
                    prop_assert_eq!(keeps.values(), said.into_iter().collect::<Vec<_>>(), "{:?} at {}", step, now);
                }
                Step::Wait(ticks) => {
                    now += ticks;
                    keeps.advance_clock(now);
                }
                Step::Restore(shards) => {
                    let snapshot = keeps.snapshot();
                    keeps.restore(&snapshot, *shards);
                }
            }
        }
        // In the end nothing is left, whoever cleans up.
        if cleans_up {
            keeps.advance_clock(now + 10_313 + 1);
            prop_assert_eq!(keys(&keeps), 0);
        }
    }
}

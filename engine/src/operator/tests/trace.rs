//! Traces: what happens to an operator, step by step, held against an oracle.
//!
//! Records come in batches that are cut anywhere, event time advances on one shard or on all, the clock goes on, and a checkpoint with a
//! restart may fall between any two steps and into the midst of a firing, on as many shards as before or on others.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::driver::Driver;
use crate::element::Timestamp;
use crate::operator::keyed::{Fed, Operator};
use crate::record::Record;

/// How many keys there are.
pub const KEYS: u64 = 5;

/// What event time is when it is first known. Records are of times from then to as far behind 0.
const START: i64 = -40;

/// A record on its way to an input.
#[derive(Clone)]
pub struct Sent<T> {
    pub port: usize,
    pub key: u64,
    pub at: i64,
    pub record: T,
}

/// What happens.
#[derive(Clone)]
pub enum Event<T> {
    /// Records come, in batches of so many at most.
    Records(Vec<Sent<T>>, usize),
    /// Event time of one shard (modulo their number), or of all, advances by so much.
    Advance(Option<usize>, i64, Option<Cut>),
    /// The clock goes on.
    Clock(i64, Option<Cut>),
    /// A checkpoint, and a restart on so many shards when the clock has gone on by so much.
    Restart(u16, i64),
    /// Event time of all shards comes to its end.
    End,
}

/// A checkpoint and a restart after this piece of a firing. Where there is one shard, it may be on another number of them.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub piece: usize,
    pub shards: u16,
}

impl<T: Debug> Debug for Sent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} at {}: {:?}", self.key, self.at, self.record)?;
        if self.port > 0 { write!(f, " (input {})", self.port) } else { Ok(()) }
    }
}

impl<T: Debug> Debug for Event<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = match self {
            Event::Records(records, most) => return write!(f, "records {records:?}, {most} a batch"),
            Event::Restart(shards, by) => return write!(f, "restart on {shards} shards, clock by {by}"),
            Event::End => return write!(f, "end"),
            Event::Advance(Some(shard), by, cut) => {
                write!(f, "event time of shard {shard} by {by}")?;
                cut
            }
            Event::Advance(None, by, cut) => {
                write!(f, "event time by {by}")?;
                cut
            }
            Event::Clock(by, cut) => {
                write!(f, "clock by {by}")?;
                cut
            }
        };
        match cut {
            Some(Cut { piece, shards }) => write!(f, ", restart on {shards} shards after piece {piece}"),
            None => Ok(()),
        }
    }
}

/// Traces of records of some kind. Timestamps are spread around 0, and event time comes along.
pub fn traces<T: Debug + Clone + 'static>(
    ports: usize,
    record: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<Event<T>>> {
    let sent = (0..ports, 0..KEYS, START..-START, record);
    let sent = sent.prop_map(|(port, key, at, record)| Sent { port, key, at, record });
    let records = (proptest::collection::vec(sent, 1..7), 1usize..5);
    let records = records.prop_map(|(records, most)| Event::Records(records, most));
    let cut = || {
        let cut = (0usize..6, 1u16..4).prop_map(|(piece, shards)| Some(Cut { piece, shards }));
        prop_oneof![5 => Just(None), 1 => cut]
    };
    let shard = prop_oneof![3 => Just(None), 1 => (0usize..3).prop_map(Some)];
    let by = || prop_oneof![1 => Just(0i64), 6 => 1i64..12, 1 => 12i64..50];
    let advance = (shard, by(), cut()).prop_map(|(shard, by, cut)| Event::Advance(shard, by, cut));
    let clock = (by(), cut()).prop_map(|(by, cut)| Event::Clock(by, cut));
    let event = prop_oneof![
        12 => records,
        8 => advance,
        5 => clock,
        2 => (1u16..4, 0i64..10).prop_map(|(shards, by)| Event::Restart(shards, by)),
    ];
    let end = prop_oneof![1 => Just(false), 3 => Just(true)];
    (proptest::collection::vec(event, 1..20), end).prop_map(|(mut events, end)| {
        events.extend(end.then_some(Event::End));
        events
    })
}

/// How many random cases an oracle is held against: `PROPTEST_CASES`, or 2000.
pub fn cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 2000, ..config },
    }
}

/// What an operator should do.
pub trait Oracle<T> {
    /// What it gives out, and whatever else can be seen of it.
    type Given: Ord + Debug;

    /// A record comes.
    fn record(&mut self, sent: &Sent<T>);

    /// Event time of these keys comes to `at`.
    fn watermark(&mut self, keys: &[u64], at: i64);

    /// The clock of these keys comes to `now`.
    fn clock(&mut self, keys: &[u64], now: i64);

    /// The operator starts from a checkpoint at a time of the clock. Event time of all keys comes anew where they are on other shards; then
    /// their clock is looked at.
    fn restart(&mut self, now: i64);

    /// What was given out since the last call: in this order, but that within each of the groups is open.
    fn take(&mut self) -> Vec<Vec<Self::Given>>;
}

/// A run of an operator beside its oracle.
struct Run<'a, H, U, M> {
    driver: &'a mut Driver<H, U>,
    oracle: &'a mut M,
    /// Of each shard.
    watermarks: Vec<i64>,
    now: i64,
    /// Whether results of several shards came in another order than theirs.
    mixed: bool,
    log: String,
}

/// Lets all events happen. `read` says what can be seen of a record that was given out.
pub fn run<T, H, U, M>(
    driver: &mut Driver<H, U>,
    oracle: &mut M,
    events: &[Event<T>],
    read: impl Fn(U, Timestamp) -> Vec<M::Given>,
) -> Result<(), TestCaseError>
where
    T: Record + Clone + Debug,
    U: 'static,
    H: Operator + for<'a> Fed<Item<'a> = U>,
    M: Oracle<T>,
{
    let watermarks = vec![i64::MIN; driver.shards()];
    let mut run = Run { driver, oracle, watermarks, now: 0, mixed: false, log: String::new() };
    run.clock(0, None);
    for event in events {
        run.mixed = run.driver.shards() > 1;
        run.log.push_str(&format!("{event:?}\n"));
        run.event(event);
        run.compare(&read)?;
    }
    Ok(())
}

impl<U, H, M> Run<'_, H, U, M>
where
    U: 'static,
    H: Operator + for<'a> Fed<Item<'a> = U>,
{
    fn event<T: Record + Clone>(&mut self, event: &Event<T>)
    where
        M: Oracle<T>,
    {
        match event {
            Event::Records(records, most) => self.records(records, *most),
            Event::Advance(shard, by, cut) => {
                let only = shard.map(|shard| shard % self.driver.shards());
                self.settle(*cut);
                for shard in 0..self.driver.shards() {
                    if only.is_none_or(|only| only == shard) {
                        let at = self.watermarks[shard].max(START) + by;
                        self.advance(shard, at, *cut);
                    }
                }
            }
            Event::Clock(by, cut) => {
                self.settle(*cut);
                self.clock(self.now + by, *cut);
            }
            Event::Restart(shards, by) => {
                self.now += by;
                self.driver.set_clock(self.now);
                self.oracle.restart(self.now);
                self.driver.restore(Some(*shards));
                self.mixed |= *shards > 1;
                let all: Vec<u64> = (0..KEYS).collect();
                if usize::from(*shards) != self.watermarks.len() {
                    let least = *self.watermarks.iter().min().expect("there is a shard");
                    self.watermarks = vec![least; usize::from(*shards)];
                    self.oracle.watermark(&all, least);
                }
                self.oracle.clock(&all, self.now);
            }
            Event::End => {
                (0..self.driver.shards()).for_each(|shard| self.advance(shard, i64::MAX, None));
            }
        }
    }

    /// Where a firing is to be cut, no timer of the past waits for its clock to be looked at, as happens in a restart.
    fn settle<T>(&mut self, cut: Option<Cut>)
    where
        M: Oracle<T>,
    {
        if cut.is_none() {
            return;
        }
        self.clock(self.now, None);
        for shard in 0..self.driver.shards() {
            self.advance(shard, self.watermarks[shard], None);
        }
    }

    fn records<T: Record + Clone>(&mut self, records: &[Sent<T>], most: usize)
    where
        M: Oracle<T>,
    {
        let mut by_shard: BTreeMap<usize, Vec<&Sent<T>>> = BTreeMap::new();
        for sent in records {
            by_shard.entry(self.driver.shard_of(sent.key)).or_default().push(sent);
        }
        for (shard, records) in by_shard {
            for batch in records.chunk_by(|one, next| one.port == next.port).flat_map(|of| of.chunks(most)) {
                let of: Vec<_> = batch.iter().map(|sent| (sent.key, sent.at, sent.record.clone())).collect();
                self.driver.give(batch[0].port, shard, &of);
                batch.iter().for_each(|sent| self.oracle.record(sent));
            }
        }
    }

    fn keys_of(&self, shard: usize) -> Vec<u64> {
        (0..KEYS).filter(|key| self.driver.shard_of(*key) == shard).collect()
    }

    fn advance<T>(&mut self, shard: usize, at: i64, cut: Option<Cut>)
    where
        M: Oracle<T>,
    {
        self.oracle.watermark(&self.keys_of(shard), at);
        self.watermarks[shard] = at;
        let mut piece = 0;
        self.driver.watermark(shard, at, |driver| restart_within(driver, cut, &mut piece));
        self.note_shards();
    }

    fn clock<T>(&mut self, now: i64, cut: Option<Cut>)
    where
        M: Oracle<T>,
    {
        self.now = now;
        let mut piece = 0;
        for shard in 0..self.driver.shards() {
            self.oracle.clock(&self.keys_of(shard), now);
            self.driver.clock(shard, now, |driver| restart_within(driver, cut, &mut piece));
        }
        self.note_shards();
    }

    /// Takes notice of a restart of one shard on several, which go on where it was.
    fn note_shards(&mut self) {
        let shards = self.driver.shards();
        if self.watermarks.len() != shards {
            self.mixed = true;
            self.watermarks = vec![self.watermarks[0]; shards];
        }
    }

    /// Holds what was given out against what should have been.
    fn compare<T>(&mut self, read: impl Fn(U, Timestamp) -> Vec<M::Given>) -> Result<(), TestCaseError>
    where
        M: Oracle<T>,
    {
        let given: Vec<M::Given> =
            self.driver.take().into_iter().flat_map(|(record, at)| read(record, at)).collect();
        self.log.push_str(&lines(&given));
        let mut groups = self.oracle.take();
        if self.mixed {
            groups = vec![groups.into_iter().flatten().collect()];
        }
        let mut given = given.into_iter();
        for mut wanted in groups {
            let mut got: Vec<M::Given> = given.by_ref().take(wanted.len()).collect();
            wanted.sort_unstable();
            got.sort_unstable();
            if got != wanted {
                let log = &self.log;
                let (wanted, got) = (lines(&wanted), lines(&got));
                return Err(TestCaseError::fail(format!("\n{log}wanted:\n{wanted}got:\n{got}")));
            }
        }
        match given.next() {
            Some(more) => Err(TestCaseError::fail(format!("\n{}not wanted: {more:?}", self.log))),
            None => Ok(()),
        }
    }
}

fn lines<G: Debug>(given: &[G]) -> String {
    given.iter().map(|given| format!("    {given:?}\n")).collect()
}

/// Restarts where a firing is to be cut, in the midst of it.
fn restart_within<H, U>(driver: &mut Driver<H, U>, cut: Option<Cut>, piece: &mut usize)
where
    U: 'static,
    H: Operator + for<'a> Fed<Item<'a> = U>,
{
    let Some(cut) = cut else { return };
    if *piece == cut.piece {
        // Shards that have come differently far would not know what of a firing was left.
        let shards = if driver.shards() == 1 { cut.shards } else { driver.shards() as u16 };
        driver.restore(Some(shards));
    }
    *piece += 1;
}

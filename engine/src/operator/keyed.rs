//! Operators that are fed by exchanges, and chains that begin with one.

use super::failure::Failure;
use super::filter::items_of;
use super::inputs::Inputs;
use super::segment::OpenContext;
use super::{Chain, Driven, OpId, Push};
use crate::arena::Arena;
use crate::channel::{Batch, BatchShape, ChannelError, Outlet};
use crate::element::{Epoch, KeyHash, Nanos, Timestamp};
use crate::graph::{ExchangeId, Lanes, Partitioner};
use crate::key::{HashSeed, Key};
use crate::record::Record;
use crate::runtime::metrics::Gauges;
use crate::runtime::reads::{Read, StateRead};
use crate::runtime::snapshot::OperatorSnapshot;
use crate::time::{Side, Signal};
use crate::window::LateLedger;

mod hot_keys;
mod late_report;
mod segment;
mod sorted;

pub(crate) use hot_keys::SeenKeys;
pub(crate) use late_report::LateReport;

use segment::{OpenPort, OperatorSegment};

/// What the records are that an operator fed by an exchange gives out: the item part of [`Chain`].
pub trait Fed: Sized + 'static {
    /// See [`Chain::Record`].
    type Record: 'static;
    /// See [`Chain::Item`].
    type Item<'a>;
    /// See [`Chain::Arg`].
    type Arg<'a>;
    /// See [`Chain::Ref`].
    type Ref: ?Sized + 'static;

    /// See [`Chain::arg`].
    fn arg<'a>(item: Self::Item<'a>) -> Self::Arg<'a>;
    /// See [`Chain::by_ref`].
    fn by_ref<'b>(item: &'b Self::Item<'_>) -> &'b Self::Ref;
    /// See [`Chain::owned`].
    fn owned(item: Self::Item<'_>) -> Self::Record;
    /// See [`Chain::append`].
    fn append<K: Key + ?Sized>(
        item: &Self::Item<'_>,
        at: Timestamp,
        hash: KeyHash,
        key: &K,
        outlet: &mut Outlet,
    ) -> Result<(), ChannelError>
    where
        Self::Record: Record;
    /// See [`Chain::append_unkeyed`].
    fn append_unkeyed(item: &Self::Item<'_>, at: Timestamp, outlet: &mut Outlet) -> Result<(), ChannelError>
    where
        Self::Record: Record;
}

/// Whether an operator has done all that a watermark asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// Yes: the watermark may go on.
    Done,
    /// Not yet: call again before any more input.
    More,
}

/// What an operator gave out that works on while nothing comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Nothing was ready.
    Nothing,
    /// A bounded number of records: maybe there are more.
    Records,
    /// All records before this signal: now it may go on.
    Signal(Signal),
}

/// An operator at the head of a chain, fed by an exchange.
pub trait Operator: Fed {
    /// What it is fed: [`One`](super::inputs::One) stream, or several.
    type In: Inputs;

    /// Its number in the graph.
    fn op(&self) -> OpId;

    /// The key of a record of a batch, for people to read. None where it works without keys.
    fn show_key(&self, batch: Batch<'_>, index: usize) -> Option<String> {
        let _ = (batch, index);
        None
    }

    /// Called once, before any input: makes or restores state.
    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>>;

    /// Takes a batch. Failures unwind.
    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &<Self::In as Inputs>::Batch<'_>, push: &mut P);

    /// Event time has come to `at`: does a bounded piece of what falls due.
    fn watermark<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, push: &mut P) -> Firing {
        let _ = (at, push);
        Firing::Done
    }

    /// Whether batch mode brings together the records of a key for it, where they come by key: whether it keeps anything for keys.
    const BY_KEY: bool = true;

    /// Batch mode: the key at hand, the only one that anything is kept for, has no more records, and event time has come to its end. Does a
    /// bounded piece of what waits for the clock, whatever that says.
    fn fire_waiting<P: Push<FromExchange<Self>>>(&mut self, push: &mut P) -> Firing {
        let _ = push;
        Firing::Done
    }

    /// Batch mode: all that the end of a key makes due has been done. Gives out what it gives out only then, and forgets the key: event time
    /// begins anew with the next one.
    fn end_key<P: Push<FromExchange<Self>>>(&mut self, key: (KeyHash, &[u8]), push: &mut P) {
        let _ = (key, push);
    }

    /// How many ticks older than event time what it gives out may be. The watermark that goes on is so much less, that nothing be late behind
    /// it.
    fn holds_back(&self) -> i64 {
        0
    }

    /// Whether it goes by the clock, too: then [`Operator::set_clock`] is called in every step before anything else, and [`Operator::clock`]
    /// unless something else is to be finished first.
    const HAS_CLOCK: bool = false;

    /// Processing time is `now`. Nothing falls due by that yet.
    fn set_clock(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// Processing time is `now`: does a bounded piece of what falls due.
    fn clock<P: Push<FromExchange<Self>>>(&mut self, now: Timestamp, push: &mut P) -> Firing {
        let _ = (now, push);
        Firing::Done
    }

    /// The processing time at which it has something to do next, or an earlier one.
    fn next_clock(&self) -> Option<Timestamp> {
        None
    }

    /// Whether it works on while nothing comes in, with records that it has taken, and lets signals wait behind them: then
    /// [`Operator::resume`] and [`Operator::give`] are called in each step, and signals go on once [`Operator::hold`] or [`Operator::give`] says
    /// so. Such an operator holds back no ticks.
    const RESUMES: bool = false;

    /// How many records it takes now. A switch may bring the rest of a batch in spite of that.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Goes on with what it has taken. Returns whether there was anything to do.
    fn resume(&mut self, now: Nanos) -> bool {
        let _ = now;
        false
    }

    /// Gives out what is ready, up to the next signal: a bounded number of records.
    fn give<P: Push<FromExchange<Self>>>(&mut self, push: &mut P) -> Given {
        let _ = push;
        Given::Nothing
    }

    /// Keeps a signal that has to wait for records before it. False where it may go on at once.
    fn hold(&mut self, signal: Signal) -> bool {
        let _ = signal;
        false
    }

    /// How many records signals wait for that it holds; 0 where it holds none.
    fn holds_back_signals(&self) -> usize {
        0
    }

    /// When it has something to do although nothing wakes it, or an earlier moment.
    fn wakes_at(&self) -> Option<Nanos> {
        None
    }

    /// After a restart: the watermark that had gone on, and whether it had said that it is idle. None where that is what the inputs had come to.
    fn said(&self) -> Option<(Timestamp, bool)> {
        None
    }

    /// The shard switches epoch: notes what is not in pages. Returns what a checkpoint has to know of the operator, where it keeps
    /// state.
    fn switch(&mut self, epoch: Epoch) -> Option<OperatorSnapshot> {
        let _ = epoch;
        None
    }

    /// Whether it has no records under way: none that it will give out without being given any.
    fn is_quiet(&self) -> bool {
        true
    }

    /// The checkpoint of an epoch is durable.
    fn committed(&mut self, epoch: Epoch) {
        let _ = epoch;
    }

    /// The checkpoint of an epoch was given up.
    fn aborted(&mut self, epoch: Epoch) {
        let _ = epoch;
    }

    /// The pages of its state, where it has any.
    fn arena(&mut self) -> Option<&mut Arena> {
        None
    }

    /// What one of its states holds, as far as it can be read from outside.
    fn read_state(&mut self, read: &StateRead) -> Read {
        let _ = read;
        Read::NoSuchState(Vec::new())
    }

    /// What it knows of records that came too late for it. None where none can.
    fn late_ledger(&self) -> Option<&LateLedger> {
        None
    }

    /// How many records came too late for it.
    fn late_records(&self) -> u64 {
        self.late_ledger().map_or(0, LateLedger::count)
    }

    /// Adds its figures.
    fn gauge(&self, gauges: &mut Gauges) {
        let _ = gauges;
    }
}

/// One input of an operator: the consumer's side of an exchange, not opened yet.
pub(crate) struct InputEnd {
    pub(crate) exchange: ExchangeId,
    pub(crate) partitioner: Partitioner,
    pub(crate) shape: BatchShape,
    /// Where the exchange is by key: makes keys of hashes and canonical encodings, for people to read.
    pub(crate) show_key: Option<ShowKey>,
}

/// See [`Key::show`].
pub(crate) type ShowKey = fn(KeyHash, &[u8], HashSeed) -> String;

/// The beginning of a chain fed by an exchange, or by several.
pub struct FromExchange<H> {
    head: H,
    ends: Vec<InputEnd>,
}

impl<H: Operator> FromExchange<H> {
    pub(crate) fn new(head: H, ends: Vec<InputEnd>) -> Self {
        FromExchange { head, ends }
    }
}

impl<H: Operator> Chain for FromExchange<H> {
    items_of!(H);

    fn drive<P: Push<Self>>(self, lanes: &mut dyn Lanes, push: P) -> Driven {
        let mut inlets = Vec::new();
        let (mut ports, mut plans) = (Vec::new(), Vec::new());
        for end in self.ends {
            let first = inlets.len();
            inlets.extend(lanes.inlets(end.exchange, end.shape)?);
            let side = Side { inputs: inlets.len() - first, producers: lanes.producers(end.exchange) };
            let from = lanes.lanes_to(end.exchange);
            plans.push(lanes.sorter(end.exchange));
            ports.push(OpenPort { first, side, end, from });
        }
        Ok(Box::new(OperatorSegment::new(self.head, push, inlets, ports, plans)))
    }
}

//! The operator of keyed process functions.

use std::marker::PhantomData;

use super::context::{Clocks, KeyedContext};
use super::states::{Kept, SavedStates, States};
use super::timers::{SavedQueues, Timer, Timers};
use crate::arena::Arena;
use crate::checkpoint::codec::Reader;
use crate::element::{Epoch, KeyGroups, Timestamp};
use crate::key::{HashSeed, Key};
use crate::operator::failure::{Blame, Cause, Cursor, Failure, raise};
use crate::operator::inputs::One;
use crate::operator::keyed::{Fed, Firing, FromExchange, Operator};
use crate::operator::keyed_state::OperatorState;
use crate::operator::segment::OpenContext;
use crate::operator::typed::BatchOf;
use crate::operator::{OpId, Push, owned_items};
use crate::record::{Record, View};
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::timers::{Due, Pop};
use crate::window::TimeDomain;

/// How many timers fire in one piece.
const TIMERS_PER_PIECE: usize = 64;

/// A function per record of a keyed stream, with state and timers of the key (Flink's `KeyedProcessFunction`).
///
/// Calls for one key never overlap. Timers of event time fire in the order of their times, before the watermark that makes them due goes
/// on.
pub trait KeyedProcess<T: Record, K: Key + ?Sized>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Called once on each shard, before anything else: declares states and named timers.
    fn open(&mut self, states: &mut States<'_, K>) {
        let _ = states;
    }

    /// Handles a record.
    fn process(&mut self, record: &View<T>, ctx: &mut KeyedContext<'_, K, Self::Out>);

    /// A timer fires.
    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, K, Self::Out>) {
        let _ = (timer, ctx);
    }
}

/// Runs a [`KeyedProcess`].
pub struct KeyedProcessing<T: Record, K: Key + ?Sized, F: KeyedProcess<T, K>> {
    op: OpId,
    function: F,
    seed: HashSeed,
    kept: Option<Kept<K>>,
    clocks: Clocks,
    due: Due,
    out: Vec<(F::Out, Timestamp)>,
    types: PhantomData<fn() -> T>,
}

impl<T: Record, K: Key + ?Sized, F: KeyedProcess<T, K>> KeyedProcessing<T, K, F> {
    pub(crate) fn new(op: OpId, function: F) -> Self {
        KeyedProcessing {
            op,
            function,
            seed: HashSeed(0),
            kept: None,
            clocks: Clocks { watermark: Timestamp::MIN, processing: Timestamp::MIN },
            due: Due::default(),
            out: Vec::new(),
            types: PhantomData,
        }
    }

    fn opened(&mut self, context: &OpenContext) -> Result<(), Cause> {
        let mut states = OperatorState::open(context, self.op).map_err(|failure| failure.cause)?;
        // Compares the keys even where a function keeps nothing but timers.
        states.declare::<K, u64>(context, "timers")?;
        let operator = context.name(self.op).to_owned();
        let (mut saved, mut timers) = (SavedStates::default(), None);
        if let Some(restored) = &context.restored
            && restored.fits(context)
            && let Some(snapshot) = restored.operator(context.shard, &operator)
        {
            let mut input = Reader::new(&snapshot.data);
            (saved, self.clocks.watermark) = SavedStates::read(&mut input).map_err(Cause::fatal)?;
            let queues = SavedQueues::read(&mut input).map_err(Cause::fatal)?;
            input.finish().map_err(Cause::fatal)?;
            timers = Some(Timers::restore(states.arena(), &operator, &queues).map_err(Cause::state)?);
        }
        let timers = timers.unwrap_or_else(|| Timers::new(states.arena(), &operator));
        let mut kept = Kept::new(states, timers);
        let mut declared = States { kept: &mut kept, context, saved: &saved, failed: None };
        Blame::on(self.op, || self.function.open(&mut declared));
        if let Some(cause) = declared.failed.take() {
            return Err(cause);
        }
        kept.states.refuse_others(context)?;
        if let Some(restored) = context.restored.as_ref().filter(|restored| !restored.fits(context)) {
            let mine = KeyGroups::of_shard(context.shard, context.shards);
            for (shard, snapshot) in restored.operators(&operator) {
                let mut input = Reader::new(&snapshot.data);
                SavedStates::read(&mut input).map_err(Cause::fatal)?;
                let queues = SavedQueues::read(&mut input).map_err(Cause::fatal)?;
                let mut old = kept.states.old_shard(restored, shard, snapshot).map_err(Cause::state)?;
                for (queue, saved) in kept.timers.with_saved(&queues) {
                    queue.import(kept.states.arena(), old.arena(), saved, mine).map_err(Cause::engine)?;
                }
            }
        }
        self.kept = Some(kept);
        Ok(())
    }

    /// Fires a piece of what is due by one of the clocks.
    fn fire<P: Push<FromExchange<Self>>>(
        &mut self,
        domain: TimeDomain,
        up_to: Timestamp,
        push: &mut P,
    ) -> Firing {
        let kept = self.kept.as_mut().expect("open comes first");
        for _ in 0..TIMERS_PER_PIECE {
            let popped = kept.timers.of(domain).pop(kept.states.arena(), up_to, &mut self.due);
            match popped.unwrap_or_else(|error| raise(self.op, Cause::state(error))) {
                Pop::Done => return Firing::Done,
                Pop::Again => continue,
                Pop::Due => {}
            }
            let name = self.due.name.map(|name| kept.timers.name_of(domain, name).to_owned());
            let at = match domain {
                TimeDomain::Event => self.due.at,
                // The event time of what it gives out: Flink leaves it out, too.
                TimeDomain::Processing => Timestamp::MIN,
            };
            let mut context = KeyedContext {
                op: self.op,
                seed: self.seed,
                hash: self.due.hash,
                key: &self.due.key,
                at,
                clocks: self.clocks,
                kept,
                out: &mut self.out,
            };
            let timer = Timer { at: self.due.at, domain, name: name.as_deref() };
            Blame::on(self.op, || self.function.on_timer(timer, &mut context));
            for (record, at) in self.out.drain(..) {
                push.push(record, at);
            }
        }
        Firing::More
    }
}

impl<T: Record, K: Key + ?Sized, F: KeyedProcess<T, K>> Fed for KeyedProcessing<T, K, F> {
    owned_items!(F::Out);
}

impl<T: Record, K: Key + ?Sized, F: KeyedProcess<T, K>> Operator for KeyedProcessing<T, K, F> {
    type In = One<T>;

    const HAS_CLOCK: bool = true;

    fn op(&self) -> OpId {
        self.op
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.seed = context.seed;
        self.opened(context).map_err(|cause| Box::new(Failure::of(self.op, cause)))
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            let mut context = KeyedContext {
                op: self.op,
                seed: self.seed,
                hash: batch.hashes()[index],
                key: batch.key_bytes::<K>(index),
                at,
                clocks: self.clocks,
                kept,
                out: &mut self.out,
            };
            Blame::on(self.op, || self.function.process(batch.record(index), &mut context));
            for (record, at) in self.out.drain(..) {
                push.push(record, at);
            }
        }
    }

    fn watermark<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, push: &mut P) -> Firing {
        self.clocks.watermark = self.clocks.watermark.max(at);
        self.fire(TimeDomain::Event, at, push)
    }

    fn clock<P: Push<FromExchange<Self>>>(&mut self, now: Timestamp, push: &mut P) -> Firing {
        self.clocks.processing = now;
        self.fire(TimeDomain::Processing, now, push)
    }

    fn next_clock(&self) -> Option<Timestamp> {
        self.kept.as_ref()?.timers.first_processing()
    }

    fn switch(&mut self, _: Epoch) -> Option<OperatorSnapshot> {
        let kept = self.kept.as_ref()?;
        Some(kept.states.snapshot(kept.save(self.clocks.watermark)))
    }

    fn arena(&mut self) -> Option<&mut Arena> {
        self.kept.as_mut().map(|kept| kept.states.arena())
    }

    fn gauge(&self, gauges: &mut Gauges) {
        gauges.keys += self.kept.as_ref().map_or(0, Kept::keys);
    }
}

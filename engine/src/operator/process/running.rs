//! What functions on keyed streams run on, whichever their shape: the states, timers and clocks of one shard.

use super::broadcast::BroadcastContext;
use super::broadcast_plain::BroadcastReadContext;
use super::context::{Clocks, KeyedContext};
use super::kept::Kept;
use super::lives::Moment;
use super::states::States;
use super::timers::Timer;
use crate::arena::Arena;
use crate::channel::Batch;
use crate::checkpoint::codec::Writer;
use crate::element::Timestamp;
use crate::key::{HashSeed, Key};
use crate::operator::OpId;
use crate::operator::failure::{Blame, Cause, Cursor, Failure, KeyAtHand, raise};
use crate::operator::keyed::Firing;
use crate::operator::segment::OpenContext;
use crate::operator::typed::{BatchOf, shown_key};
use crate::record::{Record, View};
use crate::runtime::metrics::Gauges;
use crate::runtime::reads::{Read, StateRead};
use crate::runtime::snapshot::OperatorSnapshot;
use crate::timers::{Due, Pop};
use crate::window::TimeDomain;

/// How many timers fire in one piece.
const TIMERS_PER_PIECE: usize = if cfg!(test) { 1 } else { 64 };

/// For so many records at once, what look-ups will need is asked for ahead.
const RECORDS_AHEAD: usize = 16;

/// See the [module](self). `U` is what the function gives out.
pub(super) struct Running<K: Key + ?Sized, U> {
    op: OpId,
    seed: HashSeed,
    kept: Option<Kept<K>>,
    clocks: Clocks,
    due: Due,
    out: Vec<(U, Timestamp)>,
}

impl<K: Key + ?Sized, U> Running<K, U> {
    pub(super) fn new(op: OpId) -> Self {
        Running {
            op,
            seed: HashSeed(0),
            kept: None,
            clocks: Clocks { watermark: Timestamp::MIN, processing: Timestamp::MIN },
            due: Due::default(),
            out: Vec::new(),
        }
    }

    pub(super) fn op(&self) -> OpId {
        self.op
    }

    pub(super) fn show_key(&self, batch: Batch<'_>, index: usize) -> Option<String> {
        shown_key::<K>(batch, index, self.seed)
    }

    /// Opens what the function declares.
    pub(super) fn open(
        &mut self,
        context: &OpenContext,
        declare: impl FnOnce(&mut States<'_, K>),
    ) -> Result<(), Box<Failure>> {
        self.seed = context.seed;
        self.opened(context, declare).map_err(|cause| Box::new(Failure::of(self.op, cause)))
    }

    fn opened(
        &mut self,
        context: &OpenContext,
        declare: impl FnOnce(&mut States<'_, K>),
    ) -> Result<(), Cause> {
        let mut states = States::new(context, self.op)?;
        Blame::on(self.op, || declare(&mut states));
        if let Some(mut words) = states.opening.own() {
            self.clocks.watermark = Timestamp(words.i64("watermark").map_err(Cause::fatal)?);
            words.finish().map_err(Cause::fatal)?;
        }
        self.kept = Some(states.finish()?);
        Ok(())
    }

    /// Calls the function for every record of a batch, and gives out what it gives out.
    #[inline(always)]
    pub(super) fn batch<T: Record>(
        &mut self,
        batch: &BatchOf<'_, T>,
        mut call: impl FnMut(&View<T>, &mut KeyedContext<'_, K, U>),
        mut give: impl FnMut(U, Timestamp),
    ) {
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        let (op, seed, clocks) = (self.op, self.seed, self.clocks);
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            let (hash, key) = (batch.hashes()[index], batch.key_bytes::<K>(index));
            if index.is_multiple_of(RECORDS_AHEAD) {
                let hashes = batch.hashes();
                kept.expect(&hashes[index..hashes.len().min(index + RECORDS_AHEAD)]);
            }
            let mut context = KeyedContext { op, seed, hash, key, at, clocks, kept, out: &mut self.out };
            Blame::on(op, || call(batch.record(index), &mut context));
            self.out.drain(..).for_each(|(record, at)| give(record, at));
        }
    }

    /// Calls the function for every broadcast record of a batch.
    pub(super) fn broadcast<B: Record>(
        &mut self,
        batch: &BatchOf<'_, B>,
        mut call: impl FnMut(&View<B>, &mut BroadcastContext<'_, K, U>),
        mut give: impl FnMut(U, Timestamp),
    ) {
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        let (op, seed, watermark) = (self.op, self.seed, self.clocks.watermark);
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            let mut context = BroadcastContext { op, seed, at, watermark, kept, out: &mut self.out };
            Blame::on(op, || call(batch.record(index), &mut context));
            self.out.drain(..).for_each(|(record, at)| give(record, at));
        }
    }

    /// Event time has come to `at`.
    pub(super) fn watermark(
        &mut self,
        at: Timestamp,
        call: impl FnMut(Timer<'_>, &mut KeyedContext<'_, K, U>),
        give: impl FnMut(U, Timestamp),
    ) -> Firing {
        self.clocks.watermark = self.clocks.watermark.max(at);
        self.fire(TimeDomain::Event, at, call, give)
    }

    pub(super) fn set_clock(&mut self, now: Timestamp) {
        self.clocks.processing = now;
    }

    /// Fires what is due by the clock at `now`.
    pub(super) fn clock(
        &mut self,
        now: Timestamp,
        call: impl FnMut(Timer<'_>, &mut KeyedContext<'_, K, U>),
        give: impl FnMut(U, Timestamp),
    ) -> Firing {
        let kept = self.kept.as_mut().expect("open comes first");
        kept.look_at_clock(now).unwrap_or_else(|error| raise(self.op, Cause::state(error)));
        let moment = self.clocks.moment(Timestamp::MIN);
        kept.sweep(&moment).unwrap_or_else(|error| raise(self.op, Cause::state(error)));
        self.fire(TimeDomain::Processing, now, call, give)
    }

    /// Fires a piece of what waits for the clock, whenever it is due. What it sets anew is not taken: it would never come to an end.
    pub(super) fn fire_waiting(
        &mut self,
        call: impl FnMut(Timer<'_>, &mut KeyedContext<'_, K, U>),
        give: impl FnMut(U, Timestamp),
    ) -> Firing {
        self.kept.as_mut().expect("open comes first").call_last();
        self.fire(TimeDomain::Processing, Timestamp::MAX, call, give)
    }

    /// Forgets the key at hand, which was the only one.
    pub(super) fn end_key(&mut self) {
        let kept = self.kept.as_mut().expect("open comes first");
        kept.forget_key();
        self.clocks.watermark = Timestamp::MIN;
    }

    /// Fires a piece of what is due by one of the clocks.
    fn fire(
        &mut self,
        domain: TimeDomain,
        up_to: Timestamp,
        mut call: impl FnMut(Timer<'_>, &mut KeyedContext<'_, K, U>),
        mut give: impl FnMut(U, Timestamp),
    ) -> Firing {
        let kept = self.kept.as_mut().expect("open comes first");
        let (op, seed, clocks) = (self.op, self.seed, self.clocks);
        for _ in 0..TIMERS_PER_PIECE {
            let popped = kept.timers.of(domain).pop(kept.store.arena(), up_to, &mut self.due);
            match popped.unwrap_or_else(|error| raise(op, Cause::state(error))) {
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
            let (hash, key) = (self.due.hash, &self.due.key[..]);
            let _at_hand = KeyAtHand::<K>::new((hash, key), seed);
            let mut context = KeyedContext { op, seed, hash, key, at, clocks, kept, out: &mut self.out };
            let timer = Timer { at: self.due.at, domain, name: name.as_deref() };
            Blame::on(op, || call(timer, &mut context));
            self.out.drain(..).for_each(|(record, at)| give(record, at));
        }
        Firing::More
    }

    pub(super) fn next_clock(&self) -> Option<Timestamp> {
        self.kept.as_ref()?.next_clock()
    }

    /// How many timers there are.
    #[cfg(test)]
    pub(super) fn timers(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.timers.count())
    }

    pub(super) fn switch(&mut self) -> Option<OperatorSnapshot> {
        let kept = self.kept.as_ref()?;
        let mut words = Writer::new();
        words.put_i64(self.clocks.watermark.0);
        Some(kept.save(words))
    }

    pub(super) fn read_state(&mut self, read: &StateRead) -> Read {
        let Clocks { watermark, processing } = self.clocks;
        let moment = Moment { at: watermark, watermark, processing };
        self.kept.as_mut().map_or(Read::NoSuchState(Vec::new()), |kept| kept.read(read, &moment))
    }

    pub(super) fn arena(&mut self) -> Option<&mut Arena> {
        self.kept.as_mut().map(|kept| kept.store.arena())
    }

    pub(super) fn gauge(&self, gauges: &mut Gauges) {
        gauges.keys += self.kept.as_ref().map_or(0, Kept::keys);
        gauges.shed_writes += self.kept.as_ref().map_or(0, Kept::shed_writes);
        gauges.evicted_keys += self.kept.as_ref().map_or(0, Kept::evicted_keys);
    }
}

impl<U> Running<(), U> {
    /// Calls the function for every record of a batch that has no keys.
    pub(super) fn unkeyed<T: Record>(
        &mut self,
        batch: &BatchOf<'_, T>,
        mut call: impl FnMut(&View<T>, &mut BroadcastReadContext<'_, U>),
        mut give: impl FnMut(U, Timestamp),
    ) {
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        let (op, seed, watermark) = (self.op, self.seed, self.clocks.watermark);
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            let mut context = BroadcastReadContext { op, seed, at, watermark, kept, out: &mut self.out };
            Blame::on(op, || call(batch.record(index), &mut context));
            self.out.drain(..).for_each(|(record, at)| give(record, at));
        }
    }
}

/// The parts of [`Operator`](crate::operator::keyed::Operator) that are the same for all functions on keyed streams, which have a field
/// `function` with a method `on_timer` beside a [`Running`] in `running`.
macro_rules! runs_keyed {
    () => {
        const HAS_CLOCK: bool = true;

        fn op(&self) -> OpId {
            self.running.op()
        }

        fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
            self.running.open(context, |states| self.function.open(states))
        }

        fn show_key(&self, batch: Batch<'_>, index: usize) -> Option<String> {
            self.running.show_key(batch, index)
        }

        fn watermark<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, push: &mut P) -> Firing {
            let function = &mut self.function;
            self.running.watermark(
                at,
                |timer, ctx| function.on_timer(timer, ctx),
                |record, at| push.push(record, at),
            )
        }

        fn set_clock(&mut self, now: Timestamp) {
            self.running.set_clock(now);
        }

        fn clock<P: Push<FromExchange<Self>>>(&mut self, now: Timestamp, push: &mut P) -> Firing {
            let function = &mut self.function;
            self.running.clock(
                now,
                |timer, ctx| function.on_timer(timer, ctx),
                |record, at| push.push(record, at),
            )
        }

        fn next_clock(&self) -> Option<Timestamp> {
            self.running.next_clock()
        }

        fn fire_waiting<P: Push<FromExchange<Self>>>(&mut self, push: &mut P) -> Firing {
            let function = &mut self.function;
            self.running
                .fire_waiting(|timer, ctx| function.on_timer(timer, ctx), |record, at| push.push(record, at))
        }

        fn end_key<P: Push<FromExchange<Self>>>(&mut self, _: (KeyHash, &[u8]), _: &mut P) {
            self.running.end_key();
        }

        fn switch(&mut self, _: Epoch) -> Option<OperatorSnapshot> {
            self.running.switch()
        }

        fn arena(&mut self) -> Option<&mut Arena> {
            self.running.arena()
        }

        fn read_state(&mut self, read: &crate::runtime::reads::StateRead) -> crate::runtime::reads::Read {
            self.running.read_state(read)
        }

        fn gauge(&self, gauges: &mut Gauges) {
            self.running.gauge(gauges);
        }
    };
}
pub(super) use runs_keyed;

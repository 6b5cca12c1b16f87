//! One shard: a plain struct with a step function. It does no I/O, reads no clock and takes no lock; a driver calls it.

mod switching;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::control::{Control, Events, Phase, ShardAccount, ShardAnswer, ShardEvent};
use super::driver::{Drive, Step};
use super::metrics::{Gauges, StepKind};
use super::prefaults::Prefaults;
use super::reads::Read;
use super::saving::Saving;
use crate::accumulator::Parts;
use crate::arena::{Arena, PageNo};
use crate::checkpoint::DeltaWriter;
use crate::disk::ShardDisk;
use crate::element::{Epoch, Nanos, ShardId};
use crate::operator::failure::{catch, drop_each};
use crate::operator::segment::{OpenContext, Progress, Segment, StepContext};
use crate::operator::{Cause, Failure};
use crate::time::ProcessingTime;
use switching::Switching;

/// How many pages a step saves while there is other work, and while there is none.
const PAGES_PER_BUSY_STEP: usize = 4;
const PAGES_PER_IDLE_STEP: usize = 32;

/// How many pages a step brings in after a restart.
const PAGES_RESTORED_PER_STEP: usize = 8;

/// How many steps pass between two readings of the chains' figures.
const STEPS_PER_GAUGE: u32 = 256;

/// How many rounds a failed job goes on without its sources, so that what came before the failed record reaches the sinks.
const ROUNDS_TO_RUN_OUT: usize = 256;

/// How often a shard with nothing to do looks whether others need the memory that its state takes.
const LOOK_FOR_MEMORY_EVERY: Duration = Duration::from_millis(100);

/// How long a blocked shard waits before it looks again.
const BLOCKED_WAIT: Duration = Duration::from_micros(50);

/// What a program builds on a shard.
pub(crate) struct BuiltShard {
    /// In the order in which records pass through them.
    pub(crate) segments: Vec<Box<dyn Segment>>,
    /// The shard's parts of the job's accumulators.
    pub(crate) accumulators: Parts,
}

/// A shard, built and open.
pub(crate) struct Shard {
    id: ShardId,
    /// In the order in which records pass through them.
    segments: Vec<Box<dyn Segment>>,
    accumulators: Parts,
    control: Arc<Control>,
    events: Events,
    disk: Box<dyn ShardDisk>,
    writer: Option<DeltaWriter>,
    prefaults: Option<Prefaults>,
    /// The epoch that all chains have switched to.
    epoch: Epoch,
    switching: Option<Switching>,
    saving: Option<Saving>,
    /// The checkpoint that this shard has saved and that is not known to be durable: the arenas remember what it holds until then.
    saved: Option<Epoch>,
    /// The newest given-up checkpoint of which nothing is under way here any more.
    gave_up: Epoch,
    /// The newest given-up checkpoint that the chains have been told of.
    abort_told: Epoch,
    /// The newest epoch whose commit the sinks have been asked for, and whether they have all carried it out.
    committing: Option<(Epoch, Vec<bool>)>,
    committed: Epoch,
    trimmed: Epoch,
    positions_told: Epoch,
    drained: bool,
    /// Whether the coordinator has to know when the sources have ended, and does not yet.
    tells_of_sources: bool,
    /// Whether it knows that nothing goes round any more.
    loops_over: bool,
    /// The newest question that it has answered.
    answered: u64,
    /// Whether what came before a failure is to reach the sinks: in batch mode nothing is of use but all of it.
    runs_out: bool,
    /// What dates the readings of the clock are.
    processing: ProcessingTime,
    /// The chain that is at work: a failure is its.
    at_work: usize,
    last_step: Option<(Nanos, StepKind)>,
    /// Whether it switched in that step.
    switched: bool,
    steps_to_gauge: u32,
    /// Per chain: the next page to be brought in, until all are.
    restoring: Vec<Option<PageNo>>,
    verified: bool,
    /// A fault for the simulator to find.
    #[cfg(feature = "planted-faults")]
    plant: Option<crate::testing::sim::Plant>,
}

impl Shard {
    /// Opens the chains and makes a shard of them. Where that fails, the failure is told to the control thread and the shard is
    /// done at its first step.
    pub(crate) fn open(
        context: &OpenContext,
        built: Result<BuiltShard, Box<Failure>>,
        control: Arc<Control>,
        events: Events,
        disk: Box<dyn ShardDisk>,
        writer: Option<DeltaWriter>,
        prefaults: Option<Prefaults>,
    ) -> Shard {
        let epoch = context.restored_epoch();
        let opened = catch(|| {
            let BuiltShard { mut segments, mut accumulators } = built?;
            if let Some(restored) = &context.restored {
                let merged =
                    restored.accumulators(context.shard, context.plan.shards.count, &mut accumulators);
                merged.map_err(|error| Failure::without_operator(Cause::fatal(error)))?;
            }
            for (segment, chain) in segments.iter_mut().zip(&context.plan.chains) {
                segment.open(&OpenContext { on: chain.on, ..context.clone() })?;
            }
            // Tables that were being dropped when the checkpoint was made are nobody's now.
            segments.iter_mut().filter_map(|segment| segment.arena()).for_each(Arena::discard_unclaimed);
            Ok((segments, accumulators))
        });
        // Where nobody listens any more, the attempt is over and the phase says so.
        let (segments, accumulators) = match opened {
            Ok(opened) => {
                let _ = events.send(ShardEvent::Opened(context.shard));
                opened
            }
            Err((failure, _)) => {
                let _ = events.send(ShardEvent::Failed(context.shard, failure));
                (Vec::new(), Parts::default())
            }
        };
        let restoring = segments.iter().map(|_| Some(PageNo(0))).collect();
        Shard {
            id: context.shard,
            segments,
            accumulators,
            control,
            events,
            disk,
            writer,
            prefaults,
            epoch,
            switching: None,
            saving: None,
            saved: None,
            gave_up: epoch,
            abort_told: epoch,
            committing: None,
            committed: epoch,
            trimmed: Epoch(0),
            positions_told: epoch,
            drained: false,
            tells_of_sources: context.plan.has_loops,
            loops_over: false,
            answered: 0,
            runs_out: !context.plan.mode.batch,
            processing: context.processing,
            at_work: 0,
            last_step: None,
            switched: false,
            steps_to_gauge: 0,
            restoring,
            verified: epoch == Epoch(0),
            #[cfg(feature = "planted-faults")]
            plant: None,
        }
    }

    /// Plants a fault.
    #[cfg(feature = "planted-faults")]
    pub(crate) fn plant(mut self, plant: Option<crate::testing::sim::Plant>) -> Shard {
        self.plant = plant;
        self
    }

    fn tell(&self, event: ShardEvent) {
        // Nobody listens any more only when the attempt is over; the phase says so then.
        let _ = self.events.send(event);
    }

    /// Goes round the loop once.
    fn round(&mut self, now: Nanos) -> Result<Progress, Box<Failure>> {
        let published = self.control.published_to(self.id);
        if published > self.newest() {
            self.begin_switch(published, now)?;
            // Enough for one round.
            return Ok(Progress { worked: true, ..Progress::default() });
        }
        let aborted = self.control.aborted();
        if aborted > self.gave_up {
            self.give_up(aborted, now)?;
        }
        let mut progress = Progress::default();
        let context = StepContext { now, processing: self.processing, room: true };
        // Downstream first: room is made before it is filled.
        for number in (0..self.segments.len()).rev() {
            let chain = &*self.segments[number];
            if self.switching.as_ref().is_some_and(|switching| switching.holds(number, chain)) {
                continue;
            }
            self.choose_side(number);
            self.at_work = number;
            self.control.counters[self.id.index()].enter(number);
            progress.merge(self.segments[number].step(&context)?);
        }
        self.control.counters[self.id.index()].leave();
        for segment in &mut self.segments {
            segment.flush()?;
            for inlet in segment.inlets() {
                inlet.wake_producer();
            }
        }
        if let Some(epoch) = progress.switch.take().filter(|epoch| *epoch > self.newest()) {
            self.begin_switch(epoch, now)?;
            progress.worked = true;
        }
        self.go_on_switching(now, &mut progress)?;
        self.use_disk(&mut progress)?;
        self.checkpoint(&mut progress);
        self.commit(&mut progress)?;
        self.restore(&mut progress, now)?;
        self.loops_over = self.control.loops_are_over();
        if self.tells_of_sources && self.sources_have_ended() {
            self.tells_of_sources = false;
            self.tell(ShardEvent::SourcesEnded(self.id));
        }
        if !self.drained && self.segments.iter().all(|segment| segment.ended()) {
            self.drained = true;
            self.tell(ShardEvent::Drained(self.id));
        }
        let question = self.control.asked();
        if question > self.answered {
            self.answer(question, now);
        }
        if self.control.reads(self.id).any() {
            self.answer_reads();
        }
        Ok(progress)
    }

    fn sources_have_ended(&mut self) -> bool {
        let mut sources = self.segments.iter_mut().filter(|segment| segment.input_name().is_none());
        sources.all(|source| source.ended())
    }

    /// Tells whoever asked how things stand.
    #[cold]
    fn answer(&mut self, question: u64, now: Nanos) {
        self.answered = question;
        let reports = self.segments.iter().map(|segment| Some((segment.head(), segment.clock_report(now)?)));
        let clocks = reports.flatten().collect();
        let keys = self.segments.iter().filter_map(|segment| Some((segment.head(), segment.seen_keys(now)?)));
        let answer = ShardAnswer { clocks, account: self.account(), keys: keys.collect() };
        self.tell(ShardEvent::Answer(self.id, question, answer));
    }

    /// Says what states hold.
    #[cold]
    fn answer_reads(&mut self) {
        for read in self.control.reads(self.id).take() {
            let keeper = self.segments.iter_mut().find(|segment| segment.head() == read.op);
            let said = keeper.map_or(Read::NoSuchState(Vec::new()), |segment| segment.read_state(&read));
            // Whoever has asked may have given up.
            let _ = read.answer.try_send(said);
        }
    }

    fn account(&self) -> ShardAccount {
        let late = self.segments.iter().filter_map(|chain| Some((chain.head(), chain.late_records()?)));
        ShardAccount { accumulators: self.accumulators.totals(), late: late.collect() }
    }

    /// Gives account for the job's summary.
    fn tell_account(&self) {
        self.tell(ShardEvent::Accounted(self.account()));
    }

    /// A checkpoint was given up, here or elsewhere: what this shard has saved for it goes along with the next one.
    fn give_up(&mut self, aborted: Epoch, now: Nanos) -> Result<(), Box<Failure>> {
        if self.switching.as_ref().is_some_and(|switching| switching.epoch <= aborted) {
            self.switch_rest(now)?;
        }
        if self.saving.as_ref().is_some_and(|saving| saving.epoch <= aborted) {
            self.abort();
        }
        #[cfg(feature = "planted-faults")]
        if self.plant == Some(crate::testing::sim::Plant::ForgetFailed) && self.saved.take().is_some() {
            self.segments
                .iter_mut()
                .filter_map(|segment| segment.arena())
                .for_each(|arena| arena.finish_checkpoint());
        }
        if self.saved.take_if(|saved| *saved <= aborted).is_some() {
            for arena in self.segments.iter_mut().filter_map(|segment| segment.arena()) {
                arena.abort_checkpoint();
            }
        }
        if aborted > self.abort_told {
            self.abort_told = aborted;
            self.segments.iter_mut().for_each(|segment| segment.aborted(aborted));
        }
        let winds_up = self.writer.as_ref().is_some_and(DeltaWriter::is_active);
        if self.epoch >= aborted && !winds_up {
            self.gave_up = aborted;
            self.tell(ShardEvent::GaveUp(self.id, aborted));
        }
        Ok(())
    }

    fn abort(&mut self) {
        if let Some(mut saving) = self.saving.take() {
            saving.abort(&mut self.segments, self.writer.as_mut());
        }
    }

    /// Hands out what the disk has answered, and lets the chains ask it for more.
    fn use_disk(&mut self, progress: &mut Progress) -> Result<(), Box<Failure>> {
        while let Some(done) = self.disk.poll() {
            progress.worked = true;
            let unclaimed = match &mut self.writer {
                Some(writer) => writer.on_done(done),
                None => Some(done),
            };
            let mut segments = self.segments.iter_mut();
            let unclaimed =
                unclaimed.and_then(|done| segments.try_fold(done, |done, segment| segment.on_disk(done)));
            debug_assert!(unclaimed.is_none(), "whoever asks the disk takes the answer");
        }
        for (number, segment) in self.segments.iter_mut().enumerate() {
            self.at_work = number;
            progress.worked |= segment.use_disk(self.disk.as_mut())?;
        }
        Ok(())
    }

    /// Does a slice of the running checkpoint.
    fn checkpoint(&mut self, progress: &mut Progress) {
        let Some(saving) = &mut self.saving else {
            if self.positions_told < self.epoch {
                self.wind_up();
            }
            return;
        };
        let pages = if progress.worked { PAGES_PER_BUSY_STEP } else { PAGES_PER_IDLE_STEP };
        let answer = saving.slice(&mut self.segments, self.writer.as_mut(), self.disk.as_mut(), pages);
        let epoch = saving.epoch;
        match answer {
            Poll::Pending => progress.worked |= self.saving.as_ref().is_some_and(|saving| saving.can_go_on),
            Poll::Ready(Ok(saved)) => {
                self.saving = None;
                self.positions_told = epoch;
                self.saved = Some(epoch);
                progress.worked = true;
                self.tell(ShardEvent::Saved(self.id, epoch, Ok(saved)));
            }
            Poll::Ready(Err(error)) => {
                self.abort();
                progress.worked = true;
                self.tell(ShardEvent::Saved(self.id, epoch, Err(error)));
            }
        }
    }

    /// After a checkpoint was given up: tells the coordinator when nothing of it is under way any more and the positions of all inputs
    /// are known, so that the next epoch may be published.
    fn wind_up(&mut self) {
        if let Some(writer) = self.writer.as_mut().filter(|writer| writer.is_active()) {
            let _ = writer.poll(self.disk.as_mut());
            return;
        }
        let mut inlets = self.segments.iter_mut().flat_map(|segment| segment.inlets());
        if inlets.all(|inlet| inlet.has_position()) {
            self.positions_told = self.epoch;
            self.tell(ShardEvent::HasPositions(self.id, self.epoch));
        }
    }

    /// Passes on that a checkpoint is durable.
    fn commit(&mut self, progress: &mut Progress) -> Result<(), Box<Failure>> {
        let committed = self.control.committed();
        if committed > self.committed && self.committing.is_none() {
            if self.saved.take_if(|saved| *saved <= committed).is_some() {
                for arena in self.segments.iter_mut().filter_map(|segment| segment.arena()) {
                    arena.finish_checkpoint();
                }
            }
            for segment in &mut self.segments {
                segment.committed(committed);
                let tail = segment.tail();
                let op = tail.op();
                tail.commit(committed).map_err(|error| Box::new(Failure::of(op, error)))?;
            }
            self.committing = Some((committed, vec![false; self.segments.len()]));
        }
        if let Some((epoch, done)) = &mut self.committing {
            for (segment, done) in self.segments.iter_mut().zip(done.iter_mut()).filter(|(_, done)| !**done) {
                let tail = segment.tail();
                let op = tail.op();
                match tail.poll_committed(*epoch) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => *done = true,
                    Poll::Ready(Err(error)) => return Err(Box::new(Failure::of(op, error))),
                }
            }
            if done.iter().all(|done| *done) {
                let epoch = *epoch;
                self.committing = None;
                self.committed = epoch;
                progress.worked = true;
                self.tell(ShardEvent::Committed(self.id, epoch));
            }
        }
        let oldest = self.control.oldest();
        if oldest > self.trimmed {
            self.trimmed = oldest;
            for segment in &mut self.segments {
                segment.trim(oldest)?;
            }
        }
        Ok(())
    }

    /// After a restart: brings in pages that nobody has asked for yet. Otherwise: takes back what dropped tables held, and has memory
    /// given ahead of its use. Lets pages go that memory has no room for.
    fn restore(&mut self, progress: &mut Progress, now: Nanos) -> Result<(), Box<Failure>> {
        let mut missing = false;
        for (segment, next) in self.segments.iter_mut().zip(&mut self.restoring) {
            let op = segment.head();
            let Some(arena) = segment.arena() else { continue };
            let failed = |error| Box::new(Failure::of(op, Cause::state(error)));
            if let Some(from) = *next {
                *next = arena.load_some(from, PAGES_RESTORED_PER_STEP).map_err(failed)?;
                missing |= next.is_some();
            }
            arena.make_room().map_err(failed)?;
            if arena.may_let_go() {
                progress.wake_at(Some(now.after(LOOK_FOR_MEMORY_EVERY)));
            }
            progress.worked |= missing || arena.reclaim(PAGES_RESTORED_PER_STEP);
            // Without a helper the memory is given on first touch.
            if let Some(prefaults) = &self.prefaults
                && let Some(plan) = arena.plan_ahead()
            {
                prefaults.order(plan);
            }
        }
        if !missing && !self.verified {
            self.verified = true;
            self.tell(ShardEvent::Verified(self.id));
        }
        Ok(())
    }

    fn blocked(&self) -> bool {
        matches!(self.last_step, Some((_, StepKind::Blocked)))
    }

    fn gauge(&mut self) {
        let mut gauges = Gauges::new();
        for segment in &mut self.segments {
            segment.gauge(&mut gauges);
        }
        gauges.memory.checkpoints += self.writer.as_ref().map_or(0, DeltaWriter::bytes_held);
        self.control.counters[self.id.index()].store(&gauges);
    }

    fn close(&mut self) -> Result<(), Box<Failure>> {
        for segment in &mut self.segments {
            let tail = segment.tail();
            let op = tail.op();
            tail.close().map_err(|error| Box::new(Failure::of(op, error)))?;
        }
        Ok(())
    }

    /// Lets the records that are under way inside the job reach the sinks, without taking more from sources: plain output is complete
    /// up to the failure then. Transactional output stays uncommitted, as after any failure.
    fn run_out(&mut self, failed: Option<usize>, now: Nanos) {
        let rounds = catch(|| {
            for _ in 0..ROUNDS_TO_RUN_OUT {
                let context = StepContext { now, processing: self.processing, room: true };
                let mut progress = Progress::default();
                for segment in &mut self.segments {
                    segment.flush()?;
                }
                for (number, segment) in self.segments.iter_mut().enumerate().rev() {
                    if Some(number) != failed && !segment.inlets().is_empty() {
                        progress.merge(segment.step(&context)?);
                    }
                }
                match progress.switch.filter(|epoch| *epoch > self.epoch) {
                    Some(epoch) => {
                        if epoch > self.newest() {
                            self.begin_switch(epoch, now)?;
                        }
                        self.switch_rest(now)?;
                    }
                    None if progress.worked => {}
                    None => break,
                }
            }
            Ok(())
        });
        if let Err((failure, _)) = rounds {
            tracing::debug!(shard = self.id.0, cause = %failure.cause, "a failed job failed again while it ran out");
        }
    }

    /// Tells of a failure, with the place of the record where one is to blame.
    fn failed(&mut self, mut failure: Box<Failure>, record: Option<usize>, now: Nanos) {
        let by_closure = failure.by_closure();
        if let (Some(index), Some(segment)) = (record, self.segments.get_mut(self.at_work)) {
            // The chain has unwound; its source is asked no more than where the record came from.
            let blamed = catch(|| Ok(segment.blame_record(index))).unwrap_or_default();
            failure.place = blamed.place.as_ref().map(|(_, place)| place.clone());
            failure.blamed = Some((segment.head(), blamed));
            if failure.key.is_none() {
                failure.key = catch(|| Ok(segment.key_of_record(index))).unwrap_or_default();
            }
            failure.op.get_or_insert(segment.head());
        }
        if by_closure && self.runs_out {
            self.run_out(Some(self.at_work), now);
        }
        self.tell(ShardEvent::Failed(self.id, failure));
        // Sinks and readers may own threads: they end when they are dropped. What panics meanwhile has lost the word to the failure.
        let _ = drop_each(std::mem::take(&mut self.segments));
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        if let Err(panic) = drop_each(std::mem::take(&mut self.segments))
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

impl Drive for Shard {
    fn step(&mut self, now: Nanos) -> Step {
        if let Some((since, kind)) = self.last_step {
            let (counters, spent) = (&self.control.counters[self.id.index()], now.0.saturating_sub(since.0));
            counters.step(kind, spent);
            if std::mem::take(&mut self.switched) {
                counters.switched(spent);
            }
        }
        match self.control.phase() {
            _ if self.segments.is_empty() => return Step::Done,
            Phase::Run => {}
            Phase::RunOut => {
                if self.runs_out {
                    self.run_out(None, now);
                }
                return Step::Done;
            }
            Phase::Stop => {
                self.tell_account();
                return Step::Done;
            }
            Phase::Finish => {
                self.gauge();
                self.tell_account();
                match self.close() {
                    Ok(()) => self.tell(ShardEvent::Closed(self.id)),
                    Err(failure) => self.tell(ShardEvent::Failed(self.id, failure)),
                }
                return Step::Done;
            }
        }
        let progress = match catch(|| self.round(now)) {
            Ok(progress) => progress,
            Err((failure, record)) => {
                self.failed(failure, record, now);
                return Step::Done;
            }
        };
        let kind = match (progress.worked, progress.blocked || progress.full) {
            (true, _) => StepKind::Busy,
            (false, true) => StepKind::Blocked,
            (false, false) => StepKind::Idle,
        };
        self.last_step = Some((now, kind));
        if self.steps_to_gauge == 0 || kind == StepKind::Idle {
            self.steps_to_gauge = STEPS_PER_GAUGE;
            self.gauge();
        }
        self.steps_to_gauge -= 1;
        match kind {
            StepKind::Busy => Step::Worked,
            StepKind::Blocked if progress.blocked => Step::Idle { until: Some(now.after(BLOCKED_WAIT)) },
            StepKind::Blocked | StepKind::Idle => Step::Idle { until: progress.until },
        }
    }

    fn has_work(&self) -> bool {
        self.control.published_to(self.id) > self.newest()
            || self.control.aborted() > self.gave_up
            || (self.committing.is_none() && self.control.committed() > self.committed)
            || self.control.phase() != Phase::Run
            || self.control.asked() > self.answered
            || self.control.reads(self.id).any()
            || self.control.loops_are_over() != self.loops_over
            // A blocked shard is woken by whoever makes room.
            || (!self.blocked() && self.segments.iter().any(|segment| segment.has_input()))
    }
}

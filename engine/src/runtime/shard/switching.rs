//! How the chains of a shard switch to an epoch: all of them at once (unaligned), or each when it has handled what its inputs had
//! given out before they switched (aligned, at least once).

use super::Shard;
use crate::accumulator::Side;
use crate::checkpoint::CheckpointMode;
use crate::element::{Epoch, Nanos};
use crate::operator::Failure;
use crate::operator::segment::{Progress, Segment};
use crate::runtime::saving::Saving;
use crate::runtime::snapshot::ShardSnapshot;

/// An epoch that some chains have switched to, and others not yet.
pub(super) struct Switching {
    pub(super) epoch: Epoch,
    mode: CheckpointMode,
    since: Nanos,
    /// What the chains that have switched have noted.
    snapshot: ShardSnapshot,
    /// Which chains have.
    switched: Vec<bool>,
}

impl Switching {
    /// Whether a chain gets no turn: a source that has given out more than there is room for switches first.
    pub(super) fn holds(&self, number: usize, chain: &dyn Segment) -> bool {
        !self.switched[number] && chain.input_name().is_none() && !chain.ended()
    }

    /// The side of the checkpoint that a chain works for.
    fn side(&self, number: usize) -> Side {
        if self.switched[number] { Side::After } else { Side::Before }
    }

    /// When the chains that wait for their inputs switch all the same.
    fn deadline(&self) -> Option<Nanos> {
        match self.mode {
            CheckpointMode::AlignedFor(time) => Some(self.since.after(time)),
            CheckpointMode::Unaligned => Some(self.since),
            CheckpointMode::Aligned | CheckpointMode::AtLeastOnce => None,
        }
    }
}

impl Shard {
    /// The newest epoch that it has begun to switch to.
    pub(super) fn newest(&self) -> Epoch {
        self.switching.as_ref().map_or(self.epoch, |switching| switching.epoch)
    }

    /// Begins to switch to an epoch, as the coordinator says, and goes as far as it can.
    pub(super) fn begin_switch(&mut self, epoch: Epoch, now: Nanos) -> Result<(), Box<Failure>> {
        if self.saving.is_some() {
            // Published only when every shard has saved or given up the epoch before.
            self.abort();
        }
        for page in self.control.pages_to_move(self.id) {
            if let Some(arena) =
                self.segments.get_mut(usize::from(page.arena.0)).and_then(|chain| chain.arena())
            {
                arena.mark_for_rewrite([page.page]);
            }
        }
        let mode = self.control.mode();
        if mode == CheckpointMode::AtLeastOnce {
            self.pass_switches(true);
        }
        let (snapshot, switched) = (ShardSnapshot::default(), vec![false; self.segments.len()]);
        self.switching = Some(Switching { epoch, mode, since: now, snapshot, switched });
        self.go_on_switching(now, &mut Progress::default())
    }

    /// Switches the chains whose turn it is, upstream first.
    pub(super) fn go_on_switching(
        &mut self,
        now: Nanos,
        progress: &mut Progress,
    ) -> Result<(), Box<Failure>> {
        let Some(mut switching) = self.switching.take() else { return Ok(()) };
        let is_due = switching.deadline().is_some_and(|deadline| now >= deadline);
        for number in 0..self.segments.len() {
            if !switching.switched[number] && (is_due || self.is_aligned(number, switching.epoch)) {
                self.switch_chain(number, &mut switching)?;
                progress.worked = true;
            }
        }
        if switching.switched.iter().all(|switched| *switched) {
            self.finish_switch(switching, now, is_due);
            return Ok(());
        }
        // Others wake it when they switch. What lies behind a switch is no work.
        progress.blocked |= !progress.worked;
        progress.wake_at(switching.deadline());
        self.switching = Some(switching);
        Ok(())
    }

    /// Switches all chains that have not yet, whatever they wait for.
    pub(super) fn switch_rest(&mut self, now: Nanos) -> Result<(), Box<Failure>> {
        if let Some(switching) = &mut self.switching {
            switching.mode = CheckpointMode::Unaligned;
        }
        self.go_on_switching(now, &mut Progress::default())
    }

    /// Whether a chain has handled all that is part of the epoch's checkpoint, and has let all of it go.
    fn is_aligned(&mut self, number: usize, epoch: Epoch) -> bool {
        let chain = &mut self.segments[number];
        chain.inlets().iter_mut().all(|inlet| inlet.has_come_to(epoch)) && !chain.holds_back()
    }

    fn switch_chain(&mut self, number: usize, switching: &mut Switching) -> Result<(), Box<Failure>> {
        // A chain may have to take the rest of a batch first: what fails there is its, and no record of a source.
        self.at_work = number;
        let snapshot = &mut switching.snapshot;
        let operators = snapshot.operators.len();
        self.accumulators.turn_back();
        self.segments[number].switch(switching.epoch, snapshot)?;
        for operator in &mut snapshot.operators[operators..] {
            operator.arena = number as u16;
        }
        self.segments[number].inlets().iter_mut().for_each(|inlet| inlet.pass_switches(false));
        switching.switched[number] = true;
        self.switched = true;
        Ok(())
    }

    /// Before a chain gets a turn: what it adds to accumulators is before the checkpoint, or after it.
    pub(super) fn choose_side(&mut self, number: usize) {
        if let Some(switching) = &self.switching
            && switching.switched.iter().any(|switched| *switched)
        {
            self.accumulators.turn_to(switching.side(number));
        }
    }

    /// All chains have switched.
    fn finish_switch(&mut self, switching: Switching, now: Nanos, gave_up_aligning: bool) {
        let Switching { epoch, mode, since, mut snapshot, .. } = switching;
        self.accumulators.turn_back();
        snapshot.accumulators = self.accumulators.save();
        self.accumulators.join();
        #[cfg(feature = "planted-faults")]
        if self.plant == Some(crate::testing::sim::Plant::ForgetUnsent) {
            snapshot.unsent.clear();
        }
        self.epoch = epoch;
        let mut saving = Saving::begin(epoch, self.id, snapshot, &mut self.segments, self.writer.as_mut());
        saving.aligned_in = now.since(since);
        saving.gave_up_aligning = gave_up_aligning && mode != CheckpointMode::Unaligned;
        self.saving = Some(saving);
    }

    fn pass_switches(&mut self, passes: bool) {
        for inlet in self.segments.iter_mut().flat_map(|segment| segment.inlets()) {
            inlet.pass_switches(passes);
        }
    }
}

//! A chain on a shard that it does not run on: its place in the shard's list, and nothing else.

use super::OpId;
use super::failure::Failure;
use super::segment::{OpenContext, Progress, Said, Segment, StepContext, Tail};
use super::suspects::Blamed;
use crate::arena::Arena;
use crate::channel::Inlet;
use crate::disk::{DiskDone, ShardDisk};
use crate::element::{Epoch, Nanos, ShardId, Timestamp};
use crate::graph::Port;
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::ShardSnapshot;
use crate::time::ClockReport;

/// Keeps the numbers of the chains behind it, which name the arenas in checkpoints, the same on every shard.
pub(crate) struct Absent(pub(crate) OpId);

impl Segment for Absent {
    fn head(&self) -> OpId {
        self.0
    }

    fn open(&mut self, _: &OpenContext) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn step(&mut self, _: &StepContext) -> Result<Progress, Box<Failure>> {
        Ok(Progress::default())
    }

    fn has_input(&self) -> bool {
        false
    }

    fn ended(&self) -> bool {
        true
    }

    fn switch(&mut self, _: Epoch, _: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn input_name(&self) -> Option<&str> {
        None
    }

    fn inlets(&mut self) -> &mut [Inlet] {
        &mut []
    }

    fn lane(&self, _: usize) -> (Port, ShardId) {
        unreachable!("a chain that does not run here has no lanes to read from")
    }

    fn said(&self) -> Said {
        Said { ended: true, ..Said::NOTHING }
    }

    fn arena(&mut self) -> Option<&mut Arena> {
        None
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self
    }

    fn use_disk(&mut self, _: &mut dyn ShardDisk) -> Result<bool, Box<Failure>> {
        Ok(false)
    }

    fn on_disk(&mut self, done: DiskDone) -> Option<DiskDone> {
        Some(done)
    }

    fn trim(&mut self, _: Epoch) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        true
    }

    fn committed(&mut self, _: Epoch) {}

    fn aborted(&mut self, _: Epoch) {}

    fn blame_record(&mut self, _: usize) -> Blamed {
        Blamed::default()
    }

    fn clock_report(&self, _: Nanos) -> Option<ClockReport> {
        None
    }

    fn gauge(&mut self, _: &mut Gauges) {}
}

impl Tail for Absent {
    fn op(&self) -> OpId {
        self.0
    }

    fn name(&self) -> &str {
        ""
    }

    fn open(&mut self, _: &OpenContext) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn ready(&mut self) -> bool {
        true
    }

    fn flush(&mut self) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn watermark(&mut self, _: Timestamp) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn switch(&mut self, _: Epoch, _: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn gauge(&mut self, _: &mut Gauges) {}
}

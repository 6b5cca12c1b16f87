//! A shard in a simulated thread of its own, with a simulated disk.

use std::cell::Cell;
use std::rc::Rc;

use super::sim_disk::{SimDisk, SimShardDisk};
use crate::disk::{DiskBuffer, DiskDone, DiskOp, ShardDisk};
use crate::element::Nanos;
use crate::runtime::driver::{BuildShard, Drive};

/// A shard, and whether its thread would sleep.
pub(super) struct Seat {
    /// None once it has taken its last step.
    pub(super) drive: Option<Box<dyn Drive>>,
    /// Operations that its disk has not answered yet.
    outstanding: Rc<Cell<usize>>,
    pub(super) asleep: bool,
    pub(super) until: Option<Nanos>,
}

impl Seat {
    /// Makes the shard.
    pub(super) fn new(build: BuildShard, disk: &SimDisk) -> Seat {
        let outstanding = Rc::new(Cell::new(0));
        let disk = WatchedDisk { disk: disk.shard_disk(), outstanding: outstanding.clone() };
        Seat { drive: Some(build(Box::new(disk))), outstanding, asleep: false, until: None }
    }

    /// How many operations its disk has not answered yet.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.get()
    }
}

/// A shard's disk that tells how many operations are under way.
struct WatchedDisk {
    disk: SimShardDisk,
    outstanding: Rc<Cell<usize>>,
}

impl ShardDisk for WatchedDisk {
    fn buffer(&mut self, len: usize) -> Box<dyn DiskBuffer> {
        self.disk.buffer(len)
    }

    fn submit(&mut self, op: DiskOp) -> u64 {
        let ticket = self.disk.submit(op);
        self.outstanding.set(self.disk.outstanding());
        ticket
    }

    fn poll(&mut self) -> Option<DiskDone> {
        let done = self.disk.poll();
        self.outstanding.set(self.disk.outstanding());
        done
    }

    fn outstanding(&self) -> usize {
        self.disk.outstanding()
    }
}

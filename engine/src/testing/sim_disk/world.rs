//! What is on a simulated disk: what everybody sees, and what a crash would leave of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::SimFaults;
use crate::disk::DiskError;

const SECTOR_BYTES: usize = 512;

#[derive(Clone)]
pub(super) struct World {
    pub(super) random: Random,
    pub(super) faults: SimFaults,
    /// How many operations that change something were begun.
    pub(super) operations: u64,
    pub(super) power_cut_at: Option<u64>,
    pub(super) failures: BTreeMap<u64, io::ErrorKind>,
    pub(super) dead: bool,
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) next_inode: u64,
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) durable_names: BTreeMap<PathBuf, u64>,
    pub(super) name_changes: Vec<NameChange>,
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) locks: BTreeMap<PathBuf, String>,
}

#[derive(Clone, Default)]
pub(super) struct Inode {
    pub(super) current: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) changes: Vec<Change>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone)]
pub(super) enum NameChange {
    Create { path: PathBuf, inode: u64 },
    Rename { from: PathBuf, to: PathBuf, inode: u64 },
    Remove { path: PathBuf },
}

impl World {
    pub(super) fn inode_at(&self, path: &Path) -> Option<u64> {
        self.names.get(path).copied()
    }

    pub(super) fn is_alive(&self, attempt: &'static str, path: &Path) -> io::Result<()> {
        if self.dead {
            Err(failure(attempt, path, io::ErrorKind::BrokenPipe, "the power is off"))
        } else {
            Ok(())
        }
    }

    /// Counts an operation that changes something. `Ok(true)`: the power goes while it is under way.
    pub(super) fn begin(&mut self, attempt: &'static str, path: &Path) -> io::Result<bool> {
        self.is_alive(attempt, path)?;
        let number = self.operations;
        self.operations += 1;
        if self.power_cut_at.is_some_and(|at| number >= at) {
            self.dead = true;
            return Ok(true);
        }
        let by_chance = self.faults.io_errors_per_million > 0
            && self.random.below(1_000_000) < u64::from(self.faults.io_errors_per_million);
        let kind = self.failures.remove(&number).or(by_chance.then_some(io::ErrorKind::Other));
        kind.map_or(Ok(false), |kind| Err(failure(attempt, path, kind, "a simulated failure")))
    }

    /// The answer to an operation that has taken effect as far as it ever will.
    pub(super) fn end(&self, power_cut: bool, attempt: &'static str, path: &Path) -> io::Result<()> {
        if power_cut { self.is_alive(attempt, path) } else { Ok(()) }
    }

    pub(super) fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }

    pub(super) fn change_file(&mut self, inode: u64, path: &Path, change: Change) -> io::Result<()> {
        let file = self.inodes.entry(inode).or_default();
        let (old, new) = (file.current.len(), change.len_after(file.current.len()));
        if let Some(capacity) = self.faults.capacity_bytes
            && new > old
        {
            let used: usize =
                self.names.values().filter_map(|inode| self.inodes.get(inode)).map(|f| f.current.len()).sum();
            if (used + new - old) as u64 > capacity {
                let kind = io::ErrorKind::StorageFull;
                return Err(failure("cannot write to", path, kind, "No space left on device (simulated)"));
            }
        }
        let file = self.inodes.entry(inode).or_default();
        change.apply(&mut file.current, |_| true);
        file.changes.push(change);
        Ok(())
    }

    pub(super) fn flip_random_bit(&mut self) {
        let total: u64 = self.inodes.values().map(|inode| inode.durable.len() as u64).sum();
        if total == 0 {
            return;
        }
        let (mut place, bit) = (self.random.below(total), self.random.below(8));
        for inode in self.inodes.values_mut() {
            let len = inode.durable.len() as u64;
            if place < len {
                inode.durable[place as usize] ^= 1 << bit;
                inode.current[place as usize] ^= 1 << bit;
                return;
            }
            place -= len;
        }
    }
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            NameChange::Create { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            NameChange::Rename { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            NameChange::Remove { path } => {
                names.remove(path);
            }
        }
    }

    pub(super) fn dir(&self) -> Option<&Path> {
        match self {
            NameChange::Create { path, .. } | NameChange::Remove { path } => path.parent(),
            NameChange::Rename { to, .. } => to.parent(),
        }
    }
}

impl Change {
    fn len_after(&self, len: usize) -> usize {
        match self {
            Change::Write { offset, bytes } => len.max(offset + bytes.len()),
            Change::SetLen(len) => *len,
        }
    }

    /// Applies the change, of a write the sectors that `keep` chooses.
    pub(super) fn apply(&self, file: &mut Vec<u8>, mut keep: impl FnMut(usize) -> bool) {
        match self {
            Change::SetLen(len) => file.resize(*len, 0),
            Change::Write { offset, bytes } => {
                let (mut at, end) = (*offset, offset + bytes.len());
                while at < end {
                    let sector = at / SECTOR_BYTES;
                    let stop = end.min((sector + 1) * SECTOR_BYTES);
                    if keep(sector) {
                        if file.len() < stop {
                            file.resize(stop, 0);
                        }
                        file[at..stop].copy_from_slice(&bytes[at - offset..stop - offset]);
                    }
                    at = stop;
                }
            }
        }
    }
}

impl Inode {
    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            change.apply(&mut self.durable, |_| true);
        }
    }

    pub(super) fn after_crash(mut self, random: &mut Random) -> Vec<u8> {
        for change in std::mem::take(&mut self.changes) {
            match random.below(3) {
                0 => {}
                1 => change.apply(&mut self.durable, |_| true),
                _ if matches!(change, Change::SetLen(_)) => {}
                _ => change.apply(&mut self.durable, |_| random.one_in(2)),
            }
        }
        self.durable
    }
}

pub(super) fn failure(attempt: &'static str, path: &Path, kind: io::ErrorKind, message: &str) -> io::Error {
    DiskError { attempt, path: path.to_owned(), message: message.to_owned(), kind }.into()
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0. The bias is of no account for the bounds used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

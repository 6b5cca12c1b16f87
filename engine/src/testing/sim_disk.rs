//! A disk in memory that fails as real ones do, the same way each time for the same seed.
//!
//! # The fault model
//!
//! **A crash** ([`SimDisk::crash`]: the power goes, or the kernel dies) leaves
//! - all that was written to a file before its last completed `sync`;
//! - of each write since, independently: all, nothing, or any subset of its 512-byte sectors. A single sector is never torn. Later writes may
//!   be there while earlier ones are not, and the file's length is that of what is there, with zeros in the gaps;
//! - the creations, renames and removals before the last completed `sync_dir` of their directory; of those since, any subset, in their
//!   order. Syncing a file does not make its name durable. A rename happens as a whole or not at all;
//! - all directories (making one is durable at once: a simplification), and no locks;
//! - with [`SimFaults::bit_flips_per_crash`], that many flipped bits anywhere in the files.
//!
//! **The power can be cut in the middle of an operation** ([`SimDisk::cut_power_after`]): the operation counts as begun (a write may be there
//! after the crash, a sync has promised nothing), and every later one is refused.
//!
//! **A full disk** ([`SimFaults::capacity_bytes`]) refuses a write or extension as a whole, with `StorageFull`.
//!
//! **I/O errors** come at random ([`SimFaults::io_errors_per_million`]) or at a chosen operation ([`SimDisk::fail_operation`]); the operation
//! then has no effect.
//!
//! **Delays**: the operations of a [`SimShardDisk`] are carried out after a random number of polls, in any order.
//!
//! Not modelled: reads that lie about what was synced (other than by flipped bits), torn sectors, a sync that lies.

mod shard;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile, DiskLock};
pub use shard::SimShardDisk;
pub(crate) use world::Random;
use world::{Change, Inode, NameChange, World, failure};

/// What goes wrong by itself. The default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimFaults {
    /// How many bytes all files may have in all; `None` for no limit.
    pub capacity_bytes: Option<u64>,
    /// Of a million operations, how many fail.
    pub io_errors_per_million: u32,
    /// How many bits a crash flips.
    pub bit_flips_per_crash: u32,
    /// How many polls an operation of a [`SimShardDisk`] takes at most.
    pub delay_polls_max: u32,
}

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

impl SimDisk {
    /// An empty disk. Everything random on it comes from `seed`.
    pub fn new(seed: u64, faults: SimFaults) -> Self {
        SimDisk {
            world: Arc::new(Mutex::new(World {
                random: Random(seed),
                faults,
                operations: 0,
                power_cut_at: None,
                failures: BTreeMap::new(),
                dead: false,
                inodes: BTreeMap::new(),
                next_inode: 1,
                names: BTreeMap::new(),
                durable_names: BTreeMap::new(),
                name_changes: Vec::new(),
                dirs: BTreeSet::new(),
                locks: BTreeMap::new(),
            })),
        }
    }

    /// The disk as those see it who use it.
    pub fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// A front for one shard.
    pub fn shard_disk(&self) -> SimShardDisk {
        SimShardDisk::new(self.clone())
    }

    /// How many operations that change something (creations, writes, syncs, ...) were begun.
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Cuts the power during the operation after this many more.
    pub fn cut_power_after(&self, operations: u64) {
        let mut world = self.world();
        world.power_cut_at = Some(world.operations + operations);
    }

    /// Lets the operation after this many more fail, once.
    pub fn fail_operation(&self, after: u64, kind: io::ErrorKind) {
        let mut world = self.world();
        let at = world.operations + after;
        world.failures.insert(at, kind);
    }

    /// Takes back what [`SimDisk::cut_power_after`] and [`SimDisk::fail_operation`] planned and has not happened yet.
    pub fn forget_plans(&self) {
        let mut world = self.world();
        world.power_cut_at = None;
        world.failures.clear();
    }

    /// Whether the power is off.
    pub fn is_dead(&self) -> bool {
        self.world().dead
    }

    /// Changes what goes wrong by itself.
    pub fn set_faults(&self, faults: SimFaults) {
        self.world().faults = faults;
    }

    /// Crashes: this disk is dead from now on, the returned one is what a restarted process finds.
    pub fn crash(&self) -> SimDisk {
        let mut world = self.world();
        world.dead = true;
        let seed = world.random.next();
        let after = SimDisk::new(seed, world.faults);
        let mut new = after.world();
        new.dirs = world.dirs.clone();
        new.next_inode = world.next_inode;
        let mut names = world.durable_names.clone();
        for change in world.name_changes.clone() {
            if world.random.one_in(2) {
                change.apply(&mut names);
            }
        }
        for inode in names.values().collect::<BTreeSet<_>>() {
            let bytes = world.inodes[inode].clone().after_crash(&mut world.random);
            let survivor = Inode { current: bytes.clone(), durable: bytes, changes: Vec::new() };
            new.inodes.insert(*inode, survivor);
        }
        new.names = names.clone();
        new.durable_names = names;
        for _ in 0..world.faults.bit_flips_per_crash {
            new.flip_random_bit();
        }
        drop(new);
        after
    }

    /// A second disk with the same contents, synced and not; it goes its own way from here on.
    pub fn copy(&self) -> SimDisk {
        let world = self.world();
        let copy = World { locks: BTreeMap::new(), ..world.clone() };
        SimDisk { world: Arc::new(Mutex::new(copy)) }
    }

    /// Flips a bit of a file, durably. Gives back whether there is one at this place.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> bool {
        let mut world = self.world();
        let Some(inode) = world.inode_at(path) else { return false };
        let file = world.inodes.entry(inode).or_default();
        let mut found = false;
        for bytes in [&mut file.current, &mut file.durable] {
            if let Some(byte) = bytes.get_mut(offset as usize) {
                *byte ^= 1 << (bit % 8);
                found = true;
            }
        }
        found
    }

    /// What a file holds now, synced or not.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let world = self.world();
        let inode = world.inode_at(path)?;
        world.inodes.get(&inode).map(|inode| inode.current.clone())
    }

    /// The paths of all files, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.world().names.keys().cloned().collect()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // The world is changed in single steps, so that a panic elsewhere leaves it whole.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let world = self.world();
        world.is_alive("cannot open", path)?;
        let inode = world.inode_at(path);
        let inode =
            inode.ok_or_else(|| failure("cannot open", path, io::ErrorKind::NotFound, "no such file"))?;
        Ok(self.file(inode, path))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.open_or_create(path)?;
        if !file.is_empty()? {
            file.set_len(0)?;
        }
        Ok(file)
    }

    fn open_or_create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let attempt = "cannot create";
        let mut world = self.world();
        world.is_alive(attempt, path)?;
        if let Some(inode) = world.inode_at(path) {
            return Ok(self.file(inode, path));
        }
        if !path.parent().is_some_and(|dir| world.dirs.contains(dir)) {
            return Err(failure(attempt, path, io::ErrorKind::NotFound, "no such directory"));
        }
        let power_cut = world.begin(attempt, path)?;
        let inode = world.next_inode;
        world.next_inode += 1;
        world.inodes.insert(inode, Inode::default());
        world.change_names(NameChange::Create { path: path.to_owned(), inode });
        world.end(power_cut, attempt, path)?;
        Ok(self.file(inode, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let attempt = "cannot rename";
        let mut world = self.world();
        let inode = world.inode_at(from);
        let inode = inode.ok_or_else(|| failure(attempt, from, io::ErrorKind::NotFound, "no such file"))?;
        let power_cut = world.begin(attempt, from)?;
        world.change_names(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), inode });
        world.end(power_cut, attempt, from)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let attempt = "cannot remove";
        let mut world = self.world();
        world.is_alive(attempt, path)?;
        if world.inode_at(path).is_none() {
            return Err(failure(attempt, path, io::ErrorKind::NotFound, "no such file"));
        }
        let power_cut = world.begin(attempt, path)?;
        world.change_names(NameChange::Remove { path: path.to_owned() });
        world.end(power_cut, attempt, path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let attempt = "cannot create the directory";
        let mut world = self.world();
        world.is_alive(attempt, path)?;
        if let Some(file) = path.ancestors().find(|dir| world.names.contains_key(*dir)) {
            return Err(failure(attempt, file, io::ErrorKind::NotADirectory, "it is a file"));
        }
        world.dirs.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        world.is_alive("cannot list the directory", dir)?;
        if !world.dirs.contains(dir) {
            return Err(failure(
                "cannot list the directory",
                dir,
                io::ErrorKind::NotFound,
                "no such directory",
            ));
        }
        let inside = world.names.keys().chain(&world.dirs).filter(|path| path.parent() == Some(dir));
        let mut names: Vec<String> =
            inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let attempt = "cannot sync the directory";
        let mut world = self.world();
        if world.begin(attempt, dir)? {
            return world.end(true, attempt, dir);
        }
        for change in std::mem::take(&mut world.name_changes) {
            if change.dir() == Some(dir) {
                change.apply(&mut world.durable_names);
            } else {
                world.name_changes.push(change);
            }
        }
        Ok(())
    }

    fn lock(&self, path: &Path, owner: &str) -> io::Result<DiskLock> {
        let mut world = self.world();
        world.is_alive("cannot lock", path)?;
        if let Some(holder) = world.locks.get(path) {
            return Ok(DiskLock::HeldBy(holder.clone()));
        }
        world.locks.insert(path.to_owned(), owner.to_owned());
        Ok(DiskLock::Held(Box::new(SimLock { disk: self.clone(), path: path.to_owned() })))
    }
}

impl SimDisk {
    fn file(&self, inode: u64, path: &Path) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), inode, path: path.to_owned() })
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.world().locks.remove(&self.path);
    }
}

struct SimFile {
    disk: SimDisk,
    inode: u64,
    path: PathBuf,
}

impl SimFile {
    fn change(&self, attempt: &'static str, change: Change) -> io::Result<()> {
        let mut world = self.disk.world();
        let power_cut = world.begin(attempt, &self.path)?;
        world.change_file(self.inode, &self.path, change)?;
        world.end(power_cut, attempt, &self.path)
    }
}

impl DiskFile for SimFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let world = self.disk.world();
        world.is_alive("cannot read from", &self.path)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(buf.len());
        match world.inodes.get(&self.inode).and_then(|inode| inode.current.get(range)) {
            Some(bytes) => buf.copy_from_slice(bytes),
            None => {
                let kind = io::ErrorKind::UnexpectedEof;
                return Err(failure("cannot read from", &self.path, kind, "the file is shorter"));
            }
        }
        Ok(())
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.change("cannot write to", Change::Write { offset: offset as usize, bytes: buf.to_vec() })
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.disk.world();
        if world.begin("cannot sync", &self.path)? {
            return world.end(true, "cannot sync", &self.path);
        }
        world.inodes.entry(self.inode).or_default().sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let world = self.disk.world();
        world.is_alive("cannot take the length of", &self.path)?;
        Ok(world.inodes.get(&self.inode).map_or(0, |inode| inode.current.len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change("cannot set the length of", Change::SetLen(len as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{BLOCK_BYTES, DiskOp, ShardDisk};

    const SECTOR_BYTES: usize = 512;

    fn disk(seed: u64) -> SimDisk {
        let disk = SimDisk::new(seed, SimFaults::default());
        disk.create_dir_all(Path::new("/d")).unwrap();
        disk
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_any_sectors_of_the_rest() {
        let path = Path::new("/d/a");
        let (mut torn, mut lost, mut whole, mut nameless) = (0, 0, 0, 0);
        for seed in 0..200 {
            let disk = disk(seed);
            let file = disk.create(path).unwrap();
            file.write_all_at(&[1; 2048], 0).unwrap();
            file.sync().unwrap();
            file.write_all_at(&[2; 2048], 1024).unwrap();
            let after = disk.crash();
            assert!(file.len().is_err(), "the old disk is dead");
            let Some(bytes) = after.contents(path) else {
                nameless += 1;
                continue;
            };
            assert_eq!(&bytes[..1024], &[1; 1024]);
            for sector in bytes[1024..].chunks(SECTOR_BYTES) {
                assert!(sector.iter().all(|byte| *byte == sector[0]));
            }
            match bytes[1024..].iter().filter(|byte| **byte == 2).count() {
                0 => lost += 1,
                2048 => whole += 1,
                _ => torn += 1,
            }
        }
        assert!(torn > 5 && lost > 5 && whole > 5 && nameless > 5, "{torn} {lost} {whole} {nameless}");
    }

    #[test]
    fn names_are_durable_after_the_directory_was_synced() {
        for seed in 0..50 {
            let disk = disk(seed);
            disk.create(Path::new("/d/a")).unwrap();
            disk.create(Path::new("/d/b")).unwrap();
            disk.sync_dir(Path::new("/d")).unwrap();
            disk.rename(Path::new("/d/a"), Path::new("/d/c")).unwrap();
            let names = disk.crash().list(Path::new("/d")).unwrap();
            assert!(names == ["a", "b"] || names == ["b", "c"], "{names:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_disk() {
        let run = |seed| {
            let disk = disk(seed);
            let file = disk.create(Path::new("/d/a")).unwrap();
            disk.sync_dir(Path::new("/d")).unwrap();
            for i in 0..20u8 {
                file.write_all_at(&[i; 3000], u64::from(i) * 1000).unwrap();
            }
            disk.crash().contents(Path::new("/d/a"))
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn a_full_disk_and_failures_are_reported_with_their_kind() {
        let disk = disk(1);
        disk.set_faults(SimFaults { capacity_bytes: Some(1000), ..SimFaults::default() });
        let file = disk.create(Path::new("/d/a")).unwrap();
        file.write_all_at(&[1; 1000], 0).unwrap();
        assert_eq!(file.write_all_at(&[1; 1], 1000).unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.write_all_at(&[2; 1000], 0).unwrap();
        disk.fail_operation(1, io::ErrorKind::PermissionDenied);
        file.sync().unwrap();
        assert_eq!(file.sync().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        file.sync().unwrap();
        disk.cut_power_after(0);
        assert!(file.sync().is_err() && disk.is_dead());
    }

    #[test]
    fn a_lock_excludes_and_dies_with_the_machine() {
        let disk = disk(1);
        let path = Path::new("/d/LOCK");
        let held = disk.lock(path, "1").unwrap();
        assert!(matches!(disk.lock(path, "2").unwrap(), DiskLock::HeldBy(owner) if owner == "1"));
        assert!(matches!(disk.crash().lock(path, "2").unwrap(), DiskLock::Held(_)));
        drop(held);
    }

    #[test]
    fn a_shard_disk_answers_every_operation_after_some_polls() {
        let disk = disk(3);
        disk.set_faults(SimFaults { delay_polls_max: 5, ..SimFaults::default() });
        let mut shard = disk.shard_disk();
        let file = crate::disk::FileHandle(1);
        shard.submit(DiskOp::Create { file, path: PathBuf::from("/d/a") });
        while shard.poll().is_none() {}
        let mut tickets: Vec<u64> = (0..10)
            .map(|i| {
                let buffer = shard.buffer(BLOCK_BYTES);
                shard.submit(DiskOp::Write { file, offset: i * BLOCK_BYTES as u64, buffer })
            })
            .collect();
        let mut answered = Vec::new();
        for _ in 0..100 {
            answered.extend(shard.poll().map(|done| done.ticket));
        }
        assert_ne!(answered, tickets, "the order is not that of submission");
        answered.sort();
        tickets.sort();
        assert_eq!(answered, tickets);
        assert_eq!(disk.contents(Path::new("/d/a")).unwrap().len(), 10 * BLOCK_BYTES);
    }
}

//! Damage: whatever is in the files, reading them ends with a value or an error that names the place.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::prelude::*;

use super::head::{FILE, HEAD_BYTES};
use super::{Savepoint, SavepointError};
use crate::disk::Disk;
use crate::element::{Nanos, Timestamp};
use crate::job::{CheckpointInterval, Job};
use crate::operator::{KeyedContext, KeyedProcess, ListState, MapState, States, ValueState};
use crate::record::{Record, View};
use crate::testing::golden::Paused;
use crate::testing::sim::Simulation;
use crate::testing::sim_disk::{SimDisk, SimFaults};

#[derive(Record, Clone, Debug, PartialEq)]
enum Shape {
    Nothing,
    Named { name: String, corners: Vec<(i32, i32)> },
}

#[derive(Default)]
struct Keeps {
    shape: ValueState<Shape>,
    list: ListState<String>,
    map: MapState<String, Option<u64>>,
}

impl KeyedProcess<u64, u64> for Keeps {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.shape = states.value("shape");
        self.list = states.list("list");
        self.map = states.map("map");
    }

    fn process(&mut self, n: &View<u64>, ctx: &mut KeyedContext<'_, u64, u64>) {
        let shape = match n % 2 {
            0 => Shape::Nothing,
            _ => Shape::Named { name: format!("n{n}"), corners: vec![(1, 2); *n as usize % 5] },
        };
        ctx.set(&self.shape, shape);
        ctx.list(&self.list).add(&n.to_string());
        ctx.map(&self.map).put(&n.to_string(), &Some(*n));
        ctx.register_event_timer(Timestamp(*n as i64 + 1_000_000));
        ctx.emit(*n);
    }
}

/// A savepoint in memory: its directory and its files.
fn savepoint() -> &'static (PathBuf, Vec<(PathBuf, Vec<u8>)>) {
    static SAVEPOINT: OnceLock<(PathBuf, Vec<(PathBuf, Vec<u8>)>)> = OnceLock::new();
    SAVEPOINT.get_or_init(|| {
        let disk = SimDisk::new(7, SimFaults::default());
        let job =
            Job::new("keeps").shards(2).state_dir("/state").checkpoint_interval(CheckpointInterval::Off);
        let records: Vec<(u64, Timestamp)> = (0..60).map(|n| (n, Timestamp(n as i64))).collect();
        let simulation = Simulation::new(7, job, &disk, move |flow| {
            flow.source("numbers", Paused::endless(vec![records.clone()]))
                .key_by(|n| n % 10)
                .process(Keeps::default())
                .name("keeps")
                .discard();
        });
        let mut simulation = simulation.unwrap();
        simulation.stop_time(Nanos(1));
        simulation.settle(1_000_000);
        simulation.ask_for_checkpoint();
        simulation.settle(1_000_000);
        let dir = simulation.savepoint(Path::new("/savepoints")).unwrap();
        let paths = disk.paths().into_iter().filter(|path| path.starts_with(&dir));
        let files = paths.map(|path| (path.clone(), disk.contents(&path).unwrap())).collect();
        (dir, files)
    })
}

/// Reads all that there is.
fn read(files: &[(PathBuf, Vec<u8>)]) -> Result<u64, SavepointError> {
    let (dir, _) = savepoint();
    let disk = SimDisk::new(1, SimFaults::default());
    disk.create_dir_all(dir).unwrap();
    for (path, bytes) in files {
        disk.create(path).unwrap().write_all_at(bytes, 0).unwrap();
    }
    let savepoint = Savepoint::open_on(disk.shared(), dir)?;
    let mut entries = 0;
    for info in savepoint.states() {
        savepoint.each(&info.operator, &info.state, |entry| {
            entries += 1;
            let _ = entry.to_json();
            Ok(())
        })?;
    }
    Ok(entries)
}

#[test]
fn all_of_it_can_be_read() {
    let (_, files) = savepoint();
    // Ten keys: a value and a list each, six entries of a map in three tables and their number in a fourth, and six timers.
    assert_eq!(read(files).unwrap(), 10 * (1 + 1 + 3 * 6 + 1 + 6));
}

proptest! {
    #[test]
    fn a_damaged_file_is_refused_with_its_place(file: prop::sample::Index, at: prop::sample::Index, bit in 0u8..8) {
        let (_, files) = savepoint();
        let mut files = files.clone();
        let number = file.index(files.len());
        let (path, bytes) = &mut files[number];
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let path = path.clone();
        match read(&files) {
            Err(SavepointError::Damaged { path: named, .. }) => prop_assert_eq!(named, path),
            Err(SavepointError::OtherVersion { .. }) => prop_assert!((16..20).contains(&at)),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused(file: prop::sample::Index, at: prop::sample::Index) {
        let (_, files) = savepoint();
        let mut files = files.clone();
        let number = file.index(files.len());
        let bytes = &mut files[number].1;
        bytes.truncate(at.index(bytes.len()));
        let refused = matches!(read(&files), Err(SavepointError::Damaged { .. }));
        prop_assert!(refused);
    }

    /// Damage that the checksum does not show, because whoever did it has made another one.
    #[test]
    fn nonsense_under_a_good_checksum_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let (_, files) = savepoint();
        let mut files = files.clone();
        for (path, bytes) in &mut files {
            if !path.ends_with(FILE) {
                continue;
            }
            for (at, byte) in &changes {
                let at = HEAD_BYTES + at.index(bytes.len() - HEAD_BYTES);
                bytes[at] = *byte;
            }
            let crc = crc32fast::hash(&bytes[HEAD_BYTES..]);
            bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        }
        // Some changes are to what nobody can tell from the truth, such as an offset of a source.
        let _ = read(&files);
    }
}

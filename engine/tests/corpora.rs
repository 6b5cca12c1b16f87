//! The readers of files, over what a job has written and over many changes of it: no panic, whatever the bytes. The fuzzers in `fuzz/` look
//! further; they begin with the same files, which `MILLSTREAM_UPDATE_CORPORA=1` writes anew.

#![allow(clippy::unwrap_used)] // helpers of a test

#[path = "simulator/random.rs"]
#[allow(dead_code)] // the simulator draws more kinds of numbers
mod random;

use std::path::{Path, PathBuf};

use millstream_engine::checkpoint::{CheckpointStore, JobIdentity, PageReader, StoreOptions};
use millstream_engine::fuzzing;
use millstream_engine::key::HashSeed;
use millstream_engine::limits::PAGE_BYTES;
use millstream_engine::prelude::*;
use millstream_engine::testing::sim::{SimEnd, Simulation};
use millstream_engine::testing::sim_disk::{SimDisk, SimFaults};
use millstream_engine::testing::{Cue, Script};

use random::Random;

/// How many changed files each reader is given, unless `MILLSTREAM_CHANGES` says another number.
const CHANGES: u64 = 2_000;

/// A reader, and files that it can read.
struct Corpus {
    name: &'static str,
    read: fn(&[u8]),
    files: Vec<Vec<u8>>,
}

/// A job with keyed state, windows and timers, that has made checkpoints; on two shards.
fn written() -> SimDisk {
    let disk = SimDisk::new(3, SimFaults::default());
    let words = (0..60u64).flat_map(|n| {
        let word = ["a", "bb", "a longer word", "d"][n as usize % 4].repeat(1 + n as usize / 20 * 300);
        [Cue::timed((word, n), n as i64 * 100), Cue::wait(std::time::Duration::from_millis(20))]
    });
    let words = Script::of(words);
    let job = Job::new("job").shards(2).state_dir("/state");
    let job = job.checkpoint_interval(std::time::Duration::from_millis(100));
    let mut simulation = Simulation::new(5, job, &disk, move |flow| {
        let words = flow.source("words", words.clone()).source_time(Watermarks::monotonous());
        words
            .key_by(|word| word.0.clone())
            .fold(Vec::new(), |all: &mut Vec<u8>, word| all.push(word.1 as u8))
            .name("numbers")
            .map(|(word, numbers)| (word, numbers.len() as u64))
            .key_by(|word| word.0.clone())
            .window(Session::gap(std::time::Duration::from_millis(250)))
            .count()
            .name("sessions")
            .discard();
    })
    .unwrap();
    // In the middle of all of it, so that there is state, and there are records on their way.
    for _ in 0..2_000 {
        assert!(!matches!(simulation.run(1), Some(SimEnd::Failed(_) | SimEnd::PowerCut)));
        if simulation.metrics().checkpoints.completed >= 6 {
            break;
        }
    }
    assert!(simulation.metrics().checkpoints.completed >= 6, "{}", simulation.describe());
    drop(simulation);
    disk.copy()
}

/// The records of a manifest, as `manifest_records` takes them.
fn records(manifest: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    let u64_at = |at: usize| u64::from_le_bytes(manifest[at..at + 8].try_into().unwrap());
    for at in (0..manifest.len()).step_by(512).filter(|at| manifest[*at..].starts_with(b"MREC")) {
        let body = &manifest[at + 32..at + 32 + u64_at(at + 8) as usize];
        records.push(manifest[at + 4]);
        records.extend_from_slice(&(body.len() as u16).to_le_bytes());
        records.extend_from_slice(body);
    }
    records
}

/// What the readers are given.
fn corpora() -> Vec<Corpus> {
    let disk = written();
    let mut manifest = disk.contents(Path::new("/state/MANIFEST")).unwrap();
    let end = manifest.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    manifest.truncate(end.next_multiple_of(512));
    let records = records(&manifest);
    let seed = HashSeed(u64::from_le_bytes(records[3 + 8 + 3..3 + 8 + 3 + 8].try_into().unwrap()));
    let identity = JobIdentity { job: "job".to_owned(), hash_seed: seed };
    let (store, _) =
        CheckpointStore::open(disk.shared(), Path::new("/state"), &identity, StoreOptions::default())
            .unwrap();
    let (mut metadata, mut frames, mut pages) = (Vec::new(), Vec::new(), Vec::new());
    for checkpoint in store.checkpoints() {
        let job = store.load(checkpoint.epoch).unwrap();
        let mut reader = PageReader::new(disk.shared(), job.files.clone());
        for shard in &job.shards {
            metadata.push(shard.meta.clone());
            for arena in shard.pages.arenas() {
                let some: Vec<_> = shard.pages.iter_arena(arena).take(4).collect();
                let mut made = vec![some.len() as u8];
                some.iter().for_each(|(_, entry)| {
                    let mut info = entry.info;
                    // As the fuzzer's function puts it together again.
                    info[0] = info[0].wrapping_sub(1);
                    made.extend_from_slice(&info);
                });
                for (_, entry) in &some {
                    let mut bytes = [0; PAGE_BYTES];
                    reader.read(entry, &mut bytes).unwrap();
                    made.extend_from_slice(&bytes);
                }
                pages.push(made);
            }
            // What was on its way lies in the metadata, from its beginning or a later place on.
            frames.extend(shard.meta.windows(8).position(|words| words[..4] == [1, 0, 0, 0]).map(|at| {
                let mut some = vec![2];
                some.extend_from_slice(&shard.meta[at..]);
                some
            }));
        }
    }
    let corpus = |name, read: fn(&[u8]), mut files: Vec<Vec<u8>>| {
        files.sort();
        files.dedup();
        Corpus { name, read, files }
    };
    vec![
        corpus("manifest_file", fuzzing::manifest_file, vec![manifest]),
        corpus("manifest_records", fuzzing::manifest_records, vec![records]),
        corpus("shard_metadata", fuzzing::shard_metadata, metadata),
        corpus("savepoint_head", fuzzing::savepoint_head, vec![savepoint_head()]),
        corpus("frames", fuzzing::frames, frames),
        corpus("pages", fuzzing::pages, pages),
    ]
}

/// The body of a savepoint's head: that of a savepoint which the tests of the whole project keep.
fn savepoint_head() -> Vec<u8> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/savepoint-v1/SAVEPOINT");
    let bytes = std::fs::read(&kept).unwrap_or_else(|error| panic!("{}: {error}", kept.display()));
    bytes[32..].to_vec()
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name)
}

/// Changes some bytes, cuts some off, or doubles some.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][random.below(5) as usize],
            2 => {
                let some = bytes[at..].iter().copied().take(16).collect::<Vec<_>>();
                bytes.splice(at..at, some);
            }
            3 => {
                let end = bytes.len().min(at + 8);
                bytes[at..end].fill(0xFF);
            }
            _ => bytes[at] ^= 1 << random.below(8),
        }
    }
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let mut random = Random(9);
    let changes = std::env::var("MILLSTREAM_CHANGES").map_or(CHANGES, |changes| changes.parse().unwrap());
    for Corpus { name, read, mut files } in corpora() {
        assert!(!files.is_empty(), "{name}");
        if std::env::var_os("MILLSTREAM_UPDATE_CORPORA").is_some() {
            std::fs::create_dir_all(directory(name)).unwrap();
            for (number, bytes) in files.iter().enumerate().take(8) {
                std::fs::write(directory(name).join(format!("{number}")), bytes).unwrap();
            }
        }
        let kept = std::fs::read_dir(directory(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        files.extend(kept.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()));
        for bytes in &files {
            read(bytes);
        }
        for number in 0..changes {
            let mut bytes = files[(number as usize * 7) % files.len()].clone();
            change(&mut bytes, &mut random);
            read(&bytes);
        }
    }
}

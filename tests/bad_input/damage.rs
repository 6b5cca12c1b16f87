//! Truncated and bit-flipped checkpoint files: named, with the offset. An older checkpoint is used, and that is said, where it repeats
//! nothing that is visible; otherwise the job stops and says what going back would repeat.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{PATIENCE, example};
use crate::support::peer::Peer;
use crate::support::process::{Ended, Process};

const PAGE_BYTES: u64 = 4096;

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn flip(path: &Path, offset: u64) {
    change(path, |bytes| bytes[offset as usize] ^= 0x10);
}

fn truncate(path: &Path) -> u64 {
    let mut half = 0;
    change(path, |bytes| {
        half = bytes.len() as u64 / 2;
        bytes.truncate(half as usize);
    });
    half
}

/// The delta files of a state directory by epoch, without those of checkpoints that were never complete.
fn deltas(state: &Path) -> BTreeMap<u64, Vec<PathBuf>> {
    let mut deltas: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for entry in state.join("delta").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let epoch = path.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().parse().unwrap();
        deltas.entry(epoch).or_default().push(path);
    }
    deltas
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
}

/// A word count that prints, fed by a socket through a journal, killed after its peer has typed for a while. Goes on with `--socket` at
/// the same address, where nobody listens any more: its journal has everything.
struct Plain {
    dir: tempfile::TempDir,
    address: String,
    /// The newest checkpoint, and the shard's file of it.
    newest: u64,
}

const WORDS: usize = 40;

impl Plain {
    /// Its newest checkpoint has a file: something had changed since the one before.
    fn killed() -> Plain {
        (0..5).map(|_| Plain::killed_once()).find(|plain| plain.delta(&plain.path("state")).exists()).unwrap()
    }

    fn killed_once() -> Plain {
        let dir = tempfile::tempdir().unwrap();
        let peer = Peer::typing(&["a"; WORDS], Duration::from_millis(50));
        let mut plain = Plain { dir, address: peer.address.clone(), newest: 0 };
        let mut job = Process::start(plain.job("state"));
        job.until_said(&format!("(a,{WORDS})"), PATIENCE);
        job.kill().never_panicked();
        peer.finish();
        // Which checkpoint it goes on from it says itself.
        copy(&plain.path("state"), &plain.path("asked"));
        let mut asked = Process::start(plain.job("asked"));
        asked.until_said(" RUNNING ", PATIENCE);
        let running = asked.kill().never_panicked().err();
        plain.newest =
            running.rsplit_once("from=").unwrap().1.lines().next().unwrap().trim().parse().unwrap();
        plain
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn job(&self, state: &str) -> Command {
        let arguments = [
            "--socket",
            &self.address,
            "--state",
            state,
            "--checkpoint-interval",
            "60",
            "--restart-delay",
            "0.1",
        ];
        example("word_count", self.dir.path(), &arguments)
    }

    /// Damages a copy of the state and goes on from it, until all words are counted again.
    fn goes_on(&self, name: &str, damage: impl FnOnce(&Path)) -> Ended {
        copy(&self.path("state"), &self.path(name));
        damage(&self.path(name));
        let mut job = Process::start(self.job(name));
        job.until_said(&format!("(a,{WORDS})"), PATIENCE);
        job.kill().never_panicked()
    }

    fn delta(&self, state: &Path) -> PathBuf {
        state.join(format!("delta/{}-0.delta", self.newest))
    }
}

#[test]
fn a_job_with_plain_sinks_goes_back_to_the_next_older_checkpoint_and_says_so() {
    let plain = Plain::killed();
    let older = plain.newest - 1;
    let went_back = format!("damaged={} older={older}", plain.newest);
    let from_older = format!("from={older}");
    let file = format!("{}-0.delta", plain.newest);

    let mut half = 0;
    let ended = plain.goes_on("truncated", |state| half = truncate(&plain.delta(state)));
    let place = format!("{file} is truncated: it ends at byte {half}");
    ended.says(&[&place, "going back to the older checkpoint", &went_back, &from_older]);

    let ended = plain.goes_on("header", |state| flip(&plain.delta(state), 3));
    ended.says(&[
        &format!("{file} is damaged at byte "),
        "going back to the older checkpoint",
        &went_back,
        &from_older,
    ]);

    let ended = plain.goes_on("missing", |state| std::fs::remove_file(plain.delta(state)).unwrap());
    ended.says(&[
        &format!("{file} is missing"),
        "going back to the older checkpoint",
        &went_back,
        &from_older,
    ]);

    let ended = plain.goes_on("page", |state| flip(&plain.delta(state), PAGE_BYTES + 30));
    let place = format!("{file} at byte {PAGE_BYTES} is damaged: its CRC is ");
    ended.says(&[&place, "going back to the older checkpoint", &went_back, &from_older]);
}

#[test]
fn nothing_older_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("text"), "a b a\n").unwrap();
    let job =
        || example("word_count", dir, &["--text", "text", "--state", "state", "--restart-delay", "0.01"]);
    Process::start(job()).wait(PATIENCE).succeeded();
    for path in deltas(&dir.join("state")).into_values().flatten() {
        flip(&path, 3);
    }
    let ended = Process::start(job()).wait(PATIENCE).failed();
    ended.says(&[
        "-0.delta is damaged at byte ",
        "no older one is retained",
        "from a backup, or start afresh in a new one",
    ]);
}

/// A click count with transactional output, killed while every checkpoint commits some.
struct Transactional {
    dir: tempfile::TempDir,
}

impl Transactional {
    fn killed() -> Transactional {
        let transactional = Transactional { dir: tempfile::tempdir().unwrap() };
        let mut job = Process::start(transactional.job("state", "output"));
        let end = Instant::now() + PATIENCE;
        while transactional.committed("output").len() < 8 {
            assert!(Instant::now() < end && !job.ends_within(Duration::from_millis(5)), "{:?}", job.lines());
        }
        job.kill().never_panicked();
        transactional
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn job(&self, state: &str, output: &str) -> Command {
        // A window's worth of clicks takes 20 ms, a checkpoint is made every 50.
        let arguments = [
            "--windows",
            "100000",
            "--rate",
            "300000",
            "--shards",
            "1",
            "--checkpoint-interval",
            "50",
            "--state",
            state,
            "--output",
            output,
        ];
        example("click_count", self.dir.path(), &arguments)
    }

    /// The epochs of the part files, newest last.
    fn committed(&self, output: &str) -> Vec<u64> {
        let Ok(entries) = self.path(output).read_dir() else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let parts = names.filter(|name| name.starts_with("part-"));
        let mut epochs: Vec<u64> =
            parts.map(|name| name.split('-').nth(2).unwrap().parse().unwrap()).collect();
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }

    fn damaged(&self, name: &str, damage: impl FnOnce(&Path)) -> Process {
        let output = format!("{name}-output");
        copy(&self.path("state"), &self.path(name));
        copy(&self.path("output"), &self.path(&output));
        damage(&self.path(name));
        Process::start(self.job(name, &output))
    }
}

#[test]
fn a_job_whose_sinks_have_committed_stops_and_says_what_going_back_would_repeat() {
    let job = Transactional::killed();
    let newest_committed = *job.committed("output").last().unwrap();
    // Checkpoints after it, which committed nothing, may be passed over; this one may not.
    let from_newest = |state: &Path| -> Vec<PathBuf> {
        deltas(state).split_off(&newest_committed).into_values().flatten().collect()
    };
    let refusal = [
        "does not go back to checkpoint ",
        "sinks have made results up to checkpoint ",
        "`--from ",
        "visible a second time",
    ];
    let files_before = job.committed("output").len();

    let truncated = job
        .damaged("truncated", |state| from_newest(state).iter().for_each(|path| assert!(truncate(path) > 0)));
    truncated.wait(PATIENCE).failed().says(&["-0.delta is truncated: it ends at byte "]).says(&refusal);
    assert_eq!(job.committed("truncated-output").len(), files_before, "nothing new is visible");

    let flipped = job.damaged("flipped", |state| from_newest(state).iter().for_each(|path| flip(path, 3)));
    flipped.wait(PATIENCE).failed().says(&["-0.delta is damaged at byte "]).says(&refusal);
    assert_eq!(job.committed("flipped-output").len(), files_before, "nothing new is visible");
}

#[test]
fn a_page_found_damaged_after_the_start_stops_the_job_before_its_sinks_commit() {
    let job = Transactional::killed();
    let newest_committed = *job.committed("output").last().unwrap();
    let before = job.committed("output");
    let damaged = job.damaged("page", |state| {
        for path in deltas(state).split_off(&newest_committed).into_values().flatten() {
            let pages = path.metadata().unwrap().len() / PAGE_BYTES;
            (1..pages).for_each(|page| flip(&path, page * PAGE_BYTES + 30));
        }
    });
    // The metadata lies behind the pages, or in the manifest: which of both is found damaged first does not matter.
    damaged.wait(PATIENCE).failed().says(&[
        "its CRC is ",
        "was written",
        "does not go back to checkpoint ",
        "visible a second time",
    ]);
    assert_eq!(job.committed("page-output"), before, "nothing new is visible");
}

#[test]
fn a_damaged_manifest_is_never_taken_for_a_shorter_one() {
    let job = Transactional::killed();
    let manifest = job.path("state/MANIFEST");
    let bytes = std::fs::read(&manifest).unwrap();
    // Records begin at multiples of a sector (`docs/formats/manifest.md`); what is filled ahead is zero.
    let sectors: Vec<usize> =
        (0..bytes.len()).step_by(512).filter(|at| bytes[*at..*at + 4] == *b"MREC").collect();
    let is_seal = |at: &&usize| bytes[**at + 4] == 4;
    let records: Vec<usize> = sectors.iter().filter(|at| !is_seal(at)).copied().collect();

    let says = |name: &str, damage: &dyn Fn(&mut Vec<u8>), words: &[&str]| {
        let job = job.damaged(name, |state| change(&state.join("MANIFEST"), damage));
        job.wait(PATIENCE)
            .failed()
            .says(&["the manifest ", "MANIFEST is damaged at byte ", "from a backup"])
            .says(words);
    };
    says("nothing", &|bytes| bytes.clear(), &["damaged at byte 0: "]);
    says("magic", &|bytes| bytes[4] ^= 1, &["damaged at byte 0: "]);
    says("version", &|bytes| bytes[16] ^= 1, &["damaged at byte 0: "]);
    // Not the middle of a big record, which the base can be: any of its bytes.
    let middle = records[records.len() / 2];
    for (name, at) in [("middle", middle), ("last", *records.last().unwrap())] {
        let place = format!("damaged at byte {at}: ");
        says(&format!("{name}-header"), &|bytes| bytes[at + 9] ^= 1, &[&place, "--from ("]);
        says(&format!("{name}-body"), &|bytes| bytes[at + 40] ^= 1, &[&place, "--from ("]);
    }
    let cut = middle + 16;
    says("cut", &|bytes| bytes.truncate(cut), &["the file is cut off here", "--from ("]);
}

//! Files that earlier versions have written are read by this one, and by all later ones: `tests/fixtures/state/<format>` holds the state directory
//! of a job that was stopped in the middle, file by file, compressed. `MILLSTREAM_UPDATE_FIXTURES=1` writes that of the format at hand; those of
//! other formats are never written again.

#![allow(clippy::unwrap_used)] // helpers of a test

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use millstream::checkpoint::FORMAT_VERSION;
use millstream::operator::{
    KeyedContext, KeyedProcess, ListState, MapState, NamedTimer, States, Timer, ValueState,
};
use millstream::prelude::*;
use millstream::testing::golden::{Once, Paused};
use millstream::time::Ticks;

/// A key, a number, and when.
type Reading = (String, u64);

/// How many readings there are, and after how many the fixture was written.
const READINGS: u64 = 400;
const FIRST: usize = 250;

fn readings(up_to: usize) -> Vec<Vec<(Reading, Timestamp)>> {
    let keys = ["a", "bb", "a rather long key of many letters"];
    let one = |n: u64| ((keys[(n % 7 % 3) as usize].to_owned(), n), Timestamp(n as i64 * 37));
    vec![(0..READINGS).map(one).take(up_to).collect()]
}

/// Keeps something in every kind of state.
#[derive(Default)]
struct Everything {
    last: ValueState<u64>,
    some: ListState<u64>,
    by_digit: MapState<u64, u64>,
    silence: NamedTimer,
}

impl KeyedProcess<Reading, String> for Everything {
    type Out = String;

    fn open(&mut self, states: &mut States<'_, String>) {
        self.last = states.value("last");
        self.some = states.list("some");
        self.by_digit = states.map("by digit");
        self.silence = states.event_timer("silence");
    }

    fn process(&mut self, reading: &View<Reading>, ctx: &mut KeyedContext<'_, String, String>) {
        let (key, n) = Reading::owned(reading);
        let before = ctx.get(&self.last);
        ctx.set(&self.last, n);
        if n.is_multiple_of(5) {
            ctx.list(&self.some).add(&n);
        }
        let of_digit = ctx.map(&self.by_digit).update(
            &(n % 10),
            || 0,
            |count| {
                *count += 1;
                *count
            },
        );
        ctx.reset(self.silence, Timestamp(n as i64 * 37 + 200));
        ctx.register_event_timer(Timestamp(n as i64 * 37 + 5_000));
        let (len, sum) =
            ctx.list(&self.some).to_vec().iter().fold((0, 0), |(len, sum), n| (len + 1, sum + n));
        ctx.emit(format!("{key} {n} after {before:?}: {of_digit} {len} {sum}"));
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, String, String>) {
        let key = ctx.key();
        ctx.emit(format!("{key} at {}", timer.at.0));
    }
}

/// The program whose state the fixtures hold. It is not to be changed: another one needs fixtures of its own.
fn program(flow: &Flow, source: Paused<Reading>, out: &Once<String>) {
    let readings =
        flow.source("readings", source).source_time(Watermarks::bounded_out_of_orderness(Ticks(100)));
    let (readings, counted) = readings.fork();
    let (counted, rest) = counted.fork();
    let (sessions, slides) = rest.fork();
    let all = readings.key_by(|reading| reading.0.clone()).process(Everything::default()).name("everything");
    let counts = counted.owned().key_by(|reading| reading.1 % 17).count().name("counts");
    let counts = counts.map(|(key, count)| format!("count of {key}: {count}"));
    let sessions = sessions.owned().key_by(|reading| reading.0.clone());
    let sessions = sessions.window(Session::gap(Duration::from_millis(120))).count().name("sessions");
    let sessions =
        sessions.map(|of| format!("session of {} from {}: {}", of.key, of.window.start.0, of.value));
    let slides = slides.owned().key_by(|reading| reading.1 % 3);
    let slides = slides.window(Sliding::of(Duration::from_secs(3)).every(Duration::from_secs(1)));
    let slides = slides.count().name("slides");
    let slides = slides.map(|of| format!("slide of {} from {}: {}", of.key, of.window.start.0, of.value));
    all.union(counts).union(sessions).union(slides).owned().sink("out", out.clone());
}

fn job() -> Job {
    Job::new("fixture").shards(2).oversubscribe(true).restart(RestartStrategy::None)
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state")
}

/// What the program gives, from the beginning to the end.
fn expected() -> Vec<String> {
    let out = Once::new();
    let sink = out.clone();
    job().run(move |flow| program(flow, Paused::of(readings(READINGS as usize)), &sink)).unwrap();
    sorted(out.results())
}

fn sorted(mut results: Vec<String>) -> Vec<String> {
    results.sort();
    results
}

/// Runs the first part of the program, and keeps its state directory and what it gave.
fn write_fixture(dir: &Path) {
    let state = tempfile::tempdir().unwrap();
    let out = Once::new();
    let sink = out.clone();
    let handle = job().state_dir(state.path()).spawn(move |flow| {
        program(flow, Paused::endless(readings(FIRST)), &sink);
    });
    let handle = handle.unwrap();
    while handle.metrics().records_in() < FIRST as u64 {
        std::thread::sleep(Duration::from_millis(1));
    }
    handle.stop();
    handle.wait().unwrap();
    fs::remove_file(state.path().join("LOCK")).unwrap();
    let _ = fs::remove_dir_all(dir);
    pack(state.path(), dir);
    fs::write(dir.join("given"), out.results().join("\n")).unwrap();
}

fn pack(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            pack(&path, &to.join(name));
        } else {
            let file = fs::File::create(to.join(format!("{name}.gz"))).unwrap();
            let mut packed = GzEncoder::new(file, Compression::best());
            packed.write_all(&fs::read(&path).unwrap()).unwrap();
            packed.finish().unwrap();
        }
    }
}

fn unpack(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            unpack(&path, &to.join(path.file_name().unwrap()));
        } else if let Some(name) = path.file_name().unwrap().to_str().unwrap().strip_suffix(".gz") {
            let mut bytes = Vec::new();
            GzDecoder::new(fs::File::open(&path).unwrap()).read_to_end(&mut bytes).unwrap();
            fs::write(to.join(name), bytes).unwrap();
        }
    }
}

#[test]
fn dp_08_state_that_an_earlier_version_wrote_goes_on() {
    let now = fixtures().join(FORMAT_VERSION.to_string());
    if std::env::var_os("MILLSTREAM_UPDATE_FIXTURES").is_some() {
        write_fixture(&now);
    }
    assert!(now.is_dir(), "there is no fixture of the format at hand; see the head of this file");
    let expected = expected();
    for fixture in fs::read_dir(fixtures()).unwrap() {
        let fixture = fixture.unwrap().path();
        for shards in [2, 1, 3] {
            let state = tempfile::tempdir().unwrap();
            unpack(&fixture, state.path());
            let out = Once::new();
            let sink = out.clone();
            let job = job().shards(shards).state_dir(state.path());
            let went_on = job.run(move |flow| {
                program(flow, Paused::of(readings(READINGS as usize)), &sink);
            });
            went_on.unwrap_or_else(|error| panic!("{} on {shards} shards: {error}", fixture.display()));
            let given = fs::read_to_string(fixture.join("given")).unwrap();
            let all = given.lines().map(str::to_owned).chain(out.results()).collect();
            assert_eq!(sorted(all), expected, "{} on {shards} shards", fixture.display());
        }
    }
}

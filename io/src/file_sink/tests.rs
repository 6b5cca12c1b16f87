use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use millstream_engine::element::ShardId;
use millstream_engine::runtime::Waker;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn context(shard: u16, shards: u16, restored: u64) -> SinkContext {
    SinkContext {
        shard: ShardId(shard),
        shards,
        restored: Epoch(restored),
        job: "job".into(),
        operator: "out".into(),
        waker: Waker::new(),
    }
}

fn opened(dir: &Path, context: &SinkContext, recovered: &[Committable]) -> Result<FileSink, SinkError> {
    let mut sink = FileSink::lines(dir);
    Sink::<str>::open(&mut sink, context, recovered)?;
    Ok(sink)
}

fn fresh(dir: &Path) -> FileSink {
    opened(dir, &context(0, 1, 0), &[]).unwrap()
}

fn write(sink: &mut FileSink, lines: &[&str]) {
    for line in lines {
        Sink::<str>::write(sink, line, Timestamp::MIN).unwrap();
    }
}

fn wait<T>(mut poll: impl FnMut() -> Poll<Result<T, SinkError>>) -> Result<T, SinkError> {
    for _ in 0..5000 {
        if let Poll::Ready(result) = poll() {
            return result;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no answer within five seconds");
}

fn prepare(sink: &mut FileSink, epoch: u64) -> Vec<Committable> {
    Sink::<str>::prepare(sink, Epoch(epoch)).unwrap();
    let bytes = wait(|| Sink::<str>::poll_prepared(sink, Epoch(epoch))).unwrap();
    bytes.map(|bytes| Committable { epoch: Epoch(epoch), shard: ShardId(0), bytes }).into_iter().collect()
}

fn commit(sink: &mut FileSink, epoch: u64) {
    Sink::<str>::commit(sink, Epoch(epoch)).unwrap();
    wait(|| Sink::<str>::poll_committed(sink, Epoch(epoch))).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

/// What a reader of `part-*` sees, sorted.
fn visible(dir: &Path) -> Vec<String> {
    let parts = names(dir).into_iter().filter(|name| name.starts_with("part-"));
    let mut lines: Vec<String> = parts
        .flat_map(|name| {
            let text = fs::read_to_string(dir.join(name)).unwrap();
            assert!(text.ends_with('\n'), "no half lines");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn output_appears_when_its_checkpoint_is_durable() {
    let dir = TempDir::new().unwrap();
    let mut sink = fresh(dir.path());
    write(&mut sink, &["a", "b"]);
    let list = prepare(&mut sink, 1);
    assert_eq!(names(dir.path()), [".pending-0-1-0"]);
    assert_eq!(list.len(), 1);
    write(&mut sink, &["c"]);
    assert!(visible(dir.path()).is_empty());
    commit(&mut sink, 1);
    assert_eq!(visible(dir.path()), ["a", "b"]);
    prepare(&mut sink, 2);
    commit(&mut sink, 2);
    assert!(prepare(&mut sink, 3).is_empty(), "an epoch without output has nothing to commit");
    commit(&mut sink, 3);
    Sink::<str>::close(&mut sink).unwrap();
    assert_eq!(names(dir.path()), ["part-0-1-0", "part-0-2-1"]);
    assert_eq!(visible(dir.path()), ["a", "b", "c"]);
}

#[test]
fn a_failed_checkpoint_hands_its_output_on() {
    let dir = TempDir::new().unwrap();
    let mut sink = fresh(dir.path());
    write(&mut sink, &["a"]);
    prepare(&mut sink, 1);
    write(&mut sink, &["b"]);
    let list = prepare(&mut sink, 2);
    drop(sink);
    let sink = opened(dir.path(), &context(0, 1, 2), &list).unwrap();
    assert_eq!(visible(dir.path()), ["a", "b"]);
    drop(sink);
    // An epoch without output still carries what is pending.
    let mut sink = opened(dir.path(), &context(0, 1, 2), &list).unwrap();
    write(&mut sink, &["c"]);
    prepare(&mut sink, 3);
    let list = prepare(&mut sink, 4);
    drop(sink);
    drop(opened(dir.path(), &context(0, 1, 4), &list).unwrap());
    assert_eq!(visible(dir.path()), ["a", "b", "c"]);
}

/// A crash at each stage of an epoch's life, and a restart from what is durable then.
#[test]
fn a_crash_at_any_stage_shows_every_line_once() {
    for stage in [
        "writing",
        "asked to cut",
        "cut",
        "durable",
        "half renamed",
        "renamed",
        "asked to commit",
        "committed",
    ] {
        let dir = TempDir::new().unwrap();
        let mut sink = fresh(dir.path());
        write(&mut sink, &["a"]);
        let first = prepare(&mut sink, 1);
        commit(&mut sink, 1);
        let mut sink_rolls = sink;
        sink_rolls.roll_records = 1;
        let mut sink = sink_rolls;
        write(&mut sink, &["b", "c"]);
        let (mut restored, mut list) = (1, first);
        let mut replay = vec!["b", "c"];
        if stage == "asked to cut" {
            Sink::<str>::prepare(&mut sink, Epoch(2)).unwrap();
        } else if stage != "writing" {
            let second = prepare(&mut sink, 2);
            write(&mut sink, &["d"]);
            if stage != "cut" {
                (restored, list, replay) = (2, second, vec![]);
            }
            match stage {
                "half renamed" => {
                    fs::rename(dir.path().join(".pending-0-2-1"), dir.path().join("part-0-2-1")).unwrap()
                }
                "renamed" => {
                    for n in 1..=2 {
                        let part = format!("part-0-2-{n}");
                        fs::rename(dir.path().join(format!(".pending-0-2-{n}")), dir.path().join(part))
                            .unwrap();
                    }
                }
                "asked to commit" => Sink::<str>::commit(&mut sink, Epoch(2)).unwrap(),
                "committed" => commit(&mut sink, 2),
                _ => {}
            }
        }
        drop(sink);
        let mut sink = opened(dir.path(), &context(0, 1, restored), &list).unwrap();
        write(&mut sink, &replay);
        write(&mut sink, &["d"]);
        prepare(&mut sink, restored + 1);
        commit(&mut sink, restored + 1);
        drop(sink);
        assert_eq!(visible(dir.path()), ["a", "b", "c", "d"], "{stage}");
        assert!(
            names(dir.path()).iter().all(|name| name.starts_with("part-")),
            "{stage}: {:?}",
            names(dir.path())
        );
    }
}

#[test]
fn files_roll_by_size_and_by_records() {
    let dir = TempDir::new().unwrap();
    let mut sink = FileSink::lines(dir.path()).roll_records(3);
    Sink::<str>::open(&mut sink, &context(0, 1, 0), &[]).unwrap();
    let lines: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    write(&mut sink, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    prepare(&mut sink, 1);
    commit(&mut sink, 1);
    assert_eq!(names(dir.path()), ["part-0-1-0", "part-0-1-1", "part-0-1-2", "part-0-1-3"]);
    assert_eq!(visible(dir.path()), lines);
    drop(sink);
    let dir = TempDir::new().unwrap();
    let mut sink = FileSink::lines(dir.path()).roll_bytes(4);
    Sink::<str>::open(&mut sink, &context(0, 1, 0), &[]).unwrap();
    write(&mut sink, &["a", "b", "c", "d", "e"]);
    prepare(&mut sink, 1);
    commit(&mut sink, 1);
    assert_eq!(names(dir.path()).len(), 3);
}

#[test]
fn after_rescaling_old_shards_are_dealt_out() {
    let dir = TempDir::new().unwrap();
    let mut lists = Vec::new();
    for shard in 0..4 {
        let mut sink = opened(dir.path(), &context(shard, 4, 0), &[]).unwrap();
        write(&mut sink, &[&format!("kept {shard}")]);
        let list = prepare(&mut sink, 1);
        lists.extend(list.into_iter().map(|list| Committable { shard: ShardId(shard), ..list }));
        write(&mut sink, &["lost"]);
        prepare(&mut sink, 2);
        write(&mut sink, &["lost too"]);
        sink.hand_over().unwrap();
    }
    let sinks: Vec<FileSink> = (0..2)
        .map(|shard| {
            let mine: Vec<Committable> =
                lists.iter().filter(|list| list.shard.0 % 2 == shard).cloned().collect();
            opened(dir.path(), &context(shard, 2, 1), &mine).unwrap()
        })
        .collect();
    assert_eq!(visible(dir.path()), ["kept 0", "kept 1", "kept 2", "kept 3"]);
    assert_eq!(names(dir.path()).len(), 4);
    drop(sinks);
}

#[test]
fn bad_places_are_refused() {
    let dir = TempDir::new().unwrap();
    let refused = |dir: &Path| opened(dir, &context(0, 1, 0), &[]).unwrap_err().what;
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(refused(&file).contains("it is a file; name a directory"));
    assert!(refused(&dir.path().join("none/below")).contains("make the directory"));
    fresh(&dir.path().join("made"));
    let foreign = dir.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("part-list.txt"), "").unwrap();
    assert!(refused(&foreign).contains("part-list.txt was not written by this sink"));
    let used = dir.path().join("used");
    let mut sink = fresh(&used);
    write(&mut sink, &["a"]);
    prepare(&mut sink, 1);
    commit(&mut sink, 1);
    let mut other = context(0, 1, 0);
    other.operator = "another".into();
    assert!(opened(&used, &other, &[]).unwrap_err().what.contains("the sink job/out of this process"));
    drop(sink);
    assert!(refused(&used).contains("holds the output of an earlier run (part-0-1-0)"));
    fs::write(used.join("notes.txt"), "").unwrap();
    opened(&used, &context(0, 1, 1), &[]).unwrap();
}

#[test]
fn a_lost_or_changed_pending_file_is_named() {
    let dir = TempDir::new().unwrap();
    let mut sink = fresh(dir.path());
    write(&mut sink, &["a"]);
    let list = prepare(&mut sink, 1);
    drop(sink);
    let refused = |list: &[Committable]| opened(dir.path(), &context(0, 1, 1), list).unwrap_err().what;
    let pending = dir.path().join(".pending-0-1-0");
    fs::write(&pending, "a\nb").unwrap();
    assert!(refused(&list).contains("has 3 bytes, and the checkpoint holds that it has 2"));
    fs::remove_file(&pending).unwrap();
    assert!(refused(&list).contains("part-0-1-0 is missing"));
    let nonsense = Committable { bytes: vec![9, 9], ..list[0].clone() };
    assert!(refused(&[nonsense]).contains("not one of this sink"));
}

#[test]
fn a_directory_that_vanishes_is_an_error_that_stays() {
    let dir = TempDir::new().unwrap();
    let place = dir.path().join("out");
    let mut sink = fresh(&place);
    fs::remove_dir_all(&place).unwrap();
    write(&mut sink, &["a"]);
    Sink::<str>::prepare(&mut sink, Epoch(1)).unwrap();
    let error = wait(|| Sink::<str>::poll_prepared(&mut sink, Epoch(1))).unwrap_err();
    assert!(error.what.contains("cannot make") && error.what.contains("removed"), "{error}");
    assert!(Sink::<str>::ready(&mut sink));
    assert!(Sink::<str>::commit(&mut sink, Epoch(1)).is_err());
    assert!(Sink::<str>::close(&mut sink).is_err());
}

#[test]
fn a_slow_disk_holds_the_shard_back() {
    let dir = TempDir::new().unwrap();
    let mut sink = fresh(dir.path());
    let line = "x".repeat(CHUNK_BYTES);
    let mut waited = false;
    for _ in 0..1000 {
        write(&mut sink, &[&line]);
        let running = sink.running.as_ref().unwrap();
        if !running.writer.has_room(2 * CHUNK_BYTES) {
            waited = true;
            break;
        }
    }
    assert!(waited, "the queue's size is seen");
    wait(|| if Sink::<str>::ready(&mut sink) { Poll::Ready(Ok(())) } else { Poll::Pending }).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Random runs of a job with failing checkpoints, crashes and a changing number of shards: in the end every number
    /// was written once.
    #[test]
    fn exactly_once_whatever_happens(
        runs in proptest::collection::vec(
            (1u16..4, proptest::collection::vec((0u8..6, 1usize..20), 0..12)),
            1..6,
        ),
    ) {
        let dir = TempDir::new().unwrap();
        // What the newest durable checkpoint holds: epoch, numbers given out, lists of files.
        let (mut epoch, mut durable_count, mut lists) = (0u64, 0usize, Vec::<Committable>::new());
        let last = (1u16, vec![(0u8, 3usize), (3, 1), (4, 1)]);
        for (shards, steps) in runs.into_iter().chain([last]) {
            let mut sinks: Vec<FileSink> = (0..shards)
                .map(|shard| {
                    let mine: Vec<_> =
                        lists.iter().filter(|list| list.shard.0 % shards == shard).cloned().collect();
                    let mut sink = FileSink::lines(dir.path()).roll_records(7);
                    Sink::<str>::open(&mut sink, &context(shard, shards, epoch), &mine).unwrap();
                    sink
                })
                .collect();
            let (mut now, mut count, mut committed) = (epoch, durable_count, true);
            for (kind, n) in steps {
                match kind {
                    0..=2 => {
                        for _ in 0..n {
                            write(&mut sinks[count % usize::from(shards)], &[&count.to_string()]);
                            count += 1;
                        }
                    }
                    3 => {
                        now += 1;
                        let mut cut = Vec::new();
                        for (shard, sink) in (0..).zip(&mut sinks) {
                            let list = prepare(sink, now);
                            cut.extend(list.into_iter().map(|list| Committable { shard: ShardId(shard), ..list }));
                        }
                        // One checkpoint in five fails.
                        if n % 5 != 4 {
                            (epoch, durable_count, lists, committed) = (now, count, cut, false);
                        }
                    }
                    _ if !committed => {
                        sinks.iter_mut().for_each(|sink| commit(sink, epoch));
                        committed = true;
                    }
                    _ => {}
                }
            }
        }
        let mut counts = BTreeMap::new();
        for line in visible(dir.path()) {
            *counts.entry(line.parse::<usize>().unwrap()).or_insert(0) += 1;
        }
        prop_assert_eq!(counts, (0..durable_count).map(|n| (n, 1)).collect());
    }
}

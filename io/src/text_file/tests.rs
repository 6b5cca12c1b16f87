use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use millstream_engine::runtime::Waker;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::lines::Utf8Policy;

fn context() -> ReaderContext {
    ReaderContext { waker: Waker::new(), job: "job".into(), operator: "source".into(), state_dir: None }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A file with these bytes, and the source that reads it.
fn file(name: &str, bytes: &[u8]) -> (TempDir, TextFiles) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (dir, TextFiles::new([path]))
}

fn open(source: &TextFiles, offset: Option<&[u8]>) -> Result<TextReader, SourceError> {
    source.open(&source.partitions()?[0], offset, &context())
}

/// Polls until something was handed out or the end came.
fn next(reader: &mut TextReader, limit: usize) -> Result<(Vec<String>, bool), SourceError> {
    let mut out = Records::with_limit(limit);
    loop {
        let poll = reader.poll(Nanos(0), &mut out)?;
        if poll == SourcePoll::End || !out.is_empty() {
            return Ok((out.drain().map(|(line, _)| line).collect(), poll == SourcePoll::End));
        }
        std::thread::yield_now();
    }
}

fn rest(reader: &mut TextReader) -> Result<Vec<String>, SourceError> {
    let mut lines = Vec::new();
    loop {
        let (some, end) = next(reader, 64)?;
        lines.extend(some);
        if end {
            return Ok(lines);
        }
    }
}

fn all(source: &TextFiles) -> Result<Vec<String>, SourceError> {
    rest(&mut open(source, None)?)
}

fn offset_of(reader: &TextReader) -> Vec<u8> {
    let mut offset = Vec::new();
    reader.offset(&mut offset);
    offset
}

#[test]
fn plain_and_gzip_files_give_the_same_lines() {
    let text = b"to be\r\nor not\n\nto be";
    let expected = ["to be", "or not", "", "to be"];
    let two_members = [gzip(&text[..9]), gzip(&text[9..])].concat();
    for (name, bytes) in
        [("a.txt", text.to_vec()), ("a.gz", gzip(text)), ("unnamed", gzip(text)), ("two.gz", two_members)]
    {
        let (_dir, source) = file(name, &bytes);
        assert_eq!(all(&source).unwrap(), expected, "{name}");
    }
    let (_dir, source) = file("empty", b"");
    assert_eq!(all(&source).unwrap(), Vec::<String>::new());
    let (_dir, source) = file("newline", b"\n");
    assert_eq!(all(&source).unwrap(), [""]);
}

#[test]
fn a_file_larger_than_what_is_read_ahead_comes_whole_and_in_order() {
    let lines: Vec<String> = (0..300_000).map(|i| format!("line {i}")).collect();
    let (_dir, source) = file("big.txt", lines.join("\n").as_bytes());
    assert_eq!(all(&source).unwrap(), lines);
}

#[test]
fn records_are_named_by_file_and_byte() {
    let (_dir, source) = file("words.txt", b"one\ntwo\nthree\n");
    let mut reader = open(&source, None).unwrap();
    let (lines, _) = next(&mut reader, 3).unwrap();
    assert_eq!(lines.len(), 3);
    assert!(reader.place(2).ends_with("words.txt, byte 8"), "{}", reader.place(2));
}

#[test]
fn bad_lines_are_named_or_left_out() {
    let bytes = b"fine\nbad \xff\nfine too\n";
    let (_dir, source) = file("words.txt", bytes);
    let error = all(&source).unwrap_err();
    assert!(
        error.what.contains("words.txt, byte 5: the line is not UTF-8 (byte 5 of it is 0xff)"),
        "{error}"
    );
    let counter = Arc::new(AtomicU64::new(0));
    let skipping =
        source.clone().format(LineFormat::new().utf8(Utf8Policy::Skip).count_skipped(counter.clone()));
    let mut reader = open(&skipping, None).unwrap();
    let (lines, _) = next(&mut reader, 10).unwrap();
    assert_eq!(lines, ["fine", "fine too"]);
    assert!(reader.place(1).ends_with("byte 11"), "{}", reader.place(1));
    assert_eq!(counter.load(Ordering::Relaxed), 1);
    let strict = source.format(LineFormat::new().max_line_bytes(4));
    let error = all(&strict).unwrap_err();
    assert!(error.what.contains("words.txt, byte 5: the line is longer than 4 bytes"), "{error}");
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let (_dir, source) = file("zeros", &vec![b'0'; 3 * 1024 * 1024]);
    let error = all(&source).unwrap_err();
    assert!(error.what.contains("byte 0: the line is longer than 1048576 bytes"), "{error}");
}

#[test]
fn paths_that_cannot_be_read_are_refused() {
    let dir = TempDir::new().unwrap();
    let refused = |source: TextFiles| source.partitions().unwrap_err();
    assert!(refused(TextFiles::new([dir.path().join("none")])).what.contains("none: No such file"));
    assert!(refused(TextFiles::new([dir.path()])).what.contains("it is a directory"));
    assert!(refused(TextFiles::new(["/dev/null"])).what.contains("pipe or device"));
    assert!(refused(TextFiles::new(Vec::<PathBuf>::new())).what.contains("name at least one"));
    let (_dir, source) = file("twice", b"");
    let twice = TextFiles::new([source.paths[0].clone(), source.paths[0].clone()]);
    assert!(refused(twice).what.contains("given twice"));
}

#[test]
fn a_changed_file_is_noticed() {
    for name in ["a.txt", "a.gz"] {
        let pack = |bytes: &[u8]| if name == "a.gz" { gzip(bytes) } else { bytes.to_vec() };
        let (_dir, source) = file(name, &pack(b"one\ntwo\nthree\n"));
        let mut reader = open(&source, None).unwrap();
        next(&mut reader, 2).unwrap();
        let offset = offset_of(&reader);
        std::fs::write(&source.paths[0], pack(b"one\n")).unwrap();
        let error = rest(&mut open(&source, Some(&offset)).unwrap()).unwrap_err();
        assert!(error.what.contains("truncated: it has 4 bytes") && error.what.contains("byte 8"), "{error}");
        std::fs::write(&source.paths[0], pack(b"one\nTWO\nthree\n")).unwrap();
        let error = rest(&mut open(&source, Some(&offset)).unwrap()).unwrap_err();
        assert!(error.what.contains("first 8 bytes differ"), "{error}");
        std::fs::write(&source.paths[0], pack(b"one\ntwo\nthree\nfour\n")).unwrap();
        let grown = rest(&mut open(&source, Some(&offset)).unwrap()).unwrap();
        assert_eq!(grown, ["three", "four"]);
    }
    let (_dir, source) = file("a.txt", b"one\n");
    assert!(
        open(&source, Some(&[1, 2, 3])).err().unwrap().what.contains("has 3 bytes where 16 were expected")
    );
}

#[test]
fn corrupt_gzip_is_named_with_its_byte_and_never_ends_quietly() {
    let text: Vec<u8> =
        (0..4000u32).flat_map(|i| format!("{:x}\n", i.wrapping_mul(2654435761)).into_bytes()).collect();
    let whole = gzip(&text);
    for cut in [0, 1, 5, 12, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        let (_dir, source) = file("a.gz", &whole[..cut]);
        let error = all(&source).unwrap_err();
        assert!(error.what.contains("gzip file at byte") && !error.retryable, "cut {cut}: {error}");
    }
    for flip in [3usize, whole.len() / 3, whole.len() / 2, whole.len() - 6] {
        let mut bytes = whole.clone();
        bytes[flip] ^= 0x40;
        let (_dir, source) = file("a.gz", &bytes);
        match all(&source) {
            Err(error) => assert!(error.what.contains("a.gz is a"), "flip {flip}: {error}"),
            Ok(lines) => {
                assert_eq!(lines.join("\n") + "\n", String::from_utf8(text.clone()).unwrap(), "flip {flip}")
            }
        }
    }
    let (_dir, source) = file("a.gz", b"not packed at all\n");
    assert!(all(&source).unwrap_err().what.contains("corrupt gzip file"), "wrong name");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A reader restored at any offset of an earlier one gives exactly the rest, twice over.
    #[test]
    fn a_restored_reader_gives_exactly_the_rest(
        lines in proptest::collection::vec("[a-z\u{e9}]{0,40}", 0..300),
        first in 1usize..200,
        second in 1usize..100,
        zipped in any::<bool>(),
        crlf in any::<bool>(),
        last_newline in any::<bool>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut text = lines.join(end);
        // Without its delimiter an empty last line does not exist.
        let mut expected = lines.clone();
        if last_newline && !lines.is_empty() {
            text.push_str(end);
        } else if expected.last().is_some_and(|line| line.is_empty()) {
            expected.pop();
        }
        let bytes = if zipped { gzip(text.as_bytes()) } else { text.into_bytes() };
        let (_dir, source) = file("f", &bytes);
        let mut seen = Vec::new();
        let mut offset = None;
        for limit in [first, second] {
            let mut reader = open(&source, offset.as_deref()).unwrap();
            prop_assert_eq!(offset.clone().unwrap_or(vec![0; 16]), offset_of(&reader));
            seen.extend(next(&mut reader, limit).unwrap().0);
            offset = Some(offset_of(&reader));
        }
        seen.extend(rest(&mut open(&source, offset.as_deref()).unwrap()).unwrap());
        prop_assert_eq!(seen, expected);
    }
}

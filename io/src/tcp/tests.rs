use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use millstream_engine::runtime::Waker;
use tempfile::TempDir;

use millstream_engine::journal::OnFailedRecord;

use super::*;
use crate::lines::Utf8Policy;

fn context(state: Option<&Path>) -> ReaderContext {
    ReaderContext {
        waker: Waker::new(),
        job: "job".into(),
        operator: "words in".into(),
        state_dir: state.map(Path::to_owned),
    }
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn open(source: &TcpLines, offset: Option<&[u8]>, state: Option<&Path>) -> Result<TcpReader, SourceError> {
    source.open(&source.partitions()?[0], offset, &context(state))
}

/// Polls until this many lines came, or the end.
fn lines(reader: &mut TcpReader, count: usize) -> Result<Vec<String>, SourceError> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut lines = Vec::new();
    while lines.len() < count {
        let mut out = Records::with_limit(count - lines.len());
        let poll = reader.poll(Nanos(0), &mut out)?;
        lines.extend(out.drain().map(|(line, _)| line));
        if poll == SourcePoll::End {
            break;
        }
        assert!(Instant::now() < deadline, "only {lines:?} came");
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(lines)
}

fn error(reader: &mut TcpReader) -> SourceError {
    lines(reader, 100_000).unwrap_err()
}

fn offset_of(reader: &TcpReader) -> Vec<u8> {
    let mut offset = Vec::new();
    reader.offset(&mut offset);
    offset
}

fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
}

#[test]
fn lines_come_across_reconnections() {
    let (listener, address) = listen();
    let mut reader = open(&TcpLines::new(&address), None, None).unwrap();
    let mut peer = listener.accept().unwrap().0;
    send(&mut peer, "a\r\nb\nhal");
    assert_eq!(lines(&mut reader, 1).unwrap(), ["a"]);
    assert_eq!(lines(&mut reader, 1).unwrap(), ["b"]);
    assert_eq!(reader.place(0), format!("{address}, line 2"));
    send(&mut peer, "f\nlast");
    drop(peer);
    assert_eq!(lines(&mut reader, 2).unwrap(), ["half", "last"]);
    let mut peer = listener.accept().unwrap().0;
    send(&mut peer, "again\n");
    assert_eq!(lines(&mut reader, 1).unwrap(), ["again"]);
}

#[test]
fn the_end_of_the_peer_is_the_end_where_that_is_asked_for() {
    let (listener, address) = listen();
    let source = TcpLines::new(&address).end_at_eof();
    assert!(source.bounded() && !TcpLines::new(&address).bounded());
    let mut reader = open(&source, None, None).unwrap();
    let mut peer = listener.accept().unwrap().0;
    send(&mut peer, "a\nb");
    drop(peer);
    assert_eq!(lines(&mut reader, 10).unwrap(), ["a", "b"]);
}

#[test]
fn a_restart_without_journal_closes_the_connection_and_makes_another() {
    let (listener, address) = listen();
    let source = TcpLines::new(&address);
    assert!(matches!(source.replay(), Replay::No { because } if because.contains("journal")));
    let mut reader = open(&source, None, None).unwrap();
    let mut peer = listener.accept().unwrap().0;
    send(&mut peer, "a\n");
    lines(&mut reader, 1).unwrap();
    let offset = offset_of(&reader);
    drop(reader);
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0, "the old connection is closed");
    let mut reader = open(&source, Some(&offset), None).unwrap();
    let mut peer = listener.accept().unwrap().0;
    send(&mut peer, "b\n");
    assert_eq!(lines(&mut reader, 1).unwrap(), ["b"]);
    assert_eq!(reader.place(0), format!("{address}, line 2"));
}

#[test]
fn a_peer_that_is_not_there_is_waited_for_and_then_an_error() {
    let (listener, address) = listen();
    drop(listener);
    let source = TcpLines::new(&address).connect_timeout(Duration::from_millis(120));
    let refused = error(&mut open(&source, None, None).unwrap());
    assert!(refused.retryable && refused.what.contains("refused"), "{refused}");
    assert!(refused.what.contains(&address) && refused.what.contains("connect_timeout"), "{refused}");
    // A peer that starts late is found.
    let late = TcpLines::new(&address).connect_timeout(Duration::from_secs(10));
    let mut reader = open(&late, None, None).unwrap();
    std::thread::sleep(Duration::from_millis(120));
    let listener = TcpListener::bind(&address).unwrap();
    send(&mut listener.accept().unwrap().0, "a\n");
    assert_eq!(lines(&mut reader, 1).unwrap(), ["a"]);
}

#[test]
fn bad_settings_and_lines_are_refused() {
    for address in ["localhost", "localhost:", ":9", "localhost:x", "localhost:0", "localhost:70000"] {
        let error = TcpLines::new(address).partitions().unwrap_err();
        assert!(error.what.contains("is not HOST:PORT"), "{error}");
    }
    let no_place = TcpLines::new("localhost:1").journal(JournalOptions::new());
    assert!(open(&no_place, None, None).err().unwrap().what.contains("the journal has no place"));
    let (listener, address) = listen();
    let source = TcpLines::new(&address).format(LineFormat::new().max_line_bytes(10));
    let mut reader = open(&source, None, None).unwrap();
    let mut peer = listener.accept().unwrap().0;
    send(&mut peer, "fine\nmuch too long");
    assert_eq!(lines(&mut reader, 1).unwrap(), ["fine"]);
    send(&mut peer, "!");
    assert!(error(&mut reader).what.contains("longer than 10 bytes"));
    let mut reader = open(&TcpLines::new(&address), None, None).unwrap();
    let mut peer = listener.accept().unwrap().0;
    peer.write_all(b"fine\n\xff\n").unwrap();
    let text = error(&mut reader);
    assert!(text.what.starts_with(&format!("{address}, line 2: the line is not UTF-8 (byte 1")), "{text}");
    let lossy = TcpLines::new(&address).format(LineFormat::new().utf8(Utf8Policy::Lossy));
    let mut reader = open(&lossy, None, None).unwrap();
    listener.accept().unwrap().0.write_all(b"\xff\n").unwrap();
    assert_eq!(lines(&mut reader, 1).unwrap(), ["\u{fffd}"]);
}

/// The table of RS-09 with no pause at all: all lines come at once, and each ERROR fails the job.
#[test]
fn with_a_journal_a_restart_in_the_process_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let (listener, address) = listen();
    let options = JournalOptions::new().on_failed_record(OnFailedRecord::Skip);
    let source = TcpLines::new(&address).journal(options);
    assert_eq!(source.replay(), Replay::Yes);
    let mut reader = open(&source, None, Some(dir.path())).unwrap();
    let mut peer = listener.accept().unwrap().0;
    send(&mut peer, "a\na\nb\nERROR\nb\na\nERROR\na\n");
    let mut seen = Vec::new();
    let mut restarts = 0;
    while seen.len() < 8 {
        let line = lines(&mut reader, 1).unwrap().remove(0);
        if line == "ERROR" {
            // The newest checkpoint lies before the failed line.
            let [id, next] = offset::decode(&PartitionId(String::new()), &offset_of(&reader)).unwrap();
            let mut offset = Vec::new();
            offset::encode([id, next - 1], &mut offset);
            reader.mark_failed(0).unwrap();
            drop(reader);
            restarts += 1;
            // What comes during the restart is not lost, either.
            send(&mut peer, &format!("restart {restarts}\n"));
            reader = open(&source, Some(&offset), Some(dir.path())).unwrap();
            continue;
        }
        seen.push(line);
    }
    assert_eq!(seen, ["a", "a", "b", "b", "a", "a", "restart 1", "restart 2"]);
    assert_eq!(restarts, 2);
}

/// A journal is read again from where each of two checkpoints stood, and from the beginning without one.
#[test]
fn a_journal_is_replayed_from_any_offset() {
    let dir = TempDir::new().unwrap();
    let (listener, address) = listen();
    let source =
        TcpLines::new(&address).journal(JournalOptions::new().dir(dir.path()).sync_before_hand_out());
    let all: Vec<String> = (0..500).map(|n| format!("line {n}")).collect();
    let mut reader = open(&source, None, None).unwrap();
    let mut peer = listener.accept().unwrap().0;
    send(&mut peer, &(all[..300].join("\n") + "\n"));
    let mut offsets = vec![(0, None), (0, Some(offset_of(&reader)))];
    for at in [1, 137, 300] {
        lines(&mut reader, at - offsets.last().unwrap().0).unwrap();
        offsets.push((at, Some(offset_of(&reader))));
    }
    send(&mut peer, &(all[300..].join("\n") + "\n"));
    for (at, offset) in &offsets {
        drop(reader);
        reader = open(&source, offset.as_deref(), None).unwrap();
        assert_eq!(lines(&mut reader, 500 - at).unwrap(), all[*at..]);
    }
    reader.trim(&offset_of(&reader)).unwrap();
    let other = offset_of(&reader).iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
    let refused = open(&source, Some(&other), None).err().unwrap();
    assert!(refused.what.contains("is not the one that the checkpoint knows"), "{refused}");
    // Only a reader that takes over cuts the earlier one off.
    let mut second = open(&source, Some(&offset_of(&reader)), None).unwrap();
    assert!(error(&mut reader).what.contains("another reader"), "cut off");
    send(&mut peer, "more\n");
    assert_eq!(lines(&mut second, 1).unwrap(), ["more"]);
}

#[test]
fn a_line_that_is_not_text_is_marked_and_left_out() {
    let dir = TempDir::new().unwrap();
    let (listener, address) = listen();
    let options = JournalOptions::new().dir(dir.path()).on_failed_record(OnFailedRecord::Skip);
    let source = TcpLines::new(&address).journal(options);
    let mut reader = open(&source, None, None).unwrap();
    let mut peer = listener.accept().unwrap().0;
    peer.write_all(b"a\n\xff\nb\n").unwrap();
    assert!(error(&mut reader).what.contains("line 2"));
    drop(reader);
    let mut reader = open(&source, None, None).unwrap();
    assert_eq!(lines(&mut reader, 2).unwrap(), ["a", "b"]);
}

#[test]
fn a_connection_nobody_reads_is_given_up() {
    let dir = TempDir::new().unwrap();
    let (listener, address) = listen();
    let options = JournalOptions::new().dir(dir.path());
    let source = TcpLines::new(&address).journal(options).linger(Duration::from_millis(50));
    let mut reader = open(&source, None, None).unwrap();
    let mut peer = listener.accept().unwrap().0;
    send(&mut peer, "a\nb\n");
    lines(&mut reader, 1).unwrap();
    let offset = offset_of(&reader);
    drop(reader);
    let mut end = String::new();
    BufReader::new(&peer).read_line(&mut end).unwrap();
    assert_eq!(end, "", "the connection is closed");
    // A new reader connects anew, after what the journal has.
    let mut reader = open(&source, Some(&offset), None).unwrap();
    send(&mut listener.accept().unwrap().0, "c\n");
    assert_eq!(lines(&mut reader, 2).unwrap(), ["b", "c"]);
}

#[test]
fn the_end_of_the_peer_is_kept_for_the_next_reader() {
    let dir = TempDir::new().unwrap();
    let (listener, address) = listen();
    let source = TcpLines::new(&address).end_at_eof().journal(JournalOptions::new().dir(dir.path()));
    let mut reader = open(&source, None, None).unwrap();
    send(&mut listener.accept().unwrap().0, "a\nb\n");
    assert_eq!(lines(&mut reader, 9).unwrap(), ["a", "b"]);
    drop(reader);
    let mut reader = open(&source, None, None).unwrap();
    assert_eq!(lines(&mut reader, 9).unwrap(), ["a", "b"]);
}

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn small() -> Settings {
    Settings { segment_bytes: 128, sync_every: Duration::from_millis(1) }
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, small()).unwrap()
}

fn read(journal: &Journal, seq: u64) -> Vec<(u64, Vec<u8>)> {
    journal.read_from(seq).unwrap().map(|entry| entry.map(|e| (e.seq, e.payload)).unwrap()).collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    segment::list(dir).unwrap().into_iter().map(|first| segment::path(dir, first)).collect()
}

fn eventually(what: impl Fn() -> bool) {
    for _ in 0..2000 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it did not happen within two seconds");
}

#[test]
fn what_was_appended_is_read_again_after_reopening() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.append(b"a").unwrap(), 0);
    assert_eq!(journal.append_all([&b"b"[..], b"", &[7; 500]]).unwrap(), 1);
    assert_eq!(journal.append_all([]).unwrap(), 4);
    let expected = vec![(1, b"b".to_vec()), (2, vec![]), (3, vec![7; 500])];
    assert_eq!(read(&journal, 1), expected);
    let id = journal.id();
    drop(journal);
    let journal = open(dir.path());
    assert_eq!((journal.id(), journal.next()), (id, 4));
    assert_eq!(read(&journal, 1), expected);
    assert_eq!(journal.append(b"c").unwrap(), 4);
    assert_eq!(read(&journal, 4), [(4, b"c".to_vec())]);
    assert_eq!(read(&journal, 5), []);
}

#[test]
fn appends_become_durable_by_themselves_or_when_asked() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    journal.append(b"a").unwrap();
    eventually(|| journal.durable_up_to() == 1);
    journal.append(b"b").unwrap();
    journal.sync().unwrap();
    assert_eq!(journal.durable_up_to(), 2);
}

#[test]
fn trimming_removes_whole_segments_and_keeps_the_numbers() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    for n in 0..40u8 {
        journal.append(&[n; 20]).unwrap();
    }
    let before = segments(dir.path()).len();
    assert!(before > 5);
    journal.trim_to(20);
    eventually(|| segments(dir.path()).len() < before);
    assert!(journal.first() <= 20 && journal.first() > 10, "{}", journal.first());
    assert_eq!(read(&journal, 20).len(), 20);
    assert!(matches!(journal.read_from(0), Err(JournalError::Trimmed { wanted: 0, .. })));
    journal.trim_to(1000);
    eventually(|| segments(dir.path()).len() == 1);
    drop(journal);
    let journal = open(dir.path());
    assert_eq!(journal.next(), 40);
}

#[test]
fn failed_records_stay_marked_until_they_are_trimmed() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    for n in 0..40u8 {
        journal.append(&[n; 20]).unwrap();
    }
    journal.mark_failed(3).unwrap();
    journal.mark_failed(39).unwrap();
    journal.mark_failed(39).unwrap();
    drop(journal);
    // A torn last mark.
    let path = dir.path().join("failed");
    let mut bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 32);
    bytes.extend_from_slice(&[1, 2, 3]);
    fs::write(&path, &bytes).unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.failed(), BTreeSet::from([3, 39]));
    journal.trim_to(30);
    eventually(|| journal.first() > 3);
    drop(journal);
    assert_eq!(open(dir.path()).failed(), BTreeSet::from([39]));
    assert_eq!(fs::read(&path).unwrap().len(), 16);
}

#[test]
fn a_journal_has_one_owner() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    let error = Journal::open(dir.path(), small()).unwrap_err();
    assert!(error.to_string().contains("in use by process"), "{error}");
    drop(journal);
    open(dir.path());
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Journal::open(&file, small()), Err(JournalError::Io { .. })));
}

#[test]
fn numbers_lost_with_the_power_are_a_gap() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    journal.append(b"a").unwrap();
    journal.skip_to(5).unwrap();
    journal.skip_to(2).unwrap();
    assert_eq!(journal.append(b"f").unwrap(), 5);
    assert_eq!(read(&journal, 5), [(5, b"f".to_vec())]);
    let errors: Vec<_> = journal.read_from(0).unwrap().map(|e| e.map_err(|e| e.to_string())).collect();
    assert!(errors[1].as_ref().unwrap_err().contains("lacks the records 1 to 4"), "{errors:?}");
    assert_eq!(errors.len(), 2);
    drop(journal);
    assert_eq!(read(&open(dir.path()), 5), [(5, b"f".to_vec())]);
}

/// Cuts the last segment at every byte: whole records stay, nothing else does, and the journal goes on.
#[test]
fn a_torn_end_is_cut_at_every_byte() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path(), Settings { segment_bytes: 1 << 20, ..small() }).unwrap();
    let payloads: Vec<Vec<u8>> = (0..6).map(|n| vec![n as u8 + 1; n * 3 + 1]).collect();
    for payload in &payloads {
        journal.append(payload).unwrap();
    }
    drop(journal);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    for garbage in [&[][..], &[0; 40], &[0xff; 5]] {
        for cut in 0..=whole.len() {
            let mut bytes = whole[..cut].to_vec();
            if cut >= segment::HEADER_BYTES {
                bytes.extend_from_slice(garbage);
            }
            // The run before may have begun another segment.
            segments(dir.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
            fs::write(&path, &bytes).unwrap();
            let journal = open(dir.path());
            let kept = read(&journal, 0);
            let mut end = segment::HEADER_BYTES;
            let expected = payloads
                .iter()
                .take_while(|payload| {
                    end += segment::RECORD_HEADER_BYTES + payload.len();
                    end <= cut
                })
                .count();
            assert_eq!(kept.len(), expected, "cut at {cut}");
            assert_eq!(journal.append(b"next").unwrap(), expected as u64);
            drop(journal);
            let again = read(&open(dir.path()), 0);
            assert_eq!(again[..expected], kept[..]);
            assert_eq!(again[expected].1, b"next");
        }
    }
}

/// A flipped bit before the last record is damage, and named; in the last record it cannot be told from a torn end.
#[test]
fn damage_is_named_with_file_and_byte() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path(), Settings { segment_bytes: 1 << 20, ..small() }).unwrap();
    for payload in [&b"first"[..], b"second", b"third"] {
        journal.append(payload).unwrap();
    }
    drop(journal);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let last = whole.len() - segment::RECORD_HEADER_BYTES - 5;
    for byte in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        match Journal::open(dir.path(), small()) {
            Ok(journal) => {
                assert!(byte >= last, "flip at {byte} went unnoticed");
                assert_eq!(journal.next(), 2);
            }
            Err(JournalError::Corrupt { at, .. }) => assert!(at as usize <= byte && byte < last),
            Err(JournalError::Version { found, .. }) => assert!(found != 1 && (8..12).contains(&byte)),
            Err(error) => panic!("flip at {byte}: {error}"),
        }
    }
}

#[test]
fn damage_in_an_earlier_segment_is_found_when_it_is_read() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    for n in 0..20u8 {
        journal.append(&[n; 30]).unwrap();
    }
    let path = segments(dir.path()).remove(1);
    let whole = fs::read(&path).unwrap();
    for byte in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = journal.read_from(0).unwrap().find_map(Result::err).expect("damage is noticed");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    for cut in segment::HEADER_BYTES..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(journal.read_from(0).unwrap().any(|entry| entry.is_err()), "cut at {cut}");
    }
}

#[test]
fn a_payload_that_looks_like_a_record_is_only_a_payload() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    let mut forged = Vec::new();
    segment::encode(journal.id() ^ 1, 1, b"forged", &mut forged).unwrap();
    journal.append(&forged).unwrap();
    drop(journal);
    let path = segments(dir.path()).remove(0);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(open(dir.path()).next(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Appends, trims, marks and reopenings against a vector.
    #[test]
    fn a_journal_is_a_vector_that_survives(
        steps in proptest::collection::vec((0u8..8, proptest::collection::vec(any::<u8>(), 0..60)), 1..60),
    ) {
        let dir = TempDir::new().unwrap();
        let mut journal = open(dir.path());
        let (mut model, mut trimmed) = (Vec::<Vec<u8>>::new(), 0);
        for (kind, payload) in steps {
            match kind {
                0..=4 => {
                    prop_assert_eq!(journal.append(&payload).unwrap(), model.len() as u64);
                    model.push(payload);
                }
                5 => {
                    drop(journal);
                    journal = open(dir.path());
                }
                6 => {
                    trimmed = trimmed.max(model.len() as u64 / 2);
                    journal.trim_to(trimmed);
                }
                _ => {
                    let from = trimmed + (model.len() as u64 - trimmed) / 2;
                    let expected: Vec<_> = (from..).zip(model[from as usize..].iter().cloned()).collect();
                    prop_assert_eq!(read(&journal, from), expected);
                }
            }
        }
    }
}

//! Bytes that changed, or are missing: always noticed, never a panic.

use proptest::prelude::*;

use super::*;
use crate::checkpoint::codec::{Reader, Writer};
use crate::checkpoint::history::History;
use crate::checkpoint::record::Checkpoint;

/// Opens and reads everything. `Ok` means: nothing was noticed, and everything is as it was.
fn read_everything(disk: &SimDisk, model: &Model) -> Result<OpenReport, String> {
    let (store, report) = open(disk.shared()).map_err(|error| error.to_string())?;
    let newest = store.checkpoints().first().map(|info| info.epoch);
    assert_eq!(newest, model.newest(), "a sealed checkpoint never vanishes silently");
    for info in store.checkpoints() {
        let job = store.load(info.epoch).map_err(|error| error.to_string())?;
        let read = read_back(disk.shared(), &job).map_err(|error| error.to_string())?;
        assert_eq!(read, model.committed[&info.epoch]);
    }
    Ok(report)
}

fn copy_with(disk: &SimDisk, path: &Path, bytes: &[u8]) -> SimDisk {
    let copy = disk.copy();
    copy.create(path).unwrap().write_all_at(bytes, 0).unwrap();
    copy
}

#[test]
fn a_flipped_bit_or_a_cut_anywhere_is_noticed_or_harmless() {
    let (disk, model) = quiet_job(11, 6);
    assert_eq!(read_everything(&disk, &model), Ok(OpenReport::default()));
    let mut random = Random(1);
    let (mut noticed, mut harmless) = (0, 0);
    for path in disk.paths().into_iter().filter(|path| !path.ends_with("LOCK")) {
        let whole = disk.contents(&path).unwrap();
        // The preallocated zeros are many and all alike: look mostly at what was written.
        let written = whole.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1000;
        for _ in 0..120 {
            let mut bytes = whole.clone();
            let place = random.below(written.min(bytes.len()) as u64) as usize;
            if random.one_in(4) {
                bytes.truncate(place);
            } else {
                bytes[place] ^= 1 << random.below(8);
            }
            match read_everything(&copy_with(&disk, &path, &bytes), &model) {
                Ok(_) => harmless += 1,
                Err(text) => {
                    assert!(text.contains(path.to_str().unwrap()) || text.contains(DIR), "{text}");
                    noticed += 1;
                }
            }
        }
    }
    assert!(noticed > 200 && harmless > 10, "{noticed} {harmless}");
}

#[test]
fn a_missing_delta_is_named() {
    let (disk, model) = quiet_job(12, 5);
    let path = disk.paths().into_iter().find(|path| path.extension().is_some()).unwrap();
    disk.remove(&path).unwrap();
    let text = read_everything(&disk, &model).unwrap_err();
    assert!(text.contains(path.to_str().unwrap()) && text.contains("is missing"), "{text}");
}

#[test]
fn a_damaged_manifest_can_be_opened_at_a_checkpoint_before_the_damage() {
    let (disk, mut model) = quiet_job(13, 5);
    let manifest = dir().join("MANIFEST");
    let mut bytes = disk.contents(&manifest).unwrap();
    let last = bytes.windows(4).rposition(|window| window == b"MREC").unwrap();
    let previous = bytes[..last].windows(4).rposition(|window| window == b"MREC").unwrap();
    bytes[previous + 40] ^= 1;
    let disk = copy_with(&disk, &manifest, &bytes);
    match open(disk.shared()).err().unwrap() {
        StateDirError::DamagedManifest { offset, retained, .. } => {
            assert_eq!(offset, previous as u64);
            assert_eq!(retained, [Epoch(2), Epoch(3), Epoch(4)]);
        }
        other => panic!("{other}"),
    }
    let options = StoreOptions { retain: 3, from: Some(Epoch(4)) };
    let (mut store, report) = CheckpointStore::open(disk.shared(), dir(), &identity(), options).unwrap();
    assert!(report.damage.is_some());
    store.start_run(Some(Epoch(4))).unwrap();
    drop(store);
    model.committed.remove(&Epoch(5));
    assert_eq!(read_everything(&disk, &model), Ok(OpenReport::default()));
}

#[test]
fn a_torn_last_record_without_a_seal_is_ignored_and_told() {
    let (disk, mut model) = quiet_job(14, 4);
    let manifest = dir().join("MANIFEST");
    let mut bytes = disk.contents(&manifest).unwrap();
    let seal = bytes.windows(4).rposition(|window| window == b"MREC").unwrap();
    let record = bytes[..seal].windows(4).rposition(|window| window == b"MREC").unwrap();
    bytes[seal..seal + 512].fill(0);
    // Without the seal, but whole, the record counts.
    assert_eq!(read_everything(&copy_with(&disk, &manifest, &bytes), &model), Ok(OpenReport::default()));
    bytes[record + 40] ^= 1;
    let disk = copy_with(&disk, &manifest, &bytes);
    model.committed.remove(&Epoch(4));
    let report = read_everything(&disk, &model).unwrap();
    assert_eq!(report.torn_tail.unwrap().offset, record as u64);
    let (mut store, _) = open(disk.shared()).unwrap();
    store.start_run(Some(Epoch(3))).unwrap();
    drop(store);
    assert_eq!(read_everything(&disk, &model).unwrap().torn_tail, None);
}

proptest! {
    #[test]
    fn random_bytes_are_no_manifest(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let (disk, _) = quiet_job(1, 0);
        let disk = copy_with(&disk, &dir().join("MANIFEST"), &bytes);
        prop_assert!(open(disk.shared()).is_err());
    }

    #[test]
    fn records_that_pass_their_crc_by_accident_never_panic(
        seed in 0u64..4,
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (disk, _) = quiet_job(seed, 4);
        let (store, _) = open(disk.shared()).unwrap();
        let mut out = Writer::new();
        store.history().put(&mut out);
        let mut bytes = out.into_bytes();
        for (place, bit) in damage {
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(mut history) = History::get(&mut Reader::new(&bytes)) {
            let epochs: Vec<Epoch> = history.retained().map(|retained| retained.epoch).collect();
            for epoch in epochs {
                history.maps_of(epoch);
            }
            history.rewind(None);
            prop_assert_eq!(history.files().count(), 0);
        }
        if let Ok(checkpoint) = Checkpoint::get(&mut Reader::new(&bytes)) {
            store.history().misfit(&checkpoint);
        }
    }
}

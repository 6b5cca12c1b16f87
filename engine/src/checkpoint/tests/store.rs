//! The store: who may open it, what is kept, going back, another number of shards.

use super::*;
use crate::disk::RealDisk;

fn job(shards: u16) -> (SimDisk, Job, Model) {
    let disk = SimDisk::new(3, Default::default());
    let (store, _) = open(disk.shared()).unwrap();
    let model = Model::default();
    let job = Job::start(&disk, store, shards, &model).unwrap();
    (disk, job, model)
}

fn pages(range: std::ops::Range<u32>, version: u64) -> Change {
    Change { pages: range.map(|no| (page(0, no), version)).collect(), ..Change::default() }
}

fn deltas(disk: &SimDisk) -> Vec<String> {
    disk.list(&dir().join(DELTA_DIR)).unwrap()
}

#[test]
fn a_directory_of_someone_else_is_refused_and_left_as_it_was() {
    let disk = SimDisk::new(1, Default::default());
    disk.create_dir_all(dir()).unwrap();
    disk.create(&dir().join("letters.txt")).unwrap();
    let error = open(disk.shared()).err().unwrap();
    assert!(matches!(&error, StateDirError::NotAStateDir { .. }), "{error}");
    assert!(error.to_string().contains("letters.txt"));
    assert_eq!(disk.list(dir()).unwrap(), ["letters.txt"]);

    let (disk, _) = quiet_job(1, 2);
    disk.remove(&dir().join("MANIFEST")).unwrap();
    let text = open(disk.shared()).err().unwrap().to_string();
    assert!(text.contains("MANIFEST is missing"), "{text}");
}

#[test]
fn the_job_the_format_and_the_holder_must_be_right() {
    let (disk, _) = quiet_job(1, 2);
    let other = JobIdentity { job: "other".to_owned(), hash_seed: HashSeed(1) };
    let opened = CheckpointStore::open(disk.shared(), dir(), &other, StoreOptions::default());
    let text = opened.err().unwrap().to_string();
    assert!(text.contains("`job`") && text.contains("`other`"), "{text}");

    let held = open(disk.shared()).unwrap();
    match open(disk.shared()).err().unwrap() {
        StateDirError::InUse { pid, .. } => assert_eq!(pid, std::process::id().to_string()),
        other => panic!("{other}"),
    }
    assert_eq!(held.0.hash_seed(), HashSeed(42));
    drop(held);

    let file = disk.open(&dir().join("MANIFEST")).unwrap();
    let mut identity = [0; 24];
    file.read_exact_at(&mut identity, 0).unwrap();
    identity[16] = 77;
    let crc = crc32fast::hash(&identity[..20]);
    identity[20..].copy_from_slice(&crc.to_le_bytes());
    file.write_all_at(&identity, 0).unwrap();
    match open(disk.shared()).err().unwrap() {
        StateDirError::OtherFormat { found, wanted, .. } => assert_eq!((found, wanted), (77, FORMAT_VERSION)),
        other => panic!("{other}"),
    }
}

#[test]
fn places_that_cannot_be_a_directory_are_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for path in [file.clone(), file.join("below")] {
        let opened = CheckpointStore::open(RealDisk::shared(), &path, &identity(), StoreOptions::default());
        let text = opened.err().unwrap().to_string();
        assert!(text.contains("file") && text.contains("name a directory"), "{text}");
    }
}

#[test]
fn old_checkpoints_and_their_files_go_and_their_live_pages_stay() {
    let (disk, mut job, mut model) = job(1);
    job.checkpoint(&[pages(0..50, 1)], &mut model).unwrap();
    for version in 2..=5 {
        let report = job.checkpoint(&[pages(0..30, version)], &mut model).unwrap();
        assert_eq!(report.oldest_retained, Epoch(version.saturating_sub(2).max(1)));
        job.store.tidy().unwrap();
    }
    // Pages 30 to 49 still lie in the first file.
    assert_eq!(deltas(&disk), ["1-0.delta", "3-0.delta", "4-0.delta", "5-0.delta"]);
    let epochs: Vec<Epoch> = job.store.checkpoints().iter().map(|info| info.epoch).collect();
    assert_eq!(epochs, [Epoch(5), Epoch(4), Epoch(3)]);
    verify(disk.shared(), &job.store, &model);
    match job.store.load(Epoch(2)).unwrap_err() {
        RestoreError::NoSuchCheckpoint { asked: Epoch(2), available, .. } => assert_eq!(available, epochs),
        other => panic!("{other}"),
    }
}

#[test]
fn keeping_fewer_checkpoints_than_before_lets_all_their_files_go() {
    let (disk, mut job, mut model) = job(1);
    for version in 1..=3 {
        job.checkpoint(&[pages(0..50, version)], &mut model).unwrap();
    }
    drop(job);
    let options = StoreOptions { retain: 1, ..StoreOptions::default() };
    let (store, _) = CheckpointStore::open(disk.shared(), dir(), &identity(), options).unwrap();
    let mut job = Job::start(&disk, store, 1, &model).unwrap();
    assert_eq!(deltas(&disk), ["1-0.delta", "2-0.delta", "3-0.delta"]);
    job.checkpoint(&[pages(0..30, 4)], &mut model).unwrap();
    job.store.tidy().unwrap();
    assert_eq!(deltas(&disk), ["3-0.delta", "4-0.delta"]);
    verify(disk.shared(), &job.store, &model);
    drop(job);
    let (store, _) = CheckpointStore::open(disk.shared(), dir(), &identity(), options).unwrap();
    verify(disk.shared(), &store, &model);
    let mut job = Job::start(&disk, store, 1, &model).unwrap();
    job.checkpoint(&[pages(0..50, 5)], &mut model).unwrap();
    job.store.tidy().unwrap();
    assert_eq!(deltas(&disk), ["5-0.delta"]);
    verify(disk.shared(), &job.store, &model);
}

#[test]
fn a_map_that_was_loaded_stays_what_it_was() {
    let (disk, mut job, mut model) = job(1);
    job.checkpoint(&[pages(0..10, 1)], &mut model).unwrap();
    let loaded = job.store.load(Epoch(1)).unwrap();
    let before = read_back(disk.shared(), &loaded).unwrap();
    job.checkpoint(&[pages(5..15, 2)], &mut model).unwrap();
    assert_eq!(read_back(disk.shared(), &loaded).unwrap(), before);
    assert_eq!(before, model.committed[&Epoch(1)]);
    verify(disk.shared(), &job.store, &model);
}

#[test]
fn nearly_empty_files_are_emptied() {
    let (disk, mut job, mut model) = job(1);
    job.checkpoint(&[pages(0..100, 1)], &mut model).unwrap();
    job.checkpoint(&[pages(0..80, 2)], &mut model).unwrap();
    assert_eq!(job.store.sparse_pages(ShardId(0), 5), [], "a file goes as a whole");
    let mut sparse = job.store.sparse_pages(ShardId(0), 1000);
    assert_eq!(sparse, (80..100).map(|no| page(0, no)).collect::<Vec<_>>());
    for _ in 0..4 {
        let change = Change { pages: sparse.iter().map(|id| (*id, 1)).collect(), ..Change::default() };
        job.checkpoint(&[change], &mut model).unwrap();
        job.store.tidy().unwrap();
        sparse = job.store.sparse_pages(ShardId(0), 1000);
        assert_eq!(sparse, []);
    }
    assert_eq!(deltas(&disk), ["2-0.delta", "3-0.delta"]);
    verify(disk.shared(), &job.store, &model);
}

#[test]
fn a_run_from_an_older_checkpoint_drops_the_younger_ones() {
    let (disk, mut job, mut model) = job(2);
    for version in 1..=4 {
        let changes = [pages(0..20, version), pages(version as u32..25, version + 100)];
        job.checkpoint(&changes, &mut model).unwrap();
    }
    job.store.allow_sink_commits(Epoch(3)).unwrap();
    let mut store = job.store;
    store.start_run(Some(Epoch(3))).unwrap();
    model.committed.remove(&Epoch(4));
    verify(disk.shared(), &store, &model);
    assert_eq!(store.next_epoch(), Epoch(5), "an epoch is used once");
    drop(store);

    let (store, _) = open(disk.shared()).unwrap();
    assert_eq!(store.sinks_may_have_committed(), Epoch(3));
    verify(disk.shared(), &store, &model);
    let mut job = Job::start(&disk, store, 2, &model).unwrap();
    assert!(deltas(&disk).iter().all(|name| !name.starts_with('4')));
    job.checkpoint(&[pages(0..3, 9), pages(0..3, 9)], &mut model).unwrap();
    verify(disk.shared(), &job.store, &model);

    job.store.start_run(None).unwrap();
    assert!(job.store.checkpoints().is_empty() && deltas(&disk).is_empty());
    assert_eq!(job.store.next_epoch(), Epoch(6));
}

#[test]
fn another_number_of_shards_takes_over_pages_where_they_lie() {
    let (disk, mut job, mut model) = job(2);
    job.checkpoint(&[pages(0..10, 1), pages(0..10, 2)], &mut model).unwrap();
    let restored = job.store.load(Epoch(1)).unwrap();
    let adopted = restored.shards.iter().enumerate().flat_map(|(shard, restored)| {
        restored.pages.iter().map(move |(id, entry)| (page(shard as u16, id.page.0), entry))
    });
    let change = Change {
        adopted: adopted.collect(),
        pages: [(page(0, 3), 77)].into(),
        meta: vec![1; 20_000],
        ..Change::default()
    };
    let epoch = job.store.next_epoch();
    let delta = write_delta(job.disks[0].as_mut(), &mut job.writers[0], epoch, &change).unwrap();
    let record = CheckpointRecord {
        epoch,
        shards: vec![delta],
        meta: b"checkpoint 2".to_vec(),
        fresh_maps: false,
        sinks_commit: false,
    };
    let misfit = job.store.commit(record.clone()).unwrap_err();
    assert!(matches!(misfit, CheckpointError::Misfit { .. }), "{misfit}");
    job.store.commit(CheckpointRecord { fresh_maps: true, ..record }).unwrap();
    let mut pages: BTreeMap<PageId, u64> =
        (0..20).map(|no| (page(no / 10, u32::from(no % 10)), u64::from(no / 10) + 1)).collect();
    pages.insert(page(0, 3), 77);
    model.committed.insert(epoch, Snapshot { shards: vec![pages], metas: vec![change.meta.clone()] });
    verify(disk.shared(), &job.store, &model);
    drop(job);

    let (mut store, _) = open(disk.shared()).unwrap();
    verify(disk.shared(), &store, &model);
    store.start_run(Some(Epoch(1))).unwrap();
    assert_eq!(store.checkpoints()[0].shards, 2);
    verify(disk.shared(), &store, &model);
}

#[test]
fn the_log_is_written_anew_when_it_is_long() {
    let (disk, mut job, mut model) = job(1);
    let mut rebased = 0;
    for version in 1..=300u64 {
        let removed = (0..2000).map(|no| page(0, no)).collect();
        let change = Change { meta: vec![version as u8; 10_000], removed, ..Change::default() };
        job.checkpoint(&[change], &mut model).unwrap();
        rebased += usize::from(job.store.tidy().unwrap().rebased);
    }
    assert!((1..=4).contains(&rebased), "{rebased}");
    assert!(disk.contents(&dir().join("MANIFEST")).unwrap().len() < 7_000_000);
    drop(job);
    let (store, _) = open(disk.shared()).unwrap();
    assert_eq!(store.checkpoints().len(), 3);
    verify(disk.shared(), &store, &model);
}

#[test]
fn going_back_by_itself_needs_uncommitted_sinks_and_journals() {
    assert_eq!(may_go_back(Epoch(9), Some(Epoch(8)), Epoch(8), true), Ok(Epoch(8)));
    let refused = may_go_back(Epoch(9), Some(Epoch(8)), Epoch(9), true).unwrap_err().to_string();
    assert!(refused.contains("--from 8") && refused.contains("a second time"), "{refused}");
    let refused = may_go_back(Epoch(9), Some(Epoch(8)), Epoch(0), false).unwrap_err().to_string();
    assert!(refused.contains("lose the input"), "{refused}");
    assert_eq!(
        may_go_back(Epoch(9), None, Epoch(0), true),
        Err(GoingBackRefused::NoneOlder { damaged: Epoch(9) })
    );
}

#[test]
fn from_takes_a_number_with_or_without_its_prefix() {
    assert_eq!(parse_from("12"), Ok(Epoch(12)));
    assert_eq!(parse_from("chk-12"), Ok(Epoch(12)));
    for wrong in ["", "chk-", "+1", "-1", "latest", "99999999999999999999"] {
        assert_eq!(parse_from(wrong), Err(FromError(wrong.to_owned())));
    }
}

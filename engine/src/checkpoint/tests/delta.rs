//! The writer of delta files: pauses, failures, and what it shares its disk with.

use super::*;
use crate::checkpoint::MetaLocation;
use crate::checkpoint::delta_writer::BUFFER_BYTES;
use crate::disk::{BlockingShardDisk, DiskOp, RealDisk};
use crate::testing::sim_disk::SimFaults;

const PAGES_PER_BUFFER: u32 = (BUFFER_BYTES / PAGE_BYTES) as u32;

fn sim() -> (SimDisk, DeltaWriter) {
    let disk = SimDisk::new(1, SimFaults { delay_polls_max: 3, ..SimFaults::default() });
    disk.create_dir_all(Path::new("/delta")).unwrap();
    (disk, DeltaWriter::new(ShardId(3), "/delta".into(), FileHandle(9)))
}

#[test]
fn without_pages_and_with_little_metadata_there_is_no_file() {
    let (disk, mut writer) = sim();
    let change = Change { meta: vec![7; 1000], removed: [page(0, 1)].into(), ..Change::default() };
    let summary = write_delta(&mut disk.shard_disk(), &mut writer, Epoch(5), &change).unwrap();
    assert_eq!((summary.blocks, summary.bytes()), (0, 0));
    assert_eq!(summary.meta, MetaLocation::Inline(vec![7; 1000]));
    assert_eq!(summary.removed, [page(0, 1)]);
    assert_eq!(disk.operations(), 0);
}

#[test]
fn large_metadata_and_many_pages_keep_their_places() {
    let (disk, mut writer) = sim();
    let meta: Vec<u8> = (0..2_500_000u32).map(|i| (i / 7) as u8).collect();
    let change = Change {
        pages: (0..333).map(|no| (page(1, no), u64::from(no) + 1)).collect(),
        meta: meta.clone(),
        ..Change::default()
    };
    for epoch in [1, 2] {
        let summary = write_delta(&mut disk.shard_disk(), &mut writer, Epoch(epoch), &change).unwrap();
        let file = disk.contents(Path::new(&format!("/delta/{epoch}-3.delta"))).unwrap();
        assert_eq!(file.len() as u64, summary.bytes());
        for (id, entry) in &summary.pages {
            let start = entry.block as usize * PAGE_BYTES;
            let bytes = &file[start..start + PAGE_BYTES];
            assert!(bytes == contents(u64::from(id.page.0) + 1) && crc32fast::hash(bytes) == entry.crc);
        }
        let MetaLocation::InFile { block, len, crcs } = summary.meta else { panic!("it is too large") };
        let start = block as usize * PAGE_BYTES;
        assert!(file[start..start + len as usize] == meta);
        let expected: Vec<u32> = meta.chunks(1 << 20).map(crc32fast::hash).collect();
        assert_eq!(crcs, expected);
    }
}

#[test]
fn the_writer_asks_for_a_pause_when_the_disk_falls_behind() {
    let (disk, mut writer) = sim();
    let mut shard_disk = disk.shard_disk();
    writer.begin(Epoch(1), 0);
    let mut pages = 0;
    while writer.wants_more() {
        pages += 1;
        writer.add_page(&mut shard_disk, page(0, pages), info(1), &contents(1));
    }
    // Four buffers, one block of which is the header.
    assert_eq!(pages, 4 * PAGES_PER_BUFFER - 1);
    while !writer.wants_more() {
        while let Some(done) = shard_disk.poll() {
            writer.on_done(done);
        }
        assert!(writer.poll(&mut shard_disk).is_pending());
    }
}

#[test]
fn a_failed_write_ends_the_checkpoint_and_the_next_one_begins_afresh() {
    for failing in 0..8 {
        let (disk, mut writer) = sim();
        let pages = (0..3 * PAGES_PER_BUFFER + 4).map(|no| (page(0, no), 5)).collect();
        let change = Change { pages, meta: vec![1; 100], ..Change::default() };
        disk.fail_operation(failing, std::io::ErrorKind::Other);
        let mut shard_disk = disk.shard_disk();
        let first = write_delta(&mut shard_disk, &mut writer, Epoch(1), &change);
        assert_eq!(first.is_err(), failing < disk.operations().min(6), "operation {failing}");
        if let Err(error) = first {
            assert!(error.to_string().contains("/delta/1-3.delta"), "{error}");
        }
        disk.fail_operation(1000, std::io::ErrorKind::Other);
        let second = write_delta(&mut shard_disk, &mut writer, Epoch(2), &change);
        assert!(second.is_ok() || failing >= 6);
    }
}

#[test]
fn a_checkpoint_can_be_given_up_at_any_time() {
    for steps in 0..30 {
        let (disk, mut writer) = sim();
        let mut shard_disk = disk.shard_disk();
        writer.begin(Epoch(1), 10);
        for no in 0..50 {
            writer.add_page(&mut shard_disk, page(0, no), info(1), &contents(1));
        }
        writer.finish(Vec::new(), vec![1; 50_000]);
        let mut done_before = false;
        for _ in 0..steps {
            while let Some(done) = shard_disk.poll() {
                writer.on_done(done);
            }
            done_before |= writer.poll(&mut shard_disk).is_ready();
        }
        writer.give_up();
        let mut result = Poll::Pending;
        for _ in 0..100 {
            while let Some(done) = shard_disk.poll() {
                writer.on_done(done);
            }
            if writer.is_active() {
                result = writer.poll(&mut shard_disk);
            }
        }
        assert!(!writer.is_active() && shard_disk.outstanding() == 0);
        let given_up = matches!(result, Poll::Ready(Err(CheckpointError::GivenUp { epoch: Epoch(1), .. })));
        assert!(done_before || given_up);
    }
}

#[test]
fn answers_of_others_are_given_back() {
    let (disk, mut writer) = sim();
    let mut shard_disk = disk.shard_disk();
    writer.begin(Epoch(1), 1);
    writer.add_page(&mut shard_disk, page(0, 0), info(1), &contents(1));
    let other = shard_disk.submit(DiskOp::Close { file: FileHandle(1000) });
    let mut given_back = Vec::new();
    for _ in 0..20 {
        while let Some(done) = shard_disk.poll() {
            given_back.extend(writer.on_done(done).map(|done| done.ticket));
        }
    }
    assert_eq!(given_back, [other]);
}

#[test]
fn the_real_disk_gives_back_what_it_was_given() {
    let place = tempfile::tempdir().unwrap();
    let disk = RealDisk::shared();
    let open = || {
        let dir = place.path().join("a/b");
        CheckpointStore::open(disk.clone(), &dir, &identity(), StoreOptions::default()).unwrap()
    };
    let (mut store, report) = open();
    assert!(report.created);
    store.start_run(None).unwrap();
    let mut writer = DeltaWriter::new(ShardId(0), store.delta_dir(), FileHandle(1));
    let pages: BTreeMap<PageId, u64> = (0..100).map(|no| (page(0, no), u64::from(no))).collect();
    let change = Change { pages, meta: vec![9; 70_000], ..Change::default() };
    let delta =
        write_delta(&mut BlockingShardDisk::new(disk.clone()), &mut writer, Epoch(1), &change).unwrap();
    let record = CheckpointRecord {
        epoch: Epoch(1),
        shards: vec![delta],
        meta: Vec::new(),
        fresh_maps: false,
        sinks_commit: true,
    };
    store.commit(record).unwrap();
    drop(store);
    let (store, _) = open();
    let job = store.load(Epoch(1)).unwrap();
    let read = read_back(disk.clone(), &job).unwrap();
    assert_eq!((&read.shards[0], &read.metas[0]), (&change.pages, &change.meta));
    assert_eq!(store.sinks_may_have_committed(), Epoch(1));
}

//! Checkpoints on the real disk: how long the commit point takes, and how long it takes to find 1 GB of pages again.
//!
//! `cargo bench -p millstream-bench --bench checkpoint`. The files lie in the temporary directory (`TMPDIR`).

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::task::Poll;

use criterion::{Criterion, criterion_group, criterion_main};
use millstream_engine::checkpoint::{
    ArenaNo, CheckpointRecord, CheckpointStore, DeltaSummary, DeltaWriter, JobIdentity, MetaLocation, PageId,
    PageMap, PageNo, PageReader, RestoredJob, StoreOptions,
};
use millstream_engine::disk::{BlockingShardDisk, FileHandle, RealDisk};
use millstream_engine::element::{Epoch, ShardId};
use millstream_engine::key::HashSeed;

fn open(dir: &Path) -> CheckpointStore {
    let identity = JobIdentity { job: "bench".to_owned(), hash_seed: HashSeed(1) };
    CheckpointStore::open(RealDisk::shared(), dir, &identity, StoreOptions::default()).unwrap().0
}

fn record(delta: DeltaSummary) -> CheckpointRecord {
    CheckpointRecord {
        epoch: delta.epoch,
        shards: vec![delta],
        meta: vec![0; 200],
        fresh_maps: false,
        sinks_commit: true,
    }
}

fn page(no: u32) -> PageId {
    PageId { arena: ArenaNo(0), page: PageNo(no) }
}

/// A checkpoint without pages against a bare write and sync of one sector in a file filled ahead.
fn commit_point(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit_point");
    let dir = tempfile::tempdir().unwrap();
    let file = File::create(dir.path().join("reference")).unwrap();
    file.write_all_at(&vec![0; 64 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let mut at = 0;
    group.bench_function("reference_512_bytes_and_fdatasync", |b| {
        b.iter(|| {
            file.write_all_at(&[1; 512], at % (64 << 20)).unwrap();
            file.sync_data().unwrap();
            at += 512;
        })
    });
    let state = dir.path().join("state");
    let mut store = open(&state);
    store.start_run(None).unwrap();
    group.bench_function("commit_without_pages", |b| {
        b.iter(|| {
            let delta = DeltaSummary {
                epoch: store.next_epoch(),
                shard: ShardId(0),
                blocks: 0,
                pages: Vec::new(),
                removed: Vec::new(),
                meta: MetaLocation::Inline(vec![1; 300]),
            };
            store.commit(record(delta)).unwrap();
        })
    });
    let mut nth = 0;
    group.bench_function("reference_create_write_17_blocks_sync_and_sync_directory", |b| {
        b.iter(|| {
            nth += 1;
            let file = File::create(dir.path().join(format!("file{nth}"))).unwrap();
            file.write_all_at(&[1; 17 * 4096], 0).unwrap();
            file.sync_data().unwrap();
            File::open(dir.path()).unwrap().sync_all().unwrap();
        })
    });
    let mut writer = DeltaWriter::new(ShardId(0), store.delta_dir(), FileHandle(1));
    let mut disk = BlockingShardDisk::new(RealDisk::shared());
    group.bench_function("write_16_pages_commit_and_tidy", |b| {
        b.iter(|| {
            let epoch = store.next_epoch();
            let delta = write(&mut disk, &mut writer, epoch, 16);
            store.commit(record(delta)).unwrap();
            store.tidy().unwrap();
        })
    });
}

fn write(disk: &mut BlockingShardDisk, writer: &mut DeltaWriter, epoch: Epoch, pages: u32) -> DeltaSummary {
    use millstream_engine::disk::ShardDisk;
    let mut bytes = [0; 4096];
    writer.begin(epoch, pages as usize);
    for no in 0..pages {
        bytes[..4].copy_from_slice(&no.to_le_bytes());
        writer.add_page(disk, page(no), [0; 16], &bytes);
        while let Some(done) = disk.poll() {
            writer.on_done(done);
        }
        assert!(writer.poll(disk).is_pending());
    }
    writer.finish(Vec::new(), vec![2; 1000]);
    loop {
        while let Some(done) = disk.poll() {
            writer.on_done(done);
        }
        if let Poll::Ready(delta) = writer.poll(disk) {
            return delta.unwrap();
        }
    }
}

/// A restart with 262,144 pages: opening the store, loading the checkpoint, reading a first page.
fn restart_with_1_gb(c: &mut Criterion) {
    let mut group = c.benchmark_group("restart_with_1_gb");
    group.sample_size(20);
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.start_run(None).unwrap();
    let mut writer = DeltaWriter::new(ShardId(0), store.delta_dir(), FileHandle(1));
    let delta = write(&mut BlockingShardDisk::new(RealDisk::shared()), &mut writer, Epoch(1), 262_144);
    let started = std::time::Instant::now();
    store.commit(record(delta)).unwrap();
    eprintln!("commit of a first checkpoint of 262,144 pages: {:?}", started.elapsed());
    drop(store);
    group.bench_function("open", |b| b.iter(|| open(dir.path())));
    let store = open(dir.path());
    group.bench_function("load", |b| b.iter(|| store.load(Epoch(1)).unwrap()));
    let job: RestoredJob = store.load(Epoch(1)).unwrap();
    let pages: &PageMap = &job.shards[0].pages;
    let mut reader = PageReader::new(RealDisk::shared(), job.files.clone());
    let (mut no, mut bytes) = (0, [0; 4096]);
    group.bench_function("read_and_verify_a_page_in_the_page_cache", |b| {
        b.iter(|| {
            no = (no + 12_345) % 262_144;
            reader.read(&pages.get(page(no)).unwrap(), &mut bytes).unwrap();
        })
    });
}

criterion_group!(benches, commit_point, restart_with_1_gb);
criterion_main!(benches);

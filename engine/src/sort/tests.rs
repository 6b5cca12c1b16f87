use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::arena::MemoryBudget;
use crate::channel::{BatchShape, OpenBatch};
use crate::disk::{BlockingShardDisk, Disk, ShardDisk};
use crate::element::{KeyGroups, ShardId};
use crate::graph::ExchangeId;
use crate::key::{HashSeed, Key};
use crate::record::Record;
use crate::testing::sim_disk::{SimDisk, SimFaults};

const SEED: HashSeed = HashSeed(3);
const DIR: &str = "/stages";

/// A record of a test: its key, event time, and what it holds, which says in which order they came.
type Made = (String, i64, (u64, String));

fn plan(bytes: u64, keeps: bool) -> SorterPlan {
    SorterPlan {
        operator: "count".to_owned(),
        exchange: ExchangeId(0),
        shard: ShardId(0),
        groups: KeyGroups::of_shard(ShardId(0), 1),
        dir: DIR.into(),
        job: 7,
        bytes,
        keeps,
        unsealed: Arc::new(1.into()),
        sealed: None,
        skipped: false,
    }
}

fn shape() -> BatchShape {
    BatchShape::keyed::<(u64, String), str>()
}

fn sorter(plan: SorterPlan) -> Result<Sorter, SortError> {
    Sorter::new(plan, &MemoryBudget::unlimited(), shape(), &<(u64, String) as Record>::layout())
}

/// A hash that few keys share with others.
fn hash_of(key: &str, collide: bool) -> KeyHash {
    if collide { KeyHash(u64::from(key.len() as u32 % 3) << 60) } else { key.hash(SEED) }
}

fn disk() -> (Arc<dyn Disk>, BlockingShardDisk) {
    let disk = SimDisk::new(1, SimFaults::default()).shared();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    (disk.clone(), BlockingShardDisk::new(disk))
}

/// Gives a sorter all that the disk has answered, until it rests.
fn settle(sorter: &mut Sorter, disk: &mut BlockingShardDisk) -> Result<(), SortError> {
    loop {
        let mut worked = sorter.work(disk)?;
        while let Some(done) = disk.poll() {
            worked = true;
            assert!(sorter.on_disk(done).is_none());
        }
        if !worked {
            return Ok(());
        }
    }
}

fn feed(
    sorter: &mut Sorter,
    disk: &mut BlockingShardDisk,
    records: &[Made],
    per_batch: usize,
    collide: bool,
) {
    for records in records.chunks(per_batch) {
        let mut batch = OpenBatch::new(shape());
        for (key, at, record) in records {
            batch.push::<(u64, String), str>(Timestamp(*at), hash_of(key, collide), key, record);
        }
        while !sorter.has_room() {
            settle(sorter, disk).unwrap();
        }
        sorter.add(&batch.as_batch());
    }
    sorter.end();
}

fn all(sorter: &mut Sorter, disk: &mut BlockingShardDisk) -> Result<Vec<Made>, SortError> {
    let mut records = Vec::new();
    loop {
        settle(sorter, disk)?;
        match sorter.front()? {
            Front::Wait => {}
            Front::Over => return Ok(records),
            Front::Batch => {
                let batch = sorter.batch();
                for index in 0..batch.len() {
                    let key = String::from_utf8(batch.key_bytes(index).to_vec()).unwrap();
                    let record = <(u64, String)>::view(batch.record_bytes(index)).unwrap();
                    records.push((key, batch.timestamps()[index].0, <(u64, String)>::owned(record)));
                }
                sorter.consume();
            }
        }
    }
}

fn expected(records: &[Made], collide: bool) -> Vec<Made> {
    let mut sorted = records.to_vec();
    sorted.sort_by(|a, b| (hash_of(&a.0, collide), &a.0, a.1).cmp(&(hash_of(&b.0, collide), &b.0, b.1)));
    sorted
}

fn records(keys: &[(u8, i64)]) -> Vec<Made> {
    let made = keys.iter().enumerate().map(|(number, (key, at))| {
        let text = "x".repeat(usize::from(*key) * 7 % 50);
        ("k".repeat(usize::from(*key % 5)) + &key.to_string(), *at, (number as u64, text))
    });
    made.collect()
}

proptest! {
    #[test]
    fn bm_03_records_come_by_key_and_time_whatever_fits_in_memory(
        keys in prop::collection::vec((0u8..20, 0i64..8), 0..400),
        per_batch in 1usize..40,
        bytes in prop_oneof![Just(1u64), Just(2_000), Just(20_000), Just(1 << 30)],
        keeps: bool,
        collide: bool,
    ) {
        let records = records(&keys);
        let (real, mut disk) = disk();
        let mut sorter = sorter(plan(bytes, keeps)).unwrap();
        feed(&mut sorter, &mut disk, &records, per_batch, collide);
        let expected = expected(&records, collide);
        prop_assert_eq!(&all(&mut sorter, &mut disk).unwrap(), &expected);
        if keeps {
            let path = Path::new(DIR).join(SorterPlan::seal(ExchangeId(0), ShardId(0)));
            let sealed = Sealed::read(real.as_ref(), &path, Path::new(DIR)).unwrap();
            let mut again = super::tests::sorter(SorterPlan { sealed: Some(sealed), ..plan(bytes, true) }).unwrap();
            // What comes again is not taken twice.
            feed(&mut again, &mut disk, &records, per_batch, collide);
            prop_assert_eq!(all(&mut again, &mut disk).unwrap(), expected);
        }
    }
}

#[test]
fn a_damaged_block_is_named() {
    let records = records(&(0..200).map(|n| (n as u8, i64::from(n))).collect::<Vec<_>>());
    let (real, mut disk) = disk();
    let mut first = sorter(plan(1_000, true)).unwrap();
    feed(&mut first, &mut disk, &records, 10, false);
    all(&mut first, &mut disk).unwrap();
    let seal = Path::new(DIR).join(SorterPlan::seal(ExchangeId(0), ShardId(0)));
    let sealed = Sealed::read(real.as_ref(), &seal, Path::new(DIR)).unwrap();
    let run = sealed.runs[0].path.clone();
    let file = real.open_or_create(&run).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 40).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 40).unwrap();
    let mut again = sorter(SorterPlan { sealed: Some(sealed), ..plan(1_000, true) }).unwrap();
    let error = all(&mut again, &mut disk).unwrap_err();
    assert!(matches!(&error, SortError::Damaged { path, block: 0, .. } if *path == run));
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn a_stage_of_another_program_and_a_budget_too_small_are_refused() {
    let sealed = Sealed { job: 7, layout: 1, runs: Vec::new() };
    let error = sorter(SorterPlan { sealed: Some(sealed), ..plan(1, true) }).err().unwrap();
    assert!(error.to_string().contains("other records than the program"), "{error}");
    let budget = MemoryBudget::new(10);
    let made = Sorter::new(plan(11, true), &budget, shape(), &<(u64, String) as Record>::layout());
    assert!(made.err().unwrap().to_string().contains("lower Job::sort_bytes"));
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_full_disk_is_told() {
    let (real, mut disk) = disk();
    drop(real);
    let mut full = sorter(SorterPlan { dir: "/nowhere".into(), ..plan(1, true) }).unwrap();
    let records = records(&[(1, 1); 50]);
    let mut batch = OpenBatch::new(shape());
    for (key, at, record) in &records {
        batch.push::<(u64, String), str>(Timestamp(*at), hash_of(key, false), key, record);
    }
    full.add(&batch.as_batch());
    let error = settle(&mut full, &mut disk).unwrap_err();
    assert!(error.to_string().contains("Job::spill_dir"), "{error}");
}

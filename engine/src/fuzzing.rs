//! What fuzzers call: the readers of what lies on disk, behind the checksums that would keep nearly everything from them that a fuzzer makes
//! up. Each takes any bytes, and neither panics nor takes more memory than a small multiple of them. See `fuzz/README.md`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::arena::{Arena, ArenaConfig, PageInfo, PageLoader, PageNo, StateName, TableId};
use crate::channel::{BatchShape, SavedFrames};
use crate::checkpoint::fuzzing::ManifestRecords;
use crate::element::KeyHash;
use crate::key::{Key, KeyShape};
use crate::limits::PAGE_BYTES;
use crate::runtime::snapshot::ShardSnapshot;
use crate::state::{StateError, Table, TableMeta};
use crate::testing::sim_disk::{SimDisk, SimFaults};

/// A whole manifest file, checksums and all.
pub fn manifest_file(bytes: &[u8]) {
    let disk = SimDisk::new(1, SimFaults::default());
    let dir = Path::new("/state");
    let shared = disk.shared();
    let written = shared
        .create_dir_all(dir)
        .and_then(|()| shared.create(&dir.join("MANIFEST")))
        .and_then(|file| file.write_all_at(bytes, 0));
    if written.is_ok() {
        crate::checkpoint::fuzzing::open(disk.shared(), dir);
    }
}

/// The bodies of a manifest's records, each behind its kind (a byte) and its length (two bytes, little endian).
pub fn manifest_records(mut bytes: &[u8]) {
    let mut records = ManifestRecords::default();
    while let [kind, low, high, rest @ ..] = bytes {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (body, left) = rest.split_at(len);
        records.record(u16::from(*kind % 5), body);
        bytes = left;
    }
}

/// The metadata of a shard in a delta file.
pub fn shard_metadata(bytes: &[u8]) {
    if let Ok(snapshot) = ShardSnapshot::decode(bytes) {
        // What can be read can be written, and is the same then.
        let again = ShardSnapshot::decode(&snapshot.encode());
        assert_eq!(again.as_ref(), Ok(&snapshot));
    }
}

/// What a savepoint says of itself, behind its checksum.
pub fn savepoint_head(bytes: &[u8]) {
    crate::savepoint::Head::read_body(bytes);
}

/// Frames of records on their way. The first byte chooses their shape.
pub fn frames(bytes: &[u8]) {
    let Some((shape, bytes)) = bytes.split_first() else { return };
    let key = match shape % 3 {
        0 => KeyShape::InHash,
        1 => KeyShape::Fixed(9),
        _ => KeyShape::Var,
    };
    let record_size = (shape & 4 == 0).then_some(16);
    let shape = BatchShape { record_size, key, hashed: shape & 8 == 0 };
    let _ = SavedFrames::parse(bytes, &shape);
}

/// The pages of a table of texts: infos first (a byte for how many), then what the pages hold, cut short or filled with zeros.
pub fn pages(bytes: &[u8]) {
    let Some((count, mut bytes)) = bytes.split_first() else { return };
    let mut infos = Vec::new();
    for number in 1..=u32::from(count % 9) {
        let Some((info, rest)) = bytes.split_first_chunk::<{ PageInfo::BYTES }>() else { return };
        bytes = rest;
        // Of one table, and of a kind that there is: what else there may be is soon refused.
        let mut info = *info;
        info[0] = info[0] % 5 + 1;
        info[4..8].copy_from_slice(&1u32.to_le_bytes());
        infos.push((PageNo(number), info));
    }
    let contents: BTreeMap<PageNo, Vec<u8>> = infos
        .iter()
        .zip(bytes.chunks(PAGE_BYTES).map(<[u8]>::to_vec).chain(std::iter::repeat(Vec::new())))
        .map(|((page, _), bytes)| (*page, bytes))
        .collect();
    let _ = table_of(infos, Given(contents));
}

/// Gives what a fuzzer has made up.
struct Given(BTreeMap<PageNo, Vec<u8>>);

impl PageLoader for Given {
    fn load(&mut self, page: PageNo, into: &mut [u8]) -> Result<(), StateError> {
        into.fill(0);
        let bytes = self.0.get(&page).map_or(&[][..], Vec::as_slice);
        into[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

fn table_of(infos: Vec<(PageNo, [u8; PageInfo::BYTES])>, given: Given) -> Result<(), StateError> {
    let config = ArenaConfig { pages_max: 64, ..ArenaConfig::new("fuzzed") };
    let mut arena = Arena::restore(config, infos, Box::new(given))?;
    // How many there are is not said by pages, but by the metadata; here, more than there can be.
    let meta = TableMeta { id: TableId(1), len: 1 << 40 };
    let mut table = Table::<str, Vec<u8>>::restore(&mut arena, meta, &StateName::new("fuzzed", "texts"))?;
    let mut keys: Vec<(KeyHash, Vec<u8>)> = Vec::new();
    table.walk_raw(&mut arena, KeyHash(0), KeyHash(u64::MAX), 64, |hash, key, _| {
        keys.push((hash, key.to_vec()));
    })?;
    for (hash, key) in keys.iter().take(64) {
        table.remove(&mut arena, *hash, key)?;
    }
    let hash = "new".hash(crate::key::HashSeed(1));
    table.insert_raw(&mut arena, hash, b"new", &[0; 16])?;
    Ok(())
}

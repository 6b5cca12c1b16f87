//! The parts of the readers that a fuzzer calls.

use std::path::Path;
use std::sync::Arc;

use super::content::{ManifestContent, take_record};
use super::record::RecordKind;
use super::{CheckpointStore, JobIdentity, StoreOptions, restore};
use crate::disk::Disk;
use crate::key::HashSeed;

/// Opens a state directory and reads what its manifest names.
pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) {
    let identity = JobIdentity { job: "job".to_owned(), hash_seed: HashSeed(1) };
    if let Ok((store, _)) = CheckpointStore::open(disk, dir, &identity, StoreOptions::default()) {
        for checkpoint in store.checkpoints() {
            let _ = store.load(checkpoint.epoch);
        }
    }
}

/// What records of a manifest add up to.
#[derive(Default)]
pub(crate) struct ManifestRecords(Option<ManifestContent>);

impl ManifestRecords {
    /// Takes the body of a record.
    pub(crate) fn record(&mut self, kind: u16, body: &[u8]) {
        let Some(kind) = RecordKind::from_number(kind) else { return };
        if take_record(&mut self.0, kind, body).is_ok()
            && let Some(read) = &self.0
        {
            // What is known of each checkpoint can be put together, and all of it can be written again.
            restore::checkpoints(&read.history).iter().for_each(|info| _ = read.history.maps_of(info.epoch));
            let base = read.base();
            let mut again = None;
            assert_eq!(take_record(&mut again, RecordKind::Base, &base), Ok(()));
            assert_eq!(again.as_ref().map(ManifestContent::base), Some(base));
        }
    }
}

//! Checkpoints on disk: delta files, the manifest log, retention, restore.
//!
//! ```text
//!  shard 0   pages, metadata --DeltaWriter--> delta/7-0.delta --DeltaSummary--\
//!  shard 1   pages, metadata --DeltaWriter--> delta/7-1.delta --DeltaSummary---+--> CheckpointStore::commit --> MANIFEST
//! ```
//!
//! Each shard writes the pages that changed since the last checkpoint into a file of its own ([`DeltaWriter`]). When all shards have
//! synced theirs, the coordinator appends one checksummed record to the manifest log and syncs it ([`CheckpointStore::commit`]): that is
//! the commit point. Which page lies in which file is known from the records alone ([`PageMap`]); a file goes when no retained
//! checkpoint needs it.
//!
//! A restart reads the manifest ([`CheckpointStore::open`]) and the shards' metadata ([`CheckpointStore::load`]); the pages come in
//! later, one by one, each verified by its CRC ([`PageReader`]).
//!
//! The formats are drawn byte by byte in `docs/formats/`.

pub mod codec;
mod content;
mod delta;
mod delta_writer;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod history;
mod manifest;
mod mode;
mod page_map;
mod page_runs;
mod record;
mod replica;
mod restore;
mod state_dir;
mod store;
#[cfg(test)]
mod tests;

pub use delta::{DeltaFiles, DeltaSummary, MetaLocation, delta_file_name};
pub use delta_writer::DeltaWriter;
pub use error::{CheckpointError, FromError, GoingBackRefused, RestoreError, StateDirError};
pub use mode::CheckpointMode;
pub use page_map::{ArenaNo, FileNo, PageEntry, PageId, PageInfo, PageMap, PageNo};
pub use replica::ReplicaStatus;
pub(crate) use restore::newest;
pub use restore::{
    CheckpointInfo, NewestError, PageReader, RestoredJob, RestoredShard, check_page, may_go_back, parse_from,
};
pub use state_dir::{DELTA_DIR, FORMAT_VERSION, JobIdentity};
pub use store::{
    CheckpointRecord, CheckpointStore, CommitReport, OpenReport, StoreOptions, TidyReport, TornTail,
};

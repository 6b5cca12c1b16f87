//! What a manifest log says in all: whose it is, and its history.

use std::path::Path;

use super::codec::{CodecError, Reader, Writer};
use super::error::StateDirError;
use super::history::History;
use super::manifest::{ManifestLog, ScanError, Tail};
use super::record::{Checkpoint, RecordKind};
use super::state_dir::{FORMAT_VERSION, JobIdentity, MANIFEST, StateDir};
use crate::disk::Disk;
use crate::element::{Epoch, KEY_GROUPS};
use crate::key::HashSeed;

/// What a manifest says.
pub(super) struct ManifestContent {
    pub(super) job: String,
    pub(super) hash_seed: HashSeed,
    pub(super) history: History,
}

impl ManifestContent {
    pub(super) fn fresh(identity: &JobIdentity) -> Self {
        ManifestContent {
            job: identity.job.clone(),
            hash_seed: identity.hash_seed,
            history: History::default(),
        }
    }

    pub(super) fn base(&self) -> Vec<u8> {
        put_base(&self.job, self.hash_seed, &self.history)
    }

    fn get_base(fields: &mut Reader<'_>) -> Result<Self, CodecError> {
        let job = fields.str("job name")?.to_owned();
        let hash_seed = HashSeed(fields.u64("hash seed")?);
        let start = fields.clone();
        match fields.u32("key groups")? {
            KEY_GROUPS => {}
            other => return Err(start.error("key groups", format_args!("{other}, not {KEY_GROUPS}"))),
        }
        Ok(ManifestContent { job, hash_seed, history: History::get(fields)? })
    }
}

/// The body of a base record.
pub(super) fn put_base(job: &str, hash_seed: HashSeed, history: &History) -> Vec<u8> {
    let mut out = Writer::new();
    out.put_str(job).put_u64(hash_seed.0).put_u32(KEY_GROUPS);
    history.put(&mut out);
    out.into_bytes()
}

/// Takes a record in.
pub(super) fn take_record(
    read: &mut Option<ManifestContent>,
    kind: RecordKind,
    body: &[u8],
) -> Result<(), String> {
    let mut fields = Reader::new(body);
    let done = match (kind, read) {
        (RecordKind::Base, read) => ManifestContent::get_base(&mut fields).map(|base| *read = Some(base)),
        (RecordKind::Checkpoint, Some(read)) => Checkpoint::get(&mut fields).and_then(|checkpoint| {
            if let Some(problem) = read.history.misfit(&checkpoint) {
                return Err(fields.error("checkpoint", problem));
            }
            read.history.apply(checkpoint);
            Ok(())
        }),
        (RecordKind::SinksMayCommit, Some(read)) => fields.u64("epoch").map(|epoch| {
            let so_far = &mut read.history.sinks_may_have_committed;
            *so_far = Epoch(epoch).max(*so_far);
        }),
        (RecordKind::Seal, _) | (_, None) => Ok(()),
    };
    done.map_err(|error| error.to_string())
}

/// Reads a manifest and makes sure that it is this job's.
pub(super) fn read_manifest(
    dir: &StateDir,
    identity: &JobIdentity,
) -> Result<(ManifestContent, ManifestLog, Tail), StateDirError> {
    let mut read: Option<ManifestContent> = None;
    let mut visit = |kind: RecordKind, body: &[u8]| take_record(&mut read, kind, body);
    let opened = ManifestLog::open(dir.disk.as_ref(), &dir.manifest(), &mut visit);
    let (log, tail) = opened.map_err(|error| refused(&dir.path, error))?;
    Ok((of_job(&dir.path, read, &identity.job)?, log, tail))
}

/// Reads the manifest of a state directory that another process may hold. What is being written to it is not seen.
pub(super) fn look(disk: &dyn Disk, dir: &Path, job: &str) -> Result<ManifestContent, StateDirError> {
    let mut read: Option<ManifestContent> = None;
    let visit = |kind: RecordKind, body: &[u8]| take_record(&mut read, kind, body);
    ManifestLog::look(disk, &dir.join(MANIFEST), visit).map_err(|error| refused(dir, error))?;
    of_job(dir, read, job)
}

fn refused(dir: &Path, error: ScanError) -> StateDirError {
    let at = dir.to_owned();
    match error {
        ScanError::OtherFormat(found) => {
            StateDirError::OtherFormat { dir: at, found, wanted: FORMAT_VERSION }
        }
        ScanError::Damaged { offset, problem } => {
            let path = dir.join(MANIFEST);
            StateDirError::DamagedManifest { path, offset, problem, retained: Vec::new() }
        }
        ScanError::Disk(cause) => StateDirError::Disk { dir: at, cause },
    }
}

fn of_job(dir: &Path, read: Option<ManifestContent>, job: &str) -> Result<ManifestContent, StateDirError> {
    let read = read.expect("a log that could be read begins with a base");
    if read.job == job {
        return Ok(read);
    }
    let (dir, found, wanted) = (dir.to_owned(), read.job, job.to_owned());
    Err(StateDirError::OtherJob { dir, found, wanted })
}

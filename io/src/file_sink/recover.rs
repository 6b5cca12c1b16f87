//! What happens before the first record: the cuts of the restored checkpoint are committed, what a dead run left behind is
//! removed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use millstream_engine::sink::{Committable, SinkContext, SinkError};

use super::names::{self, Found, PartFile};
use super::writer::sync_dir;

/// Makes the directory where only it is missing.
pub(super) fn make_dir(dir: &Path) -> Result<(), SinkError> {
    let cannot =
        |what: String| SinkError::fatal(format!("cannot write part files into {}: {what}", dir.display()));
    match fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(cannot("it is a file; name a directory".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::create_dir(dir) {
            // Another shard may have been faster.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(cannot(format!("{error}; make the directory, or check the path")).because(error))
            }
            _ => Ok(()),
        },
        Err(error) => Err(cannot(format!("{error}; check the path and this user's rights")).because(error)),
    }
}

/// Commits and removes; gives the number of the shard's next file.
pub(super) fn recover(
    dir: &Path,
    context: &SinkContext,
    recovered: &[Committable],
) -> Result<u64, SinkError> {
    let mut to_commit = BTreeSet::new();
    for committable in recovered {
        let files = names::decode(&committable.bytes).ok_or_else(|| {
            SinkError::fatal(format!(
                "the checkpoint's list of part files of shard {} and epoch {} for {} is not one of this sink; restore with the \
                 sink that the checkpoint was made with",
                committable.shard,
                committable.epoch,
                dir.display()
            ))
        })?;
        to_commit.extend(files);
    }
    for file in &to_commit {
        commit_again(dir, file)?;
    }
    let next_number = remove_leftovers(dir, context)?;
    sync_dir(dir)?;
    Ok(next_number)
}

/// Renames a pending file, unless that was done already.
fn commit_again(dir: &Path, file: &PartFile) -> Result<(), SinkError> {
    let (pending, committed) = (file.pending(dir), file.committed(dir));
    let length = |path: &Path| match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(SinkError::retryable(format!("cannot look at {}: {error}", path.display())).because(error))
        }
    };
    match (length(&pending)?, length(&committed)?) {
        (None, Some(_)) => Ok(()),
        (Some(_), Some(_)) => Err(SinkError::fatal(format!(
            "both {} and {} exist; one of them was put there by something else: compare them and remove it",
            pending.display(),
            committed.display()
        ))),
        (None, None) => Err(SinkError::fatal(format!(
            "{} is missing: the checkpoint holds that its output was written, and it is neither pending nor committed; put it \
             back, or start with a new state directory",
            committed.display()
        ))),
        (Some(found), None) if found != file.bytes => Err(SinkError::fatal(format!(
            "{} has {found} bytes, and the checkpoint holds that it has {}; put the whole file back, or start with a new state \
             directory",
            pending.display(),
            file.bytes
        ))),
        (Some(_), None) => fs::rename(&pending, &committed).map_err(|error| {
            SinkError::retryable(format!("cannot commit {}: {error}", committed.display())).because(error)
        }),
    }
}

/// Removes what the shards dealt to this one left uncommitted, and refuses what must not be mixed with this job's output.
fn remove_leftovers(dir: &Path, context: &SinkContext) -> Result<u64, SinkError> {
    let unreadable = |error: io::Error| {
        SinkError::retryable(format!("cannot list {}: {error}", dir.display())).because(error)
    };
    let mut next_number = 0;
    let mut ahead = 0;
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let found = match name.to_str() {
            Some(name) => names::parse(name),
            None if name.as_encoded_bytes().starts_with(b"part-") => Found::Intruder,
            None => Found::Other,
        };
        let (shard, number) = match found {
            Found::InProgress { shard, number }
            | Found::Pending { shard, number, .. }
            | Found::Part { shard, number, .. } => (shard, number),
            Found::Intruder => {
                return Err(SinkError::fatal(format!(
                    "{} was not written by this sink, and whoever reads part-* would take it for output; move it away",
                    entry.path().display()
                )));
            }
            Found::Other => continue,
        };
        if shard % context.shards != context.shard.0 {
            continue;
        }
        if shard == context.shard.0 {
            next_number = next_number.max(number + 1);
        }
        match found {
            Found::Part { .. } if context.restored.0 == 0 => {
                return Err(SinkError::fatal(format!(
                    "{} holds the output of an earlier run ({}), and this job starts from the beginning; give it an empty \
                     directory, or the state directory of that run",
                    dir.display(),
                    name.display()
                )));
            }
            Found::Part { epoch, .. } => ahead += u64::from(epoch > context.restored.0),
            _ => fs::remove_file(entry.path()).map_err(|error| {
                SinkError::retryable(format!(
                    "cannot remove the leftover {}: {error}",
                    entry.path().display()
                ))
                .because(error)
            })?,
        }
    }
    if ahead > 0 {
        tracing::warn!(
            "{} holds {ahead} part files of later epochs than the restored epoch {}: their records may come again",
            dir.display(),
            context.restored
        );
    }
    Ok(next_number)
}

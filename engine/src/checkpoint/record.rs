//! The records of the manifest log. Drawn in `docs/formats/manifest.md`.

use super::codec::{CodecError, Reader, Writer};
use super::delta::MetaLocation;
use super::page_map::{FileNo, PageId};
use super::page_runs::PageRuns;
use crate::element::{Epoch, ShardId};
use crate::limits::SHARDS_MAX;

/// What a record is about; its number on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// Everything that is known: the first record of a log, and only the first.
    Base,
    /// A checkpoint, as a difference to the one before.
    Checkpoint,
    /// Leave for sinks to commit.
    SinksMayCommit,
    /// The record before is durable.
    Seal,
}

impl RecordKind {
    pub(crate) fn number(self) -> u16 {
        match self {
            RecordKind::Base => 1,
            RecordKind::Checkpoint => 2,
            RecordKind::SinksMayCommit => 3,
            RecordKind::Seal => 4,
        }
    }

    pub(crate) fn from_number(number: u16) -> Option<Self> {
        use RecordKind::*;
        [Base, Checkpoint, SinksMayCommit, Seal].into_iter().find(|kind| kind.number() == number)
    }
}

/// A checkpoint as a difference to the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint<'a> {
    pub(crate) epoch: Epoch,
    /// Retained checkpoints before this one go.
    pub(crate) oldest_retained: Epoch,
    /// Sinks commit it as soon as it is durable.
    pub(crate) sinks_commit: bool,
    /// It does not build on the pages of the one before.
    pub(crate) fresh_maps: bool,
    pub(crate) meta: Vec<u8>,
    pub(crate) shards: Vec<ShardPart<'a>>,
}

/// What a shard has in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardPart<'a> {
    /// Its file, if any, with its length in blocks.
    pub(crate) file: Option<(FileNo, u32)>,
    pub(crate) meta: MetaLocation,
    pub(crate) pages: PageRuns<'a>,
    pub(crate) removed: Vec<PageId>,
}

impl<'a> Checkpoint<'a> {
    pub(crate) fn put(&self, out: &mut Writer) {
        out.put_u64(self.epoch.0).put_u64(self.oldest_retained.0);
        out.put_bool(self.sinks_commit).put_bool(self.fresh_maps).put_bytes(&self.meta);
        out.put_list(&self.shards, |out, shard| shard.put(out));
    }

    pub(crate) fn get(fields: &mut Reader<'a>) -> Result<Self, CodecError> {
        Ok(Checkpoint {
            epoch: Epoch(fields.u64("epoch")?),
            oldest_retained: Epoch(fields.u64("oldest retained epoch")?),
            sinks_commit: fields.bool("whether sinks commit")?,
            fresh_maps: fields.bool("whether page maps are fresh")?,
            meta: fields.bytes("job metadata")?.to_vec(),
            shards: shard_list(fields, "shards", ShardPart::BYTES_MIN, ShardPart::get)?,
        })
    }
}

impl<'a> ShardPart<'a> {
    const BYTES_MIN: usize = 1 + MetaLocation::BYTES_MIN + PageRuns::BYTES_MIN + 8;

    fn put(&self, out: &mut Writer) {
        out.put_option(self.file, |out, (file, blocks)| {
            out.put_u32(file.0).put_u32(blocks);
        });
        self.meta.put(out);
        self.pages.put(out);
        out.put_list(&self.removed, |out, id| id.put(out));
    }

    fn get(fields: &mut Reader<'a>) -> Result<Self, CodecError> {
        Ok(ShardPart {
            file: fields.option("file", |fields| Ok((FileNo(fields.u32("file")?), fields.u32("blocks")?)))?,
            meta: MetaLocation::get(fields)?,
            pages: PageRuns::get(fields)?,
            removed: fields.list("removed pages", PageId::BYTES, PageId::get)?,
        })
    }
}

/// A list with one item per shard.
pub(crate) fn shard_list<'a, T>(
    fields: &mut Reader<'a>,
    what: &'static str,
    item_bytes_min: usize,
    get: impl FnMut(&mut Reader<'a>) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    let start = fields.clone();
    let items = fields.list(what, item_bytes_min, get)?;
    if items.is_empty() || items.len() > usize::from(SHARDS_MAX) {
        return Err(start.error(what, format_args!("{} is not a number of shards", items.len())));
    }
    Ok(items)
}

/// A shard's number.
pub(crate) fn shard_id(fields: &mut Reader<'_>) -> Result<ShardId, CodecError> {
    let start = fields.clone();
    match fields.u16("shard")? {
        shard if shard < SHARDS_MAX => Ok(ShardId(shard)),
        other => Err(start.error("shard", format_args!("there is no shard {other}"))),
    }
}

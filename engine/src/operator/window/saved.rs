//! What a checkpoint holds of the window operator beside its tables, and how it comes back.

use super::WindowAggregate;
use super::blocks::BlockId;
use super::finish::{Finish, OnLate};
use super::fire::{Phase, Position, Work};
use super::panes::{Panes, SLICE};
use super::rule::WindowRule;
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{KeyGroups, KeyHash, ShardId, Timestamp};
use crate::key::Key;
use crate::operator::failure::Cause;
use crate::operator::floors::{Floor, Floors};
use crate::operator::keyed_state::{put_table, table};
use crate::operator::segment::OpenContext;
use crate::record::Record;
use crate::savepoint::{TableOfState, TableRole};
use crate::state::TableMeta;
use crate::window::{LateLedger, Slices, TimeWindow};

/// A checkpoint that does not fit the program.
#[derive(Debug, thiserror::Error)]
enum RestoreFailure {
    /// The slices in the checkpoint are not those of the windows of the program.
    #[error(
        "the windows of operator `{operator}` have changed since the checkpoint was written: then `{then}`, now `{now}`; go back to the \
         windows they were, give the operator another name, or start with an empty state directory"
    )]
    WindowsChanged {
        /// The operator.
        operator: String,
        /// The windows in the checkpoint.
        then: String,
        /// The windows of the program.
        now: String,
    },
}

/// See the [module](self).
pub(super) struct Saved {
    /// The windows in words.
    pub(super) windows: String,
    pub(super) slices: Vec<(Timestamp, TableMeta)>,
    pub(super) blocks: Vec<(BlockId, TableMeta)>,
    /// The totals' values and parts.
    pub(super) totals: Option<(TableMeta, TableMeta)>,
    pub(super) position: Position,
    pub(super) watermark: Timestamp,
    pub(super) late: LateLedger,
    pub(super) unassigned: u64,
    pub(super) floors: Floors,
}

impl Saved {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.put_str(&self.windows);
        out.put_list(&self.slices, |out, (end, meta)| {
            out.put_i64(end.0);
            put_table(out, meta);
        });
        out.put_list(&self.blocks, |out, (block, meta)| {
            out.put_u8(block.level).put_i64(block.start.0);
            put_table(out, meta);
        });
        out.put_option(self.totals, |out, (values, parts)| {
            put_table(out, &values);
            put_table(out, &parts);
        });
        let Position { entered, left, done, work } = self.position;
        out.put_i64(entered.0).put_i64(left.0).put_i64(done.0);
        out.put_option(work, |out, work| {
            out.put_i64(work.window.start.0).put_i64(work.window.end.0).put_u8(work.phase.number());
            out.put_option(work.resume, |out, hash| {
                out.put_u64(hash.0);
            });
        });
        out.put_i64(self.watermark.0);
        self.late.put(&mut out);
        out.put_u64(self.unassigned);
        self.floors.put(&mut out);
        out.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Saved, CodecError> {
        let mut input = Reader::new(bytes);
        let time = |input: &mut Reader<'_>, what| Ok::<_, CodecError>(Timestamp(input.i64(what)?));
        let saved = Saved {
            windows: input.str("windows")?.to_owned(),
            slices: input.list("slices", 20, |input| Ok((time(input, "slice end")?, table(input)?)))?,
            blocks: input.list("blocks", 21, |input| {
                let block =
                    BlockId { level: input.u8("level of a block")?, start: time(input, "block start")? };
                Ok((block, table(input)?))
            })?,
            totals: input.option("totals", |input| Ok((table(input)?, table(input)?)))?,
            position: Position {
                entered: time(&mut input, "last slice of the totals")?,
                left: time(&mut input, "first slice of the totals")?,
                done: time(&mut input, "last fired window")?,
                work: input.option("firing", |input| {
                    let window = TimeWindow {
                        start: time(input, "firing window")?,
                        end: time(input, "firing window")?,
                    };
                    let number = input.u8("firing phase")?;
                    let phase =
                        Phase::of_number(number).ok_or_else(|| input.error("firing phase", number))?;
                    let resume = input
                        .option("firing position", |input| Ok(KeyHash(input.u64("firing position")?)))?;
                    Ok(Work { window, phase, resume })
                })?,
            },
            watermark: time(&mut input, "watermark")?,
            late: LateLedger::read(&mut input)?,
            unassigned: input.u64("unassigned records")?,
            floors: Floors::read(&mut input)?,
        };
        input.finish()?;
        Ok(saved)
    }

    /// What the keys with hashes from `first` to `last`, which lived on the shard that this was saved on, have behind them.
    fn floors_within(&self, windows: &impl Slices, first: KeyHash, last: KeyHash) -> Floors {
        let mut floors = Floors::default();
        let fired = windows.last_end(self.position.done);
        let of = |first, last, fired| Floor { first, last, watermark: self.watermark, fired };
        match self.position.work {
            // A half-done firing has given out the results of the keys before its position.
            Some(Work { window, phase: Phase::Emit, resume: Some(resume) }) if resume > first => {
                floors.add(of(first, last.min(KeyHash(resume.0 - 1)), window.end));
                floors.add(of(resume, last, fired));
            }
            _ => floors.add(of(first, last, fired)),
        }
        floors.add_within(&self.floors, first, last);
        floors
    }
}

/// The tables of slices, which is all that a savepoint needs: totals and blocks follow from them.
pub(super) fn tables_of(words: &[u8]) -> Result<Vec<TableOfState>, CodecError> {
    let slices = Saved::decode(words)?.slices.into_iter();
    let tables = slices.map(|(_, meta)| {
        let (state, role) = (SLICE.to_owned(), TableRole::Entries);
        TableOfState { state, role, meta }
    });
    Ok(tables.collect())
}

impl<T, K, W, R, F, L> WindowAggregate<T, K, W, R, F, L>
where
    T: Record,
    K: Key + ?Sized,
    W: Slices,
    R: WindowRule<T>,
    F: Finish<K, R::Out>,
    L: OnLate<T>,
{
    pub(super) fn saved(&self, panes: &Panes<K, R::Acc>) -> Saved {
        Saved {
            windows: self.windows.to_string(),
            slices: panes.slices.iter().map(|(end, table)| (*end, table.meta())).collect(),
            blocks: panes.blocks.metas(),
            totals: panes.totals.as_ref().map(|totals| totals.meta()),
            position: self.position,
            watermark: self.watermark,
            late: self.late.clone(),
            unassigned: self.unassigned,
            floors: self.floors.clone(),
        }
    }

    /// Takes up what a checkpoint holds.
    pub(super) fn restore(
        &mut self,
        context: &OpenContext,
        panes: &mut Panes<K, R::Acc>,
    ) -> Result<(), Cause> {
        let Some(restored) = &context.restored else { return Ok(()) };
        let name = context.name(self.op).to_owned();
        let mut all: Vec<(ShardId, Saved)> = Vec::new();
        for (old_shard, snapshot) in restored.operators(&name) {
            let saved = Saved::decode(&snapshot.data).map_err(Cause::fatal)?;
            let now = self.windows.to_string();
            if saved.windows != now {
                let then = saved.windows;
                return Err(Cause::fatal(RestoreFailure::WindowsChanged {
                    operator: name.clone(),
                    then,
                    now,
                }));
            }
            all.push((old_shard, saved));
        }
        if restored.keeps_pages() {
            if let Some((_, saved)) = all.into_iter().find(|(shard, _)| *shard == context.shard) {
                panes.restore(&saved).map_err(Cause::state)?;
                self.position = saved.position;
                self.watermark = saved.watermark;
                (self.late, self.unassigned, self.floors) = (saved.late, saved.unassigned, saved.floors);
                self.settle();
            }
            return Ok(());
        }
        // Totals and blocks follow from the slices, and are made anew with the first window that fires.
        let (instance, instances) = context.instance();
        let mine = KeyGroups::of_shard(instance, instances);
        self.position.done = all.iter().map(|(_, saved)| saved.position.done).min().unwrap_or(Timestamp::MIN);
        for (old_shard, snapshot) in restored.operators(&name) {
            let Some((_, saved)) = all.iter().find(|(shard, _)| *shard == old_shard) else { continue };
            let theirs = restored.key_groups(&name, old_shard);
            let both = KeyGroups { start: mine.start.max(theirs.start), end: mine.end.min(theirs.end) };
            if let Some(last) = both.last_hash() {
                panes.import(restored, old_shard, snapshot, &saved.slices).map_err(Cause::state)?;
                let first = both.first_hash();
                self.floors.add_within(&saved.floors_within(&self.windows, first, last), first, last);
            }
        }
        // Figures of the whole operator go on on one shard.
        if instance == ShardId(0) {
            for (_, saved) in all {
                self.late.absorb(saved.late);
                self.unassigned += saved.unassigned;
            }
        }
        self.settle();
        Ok(())
    }
}

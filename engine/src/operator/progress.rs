//! How far an operator's event time has come, per key where that matters, and which records came too late for it.

use super::floors::{Floor, Floors};
use super::store::Opening;
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{KeyHash, Timestamp};
use crate::window::{LateLedger, TimeWindow};

/// See the [module](self).
pub(crate) struct Progress {
    /// The operator's watermark.
    pub(crate) watermark: Timestamp,
    /// Records that belonged nowhere.
    pub(crate) unassigned: u64,
    /// Records that came too late.
    pub(crate) late: LateLedger,
    floors: Floors,
}

impl Default for Progress {
    fn default() -> Self {
        let (late, floors) = (LateLedger::default(), Floors::default());
        Progress { watermark: Timestamp::MIN, unassigned: 0, late, floors }
    }
}

impl Progress {
    /// Takes up what a checkpoint holds of it, which is all that the operator has to say.
    pub(crate) fn restore(opening: &Opening<'_>) -> Result<Progress, CodecError> {
        if let Some(mut words) = opening.own() {
            let progress = Progress::read(&mut words)?;
            words.finish()?;
            return Ok(progress);
        }
        let mut progress = Progress::default();
        for (groups, mut words) in opening.own_before() {
            let before = Progress::read(&mut words)?;
            words.finish()?;
            if let Some(last) = groups.last_hash() {
                let (first, watermark, fired) = (groups.first_hash(), before.watermark, Timestamp::MIN);
                progress.floors.add(Floor { first, last, watermark, fired });
                progress.floors.add_within(&before.floors, first, last);
            }
            // Figures of the whole operator go on on one shard.
            if opening.is_first_shard() {
                progress.late.absorb(before.late);
                progress.unassigned += before.unassigned;
            }
        }
        Ok(progress)
    }

    fn read(input: &mut Reader<'_>) -> Result<Progress, CodecError> {
        Ok(Progress {
            watermark: Timestamp(input.i64("watermark")?),
            unassigned: input.u64("unassigned records")?,
            late: LateLedger::read(input)?,
            floors: Floors::read(input)?,
        })
    }

    pub(crate) fn words(&self) -> Writer {
        let mut out = Writer::new();
        out.put_i64(self.watermark.0).put_u64(self.unassigned);
        self.late.put(&mut out);
        self.floors.put(&mut out);
        out
    }

    /// Event time has come to `at`.
    pub(crate) fn advance(&mut self, at: Timestamp) {
        self.watermark = self.watermark.max(at);
    }

    /// Event time begins anew, for another key.
    pub(crate) fn begin_anew(&mut self) {
        self.watermark = Timestamp::MIN;
    }

    /// All that was due has been done.
    pub(crate) fn settle(&mut self) {
        self.floors.pass(self.watermark);
    }

    /// How far event time has come for a key.
    #[inline]
    pub(crate) fn seen(&self, hash: KeyHash) -> Timestamp {
        match self.floors.is_empty() {
            true => self.watermark,
            false => self.watermark.max(self.floors.watermark(hash)),
        }
    }

    /// Enters a record that came too late, and the last window it belonged to.
    pub(crate) fn enter_late(
        &mut self,
        (hash, key): (KeyHash, &[u8]),
        at: Timestamp,
        seen: Timestamp,
        window: TimeWindow,
    ) {
        self.late.enter(hash, key, at, seen, window);
    }
}

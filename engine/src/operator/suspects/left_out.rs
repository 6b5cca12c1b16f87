//! Records behind an exchange that are to be left out.

use std::ops::Range;
use std::sync::Arc;

use super::{Mark, RecordId, Suspects};
use crate::channel::Batch;
use crate::element::Epoch;

/// See the [module](self).
pub(crate) struct LeftOut {
    suspects: Arc<Suspects>,
    marks: Vec<Mark>,
}

impl LeftOut {
    /// None where there are none.
    pub(crate) fn of(suspects: &Arc<Suspects>, operator: &str) -> Option<Box<LeftOut>> {
        let marks = suspects.marks_of(operator);
        (!marks.is_empty()).then(|| Box::new(LeftOut { suspects: suspects.clone(), marks }))
    }

    /// Which part of a stretch of records is to be taken, and where the next one begins: all of it, unless a record in it is to be left out.
    #[inline]
    pub(crate) fn cut(
        marked: &mut Option<Box<LeftOut>>,
        port: usize,
        batch: &Batch<'_>,
        stretch: Range<usize>,
        epoch: Epoch,
    ) -> (Range<usize>, usize) {
        let next = stretch.end;
        let Some(left_out) = marked else { return (stretch, next) };
        let cut = left_out.pass_over(port, batch, stretch, epoch);
        if left_out.marks.is_empty() {
            *marked = None;
        }
        cut
    }

    /// Up to the first record that is to be left out. One that is at the very beginning is passed over, after the switch to `epoch`.
    #[cold]
    fn pass_over(
        &mut self,
        port: usize,
        batch: &Batch<'_>,
        stretch: Range<usize>,
        epoch: Epoch,
    ) -> (Range<usize>, usize) {
        for index in stretch.clone() {
            let Some(found) = self.marks.iter().position(|mark| is_it(&mark.id, port, batch, index)) else {
                continue;
            };
            if index > stretch.start {
                return (stretch.start..index, index);
            }
            let mark = self.marks.swap_remove(found);
            self.suspects.was_left_out(&mark, epoch);
            tracing::warn!(operator = mark.operator, "a record that made the job fail is left out");
            return (index..index, index + 1);
        }
        let next = stretch.end;
        (stretch, next)
    }
}

fn is_it(id: &RecordId, on: usize, batch: &Batch<'_>, index: usize) -> bool {
    let RecordId::Exchanged { port, hash, at, bytes } = id else { return false };
    usize::from(*port) == on
        && batch.timestamps()[index] == *at
        && batch.hashes().get(index).map_or(0, |hash| hash.0) == *hash
        && batch.record_bytes(index) == bytes.as_slice()
}

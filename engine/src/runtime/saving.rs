//! Saving a shard's part of a checkpoint, behind the running job and in bounded slices.
//!
//! ```text
//! switch --> pages of each arena --> in-flight records captured, sinks' cuts safe --> metadata --> synced --> event
//! ```

use std::task::Poll;
use std::time::Duration;

use super::control::Saved;
use super::coordinator::CheckpointFailure;
use super::snapshot::{ChannelSnapshot, ShardSnapshot, SinkSnapshot};
use crate::arena::StateError;
use crate::channel::holds_records;
use crate::checkpoint::{ArenaNo, DeltaWriter, PageId};
use crate::disk::ShardDisk;
use crate::element::{Epoch, ShardId};
use crate::operator::segment::Segment;

/// How many words of records in flight one input copies in a slice.
const CAPTURE_WORDS_PER_SLICE: usize = 4096;

/// A checkpoint under way on one shard.
pub(crate) struct Saving {
    pub(crate) epoch: Epoch,
    shard: ShardId,
    snapshot: ShardSnapshot,
    /// The next chain whose pages are to be saved.
    next_arena: usize,
    /// Per chain: the cut of its sink is safe.
    prepared: Vec<bool>,
    captured: bool,
    finished: bool,
    /// There is more that could be done at once.
    pub(crate) can_go_on: bool,
    removed: Vec<PageId>,
    in_flight_bytes: u64,
    has_cuts: bool,
    pub(crate) aligned_in: Duration,
    pub(crate) gave_up_aligning: bool,
    /// Whether the chains had no records under way, and, once all is captured, no record was on its way between them.
    quiet: bool,
}

impl Saving {
    /// Begins right after the switch. With a writer, pages and metadata are written; without one (a job without a state directory),
    /// only the sinks' cuts are made.
    pub(crate) fn begin(
        epoch: Epoch,
        shard: ShardId,
        snapshot: ShardSnapshot,
        segments: &mut [Box<dyn Segment>],
        writer: Option<&mut DeltaWriter>,
    ) -> Saving {
        let quiet = segments.iter().all(|segment| segment.is_quiet());
        if let Some(writer) = writer {
            let pages = segments.iter_mut().filter_map(|segment| segment.arena());
            writer.begin(epoch, pages.map(|arena| arena.pages_to_save()).sum());
        }
        Saving {
            epoch,
            shard,
            snapshot,
            next_arena: 0,
            prepared: vec![false; segments.len()],
            captured: false,
            finished: false,
            can_go_on: true,
            removed: Vec::new(),
            in_flight_bytes: 0,
            has_cuts: false,
            aligned_in: Duration::ZERO,
            gave_up_aligning: false,
            quiet,
        }
    }

    /// Does a slice. `Ready` when all is safe on disk.
    pub(crate) fn slice(
        &mut self,
        segments: &mut [Box<dyn Segment>],
        mut writer: Option<&mut DeltaWriter>,
        disk: &mut dyn ShardDisk,
        pages: usize,
    ) -> Poll<Result<Saved, CheckpointFailure>> {
        if !self.captured {
            self.capture(segments);
        }
        if let Err(error) = self.prepare(segments) {
            return Poll::Ready(Err(error));
        }
        let ready = match writer.as_deref_mut() {
            Some(writer) => self.save_pages(segments, writer, disk, pages),
            None => self.skip_pages(segments),
        };
        let ready = match ready {
            Ok(ready) => ready,
            Err(error) => return Poll::Ready(Err(CheckpointFailure::State(error))),
        };
        self.can_go_on = !ready && writer.as_deref().is_some_and(DeltaWriter::wants_more);
        if !ready || !self.captured || !self.prepared.iter().all(|prepared| *prepared) {
            return self.poll_failure(writer, disk);
        }
        if !self.finished {
            self.finished = true;
            self.can_go_on = true;
            let snapshot = std::mem::take(&mut self.snapshot);
            self.has_cuts = !snapshot.sinks.is_empty();
            if let Some(writer) = writer.as_deref_mut() {
                writer.finish(std::mem::take(&mut self.removed), snapshot.encode());
            }
        }
        let Saving { in_flight_bytes, has_cuts: sinks, aligned_in, gave_up_aligning, quiet, .. } = *self;
        let saved = |delta| Saved { delta, in_flight_bytes, sinks, aligned_in, gave_up_aligning, quiet };
        match writer {
            None => Poll::Ready(Ok(saved(None))),
            Some(writer) => match writer.poll(disk) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(summary)) => Poll::Ready(Ok(saved(Some(summary)))),
                Poll::Ready(Err(error)) => Poll::Ready(Err(CheckpointFailure::Store(error))),
            },
        }
    }

    /// While there is still something to gather, the disk may already have failed.
    fn poll_failure(
        &self,
        writer: Option<&mut DeltaWriter>,
        disk: &mut dyn ShardDisk,
    ) -> Poll<Result<Saved, CheckpointFailure>> {
        match writer.map(|writer| writer.poll(disk)) {
            Some(Poll::Ready(Err(error))) => Poll::Ready(Err(CheckpointFailure::Store(error))),
            _ => Poll::Pending,
        }
    }

    fn capture(&mut self, segments: &mut [Box<dyn Segment>]) {
        let mut all = true;
        for inlet in segments.iter_mut().flat_map(|segment| segment.inlets()) {
            all &= inlet.capture_some(CAPTURE_WORDS_PER_SLICE);
        }
        if !all {
            return;
        }
        self.captured = true;
        for segment in segments {
            let Some(operator) = segment.input_name().map(str::to_owned) else { continue };
            for number in 0..segment.inlets().len() {
                let frames = segment.inlets()[number].take_capture().unwrap_or_default();
                if !frames.is_empty() {
                    let (port, from) = segment.lane(number);
                    let (operator, to) = (operator.clone(), self.shard);
                    self.snapshot.in_rings.push(ChannelSnapshot { operator, port, from, to, frames });
                }
            }
        }
        let channels = self.snapshot.in_rings.iter().chain(&self.snapshot.unsent);
        self.quiet &= channels.clone().all(|channel| !holds_records(&channel.frames));
        self.in_flight_bytes = channels.map(|channel| channel.frames.len() as u64).sum();
    }

    fn prepare(&mut self, segments: &mut [Box<dyn Segment>]) -> Result<(), CheckpointFailure> {
        for (segment, prepared) in segments.iter_mut().zip(&mut self.prepared) {
            if *prepared {
                continue;
            }
            let tail = segment.tail();
            let name = tail.name().to_owned();
            match tail.poll_prepared() {
                Poll::Pending => {}
                Poll::Ready(Err(error)) => return Err(CheckpointFailure::Sink { operator: name, error }),
                Poll::Ready(Ok(committables)) => {
                    *prepared = true;
                    if !committables.is_empty() {
                        self.snapshot.sinks.push(SinkSnapshot { operator: name, committables });
                    }
                }
            }
        }
        Ok(())
    }

    /// Hands pages to the writer. Returns whether all pages have been.
    fn save_pages(
        &mut self,
        segments: &mut [Box<dyn Segment>],
        writer: &mut DeltaWriter,
        disk: &mut dyn ShardDisk,
        mut pages: usize,
    ) -> Result<bool, StateError> {
        while self.next_arena < segments.len() {
            let arena_no = ArenaNo(self.next_arena as u16);
            if let Some(arena) = segments[self.next_arena].arena() {
                if pages == 0 || !writer.wants_more() {
                    return Ok(false);
                }
                let mut given = 0;
                let done = arena.save_some(pages, &mut |saved| {
                    given += 1;
                    let id = PageId { arena: arena_no, page: saved.page };
                    writer.add_page(disk, id, saved.info.encode(), saved.bytes);
                })?;
                pages -= given.min(pages);
                if !done {
                    return Ok(false);
                }
                self.removed
                    .extend(arena.removed_pages().iter().map(|page| PageId { arena: arena_no, page: *page }));
            }
            self.next_arena += 1;
        }
        Ok(true)
    }

    /// Without a state directory pages go nowhere; the arenas only turn their epoch.
    fn skip_pages(&mut self, segments: &mut [Box<dyn Segment>]) -> Result<bool, StateError> {
        while self.next_arena < segments.len() {
            if let Some(arena) = segments[self.next_arena].arena() {
                arena.save_some(usize::MAX, &mut |_| {})?;
            }
            self.next_arena += 1;
        }
        Ok(true)
    }

    /// Gives the checkpoint up: what it would have saved goes along with the next one.
    pub(crate) fn abort(&mut self, segments: &mut [Box<dyn Segment>], writer: Option<&mut DeltaWriter>) {
        for segment in segments.iter_mut() {
            if let Some(arena) = segment.arena() {
                arena.abort_checkpoint();
            }
            for inlet in segment.inlets() {
                inlet.abort_capture();
            }
        }
        if let Some(writer) = writer {
            writer.give_up();
        }
    }
}

//! The merge of several runs into one order.

use std::cmp::Ordering;

use super::Item;
use super::blocks::Run;
use super::error::SortError;
use super::reader::RunReader;
use super::tickets::Tickets;
use crate::channel::BatchShape;
use crate::disk::{DiskBuffer, FileHandle, ShardDisk};
use crate::key::KeyShape;

/// See the [module](self). Of equal records, those of an earlier run come first.
pub(super) struct Merge {
    readers: Vec<RunReader>,
    /// The numbers of those readers that have a record at hand: a heap, the first in order at its top.
    heap: Vec<usize>,
    /// Those that are to have one, but do not yet.
    waiting: Vec<usize>,
    compares_keys: bool,
}

impl Merge {
    /// Of these runs, whose files get the handles from `first` on.
    pub(super) fn new(runs: impl IntoIterator<Item = Run>, first: u64, shape: BatchShape) -> Self {
        let reader = |(number, run)| RunReader::new(run, number, FileHandle(first + number as u64), shape);
        let readers: Vec<RunReader> = runs.into_iter().enumerate().map(reader).collect();
        let waiting = (0..readers.len()).collect();
        Merge { readers, heap: Vec::new(), waiting, compares_keys: shape.key != KeyShape::InHash }
    }

    /// Asks the disk for what will be needed. Returns whether it asked for anything.
    pub(super) fn work(&mut self, disk: &mut dyn ShardDisk, tickets: &mut Tickets) -> bool {
        self.readers.iter_mut().fold(false, |asked, reader| reader.work(disk, tickets) | asked)
    }

    /// A file is open.
    pub(super) fn opened(&mut self, run: usize) {
        self.readers[run].opened();
    }

    /// A block of a run has come.
    pub(super) fn came(
        &mut self,
        run: usize,
        block: usize,
        buffer: Option<Box<dyn DiskBuffer>>,
    ) -> Result<(), SortError> {
        self.readers[run].came(block, buffer)
    }

    /// Lets those readers take part that have a record now. Returns whether all do that have any left.
    fn is_ready(&mut self) -> bool {
        let mut number = 0;
        while let Some(&waiting) = self.waiting.get(number) {
            if self.readers[waiting].head().is_some() {
                self.waiting.swap_remove(number);
                self.heap.push(waiting);
                self.sift_up(self.heap.len() - 1);
            } else if self.readers[waiting].is_over() {
                self.waiting.swap_remove(number);
            } else {
                number += 1;
            }
        }
        self.waiting.is_empty()
    }

    /// Whether all records have been given.
    pub(super) fn is_over(&mut self) -> bool {
        self.is_ready() && self.heap.is_empty()
    }

    /// Gives records out in order, as many as there are at hand and at most so many. Ends early where `each` says that it takes no more.
    pub(super) fn give(
        &mut self,
        most: usize,
        mut each: impl FnMut(Item<'_>) -> bool,
    ) -> Result<usize, SortError> {
        let (mut given, mut takes_more) = (0, true);
        while takes_more && given < most && self.is_ready() {
            let Some(&first) = self.heap.first() else { break };
            let reader = &mut self.readers[first];
            reader.give(|item| takes_more = each(item))?;
            given += 1;
            if reader.head().is_none() {
                self.waiting.push(first);
                self.heap.swap_remove(0);
            }
            self.sift_down();
        }
        Ok(given)
    }

    fn precedes(&self, a: usize, b: usize) -> bool {
        let (left, right) = (&self.readers[a], &self.readers[b]);
        let (Some(left_head), Some(right_head)) = (left.head(), right.head()) else { return false };
        let order = left_head.hash.cmp(&right_head.hash);
        let order = match self.compares_keys && order == Ordering::Equal {
            true => left.key().cmp(right.key()),
            false => order,
        };
        order.then(left_head.at.cmp(&right_head.at)).then(a.cmp(&b)) == Ordering::Less
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.precedes(self.heap[place], self.heap[parent]) {
                break;
            }
            self.heap.swap(place, parent);
            place = parent;
        }
    }

    fn sift_down(&mut self) {
        let mut place = 0;
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let mut first = place;
            for child in [left, right] {
                if child < self.heap.len() && self.precedes(self.heap[child], self.heap[first]) {
                    first = child;
                }
            }
            if first == place {
                return;
            }
            self.heap.swap(place, first);
            place = first;
        }
    }
}

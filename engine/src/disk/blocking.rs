//! A [`ShardDisk`] that carries out each operation at once, on a blocking [`Disk`].

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Disk, DiskBuffer, DiskDone, DiskError, DiskFile, DiskOp, FileHandle, ShardDisk};

/// A buffer on the heap, without the alignment that direct I/O asks for.
#[derive(Debug)]
pub struct HeapBuffer(Box<[u8]>);

impl HeapBuffer {
    /// A zeroed buffer.
    pub fn zeroed(len: usize) -> Self {
        HeapBuffer(vec![0; len].into_boxed_slice())
    }
}

impl DiskBuffer for HeapBuffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Carries out each operation while it is submitted; the answers wait to be polled, in order. For tests and tools: a shard that uses it
/// stands still while the disk works.
pub struct BlockingShardDisk {
    disk: Arc<dyn Disk>,
    files: OpenFiles,
    done: VecDeque<DiskDone>,
    next_ticket: u64,
}

impl BlockingShardDisk {
    /// A front to `disk`.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        BlockingShardDisk { disk, files: OpenFiles::default(), done: VecDeque::new(), next_ticket: 1 }
    }
}

impl ShardDisk for BlockingShardDisk {
    fn buffer(&mut self, len: usize) -> Box<dyn DiskBuffer> {
        Box::new(HeapBuffer::zeroed(len))
    }

    fn submit(&mut self, op: DiskOp) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let (result, buffer) = self.files.carry_out(self.disk.as_ref(), op);
        self.done.push_back(DiskDone { ticket, result, buffer });
        ticket
    }

    fn poll(&mut self) -> Option<DiskDone> {
        self.done.pop_front()
    }

    fn outstanding(&self) -> usize {
        self.done.len()
    }
}

/// The files that a shard has open, by its handles, and how a [`DiskOp`] is done on a blocking disk.
#[derive(Default)]
pub(crate) struct OpenFiles {
    files: HashMap<FileHandle, (Arc<dyn DiskFile>, PathBuf)>,
}

impl OpenFiles {
    /// Does one operation; gives back the buffer of a read or write.
    pub(crate) fn carry_out(
        &mut self,
        disk: &dyn Disk,
        op: DiskOp,
    ) -> (Result<(), DiskError>, Option<Box<dyn DiskBuffer>>) {
        match op {
            DiskOp::Create { file, path } => match disk.create(&path) {
                Ok(opened) => (self.keep(file, opened, path), None),
                Err(error) => (Err(DiskError::new("cannot create", &path, &error)), None),
            },
            DiskOp::Open { file, path } => match disk.open(&path) {
                Ok(opened) => (self.keep(file, opened, path), None),
                Err(error) => (Err(DiskError::new("cannot open", &path, &error)), None),
            },
            DiskOp::Write { file, offset, buffer } => {
                let write = |file: &dyn DiskFile| file.write_all_at(buffer.bytes(), offset);
                (self.with(file, "cannot write to", write), Some(buffer))
            }
            DiskOp::Read { file, offset, mut buffer } => {
                let read = |file: &dyn DiskFile| {
                    let len = file.len()?.saturating_sub(offset).min(buffer.bytes().len() as u64) as usize;
                    file.read_exact_at(&mut buffer.bytes_mut()[..len], offset)
                };
                (self.with(file, "cannot read from", read), Some(buffer))
            }
            DiskOp::Sync { file } => (self.with(file, "cannot sync", |file| file.sync()), None),
            DiskOp::Close { file } => {
                self.files.remove(&file);
                (Ok(()), None)
            }
        }
    }

    fn keep(&mut self, handle: FileHandle, file: Arc<dyn DiskFile>, path: PathBuf) -> Result<(), DiskError> {
        self.files.insert(handle, (file, path));
        Ok(())
    }

    fn with(
        &self,
        handle: FileHandle,
        attempt: &'static str,
        action: impl FnOnce(&dyn DiskFile) -> io::Result<()>,
    ) -> Result<(), DiskError> {
        let Some((file, path)) = self.files.get(&handle) else {
            let unknown = io::Error::other("the shard has not opened this file, or has closed it");
            return Err(DiskError::new(
                attempt,
                &PathBuf::from(format!("file handle {}", handle.0)),
                &unknown,
            ));
        };
        action(file.as_ref()).map_err(|error| DiskError::new(attempt, path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{BLOCK_BYTES, RealDisk};

    #[test]
    fn what_is_written_is_read_back_and_the_end_of_the_file_is_respected() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = BlockingShardDisk::new(RealDisk::shared());
        let (file, path) = (FileHandle(7), dir.path().join("a"));
        disk.submit(DiskOp::Create { file, path });
        let mut buffer = disk.buffer(BLOCK_BYTES);
        buffer.bytes_mut().fill(9);
        disk.submit(DiskOp::Write { file, offset: 0, buffer });
        let mut buffer = disk.buffer(2 * BLOCK_BYTES);
        buffer.bytes_mut().fill(1);
        let read = disk.submit(DiskOp::Read { file, offset: 0, buffer });
        disk.submit(DiskOp::Close { file });
        assert_eq!(disk.outstanding(), 4);
        let answers: Vec<DiskDone> = std::iter::from_fn(|| disk.poll()).collect();
        assert!(answers.iter().all(|done| done.result.is_ok()));
        let answer = answers.into_iter().find(|done| done.ticket == read).unwrap();
        let bytes = answer.buffer.unwrap();
        assert!(bytes.bytes()[..BLOCK_BYTES].iter().all(|b| *b == 9));
        assert!(bytes.bytes()[BLOCK_BYTES..].iter().all(|b| *b == 1));
        disk.submit(DiskOp::Sync { file });
        let done = disk.poll().unwrap();
        assert!(done.result.unwrap_err().to_string().contains("file handle 7"));
    }
}

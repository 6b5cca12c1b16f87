//! The file that pages lie in which memory has no room for.

use std::path::PathBuf;
use std::sync::Arc;

use super::page::PageNo;
use crate::disk::{Disk, DiskError, DiskFile};
use crate::limits::PAGE_BYTES;

/// Where an arena may leave pages that its memory has no room for.
#[derive(Clone)]
pub struct SpillPlace {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The file: of this arena alone, made when the first page goes there. Its name is taken away at once, so that nothing is left of it
    /// however the process ends.
    pub path: PathBuf,
}

impl std::fmt::Debug for SpillPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SpillPlace").field(&self.path).finish()
    }
}

/// A sparse file: every page has its own place.
pub(super) struct SpillFile {
    place: SpillPlace,
    file: Option<Arc<dyn DiskFile>>,
}

impl SpillFile {
    pub(super) fn new(place: SpillPlace) -> Self {
        SpillFile { place, file: None }
    }

    /// Its name, for errors.
    pub(super) fn name(&self) -> String {
        self.place.path.display().to_string()
    }

    /// Where a page lies.
    pub(super) fn offset(page: PageNo) -> u64 {
        u64::from(page.0) * PAGE_BYTES as u64
    }

    /// Writes pages that follow each other.
    pub(super) fn write(&mut self, first: PageNo, pages: &[u8]) -> Result<(), DiskError> {
        let path = self.place.path.clone();
        let failed = |error: std::io::Error| DiskError::new("cannot write to", &path, &error);
        if self.file.is_none() {
            let file = self.place.disk.create(&path).map_err(failed)?;
            self.place.disk.remove(&path).map_err(failed)?;
            self.file = Some(file);
        }
        let file = self.file.as_ref().expect("it was just made");
        file.write_all_at(pages, Self::offset(first)).map_err(failed)
    }

    /// Reads a page that was written.
    pub(super) fn read(&self, page: PageNo, into: &mut [u8]) -> Result<(), DiskError> {
        let file = self.file.as_ref().expect("a page that is read was written");
        let read = file.read_exact_at(into, Self::offset(page));
        read.map_err(|error| DiskError::new("cannot read from", &self.place.path, &error))
    }

    /// Says that a page that was written will be read soon, so that the reads of many run side by side.
    pub(super) fn announce(&self, page: PageNo) {
        #[cfg(target_os = "linux")]
        if let Some(file) = self.file.as_ref().and_then(|file| file.fd()) {
            use std::os::fd::AsRawFd;
            // SAFETY: the descriptor is borrowed from an open file. The call is a hint: whether it fails does not matter.
            unsafe {
                libc::posix_fadvise(
                    file.as_raw_fd(),
                    Self::offset(page) as libc::off_t,
                    PAGE_BYTES as libc::off_t,
                    libc::POSIX_FADV_WILLNEED,
                );
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = page;
    }
}

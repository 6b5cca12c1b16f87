//! Memory that is reserved once and never moves: the pages themselves, and the columns that say something about each page.
#![allow(unsafe_code)] // raw memory behind typed accessors

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::{MmapMut, MmapOptions};

/// Huge pages of the kernel are this large; a region starts at a multiple of it.
pub(super) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Where an arena's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaBacking {
    /// One anonymous mapping that reserves address space only; the kernel gives memory page by page on first touch.
    Mapped {
        /// Ask for huge pages: fewer misses of the translation cache, at the price of memory in steps of 2 MiB. Otherwise ask for none, even
        /// where the system gives them to all.
        huge_pages: bool,
    },
    /// The heap: for miri and the sanitizers, with small reservations.
    Heap,
}

impl ArenaBacking {
    /// The same without huge pages: for what is touched here and there.
    pub(crate) fn by_small_pages(self) -> ArenaBacking {
        match self {
            ArenaBacking::Mapped { .. } => ArenaBacking::Mapped { huge_pages: false },
            ArenaBacking::Heap => ArenaBacking::Heap,
        }
    }
}

impl Default for ArenaBacking {
    fn default() -> Self {
        if cfg!(miri) { ArenaBacking::Heap } else { ArenaBacking::Mapped { huge_pages: true } }
    }
}

/// Whether memory can be given back to the system page by page.
pub(crate) fn pages_can_go() -> bool {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: a question to the system.
        let system = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(system) == Ok(crate::limits::PAGE_BYTES)
    }
    #[cfg(not(target_os = "linux"))]
    false
}

enum Owner {
    Mapped(MmapMut),
    Heap(NonNull<u8>, Layout),
}

/// A run of zeroed memory.
pub(super) struct Region {
    base: NonNull<u8>,
    owner: Owner,
}

impl Region {
    /// Reserves `bytes` (not 0) of zeroed memory.
    pub(super) fn reserve(bytes: usize, backing: ArenaBacking) -> io::Result<Region> {
        match backing {
            ArenaBacking::Mapped { huge_pages } => {
                let mut map = MmapOptions::new().len(bytes + HUGE_PAGE_BYTES).no_reserve_swap().map_anon()?;
                #[cfg(target_os = "linux")]
                {
                    // Advice: a kernel without huge pages says no, and nothing is lost.
                    let _ = map.advise(match huge_pages {
                        true => memmap2::Advice::HugePage,
                        false => memmap2::Advice::NoHugePage,
                    });
                }
                #[cfg(not(target_os = "linux"))]
                let _ = huge_pages;
                let start = map.as_mut_ptr();
                // SAFETY: the mapping is one huge page longer than asked for, so the aligned start and all that follows lie in it.
                let base = unsafe { start.add(start.align_offset(HUGE_PAGE_BYTES)) };
                let base = NonNull::new(base).expect("a mapping does not start at address 0");
                Ok(Region { base, owner: Owner::Mapped(map) })
            }
            ArenaBacking::Heap => {
                let layout = Layout::from_size_align(bytes, crate::limits::PAGE_BYTES)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
                // SAFETY: the layout's size is not 0.
                let base = NonNull::new(unsafe { alloc_zeroed(layout) })
                    .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
                Ok(Region { base, owner: Owner::Heap(base, layout) })
            }
        }
    }

    #[inline(always)]
    pub(super) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Makes the kernel give memory for a part of the region. What the part holds stays as it is, so others may use it meanwhile.
    /// Does nothing on the heap, and with kernels that cannot (Linux before 5.14).
    fn populate(&self, from: usize, bytes: usize) {
        #[cfg(target_os = "linux")]
        if let Owner::Mapped(map) = &self.owner {
            let skipped = self.base() as usize - map.as_ptr() as usize;
            // Failure means that the pages are given on first touch, as without this.
            let _ = map.advise_range(memmap2::Advice::PopulateWrite, skipped + from, bytes);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (from, bytes, &self.owner);
    }
}

impl Region {
    /// Gives memory back to the kernel. What it held is zeros afterwards.
    ///
    /// # Safety
    /// From `from` on, so many `bytes` lie in the region, both multiples of the system's page size; nobody looks at them meanwhile, and nobody
    /// relies on what they hold.
    pub(super) unsafe fn give_back(&self, from: usize, bytes: usize) {
        match &self.owner {
            #[cfg(target_os = "linux")]
            Owner::Mapped(map) => {
                let skipped = self.base() as usize - map.as_ptr() as usize;
                // Only arguments that are wrong make it fail. SAFETY: the caller's promise; private anonymous memory is zeros afterwards.
                let _ = unsafe {
                    map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, skipped + from, bytes)
                };
            }
            // SAFETY: the caller's promise.
            _ => unsafe { self.base().add(from).write_bytes(0, bytes) },
        }
    }
}

/// Memory that an arena will need soon, to be had from the kernel on any thread: it may take milliseconds (a huge page is cleared)
/// during which the arena is used as ever.
#[must_use = "the memory is touched by `run`"]
pub struct Prefault {
    pub(super) region: Arc<Region>,
    pub(super) from: usize,
    pub(super) bytes: usize,
}

impl Prefault {
    /// Has the kernel give the memory. Blocks meanwhile.
    pub fn run(self) {
        self.region.populate(self.from, self.bytes);
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if let Owner::Heap(base, layout) = self.owner {
            // SAFETY: `base` came from `alloc_zeroed` with this very layout, and is freed once.
            unsafe { dealloc(base.as_ptr(), layout) }
        }
    }
}

// SAFETY: a region owns its memory; nothing in it is bound to a thread.
unsafe impl Send for Region {}
// SAFETY: through a shared region one gets its address, which is harmless, and populates it, which leaves its bytes alone.
unsafe impl Sync for Region {}

/// A type of which all-zero bytes are a value.
///
/// # Safety
/// All-zero bytes are a valid value, and the type needs no drop.
pub(super) unsafe trait Zeroed: Copy {}
// SAFETY: 0 is a `u32`.
unsafe impl Zeroed for u32 {}

/// One value per page, zero until written. Reserved like the pages, so that growth never copies it.
pub(super) struct Column<T> {
    region: Region,
    len: usize,
    values: PhantomData<T>,
}

impl<T: Zeroed> Column<T> {
    pub(super) fn reserve(len: usize, backing: ArenaBacking) -> io::Result<Column<T>> {
        // Columns are small and grow evenly: huge pages would only waste memory.
        let region = Region::reserve(len * size_of::<T>(), backing.by_small_pages())?;
        Ok(Column { region, len, values: PhantomData })
    }

    #[inline(always)]
    pub(super) fn base(&self) -> *mut T {
        self.region.base().cast()
    }

    /// The value at `index`, unchecked.
    ///
    /// # Safety
    /// `index` is below the length that the column was reserved with.
    #[inline(always)]
    pub(super) unsafe fn at(&self, index: usize) -> T {
        debug_assert!(index < self.len);
        // SAFETY: within the region by the caller's promise; zeroed or written memory is a `T`; the base is aligned to a page.
        unsafe { *self.base().add(index) }
    }
}

impl<T: Zeroed> Index<usize> for Column<T> {
    type Output = T;
    #[inline]
    fn index(&self, index: usize) -> &T {
        assert!(index < self.len);
        // SAFETY: within the region, as just checked; zeroed or written memory is a `T`; the base is aligned to a page.
        unsafe { &*self.base().add(index) }
    }
}

impl<T: Zeroed> IndexMut<usize> for Column<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        assert!(index < self.len);
        // SAFETY: as in `index`, and the column is borrowed mutably.
        unsafe { &mut *self.base().add(index) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_zeroed_and_aligned() {
        for backing in [ArenaBacking::default(), ArenaBacking::Heap] {
            let region = Region::reserve(1 << 16, backing).unwrap();
            assert_eq!(region.base() as usize % crate::limits::PAGE_BYTES, 0);
            // SAFETY: the last byte of the region.
            assert_eq!(unsafe { *region.base().add((1 << 16) - 1) }, 0);
        }
    }

    #[test]
    fn a_column_holds_what_was_written() {
        let mut column = Column::<u32>::reserve(1000, ArenaBacking::default()).unwrap();
        column[999] = 7;
        assert_eq!((column[0], column[999]), (0, 7));
    }
}

//! Looking at sixteen tags at once: SSE2 where there is x86-64 (where it is always present), plain Rust elsewhere.
//!
//! A tag is 0 for an empty slot, odd for a used one, and 2 past the last slot of a page. The idea is the Swiss
//! table's (Abseil, hashbrown), without its tombstones.
#![allow(unsafe_code)] // reads tags through raw pointers, calls SIMD intrinsics

/// The tag that stands where a page has no slot.
pub(crate) const NO_SLOT: u8 = 2;

/// How many tags are looked at together.
pub(crate) const GROUP: usize = 16;

/// Looks at a group of tags. Each answer has one bit per tag, the first tag lowest.
///
/// # Safety
/// For all methods: `tags` points to 16 readable bytes at an address that is a multiple of 16.
pub trait Probe: 'static {
    /// Which tags are `tag`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn equal(tags: *const u8, tag: u8) -> u32;
    /// Which tags are 0.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn empty(tags: *const u8) -> u32;
    /// Which tags are odd.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn used(tags: *const u8) -> u32;
}

/// The portable way.
#[derive(Debug)]
pub struct Scalar;

impl Scalar {
    #[inline(always)]
    unsafe fn mask(tags: *const u8, is: impl Fn(u8) -> bool) -> u32 {
        // SAFETY: by the contract of `Probe`, `tags` points to this many bytes.
        let tags = unsafe { &*tags.cast::<[u8; GROUP]>() };
        tags.iter().enumerate().fold(0, |mask, (at, &tag)| mask | (u32::from(is(tag)) << at))
    }
}

impl Probe for Scalar {
    #[inline]
    unsafe fn equal(tags: *const u8, tag: u8) -> u32 {
        // SAFETY: passed on.
        unsafe { Self::mask(tags, |t| t == tag) }
    }
    #[inline]
    unsafe fn empty(tags: *const u8) -> u32 {
        // SAFETY: passed on.
        unsafe { Self::mask(tags, |t| t == 0) }
    }
    #[inline]
    unsafe fn used(tags: *const u8) -> u32 {
        // SAFETY: passed on.
        unsafe { Self::mask(tags, |t| t & 1 == 1) }
    }
}

/// The fastest way of the machine this was compiled for.
#[cfg(target_arch = "x86_64")]
pub type Native = Sse2;
/// The fastest way of the machine this was compiled for.
#[cfg(not(target_arch = "x86_64"))]
pub type Native = Scalar;

/// The way of x86-64.
#[cfg(target_arch = "x86_64")]
#[derive(Debug)]
pub struct Sse2;

#[cfg(target_arch = "x86_64")]
impl Probe for Sse2 {
    #[inline(always)]
    unsafe fn equal(tags: *const u8, tag: u8) -> u32 {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64; `tags` is readable and aligned by the contract of `Probe`.
        unsafe {
            let tags = _mm_load_si128(tags.cast());
            _mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8(tag as i8))) as u32
        }
    }
    #[inline(always)]
    unsafe fn empty(tags: *const u8) -> u32 {
        // SAFETY: passed on.
        unsafe { Self::equal(tags, 0) }
    }
    #[inline(always)]
    unsafe fn used(tags: *const u8) -> u32 {
        use std::arch::x86_64::*;
        // SAFETY: as in `equal`. The shift moves the lowest bit of each byte to where `movemask` looks.
        unsafe { _mm_movemask_epi8(_mm_slli_epi16::<7>(_mm_load_si128(tags.cast()))) as u32 }
    }
}

/// Asks the processor to fetch a cache line that will be needed soon. Any address is fine.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint; it reads nothing and never faults.
    unsafe {
        use std::arch::x86_64::*;
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[repr(align(16))]
    struct Tags([u8; GROUP]);

    proptest! {
        #[test]
        fn the_fast_way_agrees_with_the_portable_one(bytes: [u8; GROUP], tag: u8) {
            let tags = Tags(bytes.map(|b| b % 8));
            let at = tags.0.as_ptr();
            // SAFETY: sixteen aligned bytes.
            unsafe {
                prop_assert_eq!(Native::equal(at, tag % 8), Scalar::equal(at, tag % 8));
                prop_assert_eq!(Native::empty(at), Scalar::empty(at));
                prop_assert_eq!(Native::used(at), Scalar::used(at));
            }
        }
    }
}

//! Keys and records for the tests: one of each shape.
#![allow(unsafe_code)] // implements `Key` and `Record`

use std::path::Path;

use crate::arena::{ArenaBacking, ArenaConfig, MemoryBudget, SpillPlace, StateName};
use crate::element::KeyHash;
use crate::key::{HashSeed, Key, KeyShape};
use crate::limits::PAGE_BYTES;
use crate::record::{Layout, Record, RecordBuf, RecordError};
use crate::testing::sim_disk::{SimDisk, SimFaults};

pub(super) fn mix(x: u64) -> u64 {
    let mut x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn layout() -> Layout {
    Layout { text: "test".into(), fingerprint: 1 }
}

/// A key as tests make it, and how it hashes.
pub(super) trait TestKey: Key {
    fn make(n: u64) -> (KeyHash, Vec<u8>);
}

macro_rules! test_key {
    ($(#[$doc:meta])* $name:ident, $shape:expr, $n:ident => $hash:expr, $encoding:expr) => {
        $(#[$doc])*
        pub(super) struct $name(#[allow(dead_code)] u64);
        // SAFETY: tests only call `make`, which gives equal hashes for equal numbers, distinct ones where the hash is the key, and
        // encodings of the size that the shape says.
        unsafe impl Key for $name {
            type Owned = u64;
            const SHAPE: KeyShape = $shape;
            fn hash(&self, _: HashSeed) -> KeyHash {
                Self::make(self.0).0
            }
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend(Self::make(self.0).1);
            }
            fn decode(_: KeyHash, _: &[u8], _: HashSeed) -> u64 {
                unreachable!("tables decode no keys")
            }
            fn show(_: KeyHash, _: &[u8], _: HashSeed) -> String {
                unreachable!("tables show no keys")
            }
            fn layout() -> Layout {
                layout()
            }
        }
        impl TestKey for $name {
            fn make($n: u64) -> (KeyHash, Vec<u8>) {
                (KeyHash($hash), $encoding)
            }
        }
    };
}

test_key!(/// The hash is the key.
    K64, KeyShape::InHash, n => mix(n), Vec::new());
test_key!(/// The hash is the key, and bad: all in one key group, few bits differ at the top.
    Clumped, KeyShape::InHash, n => 0x1230_0000_0000_0000 | ((n & 3) << 40) | n, Vec::new());
test_key!(/// Eight bytes.
    Fixed8, KeyShape::Fixed(8), n => mix(n), n.to_le_bytes().to_vec());
test_key!(/// Eight bytes, all in one key group.
    Grouped, KeyShape::Fixed(8), n => 0x4560_0000_0000_0000 | mix(n) >> 12, n.to_le_bytes().to_vec());
test_key!(/// Six bytes, with three hashes for all keys.
    Colliding, KeyShape::Fixed(6), n => mix(n % 3), n.to_le_bytes()[..6].to_vec());
test_key!(/// Too large for an entry.
    Fixed40, KeyShape::Fixed(40), n => mix(n), [n.to_le_bytes(); 5].concat());
test_key!(/// Any length, the empty key among them.
    Text, KeyShape::Var, n => mix(n), if n == 0 { vec![] } else { format!("{n}-").repeat(1 + n as usize % 9).into_bytes() });
test_key!(/// Any length, up to more than a page, with two hashes for all keys.
    CollidingText, KeyShape::Var, n => mix(n % 2), format!("{n}-").repeat(1 + n as usize * 7 % 1000).into_bytes());

/// A value as tests make it.
pub(super) trait TestValue: Record {
    fn make(n: u64) -> Self;
    fn bytes(&self) -> Vec<u8> {
        let mut out = RecordBuf::new();
        self.encode(&mut out);
        out.to_vec()
    }
}

macro_rules! plain_value {
    ($name:ident, $inner:ty, $n:ident => $make:expr) => {
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[repr(transparent)]
        pub(super) struct $name(pub(super) $inner);
        // SAFETY: an array of integers or an integer: no padding, its own bytes.
        unsafe impl Record for $name {
            type View = Self;
            const SIZE: Option<usize> = Some(size_of::<$inner>());
            const PLAIN: bool = true;
            fn encode(&self, out: &mut RecordBuf) {
                // SAFETY: no padding.
                out.extend_from_slice(unsafe {
                    std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<$inner>())
                });
            }
            unsafe fn view_unchecked(bytes: &[u8]) -> &Self {
                assert!(bytes.as_ptr().cast::<[u128; 1]>().is_aligned());
                // SAFETY: the caller's promise.
                unsafe { &*bytes.as_ptr().cast() }
            }
            fn view(_: &[u8]) -> Result<&Self, RecordError> {
                unreachable!("tables trust their bytes")
            }
            fn owned(view: &Self) -> Self {
                *view
            }
            fn layout() -> Layout {
                layout()
            }
        }
        impl TestValue for $name {
            fn make($n: u64) -> Self {
                $name($make)
            }
        }
    };
}

plain_value!(P64, u64, n => n);
plain_value!(P8, u8, n => n as u8);
plain_value!(P128, u128, n => u128::from(n) << 60);
plain_value!(P0, [u8; 0], _n => []);
plain_value!(P400, [u64; 50], n => [n; 50]);

/// A value of fixed size whose archived form is not its own bytes, and wants to be aligned.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Coded(pub(super) u64);
// SAFETY: 24 bytes always.
unsafe impl Record for Coded {
    type View = [u8; 24];
    const SIZE: Option<usize> = Some(24);
    const PLAIN: bool = false;
    fn encode(&self, out: &mut RecordBuf) {
        out.extend_from_slice(&self.0.to_be_bytes());
        out.extend_from_slice(&[self.0 as u8; 16]);
    }
    unsafe fn view_unchecked(bytes: &[u8]) -> &[u8; 24] {
        assert!(bytes.as_ptr().cast::<[u128; 1]>().is_aligned());
        bytes.try_into().expect("24 bytes")
    }
    fn view(_: &[u8]) -> Result<&[u8; 24], RecordError> {
        unreachable!("tables trust their bytes")
    }
    fn owned(view: &[u8; 24]) -> Self {
        Coded(u64::from_be_bytes(view[..8].try_into().expect("8 bytes")))
    }
    fn layout() -> Layout {
        layout()
    }
}
impl TestValue for Coded {
    fn make(n: u64) -> Self {
        Coded(n)
    }
}

/// A value of variable size: empty, small, of the largest slot, and of several pages.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bytes(pub(super) Vec<u8>);
// SAFETY: bytes have no alignment and no padding.
unsafe impl Record for Bytes {
    type View = [u8];
    const SIZE: Option<usize> = None;
    const PLAIN: bool = false;
    fn encode(&self, out: &mut RecordBuf) {
        out.extend_from_slice(&self.0);
    }
    unsafe fn view_unchecked(bytes: &[u8]) -> &[u8] {
        assert!(bytes.as_ptr().cast::<[u128; 1]>().is_aligned());
        bytes
    }
    fn view(_: &[u8]) -> Result<&[u8], RecordError> {
        unreachable!("tables trust their bytes")
    }
    fn owned(view: &[u8]) -> Self {
        Bytes(view.to_vec())
    }
    fn layout() -> Layout {
        layout()
    }
}
impl TestValue for Bytes {
    fn make(n: u64) -> Self {
        let len = match n % 16 {
            0 => 0,
            15 => 2000 + n as usize % 50,
            14 if n.is_multiple_of(5) => 4080 + n as usize % 9000,
            _ => n as usize % 300,
        };
        Bytes((0..len).map(|at| (n as usize + at) as u8).collect())
    }
}

pub(super) fn config() -> ArenaConfig {
    ArenaConfig {
        operator: "count".into(),
        pages_max: 1 << 14,
        backing: ArenaBacking::default(),
        budget: MemoryBudget::unlimited(),
        spill: None,
    }
}

/// Memory for so few pages that most of them lie on disk.
pub(super) fn config_to_spill() -> ArenaConfig {
    let disk = SimDisk::new(1, SimFaults::default()).shared();
    disk.create_dir_all(Path::new("/spilled")).unwrap();
    ArenaConfig {
        budget: MemoryBudget::new(24 * PAGE_BYTES as u64),
        spill: Some(SpillPlace { disk, path: "/spilled/count".into() }),
        ..config()
    }
}

pub(super) fn name() -> StateName {
    StateName::new("count", "sum")
}

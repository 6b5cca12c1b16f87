//! What every page says about itself. A picture is in `docs/formats/page.md`.

use std::fmt;

use super::error::StateError;

/// A page of an arena. Page 0 is never used: where a page number may be missing, 0 says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct PageNo(pub u32);

impl PageNo {
    /// No page.
    pub const NONE: PageNo = PageNo(0);

    #[inline(always)]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PageNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A table of an arena. Numbers of dropped tables are not used again while the arena lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct TableId(pub u32);

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PageKind {
    /// Nothing: it is free.
    Free = 0,
    /// Entries of a table whose hashes begin with the page's prefix.
    Table = 1,
    /// More entries of a table page that cannot be split any further.
    Overflow = 2,
    /// Slots of one size class for keys and values of variable size.
    Slab = 3,
    /// The first page of a large value.
    Extent = 4,
    /// A further page of a large value.
    ExtentRest = 5,
}

/// What a page says about itself: reported with every saved page, so that directories are rebuilt without reading pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PageInfo {
    /// What it holds.
    pub kind: PageKind,
    /// Table pages: how many leading bits of the hash are the prefix. Slab pages: the size class. Otherwise 0.
    pub level: u8,
    /// Slab pages: how many slots are free. Otherwise 0.
    pub free: u16,
    /// Which table the page belongs to.
    pub table: TableId,
    /// Table pages: the prefix, in the leading bits. First page of an extent: its number of pages. Otherwise 0.
    pub prefix: u64,
}

impl PageInfo {
    /// The length of the encoded form.
    pub const BYTES: usize = 16;

    pub(crate) const FREE: PageInfo =
        PageInfo { kind: PageKind::Free, level: 0, free: 0, table: TableId(0), prefix: 0 };

    pub(crate) fn of_table(table: TableId, depth: u8, prefix: u64) -> Self {
        PageInfo { kind: PageKind::Table, level: depth, free: 0, table, prefix }
    }

    pub(crate) fn of_kind(kind: PageKind, table: TableId) -> Self {
        PageInfo { kind, level: 0, free: 0, table, prefix: 0 }
    }

    /// The form that lies in page maps: kind, level, free (2), table (4), prefix (8), little endian.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[0] = self.kind as u8;
        out[1] = self.level;
        out[2..4].copy_from_slice(&self.free.to_le_bytes());
        out[4..8].copy_from_slice(&self.table.0.to_le_bytes());
        out[8..].copy_from_slice(&self.prefix.to_le_bytes());
        out
    }

    /// The inverse of [`PageInfo::encode`]. `page` only serves the error message.
    pub fn decode(page: PageNo, bytes: [u8; Self::BYTES]) -> Result<Self, StateError> {
        let kind = match bytes[0] {
            1 => PageKind::Table,
            2 => PageKind::Overflow,
            3 => PageKind::Slab,
            4 => PageKind::Extent,
            5 => PageKind::ExtentRest,
            _ => {
                return Err(StateError::Corrupt {
                    operator: "?".into(),
                    state: "?".into(),
                    page,
                    what: "unknown kind of page",
                });
            }
        };
        let [_, level, f0, f1, t0, t1, t2, t3, prefix @ ..] = bytes;
        Ok(PageInfo {
            kind,
            level,
            free: u16::from_le_bytes([f0, f1]),
            table: TableId(u32::from_le_bytes([t0, t1, t2, t3])),
            prefix: u64::from_le_bytes(prefix),
        })
    }
}

const _: () = assert!(size_of::<PageInfo>() == PageInfo::BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infos_survive_encoding_and_unknown_kinds_are_refused() {
        let info =
            PageInfo { kind: PageKind::Slab, level: 3, free: 500, table: TableId(70_000), prefix: 1 << 63 };
        assert_eq!(PageInfo::decode(PageNo(1), info.encode()), Ok(info));
        for kind in [0, 6, 255] {
            let mut bytes = info.encode();
            bytes[0] = kind;
            assert!(matches!(
                PageInfo::decode(PageNo(9), bytes),
                Err(StateError::Corrupt { page: PageNo(9), .. })
            ));
        }
    }
}

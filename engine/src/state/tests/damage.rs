//! Damaged checkpoints give errors, never panics.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::probe::Native;
use super::super::{StateError, Table, TableMeta};
use super::kinds::*;
use super::model::restore;
use crate::arena::{Arena, PageInfo, PageKind, PageNo};
use crate::element::{Epoch, KeyHash};

type Pages = BTreeMap<PageNo, (PageInfo, Vec<u8>)>;

fn checkpoint() -> (Pages, TableMeta) {
    let mut arena = Arena::new(config()).unwrap();
    let mut table = Table::<Text, Bytes>::new(&mut arena, &name());
    for n in 0..300 {
        let (hash, key) = Text::make(n);
        table.insert(&mut arena, hash, &key, &Bytes::make(n)).unwrap();
    }
    for n in 0..300u64 {
        table.insert(&mut arena, KeyHash(5), format!("chained {n}").as_bytes(), &Bytes::make(n)).unwrap();
    }
    let mut pages = Pages::new();
    arena.begin_checkpoint(Epoch(1));
    let done = arena.save_some(usize::MAX, &mut |page| {
        pages.insert(page.page, (page.info, page.bytes.to_vec()));
    });
    done.unwrap();
    (pages, table.meta())
}

/// Uses a restored table in every way.
fn exercise(pages: &Pages, meta: TableMeta) -> Result<(), StateError> {
    let (mut arena, mut table) = restore::<Text, Bytes, Native>(pages, meta)?;
    table.walk(&mut arena, KeyHash(0), KeyHash(u64::MAX), usize::MAX, |_, _, _| ())?;
    for n in 0..300 {
        let (hash, key) = Text::make(n);
        table.update(&mut arena, hash, &key, || Bytes::make(1), |v| *v = Bytes::make(n + 1))?;
        table.remove(&mut arena, hash, &key)?;
    }
    arena.load_some(PageNo(1), usize::MAX)?;
    Ok(())
}

fn corrupt(result: Result<(), StateError>) -> &'static str {
    match result {
        Err(StateError::Corrupt { what, .. }) => what,
        other => panic!("expected damage to be found: {other:?}"),
    }
}

fn first(pages: &Pages, kind: PageKind) -> PageNo {
    *pages.iter().find(|(_, (info, _))| info.kind == kind).unwrap().0
}

#[test]
fn an_undamaged_checkpoint_passes() {
    let (pages, meta) = checkpoint();
    for kind in [PageKind::Table, PageKind::Overflow, PageKind::Slab, PageKind::Extent, PageKind::ExtentRest]
    {
        first(&pages, kind);
    }
    exercise(&pages, meta).unwrap();
}

#[test]
fn each_kind_of_damage_is_named() {
    let (pages, meta) = checkpoint();
    let damaged = |kind: PageKind, damage: &dyn Fn(&mut PageInfo, &mut Vec<u8>)| {
        let mut pages = pages.clone();
        let page = first(&pages, kind);
        let (info, bytes) = pages.get_mut(&page).unwrap();
        damage(info, bytes);
        corrupt(exercise(&pages, meta))
    };
    let of_table = |damage: &dyn Fn(&mut PageInfo, &mut Vec<u8>)| damaged(PageKind::Table, damage);
    assert_eq!(of_table(&|info, _| info.level = 63), "a table page has an impossible prefix");
    assert_eq!(of_table(&|_, bytes| bytes[0] ^= 1), "the count of entries is wrong");
    assert_eq!(of_table(&|_, bytes| bytes[4] = 1), "the chain leads to no overflow page of the table");
    assert_eq!(of_table(&|_, bytes| bytes[16..40].fill(77)), "a tag does not fit its hash");
    assert_eq!(damaged(PageKind::Slab, &|_, bytes| bytes[16] ^= 1), "the count of free slots is wrong");
    assert_eq!(
        damaged(PageKind::Slab, &|info, _| info.level = 200),
        "a slab page has an unknown size class or too many free slots"
    );
    assert_eq!(
        damaged(PageKind::Extent, &|_, bytes| bytes[3] = 1),
        "an extent's length does not fit its pages"
    );
    assert_eq!(damaged(PageKind::Extent, &|info, _| info.prefix += 9), "pages of an extent are missing");
}

#[test]
fn a_page_that_is_there_twice_is_refused() {
    let info =
        PageInfo { kind: PageKind::Table, level: 0, free: 0, table: crate::arena::TableId(1), prefix: 0 };
    struct None;
    impl crate::arena::PageLoader for None {
        fn load(&mut self, page: PageNo, _: &mut [u8]) -> Result<(), StateError> {
            Err(StateError::Load { page, message: "gone".into() })
        }
    }
    let twice = [(PageNo(3), info.encode()), (PageNo(3), info.encode())];
    assert!(matches!(Arena::restore(config(), twice, Box::new(None)), Err(StateError::Corrupt { .. })));
    let mut arena = Arena::restore(config(), [(PageNo(3), info.encode())], Box::new(None)).unwrap();
    let meta = TableMeta { id: info.table, len: 1 };
    let table = Table::<K64, P64>::restore(&mut arena, meta, &name()).unwrap();
    let error = table.contains(&mut arena, KeyHash(1), &[]).unwrap_err();
    assert_eq!(error.to_string(), "page 3 cannot be read: gone");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 300 }, ..ProptestConfig::default() })]
    #[test]
    fn no_damage_of_infos_or_structure_panics(
        at in any::<prop::sample::Index>(),
        info_byte in 0..16usize,
        header in 0..500usize,
        xor in 1..=255u8,
        in_info: bool,
    ) {
        let (mut pages, meta) = checkpoint();
        let page = *at.get(&pages.keys().copied().collect::<Vec<_>>());
        let (info, bytes) = pages.get_mut(&page).unwrap();
        if in_info {
            let mut encoded = info.encode();
            encoded[info_byte] ^= xor;
            match PageInfo::decode(page, encoded) {
                Ok(other) => *info = other,
                Err(_) => return Ok(()),
            }
        } else {
            bytes[header] ^= xor;
        }
        // An error or none: damage to keys and values themselves is for the checksum to find.
        let _ = exercise(&pages, meta);
    }
}

//! Checkpoints of timers: what the model does not look at.

use super::*;
use crate::element::{Epoch, KeyGroups, ShardId};

/// A whole checkpoint of a queue.
pub(super) fn save<K: Key + ?Sized>(timers: &mut Timers<K>, epoch: u64) -> Saved {
    timers.arena.begin_checkpoint(Epoch(epoch));
    let mut saved = Saved { data: data_of(&timers.queue), ..Saved::default() };
    assert!(timers.arena.missing() == 0, "all pages are saved only if all are there");
    let done = timers.arena.save_some(usize::MAX, &mut |page| {
        saved.pages.insert(page.page, (page.info, page.bytes.to_vec()));
    });
    done.unwrap();
    timers.arena.finish_checkpoint();
    saved
}

fn filled(count: u64) -> Timers<u64> {
    let mut timers = Timers::new();
    for n in 0..count {
        timers.register((n as i64).wrapping_mul(7919) % 100_000, n);
    }
    timers
}

#[test]
fn a_restore_reads_no_page_and_firing_only_what_is_due() {
    let mut timers = filled(20_000);
    let saved = save(&mut timers, 1);
    let mut restored = saved.restore::<u64>();
    let pages = saved.pages.len() as u32;
    assert_eq!((restored.queue.len(), restored.arena.missing()), (20_000, pages));
    assert!(restored.queue.first().is_some());
    assert_eq!(restored.arena.missing(), pages);
    let fired = restored.advance(999).len();
    assert_eq!(fired, timers.advance(999).len());
    assert!(restored.arena.missing() > pages - 20, "{} of {pages}", restored.arena.missing());
    assert!(saved.data.len() < 20_000 / 100 * 28, "{}", saved.data.len());
}

#[test]
fn firing_writes_only_the_pages_of_the_timers_that_fired() {
    let mut timers = filled(20_000);
    save(&mut timers, 1);
    timers.advance(999);
    assert!(save(&mut timers, 2).pages.len() < 10);
}

#[test]
fn what_was_not_handed_out_is_in_the_checkpoint() {
    let mut timers = filled(3000);
    let mut fired: Vec<(i64, u64)> = Vec::new();
    let mut epoch = 0;
    while let Some(due) = timers.pop(i64::MAX) {
        fired.push((due.at.0, key_of(due.hash)));
        if fired.len().is_multiple_of(97) {
            epoch += 1;
            timers.arena.load_some(PageNo(1), usize::MAX).unwrap();
            // A page that was saved before is not saved again, so what is saved is put together from all that there was.
            timers = whole(&mut timers, epoch).restore();
        }
    }
    assert_eq!(fired.len(), 3000);
    assert!(fired.is_sorted_by_key(|(at, _)| *at));
    fired.sort_unstable_by_key(|(_, key)| *key);
    assert!(fired.iter().map(|(_, key)| *key).eq(0..3000));
}

/// A checkpoint that saves all pages, whatever was saved before.
fn whole(timers: &mut Timers<u64>, epoch: u64) -> Saved {
    timers.arena.mark_for_rewrite((1..1000).map(PageNo));
    save(timers, epoch)
}

#[test]
fn shards_take_over_the_key_groups_that_are_theirs() {
    let mut old = filled(20_000);
    for key in 0..300 {
        old.reset("idle", 500, key);
        old.reset("idle", 700 + key as i64, key);
    }
    let saved = save(&mut old, 1);
    let mut fired = Vec::new();
    for shard in 0..3 {
        let groups = KeyGroups::of_shard(ShardId(shard), 3);
        let mut timers = Timers::<u64>::new();
        timers.queue.name("another").unwrap();
        let mut pages = saved.arena();
        timers.queue.import(&mut timers.arena, &mut pages, &saved.timers(), groups).unwrap();
        timers.check();
        let idle = timers.queue.name("idle").unwrap();
        while let Some(due) = timers.pop(i64::MAX) {
            assert!(groups.contains(due.hash));
            assert!(due.name.is_none_or(|name| name == idle));
            fired.push((due.at, due.hash, due.name.is_some()));
        }
    }
    let mut expected: Vec<_> =
        std::iter::from_fn(|| old.pop(i64::MAX)).map(|due| (due.at, due.hash, due.name.is_some())).collect();
    fired.sort_unstable();
    expected.sort_unstable();
    assert_eq!(expected.len(), 20_300);
    assert!(fired == expected);
}

#[test]
fn no_groups_bring_no_timers() {
    let mut old = filled(100);
    let saved = save(&mut old, 1);
    let mut timers = Timers::<u64>::new();
    let none = KeyGroups { start: 7, end: 7 };
    timers.queue.import(&mut timers.arena, &mut saved.arena(), &saved.timers(), none).unwrap();
    assert!(timers.queue.is_empty());
}

#[test]
fn damaged_metadata_is_refused() {
    let mut timers = filled(2000);
    let data = save(&mut timers, 1).data;
    for cut in 0..data.len() {
        assert!(SavedTimers::read(&mut Reader::new(&data[..cut])).is_err(), "cut at {cut}");
    }
    // The first leaf starts after it ends.
    let mut wrong = data;
    wrong[8..16].copy_from_slice(&i64::MAX.to_le_bytes());
    let error = SavedTimers::read(&mut Reader::new(&wrong)).unwrap_err().to_string();
    assert!(error.contains("leaf") && error.contains("is no range of time"), "{error}");
}

//! What the plan says of a window operator before it runs: above all, how much state a key may take.

use crate::key::{Key, KeyShape};
use crate::record::Record;
use crate::window::{Aligned, Slices};

/// The windows in words, the most slices that a key can be in, and the bytes that takes.
pub(crate) fn note<K: Key + ?Sized, V: Record, W: Aligned>(windows: &W::Windows, lateness: i64) -> String {
    // A window's slices, and those that records within the lateness may still be added to.
    let later = lateness.unsigned_abs().div_ceil(windows.step().unsigned_abs());
    let slices = windows.slices_max().saturating_add(later.saturating_mul(windows.slices_max().min(2)));
    let mut note = format!("{windows} ticks");
    if lateness > 0 {
        note += &format!(", kept {lateness} ticks longer for late records");
    }
    note += &match entry_bytes::<K, V>() {
        Some(bytes) => format!(
            "; a key takes {bytes} bytes in each slice it has records in: at most {slices} slices, {} bytes",
            slices.saturating_mul(bytes)
        ),
        None => format!(
            "; a key takes its own size and that of one accumulator in each slice it has records in: at most {slices} slices"
        ),
    };
    if let Some(remark) = W::remark(windows) {
        note += &format!("; {remark}");
    }
    note
}

/// What a key takes in a table of one value per key, in words.
pub(crate) fn state_of_key<K: Key + ?Sized, V: Record>() -> String {
    match entry_bytes::<K, V>() {
        Some(bytes) => format!("a key takes {bytes} bytes"),
        None => "a key takes its own size, that of its value, and about 30 bytes".to_owned(),
    }
}

/// How many bytes an entry takes at least, where its parts have a fixed size: value, key, hash and tag.
pub(crate) fn entry_bytes<K: Key + ?Sized, V: Record>() -> Option<u64> {
    let key = match K::SHAPE {
        KeyShape::InHash => 0,
        KeyShape::Fixed(bytes) => bytes,
        KeyShape::Var => return None,
    };
    Some((V::SIZE? + key + 8 + 1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Tick, Ticks};
    use crate::window::{Sliding, Tumbling};

    #[test]
    fn wn_23_the_state_of_a_key_is_predicted() {
        let day = Sliding::of(Ticks(86_400_000)).every(Ticks(1000)).build(Tick::Millisecond).unwrap();
        assert_eq!(
            note::<u64, u64, Sliding>(&day, 0),
            "sliding 86400000 every 1000 ticks; a key takes 17 bytes in each slice it has records in: at most 86400 slices, 1468800 bytes"
        );
        let five = Tumbling::of(Ticks(5000)).build(Tick::Millisecond).unwrap();
        let late = note::<str, u64, Tumbling>(&five, 3000);
        assert!(late.starts_with(
            "tumbling 5000 ticks, kept 3000 ticks longer for late records; a key takes its own size"
        ));
        assert!(late.ends_with("at most 2 slices"));
        let uneven = Sliding::of(Ticks(10)).every(Ticks(4)).build(Tick::Millisecond).unwrap();
        assert!(note::<u64, u64, Sliding>(&uneven, 0).contains("does not divide"));
    }
}

//! The click generator of Flink's playground, made deterministic: six pages, and in every window of event time exactly
//! 1000 clicks on each.

use std::time::Duration;

use millstream_engine::element::Timestamp;
use millstream_engine::record::Record;

use crate::generator::Generator;

/// How many pages there are, and how many partitions the source has.
pub const PAGES: u32 = 6;
/// How many clicks each page gets in a window.
pub const CLICKS_PER_PAGE: u64 = 1000;
/// Clicks are shuffled among this many neighbours of their partition.
const SHUFFLE: u64 = 10;
/// Where the first run of neighbours begins: off the beginning, so that runs lie across the ends of windows.
const SHUFFLE_PHASE: u64 = 5;

/// One click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Click {
    /// The page, 0 to 5.
    pub page: u32,
    /// The event time in milliseconds.
    pub at: i64,
}

/// A source of clicks whose counts are known beforehand.
///
/// Six partitions, whatever the number of shards. Each gives 1000 clicks per window, evenly spaced in event time and turning through the pages, so that
/// a page has one click in one of the partitions at every instant. Within a partition, neighbours are shuffled in runs of ten, also across
/// the ends of windows: a click is at most [`Clicks::disorder`] older than the newest one before it.
///
/// ```
/// use std::time::Duration;
/// use millstream_io::Clicks;
///
/// let clicks = Clicks::new(Duration::from_secs(15)).windows(4).rate(10_000);
/// assert_eq!(clicks.disorder(), Duration::from_millis(135));
/// let source = clicks.into_source(|click| click.page);
/// ```
#[derive(Clone, Debug)]
pub struct Clicks {
    window_ms: u64,
    windows: Option<u64>,
    rate: u64,
}

impl Clicks {
    /// Clicks with 1000 per page in every window of this length, beginning at event time 0, without end, as fast as it
    /// can. The length counts in whole milliseconds, at least one.
    pub fn new(window: Duration) -> Self {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64);
        Clicks { window_ms, windows: None, rate: 0 }
    }

    /// Ends after this many windows.
    pub fn windows(mut self, windows: u64) -> Self {
        self.windows = Some(windows);
        self
    }

    /// How many clicks per second over all pages; 0 is as fast as it can.
    pub fn rate(mut self, clicks_per_second: u64) -> Self {
        self.rate = clicks_per_second;
        self
    }

    /// How much older than the newest click before it in its partition a click can be: the bound for watermarks.
    pub fn disorder(&self) -> Duration {
        Duration::from_millis(self.window_ms.saturating_mul(SHUFFLE - 1).div_ceil(CLICKS_PER_PAGE))
    }

    /// Click `n` of a partition.
    pub fn click(&self, partition: u32, n: u64) -> Click {
        let slot = shuffled(n, self.windows.map(|windows| windows.saturating_mul(CLICKS_PER_PAGE)));
        let (window, place) = (slot / CLICKS_PER_PAGE, slot % CLICKS_PER_PAGE);
        // A place is below 1000 and a window's length below 2^63: the product needs 128 bits.
        let within = (u128::from(place) * u128::from(self.window_ms) / u128::from(CLICKS_PER_PAGE)) as u64;
        Click {
            page: (partition % PAGES + (slot % u64::from(PAGES)) as u32) % PAGES,
            at: window.wrapping_mul(self.window_ms).wrapping_add(within) as i64,
        }
    }

    /// The source, with the clicks as records of the job's own type.
    pub fn into_source<T: Record>(
        self,
        record: impl Fn(Click) -> T + Clone + 'static,
    ) -> Generator<T, impl Fn(u32, u64) -> (T, Timestamp) + Clone + 'static> {
        let count = self.windows.map(|windows| windows.saturating_mul(CLICKS_PER_PAGE));
        let rate = self.rate;
        Generator::new(PAGES, count, rate, move |partition, n| {
            let click = self.click(partition, n);
            (record(click), Timestamp(click.at))
        })
    }
}

/// A permutation of the numbers below `count` that moves each by less than [`SHUFFLE`] places. Incomplete runs at both
/// ends stay as they are.
fn shuffled(n: u64, count: Option<u64>) -> u64 {
    let Some(inside) = n.checked_sub(SHUFFLE_PHASE) else { return n };
    let (run, place) = (inside / SHUFFLE, inside % SHUFFLE);
    let first = run * SHUFFLE + SHUFFLE_PHASE;
    if first.checked_add(SHUFFLE).is_none_or(|end| count.is_some_and(|count| end > count)) {
        return n;
    }
    // 7 has no common divisor with 10.
    first + (place * 7 + run * 3) % SHUFFLE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_page_has_1000_clicks_in_every_window_and_disorder_is_bounded() {
        for window_ms in [1000, 15_000, 777] {
            let clicks = Clicks::new(Duration::from_millis(window_ms)).windows(3);
            let mut counts = BTreeMap::new();
            let (mut disorder, mut across) = (0, false);
            for partition in 0..PAGES {
                let mut newest = i64::MIN;
                for n in 0..3 * CLICKS_PER_PAGE {
                    let click = clicks.click(partition, n);
                    *counts.entry((click.at / window_ms as i64, click.page)).or_insert(0) += 1;
                    if newest > click.at {
                        disorder = disorder.max(newest - click.at);
                        across |= newest / window_ms as i64 > click.at / window_ms as i64;
                    }
                    newest = newest.max(click.at);
                }
            }
            let expected: BTreeMap<(i64, u32), i32> =
                (0..3).flat_map(|w| (0..PAGES).map(move |p| ((w, p), 1000))).collect();
            assert_eq!(counts, expected);
            assert!(disorder > 0 && disorder <= clicks.disorder().as_millis() as i64, "{disorder}");
            assert!(across, "clicks come late across the end of a window too");
        }
    }

    #[test]
    fn extreme_settings_do_not_panic() {
        let clicks = Clicks::new(Duration::MAX).windows(u64::MAX);
        for n in [0, 5, u64::MAX / 2, u64::MAX] {
            clicks.click(5, n);
        }
        assert_eq!(Clicks::new(Duration::ZERO).disorder(), Duration::from_millis(1));
    }
}

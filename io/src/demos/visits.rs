//! Visits of a web site: who looks at which page, when.

use std::time::Duration;

use millstream_engine::element::Timestamp;
use millstream_engine::record::Record;

use super::arrivals::{Arrival, Arrivals};
use super::dice::Dice;
use crate::generator::Generator;

/// A visit begins every five seconds, give or take.
const SPACING_MS: i64 = 5_000;
const MINUTE_MS: i64 = 60_000;
/// How many visitors there are.
const VISITORS: u64 = 500;
/// How many pages there are.
pub const PAGES: u64 = 40;
/// A visit has at most so many views.
const VIEWS_MAX: u64 = 8;
/// At most so long is there between two views of a visit.
const READING_MS_MAX: i64 = 10 * MINUTE_MS;
/// One view in so many is on its way for hours.
const ONE_IS_LATE: u64 = 200;

/// Somebody looks at a page.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct PageView {
    /// Who.
    pub visitor: u64,
    /// At which page, below [`PAGES`].
    pub page: u64,
    /// When, in milliseconds: the event time.
    pub at: i64,
}

/// A source of the views of 500 visitors: the same ones for the same seed, beginning at event time 0.
///
/// A visit begins about every five seconds and has up to eight views with at most ten minutes between two. Low numbers of pages are
/// looked at more often than high ones. Views arrive up to a minute late and so out of order; one in 200 is on its way for two hours.
///
/// ```
/// let visits = millstream_io::demos::Visits::seeded(7).visits(100);
/// assert!(visits.views().count() > 200);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Visits {
    seed: u64,
    visits: Option<u64>,
}

impl Visits {
    /// Visits without end.
    pub fn seeded(seed: u64) -> Self {
        Visits { seed, visits: None }
    }

    /// Ends after so many visits.
    pub fn visits(mut self, visits: u64) -> Self {
        self.visits = Some(visits);
        self
    }

    /// How much older a view can be than the newest one before it, apart from those that are very late: the bound for watermarks.
    pub fn disorder(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// All views, in the order of their arrival.
    pub fn views(&self) -> impl Iterator<Item = PageView> + use<> {
        self.arrivals().map(|(view, _)| view)
    }

    /// A source of [`views`](Visits::views) with their event times.
    pub fn into_source(
        self,
    ) -> Generator<PageView, impl Fn(u32, u64) -> (PageView, Timestamp) + Clone + use<>> {
        self.arrivals().into_source()
    }

    fn arrivals(&self) -> Arrivals<PageView, impl Fn(u64) -> Vec<Arrival<PageView>> + Clone + use<>> {
        let visits = *self;
        Arrivals::new(SPACING_MS, self.visits, move |visit| visits.views_of(visit))
    }

    fn views_of(&self, visit: u64) -> Vec<Arrival<PageView>> {
        let mut dice = Dice::of(self.seed, visit);
        let visitor = dice.below(VISITORS);
        let mut at = visit as i64 * SPACING_MS + dice.between(0, SPACING_MS - 1);
        let views = 1 + dice.below(VIEWS_MAX);
        let view = |_| {
            // The lesser of two throws is low more often than high.
            let page = dice.below(PAGES).min(dice.below(PAGES));
            let delay = match dice.one_in(ONE_IS_LATE) {
                true => 120 * MINUTE_MS,
                false => dice.between(0, self.disorder().as_millis() as i64),
            };
            let arrival = Arrival { event: PageView { visitor, page, at }, at, delay };
            at += dice.between(1_000, READING_MS_MAX);
            arrival
        };
        (0..views).map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_views_are_in_time_and_low_pages_are_looked_at_more() {
        let visits = Visits::seeded(5).visits(1000);
        let (mut newest, mut late, mut low, mut all) = (0, 0, 0, 0);
        for view in visits.views() {
            late += u64::from(newest - view.at > visits.disorder().as_millis() as i64);
            newest = newest.max(view.at);
            low += u64::from(view.page < PAGES / 2);
            all += 1;
        }
        assert!((3000..6000).contains(&all), "{all}");
        assert!((5..60).contains(&late), "{late}");
        assert!(low * 3 > all * 2, "{low} of {all}");
    }
}

//! Days and minutes as the queries show them: in UTC, which is what the published tables are in.

use std::fmt;

const MS_PER_MINUTE: i64 = 60_000;
const MINUTES_PER_DAY: i64 = 24 * 60;

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The one of a time in milliseconds since 1970.
    #[inline(always)]
    pub fn of(date_time: i64) -> Day {
        Day(date_time.div_euclid(MS_PER_MINUTE * MINUTES_PER_DAY))
    }

    /// The one with this number.
    pub fn numbered(number: i64) -> Day {
        Day(number)
    }

    /// How many days it is after the first one of 1970.
    #[inline(always)]
    pub fn number(self) -> i64 {
        self.0
    }

    /// Year, month and day, in the calendar of today, by the algorithm of Howard Hinnant (chrono-compatible low-level date algorithms): years that
    /// begin in March have their odd day at the end.
    fn date(self) -> (i64, i64, i64) {
        const DAYS_TO_1970: i64 = 719_468;
        const DAYS_PER_ERA: i64 = 146_097;
        let days = self.0 + DAYS_TO_1970;
        let (era, of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let january_or_later = month >= 10;
        let month = if january_or_later { month - 9 } else { month + 3 };
        (year + era * 400 + i64::from(january_or_later), month, day)
    }
}

/// `yyyy-MM-dd`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A minute of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

impl Minute {
    /// The one of a time in milliseconds since 1970.
    #[inline(always)]
    pub fn of(date_time: i64) -> Minute {
        Minute(date_time.div_euclid(MS_PER_MINUTE).rem_euclid(MINUTES_PER_DAY))
    }

    /// Its hour, from 0 on.
    #[inline(always)]
    pub fn hour(self) -> i64 {
        self.0 / 60
    }
}

/// `HH:mm`.
impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `date -u` shows them.
    #[test]
    fn times_are_shown_by_the_calendar() {
        let shown = |ms: i64| format!("{} {}", Day::of(ms), Minute::of(ms));
        assert_eq!(shown(0), "1970-01-01 00:00");
        assert_eq!(shown(1_436_918_400_000), "2015-07-15 00:00");
        assert_eq!(shown(951_868_799_999), "2000-02-29 23:59");
        assert_eq!(shown(1_709_251_199_000), "2024-02-29 23:59");
        assert_eq!(shown(1_709_251_200_000), "2024-03-01 00:00");
        assert_eq!(shown(-1), "1969-12-31 23:59");
    }
}

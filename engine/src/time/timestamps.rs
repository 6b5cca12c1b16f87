//! Which timestamps a record may have where event time is needed.

use crate::element::Timestamp;

/// A record whose timestamp event time cannot use. The failure names the operator, the record's place at its source and the timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// It has none.
    #[error(
        "the record has no timestamp, and its stream has event time; give every record one, in the source or by .event_time(..), or filter \
         such records out before"
    )]
    Missing,
    /// It is the one that stands for the end of all time.
    #[error(
        "the timestamp {} is the greatest there is, which stands for the end of all time; it looks like an overflow, check the unit of \
         the timestamps against the job's tick",
        i64::MAX
    )]
    EndOfTime,
    /// It lies before what the program takes for possible.
    #[error(
        "the timestamp {at} lies before {earliest}, the earliest that .refuse_before(..) lets pass; check the unit of the timestamps against \
         the job's tick"
    )]
    TooEarly {
        /// The timestamp.
        at: Timestamp,
        /// The earliest that is possible.
        earliest: Timestamp,
    },
}

/// The timestamps that records may have: one subtraction and one comparison tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampRange {
    earliest: i64,
    width: u64,
}

impl TimestampRange {
    /// For records without event time: any.
    pub(crate) const ANY: TimestampRange = TimestampRange { earliest: i64::MIN, width: u64::MAX };

    /// None, for [`TimestampRange::surely_holds`].
    pub(crate) const NONE: TimestampRange = TimestampRange { earliest: i64::MIN, width: 0 };

    /// From the earliest on: never [`Timestamp::MIN`], which is none, nor [`Timestamp::MAX`], which is the end.
    pub(crate) fn from(earliest: Timestamp) -> Self {
        let earliest = earliest.0.clamp(i64::MIN + 1, i64::MAX - 1);
        TimestampRange { earliest, width: (i64::MAX - 1).wrapping_sub(earliest) as u64 }
    }

    /// Whether a record may have this timestamp.
    #[inline(always)]
    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        at.0.wrapping_sub(self.earliest) as u64 <= self.width
    }

    /// The same, but for the last one that it holds, of which it says no.
    #[inline(always)]
    pub(crate) fn surely_holds(&self, at: Timestamp) -> bool {
        (at.0.wrapping_sub(self.earliest) as u64) < self.width
    }

    /// What is wrong with a timestamp that it does not hold.
    #[cold]
    pub(crate) fn error(&self, at: Timestamp) -> TimestampError {
        match at {
            Timestamp::MIN => TimestampError::Missing,
            Timestamp::MAX => TimestampError::EndOfTime,
            at => TimestampError::TooEarly { at, earliest: Timestamp(self.earliest) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_two_ends_stand_for_no_record() {
        let range = TimestampRange::from(Timestamp::MIN);
        assert!(range.holds(Timestamp(i64::MIN + 1)) && range.holds(Timestamp(i64::MAX - 1)));
        assert_eq!([Timestamp::MIN, Timestamp::MAX].map(|at| range.holds(at)), [false, false]);
        assert_eq!(range.error(Timestamp::MIN), TimestampError::Missing);
        assert!(range.error(Timestamp::MAX).to_string().contains("overflow"));
        assert!(TimestampRange::ANY.holds(Timestamp::MIN) && TimestampRange::ANY.holds(Timestamp::MAX));
    }

    #[test]
    fn tm_07_what_lies_too_early_is_named() {
        let range = TimestampRange::from(Timestamp(0));
        let error = range.error(Timestamp(-1)).to_string();
        assert!(error.starts_with("the timestamp -1 lies before 0"), "{error}");
    }

    proptest! {
        #[test]
        fn it_holds_what_lies_between(earliest: i64, at: i64) {
            let range = TimestampRange::from(Timestamp(earliest));
            let earliest = earliest.clamp(i64::MIN + 1, i64::MAX - 1);
            prop_assert_eq!(range.holds(Timestamp(at)), earliest <= at && at < i64::MAX);
            // The last one has to be asked for once more.
            prop_assert_eq!(range.surely_holds(Timestamp(at)), range.holds(Timestamp(at)) && at < i64::MAX - 1);
            prop_assert!(!TimestampRange::NONE.surely_holds(Timestamp(at)));
        }
    }
}

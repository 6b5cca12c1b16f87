//! Points in time at equal distances: where aligned windows begin.

use std::fmt;

use crate::element::Timestamp;

/// The points `phase + k * step` for all whole `k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// At least 1.
    step: i64,
    /// At least 0, less than the step.
    phase: i64,
}

impl Grid {
    /// A grid through `point`. The step is at least 1.
    pub(crate) fn through(point: i64, step: i64) -> Grid {
        debug_assert!(step >= 1);
        Grid { step, phase: point.rem_euclid(step) }
    }

    /// The distance between two points.
    pub(crate) fn step(&self) -> i64 {
        self.step
    }

    /// A point of it, at least 0 and less than the step.
    pub(crate) fn phase(&self) -> i64 {
        self.phase
    }

    /// How far a time lies past the last point at or before it: at least 0, less than the step.
    #[inline]
    pub(crate) fn past(&self, at: Timestamp) -> i64 {
        // The remainders are taken apart so that nothing overflows.
        let past_boundary = at.0.rem_euclid(self.step) - self.phase;
        if past_boundary < 0 { past_boundary + self.step } else { past_boundary }
    }

    /// The last point at or before a time, in numbers wide enough for both ends of time.
    pub(crate) fn at_or_before(&self, at: i128) -> i128 {
        at - (at - i128::from(self.phase)).rem_euclid(i128::from(self.step))
    }
}

/// A time in wide numbers, cut off at the ends of time.
pub(crate) fn clamped(at: i128) -> Timestamp {
    Timestamp(at.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

/// Shows where the windows begin that begin at these points, unless it is at the epoch.
pub(super) fn show_offset(f: &mut fmt::Formatter<'_>, starts: Grid) -> fmt::Result {
    if starts.phase == 0 { Ok(()) } else { write!(f, ", offset {}", starts.phase) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn narrow_and_wide_numbers_agree(
            step in prop_oneof![1i64..50, 1i64..=i64::MAX],
            point in any::<i64>(),
            at in prop_oneof![-200i64..200, any::<i64>(), (i64::MAX - 100)..=i64::MAX, i64::MIN..(i64::MIN + 100)],
        ) {
            let grid = Grid::through(point, step);
            let wide = i128::from(at);
            prop_assert_eq!(i128::from(grid.past(Timestamp(at))), wide - grid.at_or_before(wide));
            prop_assert_eq!((grid.at_or_before(wide) - i128::from(point)).rem_euclid(i128::from(step)), 0);
            prop_assert!((0..step).contains(&grid.past(Timestamp(at))));
        }
    }
}

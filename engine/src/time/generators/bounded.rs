//! A watermark that trails the greatest timestamp by a fixed bound.

use super::{WatermarkGenerator, first_ticks};
use crate::element::Timestamp;

/// The watermark trails the largest timestamp by a fixed bound: `max - bound - 1`. Records may come out of order by up to
/// the bound without being late. A bound of 0 is for timestamps that never go back.
///
/// After Flink's `BoundedOutOfOrdernessWatermarks`. Saturates at [`Timestamp::MIN`].
#[derive(Clone, Copy, Debug)]
pub struct BoundedOutOfOrderness {
    max: i64,
    bound: i64,
}

impl BoundedOutOfOrderness {
    /// A generator with a bound in ticks; a negative bound counts as 0.
    pub fn new(bound: i64) -> Self {
        BoundedOutOfOrderness { max: i64::MIN, bound: bound.max(0) }
    }
}

impl WatermarkGenerator for BoundedOutOfOrderness {
    #[inline]
    fn on_record(&mut self, at: Timestamp) {
        self.max = self.max.max(at.0);
    }

    #[inline]
    fn watermark(&self) -> Timestamp {
        Timestamp(self.max.saturating_sub(self.bound).saturating_sub(1))
    }

    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.max.to_le_bytes());
    }

    fn restore(&mut self, saved: &[u8]) {
        self.max = first_ticks(saved).unwrap_or(i64::MIN);
    }
}

//! A watermark that the source itself knows.

use super::WatermarkGenerator;
use crate::element::Timestamp;

/// The watermark is what the source says by [`Records::watermark`](crate::source::Records::watermark): Flink's
/// `SourceContext.emitWatermark`.
///
/// It has nothing to remember: what was let out does not go back, and the source will say more.
#[derive(Clone, Copy, Debug)]
pub struct Reported {
    at: Timestamp,
}

impl Reported {
    /// Nothing was said yet.
    pub fn new() -> Self {
        Reported { at: Timestamp::MIN }
    }
}

impl Default for Reported {
    fn default() -> Self {
        Reported::new()
    }
}

impl WatermarkGenerator for Reported {
    fn on_record(&mut self, _: Timestamp) {}

    fn on_reported(&mut self, at: Timestamp) {
        self.at = at;
    }

    fn watermark(&self) -> Timestamp {
        self.at
    }

    fn save(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &[u8]) {}
}

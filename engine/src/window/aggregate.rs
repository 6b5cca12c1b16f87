//! What a window adds its records up to, by a rule of the program's own.

use crate::record::{Record, View};

/// An aggregate over the records of a window (Flink's `AggregateFunction`): one accumulator per key, whatever the number of records.
///
/// A window is put together from parts that were aggregated apart, so the order of records across parts is not that of their arrival:
/// [`merge`](Aggregate::merge) must not depend on more than that earlier parts come before later ones.
///
/// ```
/// use millstream_engine::prelude::*;
/// use millstream_engine::window::Aggregate;
///
/// /// The mean of a number of readings.
/// struct Mean;
///
/// impl Aggregate<i64> for Mean {
///     type Acc = [i64; 2]; // sum and count
///     type Out = f64;
///
///     fn create(&self) -> [i64; 2] {
///         [0, 0]
///     }
///     fn add(&self, acc: &mut [i64; 2], reading: &i64) {
///         acc[0] += reading;
///         acc[1] += 1;
///     }
///     fn merge(&self, acc: &mut [i64; 2], other: &[i64; 2]) {
///         acc[0] += other[0];
///         acc[1] += other[1];
///     }
///     fn result(&self, acc: [i64; 2]) -> f64 {
///         acc[0] as f64 / acc[1] as f64
///     }
///     fn retract(&self, acc: &mut [i64; 2], part: &[i64; 2]) -> bool {
///         acc[0] -= part[0];
///         acc[1] -= part[1];
///         true
///     }
/// }
/// ```
pub trait Aggregate<T: Record>: 'static {
    /// What is kept per key: a plain record is changed in place.
    type Acc: Record + Clone;
    /// The result of a window.
    type Out: 'static;

    /// Whether [`retract`](Aggregate::retract) always succeeds. Then overlapping windows keep fewer parts.
    const ALWAYS_RETRACTS: bool = false;

    /// The accumulator before the first record.
    fn create(&self) -> Self::Acc;

    /// Takes a record in. A record may be given to several accumulators.
    fn add(&self, acc: &mut Self::Acc, record: &View<T>);

    /// Takes in what a later part of the window has added up to.
    fn merge(&self, acc: &mut Self::Acc, other: &Self::Acc);

    /// The result of a window for one key.
    fn result(&self, acc: Self::Acc) -> Self::Out;

    /// Takes out what a part of the window that is leaving has added up to, as if its records had never been added; other records
    /// remain. Says whether that was possible; if not, `acc` is not used any further, and the result is put together anew. By default
    /// it is not.
    ///
    /// A maximum, for example, can say yes where the part's maximum is less than `acc`, which then stays as it is.
    fn retract(&self, acc: &mut Self::Acc, part: &Self::Acc) -> bool {
        let _ = (acc, part);
        false
    }
}

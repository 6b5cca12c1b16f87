//! Windows of a whole stream.

use super::window_kinds::WindowKind;
use super::{Stream, Windowed};
use crate::operator::Chain;
use crate::record::Record;

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// Cuts the whole stream into windows (Flink's `windowAll`): all records meet on one shard, a funnel, which the plan shows. Where it is
    /// narrow, aggregate per key first and then aggregate these results.
    #[track_caller]
    pub fn window_all<W: WindowKind>(self, window: W) -> Windowed<T, (), W> {
        self.path.flow.graph.borrow_mut().funnel();
        self.key_by(|_| ()).window(window)
    }
}

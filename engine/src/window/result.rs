//! What comes out of windows.

use super::time_window::TimeWindow;
use crate::element::Timestamp;

/// Why a window gave out a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, crate::record::Record)]
#[repr(u8)]
pub enum Firing {
    /// A trigger of the program's own asked for it before the window's end. More results of the window may follow.
    Early,
    /// Time has reached its end: its first result.
    OnTime,
    /// A record came after that, within the allowed lateness: takes the place of the earlier result of the same key and window.
    Late,
    /// A record came after that and made one session of several: takes the place of the earlier results of all windows it covers.
    Merged,
}

/// The result of one window for one key.
#[derive(Clone, Debug, PartialEq, Eq, crate::record::Record)]
pub struct WindowResult<K, V> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: TimeWindow,
    /// What its records add up to.
    pub value: V,
    /// Whether it is the window's first result.
    pub firing: Firing,
}

/// What a finishing function is told about the window at hand.
#[derive(Clone, Debug)]
pub struct WindowContext<K> {
    pub(crate) key: K,
    pub(crate) window: TimeWindow,
    pub(crate) firing: Firing,
    pub(crate) watermark: Timestamp,
}

impl<K> WindowContext<K> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The window.
    pub fn window(&self) -> TimeWindow {
        self.window
    }

    /// Whether it is the window's first result.
    pub fn firing(&self) -> Firing {
        self.firing
    }

    /// How far event time has come.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }
}

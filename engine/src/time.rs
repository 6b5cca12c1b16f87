//! Event time: watermarks, idleness, and how inputs are merged.

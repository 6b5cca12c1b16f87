//! Sources and sinks of Millstream.

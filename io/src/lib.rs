//! Sources and sinks of Millstream.
//!
//! | source | bounded | replayable |
//! | --- | --- | --- |
//! | [`Collection`], [`Sequence`]: values in memory | yes | yes |
//! | [`TextFiles`]: lines of plain and gzip files | yes | yes |
//! | [`Generator`]: records made by a function of their number | either | yes |
//! | [`Clicks`] and other [demonstrations](demos) | either | yes |
//! | [`TcpLines`]: lines from a TCP peer | no | with its [`journal`] |
//!
//! | sink | delivery |
//! | --- | --- |
//! | [`Print`]: a line per record on standard output | plain |
//! | [`Collect`]: records handed to the host program | plain |
//! | [`FileSink`]: part files that appear when their checkpoint is durable | transactional |
#![warn(clippy::unwrap_used)]

pub mod collect;
pub mod collection;
pub mod demos;
mod dir_lock;
pub mod file_sink;
pub mod generator;
mod handoff;
pub mod journal;
pub mod lines;
mod offset;
pub mod print;
pub mod tcp;
pub mod text_file;

pub use collect::{Collect, CollectRecords, CollectViews, Collected, collect, collect_views};
pub use collection::{Collection, Sequence, sequence};
pub use demos::{Click, Clicks};
pub use file_sink::FileSink;
pub use generator::Generator;
pub use lines::{LineFormat, Utf8Policy};
pub use print::Print;
pub use tcp::{JournalOptions, OnFailedRecord, TcpLines};
pub use text_file::TextFiles;

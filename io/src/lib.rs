//! Sources and sinks of Millstream.
//!
//! | source | bounded | replayable |
//! | --- | --- | --- |
//! | [`Collection`], [`Sequence`]: values in memory | yes | yes |
//! | [`TextFiles`]: lines of plain and gzip files | yes | yes |
//! | [`Generator`]: records made by a function of their number | either | yes |
//! | [`Clicks`] and other [demonstrations](demos) | either | yes |
//! | [`TcpLines`]: lines from a TCP peer | no | with its [journal](JournalOptions) |
//!
//! | sink | delivery |
//! | --- | --- |
//! | [`Print`]: a line per record on standard output | plain |
//! | [`Collect`]: records handed to the host program | plain |
//! | [`FileSink`]: part files that appear when their checkpoint is durable | transactional |
//!
//! With the feature `avro`, records are in Avro's encoding, and their types change by its rules, by the module of that name.
//! With the feature `parquet`, states of savepoints are written into files of Parquet and read from them, by the module of that name.
#![warn(clippy::unwrap_used)]

#[cfg(feature = "avro")]
pub mod avro;
pub mod collect;
pub mod collection;
pub mod demos;
pub mod file_sink;
pub mod generator;
mod handoff;
pub mod lines;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod print;
pub mod tcp;
pub mod text_file;

pub use collect::{Collect, CollectRecords, CollectViews, Collected, collect, collect_views};
pub use collection::{Collection, Sequence, sequence};
pub use demos::{Click, Clicks};
pub use file_sink::FileSink;
pub use generator::Generator;
pub use lines::{LineFormat, Utf8Policy};
pub use millstream_engine::journal::{JournalOptions, OnFailedRecord};
pub use print::Print;
pub use tcp::TcpLines;
pub use text_file::TextFiles;

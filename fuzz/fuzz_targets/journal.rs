//! A segment of a journal: whatever lies in it, a journal is opened or refused, and what is read of it is what was appended.
#![no_main]

use millstream_engine::journal::{Journal, Settings};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    if std::fs::write(dir.path().join("segment-00000000000000000000"), bytes).is_err() {
        return;
    }
    if let Ok(journal) = Journal::open(dir.path(), Settings::default())
        && let Ok(entries) = journal.read_from(journal.first())
    {
        entries.for_each(drop);
    }
});

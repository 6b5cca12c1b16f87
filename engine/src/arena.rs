//! A chain's page space: a memory-mapped reservation carved into pages, with the write barrier that makes snapshots incremental.

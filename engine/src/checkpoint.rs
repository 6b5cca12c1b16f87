//! Checkpoints on disk: delta files, the manifest log, retention, restore.

//! Channels between shards: rings, frames, batches and switch positions.

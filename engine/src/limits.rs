//! Every bound of the engine, in one place, checked at compile time.

/// The size of a page of the arena, and of a page in a checkpoint.
pub const PAGE_BYTES: usize = 4096;

/// The most shards a job can have.
pub const SHARDS_MAX: u16 = 1024;

/// How many records an open batch holds before it becomes a frame.
pub const BATCH_RECORDS_MAX: usize = 256;

/// How many bytes of records an open batch holds before it becomes a frame (a single larger record still makes a frame).
pub const BATCH_BYTES_MAX: usize = 32 * 1024;

/// The size of a ring between two shards unless the job says otherwise.
pub const RING_BYTES_DEFAULT: usize = 1024 * 1024;

/// The smallest ring a job may ask for: two frames of a full batch fit.
pub const RING_BYTES_MIN: usize = 128 * 1024;

/// Buffers for I/O that the io_uring driver registers with the kernel, for each shard. Larger demands are met from the heap.
pub const IO_BYTES_PER_SHARD: usize = 1024 * 1024;

/// How many checkpoints that are over a job remembers one by one.
pub const CHECKPOINTS_REMEMBERED: usize = 100;

/// How much memory sorting takes in batch mode unless the job says otherwise.
pub const SORT_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;

/// The least memory for sorting that a job may ask for.
pub const SORT_BYTES_MIN: u64 = 1024 * 1024;

const _: () = assert!(PAGE_BYTES.is_power_of_two());
const _: () = assert!(RING_BYTES_DEFAULT.is_power_of_two());
const _: () = assert!(RING_BYTES_MIN >= 4 * BATCH_BYTES_MAX);

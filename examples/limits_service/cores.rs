//! Who runs where: the shard has a core, and the threads of tokio have the others.

use millstream::runtime::placement::available_cores;
use rustix::thread::{CpuSet, sched_setaffinity};

pub struct Cores {
    /// The shard's.
    pub shard: usize,
    /// What is left; the same one where there is no other.
    pub others: Vec<usize>,
}

impl Cores {
    /// Gives the shard this core, or the first one, and says so where others have to share it.
    pub fn divided(wanted: Option<usize>) -> Self {
        let all: Vec<usize> = available_cores().into_iter().map(|core| core.0).collect();
        let shard = wanted.or(all.first().copied()).unwrap_or(0);
        let mut others: Vec<usize> = all.into_iter().filter(|core| *core != shard).collect();
        if others.is_empty() {
            tracing::warn!(
                "there is no core beside core {shard}: the shard and the HTTP server share it, and wait for each other"
            );
            others.push(shard);
        } else {
            tracing::info!("the shard has core {shard}, the HTTP server has cores {others:?}");
        }
        Cores { shard, others }
    }

    /// Moves the calling thread, and all that it starts from now on, off the shard's core. To be called once the job has been started, so that the
    /// job sees all cores.
    pub fn leave_the_shards(&self) {
        let mut cores = CpuSet::new();
        self.others.iter().for_each(|core| cores.set(*core));
        if let Err(error) = sched_setaffinity(None, &cores) {
            tracing::warn!(
                "the HTTP server may take time from the shard: its threads cannot be moved to cores {:?}: {error}",
                self.others
            );
        }
    }
}

//! What memory lets through: reading and writing in order, and changing lines in no order, by one core and by all of them.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use crate::micro::Settings;
use crate::throughput::pin;

/// Larger than any cache that a core has to itself; of caches that cores share, parts may remain.
const BYTES_PER_THREAD: u64 = 512 << 20;

const LINE: u64 = 64;
const WORDS_PER_LINE: usize = 8;

/// How many lines are changed between two looks at the clock.
const LINES_PER_LOOK: usize = 1 << 16;

/// What was measured with so many cores at once.
#[derive(Clone, Copy, Debug)]
pub struct Bandwidth {
    pub cores: usize,
    /// Bytes per second, read and written together.
    pub streaming: f64,
    /// Lines of 64 bytes that were read, changed and, sooner or later, written back, per second.
    pub random_lines: f64,
}

/// Measures it on the first core, and on all of them.
///
/// # Errors
/// A thread cannot be pinned, or there is too little memory.
pub fn measure(settings: &Settings) -> Result<Vec<Bandwidth>, String> {
    let cores = settings.cores();
    let mut counts = vec![1, cores.len()];
    counts.dedup();
    counts.into_iter().map(|count| on(settings, &cores[..count])).collect()
}

fn on(settings: &Settings, cores: &[usize]) -> Result<Bandwidth, String> {
    let words = (settings.size(BYTES_PER_THREAD) / 8).max(1 << 16) as usize;
    let seconds = settings.seconds(1.0).as_secs_f64();
    let barrier = Barrier::new(cores.len());
    let rates: Vec<Result<(f64, f64), String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = cores
            .iter()
            .map(|core| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let memory = pin(*core).and_then(|()| allocate(words));
                    // All go on, or none waits for one that failed.
                    barrier.wait();
                    let mut memory = memory?;
                    let streaming = stream(&mut memory, seconds);
                    barrier.wait();
                    Ok((streaming, scatter(&mut memory, seconds)))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a probe panicked".to_owned())))
            .collect()
    });
    let rates = rates.into_iter().collect::<Result<Vec<_>, String>>()?;
    Ok(Bandwidth {
        cores: cores.len(),
        streaming: rates.iter().map(|(streaming, _)| streaming).sum(),
        random_lines: rates.iter().map(|(_, lines)| lines).sum(),
    })
}

fn allocate(words: usize) -> Result<Vec<u64>, String> {
    let mut memory = Vec::new();
    let reserved = memory.try_reserve_exact(words);
    reserved.map_err(|error| format!("no memory to measure its bandwidth: {error}"))?;
    // Every page is touched.
    memory.extend((0..words as u64).map(|word| word | 1));
    Ok(memory)
}

/// Copies the lower half over the upper one. Counts what is read and what is written.
fn stream(memory: &mut [u64], seconds: f64) -> f64 {
    let (from, to) = memory.split_at_mut(memory.len() / 2);
    let to = &mut to[..from.len()];
    let (begin, mut bytes) = (Instant::now(), 0.0);
    while begin.elapsed().as_secs_f64() < seconds {
        to.copy_from_slice(black_box(from));
        black_box(&mut *to);
        bytes += 2.0 * size_of_val(from) as f64;
    }
    bytes / begin.elapsed().as_secs_f64()
}

/// Changes lines that do not depend on each other.
fn scatter(memory: &mut [u64], seconds: f64) -> f64 {
    let lines = (memory.len() / WORDS_PER_LINE) as u64;
    let (begin, mut done, mut random) = (Instant::now(), 0.0, 0x9E37_79B9_7F4A_7C15u64);
    while begin.elapsed().as_secs_f64() < seconds {
        for _ in 0..LINES_PER_LOOK {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let line = ((u128::from(random) * u128::from(lines)) >> 64) as usize;
            memory[line * WORDS_PER_LINE] += 1;
        }
        done += LINES_PER_LOOK as f64;
    }
    black_box(memory);
    done / begin.elapsed().as_secs_f64()
}

impl Bandwidth {
    /// In words.
    pub fn describe(&self) -> String {
        format!(
            "memory, {} core{}: {:.1} GB/s in order (read and written), {:.0} M lines/s in no order ({:.1} GB/s)",
            self.cores,
            if self.cores == 1 { "" } else { "s" },
            self.streaming / 1e9,
            self.random_lines / 1e6,
            self.random_lines * 2.0 * LINE as f64 / 1e9
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_do_what_they_count() {
        let mut memory = allocate(1 << 16).unwrap();
        assert!(stream(&mut memory, 0.001) > 0.0);
        assert_eq!(memory[..1 << 15], memory[1 << 15..]);
        let before: u64 = memory.iter().sum();
        let begin = Instant::now();
        let rate = scatter(&mut memory, 0.001);
        let changed = memory.iter().sum::<u64>() - before;
        assert!(changed.is_multiple_of(LINES_PER_LOOK as u64) && changed > 0);
        assert!(rate <= changed as f64 / 0.001 && begin.elapsed().as_secs_f64() >= 0.001);
    }
}

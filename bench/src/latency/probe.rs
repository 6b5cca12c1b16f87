//! The records that go through the jobs.

use millstream::embed::SendError;
use millstream::prelude::*;

/// Scatters numbers over keys, so that neighbours have different ones.
const SCATTER: u64 = 0x9E37_79B9_7F4A_7C15;

/// A record that says when it was due.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Probe {
    pub key: u64,
    pub due: u64,
}

impl Probe {
    /// The nth one, of so many keys.
    #[inline(always)]
    pub fn new(number: u64, keys: u64, due: u64) -> Probe {
        let scattered = u128::from(number.wrapping_mul(SCATTER)) * u128::from(keys);
        Probe { key: (scattered >> 64) as u64, due }
    }
}

/// How many keys there are, where there are any.
pub const KEYS: u64 = 10_000;

/// Sends the next probe; false where there is no room for it.
#[inline(always)]
pub fn send(ingress: &mut Ingress<Probe>, number: &mut u64, due: u64) -> Result<bool, String> {
    match ingress.try_send(Probe::new(*number, KEYS, due)) {
        Ok(_) => {
            *number += 1;
            Ok(true)
        }
        Err(SendError::Full { .. }) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_evenly() {
        let mut counts = [0u32; 10];
        (0..1000).for_each(|number| counts[Probe::new(number, 10, 0).key as usize] += 1);
        assert!(counts.iter().all(|count| (95..=105).contains(count)), "{counts:?}");
    }
}

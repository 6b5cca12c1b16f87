//! The host program's thread: sends on schedule and takes what comes back, on a core of its own.

use super::recorder::Recorder;
use super::schedule::{Dues, NANOS_PER_SECOND, Plan};
use crate::clock::monotonic_nanos;
use crate::throughput::pin;

/// Who is further behind its schedule than this will not catch up.
const BEHIND_MAX: u64 = 2 * NANOS_PER_SECOND;

/// How many records are sent between two looks at what came back.
const SENDS_PER_LOOK: usize = 64;

/// How many records are taken for one reading of the clock, which is that of the last: none is told to be earlier than it was.
const TAKES_PER_READING: usize = 32;

/// How long nothing has come back when nothing more will.
const SILENCE: u64 = NANOS_PER_SECOND;

/// What does not come back is waited for no longer than this.
const DRAIN_MAX: u64 = 20 * NANOS_PER_SECOND;

/// What the host saw.
#[derive(Debug)]
pub struct Seen {
    /// From the time at which a record was due to the time at which what belongs to it was back.
    pub latencies: Recorder,
    /// From the time at which a record was due to the time at which it was sent: what the host's core and the sends before did.
    pub late: Recorder,
    pub sent: u64,
    pub received: u64,
    /// Whether it was given up because it came ever later.
    pub fell_behind: bool,
}

impl Seen {
    fn new(plan: &Plan) -> Seen {
        Seen {
            latencies: Recorder::new(plan),
            late: Recorder::new(plan),
            sent: 0,
            received: 0,
            fell_behind: false,
        }
    }
}

/// An open loop: sends each record when it is due, whatever has become of those before. `send` says whether there was room, `receive`
/// gives the time at which that was due which something that came back belongs to. It is over when `expected` came back, or when
/// nothing more comes.
pub fn open_loop(
    plan: &Plan,
    expected: u64,
    mut send: impl FnMut(u64) -> Result<bool, String>,
    mut receive: impl FnMut() -> Result<Option<u64>, String>,
) -> Result<Seen, String> {
    let (mut seen, mut dues) = (Seen::new(plan), plan.dues());
    let mut taken = [0; TAKES_PER_READING];
    let mut last = plan.end();
    loop {
        let now = monotonic_nanos();
        for _ in 0..SENDS_PER_LOOK {
            let Some(due) = dues.due(now) else { break };
            if now - due > BEHIND_MAX {
                seen.fell_behind = true;
                return Ok(seen);
            }
            if !send(due)? {
                break;
            }
            seen.late.record(due, now);
            seen.sent += 1;
            dues.advance();
        }
        let mut count = 0;
        while count < TAKES_PER_READING
            && let Some(due) = receive()?
        {
            taken[count] = due;
            count += 1;
        }
        if count > 0 {
            let now = monotonic_nanos();
            taken[..count].iter().for_each(|due| seen.latencies.record(*due, now));
            seen.received += count as u64;
            last = last.max(now);
        } else if dues.peek().is_none() && (seen.received >= expected || is_over(now, last, expected)) {
            return Ok(seen);
        }
    }
}

/// Whether nothing more is waited for.
fn is_over(now: u64, last: u64, expected: u64) -> bool {
    // Where it is not known how much comes, silence says that it was all.
    let patience = if expected == u64::MAX { SILENCE } else { DRAIN_MAX };
    now.saturating_sub(last) > patience
}

/// The same where each record is answered before the next one is sent: one that is due meanwhile is late.
pub fn call_loop(plan: &Plan, mut call: impl FnMut(u64) -> Result<(), String>) -> Result<Seen, String> {
    let (mut seen, mut dues) = (Seen::new(plan), plan.dues());
    while let Some(due) = dues.peek() {
        let now = spin_until(&dues, due);
        if now - due > BEHIND_MAX {
            seen.fell_behind = true;
            break;
        }
        seen.late.record(due, now);
        call(due)?;
        seen.latencies.record(due, monotonic_nanos());
        seen.sent += 1;
        seen.received += 1;
        dues.advance();
    }
    Ok(seen)
}

#[inline(always)]
fn spin_until(dues: &Dues, due: u64) -> u64 {
    loop {
        let now = monotonic_nanos();
        if dues.due(now) == Some(due) {
            return now;
        }
        std::hint::spin_loop();
    }
}

/// Runs this on a thread of its own on that core, and that meanwhile on the calling one.
pub fn beside<T: Send, U>(
    core: usize,
    on_core: impl FnOnce() -> Result<T, String> + Send,
    meanwhile: impl FnOnce() -> U,
) -> Result<(T, U), String> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| pin(core).and_then(|()| on_core()));
        let given = meanwhile();
        Ok((thread.join().map_err(|_| "the host's thread panicked".to_owned())??, given))
    })
}

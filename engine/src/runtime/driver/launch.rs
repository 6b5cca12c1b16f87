//! The start of a job's threads, all or none: no shard is built before every thread is ready.

use super::{
    Clock, DriverError, DriverKind, NotStarted, RunningShards, ShardEnd, ShardFailure, ShardSpec,
    panic_message,
};
use crate::element::ShardId;
use crate::runtime::affinity;
use crate::runtime::placement::{self, CoreId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

/// What a driver puts on a shard's thread before the shard itself.
pub(super) trait Seat: Sized {
    /// What every seat of a job is made from.
    type Config: Clone + Send + 'static;
    /// The driver's name.
    const KIND: DriverKind;

    /// Gets the calling thread ready for a shard.
    fn prepare(shard: ShardId, core: Option<CoreId>, config: Self::Config) -> Result<Self, DriverError>;

    /// Runs the shard to its end.
    fn run(self, spec: ShardSpec, clock: Clock) -> Result<(), ShardFailure>;
}

/// A shard's thread that waits for the others.
struct Waiting {
    gate: Sender<ShardSpec>,
    thread: JoinHandle<()>,
}

/// Starts a thread per spec. Where one is refused, all are taken down again.
pub(super) fn launch<S: Seat>(
    clock: Clock,
    specs: Vec<ShardSpec>,
    config: S::Config,
) -> Result<RunningShards, NotStarted> {
    let (end_sender, ends) = mpsc::channel();
    let (ready_sender, ready) = mpsc::channel();
    let mut waiting = Vec::with_capacity(specs.len());
    let mut refused = None;
    for spec in &specs {
        let (shard, core) = (spec.shard, spec.core);
        let (config, clock) = (config.clone(), clock.clone());
        let (ready, ends) = (ready_sender.clone(), end_sender.clone());
        let (gate, gate_receiver) = mpsc::channel();
        let name = thread_name(shard);
        let body = move || occupy::<S>(shard, core, config, clock, &ready, &gate_receiver, &ends);
        match thread::Builder::new().name(name.clone()).spawn(body) {
            Ok(thread) => waiting.push(Waiting { gate, thread }),
            Err(error) => {
                refused = Some(DriverError::Spawn { name, error });
                break;
            }
        }
    }
    drop((ready_sender, end_sender, config));
    // Every thread that started answers once.
    for answer in ready.iter().take(waiting.len()) {
        if let Err(error) = answer {
            refused.get_or_insert(error);
        }
    }
    if let Some(error) = refused {
        for Waiting { gate, thread } in waiting {
            drop(gate);
            let _ = thread.join();
        }
        return Err(NotStarted { error, specs });
    }
    let mut threads = Vec::with_capacity(waiting.len());
    for (Waiting { gate, thread }, spec) in waiting.into_iter().zip(specs) {
        // Cannot fail: the thread waits at its gate.
        let _ = gate.send(spec);
        threads.push(thread);
    }
    Ok(RunningShards { driver: S::KIND, threads, helper: None, ends, ended: Vec::new() })
}

/// What a shard's thread is called.
pub(super) fn thread_name(shard: ShardId) -> String {
    format!("mill-shard-{shard}")
}

/// A shard's thread, from start to end.
fn occupy<S: Seat>(
    shard: ShardId,
    core: Option<CoreId>,
    config: S::Config,
    clock: Clock,
    ready: &Sender<Result<(), DriverError>>,
    gate: &Receiver<ShardSpec>,
    ends: &Sender<ShardEnd>,
) {
    let prepared = catch_unwind(AssertUnwindSafe(|| S::prepare(shard, core, config)))
        .unwrap_or_else(|panic| Err(DriverError::Executor { shard, message: panic_message(panic.as_ref()) }));
    let seat = match prepared {
        Ok(seat) => seat,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    // A closed gate: another shard's thread was refused, the start is given up.
    let Ok(spec) = gate.recv() else { return };
    let result = catch_unwind(AssertUnwindSafe(|| seat.run(spec, clock)))
        .unwrap_or_else(|panic| Err(ShardFailure::Driver { shard, message: panic_message(panic.as_ref()) }));
    // Nobody listens where the job's handle was dropped.
    let _ = ends.send(ShardEnd { shard, result });
}

/// Pins the calling thread.
pub(super) fn pin(shard: ShardId, core: CoreId) -> Result<(), DriverError> {
    check_core(shard, core)?;
    if core_affinity::set_for_current(core_affinity::CoreId { id: core.0 }) {
        return Ok(());
    }
    Err(DriverError::Pin { shard, core, message: std::io::Error::last_os_error().to_string() })
}

/// Checks that the calling thread may run on a core: by going there and back, as the system alone knows. Where threads run at present says less, as a
/// host may have moved its own.
pub(super) fn check_core(shard: ShardId, core: CoreId) -> Result<(), DriverError> {
    let before = affinity::of_this_thread();
    if affinity::confine_this_thread(&[core]).is_ok() {
        // It could be where it was.
        let _ = affinity::confine_this_thread(&before);
        return Ok(());
    }
    let allowed = placement::available_cores();
    if cfg!(not(target_os = "linux")) && allowed.contains(&core) {
        return Ok(());
    }
    let message = format!("this process may use cores {}", placement::cpuset_text(&allowed));
    Err(DriverError::Pin { shard, core, message })
}

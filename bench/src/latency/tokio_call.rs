//! What a call to another task of an asynchronous runtime takes: a channel there, a oneshot back.

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use super::chain::LEAD;
use super::figures::{Second, Series};
use super::host::{beside, call_loop};
use super::settings::{Length, Settings};
use super::watch::watch;
use crate::throughput::pin;

/// What its series is called.
pub const LABEL: &str = "tokio: mpsc there, oneshot back";

/// For how many requests there is room.
const ROOM: usize = 1024;

/// Measures it: each side has a runtime of one thread, the caller's on the second core, the other on the first.
pub fn measure(settings: &Settings, cores: &[usize; 2], length: Length) -> Result<Series, String> {
    let (requests, mut taken) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(ROOM);
    let answer = || -> Result<(), String> {
        pin(cores[0])?;
        runtime()?.block_on(async {
            let mut count = 0;
            while let Some((request, reply)) = taken.recv().await {
                count += request & 1;
                // A caller that does not wait any more has ended its run.
                let _ = reply.send(count);
            }
        });
        Ok(())
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(answer);
        let plan = length.plan(LEAD);
        let calls = move || {
            let runtime = runtime()?;
            call_loop(&plan, |due| {
                runtime.block_on(async {
                    let (reply, replied) = oneshot::channel();
                    requests.send((due, reply)).await.map_err(|_| "the other task is gone".to_owned())?;
                    replied.await.map(drop).map_err(|_| "the other task gave no reply".to_owned())
                })
            })
        };
        // The channel ends with the caller, and the other task with the channel.
        let ran = beside(cores[1], calls, || watch(&settings.cores, plan.from(), plan.seconds, || {}));
        other.join().map_err(|_| "a thread of the runtime panicked".to_owned())??;
        let (seen, disturbed) = ran?;
        let seconds = Second::all(seen.latencies.into_seconds(), disturbed);
        let notes = seen.fell_behind.then(|| "FELL BEHIND its schedule by more than 2 s".to_owned());
        Ok(Series {
            label: LABEL.to_owned(),
            seconds,
            notes: notes.into_iter().collect(),
            ..Series::default()
        })
    })
}

fn runtime() -> Result<Runtime, String> {
    Builder::new_current_thread().build().map_err(|error| format!("cannot start a runtime: {error}"))
}

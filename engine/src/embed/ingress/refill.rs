//! The thread that moves spilled records back into memory as soon as there is room.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::super::listener::Known;
use super::hub::Hub;
use crate::record::Record;
use crate::runtime::beside::spawn_beside;
use crate::waiting::wait_for;

/// Starts it. It ends when the hub is closed.
///
/// # Errors
/// The operating system has no thread for it.
pub(super) fn spawn<T: Record + Send>(hub: Arc<Hub<T>>) -> std::io::Result<()> {
    spawn_beside("mill-refill", move || run(&hub)).map(drop)
}

fn run<T: Record + Send>(hub: &Hub<T>) {
    let Some(queue) = &hub.queue else { return };
    let mut known = Known::default();
    wait_for(Duration::ZERO, None, |waker| {
        let Some(waker) = waker else { return Poll::Pending };
        while hub.closing.status().is_none() {
            match queue.refill(waker) {
                Ok(0) => return Poll::Pending,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!("ingress `{}`: {error}", hub.name);
                    queue.fail(error);
                    hub.listener.wake(&mut known);
                    return Poll::Ready(());
                }
            }
            hub.listener.wake(&mut known);
        }
        Poll::Ready(())
    });
}

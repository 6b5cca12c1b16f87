//! The way of records from a host program into its job.

mod chance;
mod entry;
mod hub;
mod lane_intake;
mod options;
mod queue;
mod queue_intake;
mod reader;
mod refill;
mod replay;
mod source;
mod spill;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::error::SendError;
use super::ledger::{Ledger, Shed};
use super::listener::Known;
use super::overload::Overload;
use super::ready::LANES_MAX;
use crate::element::Timestamp;
use crate::journal::Durable;
use crate::record::Record;
use crate::waiting::wait_for;
use chance::Chance;
pub(super) use hub::Hub;
use hub::{Lane, Message};
pub use options::IngressOptions;
use queue::Put;
pub use reader::IngressReader;
pub use source::IngressSource;

/// Sends records into a job, from any thread and from the tasks of any runtime. Made by [`Job::ingress`](crate::job::Job::ingress); the
/// job reads it with [`Flow::ingress`](crate::graph::Flow::ingress).
///
/// Each clone has a lane of its own to the shard that reads, so that handles never wait for each other; what one handle sends arrives in
/// order. Handles may be made and dropped at any time. When the last one is gone, the stream ends, also for a job that goes on from a later
/// checkpoint; one that is to go on with it another time is [stopped](crate::job::JobHandle::stop) before.
///
/// Records that are sent before the job runs, or while it restarts, wait. With a [journal](IngressOptions::journal) the records of all
/// handles have one order, are numbered, and survive a crash.
///
/// ```
/// use millstream_engine::prelude::*;
///
/// let job = Job::new("doubles");
/// let mut numbers = job.ingress::<u64>("numbers", IngressOptions::new());
/// let mut doubles = job.egress::<u64>("doubles", EgressOptions::new());
/// let running = job.spawn(|flow| flow.ingress::<u64>("numbers").map(|n| 2 * n).egress("doubles"))?;
/// numbers.send(21)?;
/// assert_eq!(doubles.recv()?, 42);
/// drop(numbers);
/// running.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Ingress<T: Record + Send> {
    hub: Arc<Hub<T>>,
    way: Way<T>,
    known: Known,
    chance: Chance,
}

/// How a handle's records get to the reader.
enum Way<T> {
    /// By its own lane.
    Lane(Lane<T>),
    /// By the queue that all handles share.
    Queue,
    /// Not at all: there are too many handles.
    None,
}

/// What became of a record that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Queued,
    /// It is in the journal under this number, and survives the end of the process: it will be processed even if that is killed now. Whether
    /// it survives a power failure, too, [`Ingress::durable`] says.
    Journaled(u64),
    /// The job never gets it, by the overload policy of the ingress.
    Shed(Shed),
}

/// How an offer ended.
enum Offer<T> {
    Done(Result<Sent, SendError<T>>),
    /// There is no room now.
    Wait(T),
}

impl<T: Record + Send> Ingress<T> {
    pub(super) fn new(hub: Arc<Hub<T>>) -> Self {
        let way = match hub.add_handle() {
            Some(lane) => Way::Lane(lane),
            None if hub.queue.is_some() => Way::Queue,
            None => Way::None,
        };
        let chance = Chance::new(crate::job::random());
        Ingress { hub, way, known: Known::default(), chance }
    }

    /// The name of the ingress.
    pub fn name(&self) -> &str {
        &self.hub.name
    }

    /// Sends a record, and waits where there is no room and the policy is to wait. For the tasks of a runtime there is
    /// [`Ingress::send_async`].
    ///
    /// # Errors
    /// The job is over, or the journal takes no more; the record is in the error.
    pub fn send(&mut self, record: T) -> Result<Sent, SendError<T>> {
        self.send_until(record, Timestamp::MIN, None)
    }

    /// The same with the record's event time, in ticks of the job: for a job that goes by the time that the source says
    /// ([`source_time`](crate::stream::SourceStream::source_time)).
    ///
    /// # Errors
    /// As [`Ingress::send`].
    pub fn send_at(&mut self, record: T, at: Timestamp) -> Result<Sent, SendError<T>> {
        self.send_until(record, at, None)
    }

    /// Sends a record, and waits at most this long.
    ///
    /// # Errors
    /// As [`Ingress::send`]; or the time was over before there was room.
    pub fn send_timeout(&mut self, record: T, timeout: Duration) -> Result<Sent, SendError<T>> {
        self.send_until(record, Timestamp::MIN, Some(Instant::now() + timeout))
    }

    /// Sends a record without waiting for room. (With a journal it may still wait for the operating system to take the record.)
    ///
    /// # Errors
    /// As [`Ingress::send`]; or there is no room.
    pub fn try_send(&mut self, record: T) -> Result<Sent, SendError<T>> {
        match self.offer(record, Timestamp::MIN, None) {
            Offer::Done(result) => result,
            Offer::Wait(record) => Err(SendError::Full { ingress: self.hub.name.clone(), record }),
        }
    }

    /// Sends a record from a task of any runtime: where there is no room and the policy is to wait, the task is woken when there is. A
    /// future that is dropped before it is ready has not sent its record.
    ///
    /// # Errors
    /// As [`Ingress::send`].
    pub async fn send_async(&mut self, record: T) -> Result<Sent, SendError<T>> {
        self.send_async_at(record, Timestamp::MIN).await
    }

    /// The same with the record's event time; see [`Ingress::send_at`].
    ///
    /// # Errors
    /// As [`Ingress::send`].
    pub async fn send_async_at(&mut self, record: T, at: Timestamp) -> Result<Sent, SendError<T>> {
        let mut unsent = Some(record);
        poll_fn(|context| self.offer_again(&mut unsent, at, Some(context.waker()))).await
    }

    /// Says that no more records of this event time or an earlier one come from this handle; those that come all the same are late. A job that goes by
    /// [`Watermarks::from_source`](crate::time::Watermarks::from_source) is as far as the slowest of the handles that say anything. Waits
    /// for room, whatever the policy.
    ///
    /// # Errors
    /// The job is over; or the handles share a queue and so have no watermarks of their own.
    pub fn watermark(&mut self, at: Timestamp) -> Result<(), SendError<Timestamp>> {
        self.tell(|| Message::Watermark(at), at)
    }

    /// Says that nothing is to be expected from this handle for a while, so that event time does not wait for it; until its next record or
    /// watermark.
    ///
    /// # Errors
    /// As [`Ingress::watermark`].
    pub fn idle(&mut self) -> Result<(), SendError<()>> {
        self.tell(|| Message::Idle, ())
    }

    /// What became of all records that were sent, by whichever handle.
    pub fn ledger(&self) -> Ledger {
        self.hub.ledger()
    }

    /// All records with smaller numbers survive a power failure. `None` without a journal, and while that is not open.
    pub fn durable_up_to(&self) -> Option<u64> {
        let journal = self.hub.queue.as_ref()?.journal()?;
        Some(journal.durable_up_to())
    }

    /// Becomes ready when the record of this number survives a power failure: then an upstream may be told that it can forget it. `None` without
    /// a journal, and while that is not open.
    pub fn durable(&self, seq: u64) -> Option<Durable> {
        let journal = self.hub.queue.as_ref()?.journal()?;
        Some(journal.durable(seq))
    }

    pub(super) fn send_until(
        &mut self,
        record: T,
        at: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Sent, SendError<T>> {
        let spin = self.hub.options.spin;
        let mut unsent = Some(record);
        let sent = wait_for(spin, deadline, |waker| self.offer_again(&mut unsent, at, waker));
        sent.unwrap_or_else(|| {
            let record = unsent.expect("what was not sent is there still");
            Err(SendError::TimedOut { ingress: self.hub.name.clone(), record })
        })
    }

    /// Offers what is in `unsent`, and leaves it there where there is no room.
    pub(super) fn offer_again(
        &mut self,
        unsent: &mut Option<T>,
        at: Timestamp,
        arm: Option<&Waker>,
    ) -> Poll<Result<Sent, SendError<T>>> {
        let record = unsent.take().expect("an offer that was taken is not made again");
        match self.offer(record, at, arm) {
            Offer::Done(result) => Poll::Ready(result),
            Offer::Wait(record) => {
                *unsent = Some(record);
                Poll::Pending
            }
        }
    }

    #[inline]
    fn offer(&mut self, record: T, at: Timestamp, arm: Option<&Waker>) -> Offer<T> {
        let Ingress { hub, way, known, chance } = self;
        let ingress = || hub.name.clone();
        if let Some(status) = hub.closing.status() {
            return Offer::Done(Err(SendError::Closed { ingress: ingress(), status, record }));
        }
        let lane = match way {
            Way::Lane(lane) => lane,
            Way::Queue => return self.offer_to_queue(record, at, arm),
            Way::None => {
                let error = SendError::TooManyHandles { ingress: ingress(), max: LANES_MAX, record };
                return Offer::Done(Err(error));
            }
        };
        let account = &lane.sender.account;
        if let Overload::Sample(share) = hub.options.overload
            && lane.sender.room() <= hub.options.capacity / 2
            && !chance.takes(share)
        {
            account.count(Some(Shed::Sampled));
            return Offer::Done(Ok(Sent::Shed(Shed::Sampled)));
        }
        let mut message = Message::Record(record, at);
        loop {
            match lane.sender.push(message) {
                Ok(()) => {
                    lane.sender.account.count(None);
                    hub.ready.add(lane.number);
                    hub.listener.wake(known);
                    return Offer::Done(Ok(Sent::Queued));
                }
                Err(back) => message = back,
            }
            // Once more after the waker has been handed over: room that was made meanwhile rang no bell.
            match arm {
                Some(waker) if hub.options.overload == Overload::Block => {
                    lane.sender.account.room.arm(waker);
                    if lane.sender.room() == 0 {
                        break;
                    }
                }
                _ => break,
            }
        }
        let Message::Record(record, _) = message else { unreachable!("what was pushed comes back") };
        let lost_to = match hub.options.overload {
            Overload::Block => return Offer::Wait(record),
            Overload::Reject => Shed::Rejected,
            Overload::Sample(_) => Shed::Sampled,
            _ => Shed::Newest,
        };
        lane.sender.account.count(Some(lost_to));
        Offer::Done(match lost_to {
            Shed::Rejected => Err(SendError::Full { ingress: ingress(), record }),
            _ => Ok(Sent::Shed(lost_to)),
        })
    }

    fn offer_to_queue(&mut self, record: T, at: Timestamp, arm: Option<&Waker>) -> Offer<T> {
        let Ingress { hub, known, chance, .. } = self;
        let ingress = || hub.name.clone();
        let queue = hub.queue.as_ref().expect("a handle that shares a queue has one");
        if hub.options.journal.is_some() && queue.journal().is_none() {
            return Offer::Done(Err(SendError::NotStarted { ingress: ingress(), record }));
        }
        Offer::Done(match queue.put(record, at, &hub.options.overload, chance, arm) {
            Put::In(seq) => {
                hub.listener.wake(known);
                Ok(seq.map_or(Sent::Queued, Sent::Journaled))
            }
            Put::Lost(Shed::Rejected, record) => Err(SendError::Full { ingress: ingress(), record }),
            Put::Lost(to, _) => Ok(Sent::Shed(to)),
            Put::Full(record) => return Offer::Wait(record),
            Put::Refused(cause, record) => Err(SendError::Disk { ingress: ingress(), record, cause }),
        })
    }

    /// Sends what is not a record.
    fn tell<E>(&mut self, message: impl Fn() -> Message<T>, record: E) -> Result<(), SendError<E>> {
        let Ingress { hub, way, known, .. } = self;
        let ingress = hub.name.clone();
        let Way::Lane(lane) = way else {
            return Err(SendError::NoWatermarks { ingress, record });
        };
        let told = wait_for(hub.options.spin, None, |waker| {
            if let Some(status) = hub.closing.status() {
                return Poll::Ready(Err(status));
            }
            waker.inspect(|waker| lane.sender.account.room.arm(waker));
            match lane.sender.push(message()) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(_) => Poll::Pending,
            }
        });
        match told.expect("there is no deadline") {
            Ok(()) => {
                hub.ready.add(lane.number);
                hub.listener.wake(known);
                Ok(())
            }
            Err(status) => Err(SendError::Closed { ingress, status, record }),
        }
    }
}

impl<T: Record + Send> Clone for Ingress<T> {
    /// Another handle, with a lane of its own.
    fn clone(&self) -> Self {
        Ingress::new(self.hub.clone())
    }
}

impl<T: Record + Send> Drop for Ingress<T> {
    fn drop(&mut self) {
        let lane = match std::mem::replace(&mut self.way, Way::None) {
            Way::Lane(lane) => Some(lane),
            Way::Queue | Way::None => None,
        };
        self.hub.remove_handle(lane);
        // Perhaps it was the last one.
        self.hub.listener.wake(&mut self.known);
    }
}

impl<T: Record + Send> std::fmt::Debug for Ingress<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingress").field("name", &self.hub.name).field("ledger", &self.ledger()).finish()
    }
}

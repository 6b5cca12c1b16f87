//! Asking a job: a request goes in, and the reply that is made of that very request comes back to whoever asked.

mod asked;
mod call;
mod deadlines;
mod desk;
mod error;
mod options;
mod reply_sink;
mod slot;
mod source;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::ingress::{Hub, Ingress};
use crate::element::Timestamp;
use crate::record::Field;
use crate::waiting::wait_for;
pub use asked::{Asked, AskedView, CallId, Reply, ReplyView};
pub use call::Call;
pub(super) use desk::Desk;
pub use error::AskError;
pub use options::{AskOptions, Level};
pub(crate) use reply_sink::ReplySink;
pub use source::{AskReader, AskSource};

/// Asks a job, from any thread and from the tasks of any runtime. Made by [`Job::ask`](crate::job::Job::ask); the job takes requests with
/// [`Flow::ask`](crate::graph::Flow::ask) and replies with [`Stream::reply`](crate::stream::Stream::reply).
///
/// What becomes of a call:
///
/// | what happens | outcome |
/// | --- | --- |
/// | the job replies in time | the reply |
/// | it does not | [`AskError::Deadline`], which says whether the job had the request |
/// | the job fails and starts again before it replies | without a journal [`AskError::Interrupted`]; with one the request is processed again, and its reply is the outcome |
/// | the job ends | [`AskError::JobOver`] or [`AskError::Interrupted`] |
/// | the call is dropped | the reply, when it comes, is forgotten; no other call ever gets it |
///
/// Each clone has a lane of its own to the shard that reads. When the last one is gone, the stream of requests ends, as that of an
/// [`Ingress`] does.
///
/// ```
/// use std::time::Duration;
///
/// use millstream_engine::prelude::*;
///
/// let job = Job::new("squares");
/// let mut squares = job.ask::<u64, u64>("squares", AskOptions::new());
/// let running = job.spawn(|flow| {
///     flow.ask::<u64, u64>("squares")
///         .map(|asked| asked.reply(asked.request * asked.request))
///         .reply("squares");
/// })?;
/// assert_eq!(squares.call(12, Duration::from_secs(5))?, 144);
/// drop(squares);
/// running.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Ask<Q: Field + Send, R: Send + 'static> {
    requests: Ingress<Asked<Q>>,
    desk: Arc<Desk<R>>,
    level: Level,
}

impl<Q: Field + Send, R: Send + 'static> Ask<Q, R> {
    pub(super) fn new(hub: Arc<Hub<Asked<Q>>>, desk: Arc<Desk<R>>) -> Self {
        let level = desk.options.level;
        Ask { requests: Ingress::new(hub), desk, level }
    }

    /// The name that it was made with.
    pub fn name(&self) -> &str {
        self.requests.name()
    }

    /// This handle, with replies of this level.
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Asks, and waits for the reply, at most as long as `deadline` says from now on.
    ///
    /// # Errors
    /// There was no reply; the error says what is known of the request.
    pub fn call(&mut self, request: Q, deadline: Duration) -> Result<R, AskError> {
        let deadline = Instant::now() + deadline;
        let (desk, level) = (&self.desk, self.level);
        let call = wait_for(desk.options.spin, Some(deadline), |waker| desk.open(level, deadline, waker));
        let call = call.unwrap_or(Err(AskError::Deadline { sent: false }))?;
        let asked = Asked { call: call.id(), request };
        self.requests.send_until(asked, Timestamp::MIN, Some(deadline)).map_err(AskError::of)?;
        call.wait_until(deadline)
    }

    /// Asks from a task of any runtime.
    ///
    /// # Errors
    /// As [`Ask::call`].
    pub async fn call_async(&mut self, request: Q, deadline: Duration) -> Result<R, AskError> {
        self.start_async(request, deadline).await?.await
    }

    /// Sends a request without waiting for anything, and gives the call: any number of them can be under way by one handle.
    ///
    /// # Errors
    /// There are as many calls under way as there can be, or the lane has no room ([`AskError::Overloaded`]); or the job is over.
    pub fn start(&mut self, request: Q, deadline: Duration) -> Result<Call<R>, AskError> {
        let deadline = Instant::now() + deadline;
        let call = match self.desk.open(self.level, deadline, None) {
            Poll::Ready(call) => call?,
            Poll::Pending => return Err(AskError::Overloaded),
        };
        let asked = Asked { call: call.id(), request };
        self.requests.try_send(asked).map_err(AskError::of)?;
        Ok(call)
    }

    /// Sends a request, waiting for room as a task, and gives the call.
    ///
    /// # Errors
    /// There was no room in time; or the job is over.
    pub async fn start_async(&mut self, request: Q, deadline: Duration) -> Result<Call<R>, AskError> {
        let deadline = Instant::now() + deadline;
        let (desk, level) = (&self.desk, self.level);
        let mut call = poll_fn(|context| desk.open_by(level, deadline, context.waker())).await?;
        let mut unsent = Some(Asked { call: call.id(), request });
        poll_fn(|context| {
            // The call's own deadline ends the wait for room, too.
            if let Poll::Ready(Err(error)) = call.look(Some(context.waker())) {
                return Poll::Ready(Err(error.unsent()));
            }
            let sent = self.requests.offer_again(&mut unsent, Timestamp::MIN, Some(context.waker()));
            if sent.is_pending() {
                call.watch_deadline();
            }
            sent.map(|sent| sent.map(drop).map_err(AskError::of))
        })
        .await?;
        Ok(call)
    }

    /// How many calls are under way, by whichever handle.
    pub fn in_flight(&self) -> usize {
        self.desk.in_flight()
    }
}

impl<Q: Field + Send, R: Send + 'static> Clone for Ask<Q, R> {
    /// Another handle, with a lane of its own.
    fn clone(&self) -> Self {
        Ask { requests: self.requests.clone(), desk: self.desk.clone(), level: self.level }
    }
}

impl<Q: Field + Send, R: Send + 'static> std::fmt::Debug for Ask<Q, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("name", &self.name()).field("in_flight", &self.in_flight()).finish()
    }
}

//! The sink that gives replies to those who asked.

use std::collections::VecDeque;
use std::sync::Arc;

use super::asked::{CallId, Reply};
use super::desk::Desk;
use super::options::Level;
use crate::element::{Epoch, Timestamp};
use crate::sink::{Committable, Delivery, Sink, SinkContext, SinkError};

/// Gives each reply to the call that it is of: at once, or with the checkpoint that holds what was done for it.
pub(crate) struct ReplySink<R> {
    /// None where the program named one that is not there, for which it has been blamed already.
    desk: Option<Arc<Desk<R>>>,
    /// Replies since the last cut that wait for their checkpoint.
    open: Vec<(CallId, R)>,
    /// The cuts that are not durable yet, oldest first. They are in no checkpoint: whoever waits for them does so in this process.
    cut: VecDeque<(Epoch, Vec<(CallId, R)>)>,
}

impl<R: Clone + Send + 'static> ReplySink<R> {
    pub(in crate::embed) fn new(desk: Option<Arc<Desk<R>>>) -> Self {
        ReplySink { desk, open: Vec::new(), cut: VecDeque::new() }
    }
}

impl<R: Clone + Send + 'static> Sink<Reply<R>> for ReplySink<R> {
    fn delivery(&self) -> Delivery {
        Delivery::Plain
    }

    fn open(&mut self, _: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        Ok(())
    }

    #[inline]
    fn write(&mut self, reply: &Reply<R>, _: Timestamp) -> Result<(), SinkError> {
        let Some(desk) = &self.desk else { return Ok(()) };
        match desk.level(reply.call) {
            Some(Level::Computed) => desk.reply(reply.call, reply.reply.clone()),
            Some(Level::Durable) => self.open.push((reply.call, reply.reply.clone())),
            None => {}
        }
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        self.cut.push_back((epoch, std::mem::take(&mut self.open)));
        Ok(())
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let Some(desk) = &self.desk else { return Ok(()) };
        while self.cut.front().is_some_and(|(of, _)| *of <= epoch)
            && let Some((_, replies)) = self.cut.pop_front()
        {
            replies.into_iter().for_each(|(call, reply)| desk.reply(call, reply));
        }
        Ok(())
    }
}

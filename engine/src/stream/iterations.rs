//! Loops in a job.

use std::panic::Location;
use std::rc::Rc;

use super::Stream;
use super::exchanges::begin;
use crate::channel::BatchShape;
use crate::operator::Chain;
use crate::operator::iterate::{Feedback, Iterate, Loop};
use crate::operator::keyed::FromExchange;
use crate::record::Record;

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// A loop (Flink's `iterate` and `closeWith`): `body` is given what comes in together with what it gives back itself, and gives two
    /// streams: what goes round once more, and what comes out.
    ///
    /// What goes round is saved with each checkpoint, and none of it is lost or doubled by a failure. Event time does not go round: the
    /// watermark in the loop is that of what comes in. The loop ends when what comes in has ended and nothing goes round any more.
    ///
    /// What goes round and does not fit the loop's rings counts against [`Job::overflow_bytes`](crate::job::Job::overflow_bytes): a body
    /// that gives back more than it is given fails the job in the end, with a message that names the limit.
    ///
    /// ```
    /// use millstream_engine::prelude::*;
    /// use millstream_engine::testing::{golden::Once, script};
    ///
    /// let out = Once::new();
    /// let sink = out.clone();
    /// // How many steps it takes from a number down to 1: halve it, or triple it and add one.
    /// Job::new("collatz").run(move |flow| {
    ///     flow.source("numbers", script([(6u64, 6u64, 0u64), (7, 7, 0)]))
    ///         .iterate(|numbers| {
    ///             let (again, done) = numbers
    ///                 .owned()
    ///                 .map(|(start, n, steps)| (start, if n % 2 == 0 { n / 2 } else { 3 * n + 1 }, steps + 1))
    ///                 .fork();
    ///             (again.filter(|(_, n, _)| *n != 1), done.owned().filter(|(_, n, _)| *n == 1))
    ///         })
    ///         .map(|(start, _, steps)| (start, steps))
    ///         .sink("steps", sink.clone());
    /// })?;
    /// let mut steps = out.results();
    /// steps.sort();
    /// assert_eq!(steps, [(6, 8), (7, 16)]);
    /// # Ok::<(), JobError>(())
    /// ```
    #[track_caller]
    pub fn iterate<U, D, E, B>(self, body: B) -> Stream<U, E>
    where
        D: Chain<Record = T>,
        E: Chain<Record = U>,
        B: FnOnce(Stream<T, FromExchange<Iterate<T>>>) -> (Stream<T, D>, Stream<U, E>),
    {
        let place = Location::caller();
        let lane = Rc::new(Loop::default());
        let (of_head, of_feedback) = (lane.clone(), lane);
        let input = self.forward();
        input.flow.graph.borrow_mut().has_loops();
        let head = begin(vec![input], "iterate", true, place, |op| Iterate::<T>::new(op, of_head));
        let of_loop = head.path.last();
        let (mut back, out) = body(head);
        let op = back.path.add("feedback", false, place);
        back.path.flow.graph.borrow_mut().note_feedback(op, of_loop);
        back.path.end(back.chain, None, move |lanes| {
            of_feedback.lay(lanes.loop_lane(BatchShape::unkeyed::<T>())?);
            Ok(Feedback::<T>::new(op, of_feedback))
        });
        out
    }
}

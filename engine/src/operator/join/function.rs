//! What is called for pairs of records, and for records that find no partner.

use std::marker::PhantomData;

use crate::element::{KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::operator::OpId;
use crate::operator::side::Tag;
use crate::record::Record;

/// The key and the times at hand, and where output goes: given to a [`ProcessJoin`] with each pair.
pub struct JoinContext<'a, K: Key + ?Sized, U> {
    pub(super) op: OpId,
    pub(super) seed: HashSeed,
    pub(super) key: (KeyHash, &'a [u8]),
    pub(super) left: Option<Timestamp>,
    pub(super) right: Option<Timestamp>,
    pub(super) watermark: Timestamp,
    pub(super) out: &'a mut Vec<(U, Timestamp)>,
    pub(super) types: PhantomData<Box<K>>,
}

impl<K: Key + ?Sized, U> JoinContext<'_, K, U> {
    /// The key.
    pub fn key(&self) -> K::Owned {
        K::decode(self.key.0, self.key.1, self.seed)
    }

    /// The event time of the record of the first stream, where there is one.
    pub fn left_timestamp(&self) -> Option<Timestamp> {
        self.left
    }

    /// The event time of the record of the second stream, where there is one.
    pub fn right_timestamp(&self) -> Option<Timestamp> {
        self.right
    }

    /// The event time of what is given out: the later of the two.
    pub fn timestamp(&self) -> Timestamp {
        self.left.max(self.right).expect("a join has a record of one side at least")
    }

    /// How far event time has come; `None` before the first watermark.
    pub fn watermark(&self) -> Option<Timestamp> {
        (self.watermark > Timestamp::MIN).then_some(self.watermark)
    }

    /// Gives a record out, with the later event time of the two.
    pub fn emit(&mut self, record: U) {
        let at = self.timestamp();
        self.out.push((record, at));
    }

    /// Gives a record out beside the main output.
    pub fn side<S: Record>(&mut self, tag: &Tag<S>, record: &S) {
        tag.emit(self.op, record, self.timestamp());
    }
}

/// A function per pair of records of two streams (Flink's `ProcessJoinFunction`).
pub trait ProcessJoin<A, B, K: Key + ?Sized>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Handles a pair.
    fn process(&mut self, left: &A, right: &B, ctx: &mut JoinContext<'_, K, Self::Out>);
}

/// What a join calls. Only the records that it asks for are handed to it alone.
pub trait JoinFunction<A, B, K: Key + ?Sized>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Whether records of the first stream without a partner are wanted.
    const LEFT: bool = false;
    /// Whether records of the second stream without a partner are wanted.
    const RIGHT: bool = false;

    /// A pair, or a record without a partner.
    #[doc(hidden)]
    fn call(&mut self, left: Option<&A>, right: Option<&B>, ctx: &mut JoinContext<'_, K, Self::Out>);
}

/// Calls a [`ProcessJoin`].
pub struct Processed<F>(pub(crate) F);

impl<A, B, K: Key + ?Sized, F: ProcessJoin<A, B, K>> JoinFunction<A, B, K> for Processed<F> {
    type Out = F::Out;

    fn call(&mut self, left: Option<&A>, right: Option<&B>, ctx: &mut JoinContext<'_, K, F::Out>) {
        if let (Some(left), Some(right)) = (left, right) {
            self.0.process(left, right, ctx);
        }
    }
}

/// Calls a closure with pairs.
pub struct InnerJoin<F>(pub(crate) F);

impl<A, B, K, U, F> JoinFunction<A, B, K> for InnerJoin<F>
where
    K: Key + ?Sized,
    F: FnMut(&A, &B) -> U + 'static,
    U: 'static,
{
    type Out = U;

    fn call(&mut self, left: Option<&A>, right: Option<&B>, ctx: &mut JoinContext<'_, K, U>) {
        if let (Some(left), Some(right)) = (left, right) {
            ctx.emit((self.0)(left, right));
        }
    }
}

/// Calls a closure with pairs, and with what the first stream has without a partner.
pub struct LeftJoin<F>(pub(crate) F);

impl<A, B, K, U, F> JoinFunction<A, B, K> for LeftJoin<F>
where
    K: Key + ?Sized,
    F: FnMut(&A, Option<&B>) -> U + 'static,
    U: 'static,
{
    type Out = U;
    const LEFT: bool = true;

    fn call(&mut self, left: Option<&A>, right: Option<&B>, ctx: &mut JoinContext<'_, K, U>) {
        if let Some(left) = left {
            ctx.emit((self.0)(left, right));
        }
    }
}

/// Calls a closure with pairs, and with what the second stream has without a partner.
pub struct RightJoin<F>(pub(crate) F);

impl<A, B, K, U, F> JoinFunction<A, B, K> for RightJoin<F>
where
    K: Key + ?Sized,
    F: FnMut(Option<&A>, &B) -> U + 'static,
    U: 'static,
{
    type Out = U;
    const RIGHT: bool = true;

    fn call(&mut self, left: Option<&A>, right: Option<&B>, ctx: &mut JoinContext<'_, K, U>) {
        if let Some(right) = right {
            ctx.emit((self.0)(left, right));
        }
    }
}

/// Calls a closure with pairs, and with what either stream has without a partner.
pub struct FullJoin<F>(pub(crate) F);

impl<A, B, K, U, F> JoinFunction<A, B, K> for FullJoin<F>
where
    K: Key + ?Sized,
    F: FnMut(Option<&A>, Option<&B>) -> U + 'static,
    U: 'static,
{
    type Out = U;
    const LEFT: bool = true;
    const RIGHT: bool = true;

    fn call(&mut self, left: Option<&A>, right: Option<&B>, ctx: &mut JoinContext<'_, K, U>) {
        ctx.emit((self.0)(left, right));
    }
}

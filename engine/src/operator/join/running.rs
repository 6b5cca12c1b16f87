//! What the operators of joins have in common.

/// The parts of [`Operator`](crate::operator::keyed::Operator) that are the same for all joins: those have a field `kept` with a `store`, a
/// `progress`, an `out`, and methods `opened` and `timer`, which handles the next timer that is due.
macro_rules! runs_join {
    () => {
        fn op(&self) -> OpId {
            self.op
        }

        fn show_key(&self, batch: Batch<'_>, index: usize) -> Option<String> {
            shown_key::<K>(batch, index, self.seed)
        }

        fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
            self.seed = context.seed;
            self.opened(context).map_err(|cause| Box::new(Failure::of(self.op, cause)))
        }

        fn watermark<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, push: &mut P) -> Firing {
            self.progress.advance(at);
            for _ in 0..TIMERS_PER_PIECE {
                let popped = self.timer(at);
                if self.checked(popped) == Pop::Done {
                    self.progress.settle();
                    return Firing::Done;
                }
                self.out.drain(..).for_each(|(record, at)| push.push(record, at));
            }
            Firing::More
        }

        fn arena(&mut self) -> Option<&mut Arena> {
            self.kept.as_mut().map(|kept| kept.store.arena())
        }

        fn late_ledger(&self) -> Option<&crate::window::LateLedger> {
            Some(&self.progress.late)
        }
    };
}
pub(super) use runs_join;

/// How many timers come due in one piece.
pub(super) const TIMERS_PER_PIECE: usize = if cfg!(test) { 1 } else { 64 };

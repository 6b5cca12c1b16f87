//! Output that is held back until the records it comes from cannot be undone any more.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::task::Poll;

use super::{Committable, Delivery, Sink, SinkContext, SinkError};
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{Epoch, Timestamp};
use crate::record::{Record, RecordBuf, View};

/// Holds the output of a sink back until the checkpoint that it belongs to is durable, and writes it then. What the sink shows is never undone
/// by a failure; where the process dies while it writes, the output of that checkpoint comes again. Output waits for about an interval of
/// checkpoints and is kept in memory meanwhile, and in the checkpoint.
///
/// | level | how | visible | after a failure |
/// | --- | --- | --- | --- |
/// | speculative | the sink itself | at once | comes again, and what was undone had been seen |
/// | durable | `Durable::of(sink)` | with its checkpoint | the last checkpoint's may come again |
/// | transactional | a sink with two phases | with its checkpoint | once |
///
/// ```
/// use millstream_engine::prelude::*;
/// use millstream_engine::sink::Durable;
/// # use millstream_engine::testing::script;
/// # use millstream_engine::testing::golden::Once;
///
/// # fn plain() -> Once<u64> { Once::new() }
/// # let state = tempfile::tempdir()?;
/// Job::new("evens").state_dir(state.path()).run(|flow| {
///     flow.source("numbers", script([1u64, 2, 3])).filter(|n| n % 2 == 0).sink("out", Durable::of(plain()));
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Durable<T, S> {
    sink: S,
    /// What was written since the last cut.
    open: Held,
    /// What was cut and is not written yet, oldest first.
    cut: VecDeque<(Epoch, Held)>,
    /// The newest checkpoint that is durable.
    committed: Epoch,
    item: PhantomData<fn() -> T>,
}

/// Records, archived, with their times.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    records: Vec<(Timestamp, Vec<u8>)>,
}

impl<T: Record, S: Sink<T>> Durable<T, S> {
    /// Holds back what this sink is to show.
    pub fn of(sink: S) -> Self {
        let (open, cut, committed) = (Held::default(), VecDeque::new(), Epoch(0));
        Durable { sink, open, cut, committed, item: PhantomData }
    }

    /// Writes what is durable, as far as the sink takes it.
    fn write_durable(&mut self) -> Result<(), SinkError> {
        let (sink, committed) = (&mut self.sink, self.committed);
        while let Some((epoch, held)) = self.cut.front_mut()
            && *epoch <= committed
            && sink.ready()
        {
            for (at, bytes) in held.records.drain(..) {
                sink.write(&record::<T>(&bytes)?, at)?;
            }
            self.cut.pop_front();
        }
        sink.flush()
    }
}

fn record<T: Record>(bytes: &[u8]) -> Result<T, SinkError> {
    let mut aligned = RecordBuf::with_capacity(bytes.len());
    aligned.extend_from_slice(bytes);
    let view: &View<T> = T::view(&aligned).map_err(|error| {
        SinkError::fatal("a record that was held back is none any more: was its type changed?").because(error)
    })?;
    Ok(T::owned(view))
}

impl Held {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.put_list(&self.records, |out, (at, bytes)| {
            out.put_i64(at.0).put_bytes(bytes);
        });
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Held, CodecError> {
        let mut input = Reader::new(bytes);
        let records = input.list("records that were held back", 12, |input| {
            Ok((Timestamp(input.i64("event time")?), input.bytes("record")?.to_vec()))
        })?;
        input.finish()?;
        Ok(Held { records })
    }
}

impl<T: Record, S: Sink<T>> Sink<T> for Durable<T, S> {
    fn delivery(&self) -> Delivery {
        Delivery::Durable
    }

    fn open(&mut self, context: &SinkContext, recovered: &[Committable]) -> Result<(), SinkError> {
        self.sink.open(context, &[])?;
        // Of the restored checkpoint nobody knows whether it was written.
        for cut in recovered {
            let held = Held::decode(&cut.bytes).map_err(|error| {
                SinkError::fatal("what the checkpoint says of held-back output cannot be read").because(error)
            })?;
            self.cut.push_back((cut.epoch, held));
        }
        self.committed = context.restored;
        self.write_durable()
    }

    fn ready(&mut self) -> bool {
        // What waits for the disk is bounded by the interval; what waits for the sink holds the job back.
        self.cut.iter().all(|(epoch, _)| *epoch > self.committed) || self.sink.ready()
    }

    fn write(&mut self, record: &T, at: Timestamp) -> Result<(), SinkError> {
        let mut bytes = RecordBuf::new();
        record.encode(&mut bytes);
        self.open.records.push((at, bytes.to_vec()));
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        self.cut.push_back((epoch, std::mem::take(&mut self.open)));
        self.sink.prepare(epoch)
    }

    fn poll_prepared(&mut self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        let cut = self.cut.iter().find(|(of, held)| *of == epoch && !held.records.is_empty());
        Poll::Ready(Ok(cut.map(|(_, held)| held.encode())))
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        self.committed = self.committed.max(epoch);
        self.write_durable()
    }

    fn poll_committed(&mut self, epoch: Epoch) -> Poll<Result<(), SinkError>> {
        if let Err(error) = self.write_durable() {
            return Poll::Ready(Err(error));
        }
        match self.cut.front() {
            Some((of, _)) if *of <= epoch => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.sink.close()
    }
}

//! Lines from a TCP peer, with an optional journal that makes them replayable.

mod batch;
mod connection;
mod ingress;
mod replay;

use std::sync::Arc;
use std::time::Duration;

use millstream_engine::element::Nanos;
use millstream_engine::source::{
    PartitionId, Reader, ReaderContext, Records, Replay, Source, SourceError, SourcePoll,
};

use crate::handoff::{Consumer, Taken, handoff};
use crate::lines::LineFormat;
use batch::{LineBatch, Message};
use connection::{Feed, Stop};
use ingress::{Attachment, Ingress};
use millstream_engine::journal::JournalOptions;
use millstream_engine::source::offset;

/// How many batches (of at most 64 KiB read at once) wait for the shard before the peer is held back.
const BATCHES_AHEAD: usize = 64;

const LINGER_DEFAULT: Duration = Duration::from_secs(30);

/// Lines from a TCP peer that this source connects to; one partition.
///
/// The first connection is tried for [`TcpLines::connect_timeout`]. When the peer closes a connection, or it breaks, another is made, with growing pauses between
/// the attempts, for ever; [`TcpLines::end_at_eof`] ends instead. What came before a clean close without a delimiter is a
/// line; what came before a break is not.
///
/// A plain socket cannot be asked again: lines that no completed checkpoint covers are lost when the job fails. With a [journal](TcpLines::journal) every
/// line is in a local log before the job sees it, and a restart goes on after the checkpoint's last line. Then the connection also outlives a restart of
/// the job in the same process, and what arrives meanwhile is journaled: nothing that the process received is lost.
/// Without a journal a restart closes the connection and makes a new one.
///
/// ```
/// use millstream_io::{JournalOptions, OnFailedRecord, TcpLines};
///
/// let plain = TcpLines::new("localhost:9000");
/// let replayable = TcpLines::new("localhost:9000")
///     .journal(JournalOptions::new().on_failed_record(OnFailedRecord::Skip));
/// ```
#[derive(Clone, Debug)]
pub struct TcpLines {
    address: String,
    format: LineFormat,
    connect_timeout: Duration,
    end_at_eof: bool,
    journal: Option<JournalOptions>,
    linger: Duration,
}

impl TcpLines {
    /// Lines from `HOST:PORT`.
    pub fn new(address: impl Into<String>) -> Self {
        TcpLines {
            address: address.into(),
            format: LineFormat::new(),
            connect_timeout: Duration::from_secs(10),
            end_at_eof: false,
            journal: None,
            linger: LINGER_DEFAULT,
        }
    }

    /// How the bytes become lines.
    pub fn format(mut self, format: LineFormat) -> Self {
        self.format = format;
        self
    }

    /// How long to try before the first connection; then the source fails. 10 seconds unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Takes the peer's closing of the connection as the end of the stream.
    pub fn end_at_eof(mut self) -> Self {
        self.end_at_eof = true;
        self
    }

    /// Keeps a journal.
    pub fn journal(mut self, options: JournalOptions) -> Self {
        self.journal = Some(options);
        self
    }

    /// How long a journaled connection is kept, and what arrives journaled, while nobody reads: while the job restarts. 30 seconds
    /// unless set.
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }

    fn feed(&self) -> Feed {
        Feed {
            address: self.address.clone(),
            format: self.format.clone(),
            connect_timeout: self.connect_timeout,
            end_at_eof: self.end_at_eof,
        }
    }

    fn check(&self) -> Result<(), SourceError> {
        self.format.check(&self.address)?;
        let port = self.address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        if port.and_then(|port| port.parse::<u16>().ok()).is_none_or(|port| port == 0) {
            return Err(SourceError::fatal(format!(
                "{:?} is not HOST:PORT; give a name or address and a port from 1 to 65535, as in localhost:9000",
                self.address
            )));
        }
        Ok(())
    }
}

impl Source for TcpLines {
    type Item = String;
    type Reader = TcpReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        self.check()?;
        Ok(vec![PartitionId(self.address.clone())])
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        context: &ReaderContext,
    ) -> Result<TcpReader, SourceError> {
        self.check()?;
        let remembered = offset.map(|bytes| offset::decode::<2>(partition, bytes)).transpose()?;
        let (origin, next, replay, live) = match &self.journal {
            None => {
                let (producer, consumer) = handoff(BATCHES_AHEAD, context.waker.clone());
                let stop = Arc::new(Stop::default());
                connection::spawn(self.feed(), stop.clone(), producer)?;
                let next = remembered.map_or(0, |[_, next]| next);
                (Origin::Socket { stop, next }, next, None, consumer)
            }
            Some(options) => {
                let dir = options.place(&context.operator, context.state_dir.as_deref())?;
                let (ingress, attachment) =
                    Ingress::attach_to(&dir, self.feed(), self.linger, options, remembered, &context.waker)?;
                let Attachment { token, from, replay, live } = attachment;
                (Origin::Journal { ingress, token }, from, Some(replay), live)
            }
        };
        Ok(TcpReader {
            address: self.address.clone(),
            format: self.format.clone(),
            origin,
            replay,
            live,
            batch: LineBatch::default(),
            at: 0,
            next,
            numbers: Vec::new(),
            ended: false,
        })
    }

    fn replay(&self) -> Replay {
        match self.journal {
            Some(_) => Replay::Yes,
            None => Replay::No {
                because: format!("the socket {} cannot be asked again; switch its journal on", self.address),
            },
        }
    }

    fn bounded(&self) -> bool {
        self.end_at_eof
    }
}

/// Where a reader's lines come from.
enum Origin {
    /// A connection of its own, and how many lines came before it.
    Socket { stop: Arc<Stop>, next: u64 },
    /// A connection that outlives the reader.
    Journal { ingress: Arc<Ingress>, token: u64 },
}

/// Reads the lines of a peer.
pub struct TcpReader {
    address: String,
    format: LineFormat,
    origin: Origin,
    /// Lines that the journal already had; gone through before the live ones.
    replay: Option<Consumer<Message>>,
    live: Consumer<Message>,
    batch: LineBatch,
    /// The next line of the batch.
    at: usize,
    /// The number of the next line.
    next: u64,
    /// The numbers of the lines of the last poll.
    numbers: Vec<u64>,
    ended: bool,
}

impl TcpReader {
    fn hand_out(&mut self, out: &mut Records<String>) -> Result<(), SourceError> {
        while out.room() > 0 && self.at < self.batch.len() {
            let number = self.batch.first + self.at as u64;
            let text = self.format.text(self.batch.line(self.at), || place(&self.address, number));
            if text.is_err()
                && let Origin::Journal { ingress, .. } = &self.origin
            {
                // Otherwise a line that cannot be text would fail every restart.
                ingress.mark_failed(number)?;
            }
            if let Some(text) = text? {
                out.push(text);
                self.numbers.push(number);
            }
            self.at += 1;
            self.next = number + 1;
        }
        Ok(())
    }

    fn take(&mut self) -> Taken<Message> {
        match &mut self.replay {
            Some(replay) => replay.take(),
            None => self.live.take(),
        }
    }
}

fn place(address: &str, number: u64) -> String {
    format!("{address}, line {}", number + 1)
}

impl Reader for TcpReader {
    type Item = String;

    fn poll(&mut self, _now: Nanos, out: &mut Records<String>) -> Result<SourcePoll, SourceError> {
        self.numbers.clear();
        loop {
            self.hand_out(out)?;
            if out.room() == 0 {
                return Ok(SourcePoll::More);
            }
            if self.ended {
                return Ok(SourcePoll::End);
            }
            match self.take() {
                Taken::Item(Message::Lines(mut batch)) => {
                    if let Origin::Socket { next, .. } = &mut self.origin {
                        batch.first = *next;
                        *next += batch.len() as u64;
                    }
                    self.batch = batch;
                    self.at = 0;
                }
                Taken::Item(Message::End) if self.replay.is_some() => self.replay = None,
                Taken::Item(Message::End) => self.ended = true,
                Taken::Item(Message::Failed(error)) => return Err(error),
                Taken::Empty => return Ok(SourcePoll::Idle { until: None }),
                Taken::Closed => {
                    return Err(SourceError::retryable(format!(
                        "{}: the connector is gone; another reader took its journal over, or its thread ended unexpectedly",
                        self.address
                    )));
                }
            }
        }
    }

    fn offset(&self, out: &mut Vec<u8>) {
        let id = match &self.origin {
            Origin::Socket { .. } => millstream_engine::journal::NO_JOURNAL,
            Origin::Journal { ingress, .. } => ingress.id(),
        };
        offset::encode([id, self.next], out);
    }

    fn trim(&mut self, offset: &[u8]) -> Result<(), SourceError> {
        if let Origin::Journal { ingress, .. } = &self.origin {
            let [id, next] = offset::decode(&PartitionId(self.address.clone()), offset)?;
            // A checkpoint from before the journal was switched on has nothing in it.
            if id == ingress.id() {
                ingress.trim_to(next);
            }
        }
        Ok(())
    }

    fn place(&self, index: usize) -> String {
        place(&self.address, self.numbers.get(index).copied().unwrap_or(self.next))
    }

    fn mark_failed(&mut self, index: usize) -> Result<(), SourceError> {
        match (&self.origin, self.numbers.get(index)) {
            (Origin::Journal { ingress, .. }, Some(&number)) => ingress.mark_failed(number),
            _ => Ok(()),
        }
    }
}

impl Drop for TcpReader {
    fn drop(&mut self) {
        match &self.origin {
            Origin::Socket { stop, .. } => stop.stop(),
            Origin::Journal { ingress, token } => ingress.detach(*token),
        }
    }
}

#[cfg(test)]
mod tests;

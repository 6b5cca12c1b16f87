//! Connects, reads, connects again.

use std::io::{self, Read as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millstream_engine::runtime::beside::spawn_beside;
use millstream_engine::source::SourceError;

use super::batch::{LineBatch, Message, Splitter};
use crate::handoff::Producer;
use crate::lines::LineFormat;

const READ_BYTES: usize = 64 * 1024;
/// How long one attempt to connect may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often a silent connection asks whether it is still wanted.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(250);

/// Where the lines come from, and how.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) address: String,
    pub(super) format: LineFormat,
    pub(super) connect_timeout: Duration,
    pub(super) end_at_eof: bool,
}

/// Stops a connector, wherever it is.
#[derive(Debug, Default)]
pub(super) struct Stop {
    state: Mutex<StopState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct StopState {
    stopped: bool,
    stream: Option<TcpStream>,
}

impl Stop {
    fn lock(&self) -> MutexGuard<'_, StopState> {
        // Both fields are set in one step each.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection, if there is one, and makes no other.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        if let Some(stream) = state.stream.take() {
            // A connection that is closed already needs no closing.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    pub(super) fn stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Waits, less long when stopped meanwhile.
    pub(super) fn pause(&self, time: Duration) {
        let state = self.lock();
        let _ = self.changed.wait_timeout_while(state, time, |state| !state.stopped);
    }

    /// Lets `stop` close this connection; false where it is too late.
    fn hold(&self, stream: &TcpStream) -> io::Result<bool> {
        let copy = stream.try_clone()?;
        let mut state = self.lock();
        state.stream = (!state.stopped).then_some(copy);
        Ok(!state.stopped)
    }
}

/// Takes what a connection gives.
pub(super) trait Receiver {
    /// Takes lines; false where nobody wants any more.
    fn lines(&mut self, batch: LineBatch) -> Result<bool, SourceError>;
    /// Whether somebody still wants lines.
    fn wanted(&mut self) -> bool;
}

impl Receiver for &Producer<Message> {
    fn lines(&mut self, batch: LineBatch) -> Result<bool, SourceError> {
        Ok(self.push(Message::Lines(batch)).is_ok())
    }

    fn wanted(&mut self) -> bool {
        !self.is_closed()
    }
}

/// Why a feed ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The peer closed the connection, and that is the end.
    Eof,
    /// Nobody wants lines any more.
    Unwanted,
}

/// Why one connection ended.
enum Lost {
    Eof,
    Broken(io::Error),
    Unwanted,
}

/// Starts a thread that feeds a reader until that is gone.
pub(super) fn spawn(feed: Feed, stop: Arc<Stop>, producer: Producer<Message>) -> Result<(), SourceError> {
    let address = feed.address.clone();
    let thread = spawn_beside("tcp-lines", move || {
        let last = match feed.run(&stop, &mut &producer) {
            Ok(Ended::Eof) => Message::End,
            Ok(Ended::Unwanted) => return,
            Err(error) => Message::Failed(error),
        };
        // A reader that is gone needs no answer.
        let _ = producer.push(last);
    });
    thread.map(drop).map_err(|e| {
        SourceError::retryable(format!("cannot start a thread to read {address}: {e}")).because(e)
    })
}

impl Feed {
    /// Reads until the end, for ever, or until nobody wants more.
    pub(super) fn run(&self, stop: &Stop, receiver: &mut impl Receiver) -> Result<Ended, SourceError> {
        let started = Instant::now();
        let mut ever_connected = false;
        let mut pause = PAUSE_FIRST;
        loop {
            if stop.stopped() || !receiver.wanted() {
                return Ok(Ended::Unwanted);
            }
            let left = self.connect_timeout.saturating_sub(started.elapsed());
            let attempt = if ever_connected { ATTEMPT_MAX } else { left.min(ATTEMPT_MAX) };
            match self.connect(attempt) {
                Ok(stream) => {
                    if !stop.hold(&stream).map_err(|e| self.unusable(e))? {
                        return Ok(Ended::Unwanted);
                    }
                    ever_connected = true;
                    let mut received = false;
                    let lost = self.read(stream, receiver, &mut received)?;
                    if received {
                        pause = PAUSE_FIRST;
                    }
                    match lost {
                        Lost::Unwanted => return Ok(Ended::Unwanted),
                        _ if stop.stopped() => return Ok(Ended::Unwanted),
                        Lost::Eof if self.end_at_eof => return Ok(Ended::Eof),
                        Lost::Eof => {
                            tracing::warn!("{} closed the connection; connecting again", self.address)
                        }
                        Lost::Broken(error) => {
                            tracing::warn!(
                                "the connection to {} broke: {error}; connecting again",
                                self.address
                            );
                        }
                    }
                }
                Err(error) => {
                    let left = self.connect_timeout.saturating_sub(started.elapsed());
                    if !ever_connected && left.is_zero() {
                        return Err(self.unreachable(error));
                    }
                    if pause == PAUSE_FIRST {
                        tracing::warn!("cannot connect to {}: {error}; trying again", self.address);
                    }
                    if !ever_connected {
                        pause = pause.min(left.max(Duration::from_millis(1)));
                    }
                }
            }
            stop.pause(jittered(pause));
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn connect(&self, timeout: Duration) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout.max(Duration::from_millis(1))) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn read(
        &self,
        mut stream: TcpStream,
        receiver: &mut impl Receiver,
        received: &mut bool,
    ) -> Result<Lost, SourceError> {
        stream.set_read_timeout(Some(ASK_EVERY)).map_err(|e| self.unusable(e))?;
        let mut splitter = Splitter::new(&self.format);
        loop {
            match splitter.cutter().fill(READ_BYTES, |room| stream.read(room)) {
                Ok(0) => {
                    let rest = splitter.rest();
                    let wanted = rest.len() == 0 || receiver.lines(rest)?;
                    return Ok(if wanted { Lost::Eof } else { Lost::Unwanted });
                }
                Ok(_) => *received = true,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if !receiver.wanted() {
                        return Ok(Lost::Unwanted);
                    }
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    let torn = splitter.rest().bytes();
                    if torn > 0 {
                        tracing::warn!("{}: dropped {torn} bytes of a line that broke off", self.address);
                    }
                    return Ok(Lost::Broken(e));
                }
            }
            let lines = splitter
                .lines()
                .map_err(|_| self.format.too_long(format!("{}, the line being received", self.address)))?;
            if let Some(batch) = lines
                && !receiver.lines(batch)?
            {
                return Ok(Lost::Unwanted);
            }
        }
    }

    fn unreachable(&self, error: io::Error) -> SourceError {
        SourceError::retryable(format!(
            "cannot connect to {} within {:?}: {error}; start the peer first (as with `nc -lk PORT`), check host and port, or \
             raise TcpLines::connect_timeout",
            self.address, self.connect_timeout
        ))
        .because(error)
    }

    fn unusable(&self, error: io::Error) -> SourceError {
        SourceError::retryable(format!("cannot use the connection to {}: {error}", self.address))
            .because(error)
    }
}

/// Between half of the time and all of it, so that many clients do not come back at the same instant.
fn jittered(time: Duration) -> Duration {
    let noise = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos() % 1000);
    time / 2 + time / 2 * noise / 1000
}

//! What a call to a data store on the same machine takes: `INCR` on a Redis server of our own, over a loopback connection.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::chain::LEAD;
use super::figures::{Second, Series};
use super::host::{beside, call_loop};
use super::settings::{Length, Settings};
use super::watch::watch;
use crate::throughput::pin;

/// What its series is called.
pub const LABEL: &str = "redis: INCR over loopback";

/// How long the server is given to start.
const START_MAX: Duration = Duration::from_secs(10);

/// `*2 $4 INCR $1 k`, in the protocol's words.
const INCR: &[u8] = b"*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n";

/// The server's program, where a directory of this `PATH` has one that can be run.
pub fn find(path: Option<OsString>) -> Option<PathBuf> {
    let is_program = |file: &PathBuf| {
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path?).map(|dir| dir.join("redis-server")).find(is_program)
}

/// Measures it: the caller on the second core, the server on the first.
pub fn measure(
    program: &Path,
    settings: &Settings,
    cores: &[usize; 2],
    length: Length,
) -> Result<Series, String> {
    let mut server = Server::start(program, cores[0])?;
    let mut client = server.connect()?;
    let plan = length.plan(LEAD);
    let calls = || call_loop(&plan, |_| client.incr().map(drop));
    let (seen, disturbed) =
        beside(cores[1], calls, || watch(&settings.cores, plan.from(), plan.seconds, || {}))?;
    // The server's own time counts as that of another program.
    let disturbed = disturbed.into_iter().map(|what| what.filter(|what| !what.starts_with("other programs")));
    let seconds = Second::all(seen.latencies.into_seconds(), disturbed.collect());
    let mut notes = vec!["what other programs used is not known here: the server is one of them".to_owned()];
    notes.extend(seen.fell_behind.then(|| "FELL BEHIND its schedule by more than 2 s".to_owned()));
    Ok(Series { label: LABEL.to_owned(), seconds, notes, ..Series::default() })
}

/// A server that is ended when this is dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts it on a free port, pinned, without any files.
    fn start(program: &Path, core: usize) -> Result<Server, String> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = free.map_err(|error| format!("no free port for redis-server: {error}"))?.port();
        let mut command = Command::new(program);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // A process has the cores of the thread that started it.
        let spawned = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                pin(core)?;
                command.spawn().map_err(|error| format!("cannot start {}: {error}", program.display()))
            });
            thread.join().map_err(|_| "the thread that starts redis-server panicked".to_owned())?
        });
        Ok(Server { process: spawned?, port })
    }

    fn connect(&mut self) -> Result<Client, String> {
        let begin = Instant::now();
        loop {
            let error = match Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))) {
                Ok(client) => return Ok(client),
                Err(error) => error,
            };
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("redis-server ended at once ({status}); start it by hand to see why"));
            }
            if begin.elapsed() > START_MAX {
                return Err(format!("redis-server does not answer on port {}: {error}", self.port));
            }
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended of itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection, one call at a time.
struct Client {
    stream: TcpStream,
    reply: Vec<u8>,
}

impl Client {
    fn connect(to: SocketAddr) -> Result<Client, String> {
        let stream = TcpStream::connect(to).and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        Ok(Client { stream: stream.map_err(|error| error.to_string())?, reply: Vec::with_capacity(64) })
    }

    /// Adds one, and gives what it comes to.
    fn incr(&mut self) -> Result<i64, String> {
        self.stream.write_all(INCR).map_err(|error| format!("redis: {error}"))?;
        self.reply.clear();
        let mut bytes = [0; 64];
        while !self.reply.ends_with(b"\r\n") {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err("redis closed the connection".to_owned()),
                Ok(read) => self.reply.extend_from_slice(&bytes[..read]),
                Err(error) => return Err(format!("redis: {error}")),
            }
        }
        number(&self.reply)
    }
}

/// An integer reply: `:12\r\n`.
fn number(reply: &[u8]) -> Result<i64, String> {
    let words = String::from_utf8_lossy(reply);
    let number = words.strip_prefix(':').and_then(|number| number.trim_end().parse().ok());
    number.ok_or_else(|| format!("redis did not give a number: {}", words.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_found_on_the_path_or_not_at_all() {
        let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let program = full.path().join("redis-server");
        let path = || Some(std::env::join_paths([empty.path(), full.path()]).unwrap());
        assert_eq!(find(path()), None);
        std::fs::write(&program, "").unwrap();
        assert_eq!(find(path()), None, "it cannot be run");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(path()), Some(program));
        assert_eq!(find(None), None);
    }

    #[test]
    fn replies_are_numbers_or_told() {
        assert_eq!(number(b":12\r\n"), Ok(12));
        assert!(number(b"-ERR no\r\n").unwrap_err().contains("-ERR no"));
    }

    #[test]
    fn a_call_is_written_in_the_protocol_and_its_reply_read_in_pieces() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for pieces in [[":4".as_bytes(), b"1\r\n"], [b":42\r", b"\n"]] {
                let mut request = vec![0; INCR.len()];
                stream.read_exact(&mut request).unwrap();
                assert_eq!(request, INCR);
                for piece in pieces {
                    stream.write_all(piece).unwrap();
                    sleep(Duration::from_millis(5));
                }
            }
        });
        let mut client = Client::connect(address).unwrap();
        assert_eq!((client.incr(), client.incr()), (Ok(41), Ok(42)));
        server.join().unwrap();
        assert!(client.incr().is_err(), "the server is gone");
    }

    #[test]
    fn what_is_no_server_is_told() {
        let mut server = Server::start(Path::new("/bin/true"), first_core()).unwrap();
        let error = server.connect().err().unwrap();
        assert!(error.contains("ended at once"), "{error}");
        assert!(Server::start(Path::new("/no/such/program"), first_core()).is_err());
    }

    fn first_core() -> usize {
        core_affinity::get_core_ids().unwrap()[0].id
    }
}

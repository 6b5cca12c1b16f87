//! A TCP peer that behaves like `nc -lk`: it listens, gives what is typed to whoever is connected, and listens again when that
//! connection is gone. What is typed while nobody is connected waits.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Peer {
    pub address: String,
    typist: Option<JoinHandle<usize>>,
}

/// How long it waits for somebody to connect.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);

impl Peer {
    /// Types these lines with such a pause after each; afterwards keeps the connection open. With no pause at all they go out in one
    /// piece.
    pub fn typing(lines: &[&str], pause: Duration) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lines: Vec<String> = match pause.is_zero() {
            true => vec![lines.iter().map(|line| format!("{line}\n")).collect()],
            false => lines.iter().map(|line| format!("{line}\n")).collect(),
        };
        let typist = std::thread::spawn(move || {
            let mut connections = Connections { listener, open: None, accepted: 0 };
            for line in lines {
                if !connections.send(line.as_bytes()) {
                    return connections.accepted;
                }
                std::thread::sleep(pause);
            }
            // Like `nc`, it stays until the other side has had enough, and takes them back once or twice.
            while connections.is_open() {
                std::thread::sleep(LOOK_EVERY);
            }
            connections.accepted
        });
        Peer { address, typist: Some(typist) }
    }

    /// Waits until the other side has gone; how many connections there were.
    pub fn finish(mut self) -> usize {
        self.typist.take().unwrap().join().unwrap()
    }
}

struct Connections {
    listener: TcpListener,
    open: Option<TcpStream>,
    accepted: usize,
}

impl Connections {
    /// False where nobody wants it any more.
    fn send(&mut self, line: &[u8]) -> bool {
        loop {
            if self.is_open() && self.open.as_mut().is_some_and(|open| open.write_all(line).is_ok()) {
                return true;
            }
            if !self.accept() {
                return false;
            }
        }
    }

    fn accept(&mut self) -> bool {
        self.listener.set_nonblocking(true).unwrap();
        let end = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < end {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    self.open = Some(stream);
                    self.accepted += 1;
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(LOOK_EVERY),
                Err(error) => panic!("{error}"),
            }
        }
        false
    }

    /// Whether the other side is still there: it says nothing, so that whatever can be read is its end.
    fn is_open(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        open.set_nonblocking(true).unwrap();
        let there = matches!(open.read(&mut [0; 16]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        open.set_nonblocking(false).unwrap();
        if !there {
            self.open = None;
        }
        there
    }
}

//! A child process whose output is read as it comes, and that never outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Which of its outputs a line was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Out,
    Err,
}

type Lines = Arc<Mutex<Vec<(Said, String)>>>;

/// A running child process; killed when dropped.
pub struct Process {
    child: Child,
    lines: Lines,
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// What it said, in the order in which it came.
    pub lines: Vec<(Said, String)>,
}

impl Process {
    pub fn start(mut command: Command) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let lines = Lines::default();
        let readers = vec![
            read(Said::Out, child.stdout.take().unwrap(), lines.clone()),
            read(Said::Err, child.stderr.take().unwrap(), lines.clone()),
        ];
        Process { child, lines, readers }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn lines(&self) -> Vec<(Said, String)> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until it has said something that contains these words.
    pub fn until_said(&mut self, words: &str, within: Duration) {
        let end = Instant::now() + within;
        while !self.lines().iter().any(|(_, line)| line.contains(words)) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended ({status}) before it said {words:?}: {:#?}", self.lines());
            }
            assert!(Instant::now() < end, "it has not said {words:?} within {within:?}: {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it has ended, looked at for so long.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            std::thread::sleep(left.min(Duration::from_millis(1)));
        }
    }

    /// Waits for its end; one that has not ended by then hangs, which fails the test.
    pub fn wait(mut self, within: Duration) -> Ended {
        if !self.ends_within(within) {
            panic!("it hangs: not ended within {within:?}; it said {:#?}", self.lines());
        }
        self.ended()
    }

    /// SIGKILL.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.ended()
    }

    /// SIGKILL, without waiting for what it does.
    pub fn kill_and_go_on(&mut self) {
        self.child.kill().unwrap();
    }

    fn ended(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        Ended { status, lines }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already cannot be killed; both are fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(said: Said, from: impl Read + Send + 'static, lines: Lines) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
            lines.lock().unwrap().push((said, line));
        }
    })
}

impl Ended {
    fn said(&self, on: Said) -> Vec<&str> {
        self.lines.iter().filter(|(said, _)| *said == on).map(|(_, line)| line.as_str()).collect()
    }

    /// The lines on standard output.
    pub fn out(&self) -> Vec<&str> {
        self.said(Said::Out)
    }

    /// Standard error as one text.
    pub fn err(&self) -> String {
        self.said(Said::Err).join("\n")
    }

    /// It ended well.
    #[track_caller]
    pub fn succeeded(self) -> Ended {
        assert!(self.status.success(), "{}: {}", self.status, self.err());
        self.never_panicked()
    }

    /// It ended with an error that it reported itself: no panic, no signal.
    #[track_caller]
    pub fn failed(self) -> Ended {
        assert_eq!(self.status.code().map(|code| code != 0), Some(true), "{}: {}", self.status, self.err());
        self.never_panicked()
    }

    #[track_caller]
    pub fn never_panicked(self) -> Ended {
        let err = self.err();
        assert!(!err.contains("panicked") && !err.contains("this is a bug"), "{err}");
        self
    }

    /// Its last words contain all of these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Ended {
        let err = self.err();
        for word in words {
            assert!(err.contains(word), "it does not say {word:?}:\n{err}");
        }
        self
    }

    /// How many warnings it gave.
    pub fn warnings(&self) -> Vec<&str> {
        self.said(Said::Err).into_iter().filter(|line| line.contains(" WARN ")).collect()
    }
}

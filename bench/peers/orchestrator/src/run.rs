//! Starts a program and reads the line that it prints.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::arguments::Arguments;
use crate::build::Program;
use crate::row::Row;

/// How often it is looked whether the program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a row's program is started. `class` is what Java starts.
pub fn command(program: &Program, class: &str, row: &Row, arguments: &Arguments) -> Command {
    let mut command = match program {
        Program::Executable(path) => Command::new(path),
        Program::Classes(dir) => {
            let mut command = Command::new("java");
            command.arg(format!("@{}", dir.join("jvm.options").display()));
            command.args(row.collector.map(|collector| collector.switch()));
            command.arg(format!("-Xmx{}", arguments.heap)).arg("-cp").arg(format!(
                "{}:{}/*",
                dir.join("target/classes").display(),
                dir.join("target/lib").display()
            ));
            command.arg(class);
            command
        }
    };
    command.args(&row.arguments);
    command
}

/// The last line of what it prints, as JSON.
///
/// # Errors
/// It cannot be started, fails, takes too long, or prints no such line.
pub fn last_line(command: Command, timeout: Duration) -> Result<Value, String> {
    let out = printed(command, timeout)?;
    let line = out.lines().rfind(|line| !line.trim().is_empty()).ok_or("it printed nothing")?;
    serde_json::from_str(line).map_err(|error| format!("its line is no JSON ({error}): {line}"))
}

/// What it writes of its one query to the file that it is given.
///
/// # Errors
/// It cannot be started, fails, takes too long, or writes no such file.
pub fn query_in_file(mut command: Command, timeout: Duration) -> Result<Value, String> {
    let path = std::env::temp_dir().join(format!("millstream-peers-{}.json", std::process::id()));
    command.arg("--json").arg(&path);
    let printed = printed(command, timeout);
    let written = std::fs::read(&path);
    // Nobody reads it again.
    let _ = std::fs::remove_file(&path);
    printed?;
    let written = written.map_err(|error| format!("{}: {error}", path.display()))?;
    let all: Value =
        serde_json::from_slice(&written).map_err(|error| format!("its file is no JSON: {error}"))?;
    Ok(all["queries"][0].clone())
}

/// What it prints.
fn printed(mut command: Command, timeout: Duration) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", command.get_program().display()))?;
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let ended = wait(&mut child, timeout);
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    let status = ended?;
    match status.success() {
        true => Ok(out),
        false => Err(why(&err).unwrap_or_else(|| format!("it ended with {status} and did not say why"))),
    }
}

/// What a program that failed said: the first line that calls itself an error, Java's cause at the bottom of a trace, else the last line.
fn why(err: &str) -> Option<String> {
    let error = err.lines().find(|line| line.starts_with("error: "));
    let cause = || err.lines().rfind(|line| line.starts_with("Caused by: "));
    let last = || err.lines().rfind(|line| !line.trim().is_empty() && !line.starts_with("\tat "));
    error.or_else(cause).or_else(last).map(str::to_owned)
}

fn reader(from: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            // What was read before an error is all there is.
            let _ = from.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(child: &mut Child, timeout: Duration) -> Result<ExitStatus, String> {
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if begin.elapsed() < timeout => sleep(LOOK_EVERY),
            other => {
                // It may have ended just now.
                let _ = child.kill();
                let _ = child.wait();
                return match other {
                    Err(error) => Err(format!("it cannot be waited for: {error}")),
                    _ => Err(format!("it took longer than {} s", timeout.as_secs())),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_last_line_counts() {
        let line = last_line(shell("echo warming up; echo '{\"n\":1}'"), Duration::from_secs(60)).unwrap();
        assert_eq!(line["n"], 1);
    }

    #[test]
    fn a_file_has_the_query() {
        let script = "test $1 = --json && echo '{\"queries\":[{\"rows\":7}]}' > $2";
        let mut command = shell(script);
        command.arg("sh");
        assert_eq!(query_in_file(command, Duration::from_secs(60)).unwrap()["rows"], 7);
    }

    #[test]
    fn a_failure_says_why() {
        let error = last_line(shell("echo no such work >&2; exit 1"), Duration::from_secs(60)).unwrap_err();
        assert_eq!(error, "no such work");
        let usage = "echo 'error: no such work' >&2; echo 'For more, try --help' >&2; exit 2";
        assert_eq!(last_line(shell(usage), Duration::from_secs(60)).unwrap_err(), "error: no such work");
        let silent = last_line(shell("kill -9 $$"), Duration::from_secs(60)).unwrap_err();
        assert!(silent.contains("signal: 9"), "{silent}");
        let trace = "echo 'Exception' >&2; echo 'Caused by: disk full' >&2; printf '\\tat x\\n' >&2; exit 1";
        assert_eq!(last_line(shell(trace), Duration::from_secs(60)).unwrap_err(), "Caused by: disk full");
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let error = last_line(shell("exec sleep 60"), Duration::ZERO).unwrap_err();
        assert!(error.contains("longer"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = last_line(Command::new("/nowhere/program"), Duration::from_secs(1)).unwrap_err();
        assert!(error.starts_with("/nowhere/program"), "{error}");
    }
}

//! Builds what takes part. What cannot be built is absent, with the reason.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::arguments::{Arguments, System};

/// The programs of all systems that take part, or why there is none.
pub type Builds = HashMap<System, Result<Program, String>>;

/// What is started.
#[derive(Clone, Debug)]
pub enum Program {
    /// A program of its own.
    Executable(PathBuf),
    /// Classes for Java: the directory with what Maven built.
    Classes(PathBuf),
}

/// The repository.
pub fn root() -> PathBuf {
    // Built where it runs.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Builds all that are wanted.
pub fn all(arguments: &Arguments) -> Builds {
    let peers = root().join("bench/peers");
    let mut builds = Builds::new();
    let mut add = |system: System, build: &dyn Fn() -> Result<Program, String>| {
        if arguments.wants(system) {
            eprintln!("building {}", system.name());
            builds.insert(system, build());
        }
    };
    add(System::Millstream, &|| rust(&root(), "millstream-bench"));
    add(System::Plain, &|| rust(&peers, "peer-plain"));
    add(System::Timely, &|| rust(&peers, "peer-timely"));
    add(System::Renoir, &|| rust(&peers, "peer-renoir"));
    add(System::Flink, &|| flink(&peers.join("flink")));
    builds
}

/// A package of a workspace; Cargo says where the program is.
fn rust(workspace: &Path, package: &str) -> Result<Program, String> {
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--message-format=json-render-diagnostics", "-p", package]);
    command.current_dir(workspace).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo build -p {package} failed; it says above why"));
    }
    executable(&String::from_utf8_lossy(&output.stdout), package)
        .map(Program::Executable)
        .ok_or_else(|| format!("cargo built no program {package}"))
}

fn executable(messages: &str, package: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        (message["target"]["name"] == package).then(|| message["executable"].as_str().map(PathBuf::from))?
    })
}

/// The oldest Java that what is compiled runs on.
const JAVA_MIN: u32 = 17;

fn flink(dir: &Path) -> Result<Program, String> {
    let version = said("java", &["-version"])?;
    match java_major(&version) {
        Some(major) if major >= JAVA_MIN => {}
        _ => {
            return Err(format!(
                "needs Java {JAVA_MIN} or later; `java -version` says: {}",
                first_line(&version)
            ));
        }
    }
    said("javac", &["-version"])?;
    said("mvn", &["-version"])?;
    // Clean, so that no library of an older version is left.
    let mut command = Command::new("mvn");
    command.args(["--quiet", "--batch-mode", "clean", "package"]).current_dir(dir);
    let output = command.output().map_err(|error| format!("mvn cannot be started: {error}"))?;
    match output.status.success() {
        true => Ok(Program::Classes(dir.to_owned())),
        false => Err(format!("mvn package failed: {}", first_line(&String::from_utf8_lossy(&output.stdout)))),
    }
}

/// What a program that has to be there says of itself.
fn said(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("no {program} ({error}): install a JDK {JAVA_MIN} and Maven"))?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing")
}

/// 17 of `openjdk version "17.0.15" 2025-04-15`.
fn java_major(version: &str) -> Option<u32> {
    version.split('"').nth(1)?.split(['.', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_java_is_read() {
        assert_eq!(java_major("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(java_major("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(java_major("java version \"1.8.0_202\""), Some(1));
        assert_eq!(java_major("command not found"), None);
    }

    #[test]
    fn the_program_is_where_cargo_says() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"clap\"},\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"peer-plain\"},\"executable\":\"/t/peer-plain\"}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        assert_eq!(executable(messages, "peer-plain"), Some(PathBuf::from("/t/peer-plain")));
        assert_eq!(executable(messages, "peer-timely"), None);
    }
}

//! Where checkpoints are kept, by parameter.

use std::path::PathBuf;

use crate::job::JobError;
use crate::params::Params;

/// Flink's keys, the old one and the new one.
const KEYS: [&str; 2] = ["state.checkpoints.dir", "execution.checkpointing.dir"];

/// What the program says; else a directory of the job's name where the parameter says.
pub(in crate::job) fn settle(
    said: Option<PathBuf>,
    params: &Params,
    job: &str,
) -> Result<Option<PathBuf>, JobError> {
    let mut found = None;
    for key in KEYS {
        let wrong = |problem: String| JobError::Setting { setting: "state_dir", problem };
        let Some(dir) = params.get::<String>(key).map_err(|error| wrong(error.to_string()))? else {
            continue;
        };
        let path = local(&dir).ok_or_else(|| {
            wrong(format!("the parameter `{key}` is {dir}; checkpoints are kept on a local disk: give a path, or file:///path"))
        })?;
        found = found.or(Some(PathBuf::from(path).join(job)));
    }
    Ok(said.or(found))
}

/// The path that a URI of a local file stands for.
fn local(dir: &str) -> Option<&str> {
    match dir.split_once(':') {
        Some(("file", rest)) => Some(rest.strip_prefix("//").unwrap_or(rest)),
        Some((scheme, rest))
            if rest.starts_with("//") && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            None
        }
        _ => Some(dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_has_a_directory_of_its_name() {
        let settled = |said: Option<&str>, dir: &str| {
            let params = Params::from_args(["--state.checkpoints.dir", dir]).unwrap();
            settle(said.map(PathBuf::from), &params, "counts")
        };
        assert_eq!(settled(None, "/data/chk").unwrap(), Some("/data/chk/counts".into()));
        assert_eq!(settled(None, "file:///data/chk").unwrap(), Some("/data/chk/counts".into()));
        assert_eq!(settled(None, "file:/data/chk").unwrap(), Some("/data/chk/counts".into()));
        assert_eq!(settled(Some("/here"), "/data/chk").unwrap(), Some("/here".into()));
        let error = settled(None, "hdfs://name:9000/chk").unwrap_err().to_string();
        assert!(error.contains("local disk"), "{error}");
    }
}

//! Parameters of a program.

use std::sync::{Arc, Mutex};

use millstream::io::sequence;
use millstream::operator::{KeyedContext, KeyedProcess, States};
use millstream::params::{ParamError, Params};
use millstream::prelude::*;

#[test]
fn ut_01_a_required_parameter_that_is_missing() {
    let params = Params::from_args(["--port", "9001"]).unwrap().or_env("MILLSTREAM_PARITY_");
    let error = params.required::<String>("host").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the parameter `host` is missing: give it as --host, or MILLSTREAM_PARITY_HOST in the environment"
    );
}

#[test]
fn ut_01_arguments_files_and_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.properties");
    std::fs::write(&file, "host = from-the-file\nretries = 3\n").unwrap();
    let params =
        Params::from_args(["--host", "localhost", "--port", "9001"]).unwrap().or_file(&file).unwrap();
    assert_eq!(params.required("host"), Ok("localhost".to_owned()));
    assert_eq!(params.required("port"), Ok(9001));
    assert_eq!(params.get_or("retries", 0), Ok(3));
    assert_eq!(params.get_or("backlog", 50), Ok(50));
    let missing = Params::from_file(dir.path().join("none.properties")).unwrap_err();
    assert!(matches!(missing, ParamError::File { .. }), "{missing}");
}

/// Adds what the parameters say.
struct Adds {
    port: i64,
    opened: Arc<Mutex<Vec<i64>>>,
}

impl KeyedProcess<i64, i64> for Adds {
    type Out = i64;

    fn open(&mut self, states: &mut States<'_, i64>) {
        self.port = states.params().required("port").unwrap();
        self.opened.lock().unwrap().push(self.port);
    }

    fn process(&mut self, n: &View<i64>, context: &mut KeyedContext<'_, i64, i64>) {
        context.emit(n + self.port);
    }
}

#[test]
fn ut_02_functions_read_the_parameters_of_the_job() {
    let opened = Arc::new(Mutex::new(Vec::new()));
    let (seen, sums) = (opened.clone(), Arc::new(Mutex::new(Vec::new())));
    let out = sums.clone();
    let params = Params::from_args(["--port", "9001", "--last", "2"]).unwrap();
    Job::new("params")
        .shards(2)
        .oversubscribe(true)
        .params(params.clone())
        .run(move |flow| {
            let (opened, out) = (seen.clone(), out.clone());
            let last = flow.params().required("last").unwrap();
            flow.source("numbers", sequence(0..=last))
                .key_by(|n| *n)
                .process(Adds { port: 0, opened })
                .for_each(move |sum, _| out.lock().unwrap().push(*sum));
        })
        .unwrap();
    assert_eq!(*opened.lock().unwrap(), [9001, 9001]);
    let mut sums = sums.lock().unwrap().clone();
    sums.sort_unstable();
    assert_eq!(sums, [9001, 9002, 9003]);
    // Everything that was given has been asked for.
    assert_eq!(params.unasked(), Vec::<String>::new());
}

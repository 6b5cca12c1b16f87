use super::*;

fn args(args: &[&str]) -> Params {
    Params::from_args(args.iter().copied()).unwrap()
}

#[test]
fn every_way_to_write_an_argument() {
    let params = args(&[
        "--host",
        "localhost",
        "-port",
        "9001",
        "--mode=fast",
        "-Dstate.dir=/tmp/a=b",
        "-v",
        "--x",
        "-5",
    ]);
    let get = |name: &str| params.get::<String>(name).unwrap();
    assert_eq!(get("host").as_deref(), Some("localhost"));
    assert_eq!(params.required::<u16>("port"), Ok(9001));
    assert_eq!(get("mode").as_deref(), Some("fast"));
    assert_eq!(get("state.dir").as_deref(), Some("/tmp/a=b"));
    assert_eq!(params.get_or("v", false), Ok(true));
    assert_eq!(params.required::<i32>("x"), Ok(-5));
    assert_eq!(params.get::<i32>("y"), Ok(None));
    assert!(params.has("host") && !params.has("hosts"));
}

#[test]
fn what_is_no_parameter_is_named() {
    for (given, argument, number) in
        [(vec!["--a", "1", "2"], "2", 3), (vec!["input.txt"], "input.txt", 1), (vec!["--=5"], "--=5", 1)]
    {
        let error = Params::from_args(given).unwrap_err();
        assert_eq!(error, ParamError::Argument { argument: argument.to_owned(), number });
    }
}

#[test]
fn properties_are_read_as_java_reads_them() {
    let text = "# a comment\nhost = localhost\nport: 9001\nwords = one,\\\n  two\nname = M\u{fc}hle \\u00e9\n! another\nempty =\n";
    let params = Params::new().or_reader("app.properties", text.as_bytes()).unwrap();
    let get = |name: &str| params.required::<String>(name).unwrap();
    assert_eq!(
        (get("host"), get("port"), get("words")),
        ("localhost".into(), "9001".into(), "one,two".into())
    );
    assert_eq!((get("name"), get("empty")), ("M\u{fc}hle \u{e9}".into(), String::new()));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let error = Params::from_file("/nowhere/app.properties").unwrap_err().to_string();
    assert!(error.contains("/nowhere/app.properties"), "{error}");
    let error =
        Params::new().or_reader("bad.properties", "a = 1\nb = \\u00zz\n".as_bytes()).unwrap_err().to_string();
    assert!(error.contains("bad.properties") && error.contains('2'), "{error}");
}

#[test]
fn the_first_origin_decides() {
    let params =
        args(&["--port", "1"]).or_reader("app.properties", "port = 2\nhost = here\n".as_bytes()).unwrap();
    assert_eq!((params.required("port"), params.required("host")), (Ok(1), Ok("here".to_owned())));
    // Both are asked for, wherever they are given.
    assert_eq!(params.unasked(), Vec::<String>::new());
}

#[test]
fn the_environment_has_names_of_its_own() {
    // Cargo sets these for every test.
    let params = Params::from_env("CARGO_");
    assert_eq!(params.required::<String>("pkg-name").unwrap(), "millstream-engine");
    assert_eq!(params.required::<String>("pkg.name").unwrap(), "millstream-engine");
    let error = params.required::<String>("pkg.nama").unwrap_err().to_string();
    assert_eq!(
        error,
        "the parameter `pkg.nama` is missing: give it as CARGO_PKG_NAMA in the environment; there is CARGO_PKG_NAME in the environment"
    );
}

#[test]
fn errors_say_what_is_wrong_and_what_would_be_right() {
    let params =
        args(&["--prot", "9001"]).or_reader("app.properties", &b""[..]).unwrap().or_env("MILLSTREAM_TEST_");
    let error = params.required::<u16>("port").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the parameter `port` is missing: give it as --port, or `port` in app.properties, or MILLSTREAM_TEST_PORT in the environment; \
         there is --prot"
    );
    let error = Params::new().required::<u16>("port").unwrap_err();
    assert_eq!(error.to_string(), "the parameter `port` is missing: the program takes none");
    let error = args(&["--port", "many"]).required::<u16>("port").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the parameter --port has the value `many`, which is no u16: invalid digit found in string"
    );
}

#[test]
fn what_nobody_asks_for_is_told() {
    let params = args(&["--prot", "9001", "--host", "localhost"]);
    let copy = params.clone();
    assert_eq!(copy.get_or("port", 80), Ok(80));
    assert_eq!(copy.get_or("host", String::new()), Ok("localhost".to_owned()));
    assert_eq!(params.unasked(), ["nobody asks for the parameter --prot; did you mean --port?"]);
}

#[test]
fn secrets_are_not_printed() {
    let params = args(&["--db.password", "hunter2", "--user", "me"]);
    for text in [params.to_string(), format!("{params:?}")] {
        assert!(text.contains("me") && text.contains("******") && !text.contains("hunter2"), "{text}");
    }
    let error = params.required::<u32>("db.password").unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

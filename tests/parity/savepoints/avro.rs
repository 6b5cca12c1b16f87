//! A type that Avro encodes, in two builds.

use millstream::io::avro::{Avro, AvroType};
use millstream::prelude::*;
use millstream::record::{Coded, RecordBuf};
use tempfile::TempDir;

use super::{job, wait_for};
use crate::ways::{Once, Paused};

trait Visits: AvroType {
    fn after(before: Option<Self>, at: i32) -> Self;
    fn show(&self) -> String;
}

mod v1 {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Visits {
        pub id: i32,
        pub count: i32,
        pub note: String,
    }
}

mod v2 {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Visits {
        pub id: i64,
        pub count: i64,
        pub last: Option<i64>,
        pub weight: f64,
    }
}

const FIRST: &str = r#"{"type": "record", "name": "Visits", "fields": [
    {"name": "id", "type": "int"}, {"name": "count", "type": "int"}, {"name": "note", "type": "string"}
]}"#;
/// One field is new and has a default, one may be missing, one is gone, and two are wider.
const SECOND: &str = r#"{"type": "record", "name": "Visits", "fields": [
    {"name": "id", "type": "long"},
    {"name": "count", "type": "long"},
    {"name": "last", "type": ["null", "long"], "default": null},
    {"name": "weight", "type": "double", "default": 0.5}
]}"#;
/// A field that is new and has no default.
const WRONG: &str = r#"{"type": "record", "name": "Visits", "fields": [
    {"name": "id", "type": "int"}, {"name": "count", "type": "int"}, {"name": "note", "type": "string"},
    {"name": "owner", "type": "string"}
]}"#;

impl AvroType for v1::Visits {
    const NAME: &'static str = "Visits";
    const SCHEMAS: &'static [&'static str] = &[FIRST];
}

impl Visits for v1::Visits {
    fn after(before: Option<Self>, at: i32) -> Self {
        let count = before.map_or(0, |before| before.count) + 1;
        v1::Visits { id: at, count, note: "first".to_owned() }
    }

    fn show(&self) -> String {
        format!("{} {} {}", self.id, self.count, self.note)
    }
}

impl AvroType for v2::Visits {
    const NAME: &'static str = "Visits";
    const SCHEMAS: &'static [&'static str] = &[FIRST, SECOND];
}

impl Visits for v2::Visits {
    fn after(before: Option<Self>, at: i32) -> Self {
        let (count, last, weight) = match before {
            Some(before) => (before.count, Some(before.id), before.weight),
            None => (0, None, 1.0),
        };
        v2::Visits { id: i64::from(at), count: count + 1, last, weight }
    }

    fn show(&self) -> String {
        format!("{} {} {:?} {}", self.id, self.count, self.last, self.weight)
    }
}

fn visits<V: Visits>(
    times: &[i32],
    waits: bool,
    sink: &Once<String>,
) -> impl Fn(&Flow) + Clone + Send + Sync + 'static {
    let records = vec![times.iter().map(|at| (*at, Timestamp::MIN)).collect::<Vec<_>>()];
    let sink = sink.clone();
    move |flow| {
        let source = if waits { Paused::endless(records.clone()) } else { Paused::of(records.clone()) };
        flow.source("times", source)
            .key_by(|_| 7u8)
            .map_with_state(|at, before: Option<Coded<Avro<V>>>| {
                let visits = V::after(before.map(|before| before.0.0), *at);
                (visits.show(), Some(Coded(Avro(visits))))
            })
            .name("visits")
            .sink("shown", sink.clone());
    }
}

#[test]
fn sv_08_avro_types_change_by_avros_rules() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("state");
    let first = Once::new();
    let running = job(1).state_dir(&state).spawn(visits::<v1::Visits>(&[3], true, &first)).unwrap();
    wait_for(&running, 1);
    let savepoint = running.stop_with_savepoint(None, false).unwrap();
    running.wait().unwrap();
    for job in [job(2).from_savepoint(savepoint), job(1).state_dir(&state)] {
        let sink = Once::new();
        job.run(visits::<v2::Visits>(&[3, 5], false, &sink)).unwrap();
        // Where the first record was on its way when the job stopped, the second build has made the state.
        let shown = sink.results();
        let by_the_first = shown == ["5 2 Some(3) 0.5"];
        assert!(by_the_first || shown == ["3 1 None 1", "5 2 Some(3) 1"], "{shown:?}");
        assert!(by_the_first || first.results().is_empty(), "the state is that of the first build");
    }
}

#[test]
fn sv_08_what_avro_cannot_resolve_is_told() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Owned {
        id: i32,
        count: i32,
        note: String,
        owner: String,
    }
    impl AvroType for Owned {
        const NAME: &'static str = "Visits";
        const SCHEMAS: &'static [&'static str] = &[FIRST, WRONG];
    }
    let mut then = RecordBuf::new();
    Coded(Avro(v1::Visits { id: 1, count: 2, note: String::new() })).encode(&mut then);
    let refused = |bytes: &[u8]| match Coded::<Avro<Owned>>::view(bytes) {
        Ok(_) => panic!("it was read"),
        Err(error) => error.reason,
    };
    let missing = refused(&then);
    assert!(missing.starts_with("schema 1 of `Visits`: ") && missing.contains("owner"), "{missing}");
    let mut longer = then.to_vec();
    longer.push(0);
    assert_eq!(
        Coded::<Avro<v1::Visits>>::view(&longer).err().unwrap().reason,
        "schema 1 of `Visits`: 1 bytes too many"
    );
    let mut later = then.to_vec();
    later[0] = 9;
    assert_eq!(refused(&later), "it was written by schema 9 of `Visits`, and this program knows 2");
}

//! Types that change between two builds of a program. Each build is a module here.

use millstream::operator::{KeyedContext, KeyedProcess, ListState, MapState, States, ValueState};
use millstream::prelude::*;
use millstream::record::{Codec, Coded};
use millstream::savepoint::{Savepoint, Verdict};
use millstream::schema::{Change, Value};
use tempfile::TempDir;

use super::{job, wait_for};
use crate::ways::{Once, Paused};

/// What a build keeps per key.
trait Visits: Record + Default + Clone {
    fn visit(&mut self, at: u64);
    fn show(&self) -> String;
}

mod v1 {
    use millstream::prelude::*;

    #[derive(Record, Clone, Debug, Default, PartialEq)]
    pub struct Visits {
        pub id: u32,
        pub count: u32,
        pub kind: Kind,
    }

    #[derive(Record, Clone, Copy, Debug, Default, PartialEq)]
    pub enum Kind {
        #[default]
        Fresh,
        Old,
    }

    impl super::Visits for Visits {
        fn visit(&mut self, at: u64) {
            self.id = at as u32;
            self.count += 1;
            self.kind = if self.count > 1 { Kind::Old } else { Kind::Fresh };
        }

        fn show(&self) -> String {
            format!("{self:?}")
        }
    }
}

mod v2 {
    use millstream::prelude::*;

    #[derive(Record, Clone, Debug, Default, PartialEq)]
    pub struct Visits {
        /// New, and by itself `None`.
        pub last: Option<u64>,
        /// New.
        #[record(default = 7)]
        pub weight: u32,
        /// It was an `u32`, called `count`.
        #[record(was = "count")]
        pub visits: u64,
        /// It was one without `Option`.
        pub kind: Option<Kind>,
    }

    #[derive(Record, Clone, Copy, Debug, Default, PartialEq)]
    pub enum Kind {
        Never,
        #[default]
        Fresh,
        #[record(was = "Old")]
        Known,
    }

    impl super::Visits for Visits {
        fn visit(&mut self, at: u64) {
            self.last = Some(at);
            self.visits += 1;
        }

        fn show(&self) -> String {
            format!("{self:?}")
        }
    }
}

mod v3 {
    use millstream::prelude::*;

    /// The count has become a text.
    #[derive(Record, Clone, Debug, Default, PartialEq)]
    pub struct Visits {
        pub count: String,
    }

    impl super::Visits for Visits {
        fn visit(&mut self, _: u64) {
            self.count.push('!');
        }

        fn show(&self) -> String {
            format!("{self:?}")
        }
    }
}

type Shown = Once<(u64, String)>;

/// Keeps visits per key, in a value, a list and a map.
struct Keeps<V> {
    value: ValueState<V>,
    list: ListState<V>,
    map: MapState<u64, V>,
}

impl<V: Visits> Keeps<V> {
    fn new() -> Self {
        Keeps { value: ValueState::default(), list: ListState::default(), map: MapState::default() }
    }
}

impl<V: Visits> KeyedProcess<(u64, u64), u64> for Keeps<V> {
    type Out = (u64, String);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.value = states.value("value");
        self.list = states.list("list");
        self.map = states.map("map");
    }

    fn process(&mut self, record: &View<(u64, u64)>, ctx: &mut KeyedContext<'_, u64, Self::Out>) {
        let (key, at) = <(u64, u64)>::owned(record);
        let shown = (
            ctx.get(&self.value).map(|visits| visits.show()),
            ctx.list(&self.list).to_vec().iter().map(V::show).collect::<Vec<_>>(),
            ctx.map(&self.map).get(&key).map(|visits| visits.show()),
        );
        let mut visits = ctx.get(&self.value).unwrap_or_default();
        visits.visit(at);
        ctx.list(&self.list).add(&visits);
        ctx.map(&self.map).put(&key, &visits);
        ctx.set(&self.value, visits);
        ctx.emit((key, format!("{shown:?}")));
    }
}

fn program<V: Visits>(
    records: Vec<(u64, u64)>,
    waits: bool,
    sink: Shown,
) -> impl Fn(&Flow) + Clone + Send + Sync + 'static {
    move |flow| {
        let records = vec![records.iter().map(|record| (*record, Timestamp::MIN)).collect()];
        let source = if waits { Paused::endless(records) } else { Paused::of(records) };
        flow.source("visits", source)
            .key_by(|visit| visit.0)
            .process(Keeps::<V>::new())
            .name("keeps")
            .sink("shown", sink.clone());
    }
}

/// A savepoint of the first build, which has seen the key 5 twice.
fn first() -> (TempDir, std::path::PathBuf) {
    let dir = TempDir::new().unwrap();
    let records = vec![(5, 100), (5, 200)];
    let running =
        job(1).state_dir(dir.path()).spawn(program::<v1::Visits>(records, true, Shown::new())).unwrap();
    wait_for(&running, 2);
    let savepoint = running.stop_with_savepoint(None, false).unwrap();
    running.wait().unwrap();
    (dir, savepoint)
}

/// What a build shows of the key 5 when it goes on.
fn goes_on<V: Visits>(job: Job) -> Result<String, JobError> {
    let sink = Shown::new();
    job.run(program::<V>(vec![(5, 100), (5, 200), (5, 300)], false, sink.clone()))?;
    let shown = sink.results().pop().expect("one record is new");
    Ok(shown.1)
}

#[test]
fn sv_07_fields_come_go_are_renamed_and_get_wider() {
    let (_dir, savepoint) = first();
    let shown = goes_on::<v2::Visits>(job(2).from_savepoint(&savepoint)).unwrap();
    let visits =
        |visits: u64, kind| format!("{:?}", v2::Visits { last: None, weight: 7, visits, kind: Some(kind) });
    let (once, twice) = (visits(1, v2::Kind::Fresh), visits(2, v2::Kind::Known));
    assert_eq!(shown, format!("{:?}", (Some(&twice), [&once, &twice], Some(&twice))));

    let check = job(1).restore_check(&savepoint, program::<v2::Visits>(vec![], false, Shown::new())).unwrap();
    let Some(Verdict::Migrated(changes)) = check.of_operator("keeps").map(|check| &check.verdict) else {
        panic!("{check}");
    };
    assert!(changes.contains(&Change::Removed { field: "id".to_owned() }), "{check}");
    assert!(changes.contains(&Change::Added { field: "last".to_owned() }), "{check}");
    assert!(
        changes.contains(&Change::Renamed { then: "count".to_owned(), now: "visits".to_owned() }),
        "{check}"
    );
}

#[test]
fn sv_07_another_type_is_refused_by_name_unless_there_is_a_migration() {
    let (_dir, savepoint) = first();
    let refused = goes_on::<v3::Visits>(job(1).from_savepoint(&savepoint)).unwrap_err().to_string();
    for part in ["`keeps`", "`value`", "`count`", "`u32`", "`String`", "Job::migrate"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let check = job(1).restore_check(&savepoint, program::<v3::Visits>(vec![], false, Shown::new())).unwrap();
    assert!(
        matches!(check.of_operator("keeps").map(|check| &check.verdict), Some(Verdict::Refused(_))),
        "{check}"
    );

    let to_text = |mut then: Value| {
        let count = then.take("count").ok_or("there is no count")?;
        then.set("count", count.to_string());
        Ok(then)
    };
    let migrating = |savepoint| {
        let states = ["value", "list", "map"].into_iter();
        states.fold(job(1).from_savepoint(savepoint), |job, state| job.migrate("keeps", state, to_text))
    };
    let shown = goes_on::<v3::Visits>(migrating(&savepoint)).unwrap();
    let visits = |count: &str| format!("{:?}", v3::Visits { count: count.to_owned() });
    let (once, twice) = (visits("1"), visits("2"));
    assert_eq!(shown, format!("{:?}", (Some(&twice), [&once, &twice], Some(&twice))));

    let fails = migrating(&savepoint).migrate("keeps", "value", |_| Err("never".to_owned()));
    let refused = goes_on::<v3::Visits>(fails).unwrap_err().to_string();
    assert!(refused.contains("key 5") && refused.contains("never"), "{refused}");
}

#[test]
fn sv_07_a_missing_value_is_told_from_one_that_may_not_be_missing() {
    #[derive(Record, Clone)]
    struct Then {
        last: Option<u64>,
    }
    #[derive(Record, Clone, Debug, PartialEq)]
    struct Now {
        last: u64,
    }
    let changes = Then::schema().changes_to(&Now::schema()).unwrap();
    assert!(matches!(&changes[..], [Change::Required { .. }]), "{changes:?}");
    let there: Now = Value::of(&Then { last: Some(7) }).into_record().unwrap();
    assert_eq!(there, Now { last: 7 });
    let missing = Value::of(&Then { last: None }).into_record::<Now>().unwrap_err();
    assert_eq!(missing.path, "last");
}

/// Two builds of an encoding of the program's own: the first one wrote Fahrenheit.
#[derive(Clone, Debug, PartialEq)]
struct Degrees<const VERSION: u32>(f64);

impl<const VERSION: u32> Codec for Degrees<VERSION> {
    const NAME: &'static str = "Degrees";
    const VERSION: u32 = VERSION;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn decode(version: u32, bytes: &[u8]) -> Result<Self, String> {
        let number = f64::from_le_bytes(bytes.try_into().map_err(|_| "not eight bytes".to_owned())?);
        Ok(Degrees(if version < VERSION { (number - 32.0) / 1.8 } else { number }))
    }
}

/// Remembers the number of each key, and shows the one before.
fn degrees<const VERSION: u32>(
    numbers: &[f64],
    waits: bool,
    sink: &Once<f64>,
) -> impl Fn(&Flow) + Clone + Send + Sync + 'static {
    let records = vec![numbers.iter().map(|number| (*number, Timestamp::MIN)).collect::<Vec<_>>()];
    let sink = sink.clone();
    move |flow| {
        let source = if waits { Paused::endless(records.clone()) } else { Paused::of(records.clone()) };
        flow.source("numbers", source)
            .key_by(|_| 7u8)
            .map_with_state(|number, last: Option<Coded<Degrees<VERSION>>>| {
                let before = last.map_or(f64::MIN, |last| last.0.0);
                (before, Some(Coded(Degrees(*number))))
            })
            .name("remembers")
            .sink("shown", sink.clone());
    }
}

#[test]
fn sv_09_an_encoding_of_the_programs_own_reads_what_an_earlier_version_wrote() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("state");
    let running = job(1).state_dir(&state).spawn(degrees::<1>(&[68.0], true, &Once::new())).unwrap();
    wait_for(&running, 1);
    let savepoint = running.stop_with_savepoint(None, false).unwrap();
    running.wait().unwrap();
    for job in [job(2).from_savepoint(savepoint), job(1).state_dir(&state)] {
        let sink = Once::new();
        job.run(degrees::<2>(&[68.0, 25.0], false, &sink)).unwrap();
        // Where the first record was on its way when the job stopped, it is remembered by the second version.
        let shown = sink.results();
        assert!(shown == [20.0] || shown == [f64::MIN, 68.0], "{shown:?}");
    }
}

#[test]
fn sv_10_the_type_of_a_key_cannot_change() {
    let (_dir, savepoint) = first();
    let sink = Once::<(String, u64)>::new();
    let refused = job(1)
        .from_savepoint(&savepoint)
        .run(move |flow| {
            let records = vec![vec![((5u64, 300u64), Timestamp::MIN)]];
            flow.source("visits", Paused::of(records))
                .key_by(|visit| visit.0.to_string())
                .flat_map_with_value(
                    "value",
                    |key, _, value: &mut millstream::operator::Value<v1::Visits>, out| {
                        let count = value.get().map_or(0, |visits| u64::from(visits.count));
                        out.emit((key.clone(), count));
                    },
                )
                .name("keeps")
                .sink("shown", sink.clone());
        })
        .unwrap_err()
        .to_string();
    for part in ["`keeps`", "`value`", "`u64`", "`String`", "key"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert_eq!(
        Savepoint::open(savepoint).unwrap().state("keeps", "value").unwrap().key.key.to_string(),
        "u64"
    );
}

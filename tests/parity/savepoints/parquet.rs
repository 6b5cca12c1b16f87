//! States through files of Parquet.

use millstream::io::parquet::{self, ParquetError};
use millstream::savepoint::Savepoint;

use super::kinds::savepoint_of_every_kind;
use super::savepoint_of;
use super::tools::{differences, exported};

#[test]
fn sv_11_every_kind_of_state_goes_to_parquet_and_what_can_be_changed_comes_back() {
    let (dir, savepoint) = savepoint_of_every_kind();
    let mut edit = savepoint.edit();
    let mut back = Vec::new();
    for info in savepoint.states() {
        let (operator, state) = (&*info.operator, &*info.state);
        let file = dir.path().join("state.parquet");
        assert_eq!(parquet::export(&savepoint, operator, state, &file).unwrap(), info.entries);
        if edit.state(operator, state).is_ok() {
            edit.clear(operator, state).unwrap();
            assert_eq!(parquet::import(&mut edit, operator, state, &file).unwrap(), info.entries);
            back.push(info.state);
        }
    }
    assert!(
        ["last", "sum", "seen", "short"].iter().all(|state| back.iter().any(|of| of == state)),
        "{back:?}"
    );
    let again = Savepoint::open(edit.write(dir.path()).unwrap()).unwrap();
    assert_eq!(differences(&savepoint, &again), [""; 0]);
}

#[test]
fn sv_11_a_state_is_mended_by_a_file_of_another() {
    let (dir, one) = savepoint_of(&["a", "a", "b"], 2);
    let (_other_dir, other) = savepoint_of(&["a", "c", "c", "d"], 1);
    let (one, other) = (Savepoint::open(one).unwrap(), Savepoint::open(other).unwrap());
    let file = dir.path().join("counts.parquet");
    parquet::export(&other, "count", "value", &file).unwrap();
    let mut edit = one.edit();
    edit.clear("count", "value").unwrap();
    parquet::import(&mut edit, "count", "value", &file).unwrap();
    let mended = Savepoint::open(edit.write(dir.path()).unwrap()).unwrap();
    assert_eq!(exported(&mended), exported(&other));
    assert_eq!(mended.shards(), 2);

    let unknown = parquet::import(&mut one.edit(), "count", "sum", &file).unwrap_err();
    assert!(matches!(unknown, ParquetError::Savepoint(_)), "{unknown}");
    let nowhere = parquet::export(&one, "count", "value", dir.path().join("no/where.parquet")).unwrap_err();
    assert!(matches!(nowhere, ParquetError::Open { .. }), "{nowhere}");
}

//! Values through files of Parquet, and files that other programs made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::schema::printer::print_schema;
use arrow_array::types::Int64Type;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal256Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray,
};
use arrow_buffer::i256;
use millstream_engine::Record;
use millstream_engine::schema::Value;
use proptest::prelude::*;

use super::column::{Column, Kind};
use super::error::ParquetError;
use super::reader;
use super::writer::Rows;

#[derive(Record, Clone, Debug, PartialEq)]
enum Tree {
    Leaf,
    Node { left: Box<Tree>, right: Option<Box<Tree>>, name: String },
    Pair(i8, u128),
}

#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Side {
    Buy = 3,
    Sell = 9,
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Nothing;

#[derive(Record, Clone, Debug, PartialEq)]
struct Everything {
    tree: Tree,
    side: Side,
    unit: (),
    nothing: Option<Nothing>,
    yes: bool,
    letter: char,
    text: String,
    small: (i8, i16, u8, u16, u32),
    large: (i32, i64, u64, i128, u128),
    floats: (f32, f64),
    bytes: Vec<u8>,
    four: [u8; 4],
    three: [u16; 3],
    lists: Vec<Option<Vec<()>>>,
    set: BTreeSet<i16>,
    map: BTreeMap<String, Vec<u8>>,
    maybe_keys: BTreeMap<Option<u8>, Option<bool>>,
    nested: Option<Option<Option<u16>>>,
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf =
        prop_oneof![Just(Tree::Leaf), (any::<i8>(), any::<u128>()).prop_map(|(a, b)| Tree::Pair(a, b))];
    leaf.prop_recursive(4, 16, 2, |inner| {
        (inner.clone(), prop::option::of(inner), any::<String>()).prop_map(|(left, right, name)| Tree::Node {
            left: Box::new(left),
            right: right.map(Box::new),
            name,
        })
    })
}

fn floats() -> impl Strategy<Value = (f32, f64)> {
    let of = |floats: &[f64]| prop::sample::select(floats.to_vec());
    let odd = of(&[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE]);
    (-1e9f32..1e9, prop_oneof![-1e300f64..1e300, odd])
}

prop_compose! {
    fn everything()(
        tree in tree(),
        (side, nothing) in (prop_oneof![Just(Side::Buy), Just(Side::Sell)], any::<bool>()),
        (yes, letter, text) in any::<(bool, char, String)>(),
        (small, large) in any::<((i8, i16, u8, u16, u32), (i32, i64, u64, i128, u128))>(),
        floats in floats(),
        (bytes, four, three) in any::<(Vec<u8>, [u8; 4], [u16; 3])>(),
        lists in prop::collection::vec(prop::option::of(prop::collection::vec(Just(()), 0..4)), 0..4),
        set in any::<BTreeSet<i16>>(),
        map in any::<BTreeMap<String, Vec<u8>>>(),
        maybe_keys in any::<BTreeMap<Option<u8>, Option<bool>>>(),
        nested in any::<Option<Option<Option<u16>>>>(),
    ) -> Everything {
        let nothing = nothing.then_some(Nothing);
        Everything {
            tree, side, unit: (), nothing, yes, letter, text, small, large, floats, bytes, four, three, lists, set, map, maybe_keys, nested,
        }
    }
}

/// Rows with one column for records of a type.
fn columns<T: Record>() -> Column {
    let value = Column::of(&T::schema()).unwrap();
    Column { wanted: "a row".to_owned(), kind: Kind::Struct(vec![("value".into(), value)]) }
}

fn write<T: Record>(path: &Path, records: &[T]) {
    let mut rows = Rows::create(path, columns::<T>()).unwrap();
    for record in records {
        rows.add(Value::Struct(vec![("value".into(), Value::of(record))])).unwrap();
    }
    assert_eq!(rows.finish().unwrap(), records.len() as u64);
}

fn read<T: Record>(path: &Path) -> Result<Vec<T>, ParquetError> {
    let mut records = Vec::new();
    let count = reader::rows(path, &columns::<T>(), |number, mut row| {
        records.push(row.take("value").unwrap().into_record::<T>().unwrap());
        assert_eq!(number, records.len() as u64);
        Ok(())
    })?;
    assert_eq!(count, records.len() as u64);
    Ok(records)
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("values.parquet");
    (dir, path)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_come_back_as_they_were(records in prop::collection::vec(everything(), 0..8)) {
        let (_dir, path) = file();
        write(&path, &records);
        prop_assert_eq!(read::<Everything>(&path).unwrap(), records);
    }
}

#[test]
fn there_may_be_more_rows_than_in_a_batch_and_larger_ones() {
    let (_dir, path) = file();
    let many: Vec<(u64, String)> = (0..20_000).map(|n| (n, format!("{n:0>100}"))).collect();
    write(&path, &many);
    assert!(read::<(u64, String)>(&path).unwrap() == many);
    let large: Vec<Vec<u64>> = (0..5).map(|n| vec![n; 1_000_000]).collect();
    write(&path, &large);
    assert!(read::<Vec<u64>>(&path).unwrap() == large);
}

/// What the table at the beginning of the module says.
#[test]
fn types_lie_in_columns_as_the_table_says() {
    let (_dir, path) = file();
    write::<Everything>(&path, &[]);
    let file = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let mut said = Vec::new();
    print_schema(&mut said, file.metadata().file_metadata().schema());
    assert_eq!(String::from_utf8(said).unwrap().trim(), EVERYTHING.trim());
}

const EVERYTHING: &str = "
message arrow_schema {
  REQUIRED group value {
    REQUIRED group tree {
      REQUIRED BYTE_ARRAY variant (STRING);
      OPTIONAL group Node {
        REQUIRED BYTE_ARRAY left (STRING);
        OPTIONAL BYTE_ARRAY right (STRING);
        REQUIRED BYTE_ARRAY name (STRING);
      }
      OPTIONAL group Pair {
        REQUIRED INT32 0 (INTEGER(8,true));
        REQUIRED FIXED_LEN_BYTE_ARRAY (17) 1 (DECIMAL(39,0));
      }
    }
    REQUIRED BYTE_ARRAY side (STRING);
    REQUIRED BOOLEAN unit;
    OPTIONAL BOOLEAN nothing;
    REQUIRED BOOLEAN yes;
    REQUIRED BYTE_ARRAY letter (STRING);
    REQUIRED BYTE_ARRAY text (STRING);
    REQUIRED group small {
      REQUIRED INT32 0 (INTEGER(8,true));
      REQUIRED INT32 1 (INTEGER(16,true));
      REQUIRED INT32 2 (INTEGER(8,false));
      REQUIRED INT32 3 (INTEGER(16,false));
      REQUIRED INT32 4 (INTEGER(32,false));
    }
    REQUIRED group large {
      REQUIRED INT32 0;
      REQUIRED INT64 1;
      REQUIRED INT64 2 (INTEGER(64,false));
      REQUIRED FIXED_LEN_BYTE_ARRAY (17) 3 (DECIMAL(39,0));
      REQUIRED FIXED_LEN_BYTE_ARRAY (17) 4 (DECIMAL(39,0));
    }
    REQUIRED group floats {
      REQUIRED FLOAT 0;
      REQUIRED DOUBLE 1;
    }
    REQUIRED BYTE_ARRAY bytes;
    REQUIRED BYTE_ARRAY four;
    REQUIRED group three (LIST) {
      REPEATED group list {
        REQUIRED INT32 element (INTEGER(16,false));
      }
    }
    REQUIRED group lists (LIST) {
      REPEATED group list {
        OPTIONAL group element (LIST) {
          REPEATED group list {
            REQUIRED BOOLEAN element;
          }
        }
      }
    }
    REQUIRED group set (LIST) {
      REPEATED group list {
        REQUIRED INT32 element (INTEGER(16,true));
      }
    }
    REQUIRED group map (MAP) {
      REPEATED group key_value {
        REQUIRED BYTE_ARRAY key (STRING);
        REQUIRED BYTE_ARRAY value;
      }
    }
    REQUIRED group maybe_keys (MAP) {
      REPEATED group key_value {
        REQUIRED group key {
          OPTIONAL INT32 some (INTEGER(8,false));
        }
        OPTIONAL BOOLEAN value;
      }
    }
    OPTIONAL group nested {
      OPTIONAL group some {
        OPTIONAL INT32 some (INTEGER(16,false));
      }
    }
  }
}
";

/// A file with this column.
fn foreign(path: &Path, name: &str, array: impl arrow_array::Array + 'static) {
    let batch = RecordBatch::try_from_iter([(name, Arc::new(array) as ArrayRef)]).unwrap();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn what_other_programs_write_is_read() {
    let (_dir, path) = file();
    foreign(&path, "value", Int64Array::from(vec![0, 255]));
    assert_eq!(read::<u8>(&path).unwrap(), [0, 255]);
    assert_eq!(read::<u128>(&path).unwrap(), [0, 255]);
    assert_eq!(read::<Option<i16>>(&path).unwrap(), [Some(0), Some(255)]);
    foreign(&path, "value", Int64Array::from(vec![Some(7), None]));
    assert_eq!(read::<Option<u32>>(&path).unwrap(), [Some(7), None]);
    foreign(&path, "value", Float64Array::from(vec![1.5]));
    assert_eq!(read::<f32>(&path).unwrap(), [1.5]);
    // Any order of fields; one that may be missing is missing.
    let fields: Vec<(&str, ArrayRef)> =
        vec![("1", Arc::new(StringArray::from(vec!["b"]))), ("0", Arc::new(Int64Array::from(vec![1])))];
    foreign(&path, "value", StructArray::try_from(fields).unwrap());
    assert_eq!(read::<(u8, String, Option<bool>)>(&path).unwrap(), [(1, "b".to_owned(), None)]);
}

#[test]
fn what_does_not_fit_is_named_with_column_and_row() {
    let (_dir, path) = file();
    let named = |error: ParquetError| match error {
        ParquetError::Value { row, column, problem, .. } => format!("{row} {column}: {problem}"),
        ParquetError::Column { column, problem, .. } => format!("{column}: {problem}"),
        other => panic!("{other}"),
    };
    foreign(&path, "value", Int64Array::from(vec![Some(0), Some(256), None]));
    assert_eq!(named(read::<u8>(&path).unwrap_err()), "2 value: the number 256 where a u8 is wanted");
    assert_eq!(named(read::<i64>(&path).unwrap_err()), "3 value: null where a i64 is wanted");
    assert_eq!(
        named(read::<String>(&path).unwrap_err()),
        "value: Int64 where a String is wanted, which lies as Utf8"
    );
    foreign(&path, "values", BooleanArray::from(vec![true]));
    assert_eq!(named(read::<bool>(&path).unwrap_err()), "values: the type has no such field");
    foreign(&path, "value", StringArray::from(vec!["Buy", "Lend", "xy"]));
    assert_eq!(
        named(read::<Side>(&path).unwrap_err()),
        "2 value: \"Lend\" where the name of a variant of a Side is wanted"
    );
    assert_eq!(named(read::<char>(&path).unwrap_err()), "1 value: \"Buy\" where a char is wanted");
    let fields: Vec<(&str, ArrayRef)> = vec![("0", Arc::new(Int64Array::from(vec![1])))];
    foreign(&path, "value", StructArray::try_from(fields).unwrap());
    assert_eq!(
        named(read::<(u8, String)>(&path).unwrap_err()),
        "value.1: it is missing, and a String is wanted"
    );
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), Some(2), Some(3)]),
        Some(vec![Some(1)]),
    ]);
    foreign(&path, "value", lists);
    assert_eq!(named(read::<[u16; 3]>(&path).unwrap_err()), "2 value: 1 items where a [u16; 3] is wanted");
    let huge = Decimal256Array::from(vec![i256::from_parts(0, 1)]).with_precision_and_scale(39, 0).unwrap();
    foreign(&path, "value", huge);
    let too_large = named(read::<u128>(&path).unwrap_err());
    assert!(too_large.ends_with("where a number of 128 bits is wanted"), "{too_large}");
}

#[test]
fn variants_are_named_and_have_their_fields() {
    let (_dir, path) = file();
    let tree = |variant: &'static str, pair: Option<ArrayRef>| {
        let mut fields: Vec<(&str, ArrayRef)> = vec![("variant", Arc::new(StringArray::from(vec![variant])))];
        fields.extend(pair.map(|pair| ("Pair", pair)));
        StructArray::try_from(fields).unwrap()
    };
    foreign(&path, "value", tree("Leaf", None));
    let missing = read::<Tree>(&path).unwrap_err().to_string();
    assert!(missing.contains("column `value.Node`: it is missing"), "{missing}");
    write(&path, &[Tree::Pair(1, 2)]);
    assert_eq!(read::<Tree>(&path).unwrap(), [Tree::Pair(1, 2)]);
    let nothing = Arc::new(StringArray::from(vec!["none"]));
    foreign(&path, "value", tree("Pair", Some(nothing)));
    let other = read::<Tree>(&path).unwrap_err().to_string();
    assert!(other.contains("column `value.") && other.contains("the columns of a state"), "{other}");
}

#[test]
fn files_that_are_none_of_parquet_are_named() {
    let (_dir, path) = file();
    let missing = read::<u8>(&path).unwrap_err();
    assert!(matches!(missing, ParquetError::Open { .. }) && missing.to_string().contains("values.parquet"));
    std::fs::write(&path, "{\"key\": 1}").unwrap();
    let other = read::<u8>(&path).unwrap_err();
    assert!(
        matches!(other, ParquetError::File { .. }) && other.to_string().contains("values.parquet"),
        "{other}"
    );
}

//! Types and values: round trips through every form that they have.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::{Schema, Value};
use crate::element::KeyHash;
use crate::key::{HashSeed, Key, KeyPart, Sub};
use crate::record::{Record, RecordBuf};

#[derive(Record, Clone, Debug, PartialEq)]
enum Tree {
    Leaf,
    Node { left: Box<Tree>, right: Option<Box<Tree>>, name: String },
    Pair(i8, u128),
}

#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Plain {
    a: i64,
    b: [u8; 4],
    c: f32,
}

#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Side {
    Buy = 3,
    Sell = 9,
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Everything {
    tree: Tree,
    plain: Plain,
    side: Side,
    nothing: (),
    many: Vec<()>,
    text: String,
    letter: char,
    yes: bool,
    nested: Option<Option<u16>>,
    tuple: (u32, String, i128),
    map: BTreeMap<String, Vec<u8>>,
    numbers: HashMap<u32, f64>,
    set: BTreeSet<i16>,
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

prop_compose! {
    fn everything()(
        tree in tree(),
        (a, b, c) in (any::<i64>(), any::<[u8; 4]>(), -1e9f32..1e9),
        side in prop_oneof![Just(Side::Buy), Just(Side::Sell)],
        many in 0usize..5,
        (text, letter, yes) in any::<(String, char, bool)>(),
        nested in any::<Option<Option<u16>>>(),
        tuple in any::<(u32, String, i128)>(),
        map in any::<BTreeMap<String, Vec<u8>>>(),
        numbers in prop::collection::hash_map(any::<u32>(), -1e9f64..1e9, 0..5),
        set in any::<BTreeSet<i16>>(),
    ) -> Everything {
        let (plain, many) = (Plain { a, b, c }, vec![(); many]);
        Everything { tree, plain, side, nothing: (), many, text, letter, yes, nested, tuple, map, numbers, set }
    }
}

proptest! {
    #[test]
    fn a_record_is_the_same_as_a_value_in_bytes_and_in_json(record in everything()) {
        let (schema, value) = (Everything::schema(), Value::of(&record));
        prop_assert_eq!(&value.clone().into_record::<Everything>().unwrap(), &record);
        let bytes = value.encode(&schema).unwrap();
        prop_assert_eq!(Value::decode(&schema, &bytes).unwrap(), value.clone());
        // The entries of an object of JSON may be in another order.
        let from_json = Value::from_json(&schema, &value.to_json()).unwrap();
        prop_assert_eq!(from_json.into_record::<Everything>().unwrap(), record);
    }

    #[test]
    fn bytes_that_are_no_value_are_refused(record in everything(), cut: prop::sample::Index, byte: u8) {
        let schema = Everything::schema();
        let mut bytes = Value::of(&record).encode(&schema).unwrap();
        let at = cut.index(bytes.len());
        prop_assert!(Value::decode(&schema, &bytes[..at]).is_err());
        bytes[at] = byte;
        // It may be another value.
        let _ = Value::decode(&schema, &bytes);
    }

    #[test]
    fn keys_are_the_same_with_their_types_and_without(
        number: i32, long: (u64, u32), text: String, bytes: Vec<u8>, array: [u8; 3], maybe: Option<u16>, seed: u64, part: (i64, String),
    ) {
        let seed = HashSeed(seed);
        same(&number, seed)?;
        same(&long, seed)?;
        same(&text, seed)?;
        same(&bytes, seed)?;
        same(&array, seed)?;
        same(&maybe, seed)?;
        same(&(text.clone(), maybe, 'x', true), seed)?;
        same(&Account { bank: number, owner: text.clone(), state: State::Closed }, seed)?;
        sub(&text, &part, seed)?;
        sub(&number, &part.0, seed)?;
    }
}

#[derive(Key, Clone, Debug, PartialEq)]
struct Account {
    bank: i32,
    owner: String,
    state: State,
}

#[derive(Key, Clone, Copy, Debug, PartialEq)]
enum State {
    Open = -3,
    Closed = 1 << 20,
}

fn same<K: Key>(key: &K, seed: HashSeed) -> Result<(), TestCaseError> {
    let (schema, hash) = (K::schema(), key.hash(seed));
    let mut stored = Vec::new();
    key.encode(&mut stored);
    let (value, part) = schema.decode(hash, &stored, seed).unwrap();
    prop_assert_eq!(part, None);
    prop_assert_eq!(schema.encode(&value, None, seed).unwrap(), (hash, stored));
    prop_assert_eq!(Value::from_json(&schema.key, &value.to_json()).unwrap(), value);
    Ok(())
}

fn sub<K: Key, S: KeyPart>(key: &K, part: &S, seed: HashSeed) -> Result<(), TestCaseError> {
    let (schema, hash) = (Sub::<K, S>::schema(), key.hash(seed));
    let (mut bytes, mut stored) = (Vec::new(), Vec::new());
    key.encode(&mut bytes);
    let sub_hash: KeyHash = Sub::<K, S>::encode_parts(hash, &bytes, part, &mut stored);
    let (value, part) = schema.decode(sub_hash, &stored, seed).unwrap();
    prop_assert_eq!(schema.encode(&value, part.as_ref(), seed).unwrap(), (sub_hash, stored));
    Ok(())
}

#[test]
fn a_schema_comes_back_from_json_and_reads_like_a_layout() {
    let schema = Everything::schema();
    let again = Schema::from_json(&schema.to_json()).unwrap();
    assert_eq!((again.to_json(), again.to_string()), (schema.to_json(), schema.to_string()));
    assert_eq!(again.changes_to(&schema), Ok(Vec::new()));
    assert_eq!(
        Tree::schema().to_string(),
        "Tree { Leaf | Node { left: Tree, right: Option<Tree>, name: String } | Pair(i8, u128) }"
    );
    assert!(Schema::parse(r#"{"type": {"named": 1}, "definitions": []}"#).is_err());
    assert!(Schema::parse(r#"{"type": "u7", "definitions": []}"#).is_err());
}

#[test]
fn what_is_too_deep_is_refused() {
    let schema = Tree::schema();
    let mut deep = Value::Variant("Leaf".into(), Vec::new());
    for _ in 0..200 {
        let members = vec![
            ("left".into(), deep),
            ("right".into(), Value::Option(None)),
            ("name".into(), Value::from("x")),
        ];
        deep = Value::Variant("Node".into(), members);
    }
    let bytes = deep.encode(&schema).unwrap();
    assert_eq!(Value::decode(&schema, &bytes).unwrap(), deep);
    // A thousand nodes within each other, without an end.
    let endless: Vec<u8> = std::iter::repeat_n(1u16.to_le_bytes(), 1000).flatten().collect();
    assert!(Value::decode(&schema, &endless).is_err());
}

#[test]
fn a_type_that_says_nothing_is_carried_as_it_is() {
    /// By hand, without a description.
    struct Old(u32);

    #[allow(unsafe_code)]
    // SAFETY: the encoding is that of an `u32`, which the view is, too.
    unsafe impl Record for Old {
        type View = u32;
        const SIZE: Option<usize> = Some(4);
        const PLAIN: bool = false;

        fn encode(&self, out: &mut RecordBuf) {
            Record::encode(&self.0, out);
        }

        unsafe fn view_unchecked(bytes: &[u8]) -> &u32 {
            // SAFETY: the caller's promise.
            unsafe { u32::view_unchecked(bytes) }
        }

        fn view(bytes: &[u8]) -> Result<&u32, crate::record::RecordError> {
            u32::view(bytes)
        }

        fn owned(view: &u32) -> Self {
            Old(*view)
        }

        fn layout() -> crate::record::Layout {
            <u32 as Record>::layout()
        }
    }

    let value = Value::of(&Old(7));
    assert!(matches!(value, Value::Opaque(_)));
    assert_eq!(value.into_record::<Old>().unwrap().0, 7);
    assert!(Old::schema().changes_to(&<u32 as Record>::schema()).is_err());
}

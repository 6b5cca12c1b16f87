//! Every kind of record: round trips, pleasant views, refused bytes, pinned layouts.
#![allow(unsafe_code)] // unchecked views are tested too

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;

use proptest::prelude::*;

use super::{Plain, RECORD_ALIGN, Record, RecordBuf};

#[derive(Record, Clone, Debug, PartialEq)]
struct Order {
    id: u64,
    who: String,
    price: i64,
    tag: Option<u32>,
}

#[derive(Record, Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
struct Tick {
    price: i64,
    quantity: u32,
    side: Side,
    live: bool,
    _pad: [u8; 2],
}

#[derive(Record, Clone, Copy, Debug, Default, PartialEq)]
#[repr(u8)]
enum Side {
    #[default]
    Buy = 1,
    Sell = 2,
}

/// All fields are numbers, but their order is the compiler's.
#[derive(Record, Clone, Debug, PartialEq)]
struct Loose {
    small: u8,
    big: u128,
    ratio: f64,
}

#[derive(Record, Clone, Debug, PartialEq)]
enum Shape {
    Circle(f64),
    Named { name: String, corners: Vec<(i32, i32)> },
    Nothing,
}

#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[record(derive(PartialEq, PartialOrd))]
enum Mood {
    Fine,
    Bad,
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Basket {
    order: Order,
    ticks: Vec<Tick>,
    names: Vec<String>,
    shape: Shape,
    mood: Mood,
    counts: BTreeMap<u32, String>,
    note: Option<String>,
    corner: (i32, u64),
    bytes: [u8; 5],
}

#[derive(Record, Clone, Debug, PartialEq)]
enum Tree {
    Leaf(u32),
    Node(Box<Tree>, Box<Tree>),
}

#[derive(Record, Clone, Debug, PartialEq)]
#[record(view = PairInPlace)]
struct Pair<T> {
    first: T,
    second: Option<T>,
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Wrapper(u64, String);

#[derive(Record, Clone, Debug, PartialEq)]
struct Unit;

fn encoded<T: Record>(value: &T) -> RecordBuf {
    let mut out = RecordBuf::new();
    // Not at the buffer's beginning: what is written must not depend on where.
    out.extend_from_slice(&[0xAA; RECORD_ALIGN]);
    value.encode(&mut out);
    let mut alone = RecordBuf::new();
    alone.extend_from_slice(&out[RECORD_ALIGN..]);
    alone
}

fn round_trip<T: Record + PartialEq + Debug>(value: &T) {
    let bytes = encoded(value);
    if let Some(size) = T::SIZE {
        assert_eq!(bytes.len(), size);
    }
    let checked = T::view(&bytes).expect("just archived");
    assert_eq!(T::owned(checked), *value);
    // SAFETY: `encode` of this type wrote these bytes, and `RecordBuf` aligns them.
    let unchecked = unsafe { T::view_unchecked(&bytes) };
    assert_eq!(T::owned(unchecked), *value);
    assert_eq!(encoded(&T::owned(checked))[..], bytes[..]);
}

fn order() -> impl Strategy<Value = Order> {
    (any::<u64>(), ".{0,20}", any::<i64>(), any::<Option<u32>>()).prop_map(|(id, who, price, tag)| Order {
        id,
        who,
        price,
        tag,
    })
}

fn tick() -> impl Strategy<Value = Tick> {
    (any::<i64>(), any::<u32>(), any::<bool>(), any::<bool>()).prop_map(|(price, quantity, sell, live)| {
        let side = if sell { Side::Sell } else { Side::Buy };
        Tick { price, quantity, side, live, _pad: [0; 2] }
    })
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        (-1e9..1e9).prop_map(Shape::Circle),
        (".{0,12}", prop::collection::vec(any::<(i32, i32)>(), 0..4))
            .prop_map(|(name, corners)| Shape::Named { name, corners }),
        Just(Shape::Nothing),
    ]
}

fn basket() -> impl Strategy<Value = Basket> {
    let words = prop::collection::vec(".{0,12}", 0..4);
    let counts = prop::collection::btree_map(any::<u32>(), ".{0,12}", 0..20);
    let rest = (any::<Option<String>>(), any::<(i32, u64)>(), any::<[u8; 5]>(), any::<bool>());
    (order(), prop::collection::vec(tick(), 0..4), words, shape(), counts, rest).prop_map(
        |(order, ticks, names, shape, counts, (note, corner, bytes, fine))| Basket {
            order,
            ticks,
            names,
            shape,
            mood: if fine { Mood::Fine } else { Mood::Bad },
            counts,
            note,
            corner,
            bytes,
        },
    )
}

fn tree() -> impl Strategy<Value = Tree> {
    any::<u32>().prop_map(Tree::Leaf).prop_recursive(4, 16, 2, |inner| {
        (inner.clone(), inner).prop_map(|(left, right)| Tree::Node(left.into(), right.into()))
    })
}

proptest! {
    #[test]
    fn derived_records_come_back(order in order(), tick in tick(), shape in shape(), basket in basket(), tree in tree()) {
        round_trip(&order);
        round_trip(&tick);
        round_trip(&shape);
        round_trip(&basket);
        round_trip(&tree);
        round_trip(&Pair { first: order.clone(), second: Some(order.clone()) });
        round_trip(&Wrapper(order.id, order.who));
    }

    #[test]
    fn built_in_records_come_back(
        number in any::<i64>(), wide in any::<u128>(), character in any::<char>(), text in ".{0,40}", words in any::<Vec<String>>(),
        numbers in any::<Vec<u64>>(), tuple in any::<(u8, String, i64, bool, Option<u16>, char)>(), map in any::<HashMap<u32, String>>(),
        set in any::<HashSet<String>>(), ordered in any::<BTreeSet<i16>>(), optional in any::<Option<(u64, String)>>(),
    ) {
        round_trip(&number);
        round_trip(&wide);
        round_trip(&character);
        round_trip(&(number as f64));
        round_trip(&[number; 3]);
        round_trip(&text);
        round_trip(&text.as_bytes().to_vec());
        round_trip(&words);
        round_trip(&numbers);
        round_trip(&tuple);
        round_trip(&ordered);
        round_trip(&optional);
        round_trip(&(number, number as f64));
        round_trip(&Loose { small: number as u8, big: wide, ratio: number as f64 });
        // The order of a hash map is not part of its value, and so its bytes may differ.
        prop_assert_eq!(&HashMap::owned(HashMap::<u32, String>::view(&encoded(&map)).unwrap()), &map);
        prop_assert_eq!(&HashSet::owned(HashSet::<String>::view(&encoded(&set)).unwrap()), &set);
    }

    #[test]
    fn corrupt_bytes_are_refused_or_a_valid_value(
        basket in basket(), tree in tree(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(), random in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        fn try_all(bytes: &[u8]) {
            let mut aligned = RecordBuf::new();
            aligned.extend_from_slice(bytes);
            let _ = Basket::view(&aligned).map(Basket::owned);
            let _ = Tree::view(&aligned).map(Tree::owned);
            let _ = Tick::view(&aligned).map(Tick::owned);
            let _ = String::view(&aligned).map(String::owned);
            let _ = Vec::<Tick>::view(&aligned).map(Vec::<Tick>::owned);
            let _ = Vec::<String>::view(&aligned).map(Vec::<String>::owned);
            let _ = <(u64, char, String)>::view(&aligned).map(<(u64, char, String)>::owned);
            let _ = HashMap::<u32, String>::view(&aligned).map(HashMap::<u32, String>::owned);
            // Not aligned: refused, or of a type without alignment.
            let _ = Basket::view(aligned.get(1..).unwrap_or(&[])).map(Basket::owned);
            let _ = Vec::<u64>::view(aligned.get(1..).unwrap_or(&[])).map(Vec::<u64>::owned);
        }
        for mut bytes in [encoded(&basket), encoded(&tree), encoded(&basket.ticks), encoded(&basket.names)] {
            for (at, value) in &flips {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *value;
                }
            }
            try_all(&bytes);
            try_all(&bytes[..cut.index(bytes.len() + 1)]);
        }
        try_all(&random);
    }
}

#[test]
fn records_without_a_value_come_back() {
    round_trip(&());
    round_trip(&Unit);
    round_trip(&vec![(); 3]);
    round_trip(&Vec::<String>::new());
    round_trip(&Vec::<u64>::new());
    round_trip(&[0u64; 0]);
    round_trip(&String::new());
    round_trip(&Mood::Bad);
    round_trip(&Side::Sell);
}

#[test]
fn sizes_say_what_is_inline() {
    assert_eq!(<(i64, f64)>::SIZE, Some(16));
    assert_eq!(Option::<u32>::SIZE, Some(8));
    assert_eq!(Tick::SIZE, Some(16));
    assert_eq!(Loose::SIZE, Some(48));
    assert_eq!(Mood::SIZE, Some(1));
    assert_eq!(Pair::<u64>::SIZE, Some(24));
    assert_eq!(Order::SIZE, None);
    assert_eq!(Shape::SIZE, None);
    const { assert!(Tick::PLAIN && Side::PLAIN && !Loose::PLAIN && !Mood::PLAIN && <[u64; 2]>::PLAIN) };
    fn plain<T: Plain>() {}
    plain::<Tick>();
    plain::<[Tick; 3]>();
}

#[test]
fn views_compute_compare_and_match_like_values() {
    let order = Order { id: 7, who: "ada".into(), price: 250, tag: Some(3) };
    let bytes = encoded(&order);
    let view = Order::view(&bytes).unwrap();
    let mut sum = 0i64;
    sum += view.price;
    sum += view.price();
    sum += order.price();
    assert_eq!(sum, 750);
    assert_eq!(view.price as f64 / 2.0, 125.0);
    assert_eq!(view.price().max(300), 300);
    assert!(view.who() < "bob" && &*view.who == "ada" && view.who() == order.who());
    match view.tag() {
        Some(tag) => assert_eq!(tag + 1, 4),
        None => unreachable!(),
    }

    let tuple = (5u64, String::from("five"), Some('5'));
    let bytes = encoded(&tuple);
    let view = <(u64, String, Option<char>)>::view(&bytes).unwrap();
    let (number, text): (u64, &str) = (view.0, &view.1);
    assert_eq!((number * 2, text.len(), view.2.as_ref()), (10, 4, Some(&'5')));

    let bytes = encoded(&Shape::Circle(2.0));
    match Shape::view(&bytes).unwrap() {
        ShapeView::Circle(radius) => assert_eq!(radius * radius, 4.0),
        ShapeView::Named { .. } | ShapeView::Nothing => unreachable!(),
    }

    let words = vec![String::from("a"), String::from("b")];
    let bytes = encoded(&words);
    assert!(Vec::<String>::view(&bytes).unwrap().iter().map(|word| word.as_str()).eq(["a", "b"]));
    let bytes = encoded(&vec![1u64, 2, 3]);
    assert_eq!(Vec::<u64>::view(&bytes).unwrap().iter().sum::<u64>(), 6);
}

#[test]
fn views_print_like_values() {
    let order = Order { id: 7, who: "ada".into(), price: 250, tag: Some(3) };
    assert_eq!(format!("{:?}", Order::view(&encoded(&order)).unwrap()), format!("{order:?}"));
    for shape in [Shape::Circle(1.5), Shape::Named { name: "line".into(), corners: vec![] }, Shape::Nothing] {
        assert_eq!(format!("{:?}", Shape::view(&encoded(&shape)).unwrap()), format!("{shape:?}"));
    }
    let outer = Outer { order };
    assert!(
        format!("{:?}", Outer::view(&encoded(&outer)).unwrap()).starts_with("Outer { order: Order { id: 7")
    );
    assert!(MoodView::Fine < MoodView::Bad && MoodView::Fine == MoodView::Fine);

    /// Is not `Debug`.
    #[derive(Record)]
    #[repr(C)]
    struct Secret(u64);
    #[derive(Record)]
    struct Holder {
        secret: Secret,
        open: u64,
    }
    let holder = Holder { secret: Secret(1), open: 2 };
    assert_eq!(format!("{:?}", Holder::view(&encoded(&holder)).unwrap()), "Holder { secret: .., open: 2 }");
}

#[test]
fn nested_views_are_as_pleasant() {
    let basket = Basket {
        order: Order {
            id: 1,
            who: "a name that is long enough to lie out of line".into(),
            price: 2,
            tag: None,
        },
        ticks: vec![Tick { price: 3, ..Tick::default() }],
        names: vec!["x".into()],
        shape: Shape::Nothing,
        mood: Mood::Bad,
        counts: BTreeMap::from([(4, "four".into())]),
        note: Some("note".into()),
        corner: (5, 6),
        bytes: *b"bytes",
    };
    let bytes = encoded(&basket);
    let view = Basket::view(&bytes).unwrap();
    assert_eq!(view.order().price() + view.order.price, 4);
    assert_eq!(view.order().who(), basket.order().who());
    assert_eq!(view.ticks()[0].price, 3);
    assert_eq!(view.ticks()[0].side(), Side::Buy);
    assert_eq!(view.names()[0].as_str(), "x");
    assert_eq!(view.mood(), Mood::Bad);
    assert!(matches!(view.shape(), ShapeView::Nothing) && matches!(basket.shape(), Shape::Nothing));
    assert_eq!(view.counts().get(&4).map(|text| text.as_str()), Some("four"));
    assert_eq!(view.note(), Some("note"));
    assert_eq!(view.note(), basket.note());
    assert_eq!(view.corner().0 + 1, 6);
    assert_eq!(view.bytes(), b"bytes");
    assert_eq!((basket.ticks().len(), basket.names().len(), basket.counts().len()), (1, 1, 1));
    assert_eq!((basket.corner(), basket.bytes(), basket.mood()), (&(5, 6), b"bytes", Mood::Bad));

    let bytes = encoded(&Pair { first: 1u8, second: None });
    let pair: &PairInPlace<u8> = Pair::<u8>::view(&bytes).unwrap();
    assert!(pair.second.is_none() && pair.second().is_none());
    assert_eq!(pair.first() + 1, 2);
}

#[test]
fn refused_bytes_say_what_was_expected() {
    let refused = Tick::view(&[0; 15]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "not an archived Tick { price: i64, quantity: u32, side: Side, live: bool, _pad: [u8; 2] } with Side: u8 { Buy = 1 | \
         Sell = 2 }: 15 bytes where it has 16"
    );
    let mut bytes = encoded(&Tick::default());
    bytes[12] = 3;
    assert!(Tick::view(&bytes).unwrap_err().reason.contains("3 is not a variant of Side"));
    bytes[12] = 1;
    bytes[13] = 2;
    assert!(Tick::view(&bytes).is_err());
    assert!(String::view(&[0xFF]).is_err());
    assert!(char::view(&encoded(&0xD800u32)).is_err());
    let mut bytes = encoded(&Shape::Nothing);
    let root = bytes.len() - size_of::<ShapeView>();
    bytes[root] = 3;
    assert!(Shape::view(&bytes).unwrap_err().reason.contains("3 is not a variant of Shape"));
}

#[test]
fn the_archived_form_of_an_order_is_pinned() {
    let order = Order { id: 1, who: "ada".into(), price: -1, tag: Some(2) };
    let expected: [u8; 32] = [
        1, 0, 0, 0, 0, 0, 0, 0, // id
        b'a', b'd', b'a', 255, 255, 255, 255, 255, // who, in line
        255, 255, 255, 255, 255, 255, 255, 255, // price
        1, 0, 0, 0, 2, 0, 0, 0, // tag, with zeros between its mark and its value
    ];
    assert_eq!(encoded(&order)[..], expected);
    assert_eq!(encoded(&(1u8, 2u32))[..], [1, 0, 0, 0, 2, 0, 0, 0]);
    assert_eq!(encoded(&Mood::Bad)[..], [1]);
}

mod other {
    //! The same names with other fields.
    use super::Record;

    #[derive(Record)]
    pub struct Order {
        pub id: u64,
        pub who: String,
        pub price: i32,
        pub tag: Option<u32>,
    }

    #[derive(Record)]
    pub struct Outer {
        pub order: Order,
    }
}

#[derive(Record)]
struct Outer {
    order: Order,
}

#[test]
fn layouts_read_like_declarations() {
    let text = |layout: super::Layout| layout.text;
    assert_eq!(text(Order::layout()), "Order { id: u64, who: String, price: i64, tag: Option<u32> }");
    assert_eq!(
        text(<(u64, Outer)>::layout()),
        "(u64, Outer) with Outer { order: Order }, Order { id: u64, who: String, price: i64, tag: Option<u32> }"
    );
    assert_eq!(
        text(Shape::layout()),
        "Shape { Circle(f64) | Named { name: String, corners: Vec<(i32, i32)> } | Nothing }"
    );
    assert_eq!(text(Tree::layout()), "Tree { Leaf(u32) | Node(Box<Tree>, Box<Tree>) }");
    assert_eq!(text(Wrapper::layout()), "Wrapper(u64, String)");
    assert_eq!(text(Unit::layout()), "Unit");
    assert_eq!(text(<HashMap<u32, [Mood; 2]>>::layout()), "HashMap<u32, [Mood; 2]> with Mood { Fine | Bad }");
}

#[test]
fn fingerprints_differ_where_layouts_do() {
    let all = [
        Order::layout(),
        other::Order::layout(),
        Outer::layout(),
        other::Outer::layout(),
        Tick::layout(),
        Loose::layout(),
        Pair::<u32>::layout(),
        Pair::<u64>::layout(),
        u64::layout(),
        i64::layout(),
        String::layout(),
        Vec::<u8>::layout(),
        <(u64, u64)>::layout(),
        <[u64; 2]>::layout(),
    ];
    let fingerprints: HashSet<u64> = all.iter().map(|layout| layout.fingerprint).collect();
    assert_eq!(fingerprints.len(), all.len(), "{all:#?}");
    // The field of `other::Outer` has the same name and type name, but another layout.
    assert_ne!(Outer::layout().fingerprint, other::Outer::layout().fingerprint);
}

/// A change here means that checkpoints of earlier versions are refused.
#[test]
fn fingerprints_are_the_same_in_every_run() {
    let layouts = [u64::layout(), Order::layout(), Tick::layout(), Basket::layout()];
    let fingerprints: Vec<u64> = layouts.iter().map(|layout| layout.fingerprint).collect();
    assert_eq!(
        fingerprints,
        [11719010989005885911, 3692348883525742818, 369376187230461374, 1890057374481469116]
    );
}

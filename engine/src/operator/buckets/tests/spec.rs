//! Windows as plain words, from which the operator and its model are made independently of each other.

use proptest::prelude::*;

/// Which windows a record has.
#[derive(Clone, Copy, Debug)]
pub enum Windows {
    Tumbling {
        size: i64,
        offset: i64,
    },
    Sliding {
        size: i64,
        slide: i64,
        offset: i64,
    },
    Session {
        gap: i64,
    },
    /// Every record says how long its session waits: [`gap_of`].
    Dynamic,
    Global,
}

/// The gap that a record of a [`Windows::Dynamic`] session asks for.
pub fn gap_of(record: i64) -> i64 {
    record.rem_euclid(7) + 1
}

/// When windows fire.
#[derive(Clone, Debug)]
pub enum Fires {
    AtEnd,
    EventTime,
    ProcessingTime,
    Count(u64),
    Delta(i64),
    ContinuousEventTime(i64),
    ContinuousProcessingTime(i64),
    Never,
    OrEnd(Box<Fires>),
    Purging(Box<Fires>),
}

impl Fires {
    pub fn can_merge(&self) -> bool {
        match self {
            Fires::Delta(_) => false,
            Fires::OrEnd(inner) | Fires::Purging(inner) => inner.can_merge(),
            _ => true,
        }
    }
}

/// Which elements take part.
#[derive(Clone, Copy, Debug)]
pub enum Evicts {
    Nothing,
    Count(usize),
    Time(i64),
    Delta(i64),
}

/// How far two records are apart, for whom it matters.
pub fn distance(one: i64, other: i64) -> i64 {
    (one - other).abs()
}

/// A window operator.
#[derive(Clone, Debug)]
pub struct Spec {
    pub windows: Windows,
    /// By the clock instead of event time.
    pub on_clock: bool,
    pub lateness: i64,
    pub fires: Fires,
    pub evicts: Evicts,
    /// After the function instead of before.
    pub evicts_after: bool,
}

impl Spec {
    pub fn is_merging(&self) -> bool {
        matches!(self.windows, Windows::Session { .. } | Windows::Dynamic)
    }

    pub fn has_end(&self) -> bool {
        !matches!(self.windows, Windows::Global)
    }
}

fn windows() -> impl Strategy<Value = Windows> {
    let length = || 1i64..15;
    prop_oneof![
        2 => (length(), -20i64..20).prop_map(|(size, offset)| Windows::Tumbling { size, offset: offset % size }),
        2 => (length(), 1i64..8, -20i64..20).prop_map(|(size, slide, offset)| Windows::Sliding {
            size,
            slide,
            offset: offset % slide
        }),
        4 => length().prop_map(|gap| Windows::Session { gap }),
        2 => Just(Windows::Dynamic),
        1 => Just(Windows::Global),
    ]
}

/// Triggers; where windows merge, only those that can be used there.
fn fires(merging: bool) -> BoxedStrategy<Fires> {
    let interval = || 1i64..10;
    let alone = prop_oneof![
        2 => Just(Fires::AtEnd),
        1 => Just(Fires::EventTime),
        1 => Just(Fires::ProcessingTime),
        3 => (1u64..5).prop_map(Fires::Count),
        1 => (0i64..8).prop_map(Fires::Delta),
        3 => interval().prop_map(Fires::ContinuousEventTime),
        2 => interval().prop_map(Fires::ContinuousProcessingTime),
        1 => Just(Fires::Never),
    ];
    let with_end = |inner: Fires| Fires::OrEnd(Box::new(inner));
    let purging = |inner: Fires| Fires::Purging(Box::new(inner));
    let any = (alone, 0u8..8).prop_map(move |(fires, wrapped)| match wrapped {
        0..=3 => fires,
        4 | 5 => with_end(fires),
        6 => purging(fires),
        _ => purging(with_end(fires)),
    });
    any.prop_filter("it can merge", move |fires| !merging || fires.can_merge()).boxed()
}

pub fn specs(evicting: bool) -> impl Strategy<Value = Spec> {
    let evicts = match evicting {
        false => Just(Evicts::Nothing).boxed(),
        true => prop_oneof![
            1 => Just(Evicts::Nothing),
            2 => (0usize..5).prop_map(Evicts::Count),
            2 => (1i64..12).prop_map(Evicts::Time),
            2 => (0i64..8).prop_map(Evicts::Delta),
        ]
        .boxed(),
    };
    let on_clock = prop_oneof![3 => Just(false), 1 => Just(true)];
    let lateness = prop_oneof![3 => Just(0i64), 4 => 1i64..30, 1 => Just(i64::MAX)];
    let windows = windows().prop_flat_map(|windows| {
        let merging = matches!(windows, Windows::Session { .. } | Windows::Dynamic);
        (Just(windows), fires(merging))
    });
    (windows, on_clock, lateness, evicts, any::<bool>()).prop_map(
        |((windows, fires), on_clock, lateness, evicts, evicts_after)| {
            // Nothing is ever late there.
            let lateness = if on_clock || matches!(windows, Windows::Global) { 0 } else { lateness };
            Spec { windows, on_clock, lateness, fires, evicts, evicts_after }
        },
    )
}

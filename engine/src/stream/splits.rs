//! Keys whose records are too many for one shard: aggregated in parts, which are then put together.

use std::rc::Rc;

use super::windows::Results;
use super::{Keyed, Stream};
use crate::key::{Key, KeyPart};
use crate::operator::Chain;
use crate::operator::exchange::Salted;
use crate::operator::window::finish::DropLate;
use crate::operator::window::rule::ByAggregate;
use crate::record::{Record, View};
use crate::window::{Aggregate, Tumbling};

/// A stream by keys of which each is split: what [`Stream::key_by_split`] gives.
#[must_use = "a keyed stream that leads nowhere does nothing"]
pub struct SplitKeyed<T, K>
where
    K: KeyPart,
{
    keyed: Keyed<T, (K, u16)>,
    name: String,
}

/// The windows of a stream whose keys are split.
#[must_use = "windows without an aggregate do nothing"]
pub struct SplitWindowed<T, K>
where
    K: KeyPart,
{
    split: SplitKeyed<T, K>,
    window: Tumbling,
}

/// What a part of a key's records adds up to in a window.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct KeyPartial<K, A> {
    /// The key.
    pub key: K,
    /// What the part adds up to.
    pub acc: A,
}

/// The stream of results of windows whose keys are split.
pub type SplitResults<T, K, A> =
    Results<KeyPartial<K, <A as Aggregate<T>>::Acc>, K, Tumbling, ByAggregate<PartsTogether<A, T>>, DropLate>;

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// Splits each key into so many parts, to which its records go in turn: for keys of which one has more records than a shard can take (two-phase
    /// aggregation). The windows that follow are aggregated part by part, on as many shards as there are, and then the parts of each key
    /// together, where every shard has no more than `ways` records per key and window to take.
    ///
    /// With the key `|_| ()` it is a window over the whole stream that is aggregated on all shards.
    ///
    /// The second step is called `name`, the first `name` and `parts`.
    pub fn key_by_split<K, F>(self, name: impl Into<String>, ways: u16, key: F) -> SplitKeyed<T, K>
    where
        K: KeyPart + 'static,
        (K, u16): Key,
        F: Fn(&C::Ref) -> K + 'static,
    {
        let name = name.into();
        if ways == 0 {
            let what = format!("`{name}` splits keys into 0 parts; give it at least 1");
            self.path.flow.graph.borrow_mut().bad_setting(self.path.last(), what);
        }
        SplitKeyed { keyed: self.exchange_by(Salted::new(key, ways)), name }
    }
}

impl<T: Record, K: KeyPart> SplitKeyed<T, K> {
    /// Cuts the stream into windows. Records that come after their window has been given out are dropped and counted.
    pub fn window(self, window: Tumbling) -> SplitWindowed<T, K> {
        SplitWindowed { split: self, window }
    }
}

impl<T, K> SplitWindowed<T, K>
where
    T: Record,
    K: KeyPart<Owned = K> + Record + Clone + 'static,
    (K, u16): Key<Owned = (K, u16)>,
{
    /// What the records of a key and window add up to.
    #[track_caller]
    pub fn aggregate<A: Aggregate<T>>(self, aggregate: A) -> SplitResults<T, K, A>
    where
        KeyPartial<K, A::Acc>: Record,
    {
        let SplitWindowed { split: SplitKeyed { keyed, name }, window } = self;
        let aggregate = Rc::new(aggregate);
        let parts = keyed.window(window).aggregate(Parts { of: aggregate.clone() });
        let parts = parts.name(format!("{name} parts"));
        parts
            .map(|result| KeyPartial { key: result.key.0, acc: result.value })
            .key_by(|part| part.key.clone())
            .window(window)
            .aggregate(PartsTogether { of: aggregate, records: std::marker::PhantomData })
            .name(name)
    }

    /// How many records of the key fell into the window.
    #[track_caller]
    pub fn count(self) -> SplitResults<T, K, Counted>
    where
        KeyPartial<K, u64>: Record,
    {
        self.aggregate(Counted)
    }
}

/// Aggregates up to the accumulator, and leaves it at that.
struct Parts<A> {
    of: Rc<A>,
}

impl<T: Record, A: Aggregate<T>> Aggregate<T> for Parts<A> {
    type Acc = A::Acc;
    type Out = A::Acc;

    const ALWAYS_RETRACTS: bool = A::ALWAYS_RETRACTS;

    fn create(&self) -> A::Acc {
        self.of.create()
    }

    fn add(&self, acc: &mut A::Acc, record: &View<T>) {
        self.of.add(acc, record);
    }

    fn merge(&self, acc: &mut A::Acc, other: &A::Acc) {
        self.of.merge(acc, other);
    }

    fn result(&self, acc: A::Acc) -> A::Acc {
        acc
    }

    fn retract(&self, acc: &mut A::Acc, part: &A::Acc) -> bool {
        self.of.retract(acc, part)
    }
}

/// Puts the parts of a key together.
pub struct PartsTogether<A, T> {
    of: Rc<A>,
    records: std::marker::PhantomData<fn() -> T>,
}

impl<T, K, A> Aggregate<KeyPartial<K, A::Acc>> for PartsTogether<A, T>
where
    T: Record,
    K: Record,
    A: Aggregate<T>,
    KeyPartial<K, A::Acc>: Record,
{
    type Acc = A::Acc;
    type Out = A::Out;

    fn create(&self) -> A::Acc {
        self.of.create()
    }

    fn add(&self, acc: &mut A::Acc, part: &View<KeyPartial<K, A::Acc>>) {
        self.of.merge(acc, &KeyPartial::owned(part).acc);
    }

    fn merge(&self, acc: &mut A::Acc, other: &A::Acc) {
        self.of.merge(acc, other);
    }

    fn result(&self, acc: A::Acc) -> A::Out {
        self.of.result(acc)
    }
}

/// How many records there are.
pub struct Counted;

impl<T: Record> Aggregate<T> for Counted {
    type Acc = u64;
    type Out = u64;

    const ALWAYS_RETRACTS: bool = true;

    fn create(&self) -> u64 {
        0
    }

    fn add(&self, acc: &mut u64, _: &View<T>) {
        *acc += 1;
    }

    fn merge(&self, acc: &mut u64, other: &u64) {
        *acc += other;
    }

    fn result(&self, acc: u64) -> u64 {
        acc
    }

    fn retract(&self, acc: &mut u64, part: &u64) -> bool {
        *acc -= part;
        true
    }
}

//! What a harness and its program share: inputs that are fed by hand, and outputs that are kept until they are taken.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::HarnessError;
use crate::element::{ShardId, Timestamp};
use crate::record::{Record, RecordBuf};

/// The name of the input that is meant where none is named and there are several.
pub(in crate::testing) const INPUT: &str = "in";

/// The name of the output that is meant where none is named and there are several.
pub(in crate::testing) const OUTPUT: &str = "out";

/// The ports of one harness. The program holds them too, on every shard.
#[derive(Clone, Default)]
pub(super) struct Ports {
    shared: Arc<Mutex<AllPorts>>,
}

#[derive(Default)]
pub(super) struct AllPorts {
    pub(super) inputs: BTreeMap<String, Fed>,
    pub(super) outputs: BTreeMap<String, Kept>,
    /// How narrow they are.
    pub(super) width: Width,
}

/// How many records pass a port at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::testing) struct Width {
    /// How many records an input gives at a poll.
    pub(super) poll: usize,
    /// How many records an output takes before it has to be opened again.
    pub(super) outbox: usize,
}

impl Default for Width {
    fn default() -> Self {
        Width::WIDE
    }
}

impl Width {
    /// As many as there are.
    pub(in crate::testing) const WIDE: Width = Width { poll: usize::MAX, outbox: usize::MAX };
    /// As few as can be.
    pub(in crate::testing) const ONE: Width = Width { poll: 1, outbox: 1 };
}

impl Ports {
    pub(super) fn lock(&self) -> MutexGuard<'_, AllPorts> {
        // Each change is a single step, so that a panic beside it leaves the ports whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AllPorts {
    /// The name of the only input, or of the main one.
    pub(super) fn main_input(&self) -> Result<String, HarnessError> {
        main("input", INPUT, self.inputs.keys())
    }

    /// The names of the inputs that have not ended.
    pub(super) fn open_inputs(&self) -> Vec<String> {
        self.inputs.iter().filter(|(_, fed)| !fed.ended).map(|(name, _)| name.clone()).collect()
    }

    /// The name of the only output, or of the main one.
    pub(super) fn main_output(&self) -> Result<String, HarnessError> {
        main("output", OUTPUT, self.outputs.keys())
    }

    pub(super) fn input(&mut self, name: &str) -> Result<&mut Fed, HarnessError> {
        if !self.inputs.contains_key(name) {
            let known = names(self.inputs.keys());
            return Err(HarnessError::NoSuchInput { name: name.to_owned(), known });
        }
        Ok(self.inputs.get_mut(name).expect("was looked up"))
    }

    pub(super) fn output(&mut self, name: &str) -> Result<&mut Kept, HarnessError> {
        if !self.outputs.contains_key(name) {
            let known = names(self.outputs.keys());
            return Err(HarnessError::NoSuchOutput { name: name.to_owned(), known });
        }
        Ok(self.outputs.get_mut(name).expect("was looked up"))
    }

    /// Whether an output takes nothing more before it is opened again.
    pub(super) fn is_full(&self) -> bool {
        self.outputs.values().any(|kept| !kept.has_room(self.width))
    }

    /// Lets outputs that are full take records again. Says whether there were any.
    pub(super) fn open_outboxes(&mut self) -> bool {
        let outbox = self.width.outbox;
        let full = self.outputs.values_mut().filter(|kept| kept.since_opened >= outbox);
        full.map(|kept| kept.since_opened = 0).count() > 0
    }
}

fn main<'a>(
    port: &'static str,
    main: &str,
    all: impl Iterator<Item = &'a String> + Clone,
) -> Result<String, HarnessError> {
    let mut meant = all.clone();
    match (meant.next(), meant.next()) {
        (Some(name), None) => Ok(name.clone()),
        _ if all.clone().any(|name| name == main) => Ok(main.to_owned()),
        _ => Err(HarnessError::NotTheOnlyOne { port, known: names(all) }),
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let all: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// What a port's records are.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortType {
    id: TypeId,
    name: &'static str,
}

impl PortType {
    pub(super) fn of<T: 'static>() -> Self {
        PortType { id: TypeId::of::<T>(), name: type_name::<T>() }
    }

    fn check(&self, port: &str, asked: PortType) -> Result<(), HarnessError> {
        if self.id == asked.id {
            return Ok(());
        }
        let (is, asked) = (self.name, asked.name);
        Err(HarnessError::WrongType { name: port.to_owned(), is, asked })
    }
}

/// What an input was fed, from the beginning: a source that is asked again gives it again.
#[derive(Clone)]
pub(super) struct Fed {
    of: PortType,
    pub(super) items: Vec<Item>,
    pub(super) watermark: Timestamp,
    pub(super) ended: bool,
}

/// What an input gives.
#[derive(Clone)]
pub(super) enum Item {
    /// An archived record.
    Record(RecordBuf, Timestamp),
    Watermark(Timestamp),
    Idle,
}

impl Fed {
    pub(super) fn new<T: Record>() -> Self {
        Fed { of: PortType::of::<T>(), items: Vec::new(), watermark: Timestamp::MIN, ended: false }
    }

    /// Adds an archived record.
    pub(super) fn record(
        &mut self,
        name: &str,
        of: PortType,
        bytes: RecordBuf,
        at: Timestamp,
    ) -> Result<(), HarnessError> {
        self.of.check(name, of)?;
        self.is_open(name)?;
        self.items.push(Item::Record(bytes, at));
        Ok(())
    }

    pub(super) fn end(&mut self, name: &str) -> Result<(), HarnessError> {
        self.is_open(name)?;
        self.ended = true;
        Ok(())
    }

    pub(super) fn watermark(&mut self, name: &str, to: Timestamp) -> Result<(), HarnessError> {
        self.is_open(name)?;
        let input = name.to_owned();
        match to {
            Timestamp::MAX => return Err(HarnessError::EndOfTime { input }),
            to if to < self.watermark => {
                return Err(HarnessError::WatermarkBack { input, stands: self.watermark, to });
            }
            _ => {}
        }
        self.watermark = to;
        self.items.push(Item::Watermark(to));
        Ok(())
    }

    pub(super) fn idle(&mut self, name: &str) -> Result<(), HarnessError> {
        self.is_open(name)?;
        self.items.push(Item::Idle);
        Ok(())
    }

    fn is_open(&self, name: &str) -> Result<(), HarnessError> {
        if self.ended { Err(HarnessError::AfterEnd { input: name.to_owned() }) } else { Ok(()) }
    }
}

/// A record as its `Debug` shows it, and its event time.
pub(in crate::testing) type Shown = (String, Timestamp);

/// What an output has been given and nobody has taken.
pub(super) struct Kept {
    of: PortType,
    /// A `Vec<(U, Timestamp)>`.
    records: Box<dyn Any + Send>,
    take_shown: fn(&mut dyn Any) -> Vec<Shown>,
    since_opened: usize,
    begins_at: Timestamp,
    /// By shard.
    watermarks: BTreeMap<ShardId, Timestamp>,
}

impl Kept {
    pub(super) fn new<U: Debug + Send + 'static>() -> Self {
        Kept {
            of: PortType::of::<U>(),
            records: Box::new(Vec::<(U, Timestamp)>::new()),
            take_shown: |records| {
                let records = records.downcast_mut::<Vec<(U, Timestamp)>>().map(std::mem::take);
                records
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(record, at)| (format!("{record:?}"), at))
                    .collect()
            },
            since_opened: 0,
            begins_at: Timestamp::MIN,
            watermarks: BTreeMap::new(),
        }
    }

    pub(super) fn keep<U: 'static>(&mut self, record: U, at: Timestamp) {
        if let Some(records) = self.records.downcast_mut::<Vec<(U, Timestamp)>>() {
            records.push((record, at));
            self.since_opened += 1;
        }
    }

    pub(super) fn take<U: 'static>(&mut self, name: &str) -> Result<Vec<(U, Timestamp)>, HarnessError> {
        self.of.check(name, PortType::of::<U>())?;
        let records = self.records.downcast_mut::<Vec<(U, Timestamp)>>();
        Ok(records.map(std::mem::take).unwrap_or_default())
    }

    /// Takes the records as their `Debug` shows them.
    pub(super) fn take_shown(&mut self) -> Vec<Shown> {
        (self.take_shown)(self.records.as_mut())
    }

    /// The instances of another job are to begin, in the place of those before, where event time had come to `watermark`. What is restored
    /// is not said again.
    pub(super) fn begin(&mut self, watermark: Timestamp) {
        (self.take_shown)(self.records.as_mut());
        self.since_opened = 0;
        self.watermarks.clear();
        self.begins_at = watermark;
    }

    /// An instance on a shard begins.
    pub(super) fn opened(&mut self, shard: ShardId) {
        self.watermarks.insert(shard, self.begins_at);
    }

    pub(super) fn has_room(&self, width: Width) -> bool {
        self.since_opened < width.outbox
    }

    pub(super) fn advance(&mut self, shard: ShardId, to: Timestamp) {
        let stands = self.watermarks.entry(shard).or_insert(to);
        *stands = to.max(*stands);
    }

    /// The least watermark over all shards.
    pub(super) fn watermark(&self) -> Timestamp {
        self.watermarks.values().copied().min().unwrap_or(Timestamp::MIN)
    }
}

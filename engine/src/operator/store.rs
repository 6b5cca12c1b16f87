//! What an operator keeps per key under names: tables and queues of timers, in one arena; and how they come back from a checkpoint, on
//! as many shards or on others.
//!
//! A checkpoint holds of it, beside pages: the tables, the queues, and the operator's own words (`docs/formats/shard-metadata.md`).

use super::OpId;
use super::failure::Cause;
use super::keyed_state::{OldShard, OperatorState, put_table, table};
use super::segment::OpenContext;
use crate::arena::{Arena, StateName};
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{KEY_GROUPS, KeyGroups, ShardId};
use crate::key::Key;
use crate::record::Record;
use crate::runtime::reads::{Read, StateRead};
use crate::runtime::snapshot::OperatorSnapshot;
use crate::savepoint::{Form, TableOfState, TableRole};
use crate::state::{Table, TableMeta};
use crate::time::Tick;
use crate::timers::{ImportError, SavedTimers, TimerQueue};

/// The arena of an operator, once all that lies in it has been declared.
pub(crate) struct Store {
    states: OperatorState,
}

impl Store {
    #[inline(always)]
    pub(crate) fn arena(&mut self) -> &mut Arena {
        self.states.arena()
    }

    /// See [`OperatorState::check_read`].
    pub(crate) fn check_read<'a>(
        &self,
        read: &StateRead,
        readable: impl Iterator<Item = &'a str>,
    ) -> Result<(), Read> {
        self.states.check_read(read, readable)
    }

    /// What a checkpoint has to know of the operator.
    pub(crate) fn snapshot(&self, contents: Contents) -> OperatorSnapshot {
        self.states.snapshot(contents.encode())
    }
}

/// What lies in the arena at the switch to a new epoch.
#[derive(Default)]
pub struct Contents {
    tables: Vec<(String, TableMeta)>,
    queues: Vec<(String, Vec<u8>)>,
    own: Vec<u8>,
}

impl Contents {
    /// Adds a table.
    pub(crate) fn table(&mut self, name: &str, meta: TableMeta) -> &mut Self {
        self.tables.push((name.to_owned(), meta));
        self
    }

    /// Adds a queue of timers.
    pub(crate) fn timers<K: Key + ?Sized>(&mut self, name: &str, queue: &TimerQueue<K>) -> &mut Self {
        let mut saved = Writer::new();
        queue.save(&mut saved);
        self.queues.push((name.to_owned(), saved.into_bytes()));
        self
    }

    /// What else the operator has to say.
    pub(crate) fn own(mut self, words: Writer) -> Self {
        self.own = words.into_bytes();
        self
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.put_list(&self.tables, |out, (name, meta)| {
            out.put_str(name);
            put_table(out, meta);
        });
        out.put_list(&self.queues, |out, (name, saved)| {
            out.put_str(name).put_bytes(saved);
        });
        out.put_bytes(&self.own);
        out.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Contents, CodecError> {
        let mut input = Reader::new(bytes);
        let contents = Contents {
            tables: input.list("tables", 20, |input| Ok((input.str("table")?.to_owned(), table(input)?)))?,
            queues: input.list("queues of timers", 16, |input| {
                Ok((input.str("queue")?.to_owned(), input.bytes("timers")?.to_vec()))
            })?,
            own: input.bytes("operator")?.to_vec(),
        };
        input.finish()?;
        Ok(contents)
    }

    pub(crate) fn meta_of(&self, name: &str) -> Option<TableMeta> {
        self.tables.iter().find(|(saved, _)| saved == name).map(|(_, meta)| *meta)
    }

    fn timers_of(&self, name: &str) -> Result<Option<SavedTimers>, Cause> {
        let Some((_, bytes)) = self.queues.iter().find(|(saved, _)| saved == name) else { return Ok(None) };
        let mut input = Reader::new(bytes);
        let saved = SavedTimers::read(&mut input).map_err(Cause::fatal)?;
        input.finish().map_err(Cause::fatal)?;
        Ok(Some(saved))
    }
}

/// The tables that an operator's words name, those of its timers among them.
fn tables_of(words: &[u8]) -> Result<Vec<TableOfState>, CodecError> {
    let contents = Contents::decode(words)?;
    let entries = contents.tables.into_iter().map(|(state, meta)| {
        let role = TableRole::Entries;
        TableOfState { state, role, meta }
    });
    let mut tables: Vec<TableOfState> = entries.collect();
    for (state, saved) in &contents.queues {
        let saved = SavedTimers::read(&mut Reader::new(saved))?;
        let timers = saved.tables().map(|meta| (TableRole::Timers, meta));
        let all = timers.chain([(TableRole::NamedTimers, saved.named())]);
        tables.extend(all.map(|(role, meta)| TableOfState { state: state.clone(), role, meta }));
    }
    Ok(tables)
}

/// The names of the timers of a queue, by number, that an operator's words name.
pub(crate) fn timer_names(words: &[u8], queue: &str) -> Result<Vec<String>, CodecError> {
    let contents = Contents::decode(words)?;
    let Some((_, saved)) = contents.queues.iter().find(|(name, _)| name == queue) else {
        return Ok(Vec::new());
    };
    Ok(SavedTimers::read(&mut Reader::new(saved))?.names().map(str::to_owned).collect())
}

/// A store while the operator says what it keeps.
pub struct Opening<'a> {
    context: &'a OpenContext,
    states: OperatorState,
    /// What this shard kept, where the shards are those of the checkpoint.
    mine: Option<Contents>,
    /// What the shards of the time before a rescaling kept.
    before: Vec<Before>,
}

struct Before {
    /// Those of its key groups that are this shard's now.
    groups: KeyGroups,
    contents: Contents,
    shard: OldShard,
}

impl<'a> Opening<'a> {
    /// Makes or restores the arena of an operator.
    pub(crate) fn new(context: &'a OpenContext, op: OpId) -> Result<Self, Cause> {
        let states = OperatorState::open(context, op).map_err(|failure| failure.cause)?;
        let mut opening = Opening { context, states, mine: None, before: Vec::new() };
        let Some(restored) = &context.restored else { return Ok(opening) };
        let decode = |snapshot: &OperatorSnapshot| Contents::decode(&snapshot.data).map_err(Cause::fatal);
        let operator = context.name(op);
        if restored.keeps_pages() {
            opening.mine = restored.operator(context.shard, operator).map(decode).transpose()?;
            return Ok(opening);
        }
        let (instance, instances) = context.instance();
        let now = KeyGroups::of_shard(instance, instances);
        for (number, snapshot) in restored.operators(operator) {
            let then = restored.key_groups(operator, number);
            let groups = KeyGroups { start: now.start.max(then.start), end: now.end.min(then.end) };
            let shard = opening.states.old_shard(restored, number, snapshot).map_err(Cause::state)?;
            opening.before.push(Before { groups, contents: decode(snapshot)?, shard });
        }
        Ok(opening)
    }

    /// The table of this name: the checkpoint's, or an empty one.
    pub(crate) fn table<K: Key + ?Sized, V: Record>(&mut self, name: &str) -> Result<Table<K, V>, Cause> {
        let state = self.states.declare::<K, V>(self.context, name)?;
        if let Some(meta) = self.mine.as_ref().and_then(|contents| contents.meta_of(name)) {
            return self.states.restore(&state, meta).map_err(Cause::state);
        }
        let mut table = self.states.create(&state);
        for before in &mut self.before {
            if let Some(meta) = before.contents.meta_of(name) {
                self.states.import(&state, &mut table, &mut before.shard, meta).map_err(Cause::state)?;
            }
        }
        Ok(table)
    }

    /// Whether the checkpoint, if there is one, holds a table of this name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        let before = self.before.iter().map(|before| &before.contents);
        self.mine.iter().chain(before).any(|contents| contents.meta_of(name).is_some())
    }

    /// The arena that what has been declared lies in.
    pub(crate) fn arena(&mut self) -> &mut Arena {
        self.states.arena()
    }

    /// What the checkpoint may hold of a table of this name is not wanted.
    pub(crate) fn let_go(&mut self, name: String) {
        self.states.let_go(name);
    }

    /// The name of the operator.
    pub(crate) fn operator(&self) -> &str {
        self.states.operator()
    }

    /// This shard's part of what the operator may have on all its shards, by its part of the keys. The parts of all shards add up to the whole.
    pub(crate) fn share(&self, of: u64) -> u64 {
        let mine = self.states.key_groups();
        let up_to = |group: u32| u128::from(of) * u128::from(group) / u128::from(KEY_GROUPS);
        u64::try_from(up_to(mine.end) - up_to(mine.start)).expect("a part is no more than the whole")
    }

    /// What a tick of the job means.
    pub(crate) fn tick(&self) -> Tick {
        self.context.plan.tick
    }

    /// The table of this name, of which every shard has a copy. After a rescaling it is that of the shard whose place this one has taken, which
    /// goes with the records that were on their way there.
    pub(crate) fn copied_table<K: Key + ?Sized, V: Record>(
        &mut self,
        name: &str,
    ) -> Result<Table<K, V>, Cause> {
        let state = self.states.declare::<K, V>(self.context, name)?;
        if let Some(meta) = self.mine.as_ref().and_then(|contents| contents.meta_of(name)) {
            return self.states.restore(&state, meta).map_err(Cause::state);
        }
        let mut table = self.states.create(&state);
        let shards = self.before.len();
        if let Some(before) = self.before.get_mut(self.context.instance().0.index() % shards.max(1))
            && let Some(meta) = before.contents.meta_of(name)
        {
            self.states.copy(&state, &mut table, &mut before.shard, meta).map_err(Cause::state)?;
        }
        Ok(table)
    }

    /// The queue of timers of this name: the checkpoint's, or an empty one.
    pub(crate) fn timers<K: Key + ?Sized>(&mut self, name: &str) -> Result<TimerQueue<K>, Cause> {
        // Timers have no values: declared for the sake of their keys.
        self.states.declare_timers::<K>(self.context, name)?;
        let state = StateName::new(self.states.operator(), name);
        if let Some(contents) = &self.mine
            && let Some(saved) = contents.timers_of(name)?
        {
            return TimerQueue::restore(self.states.arena(), &state, &saved).map_err(Cause::state);
        }
        let mut queue = TimerQueue::new(self.states.arena(), &state);
        for before in &mut self.before {
            if let Some(saved) = before.contents.timers_of(name)? {
                queue.import(self.states.arena(), &mut before.shard, &saved, before.groups).map_err(
                    |error| match error {
                        ImportError::State(error) => Cause::state(error),
                        other => Cause::engine(other),
                    },
                )?;
            }
        }
        Ok(queue)
    }

    /// The operator's own words, where the shards are those of the checkpoint.
    pub(crate) fn own(&self) -> Option<Reader<'_>> {
        self.mine.as_ref().map(|contents| Reader::new(&contents.own))
    }

    /// The words of the shards of the time before a rescaling, each with those of its key groups that are this shard's now (maybe none).
    pub(crate) fn own_before(&self) -> impl Iterator<Item = (KeyGroups, Reader<'_>)> {
        self.before.iter().map(|before| (before.groups, Reader::new(&before.contents.own)))
    }

    /// Whether this is the first shard: the one that goes on with the figures of a whole operator.
    pub(crate) fn is_first_shard(&self) -> bool {
        self.context.instance().0 == ShardId(0)
    }

    /// All has been declared: whatever else the checkpoint holds would be lost.
    pub(crate) fn finish(self) -> Result<Store, Cause> {
        self.states.refuse_others(self.context)?;
        self.context.types.form(self.states.operator(), Form::Tables(tables_of));
        Ok(Store { states: self.states })
    }
}

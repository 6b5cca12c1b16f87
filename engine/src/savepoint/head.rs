//! What the file `SAVEPOINT` says: everything but the entries of tables, which lie in blocks of other files.

use super::SAVEPOINT_VERSION;
use super::blocks::Block;
use super::types::TableRole;
use crate::accumulator::SavedPart;
use crate::arena::TableId;
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{Epoch, KEY_GROUPS, ShardId};
use crate::graph::{Port, ShardRange};
use crate::key::HashSeed;
use crate::limits::SHARDS_MAX;
use crate::runtime::snapshot::{
    PartitionSnapshot, SinkSnapshot, accumulators, input_times, partitions, put_accumulators,
    put_input_times, put_partitions, put_sinks, sinks,
};
use crate::schema::{KeySchema, Schema};
use crate::time::{MergeTime, Signal, Tick};

/// The name of the file.
pub(super) const FILE: &str = "SAVEPOINT";

const MAGIC: [u8; 16] = *b"millstream savep";

/// Bytes before the body: magic, version, CRC of the body, length of the body.
pub(super) const HEAD_BYTES: usize = 32;

/// How a state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateKind {
    /// Entries by key.
    Table,
    /// Timers by key.
    Timers,
    /// Records of the operator, whatever the key.
    Records,
}

impl StateKind {
    const ALL: [StateKind; 3] = [StateKind::Table, StateKind::Timers, StateKind::Records];
}

/// See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    /// What tells savepoints apart: a hash of all that the others say.
    pub(crate) id: u64,
    pub(crate) job: String,
    pub(crate) seed: HashSeed,
    pub(crate) tick: Tick,
    /// The checkpoint that it was made of.
    pub(crate) epoch: Epoch,
    /// The shards that each chain ran on, by the name of its head.
    pub(crate) chains: Vec<(String, ShardRange)>,
    pub(crate) operators: Vec<OperatorHead>,
    pub(crate) shards: Vec<ShardHead>,
}

/// What an operator keeps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OperatorHead {
    pub(crate) name: String,
    pub(crate) states: Vec<StateHead>,
    /// The records on their way to it, per input.
    pub(crate) inputs: Vec<Schema>,
}

/// A state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StateHead {
    pub(crate) name: String,
    pub(crate) kind: StateKind,
    /// The key of the stream, and what is beside it in a table's keys.
    pub(crate) key: KeySchema,
    /// What is kept. Of timers, nothing.
    pub(crate) value: Schema,
}

/// What a shard left.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ShardHead {
    pub(crate) partitions: Vec<PartitionSnapshot>,
    pub(crate) inputs: Vec<SavedInputs>,
    pub(crate) operators: Vec<SavedOperator>,
    /// Records on their way, in order: what was on a ring before what had not been sent.
    pub(crate) channels: Vec<SavedChannel>,
    pub(crate) sinks: Vec<SinkSnapshot>,
    pub(crate) accumulators: Vec<SavedPart>,
    /// The length of the shard's file.
    pub(crate) data_bytes: u64,
}

/// What an operator knew of its inputs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedInputs {
    pub(crate) operator: String,
    pub(crate) merge: MergeTime,
    pub(crate) due: Vec<Signal>,
}

/// The state of an operator on a shard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedOperator {
    pub(crate) operator: String,
    /// Its own words, without archived records.
    pub(crate) words: Vec<u8>,
    pub(crate) tables: Vec<SavedTable>,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedTable {
    /// What the operator's words call it.
    pub(crate) id: TableId,
    /// The state that it is of.
    pub(crate) state: String,
    pub(crate) role: TableRole,
    pub(crate) blocks: Vec<Block>,
}

/// Records on their way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedChannel {
    pub(crate) operator: String,
    pub(crate) port: Port,
    pub(crate) from: ShardId,
    pub(crate) to: ShardId,
    /// As `flight` writes them.
    pub(crate) records: Vec<u8>,
}

/// Why the file is not one of this format.
#[derive(Debug)]
pub(super) enum HeadError {
    Version(u32),
    Damaged(CodecError),
}

impl From<CodecError> for HeadError {
    fn from(error: CodecError) -> Self {
        HeadError::Damaged(error)
    }
}

impl Head {
    /// The bytes of the file. The id is that of the contents.
    pub(super) fn encode(&mut self) -> Vec<u8> {
        self.id = 0;
        self.id = xxhash_rust::xxh3::xxh3_64(&self.body());
        let body = self.body();
        let mut out = Writer::with_capacity(HEAD_BYTES + body.len());
        out.put_raw(&MAGIC).put_u32(SAVEPOINT_VERSION);
        out.put_u32(crc32fast::hash(&body)).put_u64(body.len() as u64).put_raw(&body);
        out.into_bytes()
    }

    /// What a fuzzer calls: reads a body that no checksum protects.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn read_body(body: &[u8]) {
        let _ = Head::get(&mut Reader::new(body));
    }

    /// What the bytes of the file say.
    pub(super) fn decode(bytes: &[u8]) -> Result<Head, HeadError> {
        let mut input = Reader::new(bytes);
        if input.array::<16>("magic")? != MAGIC {
            return Err(HeadError::Damaged(Reader::new(bytes).error("magic", "is not that of a savepoint")));
        }
        match input.u32("format version")? {
            SAVEPOINT_VERSION => {}
            other => return Err(HeadError::Version(other)),
        }
        let start = input.clone();
        let crc = input.u32("checksum")?;
        let body = input.bytes("body")?;
        let found = crc32fast::hash(body);
        if found != crc {
            return Err(start
                .error("checksum", format_args!("{found:08x} where {crc:08x} was written"))
                .into());
        }
        input.finish()?;
        Ok(Head::get(&mut Reader::new(body)).map_err(|mut error| {
            error.offset += HEAD_BYTES;
            error
        })?)
    }

    fn body(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.put_u64(self.id).put_str(&self.job).put_u64(self.seed.0).put_u32(KEY_GROUPS);
        out.put_u8(self.tick.code()).put_u64(self.epoch.0);
        out.put_list(&self.chains, |out, (head, on)| {
            out.put_str(head).put_u16(on.first).put_u16(on.count);
        });
        out.put_list(&self.operators, |out, operator| operator.put(out));
        out.put_list(&self.shards, |out, shard| shard.put(out));
        out.into_bytes()
    }

    fn get(input: &mut Reader<'_>) -> Result<Head, CodecError> {
        let id = input.u64("id")?;
        let job = input.str("job name")?.to_owned();
        let seed = HashSeed(input.u64("hash seed")?);
        let start = input.clone();
        match input.u32("key groups")? {
            KEY_GROUPS => {}
            other => return Err(start.error("key groups", format_args!("{other}, not {KEY_GROUPS}"))),
        }
        let code = input.u8("tick")?;
        let tick = Tick::from_code(code).ok_or_else(|| input.error("tick", code))?;
        let epoch = Epoch(input.u64("epoch")?);
        let chains = input.list("chains", 12, |input| {
            let head = input.str("head of chain")?.to_owned();
            Ok((head, ShardRange { first: input.u16("first shard")?, count: input.u16("number of shards")? }))
        })?;
        let operators = input.list("operators", 24, OperatorHead::get)?;
        let start = input.clone();
        let shards = input.list("shards", 56, ShardHead::get)?;
        if shards.is_empty() || shards.len() > usize::from(SHARDS_MAX) {
            return Err(start.error("shards", format_args!("{} is not a number of shards", shards.len())));
        }
        input.clone().finish()?;
        Ok(Head { id, job, seed, tick, epoch, chains, operators, shards })
    }

    /// An operator by its name.
    pub(crate) fn operator(&self, name: &str) -> Option<&OperatorHead> {
        self.operators.iter().find(|operator| operator.name == name)
    }
}

impl OperatorHead {
    fn put(&self, out: &mut Writer) {
        out.put_str(&self.name);
        out.put_list(&self.states, |out, state| {
            out.put_str(&state.name).put_u8(state.kind as u8);
            put_schema(out, &state.key.key);
            out.put_option(state.key.part.as_ref(), put_schema);
            put_schema(out, &state.value);
        });
        out.put_list(&self.inputs, put_schema);
    }

    fn get(input: &mut Reader<'_>) -> Result<OperatorHead, CodecError> {
        Ok(OperatorHead {
            name: input.str("operator")?.to_owned(),
            states: input.list("states", 26, |input| {
                Ok(StateHead {
                    name: input.str("state")?.to_owned(),
                    kind: {
                        let number = input.u8("kind of state")?;
                        let kind = StateKind::ALL.get(usize::from(number)).copied();
                        kind.ok_or_else(|| input.error("kind of state", number))?
                    },
                    key: KeySchema { key: schema(input)?, part: input.option("part of a key", schema)? },
                    value: schema(input)?,
                })
            })?,
            inputs: input.list("inputs", 8, schema)?,
        })
    }

    /// A state by its name.
    pub(crate) fn state(&self, name: &str) -> Option<&StateHead> {
        self.states.iter().find(|state| state.name == name)
    }
}

/// A schema, as a text of JSON.
fn put_schema(out: &mut Writer, schema: &Schema) {
    out.put_str(&schema.to_json().to_string());
}

fn schema(input: &mut Reader<'_>) -> Result<Schema, CodecError> {
    let start = input.clone();
    Schema::parse(input.str("schema")?).map_err(|error| start.error("schema", error))
}

impl ShardHead {
    fn put(&self, out: &mut Writer) {
        put_partitions(out, &self.partitions);
        out.put_list(&self.inputs, |out, inputs| {
            put_input_times(out, &inputs.operator, &inputs.merge, &inputs.due);
        });
        out.put_list(&self.operators, |out, operator| {
            out.put_str(&operator.operator).put_bytes(&operator.words);
            out.put_list(&operator.tables, |out, table| {
                out.put_u32(table.id.0).put_str(&table.state).put_u8(table.role.number());
                out.put_list(&table.blocks, |out, block| block.put(out));
            });
        });
        out.put_list(&self.channels, |out, channel| {
            out.put_str(&channel.operator).put_u8(channel.port.0);
            out.put_u16(channel.from.0).put_u16(channel.to.0).put_bytes(&channel.records);
        });
        put_sinks(out, &self.sinks);
        put_accumulators(out, &self.accumulators);
        out.put_u64(self.data_bytes);
    }

    fn get(input: &mut Reader<'_>) -> Result<ShardHead, CodecError> {
        Ok(ShardHead {
            partitions: partitions(input)?,
            inputs: input.list("inputs", 24, |input| {
                let (operator, merge, due) = input_times(input)?;
                Ok(SavedInputs { operator, merge, due })
            })?,
            operators: input.list("operators", 24, |input| {
                Ok(SavedOperator {
                    operator: input.str("operator")?.to_owned(),
                    words: input.bytes("operator's words")?.to_vec(),
                    tables: input.list("tables", 21, |input| {
                        Ok(SavedTable {
                            id: TableId(input.u32("table")?),
                            state: input.str("state of a table")?.to_owned(),
                            role: {
                                let number = input.u8("role of a table")?;
                                let role = TableRole::from_number(number);
                                role.ok_or_else(|| input.error("role of a table", number))?
                            },
                            blocks: input.list("blocks", Block::BYTES, Block::get)?,
                        })
                    })?,
                })
            })?,
            channels: input.list("channels", 21, |input| {
                Ok(SavedChannel {
                    operator: input.str("channel operator")?.to_owned(),
                    port: Port(input.u8("channel port")?),
                    from: ShardId(input.u16("channel producer")?),
                    to: ShardId(input.u16("channel consumer")?),
                    records: input.bytes("channel records")?.to_vec(),
                })
            })?,
            sinks: sinks(input)?,
            accumulators: accumulators(input)?,
            data_bytes: input.u64("length of a file")?,
        })
    }
}

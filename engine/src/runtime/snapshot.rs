//! What a shard notes at the moment it switches epoch: everything that does not lie in pages. It is written behind the pages of
//! the shard's delta file; `docs/formats/delta.md` draws it.

use crate::accumulator::SavedPart;
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{Epoch, ShardId, Timestamp};
use crate::graph::Port;
use crate::record::Layout;
use crate::sink::Committable;
use crate::time::{MergeTime, PartitionTime, Signal};

/// One partition of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionSnapshot {
    /// The source operator.
    pub operator: String,
    /// The partition.
    pub partition: String,
    /// Where its reader goes on.
    pub offset: Vec<u8>,
    /// Its event time.
    pub time: PartitionTime,
}

/// Records that one shard has sent to another (or to itself) and that had not been handled.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelSnapshot {
    /// The operator that they are for.
    pub operator: String,
    /// Which of its inputs they are for.
    pub port: Port,
    /// The shard that sent them.
    pub from: ShardId,
    /// The shard that they were for.
    pub to: ShardId,
    /// The frames, in order.
    pub frames: Vec<u8>,
}

/// What an operator knew of its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct InputsSnapshot {
    /// The operator.
    pub operator: String,
    /// Watermarks and idle marks per input.
    pub merge: MergeTime,
    /// What event time had done and was still to be carried out; a watermark at the front may be half fired.
    pub due: Vec<Signal>,
    /// What the records on their way to it look like, per input.
    pub records: Vec<Layout>,
}

/// One state of an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSnapshot {
    /// Its name within the operator.
    pub state: String,
    /// What its keys look like.
    pub key: Layout,
    /// What its values look like.
    pub value: Layout,
}

/// The state of an operator that keeps some.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorSnapshot {
    /// The operator.
    pub operator: String,
    /// Its states.
    pub states: Vec<StateSnapshot>,
    /// The operator's own words.
    pub data: Vec<u8>,
    /// Which of the shard's arenas holds its pages: the number of its chain. Filled in by the shard.
    pub arena: u16,
}

/// The cuts of a sink.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkSnapshot {
    /// The sink.
    pub operator: String,
    /// What it takes to commit them.
    pub committables: Vec<Committable>,
}

/// Everything a shard notes at a switch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardSnapshot {
    pub partitions: Vec<PartitionSnapshot>,
    pub inputs: Vec<InputsSnapshot>,
    pub operators: Vec<OperatorSnapshot>,
    /// What lay unread on rings (and in the shard's own lanes), by consumer.
    pub in_rings: Vec<ChannelSnapshot>,
    /// What producers had gathered but not sent before their switch position; comes after what lay on the rings.
    pub unsent: Vec<ChannelSnapshot>,
    pub sinks: Vec<SinkSnapshot>,
    /// The shard's parts of the job's accumulators.
    pub accumulators: Vec<SavedPart>,
}

fn put_layout(out: &mut Writer, layout: &Layout) {
    out.put_str(&layout.text).put_u64(layout.fingerprint);
}

fn layout(input: &mut Reader<'_>) -> Result<Layout, CodecError> {
    Ok(Layout { text: input.str("layout text")?.to_owned(), fingerprint: input.u64("layout fingerprint")? })
}

fn put_channel(out: &mut Writer, channel: &ChannelSnapshot) {
    out.put_str(&channel.operator).put_u8(channel.port.0);
    out.put_u16(channel.from.0).put_u16(channel.to.0).put_bytes(&channel.frames);
}

fn channel(input: &mut Reader<'_>) -> Result<ChannelSnapshot, CodecError> {
    Ok(ChannelSnapshot {
        operator: input.str("channel operator")?.to_owned(),
        port: Port(input.u8("channel port")?),
        from: ShardId(input.u16("channel producer")?),
        to: ShardId(input.u16("channel consumer")?),
        frames: input.bytes("channel frames")?.to_vec(),
    })
}

fn put_signal(out: &mut Writer, signal: &Signal) {
    let (kind, at) = match signal {
        Signal::Active => (0, 0),
        Signal::Advance(at) => (1, at.0),
        Signal::Idle => (2, 0),
        Signal::End => (3, 0),
    };
    out.put_u8(kind).put_i64(at);
}

fn signal(input: &mut Reader<'_>) -> Result<Signal, CodecError> {
    let (kind, at) = (input.u8("kind of signal")?, input.i64("watermark of a signal")?);
    match kind {
        0 => Ok(Signal::Active),
        1 => Ok(Signal::Advance(Timestamp(at))),
        2 => Ok(Signal::Idle),
        3 => Ok(Signal::End),
        other => Err(input.error("kind of signal", other)),
    }
}

fn put_committable(out: &mut Writer, cut: &Committable) {
    out.put_u64(cut.epoch.0).put_u16(cut.shard.0).put_bytes(&cut.bytes);
}

fn committable(input: &mut Reader<'_>) -> Result<Committable, CodecError> {
    Ok(Committable {
        epoch: Epoch(input.u64("cut epoch")?),
        shard: ShardId(input.u16("cut shard")?),
        bytes: input.bytes("cut")?.to_vec(),
    })
}

/// Writes where sources stood.
pub(crate) fn put_partitions(out: &mut Writer, partitions: &[PartitionSnapshot]) {
    out.put_list(partitions, |out, partition| {
        out.put_str(&partition.operator).put_str(&partition.partition);
        out.put_bytes(&partition.offset).put_bytes(&partition.time.to_bytes());
    });
}

/// Reads what [`put_partitions`] wrote.
pub(crate) fn partitions(input: &mut Reader<'_>) -> Result<Vec<PartitionSnapshot>, CodecError> {
    input.list("partitions", 32, |input| {
        Ok(PartitionSnapshot {
            operator: input.str("source operator")?.to_owned(),
            partition: input.str("partition")?.to_owned(),
            offset: input.bytes("offset")?.to_vec(),
            time: {
                let bytes = input.bytes("partition time")?;
                PartitionTime::from_bytes(bytes).map_err(|error| input.error("partition time", error))?
            },
        })
    })
}

/// Writes what an operator knew of the event time of its inputs.
pub(crate) fn put_input_times(out: &mut Writer, operator: &str, merge: &MergeTime, due: &[Signal]) {
    let mut bytes = Vec::new();
    merge.encode(&mut bytes);
    out.put_str(operator).put_bytes(&bytes).put_list(due, put_signal);
}

/// Reads what [`put_input_times`] wrote: the operator, its inputs, and what is due.
pub(crate) fn input_times(input: &mut Reader<'_>) -> Result<(String, MergeTime, Vec<Signal>), CodecError> {
    let operator = input.str("operator of inputs")?.to_owned();
    let bytes = input.bytes("input times")?;
    let merge = MergeTime::decode(bytes).map_err(|error| input.error("input times", error))?;
    Ok((operator, merge, input.list("signals", 9, signal)?))
}

/// Writes the cuts of sinks.
pub(crate) fn put_sinks(out: &mut Writer, sinks: &[SinkSnapshot]) {
    out.put_list(sinks, |out, sink| {
        out.put_str(&sink.operator).put_list(&sink.committables, put_committable);
    });
}

/// Reads what [`put_sinks`] wrote.
pub(crate) fn sinks(input: &mut Reader<'_>) -> Result<Vec<SinkSnapshot>, CodecError> {
    input.list("sinks", 16, |input| {
        Ok(SinkSnapshot {
            operator: input.str("sink")?.to_owned(),
            committables: input.list("cuts", 18, committable)?,
        })
    })
}

/// Writes the parts of accumulators.
pub(crate) fn put_accumulators(out: &mut Writer, parts: &[SavedPart]) {
    out.put_list(parts, |out, part| {
        out.put_str(&part.name).put_str(&part.kind).put_bytes(&part.bytes);
    });
}

/// Reads what [`put_accumulators`] wrote.
pub(crate) fn accumulators(input: &mut Reader<'_>) -> Result<Vec<SavedPart>, CodecError> {
    input.list("accumulators", 24, |input| {
        Ok(SavedPart {
            name: input.str("accumulator")?.to_owned(),
            kind: input.str("kind of accumulator")?.to_owned(),
            bytes: input.bytes("accumulated")?.to_vec(),
        })
    })
}

impl ShardSnapshot {
    /// Its bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        put_partitions(&mut out, &self.partitions);
        out.put_list(&self.inputs, |out, inputs| {
            put_input_times(out, &inputs.operator, &inputs.merge, &inputs.due);
            out.put_list(&inputs.records, put_layout);
        });
        out.put_list(&self.operators, |out, operator| {
            out.put_str(&operator.operator);
            out.put_list(&operator.states, |out, state| {
                out.put_str(&state.state);
                put_layout(out, &state.key);
                put_layout(out, &state.value);
            });
            out.put_bytes(&operator.data).put_u16(operator.arena);
        });
        out.put_list(&self.in_rings, put_channel);
        out.put_list(&self.unsent, put_channel);
        put_sinks(&mut out, &self.sinks);
        put_accumulators(&mut out, &self.accumulators);
        out.into_bytes()
    }

    /// The snapshot that these bytes stand for.
    pub(crate) fn decode(bytes: &[u8]) -> Result<ShardSnapshot, CodecError> {
        let mut input = Reader::new(bytes);
        let partitions = partitions(&mut input)?;
        let inputs = input.list("inputs", 32, |input| {
            let (operator, merge, due) = input_times(input)?;
            let records = input.list("record layouts", 12, layout)?;
            Ok(InputsSnapshot { operator, merge, due, records })
        })?;
        let operators = input.list("operators", 8, |input| {
            Ok(OperatorSnapshot {
                operator: input.str("operator")?.to_owned(),
                states: input.list("states", 28, |input| {
                    Ok(StateSnapshot {
                        state: input.str("state")?.to_owned(),
                        key: layout(input)?,
                        value: layout(input)?,
                    })
                })?,
                data: input.bytes("operator data")?.to_vec(),
                arena: input.u16("arena")?,
            })
        })?;
        let in_rings = input.list("channels", 8, channel)?;
        let unsent = input.list("unsent channels", 8, channel)?;
        let sinks = sinks(&mut input)?;
        let accumulators = accumulators(&mut input)?;
        input.finish()?;
        Ok(ShardSnapshot { partitions, inputs, operators, in_rings, unsent, sinks, accumulators })
    }
}

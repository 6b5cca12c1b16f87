//! What every checkpoint says of the job as a whole. `docs/formats/manifest.md` says where it lies.

use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::graph::{Plan, ShardRange};
use crate::time::Tick;

/// What the coordinator writes beside what the shards write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobMeta {
    /// What a tick of event time means.
    pub(crate) tick: Tick,
    /// The shards that each chain runs on, by the name of the operator at its head.
    pub(crate) chains: Vec<(String, ShardRange)>,
    /// The savepoint that the job has begun with, by its id.
    pub(crate) savepoint: Option<u64>,
}

impl JobMeta {
    /// That of a job with this plan.
    pub(crate) fn of(plan: &Plan) -> JobMeta {
        let chains = plan.chains.iter().map(|chain| (plan.name(chain.ops[0]).to_owned(), chain.on));
        JobMeta { tick: plan.tick, chains: chains.collect(), savepoint: None }
    }

    /// Its bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.put_u8(self.tick.code());
        out.put_list(&self.chains, |out, (head, on)| {
            out.put_str(head).put_u16(on.first).put_u16(on.count);
        });
        // Where there is none, nothing is written.
        if let Some(id) = self.savepoint {
            out.put_u64(id);
        }
        out.into_bytes()
    }

    /// What these bytes stand for.
    pub(crate) fn decode(bytes: &[u8]) -> Result<JobMeta, CodecError> {
        let mut input = Reader::new(bytes);
        let code = input.u8("tick")?;
        let tick = Tick::from_code(code).ok_or_else(|| input.error("tick", code))?;
        let chains = input.list("chains", 8, |input| {
            let head = input.str("head of chain")?.to_owned();
            Ok((head, ShardRange { first: input.u16("first shard")?, count: input.u16("number of shards")? }))
        })?;
        let savepoint = (input.remaining() > 0).then(|| input.u64("savepoint")).transpose()?;
        input.finish()?;
        Ok(JobMeta { tick, chains, savepoint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_and_damage_is_named() {
        for tick in [Tick::Millisecond, Tick::Microsecond, Tick::Nanosecond] {
            for savepoint in [None, Some(7)] {
                let chains = vec![("count".to_owned(), ShardRange { first: 1, count: 2 })];
                let meta = JobMeta { tick, chains, savepoint };
                assert_eq!(JobMeta::decode(&meta.encode()).unwrap(), meta);
            }
        }
        assert!(JobMeta::decode(&[3]).unwrap_err().to_string().contains("tick"));
        let mut longer = JobMeta { tick: Tick::Millisecond, chains: Vec::new(), savepoint: None }.encode();
        longer.push(0);
        assert!(JobMeta::decode(&longer).is_err());
    }
}

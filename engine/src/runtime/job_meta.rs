//! What every checkpoint says of the job as a whole. `docs/formats/manifest.md` says where it lies.

use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::time::Tick;

/// What the coordinator writes beside what the shards write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JobMeta {
    /// What a tick of event time means.
    pub(crate) tick: Tick,
}

impl JobMeta {
    /// Its bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.put_u8(self.tick.code());
        out.into_bytes()
    }

    /// What these bytes stand for.
    pub(crate) fn decode(bytes: &[u8]) -> Result<JobMeta, CodecError> {
        let mut input = Reader::new(bytes);
        let code = input.u8("tick")?;
        let tick = Tick::from_code(code).ok_or_else(|| input.error("tick", code))?;
        input.finish()?;
        Ok(JobMeta { tick })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_and_damage_is_named() {
        for tick in [Tick::Millisecond, Tick::Microsecond, Tick::Nanosecond] {
            let meta = JobMeta { tick };
            assert_eq!(JobMeta::decode(&meta.encode()).unwrap(), meta);
        }
        assert!(JobMeta::decode(&[3]).unwrap_err().to_string().contains("tick"));
        assert!(JobMeta::decode(&[0, 0]).is_err());
    }
}

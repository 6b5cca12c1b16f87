//! The records that are left out, in the state directory. Drawn in `docs/formats/poison.md`.

use std::io;
use std::path::Path;

use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::disk::{Disk, DiskError};
use crate::element::{Epoch, Timestamp};
use crate::job::JobError;
use crate::operator::suspects::{Mark, RecordId};

/// The file's name.
pub(super) const NAME: &str = "poison";

const MAGIC: [u8; 8] = *b"MSPOISON";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;

/// The marks in this file; none where there is no file.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<Mark>, JobError> {
    let whole = || {
        let file = disk.open(path)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok::<_, io::Error>(bytes)
    };
    let bytes = match whole() {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(JobError::Poisoned { error: DiskError::new("cannot read", path, &error) }),
    };
    decode(&bytes).map_err(|problem| JobError::PoisonMarks { path: path.to_owned(), problem })
}

/// Makes these the marks in the file, durably and all at once.
pub(super) fn write(disk: &dyn Disk, path: &Path, marks: &[Mark]) -> Result<(), JobError> {
    let fresh = path.with_extension("new");
    let replace = || {
        let file = disk.create(&fresh)?;
        file.write_all_at(&encode(marks), 0)?;
        file.sync()?;
        disk.rename(&fresh, path)?;
        path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))
    };
    replace().map_err(|error| JobError::Poisoned { error: DiskError::new("cannot write", path, &error) })
}

fn encode(marks: &[Mark]) -> Vec<u8> {
    let mut body = Writer::new();
    body.put_list(marks, |out, mark| {
        out.put_str(&mark.operator);
        match &mark.id {
            RecordId::Source { partition, offset, index } => {
                out.put_u8(0).put_str(partition).put_bytes(offset).put_u64(*index);
            }
            RecordId::Exchanged { port, hash, at, bytes } => {
                out.put_u8(1).put_u8(*port).put_u64(*hash).put_i64(at.0).put_bytes(bytes);
            }
        }
        out.put_option(mark.after, |out, after| {
            out.put_u64(after.0);
        });
    });
    let mut file = Writer::new();
    file.put_raw(&MAGIC).put_u32(VERSION).put_u32(crc32fast::hash(body.bytes())).put_raw(body.bytes());
    file.into_bytes()
}

fn decode(bytes: &[u8]) -> Result<Vec<Mark>, String> {
    let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err("it is too short".to_owned());
    };
    let mut fields = Reader::new(&header[MAGIC.len()..]);
    let (version, crc) = (fields.u32("version").unwrap_or(0), fields.u32("CRC").unwrap_or(0));
    if header[..MAGIC.len()] != MAGIC {
        return Err("it does not begin like one".to_owned());
    }
    if version != VERSION {
        return Err(format!("its version is {version}, this build reads {VERSION}"));
    }
    if crc != crc32fast::hash(body) {
        return Err(format!("the checksum of what follows byte {HEADER_BYTES} is wrong"));
    }
    decode_body(body).map_err(|error| error.to_string())
}

fn decode_body(body: &[u8]) -> Result<Vec<Mark>, CodecError> {
    let mut input = Reader::new(body);
    let marks = input.list("marks", 10, |input| {
        let operator = input.str("operator")?.to_owned();
        let id = match input.u8("kind of mark")? {
            0 => RecordId::Source {
                partition: input.str("partition")?.to_owned(),
                offset: input.bytes("offset")?.to_vec(),
                index: input.u64("index")?,
            },
            1 => RecordId::Exchanged {
                port: input.u8("port")?,
                hash: input.u64("hash")?,
                at: Timestamp(input.i64("event time")?),
                bytes: input.bytes("record")?.to_vec(),
            },
            kind => return Err(input.error("kind of mark", kind)),
        };
        let after = input.option("whether it was left out", |input| input.u64("epoch"))?;
        Ok(Mark { operator, id, after: after.map(Epoch) })
    })?;
    input.finish()?;
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sim_disk::{SimDisk, SimFaults};

    #[test]
    fn they_come_back_and_damage_is_named() {
        let disk = SimDisk::new(1, SimFaults::default()).shared();
        let path = Path::new("/state/poison");
        disk.create_dir_all(Path::new("/state")).unwrap();
        assert_eq!(read(disk.as_ref(), path).unwrap(), []);
        let source = RecordId::Source { partition: "0".to_owned(), offset: vec![1, 2], index: 0 };
        let exchanged = RecordId::Exchanged { port: 1, hash: 9, at: Timestamp(-1), bytes: vec![7; 40] };
        let marks = [
            Mark { operator: "numbers".to_owned(), id: source, after: None },
            Mark { operator: "count".to_owned(), id: exchanged, after: Some(Epoch(12)) },
        ];
        write(disk.as_ref(), path, &marks).unwrap();
        assert_eq!(read(disk.as_ref(), path).unwrap(), marks);
        disk.open_or_create(path).unwrap().write_all_at(&[1], 30).unwrap();
        let error = read(disk.as_ref(), path).unwrap_err().to_string();
        assert!(error.contains("/state/poison") && error.contains("checksum"), "{error}");
    }
}

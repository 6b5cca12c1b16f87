//! The file of dead letters: a line of JSON for each record that is left out.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::PoisonRecord;
use super::record::hex;
use crate::disk::{Disk, DiskError};
use crate::job::JobError;

/// Adds a record, durably. A crash right after it can make the record come here once more.
pub(super) fn append(disk: &dyn Disk, path: &Path, job: &str, record: &PoisonRecord) -> Result<(), JobError> {
    let line = line(job, record);
    let attempt = "cannot write the dead letter to";
    let write = || {
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            disk.create_dir_all(dir)?;
        }
        let file = disk.open_or_create(path)?;
        let (len, mut last) = (file.len()?, [b'\n']);
        if len > 0 {
            file.read_exact_at(&mut last, len - 1)?;
        }
        // A crash may have left half of a line.
        let line = if last == [b'\n'] { line.clone() } else { format!("\n{line}") };
        file.write_all_at(line.as_bytes(), len)?;
        file.sync()
    };
    write().map_err(|error| JobError::Poisoned { error: DiskError::new(attempt, path, &error) })
}

fn line(job: &str, record: &PoisonRecord) -> String {
    let failure = &record.failure;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut line = Line("{".to_owned());
    line.text("job", Some(job));
    line.number("left_out_at_ms", Some(now as i128));
    line.text("operator", failure.operator.as_deref());
    line.text("place", failure.place.as_deref());
    line.text("key", failure.key.as_deref());
    line.number("event_time", failure.event_time.filter(|at| at.0 != i64::MIN).map(|at| i128::from(at.0)));
    line.text("cause", Some(&failure.cause));
    if let Some((source, partition, offset)) = &record.source {
        line.text("source", Some(source));
        line.text("partition", Some(partition));
        line.text("offset", Some(&hex(offset)));
    }
    line.text("bytes", record.bytes.as_deref().map(hex).as_deref());
    line.0 + "}\n"
}

/// A line under way.
struct Line(String);

impl Line {
    fn name(&mut self, name: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _ = write!(self.0, "{comma}\"{name}\":");
    }

    fn number(&mut self, name: &str, value: Option<i128>) {
        let Some(value) = value else { return };
        self.name(name);
        let _ = write!(self.0, "{value}");
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        self.name(name);
        self.0.push('"');
        for letter in value.chars() {
            match letter {
                '"' | '\\' => self.0.extend(['\\', letter]),
                letter if letter < ' ' => {
                    let _ = write!(self.0, "\\u{:04x}", u32::from(letter));
                }
                letter => self.0.push(letter),
            }
        }
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::{ShardId, Timestamp};
    use crate::job::OperatorFailure;
    use crate::testing::sim_disk::{SimDisk, SimFaults};

    #[test]
    fn each_record_is_a_line_of_json() {
        let disk = SimDisk::new(1, SimFaults::default()).shared();
        let failure = OperatorFailure {
            operator: Some("picky".to_owned()),
            built_at: None,
            shard: ShardId(0),
            place: Some("line 3 of \"a\\b\"".to_owned()),
            event_time: Some(Timestamp(7)),
            key: None,
            cause: "no\nway".to_owned(),
        };
        let source = Some(("lines".to_owned(), "0".to_owned(), vec![1, 255]));
        let record = PoisonRecord::new(failure, 3, source, Some(b"x\0".to_vec()), None);
        let path = Path::new("/letters/dead");
        append(disk.as_ref(), path, "job", &record).unwrap();
        append(disk.as_ref(), path, "job", &record).unwrap();
        let file = disk.open(path).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), 2);
        let rest = r#""operator":"picky","place":"line 3 of \"a\\b\"","event_time":7,"cause":"no\u000away","source":"lines","partition":"0","offset":"01ff","bytes":"7800"}"#;
        assert!(
            text.lines()
                .all(|line| line.starts_with(r#"{"job":"job","left_out_at_ms":"#) && line.ends_with(rest)),
            "{text}"
        );
    }
}

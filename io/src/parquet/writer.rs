//! Rows on their way into a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_schema::{DataType, Schema as ArrowSchema};
use millstream_engine::schema::{Misfit, Value};

use super::arrays::array;
use super::column::Column;
use super::error::ParquetError;

/// How many rows become arrays together.
const BATCH_ROWS: usize = 8192;

/// So many bytes of values, at a guess, are enough for a batch.
const BATCH_BYTES: usize = 16 << 20;

/// A row is smaller than this: arrays count their contents in 31 bits.
const ROW_BYTES_MAX: usize = 1 << 30;

/// A row group is written once it takes so many bytes: until then it lies in memory.
const GROUP_BYTES: usize = 64 << 20;

/// Writes structs, one for each row, whose fields become columns.
pub(super) struct Rows {
    path: PathBuf,
    columns: Column,
    writer: ArrowWriter<File>,
    batch: Vec<Value>,
    batch_bytes: usize,
    count: u64,
}

impl Rows {
    pub(super) fn create(path: &Path, columns: Column) -> Result<Rows, ParquetError> {
        let file = File::create(path).map_err(|error| ParquetError::open(path, error))?;
        let DataType::Struct(fields) = columns.data_type() else { unreachable!("rows are structs") };
        let settings = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(file, Arc::new(ArrowSchema::new(fields)), Some(settings));
        let writer = writer.map_err(|error| ParquetError::file(path, error))?;
        let path = path.to_owned();
        Ok(Rows { path, columns, writer, batch: Vec::new(), batch_bytes: 0, count: 0 })
    }

    pub(super) fn add(&mut self, row: Value) -> Result<(), ParquetError> {
        let bytes = bytes_of(&row);
        self.count += 1;
        if bytes > ROW_BYTES_MAX {
            let problem =
                Misfit::new(format!("takes about {bytes} bytes, more than a row can; use lines of JSON"));
            return Err(ParquetError::value(&self.path, self.count, problem));
        }
        self.batch.push(row);
        self.batch_bytes += bytes;
        if self.batch.len() == BATCH_ROWS || self.batch_bytes >= BATCH_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes what is left. Gives the number of rows.
    pub(super) fn finish(mut self) -> Result<u64, ParquetError> {
        self.write()?;
        self.writer.close().map_err(|error| ParquetError::file(&self.path, error))?;
        Ok(self.count)
    }

    fn write(&mut self) -> Result<(), ParquetError> {
        let rows: Vec<Option<&Value>> = self.batch.iter().map(Some).collect();
        let first = self.count + 1 - rows.len() as u64;
        let rows =
            array(&self.columns, &rows).map_err(|misfit| ParquetError::value(&self.path, first, misfit))?;
        let rows = RecordBatch::from(rows.as_struct());
        let mut written = self.writer.write(&rows);
        if written.is_ok() && self.writer.in_progress_size() >= GROUP_BYTES {
            written = self.writer.flush();
        }
        written.map_err(|error| ParquetError::file(&self.path, error))?;
        self.batch.clear();
        self.batch_bytes = 0;
        Ok(())
    }
}

/// About how much an array takes for a value.
fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Text(text) => size_of::<i32>() + text.len(),
        Value::Opaque(bytes) => size_of::<i32>() + bytes.len(),
        Value::Option(value) => value.as_deref().map_or(1, bytes_of),
        Value::List(items) => size_of::<i32>() + items.iter().map(bytes_of).sum::<usize>(),
        Value::Map(entries) => {
            size_of::<i32>()
                + entries.iter().map(|(key, value)| bytes_of(key) + bytes_of(value)).sum::<usize>()
        }
        Value::Struct(members) | Value::Variant(_, members) => {
            size_of::<i32>() + members.iter().map(|(_, value)| bytes_of(value)).sum::<usize>()
        }
        Value::Unit
        | Value::Bool(_)
        | Value::Char(_)
        | Value::Unsigned(_)
        | Value::Signed(_)
        | Value::Float(_) => size_of::<u64>(),
    }
}

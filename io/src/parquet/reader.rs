//! Rows out of a file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchReader, StructArray};
use millstream_engine::schema::Value;

use super::cells::{Cell, cells};
use super::column::Column;
use super::error::ParquetError;

/// Shows each row of a file as a struct, with its number, from 1. Gives their number.
///
/// # Errors
/// The file cannot be read, its columns are others, a value does not fit, or `each` says so.
pub(super) fn rows(
    path: &Path,
    columns: &Column,
    mut each: impl FnMut(u64, Value) -> Result<(), ParquetError>,
) -> Result<u64, ParquetError> {
    let file = File::open(path).map_err(|error| ParquetError::open(path, error))?;
    // Without the types that the writer had in memory: then there is one type for each way in which values lie in the file.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
    let reader = reader.and_then(|reader| reader.build()).map_err(|error| ParquetError::file(path, error))?;
    let held = |batch: RecordBatch| -> Result<Cell, ParquetError> {
        let rows: ArrayRef = Arc::new(StructArray::from(batch));
        cells(columns, &rows).map_err(|misfit| ParquetError::column(path, misfit))
    };
    // Of a file without rows, too.
    drop(held(RecordBatch::new_empty(reader.schema()))?);
    let mut count = 0;
    for batch in reader {
        let batch = batch.map_err(|error| ParquetError::file(path, error))?;
        let rows = batch.num_rows();
        let value = held(batch)?;
        for row in 0..rows {
            count += 1;
            let value = value(row).map_err(|misfit| ParquetError::value(path, count, misfit))?;
            each(count, value)?;
        }
    }
    Ok(count)
}

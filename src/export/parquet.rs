//! Parquet: a column for each column, amounts as decimals with twelve places, compressed with Snappy.
//!
//! DuckDB, ClickHouse, Spark and Athena read it. Rows are kept until a row group is full.

use std::collections::HashMap;
use std::io;
use std::io::Write;
use std::sync::Arc;

use jiff::civil::date;
use parquet::basic::Compression;
use parquet::data_type::BoolType;
use parquet::data_type::ByteArray;
use parquet::data_type::ByteArrayType;
use parquet::data_type::Int32Type;
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedColumnWriter;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use crate::export::Export;
use crate::export::Row;
use crate::export::column::Column;
use crate::export::column::Content;
use crate::export::column::Value;
use crate::money::Usd;

/// Rows of a row group.
const GROUP_ROWS: usize = 64 * 1024;

/// An amount of a million dollars in one row has more digits than the column.
const MOST_PICO: i128 = 1_000_000_000_000_000_000;

/// Values of a column that are not written yet.
enum Values {
    Text { values: Vec<ByteArray>, known: HashMap<String, ByteArray> },
    Long(Vec<i64>),
    Int(Vec<i32>),
    Bool(Vec<bool>),
}

struct Buffer {
    column: Column,
    values: Values,
    /// 1 for each row that has a value, 0 for the others.
    present: Vec<i16>,
}

/// Writes rows as Parquet.
pub struct Parquet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    buffers: Vec<Buffer>,
    n_rows: usize,
}

impl<W: Write + Send> std::fmt::Debug for Parquet<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parquet").field("n_rows", &self.n_rows).finish_non_exhaustive()
    }
}

impl<W: Write + Send> Parquet<W> {
    /// Begins a file with these columns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(out: W, columns: Vec<Column>) -> io::Result<Self> {
        let fields: String = columns.iter().map(|column| format!("OPTIONAL {};\n", field(*column))).collect();
        let schema = parse_message_type(&format!("message cmat {{\n{fields}}}")).map_err(failed)?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("cmat ", env!("CARGO_PKG_VERSION")).to_owned());
        if columns.iter().any(|column| column.content == Content::Request) {
            // No two requests have the same id.
            properties = properties.set_column_dictionary_enabled(ColumnPath::from("request"), false);
        }
        let writer =
            SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build())).map_err(failed)?;
        let buffers = columns.into_iter().map(Buffer::new).collect();
        Ok(Self { writer, buffers, n_rows: 0 })
    }

    fn write_group(&mut self) -> io::Result<()> {
        if self.n_rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for buffer in &mut self.buffers {
            let Some(column) = group.next_column().map_err(failed)? else { break };
            buffer.write(column).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        self.n_rows = 0;
        Ok(())
    }
}

impl<W: Write + Send> Export for Parquet<W> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        for buffer in &mut self.buffers {
            buffer.push(row)?;
        }
        self.n_rows += 1;
        if self.n_rows == GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.write_group()?;
        let mut out = self.writer.into_inner().map_err(failed)?;
        out.flush()
    }
}

/// Returns a column as Parquet declares it.
fn field(column: Column) -> String {
    let name = column.name;
    match column.content {
        Content::Timestamp => format!("INT64 {name} (TIMESTAMP(MICROS,true))"),
        Content::Date => format!("INT32 {name} (DATE)"),
        Content::Estimated | Content::LowerBound => format!("BOOLEAN {name}"),
        Content::ListCost
        | Content::Discount
        | Content::Cost
        | Content::RoundedCost
        | Content::CostReported => {
            format!("INT64 {name} (DECIMAL(18,12))")
        }
        content if content.is_text() => format!("BYTE_ARRAY {name} (UTF8)"),
        _ => format!("INT64 {name}"),
    }
}

impl Buffer {
    fn new(column: Column) -> Self {
        let values = match column.content {
            Content::Date => Values::Int(Vec::new()),
            Content::Estimated | Content::LowerBound => Values::Bool(Vec::new()),
            content if content.is_text() => Values::Text { values: Vec::new(), known: HashMap::new() },
            _ => Values::Long(Vec::new()),
        };
        Self { column, values, present: Vec::new() }
    }

    fn push(&mut self, row: &Row<'_>) -> io::Result<()> {
        let is_present = match (&mut self.values, self.column.content) {
            (Values::Int(days), _) => {
                let days_since = (row.day - date(1970, 1, 1)).get_days();
                days.push(days_since);
                true
            }
            (Values::Long(values), Content::Timestamp) => match row.at {
                Some(at) => {
                    values.push(at.as_microsecond());
                    true
                }
                None => false,
            },
            (values, content) => push(values, content, row)?,
        };
        self.present.push(i16::from(is_present));
        Ok(())
    }

    fn write(&mut self, mut column: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let present = Some(self.present.as_slice());
        match &mut self.values {
            Values::Text { values, known } => {
                column.typed::<ByteArrayType>().write_batch(values, present, None)?;
                values.clear();
                known.clear();
            }
            Values::Long(values) => {
                column.typed::<Int64Type>().write_batch(values, present, None)?;
                values.clear();
            }
            Values::Int(values) => {
                column.typed::<Int32Type>().write_batch(values, present, None)?;
                values.clear();
            }
            Values::Bool(values) => {
                column.typed::<BoolType>().write_batch(values, present, None)?;
                values.clear();
            }
        }
        self.present.clear();
        column.close()
    }
}

/// Adds a value; returns whether there is one.
fn push(values: &mut Values, content: Content, row: &Row<'_>) -> io::Result<bool> {
    match (values, content.of(row)) {
        (Values::Text { values, known }, Value::Text(text)) => {
            let value = match known.get(text.as_ref()) {
                Some(value) => value.clone(),
                None => {
                    let value = ByteArray::from(text.as_bytes().to_vec());
                    if content != Content::Request {
                        known.insert(text.into_owned(), value.clone());
                    }
                    value
                }
            };
            values.push(value);
        }
        (Values::Long(values), Value::Count(count)) => values.push(i64::try_from(count).unwrap_or(i64::MAX)),
        (Values::Long(values), Value::Usd(amount) | Value::Rounded(amount)) => values.push(decimal(amount)?),
        (Values::Bool(values), Value::Flag(flag)) => values.push(flag),
        _ => return Ok(false),
    }
    Ok(true)
}

fn decimal(amount: Usd) -> io::Result<i64> {
    match i64::try_from(amount.pico()) {
        Ok(pico) if amount.pico().abs() < MOST_PICO => Ok(pico),
        _ => {
            Err(io::Error::other(format!("an amount of ${amount} has more digits than a column of Parquet")))
        }
    }
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::other(cause),
        },
        other => io::Error::other(other),
    }
}

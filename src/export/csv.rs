//! CSV as RFC 4180 has it: commas, quotes where needed, CRLF.
//!
//! Names of branches and tasks are foreign text, so a cell that a spreadsheet would take for a formula begins with an
//! apostrophe.

use std::io;
use std::io::Write;

use crate::export::Export;
use crate::export::Row;
use crate::export::column::Column;
use crate::export::column::Value;
use crate::export::column::bearable;
use crate::export::column::push_count;
use crate::export::column::push_usd;
use crate::report::sheet::cell_for_spreadsheets;

/// Writes rows as CSV.
pub struct Csv<W: Write> {
    writer: csv::Writer<W>,
    columns: Vec<Column>,
    cell: Vec<u8>,
}

impl<W: Write> std::fmt::Debug for Csv<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csv").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl<W: Write> Csv<W> {
    /// Begins with the headings.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn new(out: W, columns: Vec<Column>) -> io::Result<Self> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        writer.write_record(columns.iter().map(|column| column.name)).map_err(io_error)?;
        Ok(Self { writer, columns, cell: Vec::new() })
    }
}

impl<W: Write> Export for Csv<W> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        for column in &self.columns {
            self.cell.clear();
            match column.content.of(row) {
                Value::None => {}
                Value::Text(text) => {
                    self.cell.extend_from_slice(cell_for_spreadsheets(&bearable(&text)).as_bytes())
                }
                Value::Count(count) => push_count(&mut self.cell, count),
                Value::Usd(amount) => push_usd(&mut self.cell, amount),
                Value::Rounded(amount) => self.cell.extend_from_slice(amount.fixed(6).as_bytes()),
                Value::Flag(flag) => self.cell.extend_from_slice(if flag { b"true" } else { b"false" }),
            }
            self.writer.write_field(&self.cell).map_err(io_error)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(io_error)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.writer.flush()
    }
}

pub(super) fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

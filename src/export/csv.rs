//! CSV as RFC 4180 has it: commas, quotes where needed, CRLF.
//!
//! Names of branches and tasks are foreign text, so a cell that a spreadsheet would take for a formula begins with an
//! apostrophe. Lines are put together here, not by the library that reads them: of a million rows most cells are numbers
//! and need no look.

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
#[derive(Debug)]
pub struct Csv<W> {
    out: W,
    columns: Vec<Column>,
    line: Vec<u8>,
}

impl<W: Write> Csv<W> {
    /// Begins with the headings.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn new(mut out: W, columns: Vec<Column>) -> io::Result<Self> {
        let headings: Vec<&str> = columns.iter().map(|column| column.name).collect();
        write!(out, "{}\r\n", headings.join(","))?;
        Ok(Self { out, columns, line: Vec::new() })
    }
}

impl<W: Write> Export for Csv<W> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let line = &mut self.line;
        line.clear();
        for (n, column) in self.columns.iter().enumerate() {
            if n > 0 {
                line.push(b',');
            }
            match column.content.of(row) {
                Value::None => {}
                Value::Text(text) => push_text(line, &cell_for_spreadsheets(&bearable(&text))),
                Value::Count(count) => push_count(line, count),
                Value::Usd(amount) => push_usd(line, amount),
                Value::Rounded(amount) => line.extend_from_slice(amount.fixed(6).as_bytes()),
                Value::Flag(flag) => line.extend_from_slice(if flag { b"true" } else { b"false" }),
            }
        }
        if line.is_empty() {
            // One empty cell is a line all the same.
            line.extend_from_slice(b"\"\"");
        }
        line.extend_from_slice(b"\r\n");
        self.out.write_all(line)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.flush()
    }
}

/// Appends a text, in quotes if it could be taken for several cells or lines.
fn push_text(line: &mut Vec<u8>, text: &str) {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    line.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            line.push(byte);
        }
        line.push(byte);
    }
    line.push(b'"');
}

pub(super) fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_reader_of_csv_finds_each_cell_as_it_was(cells in prop::collection::vec("[a\",\r\n ;'é]{0,6}", 2..5)) {
            let mut line = Vec::new();
            for (n, cell) in cells.iter().enumerate() {
                line.extend_from_slice(if n > 0 { b"," } else { b"" });
                push_text(&mut line, cell);
            }
            line.extend_from_slice(b"\r\n");
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_slice());
            let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(read[0].iter().collect::<Vec<_>>(), cells);
        }

        #[test]
        fn numbers_are_written_as_others_write_them(count: u64, pico: i64, dollars in -1000_i64..1000) {
            let written = |push: &dyn Fn(&mut Vec<u8>)| {
                let mut out = Vec::new();
                push(&mut out);
                String::from_utf8(out).unwrap()
            };
            prop_assert_eq!(written(&|out| push_count(out, count)), count.to_string());
            for pico in [i128::from(pico), i128::from(dollars) * 1_000_000_000_000, i128::from(pico) << 30] {
                let amount = crate::money::Usd::from_pico(pico);
                prop_assert_eq!(written(&|out| push_usd(out, amount)), amount.to_string());
            }
        }
    }
}

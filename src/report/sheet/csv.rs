//! A report as CSV (RFC 4180), exact amounts, safe to open in a spreadsheet.

use std::borrow::Cow;

use crate::printable::Printable;
use crate::report::sheet::Label;
use crate::report::sheet::Row;
use crate::report::sheet::Sheet;
use crate::report::sheet::json;
use crate::summary::Totals;

/// Returns the report as CSV: a header, a row for each row, no total.
pub fn csv(sheet: &Sheet) -> String {
    let mut lines = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
    let mut header: Vec<String> = sheet.by.iter().map(ToString::to_string).collect();
    header.extend(json::FIGURES.iter().map(|(name, _)| (*name).to_owned()));
    header.extend(["models", "unpriced_models"].map(str::to_owned));
    if sheet.compares() {
        header.extend(["cost_before_usd", "cost_change_usd"].map(str::to_owned));
    }
    // Writing to memory cannot fail.
    let _infallible = lines.write_record(header.iter().map(|cell| cell_for_spreadsheets(cell).into_owned()));
    for row in &sheet.rows {
        let _infallible = lines.write_record(cells(row));
    }
    lines.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn cells(row: &Row) -> Vec<String> {
    let foreign = |text: &str| cell_for_spreadsheets(&Printable(text).to_string()).into_owned();
    let mut cells: Vec<String> = row.labels.iter().map(label).map(|label| foreign(&label)).collect();
    cells.extend(json::FIGURES.iter().map(|(_, figure)| plain(&figure(&row.totals))));
    let models: Vec<&str> = row.models.iter().map(|model| model.as_str()).collect();
    let unpriced: Vec<&str> = row.totals.unpriced_models.iter().map(|model| model.as_str()).collect();
    cells.extend([foreign(&models.join(" ")), foreign(&unpriced.join(" "))]);
    if let Some(before) = &row.before {
        cells.extend([before.cost.total().to_string(), change(&row.totals, before)]);
    }
    cells
}

/// Returns what names a row; nothing for what is unattributed, which a task may be called too.
fn label(label: &Label) -> String {
    if *label == Label::Unattributed { String::new() } else { label.text() }
}

fn change(now: &Totals, before: &Totals) -> String {
    (now.cost.total() - before.cost.total()).to_string()
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns a text so that no spreadsheet takes it for a formula: branches and tasks are named by anybody.
///
/// ```
/// use cmat::report::sheet::cell_for_spreadsheets;
///
/// assert_eq!(cell_for_spreadsheets("=1+1"), "'=1+1");
/// assert_eq!(cell_for_spreadsheets("main"), "main");
/// ```
pub fn cell_for_spreadsheets(text: &str) -> Cow<'_, str> {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            Cow::Owned(format!("'{text}"))
        }
        _ => Cow::Borrowed(text),
    }
}

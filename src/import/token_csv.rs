//! `token_usage.csv`: a row for each call, with a header once.

use crate::id::TaskId;
use crate::import::Beside;
use crate::import::ImportError;
use crate::import::Record;
use crate::import::Source;
use crate::import::Told;
use crate::import::fields::Wrong;
use crate::import::fields::amount;
use crate::import::fields::believable;
use crate::import::fields::count;
use crate::import::fields::text_of;
use crate::import::fields::time;
use crate::import::model_of;
use crate::import::shown;
use crate::usage::RawTokens;

const KIND: &str = "token-csv";

/// The columns of the log, in their order.
pub(super) const HEADER: [&str; 7] = [
    "timestamp",
    "operation",
    "job",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost_estimate_usd",
];

pub(super) fn read(text: &str, beside: &Beside) -> Result<Told, ImportError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text.as_bytes());
    let mut told = Told::default();
    let mut row = csv::StringRecord::new();
    let (mut is_first, mut n_decimals) = (true, 0);
    let mut lines = Lines { text, offset: 0, line: 1 };
    loop {
        let line = lines.at(reader.position().byte());
        match reader.read_record(&mut row) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => return Err(ImportError::Damaged { line, why: format!("it is no CSV ({error})") }),
        }
        if std::mem::take(&mut is_first) {
            if row.iter().ne(HEADER) {
                return Err(ImportError::OtherKind {
                    kind: KIND,
                    why: format!("its first line is not `{}`", HEADER.join(",")),
                });
            }
            continue;
        }
        told.records.push(call(&row, line, beside)?);
        n_decimals =
            row.get(6).and_then(|cost| cost.split_once('.')).map_or(0, |(_, decimals)| decimals.len());
    }
    if is_first {
        return Err(ImportError::OtherKind { kind: KIND, why: "it is empty".to_owned() });
    }
    refuse_cut(text, n_decimals)?;
    Ok(told)
}

/// Counts lines, as far as they were read.
struct Lines<'a> {
    text: &'a str,
    offset: usize,
    line: u64,
}

impl Lines<'_> {
    /// Returns the line of the row that begins at `offset` or, if a line end stands there, behind it.
    fn at(&mut self, offset: u64) -> u64 {
        let bytes = self.text.as_bytes();
        let mut to = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        while bytes.get(to).is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            to += 1;
        }
        let passed = bytes.get(self.offset..to).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.offset = self.offset.max(to);
        self.line
    }
}

fn call(row: &csv::StringRecord, line: u64, beside: &Beside) -> Result<Record, ImportError> {
    let fields: Vec<&str> = row.iter().map(without_guard).collect();
    let [timestamp, operation, job, input, output, total, cost] = fields.as_slice() else {
        let why = format!("it has {} fields; expected {}: it is cut or damaged", row.len(), HEADER.len());
        return Err(ImportError::Damaged { line, why });
    };
    let at = time(timestamp, beside).map_err(|wrong| wrong.at(line, "timestamp"))?;
    let operation = text_of(operation).map_err(|wrong| wrong.at(line, "operation"))?;
    let job = text_of(job).map_err(|wrong| wrong.at(line, "job"))?;
    let input = count(input).and_then(believable).map_err(|wrong| wrong.at(line, "prompt_tokens"))?;
    let output = count(output).and_then(believable).map_err(|wrong| wrong.at(line, "completion_tokens"))?;
    let total_tokens = count(total).map_err(|wrong| wrong.at(line, "total_tokens"))?;
    if total_tokens != input + output {
        let wrong = Wrong::new(shown(total), "the sum of prompt_tokens and completion_tokens");
        return Err(wrong.at(line, "total_tokens"));
    }
    let cost_reported = amount(cost).map_err(|wrong| wrong.at(line, "cost_estimate_usd"))?;
    let model = model_of(Source::TokenCsv, beside, line)?;
    let identity = serde_json::json!([timestamp, operation, job, input, output, cost_reported]).to_string();
    Ok(Record {
        tokens: RawTokens { input, output, ..RawTokens::default() },
        task: job.and_then(|job| TaskId::new(job).ok()),
        operation,
        cost_reported: Some(cost_reported),
        ..Record::new(identity, model, at)
    })
}

/// Takes the apostrophe off that keeps a spreadsheet from taking a text for a formula.
fn without_guard(field: &str) -> &str {
    match field.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) => {
            rest
        }
        _ => field,
    }
}

/// Costs have six decimal places: a last line without an end and with fewer is half a line.
fn refuse_cut(text: &str, n_decimals: usize) -> Result<(), ImportError> {
    if text.ends_with('\n') || n_decimals == 6 || text.lines().count() == 1 {
        return Ok(());
    }
    let line = text.lines().count() as u64;
    Err(ImportError::Damaged { line, why: "it has no end: the file is cut".to_owned() })
}

//! Values of a foreign file, each checked before it is believed.

use std::str::FromStr as _;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Map;
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::id::ModelId;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::import::Beside;
use crate::import::ImportError;
use crate::import::MOST_TOKENS;
use crate::import::MOST_TOKENS_OF_A_REQUEST;
use crate::import::MOST_USD;
use crate::import::shown;
use crate::money::Usd;

/// First year of which a request may be: before it there was no Claude.
const FIRST_YEAR: i16 = 2022;
/// How far in the future a time may lie, in seconds: clocks and zones differ.
const SLACK_SECONDS: i64 = 2 * 24 * 60 * 60;
/// Longest text that is kept, in bytes.
const MAX_TEXT_BYTES: usize = 256;

/// The members of an object, and the line that it begins in.
pub(super) struct Fields {
    pub(super) line: u64,
    members: Map<String, Value>,
}

/// What is wrong with a value.
pub(super) struct Wrong {
    found: String,
    expected: &'static str,
}

impl Wrong {
    pub(super) fn new(found: String, expected: &'static str) -> Self {
        Self { found, expected }
    }

    pub(super) fn at(self, line: u64, field: &'static str) -> ImportError {
        ImportError::Value { line, field, found: self.found, expected: self.expected }
    }
}

impl Fields {
    /// Reads an object that stands in `text`.
    pub(super) fn of(text: &str, raw: &RawValue) -> Result<Self, ImportError> {
        let line = line_of(text, raw);
        match serde_json::from_str(raw.get()) {
            Ok(Value::Object(members)) => Ok(Self { line, members }),
            _ => Err(ImportError::Value {
                line,
                field: "entry",
                found: shown(raw.get()),
                expected: "an object",
            }),
        }
    }

    pub(super) fn new(line: u64, members: Map<String, Value>) -> Self {
        Self { line, members }
    }

    /// Returns a value that is there and is not `null`.
    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.members.get(field).filter(|value| !value.is_null())
    }

    /// Returns an object within this one.
    pub(super) fn object(&self, field: &str) -> Option<Self> {
        let members = self.get(field)?.as_object()?.clone();
        Some(Self { line: self.line, members })
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.members.iter()
    }

    /// Returns a token count; 0 if it is not there.
    pub(super) fn count(&self, field: &'static str) -> Result<u64, ImportError> {
        self.get(field).map_or(Ok(0), |value| count(&literal(value)).map_err(|w| w.at(self.line, field)))
    }

    /// Returns a token count of one request, which has to be there.
    pub(super) fn count_of_a_request(&self, field: &'static str) -> Result<u64, ImportError> {
        let count = self.required_count(field)?;
        believable(count).map_err(|wrong| wrong.at(self.line, field))
    }

    /// Returns a token count that has to be there.
    pub(super) fn required_count(&self, field: &'static str) -> Result<u64, ImportError> {
        if self.get(field).is_none() {
            return Err(Wrong::new("missing".to_owned(), COUNT).at(self.line, field));
        }
        self.count(field)
    }

    /// Returns an amount in USD.
    pub(super) fn amount(&self, field: &'static str) -> Result<Option<Usd>, ImportError> {
        let value = self.get(field);
        value.map(|value| amount(&literal(value)).map_err(|wrong| wrong.at(self.line, field))).transpose()
    }

    /// Returns a time that has to be there.
    pub(super) fn time(&self, field: &'static str, beside: &Beside) -> Result<Timestamp, ImportError> {
        let text = self.get(field).map_or_else(|| "missing".to_owned(), literal);
        time(&text, beside).map_err(|wrong| wrong.at(self.line, field))
    }

    /// Returns a text that is not empty.
    pub(super) fn text(&self, field: &'static str) -> Result<Option<String>, ImportError> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => text_of(text).map_err(|wrong| wrong.at(self.line, field)),
            Some(other) => Err(Wrong::new(shown(&other.to_string()), TEXT).at(self.line, field)),
        }
    }

    pub(super) fn model(&self, field: &'static str) -> Result<Option<ModelId>, ImportError> {
        Ok(self.text(field)?.and_then(|id| ModelId::new(id).ok()))
    }

    pub(super) fn session(&self, field: &'static str) -> Result<Option<SessionId>, ImportError> {
        Ok(self.text(field)?.and_then(|id| SessionId::new(id).ok()))
    }

    pub(super) fn task(&self, field: &'static str) -> Result<Option<TaskId>, ImportError> {
        Ok(self.text(field)?.and_then(|id| TaskId::new(id).ok()))
    }
}

const COUNT: &str = "a whole number from 0 to 1,099,511,627,776";
const COUNT_OF_A_REQUEST: &str = "at most 100,000,000 tokens in a request";
const AMOUNT: &str = "an amount in USD from 0 to 1,000,000";
const TIME: &str = "a time such as 2025-01-01T10:30:00, of 2022 or later and not in the future";
const TEXT: &str = "a text of at most 256 bytes";

/// Returns a value as its file writes it, a string without its quotes.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn count(text: &str) -> Result<u64, Wrong> {
    let wrong = || Wrong::new(shown(text), COUNT);
    let text = text.trim();
    // A spreadsheet that has saved the file may have written `2000.0`.
    let whole = text.strip_suffix(".0").unwrap_or(text);
    let digits = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    let count = whole.parse().ok().filter(|count| digits && *count <= MOST_TOKENS);
    count.ok_or_else(wrong)
}

/// Returns a token count of one request, unless no request has so many.
pub(super) fn believable(count: u64) -> Result<u64, Wrong> {
    if count > MOST_TOKENS_OF_A_REQUEST {
        return Err(Wrong::new(shown(&count.to_string()), COUNT_OF_A_REQUEST));
    }
    Ok(count)
}

pub(super) fn amount(text: &str) -> Result<Usd, Wrong> {
    let amount = Usd::from_str(text.trim()).ok();
    let believable = amount.filter(|amount| (Usd::ZERO..=MOST_USD).contains(amount));
    believable.ok_or_else(|| Wrong::new(shown(text), AMOUNT))
}

/// Returns the instant of a time that may name its zone or not, or name it twice (`+00:00Z`, as Python programs do).
pub(super) fn time(text: &str, beside: &Beside) -> Result<Timestamp, Wrong> {
    let wrong = || Wrong::new(shown(text), TIME);
    let text = text.trim();
    let once = text.strip_suffix('Z').filter(|rest| rest.parse::<Timestamp>().is_ok()).unwrap_or(text);
    let at = match once.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            let local: DateTime = once.parse().map_err(|_| wrong())?;
            beside.zone.to_ambiguous_zoned(local).compatible().map_err(|_| wrong())?.timestamp()
        }
    };
    let year = at.to_zoned(TimeZone::UTC).year();
    let is_believable = year >= FIRST_YEAR && at.as_second() <= beside.now.as_second() + SLACK_SECONDS;
    is_believable.then_some(at).ok_or_else(wrong)
}

pub(super) fn text_of(text: &str) -> Result<Option<String>, Wrong> {
    match text.trim() {
        "" => Ok(None),
        text if text.len() > MAX_TEXT_BYTES => Err(Wrong::new(shown(text), TEXT)),
        text => Ok(Some(text.to_owned())),
    }
}

/// Returns the line in which a value begins that stands in `text`.
pub(super) fn line_of(text: &str, raw: &RawValue) -> u64 {
    let offset = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() as u64
}

/// Says why JSON could not be read: it is of another shape, or damaged.
pub(super) fn json_error(kind: &'static str, text: &str, error: &serde_json::Error) -> ImportError {
    let line = error.line() as u64;
    let message = error.to_string();
    let why = message.split(" at line ").next().unwrap_or_default().to_owned();
    match error.classify() {
        Category::Data if text.trim_start().starts_with('[') => {
            ImportError::OtherKind { kind, why: "it is a list; expected an object".to_owned() }
        }
        Category::Data => ImportError::OtherKind { kind, why: format!("{why} (line {line})") },
        Category::Eof => ImportError::Damaged { line, why: "the file ends here: it is cut".to_owned() },
        Category::Syntax | Category::Io => {
            let rest = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
            let rest: String = rest.chars().skip(error.column().saturating_sub(2)).collect();
            let found = ["NaN", "-Infinity", "Infinity"].iter().find(|word| rest.contains(**word));
            match found {
                Some(word) if line > 0 => ImportError::Damaged {
                    line,
                    why: format!("`{word}` is no number: the program that wrote it had none"),
                },
                _ if line <= 1 && !text.trim_start().starts_with(['{', '[']) => {
                    ImportError::OtherKind { kind, why: "it is no JSON".to_owned() }
                }
                _ => ImportError::Damaged { line, why: format!("it is no JSON from here on ({why})") },
            }
        }
    }
}

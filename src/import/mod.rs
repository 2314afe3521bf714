//! What other programs recorded of their requests, read from the files that they keep.
//!
//! Bytes in, records out, all or nothing: a file that is of another kind, cut or absurd is an error with its line.
//! What a program says a request cost is kept beside the record; what it costs is not decided here.

mod claude_result;
mod fields;
mod haiku_usage;
mod resume_customizer;
mod task_queue;
mod token_csv;

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::id::ModelId;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::money::Usd;
use crate::printable::Printable;
use crate::usage::RawTokens;

/// Most tokens of one kind in one record: what a transcript line may state, too.
pub const MOST_TOKENS: u64 = 1 << 40;
/// Most tokens of one kind in a record of one request: a hundred times the largest context of any model.
pub const MOST_TOKENS_OF_A_REQUEST: u64 = 100_000_000;
/// Most that a record is believed to have cost.
const MOST_USD: Usd = Usd::from_pico(1_000_000_000_000_000_000);
/// Most requests that one record stands for.
const MOST_REQUESTS: u64 = 1_000_000_000;

/// Who told of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A person or a program, by `cmat record` or the library.
    Record,
    /// The JSON store of the resume customizer: a list of `calls`, and budgets.
    ResumeCustomizer,
    /// The token log of the resume tailor: a CSV file with a row for each call.
    TokenCsv,
    /// The usage history of the image pipeline: a list of `sessions`.
    HaikuUsage,
    /// The cost keys of a task queue, as the Python CMAT fills them in.
    TaskQueue,
    /// What `claude -p --output-format json` or `stream-json` printed.
    ClaudeResult,
}

impl Source {
    /// Returns the name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::ResumeCustomizer => "resume-customizer",
            Self::TokenCsv => "token-csv",
            Self::HaikuUsage => "haiku-usage",
            Self::TaskQueue => "task-queue",
            Self::ClaudeResult => "claude-result",
        }
    }

    /// Returns the model that a file of this kind is about, where it names none.
    fn model(self) -> Option<&'static str> {
        match self {
            Self::TokenCsv => Some("claude-3-7-sonnet-20250219"),
            Self::HaikuUsage => Some("claude-3-5-haiku-20241022"),
            Self::Record | Self::ResumeCustomizer | Self::TaskQueue | Self::ClaudeResult => None,
        }
    }
}

/// What it means that a record is told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// It is the same one.
    Same,
    /// It is a later state of the same one, whose figures only grow.
    Grows,
}

/// A request, or several summed up, that no transcript shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What makes it the same record when it is told again by the same source.
    pub identity: String,
    /// Whether its figures may grow.
    pub repetition: Repetition,
    /// When it was made, UTC.
    pub at: Timestamp,
    /// The model, as the source names it.
    pub model: ModelId,
    /// Its tokens; each count at most [`MOST_TOKENS`].
    pub tokens: RawTokens,
    /// Web searches, billed per request.
    pub web_search_requests: u64,
    /// How many requests it stands for.
    pub requests: u64,
    /// At the Batch API's price.
    pub batch: bool,
    /// The Claude Code session that it is about; its transcript, once read, tells the same in detail.
    pub session: Option<SessionId>,
    /// A name for those that belong together, where there is no session.
    pub group: Option<String>,
    /// The task.
    pub task: Option<TaskId>,
    /// The enhancement.
    pub enhancement: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// What it was for, such as `analysis`.
    pub operation: Option<String>,
    /// Tags as a JSON object.
    pub tags: Option<String>,
    /// What the source says it cost.
    pub cost_reported: Option<Usd>,
}

impl Record {
    /// Returns one request of `model` at `at` that nothing more is known of.
    pub fn new(identity: String, model: ModelId, at: Timestamp) -> Self {
        Self {
            identity,
            repetition: Repetition::Same,
            at,
            model,
            tokens: RawTokens::default(),
            web_search_requests: 0,
            requests: 1,
            batch: false,
            session: None,
            group: None,
            task: None,
            enhancement: None,
            agent: None,
            operation: None,
            tags: None,
            cost_reported: None,
        }
    }
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Its records, in its order.
    pub records: Vec<Record>,
    /// Budgets that it holds: the `cmat` commands that set them.
    pub budgets: Vec<String>,
    /// What else a person should know, one sentence each.
    pub remarks: Vec<String>,
}

/// What is not in the file and has to be said beside it.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The zone of times that name none.
    pub zone: TimeZone,
    /// The model of records that name none; the kind of file knows it otherwise.
    pub model: Option<ModelId>,
    /// The time of records that state none.
    pub at: Timestamp,
    /// The present time: what was made later is absurd.
    pub now: Timestamp,
}

/// Why a file is not imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is something else.
    #[error("it is no {kind} file: {why}")]
    OtherKind {
        /// The kind of file that was expected.
        kind: &'static str,
        /// What it lacks.
        why: String,
    },
    /// It ends early, or is damaged.
    #[error("line {line}: {why}")]
    Damaged {
        /// Where, from 1.
        line: u64,
        /// What is wrong there.
        why: String,
    },
    /// It holds a value that cannot be.
    #[error("line {line}: {field} is {found}; expected {expected}")]
    Value {
        /// Where, from 1.
        line: u64,
        /// Name of the value.
        field: &'static str,
        /// What stands there.
        found: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// It does not say which model was used.
    #[error("line {line}: no model is named; name it with `--model`")]
    NoModel {
        /// Where, from 1.
        line: u64,
    },
}

/// Reads a file of the kind that `source` keeps.
///
/// # Errors
/// [`ImportError`] if anything in it cannot be believed; then nothing of it is.
pub fn read(source: Source, text: &str, beside: &Beside) -> Result<Told, ImportError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut told = match source {
        Source::ResumeCustomizer => resume_customizer::read(text, beside)?,
        Source::TokenCsv => token_csv::read(text, beside)?,
        Source::HaikuUsage => haiku_usage::read(text, beside)?,
        Source::TaskQueue => task_queue::read(text, beside)?,
        Source::ClaudeResult => claude_result::read(text, beside)?,
        Source::Record => Told::default(),
    };
    number_repeats(&mut told.records);
    Ok(told)
}

/// Two equal rows are two calls, so the second one's identity says that it is the second.
fn number_repeats(records: &mut [Record]) {
    let mut seen: HashMap<String, u64> = HashMap::new();
    for record in records.iter_mut().filter(|record| record.repetition == Repetition::Same) {
        let n = seen.entry(record.identity.clone()).or_default();
        *n += 1;
        if *n > 1 {
            record.identity.push_str(&format!(" #{n}"));
        }
    }
}

/// Returns the model of records of `source` that name none.
fn model_of(source: Source, beside: &Beside, line: u64) -> Result<ModelId, ImportError> {
    let known = || source.model().and_then(|id| ModelId::new(id).ok());
    beside.model.clone().or_else(known).ok_or(ImportError::NoModel { line })
}

/// Returns a text as it can be shown in an error: short, and safe for a terminal.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("`{}`", Printable(&short))
}

#[cfg(test)]
mod tests;

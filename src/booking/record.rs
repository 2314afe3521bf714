//! Records of other programs, and of people, booked beside what transcripts show.

use std::path::Path;

use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::attribution::BindingSource;
use crate::booking;
use crate::booking::BookingError;
use crate::booking::Books;
use crate::id::MessageId;
use crate::id::SessionId;
use crate::import::Record;
use crate::import::Repetition;
use crate::import::Source;
use crate::ledger::Durability;
use crate::ledger::LedgerError;
use crate::ledger::binding::NewBinding;
use crate::ledger::record::Outcome;
use crate::ledger::recording::Recording;
use crate::ledger::recording::Sureness;
use crate::money::Usd;
use crate::project::Project;
use crate::usage::RequestKey;

/// How many hexadecimal digits of a hash tell records apart.
const KEY_DIGITS: usize = 32;

/// How many of them tell groups of records apart.
const GROUP_DIGITS: usize = 12;

/// What booking records came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Booked {
    /// Records that were new.
    pub new: u64,
    /// Records that were known and have grown.
    pub grown: u64,
    /// Records that were known.
    pub known: u64,
    /// Records that were known with other figures, which stay.
    pub differing: u64,
    /// Records that do not count, because the transcript of their session is recorded.
    pub in_transcript: u64,
    /// Records whose figures count as recorded elsewhere already.
    pub recorded_elsewhere: u64,
    /// Records that a person had forgotten.
    pub forgotten: u64,
    /// Requests that all of them stand for.
    pub requests: u64,
    /// What all of them cost by the price table.
    #[serde(rename = "cost_usd")]
    pub cost: Usd,
    /// What their source says that they cost.
    #[serde(rename = "cost_reported_usd")]
    pub reported: Usd,
    /// A price was guessed.
    pub estimated: bool,
    /// A part has no price, so the true cost is higher.
    pub unpriced: bool,
}

/// What becomes of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Commit,
    Drop,
}

impl Books {
    /// Books what `source` tells, all of it or nothing; told twice it is booked once.
    ///
    /// What names no session of Claude Code is given one of its own, by source, task and the rest, so that it can be
    /// assigned, forgotten and shown like others. A session that names a task and is bound to none is bound to it.
    ///
    /// # Errors
    /// Only those of the ledger; nothing is booked then.
    ///
    /// ```no_run
    /// use cmat::booking::Books;
    /// use cmat::import::Record;
    /// use cmat::import::Source;
    /// use cmat::project;
    /// use cmat::usage::RawTokens;
    ///
    /// fn book(books: &mut Books) -> Result<(), Box<dyn std::error::Error>> {
    ///     let project = project::find(std::path::Path::new("/home/ann/app"), None);
    ///     let record = Record {
    ///         tokens: RawTokens { input: 550, output: 100, ..RawTokens::default() },
    ///         task: Some("task_1702345678_12345".parse()?),
    ///         ..Record::new("invoice-17/3".to_owned(), "claude-3-5-haiku-20241022".parse()?, books.now)
    ///     };
    ///     let booked = books.record(Source::Record, &[record], &project)?;
    ///     println!("${}", booked.cost);
    ///     Ok(())
    /// }
    /// ```
    pub fn record(
        &mut self,
        source: Source,
        records: &[Record],
        project: &Project,
    ) -> Result<Booked, BookingError> {
        self.book_told(source, records, project, Ending::Commit)
    }

    /// Returns what [`Books::record`] would come to, and books nothing.
    ///
    /// # Errors
    /// Only those of the ledger.
    pub fn rehearse_record(
        &mut self,
        source: Source,
        records: &[Record],
        project: &Project,
    ) -> Result<Booked, BookingError> {
        self.book_told(source, records, project, Ending::Drop)
    }

    fn book_told(
        &mut self,
        source: Source,
        records: &[Record],
        project: &Project,
        ending: Ending,
    ) -> Result<Booked, BookingError> {
        let mut recording = self.ledger.record(Durability::Irreplaceable, self.now)?;
        let prices = &mut self.prices;
        let mut booked = Booked::default();
        for record in records {
            let session = session_of(source, record, &project.root);
            if source == Source::TaskQueue && recording.n_adopted(&project.root, record)? > 0 {
                booked.recorded_elsewhere += 1;
                continue;
            }
            recording.session_in_project(&session, project, Sureness::Guessed, &mut |project, facts| {
                prices.charges(project, facts)
            })?;
            bind(&mut recording, source, &session, record, project, self.now)?;
            let key = key_of(source, record, &project.root)?;
            let recorded = recording
                .told(key, &session, source, record, &mut |project, facts| prices.charges(project, facts))?;
            let count = match recorded.outcome {
                Outcome::New => &mut booked.new,
                Outcome::Grown => &mut booked.grown,
                Outcome::Known => &mut booked.known,
                Outcome::Differs => &mut booked.differing,
                Outcome::InTranscript => &mut booked.in_transcript,
                Outcome::Forgotten => &mut booked.forgotten,
            };
            *count += 1;
            booked.requests = booked.requests.saturating_add(record.requests);
            booked.cost += recorded.cost;
            booked.reported += record.cost_reported.unwrap_or_default();
            booked.estimated |= recorded.estimated;
            booked.unpriced |= recorded.unpriced;
        }
        match ending {
            Ending::Commit => recording.commit()?,
            Ending::Drop => drop(recording),
        }
        Ok(booked)
    }
}

/// Binds a session that nothing was said of to what the record names.
fn bind(
    recording: &mut Recording<'_>,
    source: Source,
    session: &SessionId,
    record: &Record,
    project: &Project,
    now: jiff::Timestamp,
) -> Result<(), LedgerError> {
    let names_nothing = record.task.is_none() && record.enhancement.is_none() && record.tags.is_none();
    if names_nothing || recording.is_bound(session)? {
        return Ok(());
    }
    let task = match &record.task {
        Some(task) => Some(recording.task(&project.root, task)?),
        None => None,
    };
    // A queue that is imported stays as it is; any other task shows in its queue what it costs.
    if let (Some(task), Some(queue), true) = (task, booking::find_queue(project), source != Source::TaskQueue)
    {
        recording.show_in_queue(task, queue.path())?;
    }
    recording.bind_session(
        session,
        &NewBinding {
            task,
            enhancement: record.enhancement.as_deref(),
            agent: record.agent.as_deref(),
            tags: record.tags.as_deref(),
            user: None,
            since: None,
            said: now,
            source: BindingSource::Command,
        },
    )
}

/// Returns the session that a record belongs to: its own, else one for all that belongs together.
fn session_of(source: Source, record: &Record, project: &Path) -> SessionId {
    if let Some(session) = &record.session {
        return session.clone();
    }
    let together = serde_json::json!([
        project.to_string_lossy(),
        record.task,
        record.enhancement,
        record.tags,
        record.group,
    ]);
    let name = match &record.group {
        Some(group) => format!("{}: {group}", source.as_str()),
        None => format!("{}: {}", source.as_str(), &hex(together.to_string().as_bytes())[..GROUP_DIGITS]),
    };
    SessionId::new(name)
        .unwrap_or_else(|_| SessionId::new(source.as_str()).expect("the name of a source is a short word"))
}

fn key_of(source: Source, record: &Record, project: &Path) -> Result<RequestKey, LedgerError> {
    // A task's id means something in its project only; everything else is itself wherever it is told.
    let place = match (source, record.repetition) {
        (Source::TaskQueue, Repetition::Grows) => project.to_string_lossy(),
        _ => std::borrow::Cow::Borrowed(""),
    };
    let hash = hex(format!("{}\n{place}\n{}", source.as_str(), record.identity).as_bytes());
    MessageId::new(&hash[..KEY_DIGITS])
        .map(RequestKey::Record)
        .map_err(|_| LedgerError::Corrupt { what: "an endless hash".to_owned() })
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

//! What lines without usage tell of a session: when a person asked for something, by which command, and which pull
//! request the work went into.
//!
//! Of a prompt only its time and the name of its command are kept.

use jiff::Timestamp;

use super::json::Leaf;
use super::json::Object;
use super::json::Prompt as Said;
use super::json::Spelled;
use super::json::shape;
use super::parser::Text;
use super::request;
use super::tail::ECHOES;
use crate::id::SessionId;

/// Longest name of a command, and of a repository, that is kept, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Texts of `user` lines that nobody asked: what the client itself tells the model.
const CLIENTS_OWN: [&str; 3] = ["<task-notification>", "<system-reminder>", "[Request interrupted by user"];

/// How the client asks for the rest of an answer whose stream broke. What had come of it stands there like an answer that
/// ended well, with the count of its beginning.
const BROKEN_OFF: &str = "Your response above was cut off mid-stream";

/// How a command that is a prompt begins.
const COMMAND: &str = "<command-message>";

/// That a person asked for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The session that was asked.
    pub session: SessionId,
    /// When, in UTC, to the millisecond.
    pub at: Timestamp,
    /// The slash command, as `/review`; `None` for any other prompt.
    pub command: Option<String>,
}

/// That a session opened a pull request, or worked on one: a `pr-link` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The session.
    pub session: SessionId,
    /// When, in UTC, to the millisecond.
    pub at: Timestamp,
    /// The pull request, as `owner/repository#42`, or `#42` if no repository is named.
    pub name: String,
}

shape! {
    /// A line as far as it is a prompt or tells of a pull request.
    Note {
        kind: Leaf<'line> = b"type",
        session: Leaf<'line> = b"sessionId",
        timestamp: Leaf<'line> = b"timestamp",
        is_meta: Leaf<'line> = b"isMeta",
        is_compact_summary: Leaf<'line> = b"isCompactSummary",
        is_sidechain: Leaf<'line> = b"isSidechain",
        agent_id: Leaf<'line> = b"agentId",
        message: Object<Message<'line>> = b"message",
        number: Spelled<'line> = b"prNumber",
        repository: Leaf<'line> = b"prRepository",
    }
}

shape! {
    /// `message` of a prompt.
    Message {
        content: Said<'line> = b"content",
    }
}

/// Returns the prompt that a record is; `session` is the one of a line that names none.
///
/// A line with a tool's result is none: the finder leaves it out.
pub(super) fn prompt(note: &Note<'_>, session: &SessionId) -> Option<Prompt> {
    let is_a_persons = note.kind.text() == Some("user")
        && [&note.is_meta, &note.is_compact_summary, &note.is_sidechain]
            .iter()
            .all(|flag| **flag != Leaf::True)
        && note.agent_id.text().is_none();
    let said = note.message.0.as_deref().filter(|_| is_a_persons)?.content.0;
    let beginning = said.map(Text::beginning).unwrap_or_default();
    if ECHOES.iter().chain(&CLIENTS_OWN).any(|echo| beginning.starts_with(echo)) {
        return None;
    }
    let (session, at) = whose(note, session)?;
    let command = said.filter(|_| beginning.starts_with(COMMAND)).and_then(|said| command(&said.said()));
    Some(Prompt { session, at, command })
}

/// Returns whether a record says that the answer before it broke off, so that nobody knows all that is to be paid for it.
pub(super) fn is_broken_off(note: &Note<'_>) -> bool {
    let says = |message: &Message<'_>| {
        message.content.0.is_some_and(|said| said.beginning().starts_with(BROKEN_OFF))
    };
    note.kind.text() == Some("user")
        && note.is_meta == Leaf::True
        && note.message.0.as_deref().is_some_and(says)
}

/// Returns the pull request that a record tells of.
pub(super) fn pull_request(note: &Note<'_>, session: &SessionId) -> Option<PullRequest> {
    if note.kind.text() != Some("pr-link") {
        return None;
    }
    let number: u32 = std::str::from_utf8(note.number.0?).ok()?.parse().ok()?;
    let repository = note.repository.text().and_then(name).unwrap_or_default();
    let (session, at) = whose(note, session)?;
    Some(PullRequest { session, at, name: format!("{repository}#{number}") })
}

fn whose(note: &Note<'_>, session: &SessionId) -> Option<(SessionId, Timestamp)> {
    let session = note.session.text().map_or(Ok(session.clone()), SessionId::new).ok()?;
    Some((session, request::timestamp(&note.timestamp)?))
}

fn command(said: &str) -> Option<String> {
    let (_, rest) = said.strip_prefix(COMMAND)?.split_once("<command-name>")?;
    name(rest.split_once("</command-name>")?.0)
}

/// Returns the text as a name, if it is one: short, in one piece.
fn name(text: &str) -> Option<String> {
    let text = text.trim_ascii();
    let is_name = !text.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && !text.contains(|char: char| char.is_whitespace() || char.is_control());
    is_name.then(|| text.to_owned())
}

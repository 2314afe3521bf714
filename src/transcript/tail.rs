//! Whether a transcript ends while a request is under way, whose cost is then in no line of it.

use memchr::memrchr;

use super::entry::Turn;
use super::find::Finder;
use super::json::Leaf;
use super::parser::Text;
use super::records::each_record;
use super::request::SYNTHETIC_MODEL;

/// How the lines that were read leave the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tail {
    /// They say nothing about it: the tail of the lines before them holds.
    #[default]
    Unchanged,
    /// Nothing waits for an answer.
    Answered,
    /// A prompt or a tool result has no answer: its request was interrupted, killed, or is still running.
    Unanswered,
}

/// Texts of `user` lines that no request follows: what local commands and `!` commands leave behind. (A command
/// that is a prompt begins with `<command-message>`.)
pub(super) const ECHOES: [&str; 5] =
    ["<command-name>", "<local-command-", "<bash-input>", "<bash-stdout>", "<bash-stderr>"];

/// The user refused a tool, or stopped it: the request before it was complete, and none came after it.
const STOPPED_AT_A_TOOL: &str = "[Request interrupted by user for tool use]";

/// A hook ended the turn after a tool, before the next request (client reference, section 7).
const STOPPED_BY_A_HOOK: &str = "hook_stopped_continuation";

/// Returns the tail after `lines`, reading them from the last one backwards until one tells.
pub(super) fn tail(lines: &[u8], finder: &Finder) -> Tail {
    let mut lines = lines;
    while !lines.is_empty() {
        let body = lines.strip_suffix(b"\n").unwrap_or(lines);
        let start = memrchr(b'\n', body).map_or(0, |at| at + 1);
        let after = tail_of_line(&body[start..], finder);
        if after != Tail::Unchanged {
            return after;
        }
        lines = &lines[..start];
    }
    Tail::Unchanged
}

fn tail_of_line(line: &[u8], finder: &Finder) -> Tail {
    let mut tail = Tail::Unchanged;
    if finder.may_turn(line) {
        each_record(line, |turn: Box<Turn<'_>>, _| match tail_of_turn(&turn) {
            Tail::Unchanged => {}
            told => tail = told,
        });
    }
    tail
}

fn tail_of_turn(turn: &Turn<'_>) -> Tail {
    let said = turn.message.0.as_deref();
    match turn.kind.text() {
        Some("user") if turn.is_meta == Leaf::True || turn.is_compact_summary == Leaf::True => {
            Tail::Unchanged
        }
        Some("user") => {
            let said = said.and_then(|said| said.content.0).map(Text::beginning).unwrap_or_default();
            if ECHOES.iter().any(|echo| said.starts_with(echo)) {
                Tail::Unchanged
            } else if said == STOPPED_AT_A_TOOL {
                Tail::Answered
            } else {
                Tail::Unanswered
            }
        }
        // An API error ends the turn. Other lines of the client's own, such as "No response requested." after a
        // killed session was resumed, answer nothing.
        Some("assistant") if turn.is_api_error == Leaf::True => Tail::Answered,
        Some("assistant") => match said {
            Some(said) if said.usage.0.is_some() && said.model.text() != Some(SYNTHETIC_MODEL) => {
                Tail::Answered
            }
            _ => Tail::Unchanged,
        },
        Some("attachment") => {
            let kind = turn.attachment.0.as_deref().and_then(|attachment| attachment.kind.text());
            if kind == Some(STOPPED_BY_A_HOOK) { Tail::Answered } else { Tail::Unchanged }
        }
        _ => Tail::Unchanged,
    }
}

//! What Claude Code tells a hook: one JSON object on stdin.
//!
//! Read up to the end of that object and not of the input, which some clients leave open. It may hold a prompt or what
//! a tool returned, so nothing of it is ever quoted.

use std::io;
use std::io::Read;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Why there is no object.
#[derive(Debug, thiserror::Error)]
pub enum HookInputError {
    /// The input cannot be read.
    #[error("cannot read the hook's input")]
    Read(#[source] io::Error),
    /// What stands there is no object, or torn, or too long.
    #[error(
        "expected the JSON object that Claude Code sends, got something else at line {line}, column {column}"
    )]
    Format {
        /// Line of what is wrong, from 1.
        line: usize,
        /// Column of what is wrong, from 1.
        column: usize,
    },
}

/// What a hook is told; `None` for what is missing or no text, whatever the rest is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookInput {
    /// What happened, in the client's words, such as `SessionEnd`.
    pub hook_event_name: Option<String>,
    /// The session.
    pub session_id: Option<String>,
    /// The session's transcript.
    pub transcript_path: Option<PathBuf>,
    /// Transcript of a subagent that stopped; it is one of the files of the session.
    pub agent_transcript_path: Option<PathBuf>,
    /// The session's current folder.
    pub cwd: Option<PathBuf>,
    /// The model that the session begins with.
    pub model: Option<String>,
    /// Why the session ended.
    pub reason: Option<String>,
    /// How the session asks for permissions.
    pub permission_mode: Option<String>,
    /// Of the subagent that is at work.
    pub agent_type: Option<String>,
    /// The tool that is about to run.
    pub tool_name: Option<String>,
    /// The id under which the transcript has that call of the tool.
    pub tool_use_id: Option<String>,
    /// What it is given; looked at, never kept.
    pub tool_input: Option<Value>,
}

/// The keys that are asked for, unread: one bad value does not spoil the others.
#[derive(Deserialize)]
struct Unread {
    hook_event_name: Option<Box<RawValue>>,
    session_id: Option<Box<RawValue>>,
    transcript_path: Option<Box<RawValue>>,
    agent_transcript_path: Option<Box<RawValue>>,
    cwd: Option<Box<RawValue>>,
    model: Option<Box<RawValue>>,
    reason: Option<Box<RawValue>>,
    permission_mode: Option<Box<RawValue>>,
    agent_type: Option<Box<RawValue>>,
    tool_name: Option<Box<RawValue>>,
    tool_use_id: Option<Box<RawValue>>,
    tool_input: Option<Box<RawValue>>,
}

impl HookInput {
    /// Reads one object of at most `max_bytes`; of an empty input nothing.
    ///
    /// # Errors
    /// As [`HookInputError`] says.
    pub fn read(input: impl Read, max_bytes: u64) -> Result<Self, HookInputError> {
        let mut values = serde_json::Deserializer::from_reader(input.take(max_bytes)).into_iter::<Unread>();
        match values.next() {
            None => Ok(Self::default()),
            Some(Ok(unread)) => Ok(unread.into()),
            Some(Err(error)) if error.is_io() => Err(HookInputError::Read(error.into())),
            Some(Err(error)) => Err(HookInputError::Format { line: error.line(), column: error.column() }),
        }
    }
}

impl From<Unread> for HookInput {
    fn from(unread: Unread) -> Self {
        let path = |value| text(value).map(PathBuf::from);
        Self {
            hook_event_name: text(unread.hook_event_name),
            session_id: text(unread.session_id),
            transcript_path: path(unread.transcript_path),
            agent_transcript_path: path(unread.agent_transcript_path),
            cwd: path(unread.cwd),
            model: text(unread.model),
            reason: text(unread.reason),
            permission_mode: text(unread.permission_mode),
            agent_type: text(unread.agent_type),
            tool_name: text(unread.tool_name),
            tool_use_id: text(unread.tool_use_id),
            tool_input: unread.tool_input.and_then(|input| serde_json::from_str(input.get()).ok()),
        }
    }
}

fn text(value: Option<Box<RawValue>>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn session(input: &str) -> Option<String> {
        HookInput::read(input.as_bytes(), LIMIT).unwrap().session_id
    }

    #[test]
    fn reads_one_object_and_does_not_wait_for_more() {
        /// Gives its bytes, then would block for ever.
        struct OpenPipe(&'static [u8]);
        impl Read for OpenPipe {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let n_bytes = self.0.read(buffer)?;
                assert!(n_bytes > 0 || buffer.is_empty(), "read on after the object");
                Ok(n_bytes)
            }
        }
        let told =
            HookInput::read(OpenPipe(br#"{"session_id":"s","reason":"other","new":[1]}"#), LIMIT).unwrap();
        assert_eq!(told.session_id.as_deref(), Some("s"));
    }

    #[test]
    fn one_bad_value_does_not_spoil_the_others() {
        for bad in ["5", "[\"/p\"]", "{\"path\":1}", "true", "null", "\"\\ud800\""] {
            let input = format!(r#"{{"cwd":{bad},"session_id":"s"}}"#);
            assert_eq!(session(&input).as_deref(), Some("s"), "{bad}");
        }
        let deep = format!(r#"{{"tool_input":{}{},"session_id":"s"}}"#, "[".repeat(5000), "]".repeat(5000));
        assert_eq!(session(&deep).as_deref(), Some("s"));
        assert_eq!(session(""), None);
        assert_eq!(session("{}"), None);
    }

    #[test]
    fn says_where_the_fault_is_and_not_what_stands_there() {
        for (input, column) in [("\"secret\"", 8), ("{\"secret", 8), ("secret", 1), ("{\"cwd\" secret", 8)] {
            let error = HookInput::read(input.as_bytes(), LIMIT).unwrap_err().to_string();
            assert!(error.ends_with(&format!("at line 1, column {column}")), "{input}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(HookInput::read(&b"\x00\xff{"[..], LIMIT).is_err());
        let endless = format!("{{\"session_id\":\"{}\"}}", "s".repeat(1 << 20));
        assert!(HookInput::read(endless.as_bytes(), LIMIT).is_err());
    }
}

//! The names of things: sessions, tasks, messages, requests, models.
//!
//! Each is a type of its own, so that a task is never taken for a session. They hold what a file or a person
//! said, unchanged; what is shown goes through [`crate::printable::Printable`], which their `Display` does. Copies of
//! one share its text: thousands of requests name the same session and model.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::printable::Printable;

/// Longest identifier that is accepted, in bytes; anything longer comes from a broken or hostile file.
pub const MAX_ID_BYTES: usize = 256;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty or only spaces.
    #[error("{what} is empty")]
    Empty {
        /// What the identifier names, such as `task id`.
        what: &'static str,
    },
    /// The text has more than [`MAX_ID_BYTES`] bytes.
    #[error("{what} has {bytes} bytes, at most {MAX_ID_BYTES} are accepted")]
    TooLong {
        /// What the identifier names, such as `task id`.
        what: &'static str,
        /// Length of the text in bytes.
        bytes: usize,
    },
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the identifier, or why `text` is none.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                if text.trim().is_empty() {
                    return Err(IdError::Empty { what: $what });
                }
                if text.len() > MAX_ID_BYTES {
                    return Err(IdError::TooLong { what: $what, bytes: text.len() });
                }
                Ok(Self(Arc::from(text)))
            }

            /// Returns the text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Printable(&self.0).fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
    )*};
}

identifiers! {
    /// A Claude Code session: the `sessionId` of a transcript's lines.
    SessionId, "session id";
    /// A task: an `id` in `task_queue.json`, or whatever `CMAT_CURRENT_TASK_ID` said.
    TaskId, "task id";
    /// What tells one API request from another: a `message.id`, or its stand-in, see [`crate::usage::RequestKey`].
    MessageId, "message id";
    /// The API's `request-id`, an attribute of a request (a copy may lack it).
    RequestId, "request id";
    /// A Claude model as a transcript or a price table names it.
    ModelId, "model id";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_empty_and_endless_names() {
        assert_eq!(TaskId::new(" ").unwrap_err().to_string(), "task id is empty");
        assert_eq!(
            TaskId::new("x".repeat(10_000)).unwrap_err().to_string(),
            "task id has 10000 bytes, at most 256 are accepted"
        );
    }

    #[test]
    fn keeps_slashes_and_quotes_and_shows_escapes() {
        let id = TaskId::new("a/b\"'\u{1b}").unwrap();
        assert_eq!(id.as_str(), "a/b\"'\u{1b}");
        assert_eq!(id.to_string(), "a/b\"'\\u{1b}");
    }
}

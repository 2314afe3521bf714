//! What could not be read, and why. A bad line is a result, not an error.

use super::request::MAX_TOKENS;
use crate::id::IdError;

/// A line, or a part of one, that was left out, or that tells of something left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Number of the line in its file; the first line is 1.
    pub line: u64,
    /// Why it was left out.
    pub reason: SkipReason,
}

/// Why a line was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// The line is longer than 64 MiB.
    #[error("longer than 64 MiB")]
    TooLong,
    /// The line is torn, or no JSON at all.
    #[error("not JSON, or torn")]
    NotJson,
    /// A count is negative, fractional, above 2^40, or no number.
    #[error("`{field}` is not a whole number from 0 to {MAX_TOKENS}")]
    BadCount {
        /// The key in `message.usage`, such as `output_tokens`.
        field: &'static str,
    },
    /// An identifier is too long.
    #[error("`{field}` is not usable")]
    BadId {
        /// The key, such as `message.id`.
        field: &'static str,
        /// What is wrong with it.
        source: IdError,
    },
    /// The line says that the answer before it broke off: more of it may have been paid for than its count says.
    #[error("the answer before it broke off, what all of it cost is not known")]
    BrokenOff,
    /// The line has no readable `timestamp`, and no usage line stands before it whose time it could take.
    #[error("no `timestamp`")]
    NoTimestamp,
}

//! Reads a JSON document in place and changes parts of it, leaving every other byte as it is.
//!
//! For files that other programs own: their key order, indentation, number spelling (`1.10`), duplicate keys,
//! line ends and byte order mark stay. What Python's `json` module writes beyond the standard is borne: `NaN`,
//! `Infinity`, `-Infinity` and the escapes of lone surrogates. Nothing here recurses, and nothing builds a tree:
//! a [`Value`] is a place in the text, found again whenever it is asked for.
//!
//! ```
//! use cmat::json_edit::Document;
//! use serde_json::json;
//!
//! let document = Document::parse(*b"{\n  \"a\": 1.10,\n  \"b\": {}\n}\n")?;
//! let mut edits = document.edits();
//! edits.set_members(document.root().as_object().unwrap(), &[("c", json!("new"))]);
//! assert_eq!(edits.apply(), "{\n  \"a\": 1.10,\n  \"b\": {},\n  \"c\": \"new\"\n}\n");
//! # Ok::<(), cmat::json_edit::SyntaxError>(())
//! ```
//!
//! Never reads or writes a file.

mod edit;
mod syntax;
mod value;

pub use edit::Edits;
pub use syntax::Found;
pub use syntax::MAX_DEPTH;
pub use syntax::SyntaxError;
pub use value::Array;
pub use value::Elements;
pub use value::Entries;
pub use value::Entry;
pub use value::Kind;
pub use value::Object;
pub use value::Value;

use std::fmt;

/// A text that is known to be JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    text: String,
}

impl Document {
    /// Returns the document, or the first place where `bytes` are not JSON in UTF-8.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, SyntaxError> {
        let text = String::from_utf8(bytes.into())
            .map_err(|error| SyntaxError::not_utf8(error.as_bytes(), error.utf8_error().valid_up_to()))?;
        syntax::check(&text)?;
        Ok(Self { text })
    }

    /// Returns the whole text, unchanged.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the value that the document consists of.
    pub fn root(&self) -> Value<'_> {
        Value::root(&self.text)
    }

    /// Returns an empty list of changes to this document.
    pub fn edits(&self) -> Edits<'_> {
        Edits::new(self)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.text.len())
    }
}

#[cfg(test)]
mod tests;

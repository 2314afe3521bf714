//! What a file holds that is no text in UTF-8, and so no transcript, told by its first bytes.

use std::fmt;
use std::io;
use std::io::Read as _;
use std::path::Path;

use crate::disk;

/// How many bytes are looked at: no line of a client is without text for so long.
const LOOKED_AT: u64 = 512;

/// What a file is in whose lines nothing can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// Text, two bytes for each character: what some shells make of a program's output.
    Utf16,
    /// No text.
    Binary,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf16 => "it is UTF-16, where Claude Code writes UTF-8",
            Self::Binary => "it is no text",
        })
    }
}

/// Returns what the file at `path` is, if it is no transcript for that.
///
/// # Errors
/// If it cannot be read, or is no regular file.
pub fn foreign(path: &Path) -> io::Result<Option<Foreign>> {
    let mut start = Vec::new();
    disk::open_regular(path)?.take(LOOKED_AT).read_to_end(&mut start)?;
    Ok(foreign_start(&start))
}

fn foreign_start(start: &[u8]) -> Option<Foreign> {
    match start {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, b'"', 0, ..] | [0, b'{', 0, b'"', ..] => {
            Some(Foreign::Utf16)
        }
        // A line of a transcript may hold a broken character, and the last one is cut.
        [b'{', rest @ ..] if !rest.contains(&0) => None,
        _ if start.contains(&0) || is_broken(start) => Some(Foreign::Binary),
        _ => None,
    }
}

/// Returns whether the bytes are no UTF-8, wherever they are cut off.
fn is_broken(start: &[u8]) -> bool {
    std::str::from_utf8(start).is_err_and(|error| error.error_len().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_text_from_what_is_none() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        assert_eq!(foreign_start(&utf16("\u{feff}{\"type\"")), Some(Foreign::Utf16));
        assert_eq!(foreign_start(&utf16("{\"type\"")), Some(Foreign::Utf16));
        assert_eq!(foreign_start(&[0xfe, 0xff, 0, b'{']), Some(Foreign::Utf16));
        assert_eq!(foreign_start(b"\x1f\x8b\x08\x00\x00\x00"), Some(Foreign::Binary));
        assert_eq!(foreign_start(b"\x89PNG\r\n\x1a\n"), Some(Foreign::Binary));
        for text in ["", "{\"type\":1}\n", "\u{feff}{\"type\":1}\n", "\n\n", "# Words\n"] {
            assert_eq!(foreign_start(text.as_bytes()), None, "{text}");
        }
        assert_eq!(foreign_start(b"{\"name\":\"\xff\xfe\"}"), None);
        assert_eq!(foreign_start(&"é".as_bytes()[..1]), None);
    }
}

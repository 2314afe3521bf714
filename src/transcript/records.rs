//! Takes the records of a line apart. A line is one record, but a client that was killed while writing leaves a torn
//! one to which the next is glued, and two whole ones on one line were seen too (transcript reference, section 4).

use std::borrow::Cow;

use memchr::memmem;

use super::json::Object;
use super::json::Shape;
use super::json::Value as _;
use super::parser::Parser;
use super::parser::decoded;
use super::parser::escaped_unit;

/// How often reading begins again behind a tear, so that no line takes more than this many passes.
const MAX_TEARS: usize = 16;

/// How a record begins. A torn one is given up, and reading goes on at the next of these.
const BEGINNINGS: [&[u8]; 5] =
    [br#"{"parentUuid""#, br#"{"type""#, br#"{"sessionId""#, br#"{"uuid""#, br#"{"isSidechain""#];

/// What some editors write before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Calls `found` for each whole record of `line`, in order, with the text it was read from.
///
/// Returns whether the line was whole; if not, what could not be read was left out.
pub(super) fn each_record<'line, S: Shape<'line>>(
    line: &'line [u8],
    mut found: impl FnMut(Box<S>, &'line [u8]),
) -> bool {
    let mut rest = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    for n_tears in 0..MAX_TEARS {
        let Some(torn) = each_whole_record(rest, &mut found) else { return n_tears == 0 };
        match next_beginning(torn) {
            Some(at) => rest = &torn[at..],
            None => return false,
        }
    }
    false
}

/// Returns what follows the last whole record, if anything does.
fn each_whole_record<'line, S: Shape<'line>>(
    text: &'line [u8],
    found: &mut impl FnMut(Box<S>, &'line [u8]),
) -> Option<&'line [u8]> {
    let mut parser = Parser::new(text);
    loop {
        parser.skip_whitespace();
        let start = parser.at();
        let first = parser.peek()?;
        let Ok(Object(record)) = Object::parse(&mut parser) else { return Some(&text[start..]) };
        if let Some(record) = record {
            found(record, &text[start..parser.at()]);
        } else if !matches!(first, b'"' | b'[') && !parser.is_at_an_end() {
            return Some(&text[start..]);
        }
    }
}

/// Returns where the next record begins, after the one that `torn` begins with.
fn next_beginning(torn: &[u8]) -> Option<usize> {
    memmem::find_iter(torn, b"{\"")
        .find(|&at| at > 0 && BEGINNINGS.iter().any(|beginning| torn[at..].starts_with(beginning)))
}

/// Returns the text of a line, with U+FFFD for bytes that are not UTF-8 and for halves of surrogate pairs, which
/// JavaScript writes where it cut a string in the middle of a character.
pub(super) fn readable(line: &[u8]) -> Cow<'_, str> {
    let text = decoded(line);
    let has_surrogates =
        [b"\\ud", b"\\uD"].iter().any(|escape| memmem::find(text.as_bytes(), *escape).is_some());
    if has_surrogates { Cow::Owned(without_lone_surrogates(&text)) } else { text }
}

fn without_lone_surrogates(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        mended.push_str(&rest[..at]);
        rest = &rest[at..];
        let next = rest.as_bytes().get(6..).and_then(escaped_unit);
        let length = match (escaped_unit(rest.as_bytes()), next) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                mended.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            // The character after the backslash belongs to it, be it a backslash itself.
            _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        mended.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    mended.push_str(rest);
    mended
}

#[cfg(test)]
mod tests {
    use super::super::entry::Own;
    use super::*;

    /// Joins the `uuid`s of a line's whole records, and tells if there was nothing else.
    fn check(line: &str, uuids: &str, is_whole: bool) {
        let mut found = Vec::new();
        let whole = each_record(line.as_bytes(), |own: Box<Own<'_>>, text| {
            assert!(text.starts_with(b"{") && text.ends_with(b"}"), "{}", text.escape_ascii());
            found.push(own.uuid.text().unwrap_or("-").to_owned());
        });
        assert_eq!((found.join(" ").as_str(), whole), (uuids, is_whole), "{line}");
    }

    #[test]
    fn takes_glued_records_apart_and_gives_up_torn_ones() {
        check("", "", true);
        check(r#"{"uuid":"a"}"#, "a", true);
        check("\u{feff}{\"uuid\":\"a\"}\r", "a", true);
        check(r#"{"uuid":"a"}{"uuid":"b"} {}"#, "a b -", true);
        check(r#"{"uuid":"a","text":"{\"uuid\":{"uuid":"b"}"#, "b", false);
        check(r#"{"uuid":"a"}{"uuid":"b"#, "a", false);
        check(r#"{"uuid":"a"{"uuid":{"uuid":"c"}"#, "c", false);
        check("17 [] null", "", true);
        check("garbage", "", false);
        check(&format!(r#"{}{{"uuid":"a"}}"#, r#"{"uuid":"#.repeat(100_000)), "", false);
    }

    #[test]
    fn mends_what_is_no_text() {
        let check = |line: &[u8], text: &str| assert_eq!(readable(line), text);
        check(b"plain \\n", "plain \\n");
        check(b"\xff", "\u{fffd}");
        check(br"\ud83d\ude00 \uD83D\uDE00", r"\ud83d\ude00 \uD83D\uDE00");
        check(br"\ud83d \ude00", r"\ufffd \ufffd");
        check(br"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00");
        check(br"\\ud83d \ud83", r"\\ud83d \ud83");
        check(b"\\ud8\xc3\xa4\\", "\\ud8\u{e4}\\");
    }
}

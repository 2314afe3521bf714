//! Foreign text made safe for a terminal.
//!
//! Branch names, task titles, model ids and paths come from files that anybody may have written. Nothing of
//! them reaches a terminal or a log except through [`Printable`].

use std::fmt;
use std::fmt::Write as _;

/// Text from outside, shown with every control and direction character spelled out.
///
/// C0, C1, DEL, line and paragraph separators, and the bidirectional controls are shown as `\u{..}`, so that a
/// name can neither move the cursor nor reorder the line it stands in.
///
/// ```
/// use cmat::printable::Printable;
///
/// assert_eq!(Printable("a\u{1b}[31mb").to_string(), "a\\u{1b}[31mb");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Printable<'text>(pub &'text str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.width().is_some() || f.precision().is_some() {
            let mut text = String::new();
            write_escaped(&mut text, self.0)?;
            return f.pad(&text);
        }
        write_escaped(f, self.0)
    }
}

fn write_escaped(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(is_unsafe) {
        out.write_str(&rest[..at])?;
        let mut after = rest[at..].chars();
        if let Some(character) = after.next() {
            write!(out, "{}", character.escape_unicode())?;
        }
        rest = after.as_str();
    }
    out.write_str(rest)
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}' | '\u{2029}'
            | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Makes a whole message safe, keeping its line ends.
///
/// For the one place that prints an error: the parts of a message may be foreign, its line ends are ours.
pub fn printable_lines(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for (n, line) in message.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let _infallible = write!(out, "{}", Printable(line));
    }
    out
}

/// Returns a JSON document as one line of text that a terminal shows as it is, and a program reads as before.
///
/// JSON asks for escapes of C0 only; here every character that [`Printable`] spells out has one.
pub fn printable_json(document: &serde_json::Value) -> String {
    // Outside of strings there is none of them.
    let text = document.to_string();
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            // All of them have four digits.
            let _infallible = write!(out, "\\u{:04x}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_ordinary_text_alone() {
        assert_eq!(Printable("feature/größe 日本 👍").to_string(), "feature/größe 日本 👍");
    }

    #[test]
    fn spells_out_what_could_move_the_cursor_or_turn_the_line() {
        assert_eq!(
            Printable("a\u{1b}]0;x\u{7}\r\n\u{9b}\u{202e}\u{7f}").to_string(),
            r"a\u{1b}]0;x\u{7}\u{d}\u{a}\u{9b}\u{202e}\u{7f}"
        );
    }

    #[test]
    fn pads_after_escaping() {
        assert_eq!(format!("{:>6}|", Printable("ab")), "    ab|");
    }

    #[test]
    fn keeps_the_line_ends_of_a_message() {
        assert_eq!(printable_lines("a\n\u{1b}b"), "a\n\\u{1b}b");
    }

    #[test]
    fn says_the_same_in_json() {
        let document = serde_json::json!({"größe \u{1b}\n": ["\u{9b}\u{202e}\u{7f}\u{feff}", 1]});
        let text = printable_json(&document);
        assert_eq!(text, r#"{"größe \u001b\n":["\u009b\u202e\u007f\ufeff",1]}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), document);
    }
}

//! A parser of JSON that builds no tree: it hands over what is asked for, and skips the rest without recursion, however
//! deep it is.
//!
//! It takes what RFC 8259 takes, also where it skips: only so is a torn line told from a whole one. In strings it bears
//! two things more, which are read as U+FFFD: bytes that are not UTF-8, and halves of surrogate pairs, which JavaScript
//! writes where it cut a string in the middle of a character.

use std::borrow::Cow;

use memchr::memchr;
use memchr::memchr2;

/// A word with 1 in each byte.
const ONES: u64 = u64::MAX / 0xff;

/// How many words of a string are looked at before a search begins that is faster, but takes longer to begin.
const N_WORDS: usize = 3;

/// How much of a text [`Text::beginning`] returns at least, in bytes.
pub(super) const BEGINNING_BYTES: usize = 64;

/// What stands there is no JSON.
#[derive(Debug)]
pub(super) struct Malformed;

/// A place in a text.
#[derive(Debug)]
pub(super) struct Parser<'text> {
    text: &'text [u8],
    at: usize,
    /// The text has control characters somewhere, which must not stand in a string.
    has_controls: bool,
    /// For each container around what is being skipped, whether it is an object.
    enclosing: Vec<bool>,
}

impl<'text> Parser<'text> {
    /// Returns the beginning of `text`.
    pub(super) fn new(text: &'text [u8]) -> Self {
        Self { text, at: 0, has_controls: has_controls(text.trim_ascii_end()), enclosing: Vec::new() }
    }

    /// Returns how many bytes stand before it.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the next byte; `None` at the end.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Returns whether a number or a word that was read ends here, rather than going on with other letters.
    pub(super) fn is_at_an_end(&self) -> bool {
        let marks = b" \n\r\t\"[]{},:";
        self.peek().is_none_or(|next| marks.contains(&next))
    }

    /// Goes behind white space.
    pub(super) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Goes behind an object; `entry` is called before each value with its key, and has to go behind the value.
    pub(super) fn object(
        &mut self,
        mut entry: impl FnMut(&[u8], &mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut goes_on = self.enter()?;
        while goes_on {
            let key = self.key()?;
            match key.plain() {
                Some(key) => entry(key, self)?,
                None => entry(key.said().as_bytes(), self)?,
            }
            goes_on = self.goes_on(true)?;
        }
        Ok(())
    }

    /// Goes behind a list; `entry` is called before each value, and has to go behind it.
    pub(super) fn list(
        &mut self,
        mut entry: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut goes_on = self.enter()?;
        while goes_on {
            entry(self)?;
            goes_on = self.goes_on(false)?;
        }
        Ok(())
    }

    /// Goes into the object or list that begins here; returns whether it holds anything. If so, its first value, or the
    /// key of it, is next; if not, what follows the container.
    fn enter(&mut self) -> Result<bool, Malformed> {
        let end = if self.peek() == Some(b'{') { b'}' } else { b']' };
        self.at += 1;
        self.skip_whitespace();
        let is_empty = self.peek() == Some(end);
        self.at += usize::from(is_empty);
        Ok(!is_empty)
    }

    /// Goes on behind a value of an object or list; returns whether there is another. If so, that or its key is next; if
    /// not, what follows the container.
    fn goes_on(&mut self, is_object: bool) -> Result<bool, Malformed> {
        self.skip_whitespace();
        let goes_on = match (self.peek(), is_object) {
            (Some(b','), _) => true,
            (Some(b'}'), true) | (Some(b']'), false) => false,
            _ => return Err(Malformed),
        };
        self.at += 1;
        if goes_on {
            self.skip_whitespace();
        }
        Ok(goes_on)
    }

    /// Goes behind a key to its value.
    fn key(&mut self) -> Result<Text<'text>, Malformed> {
        let key = self.string()?;
        self.skip_whitespace();
        self.expect(b':')?;
        self.skip_whitespace();
        Ok(key)
    }

    /// Goes behind a string.
    pub(super) fn string(&mut self) -> Result<Text<'text>, Malformed> {
        let Some((b'"', rest)) = self.text[self.at..].split_first() else { return Err(Malformed) };
        let length = end_or_escape(rest).ok_or(Malformed)?;
        if rest[length] != b'"' || self.has_controls {
            return self.odd_string(rest, length);
        }
        self.at += length + 2;
        Ok(Text { spelling: &rest[..length], has_escapes: false })
    }

    /// Goes behind a string of which `rest` is to be read, in whose first `length` bytes are neither quotes nor escapes.
    #[inline(never)]
    fn odd_string(&mut self, rest: &'text [u8], length: usize) -> Result<Text<'text>, Malformed> {
        let mut length = length;
        let mut has_escapes = false;
        while rest[length] != b'"' {
            length += escape_length(&rest[length..]).ok_or(Malformed)?;
            length += end_or_escape(&rest[length..]).ok_or(Malformed)?;
            has_escapes = true;
        }
        let spelling = &rest[..length];
        self.at += length + 2;
        if self.has_controls && has_controls(spelling) {
            return Err(Malformed);
        }
        Ok(Text { spelling, has_escapes })
    }

    /// Goes behind a value, and returns how it is spelled.
    pub(super) fn spelling(&mut self) -> Result<&'text [u8], Malformed> {
        let start = self.at;
        self.skip()?;
        Ok(&self.text[start..self.at])
    }

    /// Goes behind a value.
    pub(super) fn skip(&mut self) -> Result<(), Malformed> {
        loop {
            let first = self.peek().ok_or(Malformed)?;
            if matches!(first, b'{' | b'[') {
                if self.enter()? {
                    self.enclosing.push(first == b'{');
                    if first == b'{' {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.skip_scalar(first)?;
            }
            if !self.goes_on_around()? {
                return Ok(());
            }
        }
    }

    /// Goes on behind a value that was skipped, and behind what ends with it; returns whether there is another to skip.
    fn goes_on_around(&mut self) -> Result<bool, Malformed> {
        while let Some(&is_object) = self.enclosing.last() {
            if self.goes_on(is_object)? {
                if is_object {
                    self.key()?;
                }
                return Ok(true);
            }
            self.enclosing.pop();
        }
        Ok(false)
    }

    fn skip_scalar(&mut self, first: u8) -> Result<(), Malformed> {
        match first {
            b'"' => self.string().map(drop),
            b't' => self.skip_word(b"true"),
            b'f' => self.skip_word(b"false"),
            b'n' => self.skip_word(b"null"),
            _ => self.skip_number(),
        }
    }

    fn skip_word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_number(&mut self) -> Result<(), Malformed> {
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.skip_digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.skip_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.skip_digits()?;
        }
        Ok(())
    }

    fn skip_digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(Malformed) } else { Ok(()) }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }
}

/// What stands between the quotes of a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'text> {
    spelling: &'text [u8],
    has_escapes: bool,
}

impl<'text> Text<'text> {
    /// Returns how it is spelled, if that is what it says.
    pub(super) fn plain(self) -> Option<&'text [u8]> {
        (!self.has_escapes).then_some(self.spelling)
    }

    /// Returns what it says.
    pub(super) fn said(self) -> Cow<'text, str> {
        if self.has_escapes {
            Cow::Owned(unescaped(self.spelling, usize::MAX))
        } else {
            decoded(self.spelling)
        }
    }

    /// Returns the beginning of what it says: all of it, or at least [`BEGINNING_BYTES`].
    pub(super) fn beginning(self) -> Cow<'text, str> {
        if self.has_escapes {
            Cow::Owned(unescaped(self.spelling, BEGINNING_BYTES))
        } else {
            decoded(&self.spelling[..self.spelling.len().min(BEGINNING_BYTES)])
        }
    }
}

/// Returns where the first quote or backslash is.
fn end_or_escape(bytes: &[u8]) -> Option<usize> {
    let (words, _) = bytes.as_chunks();
    let words = &words[..words.len().min(N_WORDS)];
    for (n_before, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest bit that is set is in the first byte that is one of them.
        let is_quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
        let is_backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
        let found = (is_quote | is_backslash) & !word & (ONES << 7);
        if found != 0 {
            return Some(8 * n_before + found.trailing_zeros() as usize / 8);
        }
    }
    let n_seen = 8 * words.len();
    memchr2(b'"', b'\\', &bytes[n_seen..]).map(|at| n_seen + at)
}

/// Returns whether there are control characters.
fn has_controls(text: &[u8]) -> bool {
    // The smallest of a block, which the processor finds for many bytes at once.
    text.chunks(256).any(|block| block.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < b' ')
}

/// Returns how long the escape is that `text` begins with; `None` if it is none.
fn escape_length(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => escaped_unit(text).map(|_| 6),
        _ => None,
    }
}

/// Returns the UTF-16 unit that `text` begins with, if it begins with a `\u` escape.
pub(super) fn escaped_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

/// Returns what a string says that has escapes, each of them right: at least the first `enough` bytes of it.
fn unescaped(spelling: &[u8], enough: usize) -> String {
    let mut text = String::new();
    let mut rest = spelling;
    while let Some(plain) = memchr(b'\\', rest) {
        text.push_str(&decoded(&rest[..plain.min(enough)]));
        if text.len() >= enough {
            return text;
        }
        let (char, length) = escape(&rest[plain..]);
        text.push(char);
        rest = &rest[plain + length..];
    }
    text.push_str(&decoded(&rest[..rest.len().min(enough)]));
    text
}

/// Returns what the escape says that `text` begins with, and how long it is.
fn escape(text: &[u8]) -> (char, usize) {
    let char = match text[1] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let units = [escaped_unit(text), escaped_unit(&text[6..])].into_iter().flatten();
            return match char::decode_utf16(units).next() {
                Some(Ok(char)) => (char, 6 * char.len_utf16()),
                _ => (char::REPLACEMENT_CHARACTER, 6),
            };
        }
        itself => char::from(itself),
    };
    (char, 2)
}

/// Returns the text, with U+FFFD for bytes that are not UTF-8.
pub(super) fn decoded(text: &[u8]) -> Cow<'_, str> {
    // `from_utf8` is many times faster than `from_utf8_lossy`, and nearly every text is UTF-8.
    std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use serde::de::IgnoredAny;

    use super::super::records::readable;
    use super::*;

    const SCALARS: [&str; 12] =
        ["0", "-0", "17", "-1.50", "2e3", "1E-2", "1.5e+07", "true", "false", "null", "\"\"", "\"x\""];

    const PIECES: [&str; 16] = [
        "plain",
        "longer than a few words of a processor, so that the other search begins, ",
        "\u{e9}",
        "\u{1f600}",
        "\\\"",
        "\\\\",
        "\\/",
        "\\b\\f\\n\\r\\t",
        "\\u00e9",
        "\\u001F",
        "\\ud83d\\uDE00",
        "\\ud83d",
        "\\ude00",
        "\\ud83d\\u0041",
        " ",
        "?",
    ];

    const FAULTS: [&str; 26] = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\x", "\\u12", "\\u+123", "-", "0", "01", ".", "e", "+",
        "tru", "nul", "\t", "\r\n", "\u{1}", "\u{7f}", "\u{feff}", "\u{a0}", "/",
    ];

    fn one_of<'words>(random: &mut Rng, words: &[&'words str]) -> &'words str {
        words[random.usize(..words.len())]
    }

    fn string(random: &mut Rng) -> String {
        let said: String = (0..random.usize(..6)).map(|_| one_of(random, &PIECES)).collect();
        format!("\"{said}\"")
    }

    fn value(random: &mut Rng, depth: usize) -> String {
        let space = |random: &mut Rng| one_of(random, &["", "", "", " ", "\t\r\n"]).to_owned();
        let kind = random.usize(..if depth == 0 { 2 } else { 4 });
        if kind == 0 {
            return one_of(random, &SCALARS).to_owned();
        }
        if kind == 1 {
            return string(random);
        }
        let entries: Vec<String> = (0..random.usize(..4))
            .map(|_| {
                let key = string(random) + &space(random) + ":" + &space(random);
                let key = if kind == 2 { key } else { String::new() };
                space(random) + &key + &value(random, depth - 1) + &space(random)
            })
            .collect();
        let (begin, end) = if kind == 2 { ("{", "}") } else { ("[", "]") };
        format!("{begin}{}{}{end}", space(random), entries.join(","))
    }

    #[test]
    fn skips_what_is_json_and_nothing_else() {
        let mut random = Rng::with_seed(11);
        let mut n_faulty = 0;
        for _ in 0..40_000 {
            let mut text = value(&mut random, 4);
            for _ in 0..random.usize(..3) {
                let at = text.floor_char_boundary(random.usize(..=text.len()));
                let end = text.ceil_char_boundary((at + random.usize(..3)).min(text.len()));
                text.replace_range(at..end, one_of(&mut random, &FAULTS));
            }
            let mut parser = Parser::new(text.as_bytes());
            parser.skip_whitespace();
            let is_whole = parser.skip().is_ok() && text[parser.at()..].trim_ascii().is_empty();
            assert_eq!(is_whole, serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{text:?}");
            n_faulty += usize::from(!is_whole);
        }
        assert!((10_000..30_000).contains(&n_faulty), "{n_faulty}");
    }

    #[test]
    fn reads_strings_with_all_that_they_may_hold() {
        let mut random = Rng::with_seed(12);
        for _ in 0..20_000 {
            let text = string(&mut random).into_bytes();
            let text: Vec<u8> = text.into_iter().map(|byte| if byte == b'?' { 0xc3 } else { byte }).collect();
            let Ok(read) = Parser::new(&text).string() else { panic!("{}", text.escape_ascii()) };
            let said: String = serde_json::from_str(&readable(&text)).expect("a string");
            assert_eq!(read.said(), said, "{}", text.escape_ascii());
            let beginning = read.beginning();
            assert!(beginning == said || beginning.len() >= BEGINNING_BYTES, "{said}");
            // What is cut off may be a part of a character.
            assert!(said.starts_with(beginning.trim_end_matches('\u{fffd}')), "{beginning} {said}");
        }
    }
}

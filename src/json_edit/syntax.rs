//! Tells whether a text is JSON and, where it is not, the line, the column and what should stand there.
//!
//! One pass without recursion, in memory that grows with the nesting only.

use std::fmt;

use crate::printable::Printable;

/// Deepest nesting that is accepted.
pub const MAX_DEPTH: usize = 10_000;

/// The byte order mark that some editors put before the text.
pub(super) const BOM: &str = "\u{FEFF}";

/// Where a text stops being JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}, found {found}")]
pub struct SyntaxError {
    /// Line of the first wrong character, from 1.
    pub line: usize,
    /// Column of the first wrong character, in characters, from 1.
    pub column: usize,
    /// What could have stood there.
    pub expected: &'static str,
    /// What stands there.
    pub found: Found,
}

/// What stands where something else was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A character.
    Character(char),
    /// A line end.
    LineEnd,
    /// Nothing: the file ends there, as it does while another program is still writing it.
    FileEnd,
    /// Bytes that are not UTF-8.
    NotUtf8,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(character) => write!(f, "`{}`", Printable(character.encode_utf8(&mut [0; 4]))),
            Self::LineEnd => f.write_str("the end of the line"),
            Self::FileEnd => f.write_str("the end of the file"),
            Self::NotUtf8 => f.write_str("bytes that are not UTF-8"),
        }
    }
}

impl SyntaxError {
    /// Returns the error for a text whose first `at` bytes are UTF-8 and whose next ones are not.
    pub(super) fn not_utf8(bytes: &[u8], at: usize) -> Self {
        let before = String::from_utf8_lossy(&bytes[..at]);
        Self::at(&before, at, "UTF-8 text", Found::NotUtf8)
    }

    fn new(text: &str, fault: Fault) -> Self {
        let found = match text[fault.at..].chars().next() {
            None => Found::FileEnd,
            Some('\n' | '\r') => Found::LineEnd,
            Some(character) => Found::Character(character),
        };
        Self::at(text, fault.at, fault.expected, found)
    }

    fn at(text: &str, at: usize, expected: &'static str, found: Found) -> Self {
        let before = text[..at].trim_start_matches(BOM);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            expected,
            found,
        }
    }
}

/// Checks that `text` is one JSON value, with nothing but white space (and a byte order mark) around it.
pub(super) fn check(text: &str) -> Result<(), SyntaxError> {
    let at = if text.starts_with(BOM) { BOM.len() } else { 0 };
    let mut checker = Checker { bytes: text.as_bytes(), at, open: Vec::new() };
    checker.document().map_err(|fault| SyntaxError::new(text, fault))
}

#[derive(Debug)]
struct Fault {
    at: usize,
    expected: &'static str,
}

#[derive(Clone, Copy)]
enum Bracket {
    Object,
    Array,
}

struct Checker<'text> {
    bytes: &'text [u8],
    at: usize,
    open: Vec<Bracket>,
}

/// What a complete value is followed by.
enum Next {
    Value,
    End,
}

impl Checker<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        self.skip_space();
        let mut expected = "a value";
        loop {
            match self.value(expected)? {
                Some(inner) => expected = inner,
                None => match self.after_value()? {
                    Next::Value => expected = "a value",
                    Next::End => return Ok(()),
                },
            }
        }
    }

    /// Reads a value. If it is a container with something in it, reads up to its first inner value and returns
    /// what is expected there.
    fn value(&mut self, expected: &'static str) -> Result<Option<&'static str>, Fault> {
        match self.peek() {
            Some(b'{') => {
                self.enter(Bracket::Object)?;
                if self.eat(b'}') {
                    self.open.pop();
                    return Ok(None);
                }
                self.key("a key in double quotes or `}`")?;
                Ok(Some("a value"))
            }
            Some(b'[') => {
                self.enter(Bracket::Array)?;
                if self.eat(b']') {
                    self.open.pop();
                    return Ok(None);
                }
                Ok(Some("a value or `]`"))
            }
            _ => self.scalar(expected).map(|()| None),
        }
    }

    fn after_value(&mut self) -> Result<Next, Fault> {
        loop {
            self.skip_space();
            let Some(&bracket) = self.open.last() else {
                return if self.at == self.bytes.len() {
                    Ok(Next::End)
                } else {
                    self.fault("the end of the file")
                };
            };
            match (bracket, self.peek()) {
                (Bracket::Object, Some(b'}')) | (Bracket::Array, Some(b']')) => {
                    self.at += 1;
                    self.open.pop();
                }
                (bracket, Some(b',')) => {
                    self.at += 1;
                    self.skip_space();
                    if let Bracket::Object = bracket {
                        self.key("a key in double quotes")?;
                    }
                    return Ok(Next::Value);
                }
                (Bracket::Object, _) => return self.fault("`,` or `}`"),
                (Bracket::Array, _) => return self.fault("`,` or `]`"),
            }
        }
    }

    fn enter(&mut self, bracket: Bracket) -> Result<(), Fault> {
        if self.open.len() == MAX_DEPTH {
            return self.fault("at most 10000 brackets inside each other");
        }
        self.open.push(bracket);
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn key(&mut self, expected: &'static str) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            return self.fault(expected);
        }
        self.string()?;
        self.skip_space();
        if !self.eat(b':') {
            return self.fault("`:`");
        }
        self.skip_space();
        Ok(())
    }

    fn scalar(&mut self, expected: &'static str) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b't') => self.word("true", expected),
            Some(b'f') => self.word("false", expected),
            Some(b'n') => self.word("null", expected),
            Some(b'N') => self.word("NaN", expected),
            Some(b'I') => self.word("Infinity", expected),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.fault(expected),
        }
    }

    fn word(&mut self, word: &str, expected: &'static str) -> Result<(), Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.fault(expected);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.eat(b'-');
        if self.peek() == Some(b'I') {
            return self.word("Infinity", "a digit or `Infinity`");
        }
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let n_digits = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if n_digits == 0 {
            return self.fault("a digit");
        }
        self.at += n_digits;
        Ok(())
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            let rest = &self.bytes[self.at..];
            let n_plain = rest
                .iter()
                .position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\')
                .unwrap_or(rest.len());
            self.at += n_plain;
            match rest.get(n_plain) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                None => return self.fault("`\"` at the end of the string"),
                Some(_) => return self.fault("`\"`, or an escape such as `\\n` for a control character"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.fault("four hexadecimal digits");
                    }
                    self.at += 1;
                }
            }
            _ => return self.fault("one of `\"\\/bfnrtu` after `\\`"),
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn fault<T>(&self, expected: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, expected })
    }
}

//! Values of a checked document: what kind they are, where they stand, what is inside.

use std::borrow::Cow;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;

use super::syntax::BOM;

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, `NaN`, `Infinity` or `-Infinity`.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// A value: a place in a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'doc> {
    document: &'doc str,
    start: usize,
    end: usize,
}

impl<'doc> Value<'doc> {
    pub(super) fn root(document: &'doc str) -> Self {
        let start = if document.starts_with(BOM) { BOM.len() } else { 0 };
        Self::at(document, skip_space(document.as_bytes(), start))
    }

    fn at(document: &'doc str, start: usize) -> Self {
        Self { document, start, end: value_end(document.as_bytes(), start) }
    }

    /// Returns what kind of value this is.
    pub fn kind(&self) -> Kind {
        match self.document.as_bytes()[self.start] {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// Returns where the value stands in the document, in bytes.
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Returns the value as it is written, quotes and escapes included.
    pub fn text(&self) -> &'doc str {
        &self.document[self.start..self.end]
    }

    /// Returns the text that a string means; `None` for other kinds, and for a string with half of a surrogate
    /// pair, which no Rust string can hold.
    pub fn as_str(&self) -> Option<Cow<'doc, str>> {
        if self.kind() != Kind::String {
            return None;
        }
        let inner = &self.document[self.start + 1..self.end - 1];
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.text()).ok().map(Cow::Owned)
    }

    /// Returns the object that this value is, if it is one.
    pub fn as_object(&self) -> Option<Object<'doc>> {
        (self.kind() == Kind::Object).then_some(Object(*self))
    }

    /// Returns the array that this value is, if it is one.
    pub fn as_array(&self) -> Option<Array<'doc>> {
        (self.kind() == Kind::Array).then_some(Array(*self))
    }

    /// Returns the value of `key`, if this is an object that has it; see [`Object::get`].
    pub fn get(&self, key: &str) -> Option<Value<'doc>> {
        self.as_object()?.get(key)
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?}", self.kind(), self.span())
    }
}

/// An object: members in their order, a key perhaps more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<'doc>(Value<'doc>);

/// A member of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'doc> {
    /// The key, a string.
    pub key: Value<'doc>,
    /// What stands under the key.
    pub value: Value<'doc>,
}

impl<'doc> Object<'doc> {
    /// Returns the object as a value.
    pub fn value(&self) -> Value<'doc> {
        self.0
    }

    /// Returns the members in the order in which they are written, duplicates included.
    pub fn entries(&self) -> Entries<'doc> {
        Entries(Inside::of(self.0))
    }

    /// Returns the value of `key`; of duplicate keys the last, as Python, JavaScript and serde_json do.
    pub fn get(&self, key: &str) -> Option<Value<'doc>> {
        self.entries().filter(|entry| entry.is_named(key)).last().map(|entry| entry.value)
    }
}

impl Entry<'_> {
    /// Tells whether the key, its escapes resolved, is `key`.
    pub fn is_named(&self, key: &str) -> bool {
        self.key.as_str().is_some_and(|name| name == key)
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.key.start..self.value.end
    }
}

/// An array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Array<'doc>(Value<'doc>);

impl<'doc> Array<'doc> {
    /// Returns the array as a value.
    pub fn value(&self) -> Value<'doc> {
        self.0
    }

    /// Returns the elements in their order.
    pub fn elements(&self) -> Elements<'doc> {
        Elements(Inside::of(self.0))
    }
}

/// The members of an object, in their order.
#[derive(Debug, Clone)]
pub struct Entries<'doc>(Inside<'doc>);

impl<'doc> Iterator for Entries<'doc> {
    type Item = Entry<'doc>;

    fn next(&mut self) -> Option<Entry<'doc>> {
        let key = self.0.next_value()?;
        let value = self.0.next_value().expect("a checked object has a value after each key");
        Some(Entry { key, value })
    }
}

impl FusedIterator for Entries<'_> {}

/// The elements of an array, in their order.
#[derive(Debug, Clone)]
pub struct Elements<'doc>(Inside<'doc>);

impl<'doc> Iterator for Elements<'doc> {
    type Item = Value<'doc>;

    fn next(&mut self) -> Option<Value<'doc>> {
        self.0.next_value()
    }
}

impl FusedIterator for Elements<'_> {}

/// A walk over what stands between two brackets: keys and values in turn, or elements.
#[derive(Clone)]
struct Inside<'doc> {
    document: &'doc str,
    at: usize,
    end: usize,
}

impl<'doc> Inside<'doc> {
    fn of(container: Value<'doc>) -> Self {
        Self { document: container.document, at: container.start + 1, end: container.end - 1 }
    }

    fn next_value(&mut self) -> Option<Value<'doc>> {
        let bytes = self.document.as_bytes();
        self.at += bytes[self.at..self.end]
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b':'))?;
        let value = Value::at(self.document, self.at);
        self.at = value.end;
        Some(value)
    }
}

impl fmt::Debug for Inside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inside({}..{})", self.at, self.end)
    }
}

fn skip_space(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count()
}

/// Returns the end of the value that begins at `start`, in a text that is known to be JSON.
fn value_end(bytes: &[u8], start: usize) -> usize {
    match bytes[start] {
        b'"' => string_end(bytes, start),
        b'{' | b'[' => container_end(bytes, start),
        _ => bytes[start..]
            .iter()
            .position(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t'))
            .map_or(bytes.len(), |length| start + length),
    }
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', &bytes[at..]).expect("a checked string has an end");
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
}

fn container_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
}

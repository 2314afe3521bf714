//! Changes to a document, in the style that the document is written in.

use std::io;
use std::ops::Range;

use serde::Serialize as _;
use serde_json::Value as Json;
use serde_json::ser::PrettyFormatter;

use super::Document;
use super::syntax::BOM;
use super::value::Array;
use super::value::Object;
use super::value::Value;

/// Changes to one document, written as one copy of it.
///
/// Each object or array is changed by one call at most, and not inside something that another call removes.
#[derive(Debug, Clone)]
pub struct Edits<'doc> {
    text: &'doc str,
    layout: Layout<'doc>,
    splices: Vec<Splice>,
}

/// What stands instead of a part of the document.
#[derive(Debug, Clone)]
struct Splice {
    span: Range<usize>,
    text: String,
}

impl<'doc> Edits<'doc> {
    pub(super) fn new(document: &'doc Document) -> Self {
        Self { text: document.text(), layout: Layout::of(document), splices: Vec::new() }
    }

    /// Tells whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.splices.is_empty()
    }

    /// Gives each of `members` its value: the last member of that key gets it, a missing one is appended.
    pub fn set_members(&mut self, object: Object<'doc>, members: &[(&str, Json)]) {
        let entries: Vec<_> = object.entries().collect();
        let spans: Vec<_> = entries.iter().map(|entry| entry.span()).collect();
        let site = self.layout.site(object.value(), &spans);
        let colon = match entries.last() {
            Some(entry) => &self.text[entry.key.span().end..entry.value.span().start],
            None => self.layout.colon,
        };
        let mut added = Vec::new();
        for (key, json) in members {
            let text = self.layout.render(json, site.indent.as_deref());
            match entries.iter().rfind(|entry| entry.is_named(key)) {
                Some(entry) => self.splices.push(Splice { span: entry.value.span(), text }),
                None => added.push(format!("{}{colon}{text}", Json::from(*key))),
            }
        }
        self.splices.extend(site.append(&added));
    }

    /// Removes every member that has one of `keys`.
    pub fn remove_members(&mut self, object: Object<'doc>, keys: &[&str]) {
        let entries: Vec<_> = object.entries().collect();
        let spans: Vec<_> = entries.iter().map(|entry| entry.span()).collect();
        self.remove(object.value(), &spans, |n| keys.iter().any(|key| entries[n].is_named(key)));
    }

    /// Appends `elements` to an array.
    pub fn push_elements(&mut self, array: Array<'doc>, elements: &[Json]) {
        let spans: Vec<_> = array.elements().map(|element| element.span()).collect();
        let site = self.layout.site(array.value(), &spans);
        let added: Vec<_> =
            elements.iter().map(|json| self.layout.render(json, site.indent.as_deref())).collect();
        self.splices.extend(site.append(&added));
    }

    /// Removes the elements of an array at `positions`, counted from 0.
    pub fn remove_elements(&mut self, array: Array<'doc>, positions: &[usize]) {
        let spans: Vec<_> = array.elements().map(|element| element.span()).collect();
        self.remove(array.value(), &spans, |n| positions.contains(&n));
    }

    /// Puts `json` where `value` stands.
    pub fn replace(&mut self, value: Value<'doc>, json: &Json) {
        let text = self.layout.render(json, self.layout.line_indent(value.span().start));
        self.splices.push(Splice { span: value.span(), text });
    }

    /// Writes the document with its changes.
    ///
    /// # Panics
    ///
    /// If two calls changed the same object or array, which is an error of the caller.
    pub fn write_to(&self, out: &mut impl io::Write) -> io::Result<()> {
        let mut splices: Vec<_> = self.splices.iter().collect();
        splices.sort_by_key(|splice| (splice.span.start, splice.span.end));
        let mut written = 0;
        for splice in splices {
            assert!(written <= splice.span.start, "an object or array is changed by one call");
            out.write_all(&self.text.as_bytes()[written..splice.span.start])?;
            out.write_all(splice.text.as_bytes())?;
            written = splice.span.end;
        }
        out.write_all(&self.text.as_bytes()[written..])
    }

    /// Returns the document with its changes.
    ///
    /// # Panics
    ///
    /// As [`Edits::write_to`].
    pub fn apply(&self) -> String {
        let mut out = Vec::with_capacity(self.text.len());
        self.write_to(&mut out).expect("writing to memory does not fail");
        String::from_utf8(out).expect("spans begin and end between characters")
    }

    fn remove(&mut self, container: Value<'doc>, items: &[Range<usize>], is_removed: impl Fn(usize) -> bool) {
        let mut n = 0;
        while n < items.len() {
            let run = (n..items.len()).take_while(|&at| is_removed(at)).count();
            if run > 0 {
                let span = match (n.checked_sub(1), items.get(n + run)) {
                    (Some(before), _) => items[before].end..items[n + run - 1].end,
                    (None, Some(after)) => items[0].start..after.start,
                    (None, None) => container.span().start + 1..container.span().end - 1,
                };
                self.splices.push(Splice { span, text: String::new() });
            }
            n += run + 1;
        }
    }
}

/// How a document is written, as far as its first member shows.
#[derive(Debug, Clone, Copy)]
struct Layout<'doc> {
    text: &'doc str,
    newline: &'static str,
    /// White space of one level; `None` if the document is on one line.
    unit: Option<&'doc str>,
    /// What stands between a key and its value.
    colon: &'doc str,
}

impl<'doc> Layout<'doc> {
    fn of(document: &'doc Document) -> Self {
        let text = document.text();
        let root = document.root();
        let first = root.as_object().and_then(|object| object.entries().next());
        let first_newline = memchr::memchr(b'\n', text.as_bytes());
        Self {
            text,
            newline: if first_newline.is_some_and(|at| text[..at].ends_with('\r')) { "\r\n" } else { "\n" },
            unit: match first {
                Some(entry) => after_newline(&text[root.span().start + 1..entry.span().start]),
                None => Some("  "),
            },
            colon: first.map_or(": ", |entry| &text[entry.key.span().end..entry.value.span().start]),
        }
    }

    /// Returns where and how something is appended to a container of `items`.
    fn site(&self, container: Value<'doc>, items: &[Range<usize>]) -> Site {
        let span = container.span();
        let Some(last) = items.last() else { return self.empty_site(span) };
        let lead = &self.text[span.start + 1..items[0].start];
        let gap = match items.len().checked_sub(2) {
            Some(before) => self.text[items[before].end..last.start].to_owned(),
            None if lead.is_empty() && self.colon.ends_with(' ') => ", ".to_owned(),
            None => format!(",{lead}"),
        };
        let indent = after_newline(lead).map(str::to_owned);
        Site { at: last.end..last.end, lead: gap.clone(), gap, tail: String::new(), indent }
    }

    fn empty_site(&self, span: Range<usize>) -> Site {
        let at = span.start + 1..span.end - 1;
        match (self.unit, self.line_indent(span.start)) {
            (Some(unit), Some(outer)) => {
                let (newline, indent) = (self.newline, format!("{outer}{unit}"));
                Site {
                    at,
                    lead: format!("{newline}{indent}"),
                    gap: format!(",{newline}{indent}"),
                    tail: format!("{newline}{outer}"),
                    indent: Some(indent),
                }
            }
            _ => {
                let gap = if self.colon.ends_with(' ') { ", " } else { "," };
                Site { at, lead: String::new(), gap: gap.to_owned(), tail: String::new(), indent: None }
            }
        }
    }

    /// Returns the indentation of the line on which the value at `start` begins, unless a bracket before it on
    /// that line shows that its surroundings are written within a line.
    fn line_indent(&self, start: usize) -> Option<&'doc str> {
        let line_start = memchr::memrchr(b'\n', &self.text.as_bytes()[..start]).map_or(0, |end| end + 1);
        let line = self.text[line_start..start].trim_start_matches(BOM);
        let before = line.trim_start();
        (!before.starts_with(['{', '['])).then_some(&line[..line.len() - before.len()])
    }

    /// Returns `json` as it is written on a line indented by `indent`, or within a line if there is none.
    fn render(&self, json: &Json, indent: Option<&str>) -> String {
        let (Some(unit), Some(indent)) = (self.unit, indent) else { return json.to_string() };
        let mut out = Vec::new();
        let formatter = PrettyFormatter::with_indent(unit.as_bytes());
        json.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
            .expect("a JSON value can be written to memory");
        let pretty = String::from_utf8(out).expect("serde_json writes UTF-8");
        // A JSON string has no line ends of its own, so each one here is the formatter's.
        pretty.replace('\n', &format!("{}{indent}", self.newline))
    }
}

/// A place at which members or elements are appended.
struct Site {
    at: Range<usize>,
    /// What stands before the first new one.
    lead: String,
    /// What stands between two new ones.
    gap: String,
    /// What stands after the last new one.
    tail: String,
    /// Indentation of the lines that the new ones begin on; `None` within a line.
    indent: Option<String>,
}

impl Site {
    fn append(self, added: &[String]) -> Option<Splice> {
        let Self { at, lead, gap, tail, indent: _ } = self;
        (!added.is_empty()).then(|| Splice { span: at, text: format!("{lead}{}{tail}", added.join(&gap)) })
    }
}

fn after_newline(space: &str) -> Option<&str> {
    space.rfind('\n').map(|end| &space[end + 1..])
}

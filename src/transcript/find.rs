//! Finds, at memory speed, the lines that may hold usage; the others are never parsed.
//!
//! It may find a line too many, never one too few: a key is spelled `"usage"`, or with an escape for a letter of it.

use std::ops::Range;

use memchr::memchr;
use memchr::memmem;
use memchr::memrchr;

/// Searches for what marks a line, built once for a transcript.
#[derive(Debug, Clone)]
pub(super) struct Finder {
    usage: memmem::Finder<'static>,
    assistant: memmem::Finder<'static>,
    progress: memmem::Finder<'static>,
    user: memmem::Finder<'static>,
    stopped: memmem::Finder<'static>,
    timestamp: memmem::Finder<'static>,
    escape: memmem::Finder<'static>,
}

impl Finder {
    /// Returns a finder.
    pub(super) fn new() -> Self {
        Self {
            usage: memmem::Finder::new(br#""usage""#),
            assistant: memmem::Finder::new(br#""assistant""#),
            progress: memmem::Finder::new(br#""progress""#),
            user: memmem::Finder::new(br#""user""#),
            stopped: memmem::Finder::new(br#""hook_stopped_continuation""#),
            timestamp: memmem::Finder::new(br#""timestamp""#),
            escape: memmem::Finder::new(br"\u00"),
        }
    }

    /// Returns the lines of `lines` that may hold usage, as ranges without their line ends.
    pub(super) fn candidates<'search>(&'search self, lines: &'search [u8]) -> Candidates<'search> {
        Candidates {
            finder: self,
            lines,
            start: 0,
            usage: self.usage.find(lines),
            escape: self.escaped_letter(lines, 0),
        }
    }

    /// Returns whether `line` may be a prompt, a tool result, an answer, or the end of a turn.
    pub(super) fn may_turn(&self, line: &[u8]) -> bool {
        self.any(&[&self.user, &self.assistant, &self.stopped], line)
    }

    /// Returns whether `line` may have a `timestamp`.
    pub(super) fn may_hold_timestamp(&self, line: &[u8]) -> bool {
        self.any(&[&self.timestamp], line)
    }

    fn any(&self, signs: &[&memmem::Finder<'static>], line: &[u8]) -> bool {
        signs.iter().any(|sign| sign.find(line).is_some()) || self.escaped_letter(line, 0).is_some()
    }

    /// Returns the first `\u006` or `\u007` at or after `start`. Clients escape control characters only, so lines
    /// with one are rare.
    fn escaped_letter(&self, text: &[u8], start: usize) -> Option<usize> {
        let mut escapes = self.escape.find_iter(&text[start..]).map(|at| start + at);
        escapes.find(|at| matches!(text.get(at + br"\u00".len()), Some(b'6' | b'7')))
    }
}

/// Lines that may hold usage, in order.
#[derive(Debug)]
pub(super) struct Candidates<'search> {
    finder: &'search Finder,
    lines: &'search [u8],
    /// Start of the next line to be looked at.
    start: usize,
    /// The next `"usage"` at or after `start`.
    usage: Option<usize>,
    /// The next escaped letter at or after `start`.
    escape: Option<usize>,
}

impl Iterator for Candidates<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let hit = match (self.usage, self.escape) {
                (Some(usage), Some(escape)) => usage.min(escape),
                (usage, escape) => usage.or(escape)?,
            };
            let start =
                memrchr(b'\n', &self.lines[self.start..hit]).map_or(self.start, |at| self.start + at + 1);
            let end = memchr(b'\n', &self.lines[hit..]).map_or(self.lines.len(), |at| hit + at);
            let has_escape = self.escape.is_some_and(|at| at < end);
            self.start = (end + 1).min(self.lines.len());
            if self.usage.is_some_and(|at| at < end) {
                self.usage = self.finder.usage.find(&self.lines[self.start..]).map(|at| self.start + at);
            }
            if has_escape {
                self.escape = self.finder.escaped_letter(self.lines, self.start);
            }
            let line = &self.lines[start..end];
            if has_escape
                || self.finder.assistant.find(line).is_some()
                || self.finder.progress.find(line).is_some()
            {
                return Some(start..end);
            }
        }
    }
}

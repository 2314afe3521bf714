//! Finds, at memory speed, the lines that hold something to be read; the others are never parsed.
//!
//! It may find a line too many, never one too few: a key is spelled `"usage"`, or with an escape for a letter of it.
//! All marks are searched in one pass over the bytes.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::Span;
use aho_corasick::packed;
use memchr::memchr;
use memchr::memmem;
use memchr::memrchr;

/// What marks a line; the bit of each is its place. Of an escape for a small letter the backslash, which stands in
/// all other escapes too, is looked at when the rest is found. (Clients escape control characters only, so that lines
/// with such an escape are rare. No client spells `cost-state` with one.)
const MARKS: [&[u8]; 6] =
    [br#""usage""#, b"u006", b"u007", br#""user""#, br#""pr-link""#, br#""cost-state""#];
const USAGE: u8 = 1;
const ESCAPE: u8 = 1 << 1 | 1 << 2;
const NOTE: u8 = 1 << 3 | 1 << 4;
const COST_STATE: u8 = 1 << 5;

/// Searches for what marks a line.
#[derive(Debug)]
pub(super) struct Finder {
    /// All marks at once; `None` on processors without the instructions for it.
    marks: Option<packed::Searcher>,
    escapes: [memmem::Finder<'static>; 2],
    assistant: memmem::Finder<'static>,
    progress: memmem::Finder<'static>,
    user: memmem::Finder<'static>,
    stopped: memmem::Finder<'static>,
    timestamp: memmem::Finder<'static>,
    /// What stands in the line of a tool's result and in no prompt.
    tool_result: memmem::Finder<'static>,
}

impl Finder {
    /// Returns the finder, which is made when it is first asked for.
    pub(super) fn get() -> &'static Self {
        static FINDER: LazyLock<Finder> = LazyLock::new(Finder::new);
        &FINDER
    }

    fn new() -> Self {
        Self {
            marks: packed::Searcher::new(MARKS),
            escapes: [br"\u006", br"\u007"].map(memmem::Finder::new),
            assistant: memmem::Finder::new(br#""assistant""#),
            progress: memmem::Finder::new(br#""progress""#),
            user: memmem::Finder::new(br#""user""#),
            stopped: memmem::Finder::new(br#""hook_stopped_continuation""#),
            timestamp: memmem::Finder::new(br#""timestamp""#),
            tool_result: memmem::Finder::new(br#""tool_result""#),
        }
    }

    /// Returns the lines of `lines` that have a mark, in order.
    pub(super) fn marked<'search>(&'search self, lines: &'search [u8]) -> MarkedLines<'search> {
        let next = self.marks.as_ref().and_then(|marks| next_mark(marks, lines, 0));
        MarkedLines { finder: self, lines, start: 0, next }
    }

    /// Returns whether a marked line may hold usage.
    pub(super) fn may_hold_usage(&self, marked: &Marked, line: &[u8]) -> bool {
        marked.has(ESCAPE)
            || marked.has(USAGE)
                && (self.assistant.find(line).is_some() || self.progress.find(line).is_some())
    }

    /// Returns whether a marked line may be a prompt or tell of a pull request.
    pub(super) fn may_be_note(&self, marked: &Marked, line: &[u8]) -> bool {
        marked.has(NOTE | ESCAPE) && self.tool_result.find(line).is_none()
    }

    /// Returns whether `line` may be a prompt, a tool result, an answer, or the end of a turn.
    pub(super) fn may_turn(&self, line: &[u8]) -> bool {
        self.has_any(&[&self.user, &self.assistant, &self.stopped], line)
    }

    /// Returns whether `line` may have a `timestamp`.
    pub(super) fn may_hold_timestamp(&self, line: &[u8]) -> bool {
        self.has_any(&[&self.timestamp], line)
    }

    fn has_any(&self, signs: &[&memmem::Finder<'static>], line: &[u8]) -> bool {
        signs.iter().copied().chain(&self.escapes).any(|sign| sign.find(line).is_some())
    }
}

/// A line with a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    /// Where it is, without its line end.
    pub(super) line: Range<usize>,
    marks: u8,
}

impl Marked {
    /// Returns whether it may be a `cost-state` line.
    pub(super) fn may_be_cost_state(&self) -> bool {
        self.has(COST_STATE)
    }

    fn has(&self, marks: u8) -> bool {
        self.marks & marks != 0
    }
}

/// Lines that have a mark, in order.
#[derive(Debug)]
pub(super) struct MarkedLines<'search> {
    finder: &'search Finder,
    lines: &'search [u8],
    /// Start of the next line to be looked at.
    start: usize,
    /// Where a mark comes next, at or after `start`, and its bit.
    next: Option<(usize, u8)>,
}

impl Iterator for MarkedLines<'_> {
    type Item = Marked;

    fn next(&mut self) -> Option<Marked> {
        let Some(searcher) = &self.finder.marks else { return self.next_slowly() };
        let (hit, mut marks) = self.next?;
        let lines = self.lines;
        let start = memrchr(b'\n', &lines[self.start..hit]).map_or(self.start, |at| self.start + at + 1);
        let end = memchr(b'\n', &lines[hit..]).map_or(lines.len(), |at| hit + at);
        self.next = next_mark(searcher, lines, hit + 1);
        while let Some((at, mark)) = self.next.filter(|&(at, _)| at < end) {
            marks |= mark;
            self.next = next_mark(searcher, lines, at + 1);
        }
        self.start = (end + 1).min(lines.len());
        Some(Marked { line: start..end, marks })
    }
}

impl MarkedLines<'_> {
    /// Does the same line by line and mark by mark.
    fn next_slowly(&mut self) -> Option<Marked> {
        while self.start < self.lines.len() {
            let rest = &self.lines[self.start..];
            let line = self.start..self.start + memchr(b'\n', rest).unwrap_or(rest.len());
            self.start = (line.end + 1).min(self.lines.len());
            let bytes = &self.lines[line.clone()];
            let marks = (0..MARKS.len())
                .filter(|&place| {
                    memmem::find_iter(bytes, MARKS[place]).any(|at| is_mark(bytes, at, 1 << place))
                })
                .fold(0, |marks, place| marks | 1 << place);
            if marks != 0 {
                return Some(Marked { line, marks });
            }
        }
        None
    }
}

/// Returns where the first mark at or after `from` is, and its bit.
fn next_mark(searcher: &packed::Searcher, lines: &[u8], from: usize) -> Option<(usize, u8)> {
    let mut from = from;
    loop {
        let found = searcher.find_in(lines, Span { start: from, end: lines.len() })?;
        let mark = 1 << found.pattern().as_usize();
        if is_mark(lines, found.start(), mark) {
            return Some((found.start(), mark));
        }
        from = found.start() + 1;
    }
}

/// Returns whether what was found at `at` is the mark of that bit: before what is behind the backslash of an escape
/// stands one.
fn is_mark(lines: &[u8], at: usize, mark: u8) -> bool {
    mark & ESCAPE == 0 || at > 0 && lines[at - 1] == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_finds_what_a_search_for_each_mark_finds() {
        let words: [&[u8]; 14] = [
            b"\n",
            b"\n",
            b"\"",
            b"\\",
            b"usage",
            b"user",
            b"\"usage\"",
            b"\"user\"",
            b"\\u006",
            b"u007",
            b"\"pr-link\"",
            b"\"cost-state\"",
            b"x",
            b"\\\"",
        ];
        let finder = Finder::new();
        let slow = Finder { marks: None, ..Finder::new() };
        let mut random = fastrand::Rng::with_seed(7);
        let mut n_marked = 0;
        for _ in 0..20_000 {
            let lines = (0..random.usize(..40)).flat_map(|_| words[random.usize(..words.len())]);
            let lines: Vec<u8> = lines.copied().collect();
            let found: Vec<_> = finder.marked(&lines).collect();
            assert_eq!(found, slow.marked(&lines).collect::<Vec<_>>(), "{}", lines.escape_ascii());
            n_marked += found.len();
        }
        assert!(n_marked > 20_000);
    }
}

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
    /// What a line with usage has: the key, or the beginning of an escaped small letter. (Clients escape control
    /// characters only, so that lines with one are rare.)
    marks: [memmem::Finder<'static>; 3],
    assistant: memmem::Finder<'static>,
    progress: memmem::Finder<'static>,
    user: memmem::Finder<'static>,
    stopped: memmem::Finder<'static>,
    timestamp: memmem::Finder<'static>,
    pull_request: memmem::Finder<'static>,
    /// What stands in the line of a tool's result and in no prompt.
    tool_result: memmem::Finder<'static>,
    cost_state: memmem::Finder<'static>,
}

impl Finder {
    /// Returns a finder.
    pub(super) fn new() -> Self {
        Self {
            marks: [br#""usage""#.as_slice(), br"\u006", br"\u007"].map(memmem::Finder::new),
            assistant: memmem::Finder::new(br#""assistant""#),
            progress: memmem::Finder::new(br#""progress""#),
            user: memmem::Finder::new(br#""user""#),
            stopped: memmem::Finder::new(br#""hook_stopped_continuation""#),
            timestamp: memmem::Finder::new(br#""timestamp""#),
            pull_request: memmem::Finder::new(br#""pr-link""#),
            tool_result: memmem::Finder::new(br#""tool_use_id""#),
            cost_state: memmem::Finder::new(br#""cost-state""#),
        }
    }

    /// Returns the lines of `lines` that may hold usage, as ranges without their line ends.
    pub(super) fn candidates<'search>(&'search self, lines: &'search [u8]) -> Candidates<'search> {
        let next = self.marks.each_ref().map(|mark| mark.find(lines));
        Candidates { finder: self, lines, start: 0, next }
    }

    /// Returns whether `line` may be a prompt, a tool result, an answer, or the end of a turn.
    pub(super) fn may_turn(&self, line: &[u8]) -> bool {
        self.has_any(&[&self.user, &self.assistant, &self.stopped], line)
    }

    /// Returns whether `line` may have a `timestamp`.
    pub(super) fn may_hold_timestamp(&self, line: &[u8]) -> bool {
        self.has_any(&[&self.timestamp], line)
    }

    /// Returns the lines of `lines`, none of which has an escaped letter, that may be a prompt or tell of a pull
    /// request, as ranges without their line ends.
    pub(super) fn notes<'search>(&'search self, lines: &'search [u8]) -> Notes<'search> {
        let next = [&self.user, &self.pull_request].map(|mark| mark.find(lines));
        Notes { finder: self, lines, start: 0, next }
    }

    /// Returns whether `line` may be a prompt or tell of a pull request.
    pub(super) fn may_be_note(&self, line: &[u8]) -> bool {
        self.has_any(&[&self.user, &self.pull_request], line) && self.tool_result.find(line).is_none()
    }

    /// Returns where in `lines` the first `cost-state` line may be. (No client spells the word with an escape.)
    pub(super) fn cost_state(&self, lines: &[u8]) -> Option<usize> {
        self.cost_state.find(lines)
    }

    fn has_any(&self, signs: &[&memmem::Finder<'static>], line: &[u8]) -> bool {
        let [_, escapes @ ..] = &self.marks;
        signs.iter().copied().chain(escapes).any(|sign| sign.find(line).is_some())
    }
}

/// Lines that may hold usage, in order.
#[derive(Debug)]
pub(super) struct Candidates<'search> {
    finder: &'search Finder,
    lines: &'search [u8],
    /// Start of the next line to be looked at.
    start: usize,
    /// Where each of the finder's marks comes next, at or after `start`.
    next: [Option<usize>; 3],
}

impl Iterator for Candidates<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let hit = self.next.iter().copied().flatten().min()?;
            let start =
                memrchr(b'\n', &self.lines[self.start..hit]).map_or(self.start, |at| self.start + at + 1);
            let end = memchr(b'\n', &self.lines[hit..]).map_or(self.lines.len(), |at| hit + at);
            let [_, escapes @ ..] = self.next;
            let has_escape = escapes.iter().flatten().any(|&at| at < end);
            self.start = (end + 1).min(self.lines.len());
            for (next, mark) in self.next.iter_mut().zip(&self.finder.marks) {
                if next.is_some_and(|at| at < end) {
                    *next = mark.find(&self.lines[self.start..]).map(|at| self.start + at);
                }
            }
            let line = &self.lines[start..end];
            let finder = self.finder;
            if has_escape || finder.assistant.find(line).is_some() || finder.progress.find(line).is_some() {
                return Some(start..end);
            }
        }
    }
}

/// Lines that may be a prompt or tell of a pull request, in order.
#[derive(Debug)]
pub(super) struct Notes<'search> {
    finder: &'search Finder,
    lines: &'search [u8],
    /// Start of the next line to be looked at.
    start: usize,
    /// Where each of the two marks comes next, at or after `start`.
    next: [Option<usize>; 2],
}

impl Iterator for Notes<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let hit = self.next.iter().copied().flatten().min()?;
            let start =
                memrchr(b'\n', &self.lines[self.start..hit]).map_or(self.start, |at| self.start + at + 1);
            let end = memchr(b'\n', &self.lines[hit..]).map_or(self.lines.len(), |at| hit + at);
            self.start = (end + 1).min(self.lines.len());
            for (next, mark) in self.next.iter_mut().zip([&self.finder.user, &self.finder.pull_request]) {
                if next.is_some_and(|at| at < end) {
                    *next = mark.find(&self.lines[self.start..]).map(|at| self.start + at);
                }
            }
            if self.finder.tool_result.find(&self.lines[start..end]).is_none() {
                return Some(start..end);
            }
        }
    }
}

//! How what was read ends: whether a request is under way, and the time of the last line that states one.
//!
//! An answer tells both, so that only the lines behind the last one need to be looked at, and those only once.

use jiff::Timestamp;

use super::cost_state;
use super::find::Finder;
use super::tail;
use super::tail::Tail;

/// How many bytes of lines are kept before they are looked at.
const MAX_KEPT: usize = 1 << 20;

/// What the lines that were read end with.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// The tail of what stands before `behind`.
    tail: Tail,
    /// Time of the last line before `behind` that states one.
    time: Option<Timestamp>,
    /// Lines that nobody looked at yet, behind the last answer.
    behind: Vec<u8>,
}

impl Ending {
    /// Returns that of lines, the last of which that states a time states `time`.
    pub(super) fn after(time: Option<Timestamp>) -> Self {
        Self { time, ..Self::default() }
    }

    /// Takes note of an answer that states its time.
    pub(super) fn answered(&mut self, time: Timestamp) {
        self.behind.clear();
        self.tail = Tail::Answered;
        self.time = Some(time);
    }

    /// Adds whole lines, in which [`Ending::answered`] knows of each answer.
    pub(super) fn add(&mut self, lines: &[u8], finder: &Finder) {
        if self.behind.len() + lines.len() > MAX_KEPT {
            self.settle(finder);
        }
        if lines.len() > MAX_KEPT {
            self.look_at(lines, finder);
        } else {
            self.behind.extend_from_slice(lines);
        }
    }

    /// Returns the time of the last line that states one.
    pub(super) fn time(&mut self, finder: &Finder) -> Option<Timestamp> {
        self.settle(finder);
        self.time
    }

    /// Returns the tail of all that was added since this was called last.
    pub(super) fn take_tail(&mut self, finder: &Finder) -> Tail {
        self.settle(finder);
        std::mem::take(&mut self.tail)
    }

    fn settle(&mut self, finder: &Finder) {
        let behind = std::mem::take(&mut self.behind);
        self.look_at(&behind, finder);
        self.behind = behind;
        self.behind.clear();
    }

    fn look_at(&mut self, lines: &[u8], finder: &Finder) {
        match tail::tail(lines, finder) {
            Tail::Unchanged => {}
            told => self.tail = told,
        }
        self.time = cost_state::last_time(lines, finder).or(self.time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &[u8] = b"{\"type\":\"user\",\"timestamp\":\"2026-11-20T12:00:00Z\",\"message\":{}}\n";
    const SILENT: &[u8] = b"{\"type\":\"mode\"}\n";

    fn check(parts: &[&[u8]]) {
        let finder = Finder::get();
        let mut ending = Ending::default();
        ending.answered(Timestamp::UNIX_EPOCH);
        for part in parts {
            ending.add(part, finder);
        }
        assert!(ending.behind.len() <= MAX_KEPT);
        assert_eq!(ending.take_tail(finder), Tail::Unanswered);
        assert_eq!(ending.time(finder).map(|time| time.to_string()).as_deref(), Some("2026-11-20T12:00:00Z"));
        assert_eq!(ending.take_tail(finder), Tail::Unchanged);
    }

    #[test]
    fn knows_what_no_answer_tells_however_long_ago() {
        let silent = SILENT.repeat(MAX_KEPT / 2 / SILENT.len() + 1);
        let long = SILENT.repeat(MAX_KEPT / SILENT.len() + 1);
        check(&[ASKED]);
        check(&[ASKED, &silent, &silent, &silent]);
        check(&[&silent, ASKED, &long, SILENT]);
        check(&[&[ASKED, &long].concat()]);
    }
}

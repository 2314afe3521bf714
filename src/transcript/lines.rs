//! Cuts the input into whole lines, in one bounded buffer: lines are borrowed from the reader's own buffer, and
//! only a line that crosses the buffer's end is copied.
//!
//! It never looks into a line.

use std::io;
use std::io::BufRead;

use memchr::memchr;
use memchr::memrchr;

/// Longest line that is read, in bytes; longer ones are passed over.
pub(super) const MAX_LINE_BYTES: usize = 64 << 20;

/// What a copied line may leave allocated.
const KEPT_BYTES: usize = 1 << 20;

/// A part of the input, in order.
#[derive(Debug)]
pub(super) enum Part<'input> {
    /// One or more whole lines, the last line end included.
    Lines(&'input [u8]),
    /// A line of this many bytes, its line end included, which is longer than [`MAX_LINE_BYTES`].
    TooLong(u64),
    /// What stands after the last line end: maybe nothing, maybe a line still being written.
    Rest(&'input [u8]),
    /// The same, longer than [`MAX_LINE_BYTES`].
    RestTooLong,
}

/// A reader of whole lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    /// Bytes of the reader's buffer that were lent out.
    lent: usize,
    /// The beginning of a line whose end is not in the reader's buffer.
    begun: Vec<u8>,
    /// `begun` was lent out and can be emptied.
    begun_is_lent: bool,
    /// Bytes passed over of a line that is too long, if in one.
    passed_over: Option<u64>,
}

impl<R: BufRead> Lines<R> {
    /// Returns a reader of the lines that `input` stands before.
    pub(super) fn new(input: R) -> Self {
        Self { input, lent: 0, begun: Vec::new(), begun_is_lent: false, passed_over: None }
    }

    /// Returns the next part: at most `max_bytes` of whole lines, or one line if it is longer than that.
    pub(super) fn next(&mut self, max_bytes: usize) -> io::Result<Part<'_>> {
        self.take_back();
        loop {
            let is_in_a_line = !self.begun.is_empty() || self.passed_over.is_some();
            let window = match self.input.fill_buf() {
                Ok(window) => window,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if window.is_empty() {
                return Ok(if self.passed_over.is_some() {
                    Part::RestTooLong
                } else {
                    Part::Rest(&self.begun)
                });
            }
            let line_end = if is_in_a_line {
                memchr(b'\n', window).map(|at| at + 1)
            } else if let Some(end) = whole_lines(window, max_bytes) {
                self.lent = end;
                break;
            } else {
                None
            };
            let taken = line_end.unwrap_or(window.len());
            match &mut self.passed_over {
                Some(bytes) => *bytes += taken as u64,
                None if self.begun.len() + taken - line_end.map_or(0, |_| 1) > MAX_LINE_BYTES => {
                    self.passed_over = Some((self.begun.len() + taken) as u64);
                    self.begun = Vec::new();
                }
                None => append(&mut self.begun, &window[..taken]),
            }
            self.input.consume(taken);
            if line_end.is_none() {
                continue;
            }
            if let Some(bytes) = self.passed_over.take() {
                return Ok(Part::TooLong(bytes));
            }
            self.begun_is_lent = true;
            return Ok(Part::Lines(&self.begun));
        }
        // Lent anew, because the borrow above cannot outlive the loop; the buffer is full, so nothing is read.
        Ok(Part::Lines(&self.input.fill_buf()?[..self.lent]))
    }

    fn take_back(&mut self) {
        self.input.consume(std::mem::take(&mut self.lent));
        if std::mem::take(&mut self.begun_is_lent) {
            self.begun.clear();
            self.begun.shrink_to(KEPT_BYTES);
        }
    }
}

/// Returns where the whole lines of `window` end, at most `max_bytes` of them or the first one.
fn whole_lines(window: &[u8], max_bytes: usize) -> Option<usize> {
    let max_bytes = max_bytes.min(window.len());
    let end = memrchr(b'\n', &window[..max_bytes])
        .or_else(|| memchr(b'\n', &window[max_bytes..]).map(|at| at + max_bytes))?;
    Some(end + 1)
}

/// Appends, growing to twice the size but not beyond what the longest line needs.
fn append(line: &mut Vec<u8>, bytes: &[u8]) {
    let needed = line.len() + bytes.len();
    if needed > line.capacity() {
        let capacity = needed.max(2 * line.capacity()).min(needed.max(MAX_LINE_BYTES + 1));
        line.reserve_exact(capacity - line.len());
    }
    line.extend_from_slice(bytes);
}

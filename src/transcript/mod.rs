//! Reads Claude Code's transcripts: lines in, usage records and what was skipped out.
//!
//! A transcript is JSONL that its client appends to, one line for each message, tool result or note. This room finds
//! the lines that hold usage of an API answer, without parsing the others, and bears whatever a line may hold: it
//! never fails for a line. It opens no file, knows no price, and keeps nothing of what was said.

mod cost_state;
mod ending;
mod entry;
mod find;
mod json;
mod lines;
mod notes;
mod parser;
mod records;
mod request;
mod skipped;
pub mod switch;
mod tail;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::hash_map;
use std::io;
use std::io::BufRead;

use jiff::Timestamp;
use memchr::memchr_iter;

use crate::client_count::ClientCount;
use crate::id::SessionId;
use crate::usage::RequestKey;
use crate::usage::UsageRecord;

use self::ending::Ending;
use self::entry::Entry;
use self::entry::Own;
use self::find::Finder;
use self::lines::Lines;
use self::lines::Part;
use self::notes::Note;
use self::records::each_record;
use self::request::ASSISTANT;
use self::request::Seen;

pub use self::notes::Prompt;
pub use self::notes::PullRequest;
pub use self::skipped::SkipReason;
pub use self::skipped::Skipped;
pub use self::tail::Tail;

/// A good capacity for the `BufReader` around a transcript, in bytes: it fits the processor's cache.
pub const BUFFER_BYTES: usize = 256 << 10;

/// How many lines that were left out are told one by one; all are counted.
const MAX_SKIPPED_TOLD: usize = 1000;

/// How far into a file the lines without `uuid` are looked at, in bytes.
pub const OWN_BYTES: u64 = 1 << 20;

/// How many lines [`named_session`] reads at most.
const NAMING_LINES: usize = 64;

/// Where reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Byte offset of what is read next.
    pub offset: u64,
    /// Number of line ends before it.
    pub line: u64,
}

/// What a stretch of a transcript holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slice {
    /// Its requests, the lines of each merged by request and session, in order of first appearance.
    pub records: Vec<UsageRecord>,
    /// Lines that were left out, the first 1,000 of them. Lines that hold no usage may be anything and aren't among
    /// them, except those too long to tell.
    pub skipped: Vec<Skipped>,
    /// How many lines were left out.
    pub n_skipped: u64,
    /// Where it ends: after the last line that was read.
    pub end: Position,
    /// The input ended: there is nothing behind the slice but, maybe, a torn line.
    pub finished: bool,
    /// The last line has no line end and isn't whole. It was not read, `end` is before it: the client may still be
    /// writing it.
    pub torn: Option<Skipped>,
    /// For each session the earliest time of a line without `uuid`, which a resumed or forked history does not
    /// repeat. Only lines up to the first usage line and in the first MiB of a file read from its start.
    pub first_own_line: BTreeMap<SessionId, Timestamp>,
    /// Whether a request is under way at its end.
    pub tail: Tail,
    /// What people asked for, in the order of the lines.
    pub prompts: Vec<Prompt>,
    /// Pull requests that its sessions opened or worked on, in the order of the lines.
    pub pull_requests: Vec<PullRequest>,
    /// What the client itself had counted by then, in the order of its lines.
    pub client_counts: Vec<ClientCount>,
    /// Time of the last line of it that states one, else of the lines before it, as far as the reader knows.
    pub last_time: Option<Timestamp>,
}

/// Reads a transcript slice by slice.
///
/// Neither the size of the slices nor reading on from any [`Slice::end`] changes what is found, if the reader is told
/// what was before ([`Reader::after`], [`Reader::before_usage`]). (One exception: a line without a readable
/// `timestamp`, which no client writes, takes that of the usage line before it, and is left out if this reader has seen
/// none.)
#[derive(Debug)]
pub struct Reader<R> {
    lines: Lines<R>,
    scan: Scan,
    /// The tear, once the input has ended.
    finished: Option<Option<Skipped>>,
}

impl<R: BufRead> Reader<R> {
    /// Returns a reader of `input`, which stands at `from.offset` already; `session` is the session of lines that
    /// name none.
    pub fn new(input: R, from: Position, session: SessionId) -> Self {
        let scan = Scan {
            finder: Finder::get(),
            position: from,
            session,
            previous: None,
            ending: Ending::default(),
            seeks_own: from.offset == 0,
        };
        Self { lines: Lines::new(input), scan, finished: None }
    }

    /// Tells the reader the time of the last line before where it begins: [`Slice::last_time`] of what was read before.
    pub fn after(mut self, last_time: Option<Timestamp>) -> Self {
        self.scan.ending = Ending::after(last_time);
        self
    }

    /// Tells the reader that what stands before where it begins [holds no usage](holds_usage): lines of the sessions' own
    /// are looked for still.
    pub fn before_usage(mut self) -> Self {
        self.scan.seeks_own = self.scan.position.offset < OWN_BYTES;
        self
    }

    /// Reads whole lines, about `max_bytes` of them but at least one, or to the end of the input.
    ///
    /// # Errors
    /// Those of the input. What was read since the last slice is lost then: read again from its end.
    pub fn next_slice(&mut self, max_bytes: u64) -> io::Result<Slice> {
        let mut found = Found::default();
        let limit = self.scan.position.offset.saturating_add(max_bytes.max(1));
        while self.finished.is_none() && self.scan.position.offset < limit {
            let wanted = usize::try_from(limit - self.scan.position.offset).unwrap_or(usize::MAX);
            match self.lines.next(wanted)? {
                Part::Lines(lines) => self.scan.read(lines, &mut found),
                Part::TooLong(n_bytes) => self.scan.pass_over(n_bytes, &mut found),
                Part::Rest(rest) => self.finished = Some(self.scan.read_rest(rest, &mut found)),
                Part::RestTooLong => self.finished = Some(Some(self.scan.skip(SkipReason::TooLong))),
            }
        }
        found.slice.end = self.scan.position;
        found.slice.tail = self.scan.ending.take_tail(self.scan.finder);
        found.slice.last_time = self.scan.ending.time(self.scan.finder);
        found.slice.finished = self.finished.is_some();
        found.slice.torn = self.finished.clone().flatten();
        Ok(found.slice)
    }
}

/// What goes on from line to line.
#[derive(Debug)]
struct Scan {
    finder: &'static Finder,
    position: Position,
    session: SessionId,
    /// Time of the last usage line.
    previous: Option<Timestamp>,
    ending: Ending,
    /// No usage line was read yet, from the start of the file.
    seeks_own: bool,
}

impl Scan {
    /// Reads whole lines.
    fn read(&mut self, lines: &[u8], found: &mut Found) {
        let finder = self.finder;
        let mut start = 0;
        let mut answered = 0;
        for marked in finder.marked(lines) {
            let line = &lines[marked.line.clone()];
            if marked.may_be_cost_state() {
                let before = cost_state::last_time(&lines[answered..marked.line.start], finder);
                let time = before.or_else(|| self.ending.time(finder));
                found.slice.client_counts.extend(cost_state::client_counts(line, time));
            }
            let may_be_note = finder.may_be_note(&marked, line);
            if finder.may_hold_usage(&marked, line) {
                self.pass(&lines[start..marked.line.start], found);
                let answer = self.read_line(line, may_be_note, found);
                start = marked.line.end;
                if let Some(time) = answer {
                    self.ending.answered(time);
                    answered = start;
                }
            } else if may_be_note {
                let n_before = || memchr_iter(b'\n', &lines[start..marked.line.start]).count() as u64;
                self.read_notes(line, n_before, found);
            }
        }
        self.pass(&lines[start..], found);
        self.ending.add(&lines[answered..], finder);
    }

    /// Goes past lines that hold no usage.
    fn pass(&mut self, lines: &[u8], found: &mut Found) {
        if self.seeks_own {
            let mut offset = self.position.offset;
            for line in lines.split_inclusive(|&byte| byte == b'\n') {
                self.note_own(line, offset, found);
                offset += line.len() as u64;
            }
        }
        self.position.offset += lines.len() as u64;
        self.position.line += memchr_iter(b'\n', lines).count() as u64;
    }

    /// Notes what a line that need hold no usage says of its session; `n_before` are the lines before it that are not
    /// counted yet.
    fn read_notes(&self, line: &[u8], n_before: impl Fn() -> u64, found: &mut Found) {
        each_record(line, |note: Box<Note<'_>>, _| {
            if notes::is_broken_off(&note) {
                let line = self.position.line + n_before() + 1;
                found.skip(Skipped { line, reason: SkipReason::BrokenOff });
            }
            found.slice.prompts.extend(notes::prompt(&note, &self.session));
            found.slice.pull_requests.extend(notes::pull_request(&note, &self.session));
        });
    }

    /// Reads a line without its line end; returns its time, if it is nothing but an answer that states one.
    fn read_line(&mut self, line: &[u8], may_be_note: bool, found: &mut Found) -> Option<Timestamp> {
        if may_be_note {
            self.read_notes(line, || 0, found);
        }
        let mut n_records = 0;
        let mut answer = None;
        let is_whole = each_record(line, |entry: Box<Entry<'_>>, text| {
            n_records += 1;
            self.note_own(text, self.position.offset, found);
            let time = request::timestamp(&entry.answer.timestamp);
            let last = found.slice.records.last_mut();
            let told = match request::seen(&entry, text, &self.session, time.or(self.previous), last) {
                Ok(Seen::Nothing) => return,
                Ok(Seen::Again(told)) => Some(told),
                Ok(Seen::Request(record)) => {
                    let told = record.facts.origin.timestamp;
                    found.add(record);
                    Some(told)
                }
                Err(reason) => {
                    found.skip(self.skip(reason));
                    None
                }
            };
            if told.is_some() {
                self.previous = told;
                answer = time.filter(|_| entry.kind.text() == Some(ASSISTANT));
            }
            self.seeks_own = false;
        });
        if !is_whole {
            found.skip(self.skip(SkipReason::NotJson));
        }
        self.position.offset += line.len() as u64;
        answer.filter(|_| is_whole && n_records == 1)
    }

    /// Reads what stands after the last line end, if it is whole; else returns what keeps it from being read.
    fn read_rest(&mut self, rest: &[u8], found: &mut Found) -> Option<Skipped> {
        let is_whole = each_record(rest, |_: Box<Own<'_>>, _| {});
        if !is_whole {
            return Some(self.skip(SkipReason::NotJson));
        }
        self.read(rest, found);
        None
    }

    fn pass_over(&mut self, n_bytes: u64, found: &mut Found) {
        found.skip(self.skip(SkipReason::TooLong));
        self.position.offset += n_bytes;
        self.position.line += 1;
    }

    /// Notes the time of a line that is its session's own, before the first usage line.
    fn note_own(&self, line: &[u8], offset: u64, found: &mut Found) {
        if !self.seeks_own || offset >= OWN_BYTES || !self.finder.may_hold_timestamp(line) {
            return;
        }
        each_record(line, |own: Box<Own<'_>>, _| {
            if own.uuid.text().is_some() {
                return;
            }
            let session = own.session.text().map_or(Ok(self.session.clone()), SessionId::new);
            if let (Ok(session), Some(timestamp)) = (session, request::timestamp(&own.timestamp)) {
                let first = found.slice.first_own_line.entry(session).or_insert(timestamp);
                *first = timestamp.min(*first);
            }
        });
    }

    fn skip(&self, reason: SkipReason) -> Skipped {
        Skipped { line: self.position.line + 1, reason }
    }
}

/// A slice in the making.
#[derive(Debug, Default)]
struct Found {
    slice: Slice,
    /// Where in the slice's records a request of a session is.
    places: HashMap<(RequestKey, SessionId), usize>,
}

impl Found {
    fn add(&mut self, record: UsageRecord) {
        let records = &mut self.slice.records;
        // Lines of a request mostly stand together.
        if let Some(last) = records.last_mut()
            && last.facts.key == record.facts.key
            && last.session == record.session
        {
            return last.merge(&record);
        }
        match self.places.entry((record.facts.key.clone(), record.session.clone())) {
            hash_map::Entry::Occupied(place) => records[*place.get()].merge(&record),
            hash_map::Entry::Vacant(place) => {
                place.insert(records.len());
                records.push(record);
            }
        }
    }

    fn skip(&mut self, skipped: Skipped) {
        self.slice.n_skipped += 1;
        if self.slice.skipped.len() < MAX_SKIPPED_TOLD {
            self.slice.skipped.push(skipped);
        }
    }
}

/// Returns the time of the last of `lines` that states one: what [`Reader::after`] wants to be told.
pub fn last_time(lines: &[u8]) -> Option<Timestamp> {
    cost_state::last_time(lines, Finder::get())
}

/// Returns whether one of `lines` is a usage line: if not, [`Reader::before_usage`] wants to be told.
pub fn holds_usage(lines: &[u8]) -> bool {
    let finder = Finder::get();
    // Neither the session nor the time changes whether there is usage.
    let session = SessionId::new("-").expect("a name of one letter");
    let mut is_found = false;
    for marked in finder.marked(lines) {
        let line = &lines[marked.line.clone()];
        if !finder.may_hold_usage(&marked, line) {
            continue;
        }
        each_record(line, |entry: Box<Entry<'_>>, text| {
            is_found |= !matches!(request::seen(&entry, text, &session, None, None), Ok(Seen::Nothing));
        });
        if is_found {
            break;
        }
    }
    is_found
}

/// Returns the session that the first line naming one names, in the first 64 lines and the first MiB of `input`.
///
/// For the subagent files of 2.0.x, which lie beside the files of their sessions.
///
/// # Errors
/// Those of the input.
pub fn named_session<R: BufRead>(input: R) -> io::Result<Option<SessionId>> {
    let mut start = input.take(OWN_BYTES);
    let mut line = Vec::new();
    for _ in 0..NAMING_LINES {
        line.clear();
        if start.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let mut session = None;
        each_record(&line, |own: Box<Own<'_>>, _| {
            session = session.take().or(own.session.text().and_then(|text| SessionId::new(text).ok()));
        });
        if session.is_some() {
            return Ok(session);
        }
    }
    Ok(None)
}

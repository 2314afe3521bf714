//! Speed of reading a transcript, beside counting its line ends, which is the least that a reader must do.
//!
//! `cargo bench --bench read` makes a synthetic transcript, the mix of whose lines is that of real ones, and reads it
//! from a file in the page cache. Memory stays flat: nothing is kept but the records.

#![expect(clippy::unwrap_used, reason = "a benchmark, not the program")]

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write as _;
use std::num::NonZero;
use std::sync::LazyLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

use cmat::id::SessionId;
use cmat::transcript;
use cmat::transcript::Position;
use cmat::transcript::Reader;
use divan::Bencher;
use divan::counter::BytesCount;
use tempfile::NamedTempFile;

/// Size of the transcript, in bytes.
const SIZE: usize = 128 << 20;

/// How much is read before its records are handed on, in bytes.
const SLICE_BYTES: u64 = 8 << 20;

/// About how much a core reads at once, in bytes, as booking has it.
const PIECE_BYTES: u64 = 4 << 20;

static TRANSCRIPT: LazyLock<NamedTempFile> = LazyLock::new(|| {
    let mut file = NamedTempFile::new().unwrap();
    let mut n_bytes = 0;
    for turn in 0.. {
        let lines = turn_lines(turn);
        file.write_all(lines.as_bytes()).unwrap();
        n_bytes += lines.len();
        if n_bytes >= SIZE {
            break;
        }
    }
    file
});

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 20)]
fn read(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::new(SIZE)).bench(|| {
        let mut reader = Reader::new(open(), Position::default(), SessionId::new("bench").unwrap());
        let mut n_requests = 0;
        loop {
            let slice = reader.next_slice(SLICE_BYTES).unwrap();
            n_requests += slice.records.len();
            if slice.finished {
                return n_requests;
            }
        }
    });
}

/// As booking reads a large file: cut at line ends into pieces, which all cores take one after the other.
#[divan::bench(sample_count = 20)]
fn read_on_all_cores(bencher: Bencher<'_, '_>) {
    let cuts = cuts();
    let n_threads = thread::available_parallelism().map_or(1, NonZero::get);
    bencher.counter(BytesCount::new(SIZE)).bench(|| {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(|| read_pieces(&cuts, &next))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        })
    });
}

/// Reads the next piece that nobody took, until there is none.
fn read_pieces(cuts: &[u64], next: &AtomicUsize) -> usize {
    let mut file = TRANSCRIPT.reopen().unwrap();
    let mut n_requests = 0;
    while let Some([begin, end]) = cuts.windows(2).nth(next.fetch_add(1, Ordering::Relaxed)) {
        file.seek(SeekFrom::Start(*begin)).unwrap();
        let input = BufReader::with_capacity(transcript::BUFFER_BYTES, (&file).take(end - begin));
        let from = Position { offset: *begin, line: 0 };
        let mut reader = Reader::new(input, from, SessionId::new("bench").unwrap());
        n_requests += reader.next_slice(u64::MAX).unwrap().records.len();
    }
    n_requests
}

/// Returns where the pieces begin, and where the last one ends.
fn cuts() -> Vec<u64> {
    let mut input = open();
    let mut cuts = vec![0];
    let mut at = 0;
    loop {
        let n_bytes = input.skip_until(b'\n').unwrap() as u64;
        at += n_bytes;
        if n_bytes == 0 || at - cuts[cuts.len() - 1] >= PIECE_BYTES {
            cuts.push(at);
        }
        if n_bytes == 0 {
            return cuts;
        }
    }
}

#[divan::bench(sample_count = 20)]
fn count_line_ends(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::new(SIZE)).bench(|| {
        let mut input = open();
        let mut n_lines = 0;
        loop {
            let window = input.fill_buf().unwrap();
            if window.is_empty() {
                return n_lines;
            }
            n_lines += memchr::memchr_iter(b'\n', window).count();
            let length = window.len();
            input.consume(length);
        }
    });
}

fn open() -> BufReader<File> {
    BufReader::with_capacity(transcript::BUFFER_BYTES, TRANSCRIPT.reopen().unwrap())
}

/// A turn: an answer in two lines, a tool result, notes of progress, now and then an image.
fn turn_lines(turn: usize) -> String {
    let mut lines = String::new();
    let common = format!(
        r#""userType":"external","cwd":"/home/dev/proj","sessionId":"11111111-1111-4111-8111-111111111111","version":"2.1.200","gitBranch":"feature/reader","timestamp":"2026-03-{:02}T{:02}:{:02}:{:02}.{:03}Z""#,
        1 + turn / 86_400 % 28,
        turn / 3600 % 24,
        turn / 60 % 60,
        turn % 60,
        turn % 1000,
    );
    let prose = r#"The reader keeps \"whole\" lines in one buffer,\n\tand skips those without figures. "#;
    for block in 0..2 {
        let text = prose.repeat(5 + 20 * (turn % 3));
        writeln!(
            lines,
            r#"{{"parentUuid":"p-{turn}-{block}","isSidechain":false,{common},"message":{{"model":"claude-opus-4-8","id":"msg_{turn:024}","type":"message","role":"assistant","content":[{{"type":"text","text":"{text}"}}],"stop_reason":{},"stop_sequence":null,"usage":{{"input_tokens":3,"cache_creation_input_tokens":2400,"cache_read_input_tokens":{},"cache_creation":{{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":2400}},"output_tokens":{},"server_tool_use":{{"web_search_requests":0,"web_fetch_requests":0}},"service_tier":"standard","inference_geo":"not_available","iterations":[{{"type":"message","input_tokens":3,"output_tokens":700,"cache_read_input_tokens":90000,"cache_creation_input_tokens":2400,"cache_creation":{{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":2400}}}}],"speed":"standard"}}}},"requestId":"req_{turn:024}","type":"assistant","uuid":"u-{turn}-{block}"}}"#,
            if block == 0 { "null" } else { "\"tool_use\"" },
            30_000 + turn % 100_000,
            if block == 0 { 2 } else { 700 },
        )
        .unwrap();
    }
    let result = r"\u001b[32m  Compiling\u001b[0m cmat v0.1.0 (/home/dev/proj)\n".repeat(20 + turn % 200);
    writeln!(lines, r#"{{"parentUuid":"u-{turn}-1","isSidechain":false,{common},"type":"user","message":{{"role":"user","content":[{{"tool_use_id":"toolu_{turn}","type":"tool_result","content":"{result}"}}]}},"uuid":"r-{turn}","toolUseResult":{{"stdout":"{result}","stderr":""}}}}"#).unwrap();
    writeln!(lines, r#"{{"parentUuid":"u-{turn}-1","isSidechain":false,{common},"type":"progress","data":{{"type":"bash_progress","output":"{}","elapsedTimeSeconds":2}},"toolUseID":"bash-progress-1","uuid":"g-{turn}"}}"#, prose.repeat(4)).unwrap();
    writeln!(lines, r#"{{"type":"file-history-snapshot","messageId":"m-{turn}","snapshot":{{"trackedFileBackups":{{}}}}}}"#).unwrap();
    if turn.is_multiple_of(200) {
        let image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ".repeat(8000);
        writeln!(lines, r#"{{"parentUuid":null,{common},"type":"user","message":{{"role":"user","content":[{{"type":"image","source":{{"type":"base64","data":"{image}"}}}}]}},"uuid":"i-{turn}"}}"#).unwrap();
    }
    lines
}

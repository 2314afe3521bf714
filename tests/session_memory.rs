//! A session of any number of requests is compared with what its client counted in bounded memory.
//!
//! A test binary of its own, because what is measured is the highest memory of the whole process.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::fs;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use cmat::booking::Books;
use cmat::booking::Queues;
use cmat::booking::prices::PriceTables;
use cmat::ledger::Ledger;
use cmat::pricing::UnknownModel;
use jiff::Timestamp;

/// Requests of the session; all of them in memory are more than 50 MB.
const N_REQUESTS: u64 = 30_000;

fn write_requests(path: &Path) {
    let mut out = BufWriter::new(fs::File::create(path).unwrap());
    for n in 0..N_REQUESTS {
        writeln!(
            out,
            r#"{{"type":"assistant","uuid":"u-{n}","sessionId":"s1","timestamp":"2026-11-20T{:02}:{:02}:{:02}.000Z","message":{{"id":"msg_{n}","model":"claude-haiku-4-5","stop_reason":"end_turn","content":[],"usage":{{"input_tokens":10,"output_tokens":1}}}}}}"#,
            n / 3600,
            n / 60 % 60,
            n % 60
        )
        .unwrap();
    }
    out.flush().unwrap();
}

/// Appends the client's count: seven input tokens more than the requests have.
fn append_count(path: &Path) {
    let mut file = fs::File::options().append(true).open(path).unwrap();
    writeln!(
        file,
        r#"{{"type":"cost-state","sessionId":"s1","totalCostUSD":1.5,"modelUsage":{{"claude-haiku-4-5":{{"inputTokens":{},"outputTokens":{N_REQUESTS},"cacheReadInputTokens":0,"cacheCreationInputTokens":0}}}}}}"#,
        10 * N_REQUESTS + 7
    )
    .unwrap();
}

/// Returns the most memory that this process ever had, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_count_is_compared_without_all_requests_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let transcript = folder.path().join("s1.jsonl");
    let patience = Duration::from_secs(300);
    let mut books = Books {
        ledger: Ledger::open(&folder.path().join("data"), patience).unwrap(),
        prices: PriceTables::new(&folder.path().join("data"), UnknownModel::Default),
        home: None,
        claude_folders: Vec::new(),
        now: Timestamp::UNIX_EPOCH,
        deadline: Instant::now() + patience,
        queues: Queues::Written,
    };
    write_requests(&transcript);
    books.book_session(&transcript, None, None).unwrap();
    let before = peak_memory();

    append_count(&transcript);
    books.book_session(&transcript, None, None).unwrap();

    let used = peak_memory() - before;
    let [says] = &books.ledger.clients_say(None).unwrap()[..] else { panic!("one session was counted") };
    assert!(says.fits);
    assert_eq!(says.not_itemised.pico(), 7_000_000);
    assert!(used < 16 << 20, "{used} bytes of memory for a session of {N_REQUESTS} requests");
}

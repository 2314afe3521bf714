//! A transcript large enough to be cut into pieces that several cores read.

use std::path::Path;

use super::rooms::Rooms;

/// About how long a line without usage is, in bytes.
const LINE_BYTES: usize = 90_000;

/// How many bytes are read at once where the file grows: too few to be cut.
const STEP_BYTES: usize = 700_000;

/// A transcript of 11 MB: long lines, between them requests and what the client counted, and far behind a usage line that
/// cannot be read.
fn transcript() -> String {
    let padding = "x".repeat(LINE_BYTES);
    let mut text = String::new();
    for n in 0..120 {
        text += &format!(
            r#"{{"type":"user","uuid":"u{n}","sessionId":"s1","timestamp":"2026-01-02T03:{:02}:05Z","message":{{"content":"{padding}"}}}}"#,
            n % 60
        );
        text += "\n";
        // Dated by the line before it, which may be in another piece.
        text += &format!(
            r#"{{"type":"cost-state","sessionId":"s1","totalCostUSD":1.5,"modelUsage":{{"claude-opus-4-8":{{"inputTokens":{n},"outputTokens":9000,"cacheReadInputTokens":0,"cacheCreationInputTokens":0}}}}}}"#
        );
        text += "\n";
        let output = if n == 110 { "-1".to_owned() } else { (100 + n).to_string() };
        text += &format!(
            r#"{{"type":"assistant","uuid":"a{n}","sessionId":"s1","timestamp":"2026-01-02T03:{:02}:06Z","message":{{"id":"msg_{}","model":"claude-opus-4-8","stop_reason":"end_turn","usage":{{"input_tokens":3,"output_tokens":{output}}}}}}}"#,
            n % 60,
            n / 2
        );
        text += "\n";
    }
    text
}

#[test]
fn pieces_come_to_what_the_whole_is() {
    let (text, file) = (transcript(), Path::new("s1.jsonl"));
    let at_once = Rooms::new();
    at_once.write(file, text.as_bytes());
    at_once.read(file);
    let in_steps = Rooms::new();
    for end in (STEP_BYTES..text.len()).step_by(STEP_BYTES).chain([text.len()]) {
        in_steps.write(file, &text.as_bytes()[..end]);
        in_steps.read(file);
    }
    assert_eq!(at_once.dump(), in_steps.dump());
    let skipped = at_once.books.borrow().ledger.skipped_lines(&at_once.path(file)).unwrap();
    assert_eq!(skipped.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [333]);
}

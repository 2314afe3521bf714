//! Lines of transcripts as they are, as they might be, and as no client writes them.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

/// Texts that have a meaning somewhere in a line.
const FRAGMENTS: &[&str] = &[
    "\"usage\"",
    "\"usage\":{\"input_tokens\":7}",
    "\"us\\u0061ge\":{\"output_tokens\":9}",
    "\"type\":\"assistant\"",
    "\"typ\\u0065\":\"assistant\",",
    "\"message\":null,",
    "\\\"usage\\\":{",
    "{\"type\":\"assistant\",",
    "{\"parentUuid\":null,",
    "}{",
    "}\n{",
    "\r\n",
    "\n\n",
    "\\ud83d",
    "\\ud83d\\ude00",
    "\\u001b",
    "\\",
    "\"",
    ",",
    " ",
    "null",
    "-1",
    "1e3",
    "\u{feff}",
    "[]",
    "{}",
];

/// Values that a client may, or should not, write anywhere.
const ODD_VALUES: &[&str] =
    &["null", "true", "[]", "{}", "[1]", "0", "-0", "4.5", "\"\"", "\" \"", "\"x\"", "{\"a\":[{}]}"];

/// Values of a count.
const COUNTS: &[&str] = &[
    "0",
    "1",
    "3",
    "12345",
    "4.0",
    "1e3",
    "5E-1",
    "-1",
    "-0.0",
    "0.5",
    "1099511627776",
    "1099511627777",
    "1e400",
    "99999999999999999999999999",
    "\"7\"",
    "null",
    "true",
    "[3]",
    "{}",
];

fn text(texts: &'static [&'static str]) -> BoxedStrategy<String> {
    select(texts).prop_map(|text| format!("{text:?}")).boxed()
}

fn json(texts: &'static [&'static str]) -> BoxedStrategy<String> {
    select(texts).prop_map(str::to_owned).boxed()
}

/// A value that is mostly `usual`.
fn mostly(usual: BoxedStrategy<String>) -> BoxedStrategy<String> {
    Union::new_weighted(vec![(12, usual), (1, json(ODD_VALUES))]).boxed()
}

/// An object of some of `fields`, in any order, some twice, with or without spaces, with or without escapes in keys.
fn object(fields: Vec<(&'static str, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
    let field = |(key, value): (&'static str, BoxedStrategy<String>)| {
        let n_times = prop_oneof![1 => Just(0_usize), 14 => Just(1), 1 => Just(2)];
        (n_times, prop::collection::vec((value, 0..12_u8, any::<prop::sample::Index>()), 2))
            .prop_map(move |(n_times, values)| {
                let fields = values.into_iter().take(n_times);
                fields.map(|(value, style, letter)| spelled(key, &value, style, letter)).collect::<Vec<_>>()
            })
            .boxed()
    };
    let fields: Vec<_> = fields.into_iter().map(field).collect();
    fields
        .prop_map(|fields| fields.concat())
        .prop_shuffle()
        .prop_map(|fields| format!("{{{}}}", fields.join(",")))
        .boxed()
}

fn spelled(key: &str, value: &str, style: u8, letter: prop::sample::Index) -> String {
    match style {
        0 => {
            let at = letter.index(key.len());
            format!("\"{}\\u{:04x}{}\":{value}", &key[..at], key.as_bytes()[at], &key[at + 1..])
        }
        1 => format!(" \"{key}\" : {value} "),
        _ => format!("\"{key}\":{value}"),
    }
}

fn counts() -> Vec<(&'static str, BoxedStrategy<String>)> {
    let count = || Union::new_weighted(vec![(20, json(&COUNTS[..6])), (1, json(COUNTS))]).boxed();
    let split = object(vec![("ephemeral_5m_input_tokens", count()), ("ephemeral_1h_input_tokens", count())]);
    vec![
        ("input_tokens", count()),
        ("output_tokens", count()),
        ("cache_read_input_tokens", count()),
        ("cache_creation_input_tokens", count()),
        ("cache_creation", mostly(split)),
    ]
}

fn usage() -> BoxedStrategy<String> {
    let mut step = counts();
    step.push(("type", mostly(text(&["message", "fallback_message", "compaction"]))));
    step.push(("model", mostly(text(&["claude-fable-5", "claude-opus-4-8"]))));
    let steps = prop::collection::vec(mostly(object(step)), 0..3);
    let mut usage = counts();
    usage.push(("speed", mostly(text(&["standard", "fast"]))));
    usage.push(("service_tier", mostly(text(&["standard", "batch"]))));
    usage.push(("inference_geo", mostly(text(&["us", ""]))));
    usage.push(("iterations", mostly(steps.prop_map(|steps| format!("[{}]", steps.join(","))).boxed())));
    usage.push(("server_tool_use", mostly(object(vec![("web_search_requests", json(COUNTS))]))));
    object(usage)
}

fn answer() -> Vec<(&'static str, BoxedStrategy<String>)> {
    let said = "[{\"type\":\"text\",\"text\":\"\\\"usage\\\":{ }{ \\ud83d \\ud83d\\ude00 \\u001b[0m\"}]";
    let command = r#""<command-message>go</command-message>\n<command-name>/go</command-name>""#;
    let result = r#"[{"tool_use_id":"toolu_1","type":"tool_result"}]"#;
    let broken_off = "\"Your response above was cut off mid-stream. Resume directly\"";
    let contents = vec!["[]", "\"said\"", said, command, result, broken_off];
    let content: BoxedStrategy<String> = select(contents).prop_map(str::to_owned).boxed();
    let message = object(vec![
        ("id", mostly(text(&["msg_1", "msg_2", "msg_3"]))),
        ("model", mostly(text(&["claude-opus-4-8", "claude-haiku-4-5", "<synthetic>"]))),
        ("content", mostly(content)),
        ("stop_reason", mostly(text(&["end_turn", "tool_use"]))),
        ("usage", mostly(usage())),
    ]);
    vec![
        ("message", mostly(message)),
        (
            "timestamp",
            mostly(text(&["2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.6789+01:00", "yesterday"])),
        ),
        ("uuid", mostly(text(&["u1", "u2"]))),
        ("requestId", mostly(text(&["req_1", "req_2"]))),
        ("requestSessionId", mostly(text(&["s1", "s2"]))),
        ("requestedModel", mostly(text(&["claude-opus-4-8[1m]"]))),
        (
            "isApiErrorMessage",
            select(vec!["false", "false", "false", "true"]).prop_map(str::to_owned).boxed(),
        ),
    ]
}

fn line() -> BoxedStrategy<String> {
    let mut line = answer();
    let kinds = [
        "assistant",
        "assistant",
        "assistant",
        "assistant",
        "progress",
        "user",
        "user",
        "pr-link",
        "attachment",
        "queue-operation",
    ];
    line.push(("type", mostly(select(kinds.to_vec()).prop_map(|kind| format!("{kind:?}")).boxed())));
    line.push((
        "data",
        mostly(object(vec![("message", mostly(object(answer()))), ("agentId", text(&["a1"]))])),
    ));
    line.push(("sessionId", mostly(text(&["s1", "s2", "s3"]))));
    line.push(("session_id", mostly(text(&["s9"]))));
    line.push(("isSidechain", mostly(json(&["true", "false"]))));
    line.push(("isMeta", mostly(json(&["false", "true"]))));
    line.push(("gitBranch", mostly(text(&["main", "feature/x"]))));
    line.push(("prNumber", mostly(json(COUNTS))));
    line.push(("prRepository", mostly(text(&["o/r"]))));
    line.push(("cwd", mostly(text(&["/p", "/\\ud83d/"]))));
    line.push(("agentId", mostly(text(&["a1", "a2"]))));
    line.push(("agentName", mostly(text(&["helper"]))));
    line.push(("attachment", json(&["{\"type\":\"hook_stopped_continuation\"}", "{}", "null"])));
    object(line)
}

/// A change to the bytes of a file.
#[derive(Debug, Clone)]
enum Change {
    Cut(prop::sample::Index, usize),
    Put(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let fragment = prop_oneof![
        4 => select(FRAGMENTS).prop_map(|text| text.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => Just(b"\0\0\0\0".to_vec()),
        1 => Just(b"\xff\xc3".to_vec()),
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), 1..40_usize).prop_map(|(at, length)| Change::Cut(at, length)),
        (any::<prop::sample::Index>(), fragment).prop_map(|(at, bytes)| Change::Put(at, bytes)),
        (any::<prop::sample::Index>(), 1..200_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        match change {
            _ if bytes.is_empty() => {}
            Change::Cut(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Change::Put(at, fragment) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, fragment);
            }
            Change::Repeat(at, length) => {
                let at = at.index(bytes.len());
                let again = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
    bytes
}

/// A transcript of a few generated lines and a few of `real` ones, changed or not.
pub(crate) fn transcript(real: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![3 => line(), 1 => select(real)];
    let line_end = prop_oneof![20 => Just("\n"), 1 => Just("\r\n"), 1 => Just("")];
    let lines = prop::collection::vec((line, line_end), 0..5);
    let changes = prop_oneof![1 => Just(Vec::new()), 2 => prop::collection::vec(change(), 1..4)];
    (lines, changes).prop_map(|(lines, changes)| {
        let text: String = lines.into_iter().map(|(line, end)| line + end).collect();
        changed(text.into_bytes(), changes)
    })
}

/// Fields of a line by the object that they stand in, each with what it says mostly, and what else it might; nothing is no
/// such field.
const REPEATED: &[(&str, &str, &[&str])] = &[
    ("line", "type", &["\"assistant\"", "\"progress\""]),
    ("line", "sessionId", &["\"s1\"", "\"s2\"", ""]),
    (
        "line",
        "timestamp",
        &["\"2026-01-02T03:04:05.678Z\"", "\"2026-01-02T03:04:06Z\"", "\"2026-01-02T03:04:05Z\"", ""],
    ),
    ("line", "uuid", &["\"u2\"", "\"u1\"", "\"u3\"", "\"\u{2003}\"", ""]),
    ("line", "requestId", &["\"req_1\"", "\"req_2\"", ""]),
    ("line", "requestSessionId", &["", "\"s1\"", "\"s2\""]),
    ("line", "requestedModel", &["", "\"claude-opus-4-8[1m]\""]),
    ("line", "isSidechain", &["false", "true"]),
    ("line", "gitBranch", &["\"main\"", "\"feature/x\"", ""]),
    ("line", "cwd", &["\"/p\"", "\"/o\"", ""]),
    ("line", "version", &["\"2.1.330\"", "\"2.1.290\"", ""]),
    ("line", "agentId", &["", "\"a1\""]),
    ("line", "agentName", &["", "\"helper\""]),
    ("line", "attributionAgent", &["", "\"helper\""]),
    ("line", "attributionSkill", &["", "\"pdf\""]),
    ("line", "attributionMcpServer", &["", "\"files\""]),
    ("message", "id", &["\"msg_1\"", "\"msg_2\"", ""]),
    ("message", "model", &["\"claude-opus-4-8\"", "\"claude-haiku-4-5\"", ""]),
    ("message", "stop_reason", &["null", "\"end_turn\"", "\"tool_use\""]),
    ("message", "content", &["[{}]", "[]"]),
    ("usage", "input_tokens", &["3", "4", "-1"]),
    ("usage", "output_tokens", &["7", "8", "6"]),
    ("usage", "cache_read_input_tokens", &["100", "90"]),
    ("usage", "cache_creation_input_tokens", &["10", "20"]),
    (
        "usage",
        "cache_creation",
        &["{\"ephemeral_1h_input_tokens\":10}", "{\"ephemeral_5m_input_tokens\":10}", ""],
    ),
    ("usage", "speed", &["\"standard\"", "\"fast\"", ""]),
    ("usage", "service_tier", &["\"standard\"", "\"batch\"", ""]),
    ("usage", "inference_geo", &["\"us\"", "\"global\"", ""]),
    ("usage", "server_tool_use", &["{\"web_search_requests\":1}", "{\"web_search_requests\":2}", ""]),
    (
        "usage",
        "iterations",
        &[
            "[{\"type\":\"message\",\"input_tokens\":3}]",
            "[{\"type\":\"message\",\"input_tokens\":2}]",
            "[{\"type\":\"compaction\",\"input_tokens\":3}]",
            "[{\"type\":\"message\",\"model\":\"claude-haiku-4-5\",\"input_tokens\":3}]",
            "[{\"type\":\"message\",\"input_tokens\":3},{\"type\":\"message\"}]",
            "[]",
        ],
    ),
];

/// Lines of one request that say the same, but for a few fields.
pub(crate) fn repetitions() -> impl Strategy<Value = Vec<u8>> {
    let field = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let lines = prop::collection::vec(prop::collection::vec(field, 0..3), 2..5);
    lines.prop_map(|lines| {
        let lines = lines.into_iter().map(|changes| {
            let mut values: Vec<&str> = REPEATED.iter().map(|(_, _, values)| values[0]).collect();
            for (field, value) in changes {
                let field = field.index(REPEATED.len());
                values[field] = *value.get::<&str>(REPEATED[field].2);
            }
            let object = |wanted: &str| {
                let fields = REPEATED
                    .iter()
                    .zip(&values)
                    .filter(|((place, ..), value)| *place == wanted && !value.is_empty());
                fields.map(|((_, key, _), value)| format!("\"{key}\":{value}")).collect::<Vec<_>>().join(",")
            };
            let message = format!("{{{},\"usage\":{{{}}}}}", object("message"), object("usage"));
            format!("{{{},\"message\":{message}}}\n", object("line")).into_bytes()
        });
        lines.collect::<Vec<_>>().concat()
    })
}

//! The slow reader, made to be obviously right: each line becomes a tree of JSON, and is asked in plain words.
//!
//! It shares no code with the program but the words of `usage` and the rule by which copies merge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::LazyLock;

use cmat::client_count::ClientCount;
use cmat::client_count::ModelCount;
use cmat::id::MessageId;
use cmat::id::ModelId;
use cmat::id::RequestId;
use cmat::id::SessionId;
use cmat::transcript::Prompt;
use cmat::transcript::PullRequest;
use cmat::transcript::SkipReason;
use cmat::transcript::Skipped;
use cmat::transcript::Slice;
use cmat::transcript::Tail;
use cmat::usage::Flags;
use cmat::usage::Iteration;
use cmat::usage::Origin;
use cmat::usage::RawTokens;
use cmat::usage::RequestFacts;
use cmat::usage::RequestKey;
use cmat::usage::UsageRecord;
use jiff::Timestamp;
use regex::Captures;
use regex::Regex;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

/// Reads a whole transcript at once.
pub(crate) fn read(bytes: &[u8], file_session: &SessionId) -> Slice {
    let mut slice = Slice { finished: true, ..Slice::default() };
    let mut previous = None;
    let mut seeks_own = true;
    let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let rest = lines.pop().unwrap_or_default();
    if records(&readable(rest)).1 {
        lines.push(rest);
        slice.end.offset = bytes.len() as u64;
    } else {
        slice.torn = Some(Skipped { line: lines.len() as u64 + 1, reason: SkipReason::NotJson });
        slice.end.offset = (bytes.len() - rest.len()) as u64;
    }
    slice.end.line = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
    let mut offset = 0;
    for (index, line) in lines.into_iter().enumerate() {
        let line_number = index as u64 + 1;
        let text = readable(line);
        let (values, is_whole) = records(&text);
        if line.windows(12).any(|part| part == br#""cost-state""#) {
            let counts = values.iter().filter_map(|(value, _)| client_count(value, slice.last_time?));
            slice.client_counts.extend(counts);
        }
        let is_result = String::from_utf8_lossy(line).contains("\"tool_result\"");
        let n_broken_off = values.iter().filter(|(value, _)| !is_result && is_broken_off(value)).count();
        let broken_off = Skipped { line: line_number, reason: SkipReason::BrokenOff };
        slice.skipped.extend(std::iter::repeat_n(broken_off, n_broken_off));
        for (value, text) in &values {
            slice.last_time = time(&value["timestamp"]).or(slice.last_time);
            if let Some(tail) = tail(value) {
                slice.tail = tail;
            }
            if !is_result {
                slice.prompts.extend(prompt(value, file_session));
                slice.pull_requests.extend(pull_request(value, file_session));
            }
            if seeks_own && offset < 1 << 20 {
                note_own(value, file_session, &mut slice.first_own_line);
            }
            match usage_record(value, text, file_session, previous) {
                None => continue,
                Some(Ok(record)) => {
                    previous = Some(record.facts.origin.timestamp);
                    add(&mut slice.records, record);
                }
                Some(Err(reason)) => slice.skipped.push(Skipped { line: line_number, reason }),
            }
            seeks_own = false;
        }
        if !is_whole && may_hold_usage(line) {
            slice.skipped.push(Skipped { line: line_number, reason: SkipReason::NotJson });
        }
        offset += line.len() + 1;
    }
    slice.n_skipped = slice.skipped.len() as u64;
    slice.skipped.truncate(1000);
    slice
}

fn add(records: &mut Vec<UsageRecord>, record: UsageRecord) {
    let same =
        |other: &&mut UsageRecord| other.facts.key == record.facts.key && other.session == record.session;
    match records.iter_mut().find(same) {
        Some(other) => other.merge(&record),
        None => records.push(record),
    }
}

static ESCAPED_LETTER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\\u00[67]").unwrap());

/// A surrogate pair, a lone surrogate (which is captured), or any other escape.
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
    let pair = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}";
    let lone = r"(\\u[dD][89a-fA-F][0-9a-fA-F]{2})";
    Regex::new(&format!(r"{pair}|{lone}|\\(?s:.)")).unwrap()
});

/// The rule by which a line that is no JSON is worth telling.
fn may_hold_usage(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let names_a_kind = line.contains(r#""assistant""#) || line.contains(r#""progress""#);
    (line.contains(r#""usage""#) && names_a_kind) || ESCAPED_LETTER.is_match(&line)
}

/// Returns the text of a line, with U+FFFD for what is not UTF-8 and for lone surrogates.
fn readable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mended = ESCAPE.replace_all(&text, |found: &Captures<'_>| {
        if found.get(1).is_some() { r"\ufffd".to_owned() } else { found[0].to_owned() }
    });
    mended.into_owned()
}

/// Returns the records of a line with the text of each, and whether there was nothing else on it.
fn records(line: &str) -> (Vec<(Value, String)>, bool) {
    let beginnings = [r#"{"parentUuid""#, r#"{"type""#, r#"{"sessionId""#, r#"{"uuid""#, r#"{"isSidechain""#];
    let mut found = Vec::new();
    let mut rest = line.strip_prefix('\u{feff}').unwrap_or(line);
    for n_tears in 0..16 {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let mut start = 0;
        while let Some(Ok(value)) = values.next() {
            found.push((value, rest[start..values.byte_offset()].trim().to_owned()));
            start = values.byte_offset();
        }
        rest = rest[start..].trim_start_matches([' ', '\t', '\r', '\n']);
        if rest.is_empty() {
            return (found, n_tears == 0);
        }
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let next = beginnings.iter().filter_map(|beginning| rest[first..].find(beginning)).min();
        match next {
            Some(at) => rest = &rest[first + at..],
            None => break,
        }
    }
    (found, false)
}

fn note_own(line: &Value, file_session: &SessionId, first: &mut BTreeMap<SessionId, Timestamp>) {
    if !line.is_object() || text(&line["uuid"]).is_some() {
        return;
    }
    let session = text(&line["sessionId"]).map_or(Ok(file_session.clone()), SessionId::new);
    if let (Ok(session), Some(time)) = (session, time(&line["timestamp"])) {
        let earliest = first.get(&session).map_or(time, |known| time.min(*known));
        first.insert(session, earliest);
    }
}

fn client_count(line: &Value, at: Timestamp) -> Option<ClientCount> {
    let counted = |model: &Value| {
        let of = |key: &str| count("", &model[key]).ok();
        let stated = |key: &str| model.get(key).filter(|count| !count.is_null()).and_then(|_| of(key));
        Some(ModelCount {
            tokens: RawTokens {
                input: stated("inputTokens")?,
                output: stated("outputTokens")?,
                cache_read: stated("cacheReadInputTokens")?,
                cache_write: stated("cacheCreationInputTokens")?,
                cache_write_5m: of("cacheCreationEphemeral5mInputTokens")?,
                cache_write_1h: of("cacheCreationEphemeral1hInputTokens")?,
            },
            web_search_requests: of("webSearchRequests")?,
        })
    };
    let models = line["modelUsage"].as_object().filter(|_| line["type"] == "cost-state")?.iter();
    let models = models.map(|(model, count)| Some((ModelId::new(model).ok()?, counted(count)?)));
    let dollars = line["totalCostUSD"].as_number().map(|number| number.to_string().parse::<f64>().unwrap());
    Some(ClientCount {
        session: SessionId::new(line["sessionId"].as_str()?).ok()?,
        at,
        cost: dollars.map(|dollars| format!("{dollars:.12}").parse().unwrap()),
        models: models.collect::<Option<_>>()?,
    })
}

fn tail(line: &Value) -> Option<Tail> {
    match line["type"].as_str()? {
        "user" if line["isMeta"] == true || line["isCompactSummary"] == true => None,
        "user" => {
            let content = &line["message"]["content"];
            let said = text(content).or_else(|| text(&content[0]["text"])).unwrap_or_default();
            let echoes =
                ["<command-name>", "<local-command-", "<bash-input>", "<bash-stdout>", "<bash-stderr>"];
            if echoes.iter().any(|echo| said.starts_with(echo)) {
                return None;
            }
            let stopped = *said == *"[Request interrupted by user for tool use]";
            Some(if stopped { Tail::Answered } else { Tail::Unanswered })
        }
        "assistant" => {
            let is_answer = line["message"]["usage"].is_object() && line["message"]["model"] != "<synthetic>";
            (line["isApiErrorMessage"] == true || is_answer).then_some(Tail::Answered)
        }
        "attachment" => (line["attachment"]["type"] == "hook_stopped_continuation").then_some(Tail::Answered),
        _ => None,
    }
}

/// Whether a line tells the model that its answer broke off.
fn is_broken_off(line: &Value) -> bool {
    let content = &line["message"]["content"];
    let said = text(content).or_else(|| text(&content[0]["text"])).unwrap_or_default();
    line["type"] == "user"
        && line["isMeta"] == true
        && line["message"].is_object()
        && said.starts_with("Your response above was cut off mid-stream")
}

/// Returns the prompt that a line without a tool's result is.
fn prompt(line: &Value, file_session: &SessionId) -> Option<Prompt> {
    let is_a_persons = line["type"] == "user"
        && line["isMeta"] != true
        && line["isCompactSummary"] != true
        && line["isSidechain"] != true
        && text(&line["agentId"]).is_none()
        && line["message"].is_object();
    let content = &line["message"]["content"];
    let said = text(content).or_else(|| text(&content[0]["text"])).unwrap_or_default();
    let others = [
        "<command-name>",
        "<local-command-",
        "<bash-input>",
        "<bash-stdout>",
        "<bash-stderr>",
        "<task-notification>",
        "<system-reminder>",
        "[Request interrupted by user",
    ];
    if !is_a_persons || others.iter().any(|other| said.starts_with(other)) {
        return None;
    }
    let command = COMMAND.captures(&said).map(|found| found[1].to_owned());
    let (session, at) = whose(line, file_session)?;
    Some(Prompt { session, at, command: command.filter(|name| name.len() <= 256) })
}

static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^<command-message>(?s:.*?)<command-name>[ \t\n\r\f]*([^\s\pC<]+)[ \t\n\r\f]*</command-name>")
        .unwrap()
});

fn pull_request(line: &Value, file_session: &SessionId) -> Option<PullRequest> {
    if line["type"] != "pr-link" {
        return None;
    }
    let number = u32::try_from(line["prNumber"].as_u64()?).ok()?;
    let (session, at) = whose(line, file_session)?;
    let repository = text(&line["prRepository"]).unwrap_or_default();
    Some(PullRequest { session, at, name: format!("{}#{number}", repository.trim()) })
}

fn whose(line: &Value, file_session: &SessionId) -> Option<(SessionId, Timestamp)> {
    let session = text(&line["sessionId"]).map_or(Ok(file_session.clone()), SessionId::new).ok()?;
    Some((session, time(&line["timestamp"])?))
}

/// Returns the usage record of a line, why it has none although it holds usage, or `None`.
fn usage_record(
    line: &Value,
    line_text: &str,
    file_session: &SessionId,
    previous: Option<Timestamp>,
) -> Option<Result<UsageRecord, SkipReason>> {
    let is_progress = match line["type"].as_str()? {
        "assistant" => false,
        "progress" => true,
        _ => return None,
    };
    let answer = if is_progress { &line["data"]["message"] } else { line };
    let is_answer = answer["message"]["usage"].is_object()
        && answer["message"]["model"] != "<synthetic>"
        && answer["isApiErrorMessage"] != true
        && line["isApiErrorMessage"] != true;
    is_answer.then(|| answered(line, answer, is_progress, line_text, file_session, previous))
}

fn answered(
    line: &Value,
    answer: &Value,
    is_progress: bool,
    line_text: &str,
    file_session: &SessionId,
    previous: Option<Timestamp>,
) -> Result<UsageRecord, SkipReason> {
    let either = |key: &str| text(&answer[key]).or(text(&line[key]));
    let timestamp = time(&answer["timestamp"]).or(time(&line["timestamp"])).or(previous);
    let timestamp = timestamp.ok_or(SkipReason::NoTimestamp)?;
    let session = id("sessionId", text(&line["sessionId"]), SessionId::new)?.unwrap_or(file_session.clone());
    let flags = flags(answer)?;
    let own_agent = text(&line["agentId"]);
    let agent_id = if is_progress { text(&line["data"]["agentId"]).or(own_agent) } else { own_agent };
    let record = UsageRecord {
        request_session: id("requestSessionId", either("requestSessionId"), SessionId::new)?,
        uuid: id("uuid", either("uuid"), MessageId::new)?,
        n_lines: 1,
        facts: RequestFacts {
            key: key(&answer["message"]["id"], either("uuid"), line_text)?,
            request_id: id("requestId", text(&answer["requestId"]), RequestId::new)?,
            tokens: tokens(&answer["message"]["usage"])?,
            complete: flags.stop_reason.is_some(),
            flags,
            origin: Origin {
                timestamp,
                sidechain: is_progress || line["isSidechain"] == true,
                session: session.clone(),
                branch: text(&line["gitBranch"]),
                cwd: text(&line["cwd"]),
                agent_id,
                agent: text(&line["attributionAgent"]).or(text(&line["agentName"])),
                skill: text(&line["attributionSkill"]),
                mcp_server: text(&line["attributionMcpServer"]),
                client_version: text(&line["version"]),
            },
            conflicting: false,
        },
        session,
    };
    Ok(record)
}

fn key(message_id: &Value, uuid: Option<Arc<str>>, line_text: &str) -> Result<RequestKey, SkipReason> {
    if let Some(id) = id("message.id", text(message_id), MessageId::new)? {
        return Ok(RequestKey::Message(id));
    }
    if let Some(id) = id("uuid", uuid, MessageId::new)? {
        return Ok(RequestKey::Line(id));
    }
    let mut hash = String::new();
    for byte in Sha256::digest(line_text) {
        hash += &format!("{byte:02x}");
    }
    Ok(RequestKey::Hash(MessageId::new(hash).unwrap()))
}

fn flags(answer: &Value) -> Result<Flags, SkipReason> {
    let message = &answer["message"];
    let usage = &message["usage"];
    let requested = text(&answer["requestedModel"]);
    let model = text(&message["model"]).or(requested.clone()).unwrap_or("unknown".into());
    Ok(Flags {
        stop_reason: text(&message["stop_reason"]),
        model: id("message.model", Some(model), ModelId::new)?.unwrap(),
        requested_model: id("requestedModel", requested, ModelId::new)?,
        speed: text(&usage["speed"]),
        service_tier: text(&usage["service_tier"]),
        inference_geo: text(&usage["inference_geo"]),
        web_search_requests: count("web_search_requests", &usage["server_tool_use"]["web_search_requests"])?,
        iterations: iterations(&usage["iterations"])?,
        empty_content: message["content"].as_array().is_some_and(Vec::is_empty),
    })
}

fn iterations(list: &Value) -> Result<Vec<Iteration>, SkipReason> {
    let mut iterations = Vec::new();
    for step in list.as_array().into_iter().flatten().take(256).filter(|step| step.is_object()) {
        iterations.push(Iteration {
            kind: text(&step["type"]).unwrap_or_default(),
            model: id("iterations.model", text(&step["model"]), ModelId::new)?,
            tokens: tokens(step)?,
        });
    }
    Ok(iterations)
}

fn tokens(usage: &Value) -> Result<RawTokens, SkipReason> {
    let split = &usage["cache_creation"];
    Ok(RawTokens {
        input: count("input_tokens", &usage["input_tokens"])?,
        output: count("output_tokens", &usage["output_tokens"])?,
        cache_read: count("cache_read_input_tokens", &usage["cache_read_input_tokens"])?,
        cache_write: count("cache_creation_input_tokens", &usage["cache_creation_input_tokens"])?,
        cache_write_5m: count("ephemeral_5m_input_tokens", &split["ephemeral_5m_input_tokens"])?,
        cache_write_1h: count("ephemeral_1h_input_tokens", &split["ephemeral_1h_input_tokens"])?,
    })
}

/// Returns a whole number from 0 to 2^40, which an `f64` holds exactly.
fn count(field: &'static str, value: &Value) -> Result<u64, SkipReason> {
    match value {
        Value::Null => Ok(0),
        Value::Number(number) => {
            let number: f64 = number.to_string().parse().unwrap();
            let is_count = (0.0..=1_099_511_627_776.0).contains(&number) && number.trunc() == number;
            if is_count {
                Ok(format!("{number:.0}").parse().unwrap_or(0))
            } else {
                Err(SkipReason::BadCount { field })
            }
        }
        _ => Err(SkipReason::BadCount { field }),
    }
}

fn id<T>(
    field: &'static str,
    text: Option<Arc<str>>,
    parse: impl Fn(Arc<str>) -> Result<T, cmat::id::IdError>,
) -> Result<Option<T>, SkipReason> {
    text.map(|text| parse(text).map_err(|source| SkipReason::BadId { field, source })).transpose()
}

/// Returns a string that is not blank; none of the tests has one above 4,096 bytes.
fn text(value: &Value) -> Option<Arc<str>> {
    value.as_str().filter(|text| !text.trim_ascii().is_empty()).map(Arc::from)
}

fn time(value: &Value) -> Option<Timestamp> {
    let time: Timestamp = value.as_str()?.parse().ok()?;
    Timestamp::from_millisecond(time.as_millisecond()).ok()
}

//! Writes the demo's transcripts and its task queue as Claude Code and the Python CMAT write theirs.

use serde_json::Value;
use serde_json::json;

use crate::commands::demo::story::Client;
use crate::commands::demo::story::Request;
use crate::commands::demo::story::Run;
use crate::commands::demo::story::Subagent;
use crate::commands::demo::story::TASKS;
use crate::commands::demo::story::Task;

/// Output tokens that a message is known to have when it begins to arrive.
const FIRST_OUTPUT: u64 = 4;

/// Returns the task queue before the first session.
pub(super) fn queue() -> String {
    let queue = json!({
        "queue_metadata": { "created": "2026-11-18T08:00:00+00:00Z", "version": "2.0.0" },
        "tasks": TASKS.iter().map(task).collect::<Vec<_>>(),
        "agent_status": {},
    });
    format!("{queue:#}\n")
}

fn task(task: &Task) -> Value {
    json!({
        "id": task.id,
        "title": task.title,
        "assigned_agent": task.agent,
        "status": "active",
        "created": "2026-11-18T08:00:00+00:00Z",
        "metadata": { "enhancement_title": task.enhancement },
    })
}

/// Returns the lines that a run appends to its session's transcript.
pub(super) fn main_lines(run: &Run, cwd: &str) -> String {
    lines(&Writer { run, cwd, subagent: None }, run.prompt, run.requests)
}

/// Returns the lines of a subagent's transcript.
pub(super) fn subagent_lines(run: &Run, subagent: &Subagent, cwd: &str) -> String {
    let writer = Writer { run, cwd, subagent: Some(subagent) };
    lines(&writer, "Look around and report.", subagent.requests)
}

/// Who writes lines.
struct Writer<'a> {
    run: &'a Run,
    cwd: &'a str,
    subagent: Option<&'a Subagent>,
}

fn lines(writer: &Writer<'_>, prompt: &str, requests: &[Request]) -> String {
    let first_at = requests.first().map_or("", |request| request.at);
    let mut lines = vec![user_line(writer, "prompt", first_at, json!(prompt))];
    for (n, request) in requests.iter().enumerate() {
        let is_last = n + 1 == requests.len();
        for line in 1..=request.n_lines {
            lines.push(assistant_line(writer, request, line, is_last));
        }
        if !is_last {
            let result = json!([{ "type": "tool_result", "tool_use_id": id("toolu", writer, request), "content": "…" }]);
            lines.push(user_line(writer, "result", request.at, result));
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn user_line(writer: &Writer<'_>, kind: &str, at: &str, content: Value) -> Value {
    let message = json!({ "role": "user", "content": content });
    entry(writer, "user", format!("{kind}-{}-{at}", agent(writer)), at, message)
}

fn assistant_line(writer: &Writer<'_>, request: &Request, line: usize, is_last: bool) -> Value {
    let is_final = line == request.n_lines;
    let is_partial = writer.run.client == Client::Old && !is_final;
    let stop_reason = if is_last { "end_turn" } else { "tool_use" };
    let content = match (is_final, is_last) {
        (true, false) => {
            json!({ "type": "tool_use", "id": id("toolu", writer, request), "name": "Read", "input": {} })
        }
        _ if line == 1 && request.n_lines == 3 => json!({ "type": "thinking", "thinking": "" }),
        _ => json!({ "type": "text", "text": "…" }),
    };
    let message = json!({
        "id": id("msg", writer, request),
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [content],
        "stop_reason": if is_partial { Value::Null } else { json!(stop_reason) },
        "usage": {
            "input_tokens": request.input,
            "output_tokens": if is_partial { FIRST_OUTPUT } else { request.output },
            "cache_creation_input_tokens": request.write_5m + request.write_1h,
            "cache_read_input_tokens": request.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": request.write_5m,
                "ephemeral_1h_input_tokens": request.write_1h,
            },
            "service_tier": "standard",
            "speed": request.speed,
        },
    });
    let uuid = format!("answer-{}-{}-{line}", agent(writer), request.at);
    let mut entry = entry(writer, "assistant", uuid, request.at, message);
    entry["requestId"] = json!(id("req", writer, request));
    entry
}

fn entry(writer: &Writer<'_>, kind: &str, uuid: String, at: &str, message: Value) -> Value {
    let mut entry = json!({
        "isSidechain": writer.subagent.is_some(),
        "type": kind,
        "uuid": format!("{}-{uuid}", writer.run.session),
        "timestamp": at,
        "sessionId": writer.run.session,
        "cwd": writer.cwd,
        "gitBranch": "main",
        "version": writer.run.client.version(),
        "message": message,
    });
    if let Some(subagent) = writer.subagent {
        entry["agentId"] = json!(subagent.id);
        entry["attributionAgent"] = json!(subagent.name);
    }
    entry
}

fn agent(writer: &Writer<'_>) -> &'static str {
    writer.subagent.map_or("main", |subagent| subagent.id)
}

/// Returns an id that looks like the API's: the task's number and the time of the request.
fn id(prefix: &str, writer: &Writer<'_>, request: &Request) -> String {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let number = digits(writer.run.task);
    // `2026-11-20T17:30:05Z`: what follows the year.
    let at = digits(request.at).split_off(4);
    format!("{prefix}_{number}x{at}")
}

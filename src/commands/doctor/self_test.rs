//! `cmat doctor --self-test`: a made-up session on the whole way, from a hook's stdin to the printed cost.
//!
//! In a temporary folder with a home, a project and a ledger of its own: nothing of the user's is read or written.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::ensure;
use serde_json::Value;
use serde_json::json;

use crate::commands::doctor::Check;
use crate::config;
use crate::disk::replace;
use crate::disk::replace::Access;

const NAME: &str = "self-test";
const TASK: &str = "self-test";

/// What 12,345 input, 3,456 output and 8,901 cache read tokens cost at $3, $15 and $0.30 a million.
const COST: &str = "0.0915453";

/// The same as a task queue shows it.
const SHOWN: &str = "0.0915";

/// Runs the test and says what came of it.
pub(super) fn check() -> Check {
    let started = Instant::now();
    match run() {
        Ok(()) => {
            let took = started.elapsed().as_millis();
            Check::good(NAME, format!("a session of ${SHOWN} was recorded, shown and queued in {took} ms"))
        }
        Err(fault) => Check::failed(NAME, format!("{fault:#}"), "cargo install cmat --force"),
    }
}

fn run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("there is no temporary folder")?;
    let (home, project) = (folder.path().join("home"), folder.path().join("project"));
    let transcript = home.join(".claude/projects/project/self-test.jsonl");
    let queue = project.join(".claude/data/task_queue.json");
    write(&transcript, &line(&project))?;
    write(&queue, &json!({ "tasks": [{ "id": TASK, "title": "Self-test", "metadata": {} }] }))?;
    let told = json!({
        "session_id": "self-test",
        "transcript_path": transcript,
        "cwd": project,
        "hook_event_name": "SessionEnd",
        "reason": "other",
    });
    let said = cmat(folder.path(), &["hook", "session-end"], &told.to_string())?;
    ensure!(said.is_empty(), "the hook printed `{said}`");
    let shown: Value = serde_json::from_str(&cmat(folder.path(), &["costs", "show", TASK, "--json"], "")?)
        .context("`cmat costs show --json` printed no JSON")?;
    ensure!(shown["cost_usd"] == COST, "expected ${COST}, but the ledger says {}", shown["cost_usd"]);
    let queue: Value = serde_json::from_slice(&std::fs::read(&queue)?)?;
    let stored = &queue["tasks"][0]["metadata"]["cost_usd"];
    ensure!(*stored == SHOWN, "expected ${SHOWN}, but the task queue says {stored}");
    let sheet = cmat(folder.path(), &["costs", "show", TASK], "")?;
    ensure!(sheet.contains(&format!("${SHOWN}")), "`cmat costs show` does not print ${SHOWN}");
    Ok(())
}

/// Returns a line of a transcript, as Claude Code writes it.
fn line(project: &Path) -> Value {
    json!({
        "type": "assistant",
        "uuid": "self-test",
        "sessionId": "self-test",
        "timestamp": "2026-11-01T12:00:00.000Z",
        "cwd": project,
        "message": {
            "id": "msg_self_test",
            "role": "assistant",
            "model": "claude-sonnet-4-20250514",
            "stop_reason": "end_turn",
            "usage": { "input_tokens": 12_345, "output_tokens": 3_456, "cache_read_input_tokens": 8_901 },
        },
    })
}

fn write(path: &Path, document: &Value) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(replace::write(path, format!("{document}\n").as_bytes(), Access::Private)?)
}

/// Runs this program in `folder`, with `stdin` and nothing of the user's environment; returns its stdout.
fn cmat(folder: &Path, arguments: &[&str], stdin: &str) -> anyhow::Result<String> {
    let program = config::current_program().context("the running program does not know its path")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder.join("project")).env_clear();
    command.env("HOME", folder.join("home")).env("CMAT_HOME", folder.join("data"));
    command.env("CMAT_CURRENT_TASK_ID", TASK).env("CMAT_DEADLINE_MS", "10000");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cmat cannot run itself")?;
    if let Some(mut input) = child.stdin.take() {
        // What reads nothing is told apart by what it answers.
        let _unread = input.write_all(stdin.as_bytes());
    }
    let output = child.wait_with_output()?;
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "`cmat {}` ended with {}: {words}", arguments.join(" "), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

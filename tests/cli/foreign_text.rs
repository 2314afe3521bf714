//! Text of other people, in everything that cmat keeps and says: nothing of a conversation at all, and names only
//! with their control characters spelled out.

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use serde_json::Value;
use serde_json::json;
use walkdir::WalkDir;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::feed;
use crate::harness::request;

/// Stands in every text of the conversation, and nowhere else.
const CANARY: &str = "qXcanary7Zq";

/// Moves the cursor, sets the window's title, clears the screen, reverses the line.
const HOSTILE: &str = "a\u{1b}]0;b\u{7}\u{1b}[2J\u{9b}31m\u{202e}c\u{7f}\u{8}d";

/// Returns every command, those that change something last, about a task, its enhancement and a session of it.
fn commands(task: &str, enhancement: &str, session: &str, transcript: &str) -> Vec<Vec<String>> {
    let day = "2000-01-01";
    let everything = "task,enhancement,branch,ticket,pr,commit,agent,skill,command,mcp-server,operation,model,session,project,user,tag:k";
    let commands: &[&[&str]] = &[
        &["costs", "show", task, "--breakdown"],
        &["costs", "show", task, "--prices", "--history"],
        &["costs", "enhancement", enhancement],
        &["costs", "extract", task, transcript],
        &["costs", "sync", "--all"],
        &["import", "token-csv", transcript],
        &["export", "csv", "-", "--columns", "all"],
        &["export", "json", "-"],
        &["export", "focus", "-"],
        &["export", "ledger", "-"],
        &["export", "csv", enhancement],
        &["record", "--model", session, "--input", "1", "--operation", task],
        &["status"],
        &["estimate", enhancement, "--like", enhancement],
        &["estimate", task, "--turns", "3", "--like", task],
        &["summary"],
        &["cache", "--by", everything],
        &["anomalies", "--since", "2020-01-01", "--min", "0.0001"],
        &["advise", "--by", "branch", "--since", "2020-01-01", "--min", "0.0000001"],
        &["advise", "--by", "task", "--since", "2020-01-01", "--min", "0.0000001"],
        &["budget", "alerts"],
        &["sessions", "list"],
        &["sessions", "show", session],
        &["sessions", "show", session, "--format", "banner"],
        &["stats"],
        &["stats", "reset", "--note", session],
        &["costs", "list"],
        &["costs", "top"],
        &["costs", "status"],
        &["costs", "summary"],
        &["costs", "set-budget", "--weekly", "1000"],
        &["costs", "export", "csv", "-"],
        &["report", "--by", everything],
        &["report", "--by", everything, "--format", "csv"],
        &["report", "--by", everything, "--format", "markdown"],
        &["report", "--by", everything, "--format", "html"],
        &["explain", task, "--all"],
        &["explain", session],
        &["task", "list"],
        &["task", "show", task],
        &["task", "new", enhancement, "--enhancement", enhancement],
        &["task", "use", task],
        &["run", "--task", task, "--enhancement", enhancement, "--", "true"],
        &["statusline"],
        &["completions", "bash"],
        &["man", "pages"],
        &["version"],
        &["task", "link", task, "--pr", session],
        &["models", "list", "--all"],
        &["models", "show", session],
        &["models", "which", session],
        &["models", "check"],
        &["models", "add", session],
        &["models", "set-default", session],
        &["models", "remove", session],
        &["models", "update"],
        &["models", "import", transcript],
        &["calc", "--model", session, "--input", "1"],
        &["doctor"],
        &["budget", "set", "--total", "1", "--task", "T"],
        &["budget", "list"],
        &["budget", "status"],
        &["budget", "check"],
        &["budget", "alerts"],
        &["budget", "override", task, "--amount", "1", "--for", "1h", "--reason", task],
        &["budget", "remove", task],
        &["set-budget", "--daily", "1000"],
        &["forecast"],
        &["advise"],
        &["anomalies"],
        &["advise"],
        &["audit", "--verify"],
        &["reconcile", "--all", "--dry-run"],
        &["reconcile", "--all"],
        &["reattribute"],
        &["reprice"],
        &["init", "--dry-run"],
        &["init"],
        &["uninstall"],
        &["forget", "--before", day],
        &["forget", session],
    ];
    let assign = ["task", "assign", session, task];
    let mut all: Vec<Vec<String>> =
        commands.iter().map(|command| command.iter().map(ToString::to_string).collect()).collect();
    all.insert(all.len() - 1, assign.map(str::to_owned).to_vec());
    all
}

/// Returns the names of all commands that do something, as their help lists them.
fn names(project: &TestProject, above: &[String]) -> Vec<Vec<String>> {
    let help = project.stdout(above.iter().map(String::as_str).chain(["--help"]));
    let listed = help.split_once("Commands:\n").map(|(_, after)| after.split("\n\n").next().unwrap());
    let Some(listed) = listed else { return vec![above.to_vec()] };
    let is_name = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let below = listed.lines().filter(is_name).map(|line| line.split_whitespace().next().unwrap());
    below
        .filter(|name| *name != "help")
        .flat_map(|name| names(project, &[above, &[name.to_owned()]].concat()))
        .collect()
}

#[test]
fn every_command_is_asked() {
    let project = TestProject::new();
    let asked = commands("t", "e", "s", "f");
    let is_asked = |name: &Vec<String>| asked.iter().any(|command| command.starts_with(name));
    // The demonstration has texts of its own only.
    let is_own = |name: &Vec<String>| name == &["demo"];
    let unasked: Vec<_> =
        names(&project, &[]).into_iter().filter(|name| !is_asked(name) && !is_own(name)).collect();
    assert!(unasked.is_empty(), "{unasked:?} is to be in `commands` above");
}

/// Runs every command, as text and as JSON, and gives what each said to `check`.
fn ask_everything(project: &TestProject, names: [&str; 3], check: impl Fn(&[String], &Output)) {
    let [task, enhancement, session] = names;
    let transcript = project.transcript_path(session);
    for json in [true, false] {
        for mut command in commands(task, enhancement, session, transcript.to_str().unwrap()) {
            if json {
                command.push("--json".to_owned());
            }
            check(&command, &project.cmat(&command).output().unwrap());
        }
    }
}

/// Returns lines of all kinds that hold the canary where a conversation has its words.
fn conversation() -> Vec<Value> {
    let file = format!("/home/ann/{CANARY}.rs");
    let words = |text: &str| format!("{text} {CANARY} {text}");
    let mut answer = request("msg_1", SONNET, [1_000, 1_000, 0, 0]);
    answer["message"]["content"] = json!([
        {"type": "thinking", "thinking": words("hm"), "signature": CANARY},
        {"type": "text", "text": words("\"usage\":{\"input_tokens\":5}")},
        {"type": "tool_use", "id": "toolu_1", "name": "Edit",
            "input": {"file_path": file, "old_string": words("x"), "usage": {"input_tokens": CANARY}}},
    ]);
    let mut bad_count = request("msg_2", SONNET, [1, 1, 0, 0]);
    bad_count["message"]["usage"]["input_tokens"] = json!(CANARY);
    let mut bad_id = request("msg_3", SONNET, [1, 1, 0, 0]);
    bad_id["message"]["id"] = json!({"text": CANARY});
    let mut failed = request("msg_4", "<synthetic>", [0, 0, 0, 0]);
    failed["isApiErrorMessage"] = json!(true);
    failed["message"]["content"] = json!([{"type": "text", "text": words("API Error")}]);
    vec![
        json!({"type": "summary", "summary": words("Summary"), "leafUuid": "l"}),
        json!({"type": "ai-title", "title": words("Title")}),
        json!({"type": "file-history-snapshot", "snapshot": {"trackedFileBackups": {file.clone(): {}}}}),
        json!({"type": "user", "uuid": "u1", "timestamp": "2026-11-20T11:59:00Z",
            "message": {"role": "user", "content": words("Mend it")}}),
        answer,
        json!({"type": "user", "uuid": "u2", "timestamp": "2026-11-20T12:00:01Z", "toolUseResult":
            {"filePath": file, "stdout": words("out"), "usage": {"input_tokens": 7}},
            "message": {"role": "user", "content": [{"type": "tool_result", "content": words("result")}]}}),
        json!({"type": "system", "content": words("system"), "timestamp": "2026-11-20T12:00:02Z"}),
        json!({"type": "queue-operation", "content": words("queued")}),
        json!({"type": "last-prompt", "lastPrompt": words("prompt")}),
        json!({"type": "attachment", "attachment": {"type": "file", "filename": file, "content": words("a")}}),
        json!({"type": "progress", "data": {"message": {"message": {"content": words("progress")}}}}),
        bad_count,
        bad_id,
        failed,
        json!({"type": CANARY, "usage": CANARY, "message": CANARY}),
        // Without an answer.
        json!({"type": "user", "uuid": "u3", "timestamp": "2026-11-20T12:00:03Z",
            "message": {"role": "user", "content": words("And now?")}}),
    ]
}

#[test]
fn nothing_of_a_conversation_is_kept_or_told() {
    let project = TestProject::new().task("task_1", "checkout").session("s-1", &conversation());
    let transcript = project.transcript_path("s-1");
    let mut text = fs::read_to_string(&transcript).unwrap();
    let whole = conversation()[4].to_string();
    text.push_str(&format!("{{\"usage\": {CANARY}}}\n{whole}{whole}\n{}", &whole[..whole.len() - 90]));
    let project = project.transcript("s-1", &text);
    let agent = transcript.with_extension("").join("subagents/agent-1.jsonl");
    fs::create_dir_all(agent.parent().unwrap()).unwrap();
    fs::write(agent, &text).unwrap();

    // What the client tells a hook holds words too, and what it tells may be broken.
    let mut told: Value = serde_json::from_str(&project.session_end("s-1", &transcript)).unwrap();
    for key in ["prompt", "last_assistant_message", "tool_input", "tool_response", "title"] {
        told[key] = json!(CANARY);
    }
    let broken = [
        json!(CANARY).to_string(),
        json!({"session_id": {CANARY: CANARY}, "cwd": [CANARY]}).to_string(),
        json!({"cwd": 5, "prompt": CANARY}).to_string(),
        format!("{{\"prompt\":\"{CANARY}"),
        format!("{CANARY} {{"),
    ];
    for event in ["session-start", "stop", "subagent-stop", "session-end"] {
        for told in broken.iter().chain([&told.to_string()]) {
            let mut hook = project.cmat(["hook", event]);
            hook.env("CMAT_CURRENT_TASK_ID", "task_1");
            assert_eq!(project.seen(&feed(&mut hook, told).wait_with_output().unwrap()), "");
        }
    }
    assert!(project.run(["costs", "show", "task_1"]).contains("$0.0180"), "the usage is recorded");
    assert_untold(&project);
    ask_everything(&project, ["task_1", "checkout", "s-1"], |command, output| {
        let seen = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        assert!(!seen.contains(CANARY), "{command:?}: {seen}");
    });
    assert_untold(&project);
}

/// Checks that no file but the transcripts holds the canary.
fn assert_untold(project: &TestProject) {
    let transcripts = project.home().join(".claude/projects");
    let mut names = BTreeSet::new();
    for entry in [project.home(), project.project(), project.cmat_home()].iter().flat_map(WalkDir::new) {
        let entry = entry.unwrap();
        if entry.path().starts_with(&transcripts) || !entry.file_type().is_file() {
            continue;
        }
        names.insert(entry.file_name().to_string_lossy().into_owned());
        let bytes = fs::read(entry.path()).unwrap();
        let found = memchr::memmem::find(&bytes, CANARY.as_bytes());
        assert_eq!(found, None, "the canary is in `{}`", entry.path().display());
    }
    for expected in ["ledger.db", "ledger.db-wal", "cmat.log", "task_queue.json"] {
        assert!(names.contains(expected), "`{expected}` was looked into: {names:?}");
    }
}

#[test]
fn no_foreign_name_reaches_a_terminal_as_it_is() {
    let mut answer = request("msg_1", &format!("claude-{HOSTILE}"), [1_000, 1_000, 0, 0]);
    answer["gitBranch"] = json!(HOSTILE);
    answer["requestId"] = json!(HOSTILE);
    answer["attributionAgent"] = json!(HOSTILE);
    let mut unpriced = request(HOSTILE, HOSTILE, [1_000, 1_000, 0, 0]);
    unpriced["timestamp"] = json!("2026-11-20T12:00:01.000Z");
    let mut bad = answer.clone();
    bad["message"]["usage"]["input_tokens"] = json!(-1);
    let project = TestProject::new()
        .task(HOSTILE, HOSTILE)
        .task(HOSTILE, HOSTILE)
        .env("CMAT_ENHANCEMENT", HOSTILE)
        .env("CMAT_AGENT", HOSTILE)
        .env("CMAT_TAGS", format!("{HOSTILE}={HOSTILE}"))
        .session(HOSTILE, &[answer, unpriced, bad]);
    let elsewhere = project.home().join(HOSTILE);
    fs::create_dir_all(elsewhere.join(".claude/data")).unwrap();
    let mut other = request("msg_2", SONNET, [1, 1, 0, 0]);
    other["sessionId"] = json!("s-2");
    other["cwd"] = json!(elsewhere);
    let project = project.transcript("s-2", format!("{other}\n"));
    assert_eq!(project.end_session(HOSTILE, HOSTILE), "");
    // A queue of another writer, and one that is broken where a name stands.
    let queue = fs::read_to_string(project.queue_path()).unwrap();
    fs::write(project.queue_path(), queue.replace("\"0.", "\"1.")).unwrap();

    let check = |command: &[String], output: &Output| {
        for bytes in [&output.stdout, &output.stderr] {
            // Lines of CSV end as RFC 4180 has it.
            let seen = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
            let is_raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            let raw = seen.chars().find(|c| is_raw(*c));
            assert_eq!(raw, None, "{command:?}: {seen:?}");
        }
    };
    ask_everything(&project, [HOSTILE, HOSTILE, HOSTILE], check);
    let mut elsewhere = project.cmat(["costs", "show", HOSTILE, "--project"]);
    check(&[], &elsewhere.arg(project.home().join(HOSTILE)).output().unwrap());
}

//! `cmat hook user-prompt | pre-tool`: what Claude Code is answered when money runs out.

use std::fs;
use std::process::Child;
use std::thread;

use insta::assert_snapshot;
use rusqlite::Connection;
use serde_json::Value;
use serde_json::json;

use crate::harness::OPUS;
use crate::harness::TestProject;
use crate::harness::feed;
use crate::harness::request;

/// A request of $0.50, made now.
fn half_a_dollar(id: &str) -> Value {
    let mut request = request(id, OPUS, [0, 20_000, 0, 0]);
    request["timestamp"] = "2026-11-21T11:59:00.000Z".into();
    request
}

/// A project with a budget of $0.60 a day, in whose session `s-1` so many requests of $0.50 were made.
fn project(n_requests: usize) -> TestProject {
    let requests: Vec<_> = (0..n_requests).map(|n| half_a_dollar(&format!("msg_{n}"))).collect();
    let project = TestProject::new().session("s-1", &requests);
    project.stdout(["budget", "set", "--daily", "0.60"]);
    project
}

impl TestProject {
    fn asking(&self, event: &str, session: &str, more: Value) -> Child {
        let mut stdin = json!({
            "session_id": session,
            "transcript_path": self.transcript_path(session),
            "cwd": self.project(),
            "prompt": "do something",
            "a_field_of_the_future": {"x": [1, 2]},
        });
        stdin.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut command = self.cmat(["hook", event]);
        command
            .env("CLAUDECODE", "1")
            .env("CLAUDE_CODE_SESSION_ID", session)
            .env("CLAUDE_PROJECT_DIR", self.project());
        feed(&mut command, stdin.to_string())
    }

    fn asked(&self, event: &str, more: Value) -> String {
        self.seen(&self.asking(event, "s-1", more).wait_with_output().unwrap())
    }

    fn prompt(&self) -> String {
        self.asked("user-prompt", json!({}))
    }

    fn tool(&self, command: &str) -> String {
        self.asked("pre-tool", json!({"tool_name": "Bash", "tool_input": {"command": command}}))
    }

    fn append(&self, session: &str, request: &Value) {
        let path = self.transcript_path(session);
        let mut request = request.clone();
        request["sessionId"] = session.into();
        request["cwd"] = self.project().to_str().unwrap().into();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, format!("{text}{request}\n")).unwrap();
    }
}

/// Checks that a prompt is stopped because nobody knows what was spent.
#[track_caller]
fn assert_stopped_unchecked(project: &TestProject) {
    let said = project.prompt();
    let expected = r#"{"decision":"block","reason":"cmat: the budgets could not be checked"#;
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn without_a_budget_nothing_is_said() {
    let project = TestProject::new().session("s-1", &[half_a_dollar("msg_1")]);
    assert_eq!(project.prompt(), "");
    assert_eq!(project.tool("cmat budget override user --amount 5 --for 1h --reason x"), "");
}

#[test]
fn a_threshold_is_told_once_and_then_nothing() {
    let project = project(1);
    assert_snapshot!(project.prompt(), @r#"{"systemMessage":"cmat: 83 % of a budget used – user $0.5000 of $0.6000 (today)."}"#);
    assert_eq!(project.prompt(), "");
    assert_eq!(project.tool("ls"), "");
    assert_snapshot!(project.stdout(["budget", "status"]), @"
      SCOPE  PERIOD    SPENT    LIMIT  USED  FORECAST  STATE
      user   day     $0.5000  $0.6000  83 %         –  ! warned 80 % 12:00
    ");
}

#[test]
fn a_budget_that_is_used_up_stops_the_prompt_and_the_tool() {
    let project = project(1);
    assert!(project.prompt().contains("systemMessage"));
    // The running session's own spending counts, before it has ended.
    project.append("s-1", &half_a_dollar("msg_more"));
    assert_snapshot!(project.prompt(), @r#"{"decision":"block","reason":"cmat: budget reached – user $1.0000 of $0.6000 (today). This prompt was not sent.\n  Why: cmat budget status   Continue, from your own terminal: cmat budget override user/day --amount 0.6 --for 2h --reason \"…\""}"#);
    assert_snapshot!(project.tool("ls"), @r#"{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny","permissionDecisionReason":"cmat: budget reached – user $1.0000 of $0.6000 (today). The tool was not run.\n  Why: cmat budget status   Continue, from your own terminal: cmat budget override user/day --amount 0.6 --for 2h --reason \"…\""},"continue":false,"stopReason":"cmat: budget reached – user $1.0000 of $0.6000 (today). The tool was not run.\n  Why: cmat budget status   Continue, from your own terminal: cmat budget override user/day --amount 0.6 --for 2h --reason \"…\""}"#);
}

#[test]
fn a_script_that_knows_the_end_of_a_session_only_keeps_no_prompt_from_being_asked_about() {
    let project = project(2);
    let told =
        json!({"session_id": "s-1", "transcript_path": project.transcript_path("s-1"), "prompt": "hi"});
    for event in ["user-prompt", "pre-tool"] {
        let mut command = project.cmat(["hook", "session-end", event]);
        let seen = project.seen(&feed(&mut command, told.to_string()).wait_with_output().unwrap());
        assert!(seen.contains("budget reached"), "{event}: {seen}");
    }
    let sessions = project.run(["sessions", "show", "s-1"]);
    assert!(!sessions.contains("ended"), "{sessions}");
}

#[test]
fn asks_where_somebody_can_be_asked_and_blocks_where_nobody_can() {
    let project = project(2);
    project.stdout(["budget", "set", "--daily", "0.60", "--on-exceed", "ask"]);
    assert!(project.prompt().starts_with(r#"{"decision":"block""#));
    assert!(project.tool("ls").contains(r#""continue":false"#));
    let project = project.env("CLAUDE_CODE_SESSION_ATTENDED", "1");
    assert!(project.prompt().starts_with(r#"{"systemMessage":"cmat: budget reached"#));
    assert!(project.tool("ls").contains(r#""permissionDecision":"ask""#));
    let unasked = project.asked("pre-tool", json!({"permission_mode": "bypassPermissions"}));
    assert!(unasked.contains(r#""continue":false"#), "{unasked}");
}

#[test]
fn goes_on_with_the_cheaper_model_only() {
    let project = project(2);
    project.stdout(["budget", "set", "--daily", "0.60", "--downgrade-to", "claude-haiku-4-5"]);
    let seen = project.prompt();
    assert!(seen.contains("Go on with a cheaper model: /model claude-haiku-4-5 "), "{seen}");
    let mut cheap = request("msg_cheap", "claude-haiku-4-5-20251001", [10, 10, 0, 0]);
    cheap["timestamp"] = "2026-11-21T11:59:30.000Z".into();
    project.append("s-1", &cheap);
    assert_eq!(project.prompt(), "");
    assert_eq!(project.tool("ls"), "");
}

#[test]
fn the_first_prompt_of_a_session_goes_by_the_model_that_it_begins_with() {
    let project = project(2);
    project.stdout(["budget", "set", "--daily", "0.60", "--downgrade-to", "claude-haiku-4-5"]);
    let prompt = |session: &str| {
        let asked = project.asking("user-prompt", session, json!({})).wait_with_output().unwrap();
        project.seen(&asked)
    };
    let begins = |session: &str, model: Value| {
        let begun = project.asking("session-start", session, json!({"model": model}));
        assert!(project.seen(&begun.wait_with_output().unwrap()).contains("additionalContext"));
    };
    assert!(prompt("s-1").contains(r#""decision":"block""#));
    assert!(prompt("s-new").contains(r#""decision":"block""#), "nobody knows which model it uses");
    begins("s-new", json!("claude-haiku-4-5-20251001"));
    assert_eq!(prompt("s-new"), "");
    begins("s-dear", json!("claude-opus-5-5[1m]"));
    assert!(prompt("s-dear").contains(r#""decision":"block""#));
    // What is no name of a model says nothing.
    begins("s-odd", json!({"id": "claude-haiku-4-5"}));
    begins("s-odd", json!(""));
    assert!(prompt("s-odd").contains(r#""decision":"block""#));
    // A session that goes on with the cheaper model, and one that went over to it in its middle.
    begins("s-1", json!("claude-haiku-4-5"));
    assert_eq!(prompt("s-1"), "");
    let mut dear = half_a_dollar("msg_dear");
    dear["timestamp"] = "2026-11-21T12:00:01.000Z".into();
    project.append("s-1", &dear);
    assert!(prompt("s-1").contains(r#""decision":"block""#));
    let of_command = |text: &str| json!({"type": "system", "subtype": "local_command", "content": text});
    let name = "<command-name>/model</command-name><command-args>claude-haiku-4-5</command-args>";
    project.append("s-1", &of_command(name));
    assert!(prompt("s-1").contains(r#""decision":"block""#), "the client has not confirmed it");
    let confirmed = "<local-command-stdout>Set model to claude-haiku-4-5</local-command-stdout>";
    project.append("s-1", &of_command(confirmed));
    assert_eq!(prompt("s-1"), "");
    project.append("s-1", &{
        dear["message"]["id"] = "msg_dear_again".into();
        dear
    });
    assert!(prompt("s-1").contains(r#""decision":"block""#));
}

#[test]
fn an_agent_cannot_loosen_a_budget_and_its_attempt_is_kept() {
    let project = project(0);
    assert_snapshot!(project.tool("cmat budget override user --amount 5 --for 1h --reason 'just this once'"), @r#"{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny","permissionDecisionReason":"cmat: cmat budget override is for the person at the terminal, not for an agent. It was not run, and is in the audit."}}"#);
    let config = project.home().join(".config/cmat/config.toml");
    let write = json!({"tool_name": "Write", "tool_input": {"file_path": config, "content": ""}});
    assert!(project.asked("pre-tool", write).contains("writing to cmat's own files"));
    let read = json!({"tool_name": "Read", "tool_input": {"file_path": config}});
    assert_eq!(project.asked("pre-tool", read), "");
    assert_eq!(project.tool("cmat budget status"), "");
    assert_snapshot!(project.stdout(["audit", "--verify"]), @"
    2026-11-21 12:00  budget_set      user/day $0.6, block  by dana
    2026-11-21 12:00  refused         cmat budget override, a tool of the agent, session s-1
    2026-11-21 12:00  refused         writing to cmat's own files, a tool of the agent, session s-1
    3 lines, the chain is whole
    ");
}

#[test]
fn a_subagents_spending_counts() {
    let project = project(1);
    assert!(project.prompt().contains("systemMessage"));
    let mut request = half_a_dollar("msg_agent");
    request["sessionId"] = "s-1".into();
    request["agentId"] = "a1".into();
    request["isSidechain"] = true.into();
    let folder = project.transcript_path("s-1").with_extension("").join("subagents");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("agent-a1.jsonl"), format!("{request}\n")).unwrap();
    assert!(project.prompt().contains("budget reached – user $1.0000 of $0.6000"));
}

#[test]
fn a_session_that_begins_is_told_what_is_left() {
    let project = project(1);
    assert_snapshot!(project.at_event("session-start", "task_1", "s-1"), @r#"{"hookSpecificOutput":{"hookEventName":"SessionStart","additionalContext":"cmat budgets: user $0.5000 of $0.6000 (today): $0.1000 left."}}"#);
    assert_eq!(project.at_event("stop", "task_1", "s-1"), "");
    assert_eq!(project.end_session("task_1", "s-1"), "");
}

#[test]
fn a_check_that_fails_lets_the_session_go_on_unless_it_is_closed() {
    let project = project(2);
    let ledger = project.cmat_home().join("ledger.db");
    for name in ["ledger.db-wal", "ledger.db-shm"] {
        let _absent = fs::remove_file(project.cmat_home().join(name));
    }
    fs::write(&ledger, "no ledger at all, but some other file that is long enough to be looked at").unwrap();
    let unchecked = r#"{"systemMessage":"cmat: the budgets could not be checked: "#;
    assert!(project.prompt().starts_with(unchecked));
    assert_eq!(project.tool("ls"), "");
    let seen = project.run(["doctor"]);
    assert!(seen.contains("the budgets could not be checked"), "{seen}");
    let config = project.home().join(".config/cmat/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("hook = {{ fail = \"closed\" }}\n{text}")).unwrap();
    assert_stopped_unchecked(&project);
    assert!(project.tool("ls").contains(r#""continue":false"#));
}

#[test]
fn a_budget_file_that_cannot_be_read_is_said_at_each_prompt() {
    let project = project(2);
    let config = project.home().join(".config/cmat/config.toml");
    fs::write(&config, "budget = [").unwrap();
    assert!(project.prompt().starts_with(
        r#"{"systemMessage":"cmat: a budget is not enforced: `[home]/.config/cmat/config.toml`, line 1: "#
    ));
    assert_eq!(project.tool("ls"), "");
    // The others hold all the same.
    project.write(".claude/cmat.toml", "[[budget]]\nscope = \"user\"\nperiod = \"day\"\nlimit = \"0.1\"\n");
    assert!(project.prompt().starts_with(r#"{"decision":"block""#));
}

#[test]
fn stdin_that_is_nothing_does_not_let_a_session_past() {
    let project = project(2);
    assert!(project.prompt().contains("block"));
    for stdin in ["", "{", "[]", "null"] {
        let mut command = project.cmat(["hook", "user-prompt"]);
        command.env("CLAUDE_CODE_SESSION_ID", "s-1").env("CLAUDE_PROJECT_DIR", project.project());
        let seen = project.seen(&feed(&mut command, stdin).wait_with_output().unwrap());
        assert!(seen.contains(r#""decision":"block""#), "{stdin}: {seen}");
    }
}

#[test]
fn sessions_in_parallel_pass_a_budget_by_the_requests_that_are_sent_already() {
    const SESSIONS: usize = 50;
    let project = TestProject::new();
    project.stdout(["budget", "set", "--daily", "60", "--warn", "80"]);
    // Each asks, and sends a request of $0.50 if it may, until it is stopped.
    let n_sent: usize = thread::scope(|scope| {
        let project = &project;
        let running: Vec<_> = (0..SESSIONS)
            .map(|n| {
                scope.spawn(move || {
                    let session = format!("s-{n}");
                    for n_sent in 0..60 {
                        let asked = project.asking("user-prompt", &session, json!({}));
                        let output = asked.wait_with_output().unwrap();
                        if String::from_utf8_lossy(&output.stdout).contains(r#""decision":"block""#) {
                            return n_sent;
                        }
                        project.append(&session, &half_a_dollar(&format!("msg_{n}_{n_sent}")));
                    }
                    panic!("{session} was never stopped");
                })
            })
            .collect();
        running.into_iter().map(|session| session.join().unwrap()).sum()
    });
    // $60 are 120 requests; one more of each session may have been on its way.
    assert!((120..=120 + SESSIONS).contains(&n_sent), "{n_sent} requests were sent");
}

#[test]
fn what_a_repositorys_settings_put_into_the_environment_loosens_nothing() {
    let project = project(2);
    project.stdout(["budget", "set", "--total", "0.60"]);
    assert!(project.prompt().contains(r#""decision":"block""#));
    let evil = project.project().join("evil");
    fs::create_dir_all(&evil).unwrap();
    let evil = evil.to_str().unwrap();
    for (name, value) in [
        ("CMAT_HOME", evil),
        ("XDG_DATA_HOME", evil),
        ("XDG_CONFIG_HOME", evil),
        ("CMAT_CONFIG", evil),
        ("CMAT_MANAGED_CONFIG", evil),
        ("CMAT_PROJECT_DIR", evil),
        ("CMAT_NOW", "2030-01-01T00:00:00Z"),
        ("CMAT_TZ", "Asia/Tokyo"),
        ("CMAT_DEADLINE_MS", "1"),
        ("CMAT_RUN", "1-1"),
        ("CMAT_USER", "somebody else"),
        ("CMAT_SESSION_ID", "another"),
        ("CMAT_TRANSCRIPT_PATH", "/nowhere"),
    ] {
        for event in ["user-prompt", "pre-tool"] {
            let mut command = project.cmat(["hook", event, "--data-dir"]);
            command.arg(project.cmat_home()).arg("--config-dir").arg(project.home().join(".config/cmat"));
            command.env("CLAUDECODE", "1").env("CLAUDE_PROJECT_DIR", project.project()).env(name, value);
            let stdin = project.session_end("s-1", &project.transcript_path("s-1"));
            let seen = project.seen(&feed(&mut command, stdin).wait_with_output().unwrap());
            assert!(
                seen.contains("budget reached – user $1.0000 of $0.6000 (total)"),
                "{name} {event}: {seen}"
            );
        }
    }
}

#[test]
fn a_total_counts_a_session_that_goes_on_once() {
    let project = project(1);
    project.stdout(["budget", "set", "--total", "0.60"]);
    assert!(project.prompt().contains("user $0.5000 of $0.6000 (total)"));
    // Now all of it is rolled up, and then some of it changes.
    project.stdout(["report"]);
    project.append("s-1", &half_a_dollar("msg_more"));
    assert!(project.prompt().contains("user $1.0000 of $0.6000"));
    project.stdout(["report"]);
    assert!(project.prompt().contains("user $1.0000 of $0.6000"));
}

#[test]
fn an_agent_cannot_have_its_spending_forgotten() {
    let project = project(1);
    assert!(project.prompt().contains("systemMessage"));
    assert!(project.tool("cmat forget s-1").contains("cmat forget is for the person at the terminal"));
    let mut command = project.cmat(["forget", "s-1"]);
    let seen = project.seen(&command.env("CLAUDECODE", "1").output().unwrap());
    assert!(seen.contains("cmat forget is for a person"), "{seen}");
    let mut command = project.cmat(["forget", "s-1", "--dry-run"]);
    let seen = project.seen(&command.env("CLAUDECODE", "1").output().unwrap());
    assert!(seen.contains("1 request and 1 session would be forgotten"), "{seen}");
    project.stdout(["stats", "reset", "--note", "again"]);
    let audit = project.stdout(["audit", "--verify"]);
    assert!(audit.contains("refused         cmat forget, inside Claude Code"), "{audit}");
    assert!(audit.contains("stats_reset     statistics count from then on  by "), "{audit}");
}

/// Returns the program that the installed hook before prompts runs.
fn installed_program(settings: &str) -> String {
    let settings: Value = serde_json::from_str(settings).unwrap();
    let command = settings["hooks"]["UserPromptSubmit"][0]["hooks"][0]["command"].as_str().unwrap();
    command.split(" hook user-prompt").next().unwrap().trim_matches('\'').to_owned()
}

#[test]
fn hooks_that_hold_budgets_are_installed_looked_after_and_taken_out_by_a_person_only() {
    let project = project(2);
    let told = "budgets are told, but nothing stops at them";
    assert!(project.run(["doctor"]).contains(told));
    project.stdout(["init", "--enforce"]);
    assert!(project.run(["doctor"]).contains("before prompts and tools"));
    let path = project.home().join(".claude/settings.json");
    let settings = fs::read_to_string(&path).unwrap();

    fs::write(&path, settings.replace(&installed_program(&settings), "/gone/cmat")).unwrap();
    let seen = project.run(["doctor"]);
    assert!(seen.contains("runs `/gone/cmat`, which is gone"), "{seen}");
    fs::write(&path, &settings).unwrap();

    let mut uninstall = project.cmat(["uninstall", "--global"]);
    let seen = project.seen(&uninstall.env("CLAUDECODE", "1").output().unwrap());
    assert_snapshot!(seen, @"
    --- stderr
    Error: cmat uninstall --global is for a person: run it in a terminal of your own, outside of Claude Code
    --- exit 1
    ");
    assert_eq!(fs::read_to_string(&path).unwrap(), settings);
    let audit = project.stdout(["audit", "--verify"]);
    assert!(audit.contains("refused         cmat uninstall --global, inside Claude Code"), "{audit}");
    project.stdout(["uninstall", "--global"]);
    assert!(project.run(["doctor"]).contains(told));
}

#[test]
fn a_ledger_that_somebody_writes_to_or_that_is_newer_does_not_stop_a_client() {
    let project = project(2);
    assert!(project.prompt().contains(r#""decision":"block""#));
    let ledger = project.cmat_home().join("ledger.db");
    let writer = Connection::open(&ledger).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    // All is read already: a check only reads, and waits for nobody.
    assert!(project.prompt().contains(r#""decision":"block""#));
    writer.execute_batch("ROLLBACK").unwrap();
    writer.pragma_update(None, "user_version", 7).unwrap();
    drop(writer);
    assert!(project.prompt().contains("has format 7, but this cmat writes up to"));
    assert_eq!(project.tool("ls"), "");
    let log = fs::read_to_string(project.cmat_home().join("log/cmat.log")).unwrap_or_default();
    let seen = project.run(["doctor"]);
    assert!(seen.contains("the budgets could not be checked"), "{seen} {log}");
}

#[test]
fn a_ledger_that_stays_locked_is_read_as_it_is() {
    let project = project(1);
    assert!(project.prompt().contains("83 % of a budget used"));
    let writer = Connection::open(project.cmat_home().join("ledger.db")).unwrap();
    // What cannot be counted may be more than what is left.
    project.append("s-1", &half_a_dollar("msg_more"));
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_snapshot!(project.prompt(), @r#"{"systemMessage":"cmat: the budgets could not be checked: another program holds the ledger, and what was spent last is not counted; the session goes on"}"#);
    assert_eq!(project.tool("ls"), "");
    assert!(project.tool("cmat budget override user --amount 5").contains("It was not run."));
    let config = project.home().join(".config/cmat/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("hook = {{ fail = \"closed\" }}\n{text}")).unwrap();
    assert_stopped_unchecked(&project);
    fs::write(&config, text).unwrap();
    writer.execute_batch("ROLLBACK").unwrap();
    assert!(project.prompt().contains("budget reached"));
    // What is known to be used up stops, whoever holds the ledger.
    project.append("s-1", &half_a_dollar("msg_last"));
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert!(project.prompt().contains("budget reached"));
    assert!(project.tool("ls").contains(r#""continue":false"#));
}

#[test]
fn a_file_that_says_closed_and_is_broken_stops_and_a_check_says_so() {
    let project = project(0);
    let config = project.home().join(".config/cmat/config.toml");
    fs::write(&config, "hook = { fail = \"closed\" }\nbudget = [\n").unwrap();
    assert_stopped_unchecked(&project);
    fs::write(
        &config,
        "hook = { fail = \"closed\" }\n[[budget]]\nscope = \"usr\"\nperiod = \"day\"\nlimit = \"5\"\n",
    )
    .unwrap();
    assert!(project.prompt().contains(r#""decision":"block""#));
    let seen = project.run(["budget", "check"]);
    assert!(
        seen.contains("cmat: the budgets could not be checked") && seen.ends_with("--- exit 3\n"),
        "{seen}"
    );
    // Nobody knows what stands in one that cannot be opened.
    fs::remove_file(&config).unwrap();
    fs::create_dir(&config).unwrap();
    let prompt = project.prompt();
    assert!(prompt.contains(r#""decision":"block""#) && prompt.contains("not a regular file"), "{prompt}");
    let seen = project.run(["budget", "check"]);
    assert!(seen.contains("config.toml` cannot be read") && seen.ends_with("--- exit 3\n"), "{seen}");
    fs::remove_dir(&config).unwrap();
    fs::create_dir_all(project.project().join(".claude/cmat.toml")).unwrap();
    assert!(!project.prompt().contains("decision"), "a repository stops nothing by a file like that");
}

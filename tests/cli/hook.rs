//! `cmat hook …`: it records, says nothing and exits 0, whatever it is given.

use std::fs;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use cmat::disk::lock::FileLock;
use insta::assert_snapshot;
use serde_json::json;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::feed;
use crate::harness::request;

/// A task and a session of it that costs $0.018.
fn project() -> TestProject {
    TestProject::new()
        .task("task_1", "checkout")
        .session("s-1", &[request("msg_1", SONNET, [1_000, 1_000, 0, 0])])
}

/// Runs the hook with the bytes on stdin: silent, exit 0, and no file of the project another.
#[track_caller]
fn disturbs_nothing(project: &TestProject, stdin: impl AsRef<[u8]>) {
    let before = fs::read(project.queue_path()).unwrap();
    assert_eq!(project.hook(stdin), "");
    assert_eq!(fs::read(project.queue_path()).unwrap(), before);
}

#[test]
fn records_a_session_for_the_task_of_the_environment() {
    let project = project();
    assert_eq!(project.end_session("task_1", "s-1"), "");
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "1000"
    cost_output_tokens: "1000"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "0"
    cost_usd: "0.0180"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
}

#[test]
fn records_a_task_that_no_queue_has() {
    let project = project();
    assert_eq!(project.end_session("task_9", "s-1"), "");
    assert_snapshot!(project.run(["costs", "show", "task_9"]), @"
    Cost for task task_9:
      Model: claude-sonnet-4-20250514
      Input Tokens:          1,000
      Output Tokens:         1,000
      Cache Creation:            0
      Cache Read:                0
      Total Cost:          $0.0180
    ");

    let project = TestProject::new().session("s-1", &[request("msg_1", SONNET, [1_000, 1_000, 0, 0])]);
    assert_eq!(project.end_session("task_9", "s-1"), "");
    assert_snapshot!(project.run(["costs", "show", "task_9"]), @"
    Cost for task task_9:
      Model: claude-sonnet-4-20250514
      Input Tokens:          1,000
      Output Tokens:         1,000
      Cache Creation:            0
      Cache Read:                0
      Total Cost:          $0.0180
    ");
    assert!(!project.queue_path().exists());
}

#[test]
fn takes_arguments_and_environment_where_stdin_says_nothing() {
    let project = project().env("CMAT_CURRENT_TASK_ID", "task_1");
    let transcript = project.transcript_path("s-1");
    let mut by_argument = project.cmat(["hook", "session-end", transcript.to_str().unwrap()]);
    assert_eq!(project.seen(&by_argument.output().unwrap()), "");
    assert_snapshot!(project.run(["costs", "show", "task_1"]), @"
    Cost for task task_1:
      Model: claude-sonnet-4-20250514
      Input Tokens:          1,000
      Output Tokens:         1,000
      Cache Creation:            0
      Cache Read:                0
      Total Cost:          $0.0180
    ");

    let project = self::project().env("CMAT_CURRENT_TASK_ID", "task_1").env("CMAT_SESSION_ID", "s-1");
    let transcript = project.transcript_path("s-1");
    let mut by_environment = project.cmat(["hook", "session-end"]);
    by_environment.env("CMAT_TRANSCRIPT_PATH", transcript);
    assert_eq!(project.seen(&by_environment.output().unwrap()), "");
    assert_snapshot!(project.run(["costs", "show", "task_1"]), @"
    Cost for task task_1:
      Model: claude-sonnet-4-20250514
      Input Tokens:          1,000
      Output Tokens:         1,000
      Cache Creation:            0
      Cache Read:                0
      Total Cost:          $0.0180
    ");
}

#[test]
fn finds_the_project_though_the_session_moved_into_a_folder() {
    let project = project();
    fs::create_dir_all(project.project().join("deep/er")).unwrap();
    let mut command = project.cmat(["hook", "session-end"]);
    command.current_dir(project.project().join("deep/er"));
    command.env("CMAT_CURRENT_TASK_ID", "task_1").env("CLAUDE_PROJECT_DIR", project.project());
    let stdin = project.session_end("s-1", &project.transcript_path("s-1"));
    assert_eq!(project.seen(&feed(&mut command, stdin).wait_with_output().unwrap()), "");
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "1000"
    cost_output_tokens: "1000"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "0"
    cost_usd: "0.0180"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
}

#[test]
fn a_project_named_from_where_the_session_ran_is_found_by_the_run_that_finishes() {
    let project = project();
    let ledger = project.cmat_home().join("ledger.db");
    fs::create_dir_all(&ledger).unwrap();
    let mut command = project.cmat(["hook", "session-end"]);
    command.current_dir(project.project().parent().unwrap());
    command
        .env("CMAT_CURRENT_TASK_ID", "task_1")
        .env("CMAT_PROJECT_DIR", project.project().file_name().unwrap());
    let stdin = project.session_end("s-1", &project.transcript_path("s-1"));
    assert_eq!(project.seen(&feed(&mut command, stdin).wait_with_output().unwrap()), "");
    fs::remove_dir(ledger).unwrap();
    let mut elsewhere = project.cmat(["reconcile"]);
    assert!(elsewhere.current_dir(project.home()).output().unwrap().status.success());
    assert!(project.stored("task_1").contains("cost_usd: \"0.0180\""));
}

#[test]
fn takes_the_sessions_subagents_with_it() {
    let project = project();
    let agent = project.transcript_path("s-1").with_extension("").join("subagents/agent-a1.jsonl");
    let mut line = request("msg_2", SONNET, [1_000, 1_000, 0, 0]);
    line["sessionId"] = json!("s-1");
    line["isSidechain"] = json!(true);
    line["agentId"] = json!("a1");
    fs::create_dir_all(agent.parent().unwrap()).unwrap();
    fs::write(agent, format!("{line}\n")).unwrap();
    project.end_session("task_1", "s-1");
    assert_snapshot!(project.run(["costs", "show", "task_1"]), @"
    Cost for task task_1:
      Model: claude-sonnet-4-20250514
      Input Tokens:          2,000
      Output Tokens:         2,000
      Cache Creation:            0
      Cache Read:                0
      Total Cost:          $0.0360
    ");
}

#[test]
fn bears_any_stdin() {
    let project = project();
    let transcript = project.transcript_path("s-1");
    let event = project.session_end("s-1", &transcript);
    for stdin in ["", " \n", "garbage", "{", "[]", "null", "{}", "\u{feff}{}", &event[..event.len() / 2]] {
        disturbs_nothing(&project, stdin);
    }
    disturbs_nothing(&project, [0xff, 0xfe, 0x00, b'{']);
    disturbs_nothing(&project, "[".repeat(1_000_000));
    disturbs_nothing(
        &project,
        json!({"session_id": "x".repeat(10_000), "transcript_path": transcript}).to_string(),
    );
    disturbs_nothing(&project, json!({"session_id": 7, "transcript_path": {}}).to_string());
}

#[test]
fn bears_a_stdin_without_end() {
    let project = project();
    let mut endless = Command::new("yes").arg("{\"a\":").stdout(Stdio::piped()).spawn().unwrap();
    let mut hook = project.cmat(["hook", "session-end"]);
    let output = hook.stdin(endless.stdout.take().unwrap()).output().unwrap();
    assert_eq!(project.seen(&output), "");
    endless.kill().unwrap();
    endless.wait().unwrap();
}

#[test]
fn stops_reading_stdin_at_the_end_of_the_event() {
    let project = project().env("CMAT_CURRENT_TASK_ID", "task_1");
    let event = project.session_end("s-1", &project.transcript_path("s-1"));
    let mut command = project.cmat(["hook", "session-end"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, event.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "the hook waits for the end of a stdin that stays open");
    drop(stdin);
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "1000"
    cost_output_tokens: "1000"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "0"
    cost_usd: "0.0180"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
}

#[test]
fn bears_any_transcript_path() {
    let project = project().env("CMAT_CURRENT_TASK_ID", "task_1");
    let fifo = project.home().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let home = project.home();
    for path in [
        "/",
        "/dev/null",
        "/dev/zero",
        "/proc/self/mem",
        "",
        "no/such.jsonl",
        "../../etc/passwd",
        "/etc/passwd",
    ] {
        disturbs_nothing(&project, project.session_end("s-1", path.as_ref()));
    }
    disturbs_nothing(&project, project.session_end("s-1", &fifo));
    disturbs_nothing(&project, project.session_end("s-1", &home));
    disturbs_nothing(&project, project.session_end("s-1", &home.join("x".repeat(5_000))));
    disturbs_nothing(&project, project.session_end("s-1", &home.join("a\0b")));
}

#[test]
fn reads_a_transcript_wherever_it_is() {
    let project = project().env("CMAT_CURRENT_TASK_ID", "task_1");
    let outside = project.project().parent().unwrap().join("elsewhere.jsonl");
    fs::copy(project.transcript_path("s-1"), &outside).unwrap();
    let roundabout = project.project().join("../home/../elsewhere.jsonl");
    assert_eq!(project.hook(project.session_end("s-1", &roundabout)), "");
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "1000"
    cost_output_tokens: "1000"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "0"
    cost_usd: "0.0180"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
}

#[test]
fn records_whatever_its_arguments_are() {
    for args in [
        &["session-end", "--no-such-flag"][..],
        &["session-end", "--no-such-flag", "its value"],
        &["session-end", "-x", "--", "more"],
        &["session-end", "--help"],
        &["no-such-event"],
        &["no-such-event", "/no/such/file", "no-such-session"],
        &["--version"],
        &[""],
        &[],
    ] {
        let project = project();
        let mut command = project.cmat([&["hook"], args].concat());
        command.env("CMAT_CURRENT_TASK_ID", "task_1");
        let run = feed(&mut command, project.session_end("s-1", &project.transcript_path("s-1")));
        assert_eq!(project.seen(&run.wait_with_output().unwrap()), "", "{args:?}");
        assert!(project.stored("task_1").contains("cost_usd: \"0.0180\""), "{args:?}");
    }
}

#[test]
fn records_whatever_its_configuration_is() {
    let broken: [&[u8]; 5] =
        [b"= = =", b"unknown_model = 7", b"[old]\ncost_model = 'x'", b"\xff\xfe\0", b"[[["];
    for (file, bytes) in [".claude/cmat.toml", ".claude/cmat.local.toml", "../home/.config/cmat/config.toml"]
        .into_iter()
        .flat_map(|file| broken.map(|bytes| (file, bytes)))
    {
        let project = project().file(file, bytes);
        assert_eq!(project.at_event("session-start", "task_1", "s-1"), "", "{file}");
        assert_eq!(project.at_event("stop", "task_1", "s-1"), "", "{file}");
        assert_eq!(project.end_session("task_1", "s-1"), "", "{file}");
        assert!(project.stored("task_1").contains("cost_usd: \"0.0180\""), "{file}");
    }
    for (name, value) in [
        ("CMAT_TZ", "Nowhere/Here"),
        ("CMAT_NOW", "yesterday"),
        ("CMAT_DEADLINE_MS", "soon"),
        ("CMAT_TAGS", "=,,=x=,"),
    ] {
        let project = project().env(name, value);
        assert_eq!(project.end_session("task_1", "s-1"), "", "{name}");
        assert!(project.stored("task_1").contains("cost_usd: \"0.0180\""), "{name}");
    }
}

#[test]
fn bears_any_task_id() {
    let ids =
        ["a/b\\c", "../../../etc/passwd", "\"quoted'\"", "\u{1b}[31mred\u{7}", "größe 👍", "-rf", "--force"];
    for id in ids {
        let project = project().task(id, "odd");
        assert_eq!(project.end_session(id, "s-1"), "", "{id:?}");
        assert!(project.stored(id).contains(r#"cost_usd: "0.0180""#), "{id:?}: {}", project.stored(id));
        let shown = project.run(["costs", "show", "--", id]);
        assert!(shown.contains("$0.0180") && !shown.contains('\u{1b}'), "{id:?}: {shown}");
    }
    let project = project();
    let long = "x".repeat(10_000);
    disturbs_nothing_for(&project, &long);
    disturbs_nothing_for(&project, " ");
    assert_snapshot!(project.run(["costs", "show", &long]), @"
    --- stderr
    Error: task id has 10000 bytes, at most 256 are accepted
    --- exit 1
    ");
    assert_snapshot!(project.run(["costs", "show", " "]), @"
    --- stderr
    Error: task id is empty
    --- exit 1
    ");
}

/// Ends the session for a task id that is none: silent, and no task has its cost.
#[track_caller]
fn disturbs_nothing_for(project: &TestProject, task: &str) {
    let before = fs::read(project.queue_path()).unwrap();
    assert_eq!(project.end_session(task, "s-1"), "");
    assert_eq!(fs::read(project.queue_path()).unwrap(), before);
}

#[test]
fn a_start_is_on_disk_before_the_ledger_is_asked() {
    let project = TestProject::new().task("task_1", "checkout").file(".claude/cmat.task", "task_1\n");
    fs::create_dir_all(project.cmat_home().join("ledger.db")).unwrap();
    assert_eq!(project.at_event("session-start", "", "s-1"), "");
    assert_eq!(fs::read_dir(project.cmat_home().join("outbox")).unwrap().count(), 1);
    fs::remove_dir(project.cmat_home().join("ledger.db")).unwrap();
    // The session is killed, no hook tells its end, and the task of the folder is another one by then.
    let project = project
        .session("s-1", &[request("msg_1", SONNET, [1_000, 1_000, 0, 0])])
        .file(".claude/cmat.task", "task_2\n");
    project.run(["reconcile"]);
    assert!(project.stored("task_1").contains("cost_usd: \"0.0180\""), "{}", project.stored("task_1"));
}

#[test]
fn one_hook_at_a_time_finishes_what_others_left() {
    let mut project = TestProject::new().task("task_1", "checkout").task("task_2", "checkout");
    for session in ["s-1", "s-2", "s-3"] {
        let id = format!("msg_{session}");
        project = project.session(session, &[request(&id, SONNET, [1_000, 1_000, 0, 0])]);
    }
    let ledger = project.cmat_home().join("ledger.db");
    fs::create_dir_all(&ledger).unwrap();
    assert_eq!(project.end_session("task_1", "s-1"), "");
    fs::remove_dir(&ledger).unwrap();
    let project = project.env("CMAT_NOW", "2026-11-21T12:01:00Z");
    let turn = FileLock::acquire(&project.cmat_home().join("outbox.lock"), Instant::now()).unwrap();
    assert_eq!(project.end_session("task_2", "s-2"), "");
    assert!(!project.stored("task_1").contains("0.0180"), "{}", project.stored("task_1"));
    assert!(project.stored("task_2").contains("cost_usd: \"0.0180\""), "{}", project.stored("task_2"));
    drop(turn);
    assert_eq!(project.end_session("task_2", "s-3"), "");
    assert!(project.stored("task_1").contains("cost_usd: \"0.0180\""), "{}", project.stored("task_1"));
}

#[test]
fn what_was_answered_is_read_before_the_session_ends() {
    let (first, second) =
        (request("msg_1", SONNET, [1_000, 1_000, 0, 0]), request("msg_2", SONNET, [1_000, 0, 0, 0]));
    let mut project = TestProject::new().task("task_1", "checkout");
    assert_eq!(project.at_event("session-start", "task_1", "s-1"), "");
    for (lines, event, cost) in [
        (&[first.clone()][..], "stop", "0.018"),
        (&[first.clone(), second][..], "subagent-stop", "0.021"),
        (&[first][..], "stop", "0.021"),
    ] {
        project = project.session("s-1", lines);
        let queue = fs::read(project.queue_path()).unwrap();
        assert_eq!(project.at_event(event, "task_1", "s-1"), "");
        // The user waits: the queue is left to the end of the session, and to commands.
        assert_eq!(fs::read(project.queue_path()).unwrap(), queue);
        // A command would read on by itself.
        let (path, aside) = (project.transcript_path("s-1"), project.home().join("aside"));
        fs::rename(&path, &aside).unwrap();
        let show: serde_json::Value =
            serde_json::from_str(&project.stdout(["costs", "show", "task_1", "--json"])).unwrap();
        fs::rename(&aside, &path).unwrap();
        assert!(show["cost_usd"].as_str().unwrap().starts_with(cost), "{show}");
    }
    // What has been read outlives its transcript.
    fs::remove_file(project.transcript_path("s-1")).unwrap();
    assert_eq!(project.at_event("stop", "task_1", "s-1"), "");
    assert_eq!(project.at_event("session-end", "task_1", "s-1"), "");
    assert!(project.stored("task_1").contains("cost_usd: \"0.0210\""));
}

#[test]
fn an_earlier_script_puts_the_end_before_the_event_that_it_is_told() {
    let project = project();
    let run = feed(
        &mut project.cmat(["hook", "session-end", "stop"]),
        project.session_end("s-1", &project.transcript_path("s-1")),
    );
    assert_eq!(project.seen(&run.wait_with_output().unwrap()), "");
    let explained: serde_json::Value =
        serde_json::from_str(&project.stdout(["explain", "msg_1", "--json"])).unwrap();
    assert_eq!(explained["rows"][0]["request"], "msg_1", "{explained}");
}

#[test]
fn no_event_disturbs_a_session() {
    let project = project();
    for event in ["session-start", "stop", "subagent-stop", "session-end", "pre-tool-use", "--help"] {
        for stdin in ["", "garbage", "{}", "[1]", r#"{"transcript_path": "/dev/null", "cwd": 5}"#] {
            let run = feed(&mut project.cmat(["hook", event, "", "--what"]), stdin);
            assert_eq!(project.seen(&run.wait_with_output().unwrap()), "", "{event} {stdin}");
        }
    }
}

#[test]
fn a_broken_file_of_the_project_takes_nothing_from_the_users_own() {
    let project = TestProject::new()
        .task("task_1", "a")
        .file(".claude/cmat.toml", "timezone = [")
        .session("s-1", &[request("msg_1", "claude-of-tomorrow", [1_000, 100, 0, 0])]);
    let user_dir = project.home().join(".config/cmat");
    fs::create_dir_all(&user_dir).unwrap();
    fs::write(user_dir.join("config.toml"), "unknown_model = \"unpriced\"").unwrap();
    assert_eq!(project.end_session("task_1", "s-1"), "");
    project.write(".claude/cmat.toml", "");
    let seen = project.run(["costs", "show", "task_1"]);
    assert!(seen.contains("without a price: claude-of-tomorrow"), "{seen}");
}

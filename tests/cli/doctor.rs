//! `cmat doctor`: a healthy project, and each fault by its check, its state and its fix.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use insta::assert_snapshot;
use serde_json::Value;
use serde_json::json;

use crate::harness::OPUS;
use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

const SCRIPT: &str = ".claude/hooks/on-session-end-cost.sh";
const SETTINGS: &str = ".claude/settings.json";

/// A project where cmat and Claude Code are on PATH.
fn project() -> TestProject {
    let project = TestProject::new();
    let bin = Path::new(env!("CARGO_BIN_EXE_cmat")).parent().unwrap().to_str().unwrap();
    let tools = project.home().join("tools");
    fs::create_dir_all(&tools).unwrap();
    fs::write(tools.join("claude"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(tools.join("claude"), Permissions::from_mode(0o755)).unwrap();
    project.env("PATH", format!("{bin}:{}:/usr/bin:/bin", tools.display()))
}

/// The same, with cmat installed.
fn installed() -> TestProject {
    let project = project();
    project.stdout(["init"]);
    project
}

/// The same, with a task and a session of it that has ended.
fn used() -> TestProject {
    let project = installed()
        .task("task_1", "checkout")
        .env("CMAT_CURRENT_TASK_ID", "task_1")
        .session("s-1", &[request("m-1", SONNET, [12_345, 3_456, 0, 8_901])]);
    assert_eq!(project.end_session("task_1", "s-1"), "");
    project
}

/// Returns what `doctor` says of one thing: state, detail, fix.
fn check(project: &TestProject, name: &str) -> String {
    let output = project.cmat(["doctor", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = document["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
    let text = |key: &str| found[key].as_str().unwrap_or("-").to_owned();
    let dashed = project.transcript_path("s").parent().unwrap().file_name().unwrap().to_owned();
    let mut seen = format!("{} | {} | {}", text("state"), text("detail"), text("fix"));
    for (folder, shown) in
        [(project.project(), "[project]"), (project.home(), "[home]"), (project.cmat_home(), "[cmat]")]
    {
        seen = seen.replace(folder.to_str().unwrap(), shown);
    }
    seen.replace(dashed.to_str().unwrap(), "[dashed]")
        .replace(Path::new(env!("CARGO_BIN_EXE_cmat")).parent().unwrap().to_str().unwrap(), "[bin]")
}

/// Names what differs from run to run.
fn steady(seen: &str) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_cmat")).parent().unwrap().to_str().unwrap();
    let seen = seen.replace(bin, "[bin]");
    let seen = regex::Regex::new(r"in \d+ ms").unwrap().replace(&seen, "in 11 ms").into_owned();
    let seen = regex::Regex::new(r"\d+ B,").unwrap().replace(&seen, "591 B,").into_owned();
    regex::Regex::new(r"newest .* ago").unwrap().replace(&seen, "newest 2 s ago").into_owned()
}

#[test]
fn a_fresh_project_needs_the_hook() {
    let project = project();
    assert_snapshot!(steady(&project.run(["doctor"])), @"
      ok   settings               readable, hooks are not disabled
      x    hook installed         no settings run cmat when a session ends                  fix: cmat init
      ok   second cost writer     none
      ok   cmat on PATH           [bin]/cmat
      ok   Claude Code            ~/tools/claude
      !    environment variables  no task is named: sessions count for none                 fix: export CMAT_CURRENT_TASK_ID=TASK, or: cmat task use TASK
      ok   task queue             none: `cmat task new` makes tasks without one
      ok   queue up to date       nothing is recorded yet
      ok   figures of others      nothing is recorded yet
      !    transcripts found      none in ~/.claude/projects, ~/.config/claude/projects     fix: claude, or set CLAUDE_CONFIG_DIR to the folder that it uses
      ok   retention              Claude Code deletes transcripts after 30 days
      ok   token counts           nothing is recorded yet
      ok   lower bounds           nothing is recorded yet
      ok   client's own count     nothing is recorded yet
      ok   sessions ended         nothing is recorded yet
      ok   clock                  nothing is recorded yet
      ok   models.json            the built-in prices, default claude-opus-5-5
      ok   prices near list       no row is 3 × off the list price
      ok   prices current         no row differs from the list price of today
      ok   model matched          nothing is recorded yet
      ok   model without row      nothing is recorded yet
      ok   model without price    nothing is recorded yet
      ok   budgets                none
      ok   data folder            [cmat], not there yet
      ok   file system            on this machine
      ok   ledger                 none yet: the first session that ends makes it
      ok   backups                none yet
      ok   hook runs left         none
      ok   log                    no fault in 7 days
      29 checks, 1 failed, 2 want attention (exit 5)
    --- exit 5
    ");
    assert!(!project.cmat_home().exists(), "a look makes no ledger");
}

#[test]
fn a_project_in_use_is_well() {
    let project = used();
    assert_snapshot!(steady(&project.run(["doctor"])), @"
    ok   settings               readable, hooks are not disabled
    ok   hook installed         .claude/settings.json
    ok   hook runs              on-session-end-cost.sh → cmat, in 11 ms, at 4 events
    ok   second cost writer     none
    ok   cmat on PATH           [bin]/cmat
    ok   Claude Code            ~/tools/claude
    ok   environment variables  CMAT_CURRENT_TASK_ID names task_1
    ok   task queue             .claude/data/task_queue.json, 1 task
    ok   queue up to date       shows what the ledger knows
    ok   figures of others      none was replaced
    ok   transcripts found      1 file, 591 B, newest 2 s ago
    ok   retention              Claude Code deletes transcripts after 30 days; the ledger keeps 1 request since 2026-11-20
    ok   token counts           every line was read, no two copies differ
    ok   lower bounds           every answer was recorded to its end
    ok   client's own count     no session has one
    ok   sessions ended         none was left without an end
    ok   clock                  no request is dated later than now
    ok   models.json            the built-in prices, default claude-opus-5-5
    ok   prices near list       no row is 3 × off the list price
    ok   prices current         no row differs from the list price of today
    ok   model matched          1 model, each by its own row
    ok   model without row      none
    ok   model without price    none
    ok   budgets                none
    ok   audit                  its chain is whole
    ok   data folder            [cmat], for you only
    ok   file system            on this machine
    ok   ledger                 [cmat]/ledger.db, sound, 1 request
    ok   backups                none yet
    ok   hook runs left         none
    ok   log                    no fault in 7 days
    31 checks, all well
    ");
    assert_snapshot!(steady(&project.run(["doctor", "--strict"])).lines().last().unwrap(), @"  31 checks, all well");
}

#[test]
fn a_session_that_was_killed_never_ended() {
    let mut line = request("m-2", SONNET, [1, 1, 0, 0]);
    line["timestamp"] = json!("2026-11-23T12:00:00.000Z");
    let project = used().session("s-2", &[line]).env("CMAT_NOW", "2026-11-24T11:00:00Z");
    project.stdout(["reconcile"]);
    assert_snapshot!(check(&project, "sessions ended"), @"ok | none was left without an end | -");
    let project = project.env("CMAT_NOW", "2026-11-24T13:00:00Z");
    assert_snapshot!(check(&project, "sessions ended"), @"! | 1 session never ended: killed, or the hook did not run | look: cmat sessions show s-2");
    assert_eq!(project.end_session("task_1", "s-2"), "");
    assert_snapshot!(check(&project, "sessions ended"), @"ok | none was left without an end | -");
}

#[test]
fn a_clock_that_was_wrong() {
    let project = used().env("CMAT_NOW", "2026-11-20T11:57:00Z");
    assert_snapshot!(check(&project, "clock"), @"ok | no request is dated later than now | -");
    let project = project.env("CMAT_NOW", "2026-11-19T10:00:00Z");
    assert_snapshot!(check(&project, "clock"), @"! | a request is dated 1 day later than now: one of the clocks was wrong | look: cmat explain m-1");
}

#[test]
fn an_attention_fails_only_if_asked_to() {
    let project = installed();
    let seen = project.run(["doctor"]);
    assert!(!seen.contains("--- exit"), "{seen}");
    assert!(project.run(["doctor", "--strict"]).ends_with("--- exit 6\n"));
}

#[test]
fn the_trial_of_the_hook_records_nothing() {
    let project = used().file(".claude/cmat.task", "task_1\n");
    let before = (project.stored("task_1"), project.stdout(["explain", "task_1"]));
    assert_snapshot!(steady(&check(&project, "hook runs")), @"ok | on-session-end-cost.sh → cmat, in 11 ms, at 4 events | -");
    assert_eq!((project.stored("task_1"), project.stdout(["explain", "task_1"])), before);
    assert_snapshot!(check(&project, "hook runs left"), @"ok | none | -");
}

#[test]
fn hooks_that_hold_budgets_run_and_their_trial_leaves_the_ledger_as_it_is() {
    let mut request = request("m-1", SONNET, [0, 20_000, 0, 0]);
    request["timestamp"] = "2026-11-21T11:59:00.000Z".into();
    let project = project().session("s-1", &[request]);
    project.stdout(["init", "--global"]);
    // Of what is left of a budget a session that begins is told.
    project.stdout(["set-budget", "--daily", "0.35"]);
    assert_snapshot!(steady(&check(&project, "hook runs")), @"ok | on-session-end-cost.sh → cmat, in 11 ms, at 4 events | -");
    project.stdout(["init", "--enforce"]);
    project.stdout(["reconcile"]);
    let ledger = project.cmat_home().join("ledger.db");
    let counts = || {
        let ledger = rusqlite::Connection::open(&ledger).unwrap();
        let count = |table: &str| -> i64 {
            ledger.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        ["session", "notice", "audit"].map(count)
    };
    let before = counts();
    let seen = project.run(["doctor"]);
    let runs: Vec<_> = seen.lines().filter(|line| line.contains(" hook runs  ")).map(steady).collect();
    assert_snapshot!(runs.join("\n"), @"
    ok   hook runs              on-session-end-cost.sh → cmat, in 11 ms, at 4 events
    ok   hook runs              cmat → cmat, in 11 ms
    ok   hook runs              cmat → cmat, in 11 ms
    ");
    assert_eq!(counts(), before);
    // Without a budget it is reached all the same.
    fs::remove_file(project.home().join(".config/cmat/config.toml")).unwrap();
    assert!(!project.run(["doctor"]).contains("without reaching"), "{seen}");
}

#[test]
fn a_hook_that_does_not_run() {
    let project = installed();
    let script = project.project().join(SCRIPT);
    fs::set_permissions(&script, Permissions::from_mode(0o644)).unwrap();
    assert_snapshot!(check(&project, "hook runs"), @r#"x | not executable: "$CLAUDE_PROJECT_DIR"/.claude/hooks/on-session-end-cost.sh | cmat init"#);
    project.stdout(["init"]);
    fs::remove_file(&script).unwrap();
    assert_snapshot!(check(&project, "hook runs"), @r#"x | not found: "$CLAUDE_PROJECT_DIR"/.claude/hooks/on-session-end-cost.sh | cmat init"#);
    project.write(SCRIPT, "#!/bin/sh\necho hello\nexec cmat hook session-end\n");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    assert_snapshot!(check(&project, "hook runs"), @"x | printed `hello`: stdout must be empty | cmat init");
    project.write(SCRIPT, "#!/bin/sh\necho broken >&2\nexit 2 # cmat hook session-end\n");
    assert_snapshot!(check(&project, "hook runs"), @"x | ended with exit code 2: broken | cmat init");
    let nowhere = TestProject::new();
    nowhere.stdout(["init"]);
    assert_snapshot!(check(&nowhere, "hook runs"), @"x | ended without reaching cmat: its script does not find the program | export PATH=[bin]:$PATH");
    assert_snapshot!(check(&nowhere, "cmat on PATH"), @"! | not found | export PATH=[bin]:$PATH");
    assert_snapshot!(check(&nowhere, "Claude Code"), @"! | `claude` is not on PATH | npm install -g @anthropic-ai/claude-code");
}

#[test]
fn a_hook_for_all_projects() {
    let project = project();
    project.stdout(["init", "--global"]);
    assert_snapshot!(check(&project, "hook installed"), @"ok | ~/.claude/settings.json | -");
    assert_snapshot!(steady(&check(&project, "hook runs")), @"ok | on-session-end-cost.sh → cmat, in 11 ms, at 4 events | -");
    fs::remove_file(project.home().join(SCRIPT)).unwrap();
    assert_snapshot!(check(&project, "hook runs"), @"x | not found: '[home]/.claude/hooks/on-session-end-cost.sh' | cmat init --global");
}

#[test]
fn sessions_of_a_subfolder_read_no_project_settings() {
    let project = installed().file("deep/er/file", "");
    let output = project.cmat(["doctor"]).current_dir(project.project().join("deep/er")).output().unwrap();
    let seen = project.seen(&output);
    assert_snapshot!(seen.lines().find(|line| line.contains("hook installed")).unwrap(), @"  !    hook installed         .claude/settings.json, which sessions started here, in deep/er, do not read");
}

#[test]
fn settings_that_stop_hooks() {
    let project = installed();
    project.write(".claude/settings.local.json", r#"{"disableAllHooks": true}"#);
    assert_snapshot!(check(&project, "settings"), @"x | `disableAllHooks` in .claude/settings.local.json | remove it from .claude/settings.local.json");
    project.write(SETTINGS, "{\"hooks\": }");
    assert_snapshot!(check(&project, "settings"), @"x | cannot merge hooks into `[project]/.claude/settings.json`: it is not JSON: line 1, column 11: expected a value, found `}` | mend the file there: Claude Code cannot read it either");
}

#[test]
fn a_second_cost_writer() {
    let hook = json!([{"hooks": [{"type": "command", "command": "python3 -m core costs extract"}]}]);
    let settings = json!({"hooks": {"SessionEnd": hook}}).to_string();
    let project = installed().file(".claude/settings.local.json", settings);
    assert_snapshot!(check(&project, "second cost writer"), @"x | .claude/settings.local.json: SessionEnd → python3 -m core costs extract | cmat init --replace");
    project.stdout(["init", "--replace"]);
    assert_snapshot!(check(&project, "second cost writer"), @"ok | none | -");
}

#[test]
fn figures_of_a_second_cost_writer() {
    let project = used();
    let queue = fs::read_to_string(project.queue_path()).unwrap();
    fs::write(project.queue_path(), queue.replace("0.0915", "0.3333")).unwrap();
    project.run(["reconcile"]);
    assert_snapshot!(check(&project, "figures of others"), @"! | 1 set replaced in the queue and kept, such as of task_1 | cmat init --replace, if a second cost hook wrote them; else cmat reconcile --adopt task_1");
}

#[test]
fn environment_variables() {
    assert_snapshot!(check(&installed(), "environment variables"), @"! | no task is named: sessions count for none | export CMAT_CURRENT_TASK_ID=TASK, or: cmat task use TASK");
    let queued = || installed().task("task_1", "checkout");
    assert_snapshot!(check(&queued().env("CMAT_CURRENT_TASK_ID", "task_1"), "environment variables"), @"ok | CMAT_CURRENT_TASK_ID names task_1 | -");
    assert_snapshot!(check(&queued().env("CMAT_CURRENT_TASK_ID", "task_2"), "environment variables"), @"! | CMAT_CURRENT_TASK_ID names task_2, which is not in the task queue | export CMAT_CURRENT_TASK_ID=TASK, or: cmat task use TASK");
    let in_settings =
        queued().file(".claude/settings.local.json", r#"{"env": {"CMAT_CURRENT_TASK_ID": "task_1"}}"#);
    assert_snapshot!(check(&in_settings, "environment variables"), @"ok | .claude/settings.local.json names task_1 | -");
    assert_snapshot!(check(&queued().file(".claude/cmat.task", "task_1\n"), "environment variables"), @"ok | .claude/cmat.task names task_1 | -");
}

#[test]
fn a_task_queue_that_cannot_be_used() {
    let project = used().session("s-2", &[request("m-2", SONNET, [1, 1, 0, 0])]);
    let queue = fs::read_to_string(project.queue_path()).unwrap();
    fs::write(project.queue_path(), queue.replacen("\"tasks\"", "tasks", 1)).unwrap();
    project.end_session("task_1", "s-2");
    assert_snapshot!(check(&project, "task queue"), @"x | cannot understand the task queue `[project]/.claude/data/task_queue.json`: it is not JSON: line 6, column 3: expected a key in double quotes, found `t` | mend the file there, then: cmat reconcile");
    assert_snapshot!(check(&project, "queue up to date"), @"! | 1 task not written yet | cmat reconcile");
    fs::write(project.queue_path(), &queue).unwrap();
    project.stdout(["reconcile"]);
    assert_snapshot!(check(&project, "queue up to date"), @"ok | shows what the ledger knows | -");
    let twice = TestProject::new().task("task_1", "a").task("task_1", "b");
    assert_snapshot!(check(&twice, "task queue"), @"! | .claude/data/task_queue.json: several tasks have the id task_1 | give each its own; the cost is written to the first");
}

#[test]
fn transcripts_that_wait_to_be_deleted() {
    let project = installed().session("s-1", &[request("m-1", SONNET, [1, 1, 0, 0])]);
    let file = File::options().append(true).open(project.transcript_path("s-1")).unwrap();
    let now: SystemTime = "2026-11-21T12:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
    file.set_modified(now - Duration::from_secs(3_600)).unwrap();
    assert_snapshot!(check(&project, "transcripts found"), @"ok | 1 file, 581 B, newest 1 h ago | -");
    assert_snapshot!(check(&project, "retention"), @"ok | Claude Code deletes transcripts after 30 days | -");
    file.set_modified(now - Duration::from_secs(3 * 86_400)).unwrap();
    project.write(".claude/settings.local.json", r#"{"cleanupPeriodDays": 5}"#);
    assert_snapshot!(check(&project, "retention"), @"! | Claude Code deletes transcripts after 5 days; 1 transcript not in the ledger | cmat reconcile --all");
    assert_snapshot!(check(&project, "transcripts found"), @"ok | 1 file, 581 B, newest 3 days ago | -");
    project.stdout(["reconcile", "--all"]);
    assert_snapshot!(check(&project, "retention"), @"ok | Claude Code deletes transcripts after 5 days; the ledger keeps 1 request since 2026-11-20 | -");
}

#[test]
fn counts_in_doubt() {
    let mut cut = request("m-2", SONNET, [1, 1, 0, 0]);
    cut["message"]["stop_reason"] = Value::Null;
    let project = used().session("s-2", &[cut.clone()]);
    project.end_session("task_1", "s-2");
    assert_snapshot!(check(&project, "token counts"), @"ok | every line was read, no two copies differ | -");
    assert_snapshot!(check(&project, "lower bounds"), @"! | 1 answer cut short: the cost is at least what is shown | look: cmat explain m-2");
    let mut broken = request("m-3", SONNET, [1, 1, 0, 0]);
    broken["message"]["usage"]["output_tokens"] = json!(-1);
    let project = project.session("s-3", &[broken]);
    project.end_session("task_1", "s-3");
    assert_snapshot!(check(&project, "token counts"), @"! | 1 line left out, such as line 1: `output_tokens` is not a whole number from 0 to 1099511627776 | look: sed -n 1p [home]/.claude/projects/[dashed]/s-3.jsonl | cut -c1-500");
    let project =
        project.session("s-4", &[request("m-4", SONNET, [1, 1, 0, 0]), request("m-4", SONNET, [2, 1, 0, 0])]);
    project.end_session("task_1", "s-4");
    assert_snapshot!(check(&project, "token counts"), @"! | copies of 1 request disagree; the greatest counts were taken | cmat explain m-4");
}

#[test]
fn models_without_a_row() {
    let project = used().session(
        "s-2",
        &[request("m-2", "claude-nova-9", [1, 1, 0, 0]), request("m-3", "gpt-9", [1, 1, 0, 0])],
    );
    project.end_session("task_1", "s-2");
    assert_snapshot!(check(&project, "model without row"), @"! | claude-nova-9, 1 request | cmat models add claude-nova-9 --input USD --output USD, then: cmat reprice");
    assert_snapshot!(check(&project, "model without price"), @"! | gpt-9, 1 request | cmat models add gpt-9 --input USD --output USD, then: cmat reprice");
    project.stdout(["models", "add", "claude-nova-9", "--input", "1", "--output", "2"]);
    assert_snapshot!(check(&project, "model without row"), @"! | claude-nova-9, 1 request | cmat reprice");
    project.run(["reprice"]);
    assert_snapshot!(check(&project, "model without row"), @"ok | none | -");
}

#[test]
fn price_tables_that_mislead() {
    let row = |id: &str, pattern: &str, input: f64, is_default: bool| {
        json!({"id": id, "name": id, "pattern": pattern, "is_default": is_default,
               "pricing": {"input": input, "output": input * 5.0}})
    };
    let with = |rows: Value| used().file(".claude/data/models.json", json!({"models": rows}).to_string());
    let broken = used().file(".claude/data/models.json", "{\n  models");
    assert_snapshot!(check(&broken, "models.json"), @"x | price table `[project]/.claude/data/models.json` is not JSON at line 2, column 3: key must be a string at line 2 column 3; the built-in prices are used | mend the file there, then: cmat reprice");
    let two_defaults = with(json!([row(SONNET, SONNET, 3.0, true), row(OPUS, OPUS, 5.0, true)]));
    assert_snapshot!(check(&two_defaults, "models.json"), @"! | `[project]/.claude/data/models.json`: row 2 `claude-opus-4-8` is marked `is_default` too; `claude-sonnet-4-20250514` stays the default | cmat models check");
    let far_off = with(json!([row(SONNET, SONNET, 30.0, false)]));
    assert_snapshot!(check(&far_off, "prices near list"), @"! | row `claude-sonnet-4-20250514` prices input at $30.00 per million tokens, 10 × the list price ($3.00) | cmat models update --dry-run");
    let old = with(json!([row(SONNET, SONNET, 4.0, false)]));
    assert_snapshot!(check(&old, "prices current"), @"! | 1 row off the list price, such as claude-sonnet-4-20250514 | cmat models update --dry-run");
    let wide = with(json!([row("claude-haiku-4-5", "claude-.*", 1.0, false)]));
    assert_snapshot!(check(&wide, "model matched"), @"! | claude-sonnet-4-20250514 takes the price of claude-haiku-4-5, whose pattern is too wide | cmat models which claude-sonnet-4-20250514");
}

#[test]
fn a_data_folder_that_others_can_open() {
    let project = used();
    fs::set_permissions(project.cmat_home(), Permissions::from_mode(0o755)).unwrap();
    assert_snapshot!(check(&project, "data folder"), @"! | others may look into [cmat] | cmat doctor --fix");
}

#[test]
fn a_ledger_that_is_damaged() {
    let project = used();
    project.stdout(["costs", "show", "task_1"]);
    fs::write(project.cmat_home().join("ledger.db"), "not a database, but long enough to look like one")
        .unwrap();
    assert_snapshot!(check(&project, "ledger"), @"x | ledger `[cmat]/ledger.db` could not be opened: file is not a database: Error code 26: file is not a database | cmat doctor --fix: keeps it, and rebuilds it from its backup and the transcripts");
}

#[test]
fn hook_runs_that_are_left() {
    let project = used();
    project.write("../cmat/outbox/0123456789abcdef.json", "{");
    assert_snapshot!(check(&project, "hook runs left"), @"x | cannot understand the intent `[cmat]/outbox/0123456789abcdef.json`: EOF while parsing an object at line 1 column 1 | move the file away, then: cmat reconcile --all");
}

#[test]
fn faults_that_a_hook_wrote_down() {
    // The log keeps the time of the clock, whatever time the test says it is.
    let project = used().env("CMAT_NOW", jiff::Timestamp::now().to_string());
    assert_eq!(project.hook("garbage"), "");
    assert_snapshot!(check(&project, "log"), @"! | 2 faults in 7 days, the last: neither stdin nor environment names a session: there is nothing to record | look: tail -n 2 [cmat]/cmat.log");
}

//! What a branch, a pull request, a commit and a run's surroundings say of the requests made meanwhile.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use insta::assert_snapshot;
use rusqlite::Connection;
use serde_json::Value;
use serde_json::json;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::feed;
use crate::harness::request;

/// A request of 1,000 input tokens on a branch, at a minute past 12.
fn made(id: &str, branch: &str, minute: u32) -> Value {
    let mut line = request(id, SONNET, [1000, 0, 0, 0]);
    line["gitBranch"] = json!(branch);
    line["timestamp"] = json!(format!("2026-11-20T12:{minute:02}:00.000Z"));
    line
}

/// Returns what the ledger derived of each request, a line for each.
fn derived(project: &TestProject, columns: &str) -> String {
    let ledger = Connection::open(project.cmat_home().join("ledger.db")).unwrap();
    let query = format!(
        "SELECT key, {columns} FROM request LEFT JOIN task ON task.id = request.task ORDER BY request.at"
    );
    let mut statement = ledger.prepare(&query).unwrap();
    let n_columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let texts = (0..n_columns).map(|n| row.get::<_, Option<String>>(n));
        let texts: Result<Vec<_>, _> = texts.collect();
        Ok(texts?.into_iter().map(|text| text.unwrap_or("-".to_owned())).collect::<Vec<_>>().join(" "))
    });
    rows.unwrap().map(|line| line.unwrap() + "\n").collect()
}

fn git(project: &TestProject, arguments: &[&str], date: &str) {
    let output = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(project.project())
        .env("GIT_AUTHOR_DATE", date)
        .env("GIT_COMMITTER_DATE", date)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn each_worktree_works_on_the_task_that_was_used_in_it() {
    let project = TestProject::new();
    let root = project.project();
    git(&project, &["init", "-q", "-b", "main"], "2026-11-20T08:00:00Z");
    git(&project, &["commit", "-q", "--allow-empty", "-m", "first"], "2026-11-20T08:00:00Z");
    let worktrees = ["one", "two", "three"].map(|name| {
        git(&project, &["worktree", "add", "-q", &format!("../{name}"), "-b", name], "2026-11-20T08:00:00Z");
        root.with_file_name(name)
    });
    let uses =
        [(&worktrees[1], "B-0", "09:00"), (&worktrees[0], "A", "10:00"), (&worktrees[1], "B-1", "11:00")];
    for (folder, task, time) in uses {
        let now = format!("2026-11-20T{time}:00Z");
        let mut command = project.cmat(["task", "use", task]);
        let output = command.current_dir(folder).env("CMAT_NOW", now).output().unwrap();
        assert!(output.status.success(), "{}", project.seen(&output));
    }
    // In the third nobody said anything: what was said last of the project holds.
    for (folder, name, times) in [
        (&worktrees[0], "one", &["09:30", "10:30", "11:30"][..]),
        (&worktrees[1], "two", &["09:30", "10:30", "11:30"]),
        (&worktrees[2], "three", &["08:30", "10:30", "11:30"]),
    ] {
        let mut text = String::new();
        for time in times {
            let mut line = request(&format!("{name}-{time}"), SONNET, [1000, 0, 0, 0]);
            line["timestamp"] = format!("2026-11-20T{time}:00Z").into();
            line["sessionId"] = name.into();
            line["cwd"] = folder.to_str().unwrap().into();
            text += &format!("{line}\n");
        }
        let path = project.transcript_path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let mut hook = project.cmat(["hook", "session-end"]);
        hook.env("CLAUDE_PROJECT_DIR", folder).env("CMAT_NOW", "2026-11-20T12:00:00Z");
        let told = project.session_end(name, &path).replace(root.to_str().unwrap(), folder.to_str().unwrap());
        assert_eq!(project.seen(&feed(&mut hook, told).wait_with_output().unwrap()), "");
    }
    assert_snapshot!(derived(&project, "task.name"), @"
    three-08:30 -
    one-09:30 B-0
    two-09:30 B-0
    one-10:30 A
    two-10:30 B-0
    three-10:30 A
    one-11:30 A
    two-11:30 B-1
    three-11:30 B-1
    ");
}

#[test]
fn a_session_that_crosses_branches_is_split() {
    let project = TestProject::new().session(
        "s1",
        &[
            made("msg_1", "main", 1),
            made("msg_2", "feature/PAY-12-checkout", 2),
            made("msg_3", "fix/#7", 3),
            made("msg_4", "HEAD", 4),
        ],
    );
    assert_snapshot!(project.run(["reconcile"]), @"1 session read, 4 new requests; 0 hook runs finished, 0 tasks written");
    assert_snapshot!(derived(&project, "ticket, task.name, request.enhancement"), @"
    msg_1 - - -
    msg_2 PAY-12 PAY-12 PAY-12-checkout
    msg_3 #7 #7 -
    msg_4 - - -
    ");
    assert_snapshot!(project.run(["costs", "enhancement", "PAY-12-checkout"]), @"
    Cost for enhancement 'PAY-12-checkout':
      Tasks:              1
      Input Tokens:     1,000
      Output Tokens:        0
      Total Cost:     $0.0030
    ");
    assert_snapshot!(project.run(["task", "list"]), @"
    TASK    ENHANCEMENT     COST  TITLE
    PAY-12  -            $0.0030  -
    #7      -            $0.0030  -
    ");
}

#[test]
fn a_rule_that_changes_is_applied_to_what_was_recorded() {
    let project = TestProject::new().session("s1", &[made("msg_1", "story/12/checkout", 1)]);
    assert_snapshot!(project.run(["reconcile"]), @"1 session read, 1 new request; 0 hook runs finished, 0 tasks written");
    assert_snapshot!(derived(&project, "ticket, request.enhancement"), @"msg_1 - -");
    let project = project.file(
        ".claude/cmat.toml",
        "attribution = { ticket = 'story/(\\d+)', enhancement_from_branch = 'story/\\d+/(.+)' }",
    );
    assert_snapshot!(project.run(["reattribute", "--dry-run"]), @"
    1 request looked at
    1 request would move: no task → 12
    ");
    assert_snapshot!(project.run(["reattribute"]), @"
    1 request looked at
    1 request moved: no task → 12
    ");
    assert_snapshot!(derived(&project, "ticket, request.enhancement"), @"msg_1 12 checkout");
    let project = project.file(".claude/cmat.toml", "attribution = { order = [\"env\"] }");
    assert_snapshot!(project.run(["reattribute"]), @"
    1 request looked at
    1 request moved: 12 → no task
    ");
    assert_snapshot!(project.run(["task", "list"]), @"
    --- stderr
    no tasks yet: `cmat task new \"Title\"` makes one
    ");
    let project = project.file(".claude/cmat.toml", "attribution = { ticket = '(' }");
    assert_snapshot!(project.run(["task", "list"]), @"
    --- stderr
    Warning: left out: `[project]/.claude/cmat.toml` is not a configuration of cmat: `attribution` in a configuration file: `(` is no pattern of a branch: regex parse error:
        (
        ^
    error: unclosed group
    no tasks yet: `cmat task new \"Title\"` makes one
    ");
}

#[test]
fn what_a_run_was_given_goes_with_its_requests() {
    let asked = |content: &str, minute: u32| {
        json!({"type": "user", "uuid": format!("ask-{minute}"), "message": {"content": content},
            "timestamp": format!("2026-11-20T12:{minute:02}:00.000Z")})
    };
    let review =
        "<command-message>review is running…</command-message>\n<command-name>/review</command-name>";
    let lines = [asked(review, 1), made("msg_1", "main", 2), asked("thanks", 3), made("msg_2", "main", 4)];
    let project = TestProject::new()
        .session("s1", &lines)
        .env("CMAT_TAGS", "chapter=3,bad key=1")
        .env("CMAT_USER", "ann")
        .env("CMAT_AGENT", "architect");
    assert_snapshot!(project.end_session("T-1", "s1"), @"");
    assert_snapshot!(derived(&project, "command, tags, request.user, bound_agent"), @r#"
    msg_1 /review {"chapter":"3"} ann architect
    msg_2 - {"chapter":"3"} ann architect
    "#);
}

#[test]
fn a_branch_goes_into_the_pull_request_that_was_opened_from_it_and_a_task_into_the_one_it_is_linked_to() {
    let opened = json!({"type": "pr-link", "prNumber": 754, "prRepository": "o/r",
        "prUrl": "https://github.com/o/r/pull/754", "timestamp": "2026-11-20T12:05:00.000Z"});
    let project = TestProject::new()
        .session("s1", &[made("msg_1", "main", 1), made("msg_2", "fix/#7", 2), opened])
        .session("s2", &[made("msg_3", "fix/#7", 9), made("msg_4", "fix/PAY-1", 10)]);
    project.run(["reconcile"]);
    assert_snapshot!(derived(&project, "pr"), @"
    msg_1 -
    msg_2 o/r#754
    msg_3 o/r#754
    msg_4 -
    ");
    assert_snapshot!(project.run(["task", "link", "PAY-1", "--pr", "42"]), @"PAY-1 went into #42");
    assert_snapshot!(project.run(["task", "link", "PAY-1", "--pr", "\u{1b}[2J"]), @r"
    --- stderr
    Error: `\u{1b}[2J` is no pull request: expected a number, owner/repository#42, or its address
    --- exit 1
    ");
    assert_snapshot!(derived(&project, "pr"), @"
    msg_1 -
    msg_2 o/r#754
    msg_3 o/r#754
    msg_4 #42
    ");
}

#[test]
fn work_goes_into_the_next_commit_on_its_branch() {
    let project = TestProject::new().session(
        "s1",
        &[made("msg_1", "x;touch y", 1), made("msg_2", "x;touch y", 2), made("msg_3", "x;touch y", 30)],
    );
    git(&project, &["init", "-q", "-b", "main"], "2026-11-20T11:00:00Z");
    git(&project, &["commit", "-q", "--allow-empty", "-m", "before"], "2026-11-20T11:00:00Z");
    git(&project, &["checkout", "-q", "-b", "x;touch\u{a0}y"], "2026-11-20T11:00:00Z");
    git(&project, &["branch", "-q", "-m", "x;touch\u{a0}y", "plain"], "2026-11-20T11:00:00Z");
    project.run(["reconcile"]);
    assert_snapshot!(derived(&project, "commit_hash"), @"
    msg_1 -
    msg_2 -
    msg_3 -
    ");
    let lines = [made("msg_4", "plain", 1), made("msg_5", "plain", 20), made("msg_6", "plain", 40)];
    let project = project.session("s2", &lines);
    git(&project, &["commit", "-q", "--allow-empty", "-m", "one"], "2026-11-20T12:10:00Z");
    git(&project, &["commit", "-q", "--allow-empty", "-m", "two"], "2026-11-20T12:20:00Z");
    project.run(["reconcile"]);
    let commits = derived(&project, "commit_hash");
    let hashes: Vec<&str> = commits.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    let of_plain: Vec<&str> = hashes.iter().copied().filter(|hash| *hash != "-").collect();
    assert_eq!((of_plain.len(), of_plain[0].len()), (2, 12), "{commits}");
    assert_ne!(of_plain[0], of_plain[1]);
    // A branch that is gone keeps its commits.
    git(&project, &["checkout", "-q", "main"], "2026-11-20T12:30:00Z");
    git(&project, &["branch", "-q", "-D", "plain"], "2026-11-20T12:30:00Z");
    project.run(["reconcile"]);
    project.run(["reattribute"]);
    assert_eq!(derived(&project, "commit_hash"), commits);
}

#[test]
fn an_account_without_a_name_is_told_by_its_number() {
    let project = TestProject::new().session("s", &[request("m", SONNET, [1, 1, 0, 0])]);
    let mut command = project.cmat(["reconcile", "--all"]);
    assert!(command.env_remove("USER").output().unwrap().status.success());
    let report = project.stdout(["report", "--by", "user", "--format", "csv"]);
    let name = report.lines().nth(1).unwrap().split(',').next().unwrap();
    let number = fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(name, format!("uid-{number}"));
}

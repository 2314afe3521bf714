//! `cmat budget override | set | remove`: who may loosen a budget, and what of it is in the audit.

use std::fs;

use insta::assert_snapshot;

use crate::budgets::project;
use crate::harness::TestProject;
use crate::schemas;

/// Returns what a person at a terminal sees of a command.
fn at_terminal(project: &TestProject, command: &str, now: &str) -> String {
    let cmat = project.cmat([] as [&str; 0]).get_program().to_str().unwrap().to_owned();
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &format!("{cmat} {command}"), "/dev/null"]).current_dir(project.project());
    project.surround(&mut script);
    let output = script.env("CMAT_NOW", now).output().unwrap();
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

#[test]
fn a_change_that_cannot_be_audited_is_not_made() {
    let project = project();
    project.stdout(["budget", "set", "--daily", "5"]);
    let before = fs::read(project.user_config()).unwrap();
    let writer = rusqlite::Connection::open(project.cmat_home().join("ledger.db")).unwrap();
    // What makes a line of the audit impossible.
    writer
        .execute_batch("CREATE TRIGGER no_more BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'no'); END")
        .unwrap();
    let seen = project.run(["budget", "set", "--daily", "50"]);
    assert!(seen.contains("--- exit 1"), "{seen}");
    assert_eq!(fs::read(project.user_config()).unwrap(), before);
}

#[test]
fn the_audit_shows_what_was_loosened() {
    let project = project();
    project.stdout(["budget", "set", "--daily", "0.001"]);
    project.stdout(["budget", "set", "--daily", "0.001", "--on-exceed", "warn"]);
    project.stdout([
        "budget",
        "set",
        "--daily",
        "0.001",
        "--downgrade-to",
        "claude-haiku-4-5",
        "--warn",
        "100",
    ]);
    assert_snapshot!(project.stdout(["audit", "--verify"]), @"
    2026-11-21 12:00  budget_set      user/day $0.001, block  by dana
    2026-11-21 12:00  budget_set      user/day $0.001, warn  by dana
    2026-11-21 12:00  budget_set      user/day $0.001, downgrade, to claude-haiku-4-5, warn [100]  by dana
    3 lines, the chain is whole
    ");
}

#[test]
fn inside_claude_code_or_without_a_terminal_no_budget_is_loosened() {
    let project = TestProject::new();
    project.stdout(["budget", "set", "--daily", "5"]);
    let before = fs::read(project.user_config()).unwrap();
    assert_snapshot!(project.run(["budget", "override", "user", "--amount", "2", "--for", "2h", "--reason", "x"]), @"
    --- stderr
    Error: cmat budget override user is for a person: run it in a terminal
    --- exit 1
    ");
    assert_snapshot!(project.run(["budget", "remove", "user"]), @"
    --- stderr
    Error: cmat budget remove user is for a person: run it in a terminal
    --- exit 1
    ");
    let inside = project.env("CLAUDECODE", "1").env("CLAUDE_CODE_SESSION_ID", "s-9");
    assert_snapshot!(inside.run(["set-budget", "--daily", "500", "--weekly", "900"]), @"
    --- stderr
    Error: a change of the budget user/day, user/week is for a person: run it in a terminal of your own, outside of Claude Code
    --- exit 1
    ");
    assert_eq!(fs::read(inside.user_config()).unwrap(), before);
    assert_snapshot!(inside.stdout(["audit", "--verify"]), @"
    2026-11-21 12:00  budget_set      user/day $5, block  by dana
    2026-11-21 12:00  refused         cmat budget override user, without a terminal  by dana
    2026-11-21 12:00  refused         cmat budget remove user, without a terminal  by dana
    2026-11-21 12:00  refused         a change of the budget user/day, user/week, inside Claude Code, session s-9  by dana
    4 lines, the chain is whole
    ");
}

#[test]
fn a_person_at_a_terminal_goes_past_a_budget_for_a_time_and_no_longer() {
    let project = project();
    project.stdout(["budget", "set", "--daily", "0.40", "--warn", "100"]);
    let at_terminal = |command: &str, now: &str| at_terminal(&project, command, now);
    assert_snapshot!(at_terminal("budget override user/day --amount 2 --for 2h --reason 'release blocker'", "2026-11-21T12:00:00Z"), @"user/day +$2.00 until 2026-11-21 14:00 UTC");
    assert_snapshot!(at_terminal("budget override user/week --amount 2 --for 2h --reason x", "2026-11-21T12:00:00Z"), @"Error: no budget is called `user/week`: `cmat budget list` lists them");
    assert_snapshot!(at_terminal("budget override user --amount 2 --for 2h --reason ' '", "2026-11-21T12:00:00Z"), @"Error: an override needs a reason: it is what the audit says later");
    let check = |now: &str| {
        let output = project.cmat(["budget", "check"]).env("CMAT_NOW", now).output().unwrap();
        output.status.code()
    };
    assert_eq!(check("2026-11-21T13:59:59Z"), Some(0));
    assert_eq!(check("2026-11-21T14:00:00Z"), Some(3));
    assert_snapshot!(project.stdout(["budget", "status"]), @"
      SCOPE  PERIOD  SPENT  LIMIT  USED  FORECAST  STATE
      user   day     $0.50  $2.40  20 %         –  ok, $2.00 of it by override
    ");
    assert_snapshot!(at_terminal("budget remove user", "2026-11-21T12:00:00Z"), @"user/day removed: 1 entry, from ~/.config/cmat/config.toml");
    assert_snapshot!(project.stdout(["audit", "--verify"]), @r#"
    2026-11-21 12:00  budget_set      user/day $0.4, block, warn [100]  by dana
    2026-11-21 12:00  override        user/day +$2 until 2026-11-21 14:00  by dana  "release blocker"
    2026-11-21 12:00  budget_removed  user/day  by dana
    3 lines, the chain is whole
    "#);
    project.stdout(["budget", "set", "--daily", "5"]);
    for (command, schema) in [
        ("budget override user/day --amount 1 --for 1h --reason x --json", "cmat.budget.override/1"),
        ("budget remove user/day --json", "cmat.budget.remove/1"),
    ] {
        let seen = at_terminal(command, "2026-11-21T12:00:00Z");
        assert_eq!(schemas::check(&seen).as_deref(), Some(schema), "{seen}");
    }
}

#[test]
fn an_override_says_which_budgets_it_raises_and_which_stay() {
    let project = project();
    project.stdout(["budget", "set", "--daily", "5", "--monthly", "9"]);
    let managed = project.home().join("managed.toml");
    fs::write(&managed, "[[budget]]\nscope = \"user\"\nperiod = \"day\"\nlimit = \"90\"\n").unwrap();
    let project = project.env("CMAT_MANAGED_CONFIG", managed.to_str().unwrap());
    let seen = at_terminal(
        &project,
        "budget override user --amount 0.001 --for 1h --reason x",
        "2026-11-21T12:00:00Z",
    );
    assert_snapshot!(seen, @"
    the machine's user/day stays as it is: it cannot be overridden
    user/day +$0.001 until 2026-11-21 13:00 UTC
    user/month +$0.001 until 2026-11-21 13:00 UTC
    ");
}

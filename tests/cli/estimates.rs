//! `cmat estimate`: what work is likely to cost, by what such work cost.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// Three tasks that cost $0.015, $0.03 and $0.045, each in a session of one prompt, and two that are planned.
fn project() -> TestProject {
    let mut project = TestProject::new();
    for (task, enhancement) in
        [("t1", "login"), ("t2", "login"), ("t3", "login"), ("t4", "checkout"), ("t5", "checkout")]
    {
        project = project.task(task, enhancement);
    }
    for (n, output) in [(1, 1_000), (2, 2_000), (3, 3_000)] {
        let asked = json!({"type": "user", "uuid": format!("ask-{n}"), "timestamp": "2026-11-20T11:59:00.000Z",
            "message": {"role": "user", "content": "Build it"}});
        let made = request(&format!("msg_{n}"), SONNET, [0, output, 0, 0]);
        project = project.session(&format!("s{n}"), &[asked, made]);
        assert_eq!(project.end_session(&format!("t{n}"), &format!("s{n}")), "");
    }
    project
}

#[test]
fn planned_steps_cost_what_such_steps_did() {
    let project = project();
    project.stdout(["budget", "set", "--total", "0.1", "--enhancement", "checkout"]);
    assert_snapshot!(project.run(["estimate", "checkout"]), @r#"
    2 steps of checkout without a cost yet: $0.0600 at the P50 of each, $0.0900 at the P90 of each (3 past runs or more)
    budget enhancement "checkout" $0.0000 of $0.1000 (total): P90 leaves $0.0100

      STEP  AGENT        OPERATION       RUNS  ALIKE BY                 P50      P90
      t4    implementer  implementation     3  agent and operation  $0.0300  $0.0450
      t5    implementer  implementation     3  agent and operation  $0.0300  $0.0450
    --- stderr
    a short history: with fewer than 10 runs P90 is the dearest of them (3 here)
    "#);
    assert_snapshot!(project.run(["estimate", "checkout", "--like", "login"]), @r#"
    3 steps like those of login: $0.0900 at the P50 of each, $0.1350 at the P90 of each (3 past runs or more)
    budget enhancement "checkout" $0.0000 of $0.1000 (total): P90 exceeds it by $0.0350

      STEP  AGENT        OPERATION       RUNS  ALIKE BY                 P50      P90
      t1    implementer  implementation     3  agent and operation  $0.0300  $0.0450
      t2    implementer  implementation     3  agent and operation  $0.0300  $0.0450
      t3    implementer  implementation     3  agent and operation  $0.0300  $0.0450
    --- stderr
    a short history: with fewer than 10 runs P90 is the dearest of them (3 here)
    "#);
    assert_snapshot!(project.run(["estimate", "t4", "--json"]), @r#"
    {"schema":"cmat.estimate/1","generated_at":"2026-11-21T12:00:00Z","currency":"USD","billing":"api","name":"t4","like":null,"turns":null,"runs":3,"p50_usd":"0.03","p90_usd":"0.045","estimated":false,"lower_bound":false,"rows":[{"task":"t4","agent":"implementer","operation":"implementation","runs":3,"alike_by":"agent and operation","p50_usd":"0.03","p90_usd":"0.045","estimated":false,"lower_bound":false}],"budgets":[],"warnings":[{"code":"short_history","message":"a short history: with fewer than 10 runs P90 is the dearest of them (3 here)"}]}
    --- stderr
    a short history: with fewer than 10 runs P90 is the dearest of them (3 here)
    "#);
}

#[test]
fn turns_cost_what_turns_did() {
    let project = project();
    assert_snapshot!(project.run(["estimate", "--turns", "10"]), @r"
    10 turns: $0.3000 at the P50 of each, $0.4500 at the P90 of each (3 past runs or more)
    --- stderr
    a short history: with fewer than 10 runs P90 is the dearest of them (3 here)
    ");
    assert_snapshot!(project.run(["estimate", "--turns", "2", "--like", "t1"]), @r"
    2 turns like those of t1: $0.0300 at the P50 of each, $0.0300 at the P90 of each (1 past run or more)
    --- stderr
    a short history: with fewer than 10 runs P90 is the dearest of them (1 here)
    ");
}

#[test]
fn what_has_no_history_is_not_estimated() {
    let project = project();
    assert_snapshot!(project.run(["estimate", "login"]), @r"
    --- stderr
    Error: each task of login has a cost already; `cmat estimate --like login` says what it would cost again
    --- exit 1
    ");
    assert_snapshot!(project.run(["estimate", "\u{1b}[31mno"]), @r"
    --- stderr
    Error: no task or enhancement is called \u{1b}[31mno (`cmat task list` lists tasks); --like NAME takes the steps of another
    --- exit 1
    ");
    let new = TestProject::new().task("t1", "login");
    assert_snapshot!(new.run(["estimate", "login"]), @r"
    --- stderr
    Error: no task has a recorded cost yet: there is no history to estimate from
    --- exit 1
    ");
    assert_snapshot!(new.run(["estimate", "--turns", "3"]), @r"
    --- stderr
    Error: no turn has a recorded cost yet: there is no history to estimate from
    --- exit 1
    ");
}

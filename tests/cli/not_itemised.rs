//! What a transcript lacks and the client's own count holds: booked, shown apart, and never part of a request.

use insta::assert_snapshot;
use serde_json::Value;
use serde_json::json;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// The line with the client's own count: input, output, cache write (5 minutes), cache read.
fn cost_state([input, output, write, read]: [u64; 4]) -> Value {
    json!({
        "type": "cost-state",
        "totalCostUSD": 0.123_400_000_000_000_01,
        "modelUsage": {SONNET: {
            "inputTokens": input,
            "outputTokens": output,
            "cacheReadInputTokens": read,
            "cacheCreationInputTokens": write,
            "cacheCreationEphemeral5mInputTokens": write,
            "cacheCreationEphemeral1hInputTokens": 0,
            "webSearchRequests": 0,
        }},
    })
}

/// A task with a session of one request, after which a compaction was counted.
fn compacted() -> TestProject {
    let project = TestProject::new().task("task_1", "checkout").session(
        "s-1",
        &[request("m-1", SONNET, [1_000, 1_000, 0, 0]), cost_state([1_000, 3_000, 0, 100_000])],
    );
    assert_eq!(project.end_session("task_1", "s-1"), "");
    project
}

#[test]
fn it_is_booked_for_the_task_and_told_apart() {
    let project = compacted();
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "1000"
    cost_output_tokens: "3000"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "100000"
    cost_usd: "0.0780"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
    assert_snapshot!(project.run(["costs", "show", "task_1", "--breakdown"]), @r"
    Cost for task task_1:
      Model: claude-sonnet-4-20250514
      Input Tokens:          1,000
      Output Tokens:         3,000
      Cache Creation:            0
      Cache Read:          100,000
      Total Cost:          $0.0780

      MODEL                     REQUESTS  INPUT  OUTPUT  C.WRITE   C.READ     COST
      claude-sonnet-4-20250514         1  1,000   3,000        0  100,000  $0.0780

      SESSION  REQUESTS  INPUT  OUTPUT  C.WRITE   C.READ     COST
      s-1             1  1,000   3,000        0  100,000  $0.0780

      of this, not itemised  0 in, 2,000 out, 0 cache write, 100,000 cache read  $0.0600
      (the client counted it beyond the requests of its transcript: searches, compactions, hooks, attempts cut off)

      cost by kind   input 3.8 %   output 57.7 %   cache write 0.0 %   cache read 38.5 %
    ");
    assert_snapshot!(project.run(["explain", "task_1"]), @r"
    times in UTC, prices in USD per million tokens
    2026-11-20 12:00:00  m-1  claude-sonnet-4-20250514  (row claude-sonnet-4-20250514, prices of 2026-04-30, built-in)
        in 1,000 × $3.00 + out 1,000 × $15.00 = $0.018
    2026-11-20 12:00:00  not itemised  claude-sonnet-4  (row claude-sonnet-4-20250514, prices of 2026-04-30, built-in)
        out 2,000 × $15.00 + read 100,000 × $0.30 = $0.06
    Σ $0.078 → $0.0780   lines read 1, distinct requests 1 (0 repeats ignored)
    session s-1: its client reports $0.1234, cmat computes $0.0780
    ");
    let show: Value = serde_json::from_str(&project.stdout(["costs", "show", "task_1", "--json"])).unwrap();
    let beyond = &show["not_itemised"];
    assert_eq!((&show["requests"], &beyond["requests"]), (&json!(1), &json!(0)));
    assert_eq!((&beyond["output_tokens"], &beyond["cost_usd"]), (&json!(2_000), &json!("0.06")));
    let explained: Value = serde_json::from_str(&project.stdout(["explain", "s-1", "--json"])).unwrap();
    assert_snapshot!(explained["clients_say"], @r#"[{"session":"s-1","reported_usd":"0.1234","computed_usd":"0.078","not_itemised_usd":"0.06","fits":true}]"#);
    assert_eq!((&explained["requests"], &explained["rows"][1]["not_itemised"]), (&json!(1), &json!(true)));
}

#[test]
fn a_resumed_session_says_at_least_until_its_client_has_counted_again() {
    let first = [request("m-1", SONNET, [1_000, 1_000, 0, 0]), cost_state([1_000, 3_000, 0, 0])];
    let mut second = request("m-2", SONNET, [500, 500, 0, 0]);
    second["timestamp"] = json!("2026-11-20T13:00:00.000Z");
    let resumed = [&first[..], &[second.clone()]].concat();
    let counted = [&resumed[..], &[cost_state([1_500, 3_500, 0, 0])]].concat();
    let killed = [&resumed[..], &[cost_state([1_200, 3_500, 0, 0])]].concat();
    let cost = |lines: &[Value]| {
        let project = TestProject::new().task("task_1", "checkout").session("s-1", lines);
        project.end_session("task_1", "s-1");
        let show = project.run(["costs", "show", "task_1"]);
        show.lines().find(|line| line.contains("Total")).unwrap().trim().to_owned()
    };
    assert_snapshot!(cost(&first), @"Total Cost:          $0.0480");
    assert_snapshot!(cost(&resumed), @"Total Cost:         $0.0270+");
    assert_snapshot!(cost(&counted), @"Total Cost:          $0.0570");
    assert_snapshot!(cost(&killed), @"Total Cost:         $0.0270+");
}

#[test]
fn a_run_is_read_on_and_each_remainder_stays_with_its_task() {
    let first = [request("m-1", SONNET, [1_000, 1_000, 0, 0]), cost_state([1_000, 3_000, 0, 0])];
    let project = TestProject::new()
        .task("task_1", "checkout")
        .task("task_2", "search")
        .session("s-1", &first)
        .env("CMAT_NOW", "2026-11-20T12:30:00Z");
    assert_eq!(project.end_session("task_1", "s-1"), "");
    let mut second = request("m-2", SONNET, [500, 500, 0, 0]);
    second["timestamp"] = json!("2026-11-20T13:00:00.000Z");
    let project = project
        .session("s-1", &[&first[..], &[second, cost_state([1_500, 4_000, 0, 0])]].concat())
        .env("CMAT_NOW", "2026-11-20T13:30:00Z");
    assert_eq!(project.end_session("task_2", "s-1"), "");
    // $0.018 + 2,000 × $15; $0.009 + 500 × $15 per million.
    for (task, cost) in [("task_1", "0.0480"), ("task_2", "0.0165")] {
        assert!(project.stored(task).contains(&format!("cost_usd: \"{cost}\"")), "{}", project.stored(task));
    }
}

#[test]
fn of_two_counts_at_one_moment_the_greater_holds() {
    let lines = [
        request("m-1", SONNET, [1_000, 1_000, 0, 0]),
        cost_state([1_000, 2_000, 0, 0]),
        cost_state([1_000, 3_000, 0, 0]),
    ];
    let project = TestProject::new()
        .task("task_1", "checkout")
        .session("s-1", &lines)
        .env("CMAT_NOW", "2026-11-20T12:30:00Z");
    assert_eq!(project.end_session("task_1", "s-1"), "");
    // $0.018, and 2,000 × $15 per million.
    let stored = project.stored("task_1");
    assert!(stored.contains("cost_usd: \"0.0480\""), "{stored}");
}

#[test]
fn what_is_forgotten_does_not_come_back_as_a_remainder() {
    let project = compacted();
    assert!(project.run(["forget", "s-1"]).contains('1'));
    project.run(["reconcile", "--all"]);
    assert_snapshot!(project.run(["explain", "s-1"]), @r"
    --- stderr
    Error: no task, session or request `s-1` has a recorded cost; others are named as in branch:main, day:today
    --- exit 1
    ");
}

#[test]
fn correcting_repricing_and_deriving_again_take_it_along() {
    let project = compacted().task("task_2", "search");
    project.run(["task", "assign", "s-1", "task_2"]);
    assert!(project.stored("task_2").contains("cost_usd: \"0.0780\""), "{}", project.stored("task_2"));
    assert_snapshot!(project.run(["reattribute"]), @r"
    1 request looked at
    No request belongs to another task than before
    ");
    project.stdout(["models", "add", SONNET, "--input", "6", "--output", "30"]);
    project.run(["reprice"]);
    let show: Value = serde_json::from_str(&project.stdout(["costs", "show", "task_2", "--json"])).unwrap();
    assert_eq!(show["not_itemised"]["cost_input_usd"], "0", "{show}");
    assert_eq!(show["not_itemised"]["cost_output_usd"], "0.06", "{show}");
}

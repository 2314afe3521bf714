//! `cmat costs extract | show | enhancement`: layout to the byte, sums over sessions, reruns and resumes.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::OPUS;
use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

const GUIDE_TASK: &str = "task_1702345678_12345";

/// The example of the cost guide, whose own prices make it $0.0915453.
fn guide() -> TestProject {
    TestProject::new()
        .task(GUIDE_TASK, "my-feature")
        .session("abc123", &[request("msg_1", SONNET, [12_345, 3_456, 0, 8_901])])
}

fn extract(project: &TestProject, task: &str, session: &str) -> String {
    project.run(["costs", "extract", task, project.transcript_path(session).to_str().unwrap()])
}

#[test]
fn shows_a_task_as_the_guide_does() {
    let project = guide();
    assert_eq!(extract(&project, GUIDE_TASK, "abc123"), "Cost extracted: $0.0915\n");
    let expected = "\
Cost for task task_1702345678_12345:
  Model: claude-sonnet-4-20250514
  Input Tokens:         12,345
  Output Tokens:         3,456
  Cache Creation:            0
  Cache Read:            8,901
  Total Cost:          $0.0915
";
    assert_eq!(project.stdout(["costs", "show", GUIDE_TASK]), expected);
}

#[test]
fn shows_an_enhancement_as_the_guide_does() {
    let project = guide().task("task_2", "my-feature").task("task_3", "another");
    extract(&project, GUIDE_TASK, "abc123");
    let expected = "\
Cost for enhancement 'my-feature':
  Tasks:              1
  Input Tokens:    12,345
  Output Tokens:    3,456
  Total Cost:     $0.0915
";
    assert_eq!(project.stdout(["costs", "enhancement", "my-feature"]), expected);
}

#[test]
fn stores_the_seven_keys_as_strings() {
    let project = guide();
    assert_eq!(project.end_session(GUIDE_TASK, "abc123"), "");
    assert_snapshot!(project.stored(GUIDE_TASK), @r#"
    cost_input_tokens: "12345"
    cost_output_tokens: "3456"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "8901"
    cost_usd: "0.0915"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "abc123"
    "#);
}

#[test]
fn leaves_every_other_byte_of_the_queue() {
    let project = guide().task("task_2", "my-feature");
    let before = fs::read_to_string(project.queue_path()).unwrap();
    project.end_session(GUIDE_TASK, "abc123");
    let after = fs::read_to_string(project.queue_path()).unwrap();
    let changed: Vec<&str> = after.lines().filter(|line| !before.contains(line)).collect();
    assert_snapshot!(changed.join("\n"), @r#"
    "cost_input_tokens": "12345",
    "cost_output_tokens": "3456",
    "cost_cache_creation_tokens": "0",
    "cost_cache_read_tokens": "8901",
    "cost_usd": "0.0915",
    "cost_model": "claude-sonnet-4-20250514",
    "session_id": "abc123"
    "#);
    assert_eq!(before.lines().count(), after.lines().count());
}

#[test]
fn adds_up_the_sessions_of_a_task() {
    let project = guide().session("s-2", &[request("msg_2", SONNET, [1_000, 1_000, 1_000, 1_000])]);
    project.end_session(GUIDE_TASK, "abc123");
    project.end_session(GUIDE_TASK, "s-2");
    assert_snapshot!(project.run(["costs", "show", GUIDE_TASK]), @"
    Cost for task task_1702345678_12345:
      Model: claude-sonnet-4-20250514
      Input Tokens:         13,345
      Output Tokens:         4,456
      Cache Creation:        1,000
      Cache Read:            9,901
      Total Cost:          $0.1136
    ");
}

#[test]
fn counts_a_rerun_and_a_resume_once() {
    let first = request("msg_1", SONNET, [12_345, 3_456, 0, 8_901]);
    let project = guide();
    project.end_session(GUIDE_TASK, "abc123");
    project.end_session(GUIDE_TASK, "abc123");
    assert_eq!(extract(&project, GUIDE_TASK, "abc123"), "Cost extracted: $0.0915\n");

    let project = project.session("abc123", &[first, request("msg_2", SONNET, [0, 1_000, 0, 0])]);
    project.end_session(GUIDE_TASK, "abc123");
    assert_snapshot!(project.run(["costs", "show", GUIDE_TASK]), @"
    Cost for task task_1702345678_12345:
      Model: claude-sonnet-4-20250514
      Input Tokens:         12,345
      Output Tokens:         4,456
      Cache Creation:            0
      Cache Read:            8,901
      Total Cost:          $0.1065
    ");
}

#[test]
fn counts_the_lines_of_one_request_once_and_takes_the_largest() {
    let project = TestProject::new().task("task_1", "checkout").session(
        "s-1",
        &[
            request("msg_1", SONNET, [10, 3, 500, 20_000]),
            request("msg_1", SONNET, [10, 3, 500, 20_000]),
            request("msg_1", SONNET, [10, 999, 500, 20_000]),
        ],
    );
    project.end_session("task_1", "s-1");
    assert_snapshot!(project.run(["costs", "show", "task_1"]), @"
    Cost for task task_1:
      Model: claude-sonnet-4-20250514
      Input Tokens:             10
      Output Tokens:           999
      Cache Creation:          500
      Cache Read:           20,000
      Total Cost:          $0.0229
    ");
}

#[test]
fn names_the_dearest_of_two_models() {
    let project = TestProject::new().task("task_1", "checkout").session(
        "s-1",
        &[request("msg_1", SONNET, [1_000, 1_000, 0, 0]), request("msg_2", OPUS, [1_000, 1_000, 0, 0])],
    );
    project.end_session("task_1", "s-1");
    assert_snapshot!(project.run(["costs", "show", "task_1"]), @"
    Cost for task task_1:
      Model: claude-opus-4-8 (+1 more)
      Input Tokens:          2,000
      Output Tokens:         2,000
      Cache Creation:            0
      Cache Read:                0
      Total Cost:          $0.0480
    ");
}

#[test]
fn shows_what_the_queue_has_stored_where_cmat_knows_nothing_of_it() {
    let queue = r#"{"queue_metadata": {}, "tasks": [{"id": "task_1702345678_12345", "metadata": {
  "enhancement_title": "my-feature",
  "cost_input_tokens": "12345", "cost_output_tokens": "3456", "cost_cache_creation_tokens": "0",
  "cost_cache_read_tokens": "8901", "cost_usd": "0.0789",
  "cost_model": "claude-sonnet-4-20250514", "session_id": "abc123"}}], "agent_status": {}}"#;
    let project = TestProject::new().file(".claude/data/task_queue.json", queue);
    assert_snapshot!(project.run(["costs", "show", GUIDE_TASK]), @"
    Cost for task task_1702345678_12345:
      Model: claude-sonnet-4-20250514
      Input Tokens:         12,345
      Output Tokens:         3,456
      Cache Creation:            0
      Cache Read:            8,901
      Total Cost:          $0.0789
    --- stderr
    as another program recorded it; cmat has read no request of it
    ");
    assert_eq!(fs::read_to_string(project.queue_path()).unwrap(), queue);
}

#[test]
fn refuses_a_task_that_the_queue_does_not_have() {
    let project = guide();
    let before = fs::read(project.queue_path()).unwrap();
    assert_snapshot!(extract(&project, "task_9", "abc123"), @"
    --- stderr
    Error: Task not found: task_9 (--force records its cost all the same)
    --- exit 1
    ");
    assert_snapshot!(project.run(["costs", "show", "task_9"]), @"
    --- stderr
    Error: no cost data found for task: task_9
    --- exit 1
    ");
    assert_eq!(fs::read(project.queue_path()).unwrap(), before);

    let transcript = project.transcript_path("abc123");
    let forced = ["costs", "extract", "--force", "task_9", transcript.to_str().unwrap()];
    assert_snapshot!(project.run(forced), @"Cost extracted: $0.0915");
    assert_snapshot!(project.run(["costs", "show", "task_9"]), @"
    Cost for task task_9:
      Model: claude-sonnet-4-20250514
      Input Tokens:         12,345
      Output Tokens:         3,456
      Cache Creation:            0
      Cache Read:            8,901
      Total Cost:          $0.0915
    ");
    assert_eq!(fs::read(project.queue_path()).unwrap(), before);
}

#[test]
fn filters_by_session() {
    let project = guide();
    let transcript = project.transcript_path("abc123");
    let filtered =
        |session| project.run(["costs", "extract", GUIDE_TASK, transcript.to_str().unwrap(), session]);
    assert_snapshot!(filtered("another-session"), @"
    No usage data found in transcript
    --- stderr
    nothing of session another-session; the transcript holds abc123
    ");
    assert_snapshot!(filtered("abc123"), @"Cost extracted: $0.0915");
}

#[test]
fn says_so_where_there_is_nothing() {
    let project = guide();
    assert_snapshot!(project.run(["costs", "show", GUIDE_TASK]), @"
    --- stderr
    Error: no cost data found for task: task_1702345678_12345
    --- exit 1
    ");
    assert_snapshot!(project.run(["costs", "enhancement", "my-feature"]), @"No cost data found for enhancement: my-feature");
    assert_snapshot!(project.run(["costs", "enhancement", "no-such"]), @"No cost data found for enhancement: no-such");
    assert_snapshot!(project.run(["costs", "show"]), @"
    --- stderr
    error: the following required arguments were not provided:
      <TASK>

    Usage: cmat costs show <TASK>

    For more information, try '--help'.
    --- exit 2
    ");
}

#[test]
fn gives_exact_money_as_json() {
    let project = guide();
    project.end_session(GUIDE_TASK, "abc123");
    assert_snapshot!(pretty(&project.stdout(["costs", "show", GUIDE_TASK, "--json"])), @r#"
    {
      "schema": "cmat.costs.show/1",
      "task": "task_1702345678_12345",
      "project": "[project]",
      "title": "Work on my-feature",
      "enhancement": "my-feature",
      "models": [
        "claude-sonnet-4-20250514"
      ],
      "requests": 1,
      "input_tokens": 12345,
      "output_tokens": 3456,
      "cache_write_5m_tokens": 0,
      "cache_write_1h_tokens": 0,
      "cache_read_tokens": 8901,
      "web_search_requests": 0,
      "cost_usd": "0.0915453",
      "cost_input_usd": "0.037035",
      "cost_output_usd": "0.05184",
      "cost_cache_write_usd": "0",
      "cost_cache_read_usd": "0.0026703",
      "cost_web_search_usd": "0",
      "estimated": false,
      "lower_bound": false,
      "unpriced_models": [],
      "sessions": [
        {
          "session": "abc123",
          "first": "2026-11-20T12:00:00Z",
          "last": "2026-11-20T12:00:00Z",
          "requests": 1,
          "input_tokens": 12345,
          "output_tokens": 3456,
          "cache_write_5m_tokens": 0,
          "cache_write_1h_tokens": 0,
          "cache_read_tokens": 8901,
          "web_search_requests": 0,
          "cost_usd": "0.0915453",
          "cost_input_usd": "0.037035",
          "cost_output_usd": "0.05184",
          "cost_cache_write_usd": "0",
          "cost_cache_read_usd": "0.0026703",
          "cost_web_search_usd": "0",
          "estimated": false,
          "lower_bound": false,
          "unpriced_models": []
        }
      ],
      "not_itemised": {
        "requests": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_write_5m_tokens": 0,
        "cache_write_1h_tokens": 0,
        "cache_read_tokens": 0,
        "web_search_requests": 0,
        "cost_usd": "0",
        "cost_input_usd": "0",
        "cost_output_usd": "0",
        "cost_cache_write_usd": "0",
        "cost_cache_read_usd": "0",
        "cost_web_search_usd": "0",
        "estimated": false,
        "lower_bound": false,
        "unpriced_models": []
      },
      "recorded_elsewhere": {
        "entries": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_write_tokens": 0,
        "cache_read_tokens": 0,
        "cost_usd": "0"
      },
      "metadata": {
        "cost_input_tokens": "12345",
        "cost_output_tokens": "3456",
        "cost_cache_creation_tokens": "0",
        "cost_cache_read_tokens": "8901",
        "cost_usd": "0.0915",
        "cost_model": "claude-sonnet-4-20250514",
        "session_id": "abc123"
      },
      "warnings": []
    }
    "#);
    assert_snapshot!(pretty(&project.stdout(["costs", "enhancement", "my-feature", "--json"])), @r#"
    {
      "schema": "cmat.costs.enhancement/1",
      "enhancement": "my-feature",
      "tasks": 1,
      "requests": 1,
      "input_tokens": 12345,
      "output_tokens": 3456,
      "cache_write_5m_tokens": 0,
      "cache_write_1h_tokens": 0,
      "cache_read_tokens": 8901,
      "web_search_requests": 0,
      "cost_usd": "0.0915453",
      "cost_input_usd": "0.037035",
      "cost_output_usd": "0.05184",
      "cost_cache_write_usd": "0",
      "cost_cache_read_usd": "0.0026703",
      "cost_web_search_usd": "0",
      "estimated": false,
      "lower_bound": false,
      "unpriced_models": [],
      "rows": [
        {
          "task": "task_1702345678_12345",
          "agent": "implementer",
          "models": [
            "claude-sonnet-4-20250514"
          ],
          "requests": 1,
          "input_tokens": 12345,
          "output_tokens": 3456,
          "cache_write_5m_tokens": 0,
          "cache_write_1h_tokens": 0,
          "cache_read_tokens": 8901,
          "web_search_requests": 0,
          "cost_usd": "0.0915453",
          "cost_input_usd": "0.037035",
          "cost_output_usd": "0.05184",
          "cost_cache_write_usd": "0",
          "cost_cache_read_usd": "0.0026703",
          "cost_web_search_usd": "0",
          "estimated": false,
          "lower_bound": false,
          "unpriced_models": []
        }
      ],
      "warnings": []
    }
    "#);
}

#[test]
fn breaks_down_what_was_spent() {
    let project = guide().session("s-2", &[request("msg_2", OPUS, [1_000, 1_000, 1_000, 1_000])]);
    project.end_session(GUIDE_TASK, "abc123");
    project.end_session(GUIDE_TASK, "s-2");
    assert_snapshot!(project.run(["costs", "show", GUIDE_TASK, "--breakdown"]), @"
    Cost for task task_1702345678_12345:
      Model: claude-sonnet-4-20250514 (+1 more)
      Input Tokens:         13,345
      Output Tokens:         4,456
      Cache Creation:        1,000
      Cache Read:            9,901
      Total Cost:          $0.1283

      MODEL                     REQUESTS   INPUT  OUTPUT  C.WRITE  C.READ     COST
      claude-sonnet-4-20250514         1  12,345   3,456        0   8,901  $0.0915
      claude-opus-4-8                  1   1,000   1,000    1,000   1,000  $0.0368

      SESSION  REQUESTS   INPUT  OUTPUT  C.WRITE  C.READ     COST
      abc123          1  12,345   3,456        0   8,901  $0.0915
      s-2             1   1,000   1,000    1,000   1,000  $0.0368

      cost by kind   input 32.8 %   output 59.9 %   cache write 4.9 %   cache read 2.5 %
    ");
    assert_snapshot!(project.run(["costs", "enhancement", "my-feature", "--breakdown"]), @"
    Cost for enhancement 'my-feature':
      Tasks:              1
      Input Tokens:    13,345
      Output Tokens:    4,456
      Total Cost:     $0.1283

      TASK                   AGENT        MODEL                                INPUT  OUTPUT  C.WRITE  C.READ     COST
      task_1702345678_12345  implementer  claude-sonnet-4-20250514 (+1 more)  13,345   4,456    1,000   9,901  $0.1283

      cost by kind   input 32.8 %   output 59.9 %   cache write 4.9 %   cache read 2.5 %
    ");
}

fn pretty(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

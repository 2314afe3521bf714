//! Price tables of a project as they should not be: a person is told which line of which file, a hook records.

use insta::assert_snapshot;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A session that costs $0.018 at the built-in prices, and a project with its own table.
fn project(models: &str) -> TestProject {
    TestProject::new()
        .task("task_1", "checkout")
        .session("s-1", &[request("msg_1", SONNET, [1_000, 1_000, 0, 0])])
        .file(".claude/data/models.json", models)
}

/// A table with one row whose input price is the given text.
fn priced(input: &str) -> String {
    format!(
        r#"{{"models": [{{"id": "{SONNET}", "name": "Sonnet", "description": "", "pattern": "claude-sonnet-4-.*",
  "max_tokens": 8192, "is_default": true,
  "pricing": {{"input": {input}, "output": 15.00, "cache_write": 3.75, "cache_read": 0.30}}}}], "version": "1.0"}}"#
    )
}

fn extract(project: &TestProject) -> String {
    project.run(["costs", "extract", "task_1", project.transcript_path("s-1").to_str().unwrap()])
}

/// Ends the session, silently, and returns what `costs show` then says.
#[track_caller]
fn show_after_hook(project: &TestProject) -> String {
    assert_eq!(project.end_session("task_1", "s-1"), "");
    project.run(["costs", "show", "task_1"])
}

#[test]
fn a_corrupt_table() {
    let corrupt = project("{\"models\": [");
    assert_snapshot!(extract(&corrupt), @"
    --- stderr
    Error: nothing was recorded: price table `[project]/.claude/data/models.json` is not JSON at line 1, column 12: EOF while parsing a list at line 1 column 12
    --- exit 1
    ");
    assert_snapshot!(corrupt.run(["models", "list"]), @"
    --- stderr
    Error: mend this file, or move it away: price table `[project]/.claude/data/models.json` is not JSON at line 1, column 12: EOF while parsing a list at line 1 column 12
    --- exit 1
    ");
    assert_snapshot!(show_after_hook(&corrupt), @"
    Cost for task task_1:
      Model: claude-sonnet-4-20250514
      Input Tokens:          1,000
      Output Tokens:         1,000
      Cache Creation:            0
      Cache Read:                0
      Total Cost:         ~$0.0180
    --- stderr
    estimated: a model or a price table is missing, so another price was taken (`cmat models check`)
    ");
    assert_snapshot!(extract(&project("")), @"
    --- stderr
    Error: nothing was recorded: price table `[project]/.claude/data/models.json` is not JSON at line 1, column 0: EOF while parsing a value at line 1 column 0
    --- exit 1
    ");
    assert_snapshot!(extract(&project("[]")), @"
    --- stderr
    Error: nothing was recorded: price table `[project]/.claude/data/models.json` has no `models`: a list of rows, or an object of rows by id
    --- exit 1
    ");
    assert_snapshot!(extract(&project("{\"models\": 7}")), @"
    --- stderr
    Error: nothing was recorded: price table `[project]/.claude/data/models.json` has no `models`: a list of rows, or an object of rows by id
    --- exit 1
    ");
}

#[test]
fn a_pattern_that_is_none() {
    let bad = project(&priced("3.00").replace("claude-sonnet-4-.*", "claude-(sonnet"));
    assert_snapshot!(bad.run(["models", "check"]), @"
      !  `[project]/.claude/data/models.json`: row 1 `claude-sonnet-4-20250514` is left out, because pattern `claude-(sonnet` is not a regex: unclosed group
    --- exit 5
    ");
    assert_snapshot!(extract(&bad), @"
    Cost extracted: $0.0180
    --- stderr
    `[project]/.claude/data/models.json`: row 1 `claude-sonnet-4-20250514` is left out, because pattern `claude-(sonnet` is not a regex: unclosed group
    ");
}

#[test]
fn models_that_were_used_and_have_no_row() {
    let project = TestProject::new().session(
        "s-1",
        &[request("msg_1", "glm-5", [10, 20, 0, 0]), request("msg_2", SONNET, [10, 20, 0, 0])],
    );
    assert_snapshot!(project.run(["models", "check"]), @"  ok   the built-in prices are in force; no models.json changes them");
    assert_eq!(project.end_session("T-1", "s-1"), "");
    assert_snapshot!(project.run(["models", "check", "--strict"]), @"
      !  no row is for `glm-5`, which 1 request used; fix: cmat models add glm-5 --input USD --output USD, then: cmat reprice
    --- exit 6
    ");
}

#[test]
fn two_defaults() {
    let row = priced("3.00");
    let row = &row[row.find("[{").unwrap() + 1..row.rfind(']').unwrap()];
    let other = row.replace(SONNET, "claude-other").replace("claude-sonnet-4-", "claude-other-");
    let two = project(&format!("{{\"models\": [{row}, {other}], \"version\": \"1.0\"}}"));
    assert_snapshot!(two.run(["models", "list"]), @"
    Available models (2):

      claude-sonnet-4-20250514 (default)
        Name: Sonnet
        Input:  $3.00/M tokens
        Output: $15.00/M tokens

      claude-other
        Name: Sonnet
        Input:  $3.00/M tokens
        Output: $15.00/M tokens
    --- stderr
    `[project]/.claude/data/models.json`: row 2 `claude-other` is marked `is_default` too; `claude-sonnet-4-20250514` stays the default
    ");
    assert_snapshot!(two.run(["models", "check"]), @"
      claude-sonnet-4-20250514  regex    claude-sonnet-4-.*
      claude-other              regex    claude-other-.*
      !  `[project]/.claude/data/models.json`: row 2 `claude-other` is marked `is_default` too; `claude-sonnet-4-20250514` stays the default
    --- exit 5
    ");
    assert_snapshot!(extract(&two), @"
    Cost extracted: $0.0180
    --- stderr
    `[project]/.claude/data/models.json`: row 2 `claude-other` is marked `is_default` too; `claude-sonnet-4-20250514` stays the default
    ");
}

#[test]
fn prices_that_are_none() {
    assert_snapshot!(extract(&project(&priced("-3.00"))), @"
    Cost extracted: $0.0180
    --- stderr
    `[project]/.claude/data/models.json`: row 1 `claude-sonnet-4-20250514` is left out, because `pricing.input` cannot be used: price -3 is negative
    ");
    assert_snapshot!(extract(&project(&priced("NaN"))), @r#"
    Cost extracted: $0.0180
    --- stderr
    `[project]/.claude/data/models.json`: row 1 `claude-sonnet-4-20250514` is left out, because `pricing.input` is NaN; write a number
    "#);
    assert_snapshot!(extract(&project(&priced("\"three\""))), @r#"
    Cost extracted: $0.0180
    --- stderr
    `[project]/.claude/data/models.json`: row 1 `claude-sonnet-4-20250514` is left out, because `pricing.input` is "three"; write a number, without quotes
    "#);
    assert_snapshot!(extract(&project(&priced("null"))), @"
    Cost extracted: $0.0180
    --- stderr
    `[project]/.claude/data/models.json`: row 1 `claude-sonnet-4-20250514` is left out, because `pricing.input` is missing
    ");
    assert_snapshot!(extract(&project(&priced("1e400"))), @"
    Cost extracted: $0.0180
    --- stderr
    `[project]/.claude/data/models.json`: row 1 `claude-sonnet-4-20250514` is left out, because `pricing.input` is 1e+400; write a number of at most 12 decimal places
    ");
    assert_snapshot!(show_after_hook(&project(&priced("-3.00"))), @"
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
fn a_tiny_price_is_exact() {
    let tiny = project(&priced("1e-7"));
    assert_snapshot!(extract(&tiny), @"Cost extracted: $0.0150");
    assert_snapshot!(tiny.run(["models", "list"]), @"
    Available models (1):

      claude-sonnet-4-20250514 (default)
        Name: Sonnet
        Input:  $0.0000001/M tokens
        Output: $15.00/M tokens
    --- stderr
    row `claude-sonnet-4-20250514` prices input at $0.0000001 per million tokens, far below the list price ($3.00); it is used (`cmat models update --dry-run` shows the list price)
    ");
    let shown = tiny.run(["costs", "show", "task_1", "--json"]);
    assert!(shown.contains(r#""cost_usd":"0.0150000001""#), "{shown}");
}

//! What other programs kept, imported: figures by the price table, beside those that they reported.

use insta::assert_snapshot;
use rusqlite::Connection;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::feed;
use crate::harness::request;

const CALLS: &str = r#"{
  "calls": [
    {"timestamp": "2025-01-01T10:30:00", "model": "claude-3-sonnet-20240229",
     "input_tokens": 2000, "output_tokens": 1000, "cost": 0.021, "operation": "customization"}
  ],
  "daily_budget": 5.00,
  "monthly_budget": 50.00,
  "last_updated": "2025-01-01T10:30:00"
}"#;

const SESSIONS: &str = r#"{
  "total_input_tokens": 14300,
  "total_output_tokens": 2600,
  "total_cost_usd": 0.02184,
  "sessions": [
    {"timestamp": "2024-12-26T14:30:00", "session_name": "generate_images_chapters_1",
     "input_tokens": 13750, "output_tokens": 2500, "api_calls": 25, "cost_usd": 0.021},
    {"timestamp": "2024-12-26T14:40:00", "session_name": "one prompt",
     "input_tokens": 550, "output_tokens": 100, "api_calls": 1, "cost_usd": 0.00084}
  ]
}"#;

const LOG: &str = "timestamp,operation,job,prompt_tokens,completion_tokens,total_tokens,cost_estimate_usd\r\n\
    2025-03-10T09:00:00.123456,analysis,acme,1000,200,1200,0.030000\r\n\
    2025-03-10T09:00:01.000001,customization,acme,2000,400,2400,0.060000\r\n";

/// Returns how many requests the ledger holds, and what its charges come to in pico-dollars.
fn held(project: &TestProject) -> (i64, i64) {
    let ledger = Connection::open(project.cmat_home().join("ledger.db")).unwrap();
    let question = "SELECT (SELECT count(*) FROM request), (SELECT coalesce(sum(cost), 0) FROM charge)";
    ledger.query_row(question, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

/// Takes out of a text what depends on the folder of the test.
fn without_group(text: &str) -> String {
    regex::Regex::new(r#""record: [0-9a-f]{12}""#).unwrap().replace_all(text, r#""[record]""#).into_owned()
}

#[test]
fn what_no_request_has_is_refused_and_a_cost_far_off_is_told() {
    let header = "timestamp,operation,job,prompt_tokens,completion_tokens,total_tokens,cost_estimate_usd\n";
    let row = |tokens: &str, cost: &str| {
        format!("{header}2026-11-01T09:00:00,analysis,job,{tokens},0,{tokens},{cost}\n")
    };
    let project = TestProject::new().file("log.csv", row("999999999999", "0.100000"));
    assert_snapshot!(project.run(["import", "token-csv", "log.csv"]), @"
    --- stderr
    Error: `log.csv` was not imported, nothing was recorded: line 2: prompt_tokens is `999999999999`; expected at most 100,000,000 tokens in a request
    --- exit 1
    ");
    project.write("log.csv", row("90000000", "0.100000"));
    assert_snapshot!(project.run(["import", "token-csv", "log.csv"]), @"
    1 record, 1 new: $270.00 by the price table, $0.1000 as the file says
    --- stderr
    Warning: the file says another cost by far than its tokens come to: are they counted right, and is `--model` the one that was used?
    ");
}

#[test]
fn calls_are_imported_once_and_their_budgets_are_told() {
    let project = TestProject::new().file("costs.json", CALLS);
    assert_snapshot!(project.run(["import", "resume-customizer", "costs.json", "--dry-run"]), @r"
    1 record, 1 new: $0.0210 by the price table, $0.0210 as the file says (nothing is recorded: --dry-run)
    --- stderr
    the file holds budgets too; this sets them:
      cmat budget set --daily 5.00 --monthly 50.00
    ");
    assert_eq!(held(&project), (0, 0));
    assert_snapshot!(project.run(["import", "resume-customizer", "costs.json"]), @r"
    1 record, 1 new: $0.0210 by the price table, $0.0210 as the file says
    --- stderr
    the file holds budgets too; this sets them:
      cmat budget set --daily 5.00 --monthly 50.00
    ");
    assert_eq!(held(&project), (1, 21_000_000_000));
    let again = project.run(["import", "resume-customizer", "costs.json", "-z", "Europe/Berlin"]);
    assert!(again.starts_with("1 record, 1 known: $0.0210 by the price table"), "{again}");
    assert_eq!(held(&project), (1, 21_000_000_000));
}

#[test]
fn a_file_that_has_grown_adds_what_is_new() {
    let project = TestProject::new().file("log.csv", LOG);
    assert_snapshot!(project.run(["import", "token-csv", "log.csv"]), @"2 records, 2 new: $0.0180 by the price table, $0.0900 as the file says");
    project.write("log.csv", format!("{LOG}2025-03-11T09:00:00,analysis,acme,1000,200,1200,0.030000\r\n"));
    assert_snapshot!(project.run(["import", "token-csv", "log.csv"]), @"3 records, 1 new, 2 known: $0.0240 by the price table, $0.1200 as the file says");
    assert_snapshot!(project.stdout(["costs", "show", "acme"]), @r"
    Cost for task acme:
      Model: claude-3-7-sonnet-20250219
      Input Tokens:          4,000
      Output Tokens:           800
      Cache Creation:            0
      Cache Read:                0
      Total Cost:          $0.0240
    ");
}

#[test]
fn a_session_stands_for_its_calls() {
    let project = TestProject::new().file("haiku_usage.json", SESSIONS);
    assert_snapshot!(project.run(["import", "haiku-usage", "haiku_usage.json"]), @"2 records, 2 new: $0.0218 by the price table, $0.0218 as the file says");
    assert_eq!(held(&project), (2, 21_840_000_000));
    assert_snapshot!(project.stdout(["explain", "haiku-usage: one prompt 2024-12-26T14:40:00"]), @r"
      times in UTC, prices in USD per million tokens
      2024-12-26 14:40:00  2b9a0e3c9fbf1c6a32ac9b5556cdbb45  claude-3-5-haiku-20241022  (row claude-3-5-haiku-20241022, prices of 2024-12-03, built-in)  told by haiku-usage, $0.00084 as it says
          in 550 × $0.80 + out 100 × $4.00 = $0.00084
      Σ $0.00084 → $0.0008   lines read 0, distinct requests 1 (0 repeats ignored)
    ");
}

#[test]
fn the_result_of_a_run_counts_until_its_transcript_is_read() {
    let result = serde_json::json!({
        "type": "result", "session_id": "s1", "num_turns": 1, "total_cost_usd": 0.0107,
        "modelUsage": {SONNET: {"inputTokens": 1000, "outputTokens": 500, "costUSD": 0.0107}},
    });
    let project = TestProject::new().task("task_1", "login");
    let import = |text: &str| {
        let mut command = project.cmat(["import", "claude-result", "-"]);
        project.seen(&feed(&mut command, text).wait_with_output().unwrap())
    };
    assert_snapshot!(import(&result.to_string()), @"1 record, 1 new: $0.0105 by the price table, $0.0107 as the file says");
    let later = result.to_string().replace("1000", "3000");
    assert_snapshot!(import(&later), @"1 record, 1 grown: $0.0165 by the price table, $0.0107 as the file says");
    assert_snapshot!(import(&result.to_string()), @"1 record, 1 known: $0.0165 by the price table, $0.0107 as the file says");
    let project = project.session("s1", &[request("msg_1", SONNET, [4000, 500, 0, 0])]);
    assert_eq!(project.end_session("task_1", "s1"), "");
    assert_eq!(held(&project), (2, 19_500_000_000));
    assert_eq!(project.stored("task_1").lines().next(), Some("cost_input_tokens: \"4000\""));
    project.stdout(["reprice"]);
    assert_eq!(held(&project), (2, 19_500_000_000));
}

#[test]
fn the_cost_keys_of_a_queue_are_imported_unless_the_transcript_tells_the_same() {
    let figures = |session: &str| {
        serde_json::json!({"tasks": [{
            "id": "task_1", "task_type": "implementation", "created": "2026-11-01T08:00:00+00:00Z",
            "metadata": {
                "enhancement_title": "login", "cost_input_tokens": "12345", "cost_output_tokens": "3456",
                "cost_cache_creation_tokens": "0", "cost_cache_read_tokens": "8901", "cost_usd": "0.0789",
                "cost_model": SONNET, "session_id": session,
            },
        }]})
        .to_string()
    };
    let project = TestProject::new().file("old_queue.json", figures("s0"));
    assert_snapshot!(project.run(["import", "task-queue", "old_queue.json"]), @"1 record, 1 new: $0.0915 by the price table, $0.0789 as the file says");
    assert_snapshot!(project.run(["import", "task-queue", "old_queue.json"]), @"1 record, 1 known: $0.0915 by the price table, $0.0789 as the file says");
    assert!(project.stdout(["costs", "enhancement", "login"]).contains("$0.0915"));
    let project = project.session("s0", &[request("msg_1", SONNET, [1, 1, 0, 0])]);
    project.stdout(["reconcile"]);
    assert!(project.stdout(["costs", "show", "task_1"]).contains("Input Tokens:              1\n"));
}

#[test]
fn a_file_that_cannot_be_believed_changes_nothing() {
    let project = TestProject::new()
        .file("nan.json", CALLS.replace("0.021", "NaN"))
        .file("negative.csv", LOG.replace("2000,400,2400", "-2000,400,-1600"))
        .file("cut.json", &CALLS[..200])
        .file("calls.json", CALLS);
    assert_snapshot!(project.run(["import", "resume-customizer", "nan.json"]), @r"
    --- stderr
    Error: `nan.json` was not imported, nothing was recorded: line 4: `NaN` is no number: the program that wrote it had none
    --- exit 1
    ");
    assert_snapshot!(project.run(["import", "token-csv", "negative.csv"]), @r"
    --- stderr
    Error: `negative.csv` was not imported, nothing was recorded: line 3: prompt_tokens is `-2000`; expected a whole number from 0 to 1,099,511,627,776
    --- exit 1
    ");
    assert_snapshot!(project.run(["import", "resume-customizer", "cut.json"]), @r"
    --- stderr
    Error: `cut.json` was not imported, nothing was recorded: line 6: the file ends here: it is cut
    --- exit 1
    ");
    assert_snapshot!(project.run(["import", "haiku-usage", "calls.json"]), @r"
    --- stderr
    Error: `calls.json` was not imported, nothing was recorded: it is no haiku-usage file: missing field `sessions` (line 9)
    --- exit 1
    ");
    assert_snapshot!(project.run(["import", "haiku-usage", "none.json"]), @r"
    --- stderr
    Error: cannot read `none.json`: No such file or directory (os error 2)
    --- exit 1
    ");
    assert!(!project.cmat_home().join("ledger.db").exists() || held(&project) == (0, 0));
}

#[test]
fn a_forgotten_record_does_not_come_back() {
    let project = TestProject::new().file("log.csv", LOG);
    project.stdout(["import", "token-csv", "log.csv"]);
    let path = project.project();
    project.stdout(["forget", "--project", path.to_str().unwrap()]);
    assert_eq!(held(&project), (0, 0));
    assert_snapshot!(project.run(["import", "token-csv", "log.csv"]), @"2 records, 2 forgotten before: $0.0000 by the price table, $0.0900 as the file says");
    assert_eq!(held(&project), (0, 0));
}

#[test]
fn a_request_from_elsewhere_is_recorded() {
    let project = TestProject::new().task("task_1", "login");
    let record = |more: &[&str]| {
        let base = ["record", "--model", "claude-3-5-haiku-20241022", "--input", "550", "--output", "100"];
        project.run(base.iter().chain(more))
    };
    assert_snapshot!(record(&["--task", "task_1", "--operation", "captions", "--id", "a"]), @"Recorded: $0.0008");
    assert_snapshot!(record(&["--task", "task_1", "--operation", "captions", "--id", "a"]), @"Recorded before: $0.0008");
    assert_snapshot!(record(&["--id", "a", "--cache-read", "1"]), @r"
    --- stderr
    Error: `a` was recorded with other figures before, which stay as they are
    --- exit 1
    ");
    assert_snapshot!(record(&["--task", "task_1", "--json"]), @r#"{"schema":"cmat.record/1","model":"claude-3-5-haiku-20241022","timestamp":"2026-11-21T12:00:00Z","task":"task_1","new":true,"cost_usd":"0.00084","estimated":false,"unpriced":false}"#);
    assert_snapshot!(record(&["--task", "task_9"]), @r"
    --- stderr
    Error: Task not found: task_9 (--force records it all the same)
    --- exit 1
    ");
    assert_snapshot!(record(&["--at", "2027-11-01"]), @r"
    --- stderr
    Error: `--at 2027-11-01T00:00:00Z` lies in the future
    --- exit 1
    ");
    assert_snapshot!(without_group(&project.stored("task_1")), @r#"
    cost_input_tokens: "1100"
    cost_output_tokens: "200"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "0"
    cost_usd: "0.0017"
    cost_model: "claude-3-5-haiku-20241022"
    session_id: "[record]"
    "#);
}

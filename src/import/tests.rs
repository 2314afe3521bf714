//! Each kind of file as its program writes it, and what may be wrong with it.

use super::*;

fn beside() -> Beside {
    Beside {
        zone: TimeZone::UTC,
        model: None,
        at: "2026-11-20T12:00:00Z".parse().unwrap(),
        now: "2026-11-21T12:00:00Z".parse().unwrap(),
    }
}

fn told(source: Source, text: &str) -> Told {
    read(source, text, &beside()).unwrap()
}

#[track_caller]
fn check_error(source: Source, text: &str, expected: &str) {
    assert_eq!(read(source, text, &beside()).unwrap_err().to_string(), expected);
}

const CALLS: &str = r#"{
  "calls": [
    {
      "timestamp": "2025-01-01T10:30:00",
      "model": "claude-3-sonnet-20240229",
      "input_tokens": 2000,
      "output_tokens": 1000,
      "cost": 0.021,
      "operation": "customization"
    }
  ],
  "daily_budget": 5.00,
  "monthly_budget": 50.00,
  "last_updated": "2025-01-01T10:30:00"
}"#;

const SESSIONS: &str = r#"{
  "total_input_tokens": 50000,
  "total_output_tokens": 10000,
  "total_cost_usd": 0.08,
  "sessions": [
    {
      "timestamp": "2024-12-26T14:30:00",
      "session_name": "generate_images_chapters_1",
      "input_tokens": 13750,
      "output_tokens": 2500,
      "api_calls": 25,
      "cost_usd": 0.021
    }
  ]
}"#;

const LOG: &str = "timestamp,operation,job,prompt_tokens,completion_tokens,total_tokens,cost_estimate_usd\r\n\
    2025-03-10T09:00:00.123456,analysis,acme,1000,200,1200,0.030000\r\n\
    2025-03-10T09:00:01.000001,customization,\"acme, \"\"inc\"\"\",2000,400,2400,0.060000\r\n";

#[test]
fn reads_calls_and_the_budgets_beside_them() {
    let told = told(Source::ResumeCustomizer, CALLS);
    assert_eq!(told.budgets, ["cmat budget set --daily 5.00 --monthly 50.00"]);
    let [call] = told.records.as_slice() else { panic!("{told:?}") };
    assert_eq!((call.tokens.input, call.tokens.output, call.requests), (2000, 1000, 1));
    assert_eq!(call.operation.as_deref(), Some("customization"));
    assert_eq!(call.cost_reported.unwrap().to_string(), "0.021");
    assert_eq!(call.at.to_string(), "2025-01-01T10:30:00Z");
}

#[test]
fn reads_named_sessions_and_tells_what_the_totals_hold_beside_them() {
    let told = told(Source::HaikuUsage, SESSIONS);
    let [session] = told.records.as_slice() else { panic!("{told:?}") };
    assert_eq!((session.tokens.input, session.tokens.output, session.requests), (13_750, 2500, 25));
    assert_eq!(session.model.as_str(), "claude-3-5-haiku-20241022");
    assert_eq!(session.group.as_deref(), Some("generate_images_chapters_1 2024-12-26T14:30:00"));
    let remark = "its totals hold 36250 input and 7500 output tokens ($0.059000) beside the sessions that it \
                  lists; to book them:\n  cmat record --model claude-3-5-haiku-20241022 --input 36250 --output 7500 \
                  --at 2024-12-26T14:30:00Z --requests 0 --id haiku-usage-unlisted";
    assert_eq!(told.remarks, [remark]);
}

#[test]
fn reads_a_log_with_its_quotes_and_line_ends() {
    let told = told(Source::TokenCsv, LOG);
    let tasks: Vec<_> = told.records.iter().map(|record| record.task.as_ref().unwrap().as_str()).collect();
    assert_eq!(tasks, ["acme", "acme, \"inc\""]);
    assert_eq!(told.records[0].model.as_str(), "claude-3-7-sonnet-20250219");
    assert_eq!(told.records[1].cost_reported.unwrap().to_string(), "0.06");
}

#[test]
fn two_equal_rows_are_two_calls() {
    let row = "2025-03-10T09:00:00,analysis,acme,1,2,3,0.000001\r\n";
    let told = told(Source::TokenCsv, &format!("{}\r\n{row}{row}", token_csv::HEADER.join(",")));
    assert_ne!(told.records[0].identity, told.records[1].identity);
}

#[test]
fn a_time_without_a_zone_is_of_the_zone_that_is_said() {
    let berlin = Beside { zone: TimeZone::get("Europe/Berlin").unwrap(), ..beside() };
    let local = read(Source::ResumeCustomizer, CALLS, &berlin).unwrap();
    assert_eq!(local.records[0].at.to_string(), "2025-01-01T09:30:00Z");
    assert_eq!(local.records[0].identity, told(Source::ResumeCustomizer, CALLS).records[0].identity);
    let check = |text: &str, expected: &str| {
        let found = fields::time(text, &beside()).map(|at| at.to_string());
        assert_eq!(found.ok().as_deref(), Some(expected), "{text}");
    };
    check("2025-01-01T10:30:00+02:00", "2025-01-01T08:30:00Z");
    check("2026-11-01T08:00:00+00:00Z", "2026-11-01T08:00:00Z");
    check("2025-01-01 10:30:00.5", "2025-01-01T10:30:00.5Z");
}

#[test]
fn refuses_calls_that_cannot_be() {
    let check = |from: &str, to: &str, expected: &str| {
        check_error(Source::ResumeCustomizer, &CALLS.replacen(from, to, 1), expected);
    };
    check("2000", "-5", "line 3: input_tokens is `-5`; expected a whole number from 0 to 1,099,511,627,776");
    check(
        "2000",
        "1e30",
        "line 3: input_tokens is `1e+30`; expected a whole number from 0 to 1,099,511,627,776",
    );
    check(
        "2000",
        "null",
        "line 3: input_tokens is missing; expected a whole number from 0 to 1,099,511,627,776",
    );
    check("0.021", "NaN", "line 8: `NaN` is no number: the program that wrote it had none");
    check("0.021", "-0.021", "line 3: cost is `-0.021`; expected an amount in USD from 0 to 1,000,000");
    check("0.021", "1e12", "line 3: cost is `1e+12`; expected an amount in USD from 0 to 1,000,000");
    check(
        "2025-01-01T10:30:00",
        "1970-01-01T00:00:00",
        "line 3: timestamp is `1970-01-01T00:00:00`; expected a time such as 2025-01-01T10:30:00, of 2022 or later \
         and not in the future",
    );
    check(
        "5.00",
        "\"much\"",
        "line 12: daily_budget is `much`; expected an amount in USD from 0 to 1,000,000",
    );
    check("\"calls\"", "\"sessions\"", "it is no resume-customizer file: missing field `calls` (line 15)");
    check_error(Source::ResumeCustomizer, &CALLS[..120], "line 6: the file ends here: it is cut");
    check_error(Source::ResumeCustomizer, LOG, "it is no resume-customizer file: it is no JSON");
    check_error(Source::HaikuUsage, CALLS, "it is no haiku-usage file: missing field `sessions` (line 15)");
}

#[test]
fn refuses_logs_that_cannot_be() {
    let check = |from: &str, to: &str, expected: &str| {
        check_error(Source::TokenCsv, &LOG.replacen(from, to, 1), expected);
    };
    check(
        "1200",
        "1201",
        "line 2: total_tokens is `1201`; expected the sum of prompt_tokens and completion_tokens",
    );
    check(
        "0.060000",
        "nan",
        "line 3: cost_estimate_usd is `nan`; expected an amount in USD from 0 to 1,000,000",
    );
    check(",1200,", ",", "line 2: it has 6 fields; expected 7: it is cut or damaged");
    check(
        "timestamp",
        "time",
        &format!("it is no token-csv file: its first line is not `{}`", token_csv::HEADER.join(",")),
    );
    check("0.060000\r\n", "0.06", "line 3: it has no end: the file is cut");
    check_error(Source::TokenCsv, "", "it is no token-csv file: it is empty");
}

#[test]
fn reads_the_result_of_a_run_by_model() {
    let result = r#"{"type":"system","subtype":"init"}
{"type":"result","session_id":"s1","total_cost_usd":0.15,"num_turns":3,"usage":{"input_tokens":1},"modelUsage":{
"claude-sonnet-4-0":{"inputTokens":10,"outputTokens":20,"cacheReadInputTokens":30,"cacheCreationInputTokens":40,"webSearchRequests":1,"costUSD":0.15}}}
"#;
    for text in [result.to_owned(), format!("[{}]", result.trim().replacen('\n', ",", 1))] {
        let told = told(Source::ClaudeResult, &text);
        let [record] = told.records.as_slice() else { panic!("{told:?}") };
        assert_eq!(record.tokens.billed().cache_write_5m, 40);
        assert_eq!((record.web_search_requests, record.requests), (1, 3));
        assert_eq!(record.session.as_ref().unwrap().as_str(), "s1");
    }
    check_error(
        Source::ClaudeResult,
        "{}",
        "it is no claude-result file: it has no message of the type `result`",
    );
    let old = r#"{"type":"result","session_id":"s1","total_cost_usd":0.15,"usage":{"input_tokens":1}}"#;
    check_error(Source::ClaudeResult, old, "line 1: no model is named; name it with `--model`");
}

#[test]
fn reads_the_cost_keys_of_a_queue_and_passes_empty_ones_by() {
    let queue = r#"{"tasks":[
{"id":"task_1","task_type":"implementation","assigned_agent":"implementer","created":"2026-11-01T08:00:00+00:00Z","metadata":{
 "enhancement_title":"login","cost_input_tokens":"12345","cost_output_tokens":"3456","cost_cache_creation_tokens":"0",
 "cost_cache_read_tokens":"8901","cost_usd":".0789","cost_model":"Claude Sonnet 4","session_id":"s1"}},
{"id":"task_2","metadata":{"cost_usd":null}}]}"#;
    let told = told(Source::TaskQueue, queue);
    let [record] = told.records.as_slice() else { panic!("{told:?}") };
    assert_eq!((record.tokens.input, record.tokens.cache_read), (12_345, 8901));
    assert_eq!(record.operation.as_deref(), Some("implementation"));
    assert_eq!(record.cost_reported.unwrap().to_string(), "0.0789");
}

//! What was spent: `cmat` alone, `summary`, `sessions`, `stats`, `cache`, `costs list` and `costs top`.

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::OPUS;
use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A request at a time, with its tokens.
fn at(time: &str, id: &str, model: &str, tokens: [u64; 4]) -> Value {
    let mut entry = request(id, model, tokens);
    entry["timestamp"] = time.into();
    entry
}

/// Two tasks; today is Saturday, 21 November 2026.
fn project() -> TestProject {
    let project = TestProject::new()
        .task("T-1", "checkout")
        .task("T-2", "search")
        .session(
            "one",
            &[
                at("2026-10-30T12:00:00Z", "m1", SONNET, [10, 100, 1_000, 0]),
                at("2026-11-02T12:00:00Z", "m2", SONNET, [10, 100, 500, 1_000]),
                at("2026-11-20T12:00:00Z", "m3", SONNET, [10, 100, 2_000, 0]),
            ],
        )
        .session("two", &[at("2026-11-21T11:00:00Z", "m4", OPUS, [10, 1_000, 0, 0])]);
    project.end_session("T-1", "one");
    project.end_session("T-2", "two");
    project
}

#[test]
fn cmat_alone_tells_what_was_spent() {
    let project = project();
    let seen = project.run([] as [&str; 0]);
    assert_eq!(project.run(["status"]), seen);
    assert_eq!(project.run(["cost", "status"]), seen);
    assert_snapshot!(seen, @r"
    SPENT       REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    today              1     10   1,000        0       0  $0.0250
    7 days             2     20   1,100    2,000       0  $0.0341
    this month         3     30   1,200    2,500   1,000  $0.0378

    30 days, dearest tasks
    TASK   REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    T-2           1     10   1,000        0       0  $0.0250
    T-1           3     30     300    3,500   1,000  $0.0180
    Total         4     40   1,300    3,500   1,000  $0.0431
    ");
    assert_snapshot!(TestProject::new().run([] as [&str; 0]), @r"
      SPENT       REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
      today              0      0       0        0       0  $0.0000
      7 days             0      0       0        0       0  $0.0000
      this month         0      0       0        0       0  $0.0000
    --- stderr
    nothing is recorded yet: `cmat init` installs the hook, `cmat reconcile --all` reads the transcripts that are there, `cmat demo` shows all of it on a made-up project
    ");
}

#[test]
fn days_are_summed_up_by_model_and_operation() {
    let project = project();
    let seen = project.run(["summary", "--days", "30"]);
    assert_eq!(project.run(["cost", "summary", "--days", "30"]), seen);
    assert_snapshot!(seen, @r"
    2026-10-23 to 2026-11-21 (UTC)
      Total Cost:              $0.0431
      Daily Average:           $0.0014
      Requests:                      4
      Input Tokens:                 40
      Output Tokens:             1,300
      Cache Creation:            3,500
      Cache Read:                1,000
      Prompt/Request:            1,135
      Output/Request:              325

      MODEL                     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
      claude-opus-4-8                  1     10   1,000        0       0  $0.0250
      claude-sonnet-4-20250514         3     30     300    3,500   1,000  $0.0180
      Total                            4     40   1,300    3,500   1,000  $0.0431

      OPERATION       REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
      implementation         4     40   1,300    3,500   1,000  $0.0431
      Total                  4     40   1,300    3,500   1,000  $0.0431
    ");
    assert_snapshot!(project.run(["summary", "--days", "0"]), @r"
    --- stderr
    error: invalid value '0' for '--days <N>': expected a number from 1 to 100000

    For more information, try '--help'.
    --- exit 2
    ");
}

#[test]
fn sessions_are_listed_and_shown() {
    let project = project();
    assert_snapshot!(project.run(["sessions"]), @r"
    SESSION  PROJECT  FIRST             LAST              REQUESTS     COST
    two      project  2026-11-21 11:00  2026-11-21 11:00         1  $0.0250
    one      project  2026-10-30 12:00  2026-11-20 12:00         3  $0.0180
    ");
    assert_snapshot!(project.run(["sessions", "list", "--since", "7d", "--top", "1", "-z", "Asia/Tokyo"]), @r"
    SESSION  PROJECT  FIRST             LAST              REQUESTS     COST
    two      project  2026-11-21 20:00  2026-11-21 20:00         1  $0.0250
    ");
    assert_snapshot!(project.run(["sessions", "show", "one"]), @r"
    Session one:
      Project: [project]
      First:   2026-10-30 12:00:00 +00:00
      Last:    2026-11-20 12:00:00 +00:00

      TASK   BRANCH  MODEL                     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
      T-1    main    claude-sonnet-4-20250514         3     30     300    3,500   1,000  $0.0180
      Total                                           3     30     300    3,500   1,000  $0.0180
    ");
    assert_snapshot!(project.run(["sessions", "show", "three"]), @r"
    --- stderr
    Error: no session `three` has a recorded request; `cmat sessions` lists them
    --- exit 1
    ");
}

#[test]
fn a_session_is_shown_as_at_the_end_of_a_run() {
    let project = project();
    assert_snapshot!(project.run(["sessions", "show", "one", "--format", "banner"]), @r"
    ================================================================================
    CLAUDE CODE COST SUMMARY
    ================================================================================

    Pricing (Claude Sonnet 4):
      Input:  $3.00 / million tokens
      Output: $15.00 / million tokens

    Current Session: one
      API Calls: 3
      Input Tokens: 4,530
      Output Tokens: 300
      Total Tokens: 4,830
      Session Cost: $0.018015 USD

    Cumulative Total (All Time):
      Total Input Tokens: 4,540
      Total Output Tokens: 1,300
      Total Tokens: 5,840
      Total Cost: $0.043065 USD

    ================================================================================
    ");
    let json = |arguments: &[&str]| project.stdout(["sessions", "show", "one"].iter().chain(arguments));
    assert_eq!(json(&["--format", "json"]), json(&["--json"]));
}

#[test]
fn statistics_count_from_a_mark_and_nothing_is_deleted() {
    let project = project();
    assert_snapshot!(project.run(["stats"]), @r"
    All that is recorded:
      Requests:                      4
      Input Tokens:                 40
      Output Tokens:             1,300
      Cache Creation:            3,500
      Cache Read:                1,000
      Total Cost:              $0.0431

      AVERAGE PER  NUMBER     COST
      request           4  $0.0108
      session           2  $0.0215
      task              2  $0.0215
      enhancement       2  $0.0215
    ");
    let noon = "2026-11-20T12:00:00.001Z";
    let mut reset = project.cmat(["stats", "reset", "--note", "after noon"]);
    assert!(reset.env("CMAT_NOW", noon).output().unwrap().status.success());
    assert_snapshot!(project.run(["stats"]), @r"
    Since 2026-11-20 12:00:00 +00:00 (after noon):
      Requests:                      1
      Input Tokens:                 10
      Output Tokens:             1,000
      Cache Creation:                0
      Cache Read:                    0
      Total Cost:              $0.0250

      AVERAGE PER  NUMBER     COST
      request           1  $0.0250
      session           1  $0.0250
      task              1  $0.0250
      enhancement       1  $0.0250
    ");
    let stats: Value = serde_json::from_str(&project.stdout(["stats", "--json"])).unwrap();
    assert_eq!((&stats["note"], &stats["averages"]["task"]), (&"after noon".into(), &stats["cost_usd"]));
    let all: Value = serde_json::from_str(&project.stdout(["report", "--json"])).unwrap();
    assert_eq!(all["totals"]["requests"], 4);
}

#[test]
fn the_cache_is_weighed_by_what_it_saved_and_what_was_written_for_nobody() {
    let project = project();
    // m1 wrote 1,000 tokens, which m2 read; what m2 and m3 wrote was read by nobody.
    assert_snapshot!(project.run(["cache", "--by", "task"]), @r"
    TASK   HIT %  SAVED BY READS  WRITE PREMIUM      NET  NEVER READ   WASTED
    T-1     22.1         $0.0027        $0.0026  $0.0001       2,500  $0.0094
    T-2      0.0         $0.0000        $0.0000  $0.0000           0  $0.0000
    Total   22.0         $0.0027        $0.0026  $0.0001       2,500  $0.0094

    without a cache $0.0431 · paid $0.0431 · caching saved $0.0001
    written for 5 minutes: 3,500 tokens, $0.0026 more than as input
    written for 1 hour: 0 tokens, $0.0000 more than as input
    ");
    assert_snapshot!(project.run(["cache", "--since", "today", "--until", "today", "--json"]), @r#"{"schema":"cmat.cache/1","generated_at":"2026-11-21T12:00:00Z","timezone":"UTC","currency":"USD","billing":"api","filter":{"since":"2026-11-21T00:00:00Z","before":"2026-11-22T00:00:00Z","where":[],"days":["2026-11-21","2026-11-21"]},"rows":[{"hit_percent":"0.0","input_tokens":10,"output_tokens":1000,"cache_write_5m_tokens":0,"cache_write_1h_tokens":0,"cache_read_tokens":0,"never_read_tokens":0,"cost_usd":"0.02505","uncached_usd":"0.02505","saved_by_reads_usd":"0","premium_5m_usd":"0","premium_1h_usd":"0","net_usd":"0","wasted_usd":"0","model":"claude-opus-4-8"}],"by":["model"],"totals":{"hit_percent":"0.0","input_tokens":10,"output_tokens":1000,"cache_write_5m_tokens":0,"cache_write_1h_tokens":0,"cache_read_tokens":0,"never_read_tokens":0,"cost_usd":"0.02505","uncached_usd":"0.02505","saved_by_reads_usd":"0","premium_5m_usd":"0","premium_1h_usd":"0","net_usd":"0","wasted_usd":"0"}}"#);
    assert_snapshot!(project.run(["cache", "--during", "2020-01"]), @r"
    --- stderr
    no requests are recorded that this asks for
    ");
}

#[test]
fn tasks_are_listed_with_what_they_cost() {
    let project = project();
    assert_snapshot!(project.run(["costs", "list"]), @r"
    ENHANCEMENT  TASK  REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    search       T-2          1     10   1,000        0       0  $0.0250
    checkout     T-1          3     30     300    3,500   1,000  $0.0180
    Total                     4     40   1,300    3,500   1,000  $0.0431
    ");
    assert_snapshot!(project.run(["costs", "top", "1"]), @r"
    TASK     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    T-2             1     10   1,000        0       0  $0.0250
    1 other         3     30     300    3,500   1,000  $0.0180
    Total           4     40   1,300    3,500   1,000  $0.0431
    ");
}

#[test]
fn to_a_subscriber_every_amount_is_api_value() {
    let project = project().file(".claude/cmat.toml", "billing = \"subscription\"");
    project.run(["budget", "set", "--total", "100"]);
    for command in [
        "status",
        "summary",
        "report",
        "sessions",
        "sessions show one",
        "sessions show one --format banner",
        "stats",
        "cache",
        "costs show T-1",
        "costs enhancement checkout",
        "costs list",
        "costs top",
        "task list",
        "task show T-1",
        "explain T-1",
        "estimate --like checkout",
        "forecast",
        "calc --model claude-opus-4-8 --input 5",
        "record --model claude-opus-4-8 --input 5 --id a",
        "budget status",
        "budget check --estimate 1",
        "reprice --dry-run",
        "export csv -",
        "export json -",
        "statusline",
    ] {
        let seen = project.run(command.split(' '));
        assert!(seen.to_lowercase().contains("api value"), "{command}: {seen}");
    }
}

#[test]
fn a_zone_that_is_none_is_told_where_it_counts_and_to_people_only() {
    let project = TestProject::new()
        .task("task_1", "checkout")
        .session("s-1", &[request("msg_1", SONNET, [1_000, 1_000, 0, 0])])
        .env("TZ", "Mars/Olympus");
    assert_eq!(project.end_session("task_1", "s-1"), "");
    assert_snapshot!(project.run(["report", "--by", "day"]), @"
      DAY         REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
      2026-11-20         1  1,000   1,000        0       0  $0.0180
      Total              1  1,000   1,000        0       0  $0.0180
    --- stderr
    Warning: TZ: `Mars/Olympus` is no time zone: expected a name such as Europe/Berlin or UTC; days are those of UTC
    ");
    for zoned in [&["report", "-z", "UTC"][..], &["hook", "session-end"], &["statusline"]] {
        assert!(!project.run(zoned).contains("no time zone"), "{zoned:?}");
    }
    assert!(!project.env("CMAT_TZ", "UTC").run(["report"]).contains("no time zone"));
}

//! `cmat report`: every form, every edge of a day, and what cannot be asked.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::OPUS;
use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A request at a time, on a branch.
pub(crate) fn at(time: &str, branch: &str, id: &str, model: &str) -> Value {
    let mut entry = request(id, model, [10, 100, 1000, 10_000]);
    entry["timestamp"] = time.into();
    entry["gitBranch"] = branch.into();
    entry
}

/// Requests of two tasks and of none, on three days.
fn project() -> TestProject {
    let project = TestProject::new().task("T-1", "checkout").task("T-2", "search").session(
        "one",
        &[
            at("2026-11-18T12:00:00Z", "feature/a", "m1", SONNET),
            at("2026-11-19T12:00:00Z", "feature/a", "m2", OPUS),
            at("2026-11-20T12:00:00Z", "main", "m3", SONNET),
        ],
    );
    let project = project
        .session("two", &[at("2026-11-20T13:00:00Z", "feature/b", "m4", OPUS)])
        .session("three", &[at("2026-11-20T14:00:00Z", "=1+1", "m5", SONNET)]);
    project.end_session("T-1", "one");
    project.end_session("T-2", "two");
    project.stdout(["reconcile", "--all"]);
    project
}

#[test]
fn tells_the_days_or_whatever_else_is_asked() {
    let project = project();
    assert_snapshot!(project.run(["report"]), @r"
    DAY         REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    2026-11-18         1     10     100    1,000  10,000  $0.0083
    2026-11-19         1     10     100    1,000  10,000  $0.0138
    2026-11-20         3     30     300    3,000  30,000  $0.0304
    Total              5     50     500    5,000  50,000  $0.0524
    ");
    assert_snapshot!(project.run(["report", "--by", "enhancement,task", "--breakdown", "--format", "table"]), @r"
    ENHANCEMENT   TASK          MODEL                     REQUESTS  INPUT  OUTPUT  C.WRITE     COST
    checkout      T-1           claude-sonnet-4-20250514         2     20     200    2,000  $0.0166
                                claude-opus-4-8                  1     10     100    1,000  $0.0138
    search        T-2           claude-opus-4-8                  1     10     100    1,000  $0.0138
    unattributed  unattributed  claude-sonnet-4-20250514         1     10     100    1,000  $0.0083
    Total                                                        5     50     500    5,000  $0.0524
    ");
    assert_snapshot!(project.run(["report", "--by", "branch", "--top", "2"]), @r"
    BRANCH     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    feature/a         2     20     200    2,000  20,000  $0.0221
    feature/b         1     10     100    1,000  10,000  $0.0138
    2 others          2     20     200    2,000  20,000  $0.0166
    Total             5     50     500    5,000  50,000  $0.0524
    ");
    assert_snapshot!(project.run(["report", "--by", "task", "--where", "branch=feature/a", "--where", "branch=main", "--where", "task=T-1"]), @r"
    TASK   REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    T-1           3     30     300    3,000  30,000  $0.0304
    Total         3     30     300    3,000  30,000  $0.0304
    ");
    assert_snapshot!(project.run(["report", "--by", "branch", "--where", "task="]), @r"
    BRANCH  REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    =1+1           1     10     100    1,000  10,000  $0.0083
    Total          1     10     100    1,000  10,000  $0.0083
    ");
    assert_snapshot!(project.run(["report", "--by", "project", "--where", "project=."]), @r"
    PROJECT                  REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    [project]         5     50     500    5,000  50,000  $0.0524
    Total                           5     50     500    5,000  50,000  $0.0524
    ");
}

#[test]
fn has_every_form() {
    let project = project();
    let form = |format: &str| {
        project.run(["report", "--by", "branch,model", "--since", "2026-11-20", "--format", format])
    };
    assert_snapshot!(form("table"), @r"
    BRANCH     MODEL                     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    feature/b  claude-opus-4-8                  1     10     100    1,000  10,000  $0.0138
    =1+1       claude-sonnet-4-20250514         1     10     100    1,000  10,000  $0.0083
    main       claude-sonnet-4-20250514         1     10     100    1,000  10,000  $0.0083
    Total                                       3     30     300    3,000  30,000  $0.0304
    ");
    assert_snapshot!(form("plain"), @r"
    BRANCH     MODEL                     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    feature/b  claude-opus-4-8                  1     10     100    1,000  10,000  $0.0138
    =1+1       claude-sonnet-4-20250514         1     10     100    1,000  10,000  $0.0083
    main       claude-sonnet-4-20250514         1     10     100    1,000  10,000  $0.0083
    Total                                       3     30     300    3,000  30,000  $0.0304
    ");
    assert_snapshot!(form("csv"), @r"
    branch,model,requests,input_tokens,output_tokens,cache_write_5m_tokens,cache_write_1h_tokens,cache_read_tokens,web_search_requests,cost_usd,cost_input_usd,cost_output_usd,cost_cache_write_usd,cost_cache_read_usd,cost_web_search_usd,estimated,lower_bound,models,unpriced_models
    feature/b,claude-opus-4-8,1,10,100,1000,0,10000,0,0.0138,0.00005,0.0025,0.00625,0.005,0,false,false,claude-opus-4-8,
    '=1+1,claude-sonnet-4-20250514,1,10,100,1000,0,10000,0,0.00828,0.00003,0.0015,0.00375,0.003,0,false,false,claude-sonnet-4-20250514,
    main,claude-sonnet-4-20250514,1,10,100,1000,0,10000,0,0.00828,0.00003,0.0015,0.00375,0.003,0,false,false,claude-sonnet-4-20250514,
    ");
    assert_snapshot!(form("markdown"), @r"
    | branch | model | requests | input | output | c.write | c.read | cost |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
    | `feature/b` | `claude-opus-4-8` | 1 | 10 | 100 | 1,000 | 10,000 | $0.0138 |
    | `=1+1` | `claude-sonnet-4-20250514` | 1 | 10 | 100 | 1,000 | 10,000 | $0.0083 |
    | `main` | `claude-sonnet-4-20250514` | 1 | 10 | 100 | 1,000 | 10,000 | $0.0083 |
    | **Total** |  | **3** | **30** | **300** | **3,000** | **30,000** | **$0.0304** |
    ");
    assert_snapshot!(form("html"), @r#"
    <table class="cmat-report">
    <caption>Cost of Claude Code requests, 2026-11-20 to 2026-11-21</caption>
    <thead>
    <tr><th scope="col">branch</th><th scope="col">model</th><th scope="col">requests</th><th scope="col">input</th><th scope="col">output</th><th scope="col">c.write</th><th scope="col">c.read</th><th scope="col">cost</th></tr>
    </thead>
    <tbody>
    <tr><th scope="row">feature/b</th><th scope="row">claude-opus-4-8</th><td>1</td><td>10</td><td>100</td><td>1,000</td><td>10,000</td><td>$0.0138</td></tr>
    <tr><th scope="row">=1+1</th><th scope="row">claude-sonnet-4-20250514</th><td>1</td><td>10</td><td>100</td><td>1,000</td><td>10,000</td><td>$0.0083</td></tr>
    <tr><th scope="row">main</th><th scope="row">claude-sonnet-4-20250514</th><td>1</td><td>10</td><td>100</td><td>1,000</td><td>10,000</td><td>$0.0083</td></tr>
    </tbody>
    <tfoot>
    <tr><th scope="row">Total</th><th scope="row"></th><td>3</td><td>30</td><td>300</td><td>3,000</td><td>30,000</td><td>$0.0304</td></tr>
    </tfoot>
    </table>
    "#);
    assert_snapshot!(form("json"), @r#"{"schema":"cmat.report/1","generated_at":"2026-11-21T12:00:00Z","timezone":"UTC","currency":"USD","billing":"api","filter":{"since":"2026-11-20T00:00:00Z","before":null,"where":[],"days":["2026-11-20","2026-11-21"]},"by":["branch","model"],"rows":[{"branch":"feature/b","model":"claude-opus-4-8","requests":1,"input_tokens":10,"output_tokens":100,"cache_write_5m_tokens":1000,"cache_write_1h_tokens":0,"cache_read_tokens":10000,"web_search_requests":0,"cost_usd":"0.0138","cost_input_usd":"0.00005","cost_output_usd":"0.0025","cost_cache_write_usd":"0.00625","cost_cache_read_usd":"0.005","cost_web_search_usd":"0","estimated":false,"lower_bound":false,"unpriced_models":[],"models":["claude-opus-4-8"]},{"branch":"=1+1","model":"claude-sonnet-4-20250514","requests":1,"input_tokens":10,"output_tokens":100,"cache_write_5m_tokens":1000,"cache_write_1h_tokens":0,"cache_read_tokens":10000,"web_search_requests":0,"cost_usd":"0.00828","cost_input_usd":"0.00003","cost_output_usd":"0.0015","cost_cache_write_usd":"0.00375","cost_cache_read_usd":"0.003","cost_web_search_usd":"0","estimated":false,"lower_bound":false,"unpriced_models":[],"models":["claude-sonnet-4-20250514"]},{"branch":"main","model":"claude-sonnet-4-20250514","requests":1,"input_tokens":10,"output_tokens":100,"cache_write_5m_tokens":1000,"cache_write_1h_tokens":0,"cache_read_tokens":10000,"web_search_requests":0,"cost_usd":"0.00828","cost_input_usd":"0.00003","cost_output_usd":"0.0015","cost_cache_write_usd":"0.00375","cost_cache_read_usd":"0.003","cost_web_search_usd":"0","estimated":false,"lower_bound":false,"unpriced_models":[],"models":["claude-sonnet-4-20250514"]}],"totals":{"requests":3,"input_tokens":30,"output_tokens":300,"cache_write_5m_tokens":3000,"cache_write_1h_tokens":0,"cache_read_tokens":30000,"web_search_requests":0,"cost_usd":"0.03036","cost_input_usd":"0.00011","cost_output_usd":"0.0055","cost_cache_write_usd":"0.01375","cost_cache_read_usd":"0.011","cost_web_search_usd":"0","estimated":false,"lower_bound":false,"unpriced_models":[],"models":["claude-opus-4-8","claude-sonnet-4-20250514"]},"warnings":[]}"#);
}

#[test]
fn amounts_are_numbers_where_a_program_asks_for_that() {
    let project = project();
    let document = |arguments: &[&str]| -> Value {
        let output = project.cmat(arguments).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let report = document(&["report", "--by", "enhancement", "--json-numbers"]);
    assert_eq!(report["rows"][0]["cost_usd"].to_string(), "0.03036");
    assert_eq!(report["totals"]["cost_cache_read_usd"].to_string(), "0.019");
    assert_eq!(document(&["stats", "--json-numbers"])["averages"]["session"].to_string(), "0.01748");
    let export = document(&["export", "json", "-", "--json-numbers"]);
    assert_eq!(export["rows"][0]["cost_usd"].to_string(), "0.00828");
    assert_eq!(export["summaries"]["model"][OPUS].to_string(), "0.0276");
    let export = document(&["export", "json", "-"]);
    assert_eq!(export["rows"][0]["cost_usd"], "0.00828");
}

#[test]
fn leaves_out_figures_where_the_terminal_is_narrow() {
    let project = project().env("COLUMNS", "50");
    assert_snapshot!(project.run(["report", "--by", "branch", "--format", "table"]), @r"
    BRANCH     REQUESTS  INPUT  OUTPUT     COST
    feature/a         2     20     200  $0.0221
    feature/b         1     10     100  $0.0138
    =1+1              1     10     100  $0.0083
    main              1     10     100  $0.0083
    Total             5     50     500  $0.0524
    ");
    let project = project.env("COLUMNS", "10");
    assert_snapshot!(project.run(["report", "--by", "branch", "--format", "table"]), @r"
    BRANCH        COST
    feature/a  $0.0221
    feature/b  $0.0138
    =1+1       $0.0083
    main       $0.0083
    Total      $0.0524
    ");
}

#[test]
fn compares_with_other_days() {
    let project = project();
    assert_snapshot!(project.run(["report", "--during", "2026-11-20", "--compare", "previous"]), @r"
    MODEL                     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST   BEFORE    CHANGE       %
    claude-sonnet-4-20250514         2     20     200    2,000  20,000  $0.0166  $0.0000  +$0.0166     new
    claude-opus-4-8                  1     10     100    1,000  10,000  $0.0138  $0.0138  +$0.0000    +0.0
    Total                            3     30     300    3,000  30,000  $0.0304  $0.0138  +$0.0166  +120.0
    ");
    assert_snapshot!(
        project.run(["report", "--by", "branch", "--during", "2026-11-20", "--compare", "2026-11-18..2026-11-19"]),
        @r"
    BRANCH     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST   BEFORE    CHANGE       %
    feature/a         0      0       0        0       0  $0.0000  $0.0221  -$0.0221  -100.0
    feature/b         1     10     100    1,000  10,000  $0.0138  $0.0000  +$0.0138     new
    =1+1              1     10     100    1,000  10,000  $0.0083  $0.0000  +$0.0083     new
    main              1     10     100    1,000  10,000  $0.0083  $0.0000  +$0.0083     new
    Total             3     30     300    3,000  30,000  $0.0304  $0.0221  +$0.0083   +37.5
    "
    );
}

#[test]
fn a_request_at_midnight_falls_on_the_day_that_the_wall_clock_says() {
    let day = |time: &str, id: &str| at(time, "main", id, SONNET);
    let project = TestProject::new().session(
        "one",
        &[
            // Berlin: 24 October ends, 25 October has 25 hours.
            day("2026-10-24T21:59:59.999Z", "m1"),
            day("2026-10-24T22:00:00Z", "m2"),
            day("2026-10-25T22:59:59.999Z", "m3"),
            day("2026-10-25T23:00:00Z", "m4"),
            // New York: 8 March has 23 hours.
            day("2026-03-08T04:59:59.999Z", "m5"),
            day("2026-03-08T05:00:00Z", "m6"),
            day("2026-03-09T03:59:59.999Z", "m7"),
            day("2026-03-09T04:00:00Z", "m8"),
        ],
    );
    project.stdout(["reconcile", "--all"]);
    let days = |zone: &str, by: &str| {
        let csv = project.stdout(["report", "--by", by, "-z", zone, "--format", "csv"]);
        let cells = csv.lines().skip(1).map(|line| line.split(',').take(2).collect::<Vec<_>>().join(" "));
        cells.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(days("Europe/Berlin", "day"), @r"
    2026-03-08 2
    2026-03-09 2
    2026-10-24 1
    2026-10-25 2
    2026-10-26 1
    ");
    assert_snapshot!(days("America/New_York", "day"), @r"
    2026-03-07 1
    2026-03-08 2
    2026-03-09 1
    2026-10-24 2
    2026-10-25 2
    ");
    assert_snapshot!(days("America/New_York", "week"), @r"
    2026-03-02 3
    2026-03-09 1
    2026-10-19 4
    ");
    assert_snapshot!(days("Europe/Berlin", "month"), @r"
    2026-03 4
    2026-10 4
    ");
    assert_snapshot!(days("Europe/Berlin", "hour"), @r"
    2026-03-08T05:00+01:00 1
    2026-03-08T06:00+01:00 1
    2026-03-09T04:00+01:00 1
    2026-03-09T05:00+01:00 1
    2026-10-24T23:00+02:00 1
    2026-10-25T00:00+02:00 1
    2026-10-25T23:00+01:00 1
    2026-10-26T00:00+01:00 1
    ");
}

#[test]
fn the_zone_is_that_of_the_command_line_then_the_environment_then_the_configuration() {
    let project = TestProject::new()
        .session("one", &[at("2026-11-18T23:30:00Z", "main", "m1", SONNET)])
        .file(".claude/cmat.toml", "timezone = \"Europe/Berlin\"\nbilling = \"subscription\"");
    project.run(["reconcile", "--all"]);
    assert_snapshot!(project.run(["report"]), @r"
      DAY         REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ  API VALUE
      2026-11-19         1     10     100    1,000  10,000    $0.0083
      Total              1     10     100    1,000  10,000    $0.0083
    --- stderr
    amounts are API value, not a bill
    ");
    let project = project.env("CMAT_TZ", "America/New_York");
    assert_snapshot!(project.run(["report", "--by", "hour"]), @r"
      HOUR                    REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ  API VALUE
      2026-11-18T18:00-05:00         1     10     100    1,000  10,000    $0.0083
      Total                          1     10     100    1,000  10,000    $0.0083
    --- stderr
    amounts are API value, not a bill
    ");
    assert_snapshot!(project.run(["report", "--by", "hour", "-z", "Asia/Kathmandu"]), @r"
      HOUR                    REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ  API VALUE
      2026-11-19T05:00+05:45         1     10     100    1,000  10,000    $0.0083
      Total                          1     10     100    1,000  10,000    $0.0083
    --- stderr
    amounts are API value, not a bill
    ");
    let project = project.env("CMAT_TZ", "Nowhere");
    assert_snapshot!(project.run(["report"]), @r"
    --- stderr
    Error: CMAT_TZ: `Nowhere` is no time zone: expected a name such as Europe/Berlin or UTC
    --- exit 2
    ");
    project.write(".claude/cmat.toml", "unknown_model = \"unpriced\"");
    let seen = project.env("CMAT_TZ", "UTC").run(["report"]);
    assert!(!seen.contains("--- exit"), "{seen}");
    assert!(seen.contains("Warning: left out: `[project]/.claude/cmat.toml` sets `unknown_model`, which a file of the project may not: put it into your own config.toml\n"), "{seen}");
}

#[test]
fn the_name_of_a_file_tells_the_form_and_two_forms_are_refused() {
    let project = project();
    for (name, form) in [("a.csv", "csv"), ("a.md", "markdown"), ("a.html", "html"), ("a.txt", "plain")] {
        project.stdout(["report", "-o", name]);
        let written = fs::read_to_string(project.project().join(name)).unwrap();
        assert_eq!(written, project.stdout(["report", "--format", form]));
    }
    let seen = project.run(["report", "--json", "--format", "csv"]);
    assert!(seen.contains("name different forms") && seen.ends_with("--- exit 2\n"), "{seen}");
    let seen = project.run(["report", "--by", "branch", "--compare", "2026-10"]);
    assert!(seen.contains("which days are compared?") && seen.ends_with("--- exit 2\n"), "{seen}");
}

#[test]
fn a_ledger_with_nothing_in_it_says_what_to_do() {
    let project = TestProject::new();
    for command in [&["report"][..], &["sessions"], &["cache"], &["costs", "top"]] {
        let seen = project.run(command);
        assert!(seen.contains("nothing is recorded yet: `cmat init`"), "{command:?}: {seen}");
    }
}

#[test]
fn csv_tells_which_models_have_no_price() {
    let project = TestProject::new();
    project.run(["record", "--model", "nope", "--input", "1000000"]);
    let report = project.run(["report", "--by", "operation", "--format", "csv"]);
    let column = |line: usize| report.lines().nth(line).unwrap().rsplit(',').next().unwrap().to_owned();
    assert_eq!([column(0), column(1)], ["unpriced_models", "nope"]);
}

#[test]
fn writes_a_file_whole_and_replaces_none_unasked() {
    let project = project();
    let report = ["report", "--by", "branch", "--format", "csv", "-o", "costs.csv"];
    assert_snapshot!(project.run(report), @"");
    let written = fs::read_to_string(project.project().join("costs.csv")).unwrap();
    assert!(written.starts_with("branch,requests,"), "{written}");
    project.write("costs.csv", "mine");
    assert_snapshot!(project.run(report), @r"
    --- stderr
    Error: `[project]/costs.csv` already exists; `--force` replaces it
    --- exit 1
    ");
    assert_eq!(fs::read_to_string(project.project().join("costs.csv")).unwrap(), "mine");
    assert_snapshot!(project.run(report.iter().copied().chain(["--force"])), @"");
    assert_eq!(fs::read_to_string(project.project().join("costs.csv")).unwrap(), written);
    assert_eq!(project.stdout(["report", "-o", "-"]), project.stdout(["report"]));
    assert!(!project.project().join("-").exists());
    for other in ["/dev/full", "."] {
        for command in [&["report", "-o", other][..], &["export", "csv", other]] {
            let seen = project.run(command);
            assert!(seen.contains("is not a regular file; `-` is stdout\n"), "{seen}");
        }
    }
    let seen = project.run(["report", "-o", "no/such/folder/costs.csv"]);
    assert!(
        seen.contains("Error: cannot write a new version of `[project]/no/such/folder/costs.csv`"),
        "{seen}"
    );
}

#[test]
fn says_what_cannot_be_asked() {
    let project = project();
    let mut lines = Vec::new();
    for arguments in [
        vec!["--by", "weather"],
        vec!["--where", "branch"],
        vec!["--where", "day=2026-11-20"],
        vec!["--where", "branch=nope"],
        vec!["-z", "Mars/Olympus"],
        vec!["--since", "soon"],
        vec!["--since", "2026-11-20", "--until", "2026-11-19"],
        vec!["--during", "2026-11", "--since", "7d"],
        vec!["--compare", "previous"],
        vec!["--by", "day", "--since", "7d", "--compare", "previous"],
        vec!["--top", "0"],
        vec!["--format", "pdf"],
        vec!["--sort", "colour"],
        vec!["--since", "2020-01-01", "--until", "2020-01-31"],
    ] {
        let seen = project.run(["report"].iter().chain(&arguments));
        // Without what would be right: that is a long list.
        let first_line = seen.lines().nth(1).unwrap_or_default().split(": expected").next().unwrap();
        let exit = seen.lines().last().unwrap_or_default();
        lines.push(format!("{}\n  {first_line}\n  {exit}", arguments.join(" ")));
    }
    assert_snapshot!(lines.join("\n"), @"
    --by weather
      error: invalid value 'weather' for '--by <DIMENSIONS>': `weather` is no dimension
      --- exit 2
    --where branch
      error: invalid value 'branch' for '--where <DIMENSION=VALUE>': `branch` is no condition
      --- exit 2
    --where day=2026-11-20
      error: invalid value 'day=2026-11-20' for '--where <DIMENSION=VALUE>': `day=2026-11-20`: days are chosen with --since and --until
      --- exit 2
    --where branch=nope
      Error: no request has branch `nope`; `cmat report --by branch` shows all
      --- exit 1
    -z Mars/Olympus
      error: invalid value 'Mars/Olympus' for '--timezone <ZONE>': `Mars/Olympus` is no time zone
      --- exit 2
    --since soon
      error: invalid value 'soon' for '--since <DAY>': `soon` is no day
      --- exit 2
    --since 2026-11-20 --until 2026-11-19
      Error: since 2026-11-20 is after until 2026-11-19
      --- exit 2
    --during 2026-11 --since 7d
      error: the argument '--during <DAYS>' cannot be used with '--since <DAY>'
      --- exit 2
    --compare previous
      Error: previous to which days? Name them with --since or --during
      --- exit 2
    --by day --since 7d --compare previous
      Error: no day is in both periods: compare by something else, such as --by model or --by branch
      --- exit 2
    --top 0
      error: invalid value '0' for '--top <N>'
      --- exit 2
    --format pdf
      error: invalid value 'pdf' for '--format <FORMAT>'
      --- exit 2
    --sort colour
      error: invalid value 'colour' for '--sort <SORT>'
      --- exit 2
    --since 2020-01-01 --until 2020-01-31
      no requests are recorded that this asks for
      no requests are recorded that this asks for
    ");
}

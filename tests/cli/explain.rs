//! `cmat explain` of anything that a report tells apart, and `cmat report --pr`.

use insta::assert_snapshot;
use serde_json::Value;
use serde_json::json;

use crate::harness::OPUS;
use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A request at a time, on a branch.
fn at(time: &str, branch: &str, id: &str, model: &str) -> Value {
    let mut entry = request(id, model, [10, 100, 0, 1000]);
    entry["timestamp"] = time.into();
    entry["gitBranch"] = branch.into();
    entry
}

fn project() -> TestProject {
    let project = TestProject::new().task("T-1", "checkout").task("T-2", "checkout").session(
        "one",
        &[
            at("2026-11-18T12:00:00Z", "feature/a", "m1", SONNET),
            at("2026-11-19T12:00:00Z", "feature/a", "m2", OPUS),
            at("2026-11-20T12:00:00Z", "main", "m3", SONNET),
        ],
    );
    let project = project.session("two", &[at("2026-11-20T13:00:00Z", "feature/b", "m4", OPUS)]);
    project.end_session("T-1", "one");
    project.end_session("T-2", "two");
    project
}

/// Returns the requests that are explained, and their sum.
fn explained(project: &TestProject, arguments: &[&str]) -> String {
    let mut all = vec!["explain", "--json"];
    all.extend(arguments);
    let document: Value = serde_json::from_str(&project.stdout(all)).unwrap();
    let rows: Vec<&str> =
        document["rows"].as_array().unwrap().iter().map(|row| row["request"].as_str().unwrap()).collect();
    format!("{} {}", rows.join(" "), document["cost_usd"].as_str().unwrap())
}

#[test]
fn whatever_a_report_tells_apart_is_explained() {
    let project = project();
    assert_snapshot!(project.run(["explain", "branch:feature/a", "--since", "2026-11-19"]), @r"
    times in UTC, prices in USD per million tokens
    2026-11-19 12:00:00  m2  claude-opus-4-8  (row claude-opus-4-8, built-in)
        in 10 × $5.00 + out 100 × $25.00 + read 1,000 × $0.50 = $0.00305
    Σ $0.00305 → $0.0030   lines read 1, distinct requests 1 (0 repeats ignored)
    ");
    let sonnet = format!("model:{SONNET}");
    for (what, requests) in [
        ("enhancement:checkout", "m1 m2 m3 m4 0.00976"),
        ("task:T-2", "m4 0.00305"),
        ("session:one", "m1 m2 m3 0.00671"),
        ("day:2026-11-20", "m3 m4 0.00488"),
        ("day:yesterday", "m3 m4 0.00488"),
        ("hour:2026-11-20T13:00+00:00", "m4 0.00305"),
        ("week:2026-11-20", "m1 m2 m3 m4 0.00976"),
        ("month:2026-11", "m1 m2 m3 m4 0.00976"),
        ("ticket:", "m1 m2 m3 m4 0.00976"),
        (&sonnet, "m1 m3 0.00366"),
    ] {
        assert_eq!(explained(&project, &[what]), requests, "{what}");
    }
    assert_snapshot!(project.run(["explain", "month:2026-10"]), @r"
      times in UTC, prices in USD per million tokens
      Σ $0 → $0.0000   lines read 0, distinct requests 0 (0 repeats ignored)
    --- stderr
    no requests are recorded that this asks for
    ");
    assert_eq!(explained(&project, &["T-1", "--where", "branch=main"]), "m3 0.00183");
    assert_eq!(explained(&project, &["one", "--until", "2026-11-18"]), "m1 0.00183");
}

#[test]
fn what_cannot_be_explained_is_told() {
    let project = project();
    assert_snapshot!(project.run(["explain", "branch:none"]), @r"
    --- stderr
    Error: no request has branch `none`; `cmat report --by branch` shows all
    --- exit 1
    ");
    assert_snapshot!(project.run(["explain", "weather:fine"]), @r"
    --- stderr
    Error: `weather:fine` names no dimension: expected one of hour, day, week, month, task, enhancement, branch, ticket, pr, commit, agent, skill, command, mcp-server, operation, model, session, project, user, tag:KEY before a colon
    --- exit 1
    ");
    assert_snapshot!(project.run(["explain", "day:soon"]), @r"
    --- stderr
    Error: `soon` is no day: expected a date such as 2026-11-01, 20261101, 2026-11 or 2026, a number of days such as 7d, or today, yesterday, this-week, last-week, this-month, last-month, this-year, last-year
    --- exit 2
    ");
    assert_snapshot!(project.run(["explain", "day:today", "--since", "7d"]), @r"
    --- stderr
    Error: `day:today` names the days already
    --- exit 2
    ");
}

#[test]
fn a_long_explanation_is_cut_and_its_sum_is_not() {
    let requests: Vec<Value> =
        (0..60).map(|n| at("2026-11-20T12:00:00Z", "main", &format!("m{n}"), SONNET)).collect();
    let project = TestProject::new().session("one", &requests);
    project.stdout(["reconcile"]);
    let text = project.stdout(["explain", "branch:main"]);
    assert_eq!(text.lines().count(), 1 + 2 * 50 + 1);
    assert_snapshot!(text.lines().last().unwrap(), @"  … 10 more (--all)   Σ $0.1098 → $0.1098   lines read 60, distinct requests 60 (0 repeats ignored)");
    assert_eq!(project.stdout(["explain", "branch:main", "--all"]).lines().count(), 1 + 2 * 60 + 1);
}

#[test]
fn a_pull_request_has_a_report_that_ci_finds_again() {
    let opened = |number: u32, repository: &str, time: &str| {
        json!({"type": "pr-link", "prNumber": number, "prRepository": repository, "timestamp": time,
            "prUrl": format!("https://github.com/{repository}/pull/{number}")})
    };
    let project = TestProject::new()
        .session(
            "one",
            &[
                at("2026-11-18T12:00:00Z", "feature/a", "m1", SONNET),
                at("2026-11-19T12:00:00Z", "feature/a", "m2", OPUS),
                opened(42, "o/r", "2026-11-19T12:05:00.000Z"),
            ],
        )
        .session("two", &[at("2026-11-20T13:00:00Z", "feature/b", "m3", OPUS)]);
    project.stdout(["reconcile"]);
    assert_snapshot!(project.run(["report", "--pr", "42", "--format", "markdown"]), @r"
    <!-- cmat:pr:42 -->
    | model | requests | input | output | c.write | c.read | cost |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: |
    | `claude-opus-4-8` | 1 | 10 | 100 | 0 | 1,000 | $0.0030 |
    | `claude-sonnet-4-20250514` | 1 | 10 | 100 | 0 | 1,000 | $0.0018 |
    | **Total** | **2** | **20** | **200** | **0** | **2,000** | **$0.0049** |
    ");
    let of_it = project.stdout(["report", "--pr", "42"]);
    assert_eq!(project.stdout(["report", "--pr", "o/r#42"]), of_it);
    assert_eq!(project.stdout(["report", "--pr", "https://github.com/o/r/pull/42"]), of_it);
    assert_eq!(explained(&project, &["pr:42"]), "m1 m2 0.00488");
    assert_snapshot!(project.run(["report", "--pr", "43"]), @r"
    --- stderr
    Error: no request of this project went into pull request #43; `cmat report --by pr` shows all
    --- exit 1
    ");
    assert_snapshot!(project.run(["report", "--pr", "none"]), @r"
    --- stderr
    error: invalid value 'none' for '--pr <N>': `none` is no pull request: expected a number, owner/repository#42, or its address

    For more information, try '--help'.
    --- exit 2
    ");
    let project = project.session(
        "three",
        &[
            at("2026-11-20T14:00:00Z", "feature/c", "m4", SONNET),
            opened(42, "fork/r", "2026-11-20T14:05:00.000Z"),
        ],
    );
    project.stdout(["reconcile"]);
    assert_snapshot!(project.run(["report", "--pr", "42"]), @r"
    --- stderr
    Error: several repositories have a pull request #42: name one of fork/r#42, o/r#42 …
    --- exit 2
    ");
}

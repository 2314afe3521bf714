//! `cmat anomalies`: what stands out, and the figures that each finding rests on.

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::OPUS;
use crate::harness::TestProject;
use crate::harness::request;

/// A request at a time of November 2026.
fn at(id: &str, time: &str, tokens: [u64; 4]) -> Value {
    let mut request = request(id, OPUS, tokens);
    request["timestamp"] = format!("2026-11-{time}:00.000Z").into();
    request
}

/// Sessions of $0.25, $0.50 and $0.75 in turn, each in an hour of its own.
fn project(n_sessions: usize) -> TestProject {
    let mut project = TestProject::new();
    for n in 0..n_sessions {
        let time = format!("{:02}T{:02}:10", 1 + n / 20, n % 20);
        let made = at(&format!("msg_{n}"), &time, [0, 10_000 * (1 + n as u64 % 3), 0, 0]);
        project = project.session(&format!("s-{n:02}"), &[made]);
    }
    project
}

fn recorded(project: TestProject) -> TestProject {
    assert!(project.run(["reconcile", "--all"]).contains("new request"));
    project
}

#[test]
fn a_session_far_above_the_others_is_found_with_its_figures() {
    let spree: Vec<Value> = (0..8)
        .map(|n| at(&format!("msg_x{n}"), &format!("18T14:0{n}"), [1_000, 40_000, 0, 200_000]))
        .collect();
    let project = recorded(project(24).session("s-spree", &spree));
    assert_snapshot!(project.stdout(["anomalies"]), @"
    2026-11-18 14:00  session s-spree  $8.8400 in 8 min, 17.7× the median of 24 like it
                      median $0.5000, upper quartile $0.7500, far above begins at $2.5312; 8 requests, cache hits 99.5 %, 201,000 prompt tokens each → cmat explain s-spree
    ");
    let json: Value = serde_json::from_str(&project.stdout(["anomalies", "--json"])).unwrap();
    assert_snapshot!(serde_json::to_string_pretty(&json).unwrap(), @r#"
    {
      "schema": "cmat.anomalies/1",
      "generated_at": "2026-11-21T12:00:00Z",
      "timezone": "UTC",
      "currency": "USD",
      "billing": "api",
      "filter": {
        "since": "2026-10-23T00:00:00Z",
        "before": null,
        "where": [],
        "days": [
          "2026-10-23",
          "2026-11-21"
        ]
      },
      "rows": [
        {
          "kind": "dear_session",
          "first": "2026-11-18T14:00:00Z",
          "last": "2026-11-18T14:07:00Z",
          "session": "s-spree",
          "agent": null,
          "cost_usd": "8.84",
          "estimated": false,
          "lower_bound": false,
          "requests": 8,
          "hit_percent": "99.5",
          "prompt_tokens": 1608000,
          "others": 24,
          "median_usd": "0.5",
          "upper_quartile_usd": "0.75",
          "limit_usd": "2.53125",
          "times_median": "17.7"
        }
      ],
      "warnings": []
    }
    "#);
    // Before that day there was nothing, and what came later is no measure.
    assert_snapshot!(project.stdout(["anomalies", "--until", "2026-11-17"]), @"nothing stands out");
    assert_snapshot!(project.stdout(["anomalies", "--min", "100"]), @"nothing stands out (2026-10-23 to 2026-11-21)");
}

#[test]
fn an_hour_that_many_sessions_made_dear_is_found() {
    let mut project = project(24);
    for n in 0..12 {
        let made = at(&format!("msg_x{n}"), &format!("18T14:{n:02}"), [0, 30_000, 0, 0]);
        project = project.session(&format!("s-x{n:02}"), &[made]);
    }
    let project = recorded(project);
    assert_snapshot!(project.stdout(["anomalies"]), @"
    2026-11-18 14:00  an hour  $9.0000, 18.0× the median of 24 others
                      median $0.5000, upper quartile $0.7500, far above begins at $2.5312; 12 requests; 12 sessions, $0.7500 of it session s-x11 → cmat explain s-x11
    ");
    assert_snapshot!(project.run(["anomalies", "-z", "Europe/Berlin", "--where", "session=s-x00"]), @"
    nothing stands out (2026-10-23 to 2026-11-21)
    --- stderr
    too little is known to compare sessions without an agent: 11 with a cost are needed, there are 1
    too little is known to compare hours: 21 with a cost are needed, there are 1
    ");
}

#[test]
fn a_cache_that_stopped_hitting_is_found() {
    let mut made = vec![at("msg_a", "20T10:00", [10, 100, 60_000, 0])];
    made.push(at("msg_b", "20T10:01", [10, 100, 1_000, 60_000]));
    made.extend((2..6).map(|n| at(&format!("msg_{n}"), &format!("20T10:0{n}"), [10, 100, 62_000, 0])));
    // What comes after the five minutes of the cache is no fault of it.
    let late = (0..6).map(|n| at(&format!("msg_late{n}"), &format!("20T11:{n}0"), [10, 100, 62_000, 0]));
    let project =
        recorded(TestProject::new().session("s-1", &made).session("s-2", &late.collect::<Vec<_>>()));
    assert_snapshot!(project.run(["anomalies"]), @"
    2026-11-20 10:02  session s-1  the cache stopped hitting: 4 requests in a row on claude-opus-4-8
                      read 0 of 247,000 tokens that it held, sent 247,000 again: $1.4202 more than reading them, of $1.5602 → cmat explain s-1
    --- stderr
    too little is known to compare sessions without an agent: 11 with a cost are needed, there are 2
    too little is known to compare hours: 21 with a cost are needed, there are 2
    ");
    let json: Value = serde_json::from_str(&project.stdout(["anomalies", "--json", "-q"])).unwrap();
    assert_snapshot!(json["rows"].to_string(), @r#"[{"kind":"cold_cache","first":"2026-11-20T10:02:00Z","last":"2026-11-20T10:05:00Z","session":"s-1","agent":null,"model":"claude-opus-4-8","requests":4,"held_tokens":247000,"read_tokens":0,"sent_again_tokens":247000,"extra_cost_usd":"1.42025","cost_usd":"1.5602"}]"#);
}

#[test]
fn too_little_history_is_said_plainly() {
    let project = recorded(project(3));
    assert_snapshot!(project.run(["anomalies"]), @"
    nothing stands out (2026-10-23 to 2026-11-21)
    --- stderr
    too little is known to compare sessions without an agent: 11 with a cost are needed, there are 3
    too little is known to compare hours: 21 with a cost are needed, there are 3
    ");
    assert_snapshot!(project.run(["anomalies", "--since", "2026-11-20"]), @"
    --- stderr
    no requests are recorded that this asks for
    ");
    assert_snapshot!(TestProject::new().run(["anomalies"]), @"
    --- stderr
    no requests are recorded that this asks for
    ");
    assert_snapshot!(project.run(["anomalies", "--min", "-1"]), @"
    --- stderr
    error: invalid value '-1' for '--min <AMOUNT>': `-1` is negative: an amount is above zero

    For more information, try '--help'.
    --- exit 2
    ");
}

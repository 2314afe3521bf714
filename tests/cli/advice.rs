//! `cmat advise`: what would have been cheaper, with the arithmetic.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use serde_json::Value;
use serde_json::json;

use crate::harness::OPUS;
use crate::harness::TestProject;
use crate::harness::request;

fn at(id: &str, model: &str, time: &str, tokens: [u64; 4]) -> Value {
    let mut request = request(id, model, tokens);
    request["timestamp"] = format!("2026-11-{time}:00.000Z").into();
    request
}

/// Work of three kinds: a task of a queue, a subagent, and a session that pauses again and again.
fn project() -> TestProject {
    let task = [
        at("msg_1", OPUS, "10T10:00", [1_000, 40_000, 100_000, 0]),
        at("msg_2", OPUS, "10T10:02", [10, 4_000, 2_000, 100_000]),
    ];
    let old = [at("msg_3", "claude-opus-4-5-20251101", "11T10:00", [1_000, 20_000, 0, 0])];
    let pauses = ["12T10:00", "12T10:20", "12T10:40", "12T14:00"];
    let pausing: Vec<Value> = (0..)
        .zip(pauses)
        .map(|(n, time)| {
            at(&format!("msg_p{n}"), "claude-sonnet-5-5", time, [10, 100, 80_000 + 1_000 * n, 0])
        })
        .collect();
    let long: Vec<Value> = (0..3)
        .map(|n| at(&format!("msg_l{n}"), "claude-haiku-5-5", &format!("13T10:0{n}"), [120_000, 9_000, 0, 0]))
        .collect();
    let project = TestProject::new()
        .task("t-1", "login")
        .session("s-task", &task)
        .session("s-old", &old)
        .session("s-pauses", &pausing)
        .session("s-long", &long);
    assert_eq!(project.end_session("t-1", "s-task"), "");
    project.run(["reconcile", "--all"]);
    project
}

#[test]
fn savings_are_told_with_their_arithmetic() {
    let project = project();
    assert_snapshot!(project.run(["advise"]), @"
    1. $1.0855 less: implementation on claude-sonnet-5-5 instead of claude-opus-4-8 (the next smaller family)
         2 requests: in 1,010, out 44,000, write 102,000, read 100,000 tokens
         paid     in $0.0050 + out $1.1000 + write 5m $0.6375 + read $0.0500 = $1.7926
         instead  in $0.0020 + out $0.4400 + write 5m $0.2550 + read $0.0100 = $0.7070
    2. $0.7781 less: work without operation on claude-haiku-5-5 instead of claude-sonnet-5-5 (the next smaller family)
         4 requests: in 40, out 400, write 326,000, read 0 tokens
         paid     in $0.0001 + out $0.0040 + write 5m $0.8150 = $0.8191
         instead  in $0.0000 + out $0.0002 + write 5m $0.0408 = $0.0410
    3. up to $0.5832 less: 1 session went on after the cache had run out, 3 times in all
         243,000 tokens sent again: $0.5832 more than reading them; a new session, or /compact before the pause, sends fewer
    4. $0.3785 less: implementation on claude-opus-5-5 instead of claude-opus-4-8 (the newest of its family)
         2 requests: in 1,010, out 44,000, write 102,000, read 100,000 tokens
         paid     in $0.0050 + out $1.1000 + write 5m $0.6375 + read $0.0500 = $1.7926
         instead  in $0.0040 + out $0.8800 + write 5m $0.5100 + read $0.0200 = $1.4140
    5. ~$0.2424 less: work without operation on claude-sonnet-5-5 instead of claude-opus-4-5-20251101 (the next smaller family)
         1 request: in 1,000, out 20,000, write 0, read 0 tokens
         paid     in $0.0050 + out $0.5000 = $0.5050
         instead  in $0.0026 + out $0.2600 = $0.2626
         its tokenizer counts about 30 % more: reckoned with 130 % of the tokens
    6. up to $0.1980 less: prompts of more than 100,000 tokens on claude-haiku-5-5
         3 requests, 360,000 prompt tokens: paid $0.2475, at the price of shorter prompts $0.0495
    --- stderr
    savings overlap and do not add up; nothing is said of how good the work would have been
    ");
    let json: Value = serde_json::from_str(&project.stdout(["advise", "--json", "-q"])).unwrap();
    let mut told = BTreeSet::new();
    let rows: Vec<&Value> = json["rows"].as_array().unwrap().iter().collect();
    let (first, like_another): (Vec<&Value>, Vec<&Value>) =
        rows.into_iter().partition(|row| told.insert((row["kind"].to_string(), row["estimated"] == true)));
    assert_eq!((first.len(), like_another.len()), (4, 2));
    assert_snapshot!(serde_json::to_string_pretty(&first).unwrap(), @r#"
    [
      {
        "kind": "other_model",
        "saving_usd": "1.08553",
        "at_most": false,
        "estimated": false,
        "used_for": "implementation",
        "model": "claude-opus-4-8",
        "other_model": "claude-sonnet-5-5",
        "kinship": "smaller",
        "tokenizer": "same",
        "requests": 2,
        "input_tokens": 1010,
        "output_tokens": 44000,
        "cache_write_5m_tokens": 102000,
        "cache_write_1h_tokens": 0,
        "cache_read_tokens": 100000,
        "paid": {
          "cost_usd": "1.79255",
          "cost_input_usd": "0.00505",
          "cost_output_usd": "1.1",
          "cost_cache_write_usd": "0.6375",
          "cost_cache_read_usd": "0.05",
          "cost_web_search_usd": "0"
        },
        "instead": {
          "cost_usd": "0.70702",
          "cost_input_usd": "0.00202",
          "cost_output_usd": "0.44",
          "cost_cache_write_usd": "0.255",
          "cost_cache_read_usd": "0.01",
          "cost_web_search_usd": "0"
        }
      },
      {
        "kind": "resumed_late",
        "saving_usd": "0.5832",
        "at_most": true,
        "estimated": false,
        "sessions": 1,
        "times": 3,
        "sent_again_tokens": 243000,
        "extra_cost_usd": "0.5832"
      },
      {
        "kind": "other_model",
        "saving_usd": "0.2424",
        "at_most": false,
        "estimated": true,
        "used_for": null,
        "model": "claude-opus-4-5-20251101",
        "other_model": "claude-sonnet-5-5",
        "kinship": "smaller",
        "tokenizer": "more",
        "requests": 1,
        "input_tokens": 1000,
        "output_tokens": 20000,
        "cache_write_5m_tokens": 0,
        "cache_write_1h_tokens": 0,
        "cache_read_tokens": 0,
        "paid": {
          "cost_usd": "0.505",
          "cost_input_usd": "0.005",
          "cost_output_usd": "0.5",
          "cost_cache_write_usd": "0",
          "cost_cache_read_usd": "0",
          "cost_web_search_usd": "0"
        },
        "instead": {
          "cost_usd": "0.2626",
          "cost_input_usd": "0.0026",
          "cost_output_usd": "0.26",
          "cost_cache_write_usd": "0",
          "cost_cache_read_usd": "0",
          "cost_web_search_usd": "0"
        }
      },
      {
        "kind": "long_prompt",
        "saving_usd": "0.198",
        "at_most": true,
        "estimated": false,
        "model": "claude-haiku-5-5",
        "above_prompt_tokens": 100000,
        "requests": 3,
        "prompt_tokens": 360000,
        "paid_usd": "0.2475",
        "instead_usd": "0.0495"
      }
    ]
    "#);
    assert_snapshot!(project.run(["advise", "--by", "agent", "--min", "0.5"]), @"
    1. $1.0855 less: implementer on claude-sonnet-5-5 instead of claude-opus-4-8 (the next smaller family)
         2 requests: in 1,010, out 44,000, write 102,000, read 100,000 tokens
         paid     in $0.0050 + out $1.1000 + write 5m $0.6375 + read $0.0500 = $1.7926
         instead  in $0.0020 + out $0.4400 + write 5m $0.2550 + read $0.0100 = $0.7070
    2. $0.7781 less: work without agent on claude-haiku-5-5 instead of claude-sonnet-5-5 (the next smaller family)
         4 requests: in 40, out 400, write 326,000, read 0 tokens
         paid     in $0.0001 + out $0.0040 + write 5m $0.8150 = $0.8191
         instead  in $0.0000 + out $0.0002 + write 5m $0.0408 = $0.0410
    3. up to $0.5832 less: 1 session went on after the cache had run out, 3 times in all
         243,000 tokens sent again: $0.5832 more than reading them; a new session, or /compact before the pause, sends fewer
    --- stderr
    savings overlap and do not add up; nothing is said of how good the work would have been
    ");
    // The others that never pause would have paid more for an hour.
    assert_snapshot!(project.stdout(["advise", "-q", "--where", "session=s-pauses", "--min", "0.13"]), @r#"
    1. $0.7781 less: work without operation on claude-haiku-5-5 instead of claude-sonnet-5-5 (the next smaller family)
         4 requests: in 40, out 400, write 326,000, read 0 tokens
         paid     in $0.0001 + out $0.0040 + write 5m $0.8150 = $0.8191
         instead  in $0.0000 + out $0.0002 + write 5m $0.0408 = $0.0410
    2. up to $0.5832 less: 1 session went on after the cache had run out, 3 times in all
         243,000 tokens sent again: $0.5832 more than reading them; a new session, or /compact before the pause, sends fewer
    3. $0.1389 less: caches of sessions written for 1 hour instead of 5 minutes ("promptCacheTtl": "1h")
         after 2 pauses of 5 minutes to an hour in 1 session: 161,000 tokens written again, $0.3864 more than reading them
         all other 165,000 tokens written for an hour: $0.2475 more
    "#);
    assert_eq!(project.run(["advise"]), project.run(["advise"]));
}

#[test]
fn what_cannot_be_advised_is_said() {
    assert_snapshot!(TestProject::new().run(["advise"]), @"
    --- stderr
    nothing is recorded yet: `cmat init` installs the hook, `cmat reconcile --all` reads the transcripts that are there, `cmat demo` shows all of it on a made-up project
    ");
    let project = project();
    assert_snapshot!(project.run(["advise", "--min", "100"]), @"$3.3641 were spent, and what saves less than $100 is not told (--min)");
    assert_snapshot!(project.run(["advise", "--min", "3"]), @"nothing would have saved $3 or more of the $3.3641 that were spent");
    assert_snapshot!(project.run(["advise", "--by", "model"]), @"
    --- stderr
    Error: `--by model`: it tells uses apart, not days or models
    --- exit 2
    ");
    assert_snapshot!(project.run(["advise", "--during", "2026-10"]), @"
    --- stderr
    no requests are recorded that this asks for
    ");
}

#[test]
fn the_owners_own_prices_are_the_measure() {
    let project = project();
    let cheap = json!({"models": [{
        "id": "claude-sonnet-5-5", "name": "Sonnet", "pattern": "claude-sonnet-5-5.*",
        "pricing": {"input": 0.02, "output": 0.1, "cache_write": 0.025, "cache_read": 0.001},
    }]});
    // A repository's prices are not the owner's.
    project.write(".claude/data/models.json", cheap.to_string());
    let seen = project.run(["advise", "--by", "agent", "--min", "0.5"]);
    assert!(seen.contains("claude-sonnet-5-5 instead"), "{seen}");
    let before = seen.lines().find(|line| line.contains("claude-sonnet-5-5 instead")).unwrap().to_owned();
    std::fs::create_dir_all(project.home().join(".config/cmat")).unwrap();
    std::fs::write(project.home().join(".config/cmat/models.json"), cheap.to_string()).unwrap();
    let seen = project.run(["advise", "--by", "agent", "--min", "0.5"]);
    let after = seen.lines().find(|line| line.contains("claude-sonnet-5-5 instead")).unwrap();
    assert_ne!(before.split(". ").nth(1), after.split(". ").nth(1));
}

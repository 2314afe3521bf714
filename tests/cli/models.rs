//! `cmat models …` and `cmat calc`.

use std::fs;

use insta::assert_snapshot;

use crate::harness::TestProject;

const LIST: &str = include_str!("../../fixtures/models/list.json");
const FILE: &str = ".claude/data/models.json";

fn project() -> TestProject {
    TestProject::new().env("CMAT_NOW", "2026-11-21T12:00:00Z")
}

fn stored(project: &TestProject) -> String {
    fs::read_to_string(project.project().join(FILE)).unwrap()
}

#[test]
fn lists_and_shows_the_models_of_the_guide() {
    let project = project().file(FILE, LIST);
    assert_snapshot!(project.run(["models", "list"]), @r#"
    Available models (2):

      claude-sonnet-4-20250514 (default)
        Name: Claude Sonnet 4
        Input:  $3.00/M tokens
        Output: $15.00/M tokens

      claude-opus-4-5-20251101
        Name: Claude Opus 4.5
        Input:  $15.00/M tokens
        Output: $75.00/M tokens
    --- stderr
    row `claude-opus-4-5-20251101` prices input at $15.00 per million tokens, 3 × the list price ($5.00); it is used (`cmat models update --dry-run` shows the list price)
    "#);
    assert_snapshot!(project.run(["models", "show", "claude-sonnet-4-20250514"]), @r#"
    Model: claude-sonnet-4-20250514 (default)
      Name: Claude Sonnet 4
      Description: Fast and intelligent model
      Pattern: claude-sonnet-4-.*
      Max Tokens: 8,192

      Pricing (per million tokens):
        Input:       $3.00
        Output:      $15.00
        Cache Write: $3.75
        Cache Read:  $0.30
    --- stderr
    row `claude-opus-4-5-20251101` prices input at $15.00 per million tokens, 3 × the list price ($5.00); it is used (`cmat models update --dry-run` shows the list price)
    "#);
    assert_snapshot!(project.run(["models", "show", "claude-9"]), @r#"
    --- stderr
    row `claude-opus-4-5-20251101` prices input at $15.00 per million tokens, 3 × the list price ($5.00); it is used (`cmat models update --dry-run` shows the list price)
    Error: Model not found: claude-9
    --- exit 1
    "#);
}

#[test]
fn lists_the_built_in_models_where_no_file_changes_them() {
    let project = project();
    let list = project.stdout(["models", "list"]);
    assert!(list.starts_with("Available models (33):\n\n  claude-opus-5-5 (default)\n"), "{list}");
    let all = TestProject::new().file(FILE, LIST).run(["models", "list", "--all"]);
    assert!(all.starts_with("Available models (33):\n\n  claude-sonnet-4-20250514 (default)\n"), "{all}");
    assert_snapshot!(project.stdout(["models", "show", "claude-haiku-5-5", "--history"]), @r#"
    Model: claude-haiku-5-5
      Name: Claude Haiku 5.5
      Description: 1M context, released 2026-10-07
      Pattern: claude-haiku-5-5(-\d{8})?$
      Max Tokens: 128,000

      Pricing (per million tokens):
        Input:       $0.10
        Output:      $0.50
        Cache Write: $0.125
        Cache Read:  $0.01

      Price history (per million tokens, UTC days):
        always
          input $0.10  output $0.50  cache write 5m $0.125  cache write 1h $0.20  cache read $0.01
          prompts above 100,000 tokens
            input $0.50  output $2.50  cache write 5m $0.625  cache write 1h $1.00  cache read $0.05
          batch ×0.5  US inference ×1.1  1,000 web searches $10.00
    "#);
}

#[test]
fn sets_the_default_and_nothing_else() {
    let project = project().file(FILE, LIST);
    assert_snapshot!(project.run(["models", "set-default", "claude-opus-4-5-20251101"]), @r#"
    Default model set to: claude-opus-4-5-20251101
    --- stderr
    row `claude-opus-4-5-20251101` prices input at $15.00 per million tokens, 3 × the list price ($5.00); it is used (`cmat models update --dry-run` shows the list price)
    "#);
    assert_eq!(
        stored(&project),
        LIST.replace("true", "x").replace("false", "true").replace('x', "false").replace("mafalse", "max")
    );
    assert_snapshot!(project.run(["models", "set-default", "claude-9"]), @r#"
    --- stderr
    row `claude-opus-4-5-20251101` prices input at $15.00 per million tokens, 3 × the list price ($5.00); it is used (`cmat models update --dry-run` shows the list price)
    Error: Model not found: claude-9
    --- exit 1
    "#);
}

#[test]
fn a_default_without_a_file_makes_one_that_freezes_no_price() {
    let project = project();
    assert_snapshot!(project.run(["models", "set-default", "claude-haiku-5-5"]), @"Default model set to: claude-haiku-5-5");
    assert_snapshot!(stored(&project), @r#"
    {
      "version": "1.0",
      "models": [],
      "default_model": "claude-haiku-5-5"
    }
    "#);
    assert!(project.stdout(["models", "list"]).contains("\n  claude-haiku-5-5 (default)\n"));
}

#[test]
fn tells_which_row_an_id_means() {
    let project = project().file(FILE, include_str!("../../fixtures/models/object.json"));
    let which = |id: &str| project.run(["models", "which", id]);
    assert_snapshot!(which("us.anthropic.claude-opus-4-5-20251101-v1:0"), @r#"  claude-opus-4.5  by another of its ids, after removing "us.anthropic." and "-v1:0"   $5.00 in / $25.00 out"#);
    assert_snapshot!(which("router/opus-4-5-preview"), @"  claude-opus-4.5  by glob *opus-4.5*|*opus-4-5*   $5.00 in / $25.00 out");
    assert_snapshot!(which("claude-4.8-opus"), @"  claude-opus-4-8  by family and version   $5.00 in / $25.00 out");
    assert_snapshot!(which("haiku"), @"
    --- stderr
    Error: `haiku` is a family of models, and no request names it; the newest is `claude-haiku-5-5`
    --- exit 1
    ");
    assert_snapshot!(which("gpt-5"), @r#"
    --- stderr
    Error: no row is for `gpt-5`; `cmat models add` adds one, `cmat models list --all` shows what there is
    --- exit 1
    "#);
    assert_snapshot!(project.run(["models", "which", "gpt-5", "--json"]), @r#"
    {"schema":"cmat.models.which/1","id":null,"model":"gpt-5","reason":"no row fits"}
    --- exit 1
    "#);
    assert_snapshot!(project.run(["models", "which", "anthropic/claude-opus-4.8-fast", "--json"]), @r#"{"schema":"cmat.models.which/1","id":"claude-opus-4-8","model":"anthropic/claude-opus-4.8-fast","reason":"name","pattern":"claude-opus-4-8(-\\d{8})?$","pattern_kind":"regex","removed":["anthropic/","-fast"],"fast":true,"batch":false,"source":"built_in","input":"5","output":"25","cache_write":"6.25","cache_write_1h":"10","cache_read":"0.5"}"#);
}

#[test]
fn checks_what_a_file_says() {
    assert_snapshot!(project().run(["models", "check"]), @"  ok   the built-in prices are in force; no models.json changes them");
    assert_snapshot!(project().file(FILE, LIST).run(["models", "check"]), @r#"
    claude-sonnet-4-20250514  regex    claude-sonnet-4-.*
    claude-opus-4-5-20251101  regex    claude-opus-4-.*
    !  row `claude-opus-4-5-20251101` prices input at $15.00 per million tokens, 3 × the list price ($5.00); fix: cmat models update --dry-run
    !  pattern `claude-opus-4-.*` of `claude-opus-4-5-20251101` also prices models with another list price: claude-opus-4-1-20250805, claude-opus-4-20250514
    "#);
    let negative = LIST.replace("15.00,\n        \"output\": 75", "-15.00,\n        \"output\": 75");
    assert_snapshot!(project().file(FILE, negative).run(["models", "check"]), @r#"
      claude-sonnet-4-20250514  regex    claude-sonnet-4-.*
      !  `[project]/.claude/data/models.json`: row 2 `claude-opus-4-5-20251101` is left out, because `pricing.input` cannot be used: price -15 is negative
    --- exit 5
    "#);
    assert_snapshot!(project().file(FILE, "{\"models\": [").run(["models", "check"]), @r#"
    --- stderr
    Error: price table `[project]/.claude/data/models.json` is not JSON at line 1, column 12: EOF while parsing a list at line 1 column 12
    --- exit 1
    "#);
}

#[test]
fn adds_and_removes_a_row() {
    let project = project();
    let add = ["models", "add", "claude-new-6", "--input", "5", "--output", "25", "--cache-read", "0.50"];
    assert_snapshot!(project.run(add), @"Added model: claude-new-6");
    assert_snapshot!(stored(&project), @r#"
    {
      "version": "1.0",
      "models": [
        {
          "id": "claude-new-6",
          "name": "claude-new-6",
          "description": "",
          "pattern": "claude-new-6(-\\d{8})?$",
          "is_default": false,
          "pricing": {
            "input": 5.00,
            "output": 25.00,
            "cache_read": 0.50
          }
        }
      ],
      "default_model": "claude-opus-5-5"
    }
    "#);
    assert_snapshot!(project.run(add), @r#"
    --- stderr
    Error: `[project]/.claude/data/models.json` stays as it is: it has a row `claude-new-6` already; `cmat models remove` removes it
    --- exit 1
    "#);
    assert_snapshot!(project.run(["models", "which", "claude-new-6-20270101"]), @r#"  claude-new-6  by id, after removing "-20270101"   $5.00 in / $25.00 out"#);
    assert_snapshot!(project.run(["models", "remove", "claude-new-6"]), @"Removed model: claude-new-6");
    assert_snapshot!(project.run(["models", "remove", "claude-new-6"]), @r#"
    --- stderr
    Error: Model not found: claude-new-6 (in [project]/.claude/data/models.json)
    --- exit 1
    "#);
    assert_snapshot!(project.run(["models", "add", "x", "--input", "free", "--output", "1"]), @r#"
    --- stderr
    Error: --input: `free` is not a decimal number
    --- exit 1
    "#);
}

#[test]
fn brings_prices_to_the_list() {
    let project = project().file(FILE, LIST);
    assert_snapshot!(project.run(["models", "update", "--dry-run"]), @r#"
      claude-opus-4-5-20251101  input 15.00 → 5.00
      claude-opus-4-5-20251101  output 75.00 → 25.00
      claude-opus-4-5-20251101  cache_write 18.75 → 6.25
      claude-opus-4-5-20251101  cache_write_1h nothing → 10.00
      claude-opus-4-5-20251101  cache_read 1.50 → 0.50
    [project]/.claude/data/models.json: not written (--dry-run)
    "#);
    assert_eq!(stored(&project), LIST);
    project.run(["models", "update"]);
    assert_snapshot!(project.run(["models", "update"]), @"[project]/.claude/data/models.json: nothing to change");
}

#[test]
fn takes_over_only_prices_that_differ() {
    let project = project().file(
        "litellm.json",
        r#"{"claude-haiku-4-5": {"litellm_provider": "anthropic", "input_cost_per_token": 1e-06,
             "output_cost_per_token": 5e-06, "cache_read_input_token_cost": 1e-07},
            "claude-opus-5-5": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-06,
             "output_cost_per_token": 1.5e-05}}"#,
    );
    assert_snapshot!(project.run(["models", "import", "litellm.json"]), @r#"
      claude-opus-5-5  input nothing → 3
      claude-opus-5-5  output nothing → 15
    [project]/.claude/data/models.json: 2 changes written
    "#);
    assert_snapshot!(stored(&project), @r#"
    {
      "version": "1.0",
      "models": [
        {
          "id": "claude-opus-5-5",
          "name": "Claude Opus 5.5",
          "description": "1M context, released 2026-09-22",
          "pattern": "claude-opus-5-5(-\\d{8})?$",
          "max_tokens": 128000,
          "is_default": false,
          "pricing": {
            "input": 3,
            "output": 15
          }
        }
      ],
      "default_model": "claude-opus-5-5"
    }
    "#);
    assert_snapshot!(project.run(["models", "import", "litellm.json"]), @"[project]/.claude/data/models.json: nothing to change");
    assert_snapshot!(project.run(["models", "import", FILE]), @r#"
    --- stderr
    Error: nothing is imported from `[project]/.claude/data/models.json`: it has no model of Anthropic's own
    --- exit 1
    "#);
}

#[test]
fn shows_the_arithmetic() {
    let project = project();
    let calc = |arguments: &str| project.run(["calc", "--model"].into_iter().chain(arguments.split(' ')));
    assert_snapshot!(calc("claude-sonnet-4-20250514 --input 12,345"), @"
    --- stderr
    error: invalid value '12,345' for '--input <TOKENS>': expected a whole number without separators: 12345

    For more information, try '--help'.
    --- exit 2
    ");
    assert_snapshot!(calc("claude-sonnet-4-20250514 --input 12345 --output 3456 --cache-read 8901"), @r#"
    claude-sonnet-4-20250514 at the list prices of 2026-11-21

      input           12,345 ×  $3.00 / 1M = $0.037035
      output           3,456 × $15.00 / 1M = $0.05184
      cache read       8,901 ×  $0.30 / 1M = $0.0026703
      total                                = $0.0915453  ($0.0915)
    "#);
    assert_snapshot!(calc("claude-3-5-haiku-20241022 --input 330000 --output 60000 --batch"), @r#"
    claude-3-5-haiku-20241022 at the list prices of 2026-11-21

      input           330,000 × $0.80 / 1M × 0.5 = $0.132
      output           60,000 × $4.00 / 1M × 0.5 = $0.12
      total                                      = $0.252  ($0.2520)
      batch
    "#);
    assert_snapshot!(calc("claude-haiku-5-5 --input 100001 --cache-write-1h 5"), @r#"
    claude-haiku-5-5 at the list prices of 2026-11-21

      input           100,001 × $0.50 / 1M = $0.0500005
      cache write 1h        5 × $1.00 / 1M = $0.000005
      total                                = $0.0500055  ($0.0500)
      long prompt: above 100,000 tokens every token pays more
    "#);
    assert_snapshot!(calc("claude-opus-4-7 --input 1000000 --fast --at 2026-06-01"), @r#"
    claude-opus-4-7 at the list prices of 2026-06-01

      input           1,000,000 × $30.00 / 1M = $30
      total                                   = $30  ($30.0000)
      fast mode
    "#);
    assert_snapshot!(calc("claude-opus-4-7 --input 1000000 --fast"), @r#"
    claude-opus-4-7 at the list prices of 2026-11-21

      input           1,000,000 × $5.00 / 1M = $5
      total                                  = $5  ($5.0000)
    --- stderr
    claude-opus-4-7 has no fast mode on that day: the standard price is used
    "#);
    assert_snapshot!(calc("claude-nova-9 --input 1000 --strict"), @r#"
    claude-opus-5-5 at the list prices of 2026-11-21

      input           1,000 × $4.00 / 1M = $0.004
      total                              = ~$0.004  (~$0.0040)
    --- stderr
    estimated: no price of `claude-nova-9` is known for that day
    --- exit 6
    "#);
    assert!(calc("haiku --input 1000").starts_with("claude-haiku-5-5 at the list prices of 2026-11-21\n"));
    assert_snapshot!(calc("gpt-5 --input 1000"), @r#"
    --- stderr
    Error: Model not found: gpt-5 (`cmat models list` lists them)
    --- exit 1
    "#);
    assert_snapshot!(calc("claude-sonnet-5-5 --cache-read 1000000 --at 2026-10-06 --json"), @r#"{"schema":"cmat.calc/1","model":"claude-sonnet-5-5","input_tokens":0,"output_tokens":0,"cache_write_5m_tokens":0,"cache_write_1h_tokens":0,"cache_read_tokens":1000000,"cost_usd":"0.2","cost_input_usd":"0","cost_output_usd":"0","cost_cache_write_5m_usd":"0","cost_cache_write_1h_usd":"0","cost_cache_read_usd":"0.2","estimated":false,"price":{"model":"claude-sonnet-5-5","name":"Claude Sonnet 5.5","source":"built_in","effective_from":null,"rates":{"input":"2","output":"10","cache_write_5m":"2.5","cache_write_1h":"4","cache_read":"0.2"},"derived":[],"tier_above":null,"fast":false,"batch":false,"us_inference":false,"factor":"1","web_search_per_1000":"10"}}"#);
    assert_snapshot!(calc("claude-opus-5-5 --input 18446744073709551615"), @r#"
    --- stderr
    Error: cost of 18446744073709551615 tokens at 4 USD per million tokens is too large to record
    --- exit 1
    "#);
}

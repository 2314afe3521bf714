//! Every price table of `fixtures/models/bad` gives the error or the warning that is written here.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read fails the test")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;

use cmat::pricing::PriceSource;
use cmat::pricing::PriceTable;
use cmat::pricing::Source;
use cmat::printable::printable_lines;
use insta::assert_snapshot;

#[test]
fn each_bad_table_says_what_is_wrong_and_what_to_write() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/bad");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut outcomes = String::new();
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let json = fs::read_to_string(&path).unwrap();
        writeln!(outcomes, "{name}: {}", outcome(&json)).unwrap();
    }
    assert_snapshot!(outcomes, @r#"
    bad_date: `models.json`: row 1 `claude-x` is left out, because `pricing.effective_from` is "7.10.2026"; write a UTC day as "2026-10-07"; rows: good; default: good
    bad_factor: `models.json`: row 1 `claude-x` is left out, because `modifiers.batch` is 0; write a factor above 0 and up to 10, of at most 4 decimal places; rows: good; default: good
    bad_pattern_type: `models.json`: row 1 `claude-x` is left out, because pattern_type `sql` is neither `regex` nor `glob`; rows: good; default: good
    bad_regex: `models.json`: row 1 `claude-x` is left out, because pattern `claude-(opus` is not a regex: unclosed group; rows: good; default: good
    bad_tier: `models.json`: row 1 `claude-x` is left out, because `tiers[].above_prompt_tokens` is missing; rows: good; default: good
    bom_and_crlf: rows: good; default: good
    empty: price table `models.json` is not JSON at line 1, column 0: EOF while parsing a value at line 1 column 0
    endless_id: `models.json`: row 1 `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is left out, because model id has 300 bytes, at most 256 are accepted; rows: good; default: good
    escape_in_id: `models.json`: row 1 `\u{1b}[31mx` is left out, because `pricing.input` is "1"; write a number, without quotes; rows: good; default: good
    hostile_regex: `models.json`: row 1 `claude-x` is left out, because pattern `((\w{1000}){1000}){1000}` needs more than 131072 bytes of memory; rows: good; default: good
    models_is_text: price table `models.json` has no `models`: a list of rows, or an object of rows by id
    nan: `models.json`: row 1 `claude-x` is left out, because `pricing.input` is NaN; write a number; rows: good; default: good
    nested: price table `models.json` is not JSON at line 1, column 138: recursion limit exceeded at line 1 column 138
    no_id: `models.json`: row 1 is left out, because `id` is missing; rows: good; default: good
    no_models: price table `models.json` has no `models`: a list of rows, or an object of rows by id
    no_output: `models.json`: row 1 `claude-x` is left out, because `pricing.output` is missing; rows: good; default: good
    no_pricing: `models.json`: row 1 `claude-x` is left out, because `pricing` is missing; rows: good; default: good
    not_a_table: price table `models.json` has no `models`: a list of rows, or an object of rows by id
    not_json: price table `models.json` is not JSON at line 1, column 1: expected value at line 1 column 1
    odd_unit: `models.json`: row 1 `claude-x` is left out, because `pricing.per_tokens` is 7; write 1000000, 1000 or 1; rows: ; default: claude-opus-5-5
    other_currency: `models.json`: row 1 `claude-x` is left out, because `pricing.currency` is "EUR"; write USD, the only one that cmat computes with; rows: ; default: claude-opus-5-5
    price_is_negative: `models.json`: row 1 `claude-x` is left out, because `pricing.input` cannot be used: price -1 is negative; rows: good; default: good
    price_is_text: `models.json`: row 1 `claude-x` is left out, because `pricing.input` is "3.00"; write a number, without quotes; rows: good; default: good
    price_is_too_fine: `models.json`: row 1 `claude-x` is left out, because `pricing.input` cannot be used: price 0.0000000000001 has more than 12 decimal places; rows: good; default: good
    price_is_too_high: `models.json`: row 1 `claude-x` is left out, because `pricing.input` cannot be used: price 1000000000 is above 1000000 USD per million tokens; rows: good; default: good
    price_of_many_digits: `models.json`: row 1 `claude-x` is left out, because `pricing.input` is 3.00000000000000000000000000000000000000…; write a number of at most 12 decimal places; rows: good; default: good
    repeated_id: `models.json`: row 2 `good` repeats an id; the first row with it holds; rows: good; default: good
    row_is_text: `models.json`: row 1 is left out, because it is not an object; rows: good; default: good
    tiny_price: rows: claude-x, good; default: claude-x
    truncated: price table `models.json` is not JSON at line 3, column 48: EOF while parsing an object at line 3 column 48
    two_defaults: `models.json`: row 2 `b` is marked `is_default` too; `a` stays the default; rows: a, b; default: a
    unknown_default: `models.json`: `default_model` is "b", which no price table has; rows: a; default: a
    "#);
}

#[test]
fn a_table_that_is_too_long_is_not_parsed() {
    let json = " ".repeat((1 << 20) + 1);
    assert_snapshot!(outcome(&json), @"price table `models.json` has 1048577 bytes, at most 1048576 are read");
}

#[test]
fn a_table_of_too_many_rows_is_refused() {
    let json = format!("{{\"models\": [{}1]}}", "1,".repeat(256));
    assert_snapshot!(outcome(&json), @"price table `models.json` has 257 rows, at most 256 are read");
}

/// Returns what a project's file leads to: the error with its causes, or warnings and the rows that are left.
fn outcome(json: &str) -> String {
    let source = Source { source: PriceSource::Project, origin: "models.json", json };
    let text = match PriceTable::with(&[source]) {
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                write!(text, ": {error}").unwrap();
                cause = error.source();
            }
            text
        }
        Ok(loaded) => {
            let mut text: String = loaded.warnings.iter().map(|warning| format!("{warning}; ")).collect();
            let rows = loaded.table.list_all().iter().filter(|row| row.source == PriceSource::Project);
            let ids: Vec<String> = rows.map(|row| row.id.to_string()).collect();
            write!(text, "rows: {}; default: {}", ids.join(", "), loaded.table.get_default().id).unwrap();
            text
        }
    };
    printable_lines(&text)
}

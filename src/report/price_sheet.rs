//! Models and their prices, as `cmat models list` and `show` print them. Their layout is a contract, byte for byte.

use jiff::civil::Date;
use serde_json::Value;
use serde_json::json;

use crate::money::Rate;
use crate::money::grouped;
use crate::pricing::DatedPrices;
use crate::pricing::Days;
use crate::pricing::Model;
use crate::pricing::StatedRates;
use crate::pricing::TokenKind;
use crate::printable::Printable;

/// How much of each model a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Input and output.
    InputAndOutput,
    /// All five prices and the long-prompt tiers.
    AllPrices,
}

/// Returns the list of `models` with their prices on `day`.
pub fn list(models: &[&Model], day: Date, detail: Detail) -> String {
    let mut text = format!("Available models ({}):\n", models.len());
    for model in models {
        let (prices, _) = model.prices_on(day);
        let rates = &prices.prices.rates;
        text.push_str(&format!(
            "\n  {}{}\n    Name: {}\n",
            model.id,
            default_mark(model),
            Printable(&model.name)
        ));
        push_rate(&mut text, "Input: ", rates.input);
        push_rate(&mut text, "Output:", rates.output);
        if detail == Detail::AllPrices {
            push_rate(&mut text, "Cache Write:   ", rates.cache_write_5m);
            push_rate(&mut text, "Cache Write 1h:", rates.cache_write_1h);
            push_rate(&mut text, "Cache Read:    ", rates.cache_read);
            for tier in prices.tiers.iter().filter(|tier| tier.days.contain(day)) {
                let (above, rates) = (grouped(tier.above_prompt_tokens), in_and_out(&tier.prices));
                text.push_str(&format!("    Prompts above {above} tokens: {rates}\n"));
            }
        }
    }
    text
}

fn push_rate(text: &mut String, label: &str, rate: Rate) {
    text.push_str(&format!("    {label} ${}/M tokens\n", rate.displayed()));
}

/// Returns one model with its four prices on `day`.
pub fn show(model: &Model, day: Date) -> String {
    let mut text =
        format!("Model: {}{}\n  Name: {}\n", model.id, default_mark(model), Printable(&model.name));
    if !model.description.is_empty() {
        text.push_str(&format!("  Description: {}\n", Printable(&model.description)));
    }
    if let Some(pattern) = &model.pattern {
        text.push_str(&format!("  Pattern: {}\n", Printable(pattern.as_str())));
    }
    if let Some(tokens) = model.max_tokens {
        text.push_str(&format!("  Max Tokens: {}\n", grouped(tokens)));
    }
    let rates = &model.prices_on(day).0.prices.rates;
    text.push_str("\n  Pricing (per million tokens):\n");
    for (label, rate) in [
        ("Input:      ", rates.input),
        ("Output:     ", rates.output),
        ("Cache Write:", rates.cache_write_5m),
        ("Cache Read: ", rates.cache_read),
    ] {
        text.push_str(&format!("    {label} ${}\n", rate.displayed()));
    }
    text
}

/// Returns all prices that a model ever had, with tiers, fast mode and modifiers.
pub fn history(model: &Model) -> String {
    let mut text = "\n  Price history (per million tokens, UTC days):\n".to_owned();
    for prices in model.history() {
        push_period(&mut text, &period(prices.days), &prices.prices);
        for tier in &prices.tiers {
            let above = format!("prompts above {} tokens", grouped(tier.above_prompt_tokens));
            push_period(&mut text, &format!("  {above}{}", within(tier.days)), &tier.prices);
        }
        for fast in &prices.fast {
            push_period(&mut text, &format!("  fast mode{}", within(fast.days)), &fast.prices);
        }
        if let Some(modifiers) = modifiers(prices) {
            text.push_str(&format!("    {modifiers}\n"));
        }
    }
    text
}

fn push_period(text: &mut String, period: &str, prices: &StatedRates) {
    let indent = " ".repeat(period.len() - period.trim_start().len());
    text.push_str(&format!("    {period}\n    {indent}"));
    for kind in TokenKind::ALL {
        let derived = if prices.derived.contains(&kind) { " (derived)" } else { "" };
        text.push_str(&format!("  {} ${}{derived}", kind.label(), prices.rates.of(kind).displayed()));
    }
    text.push('\n');
}

fn modifiers(prices: &DatedPrices) -> Option<String> {
    let mut parts = Vec::new();
    parts.extend(prices.batch.map(|factor| format!("batch ×{factor}")));
    parts.extend(prices.us_only.map(|factor| format!("US inference ×{factor}")));
    parts.extend(prices.web_search_per_1000.map(|rate| format!("1,000 web searches ${}", rate.displayed())));
    (!parts.is_empty()).then(|| format!("  {}", parts.join("  ")))
}

fn period(days: Days) -> String {
    match (days.from, days.until) {
        (None, None) => "always".to_owned(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(until)) => format!("before {until}"),
        (Some(from), Some(until)) => format!("from {from}, before {until}"),
    }
}

fn within(days: Days) -> String {
    if days == Days::default() { String::new() } else { format!(", {}", period(days)) }
}

fn default_mark(model: &Model) -> &'static str {
    if model.is_default { " (default)" } else { "" }
}

/// Returns input and output price in short: `$5.00 in / $25.00 out`.
pub fn in_and_out(prices: &StatedRates) -> String {
    format!("${} in / ${} out", prices.rates.input.displayed(), prices.rates.output.displayed())
}

/// Returns a row for programs: what it is, and its prices on `day`.
pub fn json(model: &Model, day: Date) -> Value {
    let (prices, _) = model.prices_on(day);
    let mut row = json!({
        "id": model.id,
        "name": model.name,
        "description": model.description,
        "pattern": model.pattern.as_ref().map(|pattern| pattern.as_str()),
        "pattern_kind": model.pattern.as_ref().map(|pattern| pattern.kind().to_string()),
        "max_tokens": model.max_tokens,
        "is_default": model.is_default,
        "source": model.source,
    });
    merge(&mut row, prices_json(prices));
    row
}

/// Returns all prices that a model ever had, for programs.
pub fn history_json(model: &Model) -> Value {
    model.history().iter().map(prices_json).collect()
}

fn prices_json(prices: &DatedPrices) -> Value {
    let mut json = rates_json(prices.days, &prices.prices);
    let tiers = prices.tiers.iter().map(|tier| {
        let mut json = json!({"above_prompt_tokens": tier.above_prompt_tokens});
        merge(&mut json, rates_json(tier.days, &tier.prices));
        json
    });
    let tiers: Vec<Value> = tiers.collect();
    let fast: Vec<Value> = prices.fast.iter().map(|fast| rates_json(fast.days, &fast.prices)).collect();
    merge(
        &mut json,
        json!({
            "tiers": tiers,
            "fast": fast,
            "batch": prices.batch,
            "us_only": prices.us_only,
            "web_search_per_1k": prices.web_search_per_1000,
        }),
    );
    json
}

fn rates_json(days: Days, prices: &StatedRates) -> Value {
    let rates = &prices.rates;
    json!({
        "effective_from": days.from,
        "effective_until": days.until,
        "input": rates.input,
        "output": rates.output,
        "cache_write": rates.cache_write_5m,
        "cache_write_1h": rates.cache_write_1h,
        "cache_read": rates.cache_read,
        "derived": prices.derived,
    })
}

/// Adds the members of one object to another.
fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::PriceSource;
    use crate::pricing::PriceTable;
    use crate::pricing::Source;

    fn table() -> PriceTable {
        let json = include_str!("../../fixtures/models/list.json");
        let source = Source { source: PriceSource::Project, origin: "models.json", json };
        PriceTable::with(&[source]).unwrap().table
    }

    fn today() -> Date {
        "2026-11-21".parse().unwrap()
    }

    #[test]
    fn lists_the_models_of_the_guide_as_the_guide_does() {
        let table = table();
        let rows: Vec<&Model> = table.list_all().iter().take(2).collect();
        assert_eq!(
            list(&rows, today(), Detail::InputAndOutput),
            "Available models (2):\n\
             \n\
             \x20 claude-sonnet-4-20250514 (default)\n\
             \x20   Name: Claude Sonnet 4\n\
             \x20   Input:  $3.00/M tokens\n\
             \x20   Output: $15.00/M tokens\n\
             \n\
             \x20 claude-opus-4-5-20251101\n\
             \x20   Name: Claude Opus 4.5\n\
             \x20   Input:  $15.00/M tokens\n\
             \x20   Output: $75.00/M tokens\n"
        );
    }

    #[test]
    fn shows_a_model_as_the_guide_does() {
        assert_eq!(
            show(table().get("claude-sonnet-4-20250514").unwrap(), today()),
            "Model: claude-sonnet-4-20250514 (default)\n\
             \x20 Name: Claude Sonnet 4\n\
             \x20 Description: Fast and intelligent model\n\
             \x20 Pattern: claude-sonnet-4-.*\n\
             \x20 Max Tokens: 8,192\n\
             \n\
             \x20 Pricing (per million tokens):\n\
             \x20   Input:       $3.00\n\
             \x20   Output:      $15.00\n\
             \x20   Cache Write: $3.75\n\
             \x20   Cache Read:  $0.30\n"
        );
    }

    #[test]
    fn lists_all_prices() {
        let rows = [PriceTable::built_in().get("claude-haiku-5-5").unwrap()];
        insta::assert_snapshot!(list(&rows, today(), Detail::AllPrices), @r#"
        Available models (1):

          claude-haiku-5-5
            Name: Claude Haiku 5.5
            Input:  $0.10/M tokens
            Output: $0.50/M tokens
            Cache Write:    $0.125/M tokens
            Cache Write 1h: $0.20/M tokens
            Cache Read:     $0.01/M tokens
            Prompts above 100,000 tokens: $0.50 in / $2.50 out
        "#);
    }

    #[test]
    fn shows_the_history_with_what_was_derived() {
        let rows = ["claude-sonnet-4-20250514", "claude-opus-4-6"];
        let text: String = rows.iter().map(|id| history(PriceTable::built_in().get(id).unwrap())).collect();
        insta::assert_snapshot!(text, @r#"

        Price history (per million tokens, UTC days):
          before 2025-08-12
            input $3.00  output $15.00  cache write 5m $3.75  cache write 1h $6.00  cache read $0.30
            batch ×0.5  1,000 web searches $10.00
          from 2025-08-12, before 2026-04-30
            input $3.00  output $15.00  cache write 5m $3.75  cache write 1h $6.00  cache read $0.30
            prompts above 200,000 tokens
              input $6.00  output $22.50  cache write 5m $7.50  cache write 1h $12.00  cache read $0.60
            batch ×0.5  1,000 web searches $10.00
          from 2026-04-30
            input $3.00  output $15.00  cache write 5m $3.75  cache write 1h $6.00  cache read $0.30
            batch ×0.5  1,000 web searches $10.00

        Price history (per million tokens, UTC days):
          before 2026-03-13
            input $5.00  output $25.00  cache write 5m $6.25  cache write 1h $10.00  cache read $0.50
            prompts above 200,000 tokens
              input $10.00  output $37.50  cache write 5m $12.50  cache write 1h $20.00  cache read $1.00
            fast mode, from 2026-02-07, before 2026-06-29
              input $30.00  output $150.00  cache write 5m $37.50  cache write 1h $60.00  cache read $3.00
            batch ×0.5  US inference ×1.1  1,000 web searches $10.00
          from 2026-03-13
            input $5.00  output $25.00  cache write 5m $6.25  cache write 1h $10.00  cache read $0.50
            fast mode, from 2026-02-07, before 2026-06-29
              input $30.00  output $150.00  cache write 5m $37.50  cache write 1h $60.00  cache read $3.00
            batch ×0.5  US inference ×1.1  1,000 web searches $10.00
        "#);
        insta::assert_snapshot!(history(table().get("claude-sonnet-4-20250514").unwrap()), @r#"

        Price history (per million tokens, UTC days):
          always
            input $3.00  output $15.00  cache write 5m $3.75  cache write 1h $6.00 (derived)  cache read $0.30
        "#);
    }

    #[test]
    fn gives_prices_to_programs_as_decimal_strings() {
        let json = json(PriceTable::built_in().get("claude-haiku-5-5").unwrap(), today());
        insta::assert_snapshot!(json, @r#"{"id":"claude-haiku-5-5","name":"Claude Haiku 5.5","description":"1M context, released 2026-10-07","pattern":"claude-haiku-5-5(-\\d{8})?$","pattern_kind":"regex","max_tokens":128000,"is_default":false,"source":"built_in","effective_from":null,"effective_until":null,"input":"0.1","output":"0.5","cache_write":"0.125","cache_write_1h":"0.2","cache_read":"0.01","derived":[],"tiers":[{"above_prompt_tokens":100000,"effective_from":null,"effective_until":null,"input":"0.5","output":"2.5","cache_write":"0.625","cache_write_1h":"1","cache_read":"0.05","derived":[]}],"fast":[],"batch":"0.5","us_only":"1.1","web_search_per_1k":"10"}"#);
    }
}

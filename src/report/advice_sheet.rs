//! What would have been cheaper, as text and JSON, each with its arithmetic.

use std::fmt::Write as _;

use serde_json::Value;
use serde_json::json;

use crate::advice::Advice;
use crate::advice::CacheTime;
use crate::advice::LongPrompts;
use crate::advice::OtherModel;
use crate::advice::Resumptions;
use crate::advice::WrittenFor;
use crate::money::Usd;
use crate::money::grouped;
use crate::pricing::CostByKind;
use crate::pricing::Kinship;
use crate::pricing::Tokenizer;
use crate::printable::Printable;
use crate::query::Dimension;
use crate::report::Billing;
use crate::report::COST_PLACES;
use crate::report::counted;
use crate::report::json::warnings;
use crate::report::sheet::Asked;
use crate::summary::Totals;

/// Returns the pieces of advice, numbered, each with the figures that it is computed from.
pub fn render(by: &Dimension, advice: &[Advice]) -> String {
    let mut text = String::new();
    for (n, advice) in (1_usize..).zip(advice) {
        let tilde = if advice.is_estimated() { "~" } else { "" };
        let at_most = if advice.is_at_most() { "up to " } else { "" };
        let saving = exact(advice.saving());
        let (head, lines) = match advice {
            Advice::Model(other) => of_model(by, other),
            Advice::CacheTime(time) => of_cache_time(time),
            Advice::Resumption(late) => of_resumptions(late),
            Advice::LongPrompt(long) => of_long_prompts(long),
        };
        let _infallible = writeln!(text, "{n}. {at_most}{tilde}{saving} less: {head}");
        for line in lines {
            let _infallible = writeln!(text, "     {line}");
        }
    }
    text
}

fn of_model(by: &Dimension, advice: &OtherModel) -> (String, Vec<String>) {
    let used_for = match &advice.used_for {
        Some(used_for) => Printable(used_for).to_string(),
        None => format!("work without {by}"),
    };
    let kinship = match advice.kinship {
        Kinship::Newer => "the newest of its family",
        Kinship::Smaller => "the next smaller family",
    };
    let (model, other) = (Printable(&advice.model), Printable(&advice.other));
    let tokens = &advice.tokens;
    let mut lines = vec![
        format!(
            "{}: in {}, out {}, write {}, read {} tokens",
            counted(advice.requests, "request"),
            grouped(tokens.input),
            grouped(tokens.output),
            grouped(tokens.cache_write()),
            grouped(tokens.cache_read),
        ),
        format!("paid     {}", sum(&advice.paid)),
        format!("instead  {}", sum(&advice.instead)),
    ];
    lines.extend(match advice.tokenizer {
        Tokenizer::Same => None,
        Tokenizer::More => {
            Some("its tokenizer counts about 30 % more: reckoned with 130 % of the tokens".to_owned())
        }
        Tokenizer::Fewer => {
            Some("its tokenizer counts fewer: reckoned with as many tokens, it would be less".to_owned())
        }
    });
    (format!("{used_for} on {other} instead of {model} ({kinship})"), lines)
}

fn of_cache_time(advice: &CacheTime) -> (String, Vec<String>) {
    let (whose, setting) = match advice.of_subagents {
        false => ("sessions", "promptCacheTtl"),
        true => ("subagents", "subagentPromptCacheTtl"),
    };
    let after = format!(
        "after {} of 5 minutes to an hour in {}",
        counted(advice.pauses, "pause"),
        counted(advice.sessions, "session"),
    );
    let (again, written) = (grouped(advice.rewritten), grouped(advice.written));
    let (rewrites, premium) = (exact(advice.rewrites), exact(advice.premium));
    match advice.instead {
        WrittenFor::OneHour => (
            format!("caches of {whose} written for 1 hour instead of 5 minutes (\"{setting}\": \"1h\")"),
            vec![
                format!("{after}: {again} tokens written again, {rewrites} more than reading them"),
                format!("all other {written} tokens written for an hour: {premium} more"),
            ],
        ),
        WrittenFor::FiveMinutes => (
            format!("caches of {whose} written for 5 minutes instead of 1 hour (\"{setting}\": \"5m\")"),
            vec![
                format!("{written} tokens written for an hour: {premium} more than for 5 minutes"),
                format!("{after}: {again} tokens would be written again, {rewrites} more than reading them"),
            ],
        ),
    }
}

fn of_resumptions(advice: &Resumptions) -> (String, Vec<String>) {
    let sessions = counted(advice.sessions, "session");
    (
        format!("{sessions} went on after the cache had run out, {} in all", counted(advice.times, "time")),
        vec![format!(
            "{} tokens sent again: {} more than reading them; a new session, or /compact before the pause, sends fewer",
            grouped(advice.sent_again),
            exact(advice.extra),
        )],
    )
}

fn of_long_prompts(advice: &LongPrompts) -> (String, Vec<String>) {
    (
        format!("prompts of more than {} tokens on {}", grouped(advice.above), Printable(&advice.model)),
        vec![format!(
            "{}, {} prompt tokens: paid {}, at the price of shorter prompts {}",
            counted(advice.requests, "request"),
            grouped(advice.prompt),
            exact(advice.paid),
            exact(advice.instead),
        )],
    )
}

/// Returns the kinds of cost that are not zero, and their sum.
fn sum(cost: &CostByKind) -> String {
    let kinds = [
        ("in", cost.input),
        ("out", cost.output),
        ("write 5m", cost.cache_write_5m),
        ("write 1h", cost.cache_write_1h),
        ("read", cost.cache_read),
        ("searches", cost.web_search),
    ];
    let parts: Vec<String> = kinds
        .into_iter()
        .filter(|(_, cost)| *cost != Usd::ZERO)
        .map(|(kind, cost)| format!("{kind} {}", exact(cost)))
        .collect();
    format!("{} = {}", parts.join(" + "), exact(cost.total()))
}

/// Returns an amount with all places that it is shown with elsewhere.
fn exact(amount: Usd) -> String {
    format!("${}", amount.rounded(COST_PLACES))
}

/// Returns `cmat.advise/1`; `looked_at` is what was looked at.
pub fn document(
    by: &Dimension,
    advice: &[Advice],
    looked_at: &Totals,
    asked: &Asked<'_>,
    billing: Billing,
) -> Value {
    let mut document = asked.envelope("cmat.advise/1", billing);
    document.insert("by".to_owned(), by.to_string().into());
    document.insert("spent_usd".to_owned(), json!(looked_at.cost.total()));
    document.insert("rows".to_owned(), advice.iter().map(row).collect());
    document.insert("warnings".to_owned(), warnings(looked_at).into());
    Value::Object(document)
}

fn row(advice: &Advice) -> Value {
    let (kind, more) = match advice {
        Advice::Model(other) => ("other_model", model_fields(other)),
        Advice::CacheTime(time) => ("cache_time", cache_time_fields(time)),
        Advice::Resumption(late) => (
            "resumed_late",
            json!({
                "sessions": late.sessions,
                "times": late.times,
                "sent_again_tokens": late.sent_again,
                "extra_cost_usd": late.extra,
            }),
        ),
        Advice::LongPrompt(long) => (
            "long_prompt",
            json!({
                "model": long.model,
                "above_prompt_tokens": long.above,
                "requests": long.requests,
                "prompt_tokens": long.prompt,
                "paid_usd": long.paid,
                "instead_usd": long.instead,
            }),
        ),
    };
    let mut row = json!({
        "kind": kind,
        "saving_usd": advice.saving(),
        "at_most": advice.is_at_most(),
        "estimated": advice.is_estimated(),
    });
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    row
}

fn model_fields(other: &OtherModel) -> Value {
    let by_kind = |cost: &CostByKind| {
        json!({
            "cost_usd": cost.total(),
            "cost_input_usd": cost.input,
            "cost_output_usd": cost.output,
            "cost_cache_write_usd": cost.cache_write_5m + cost.cache_write_1h,
            "cost_cache_read_usd": cost.cache_read,
            "cost_web_search_usd": cost.web_search,
        })
    };
    json!({
        "used_for": other.used_for,
        "model": other.model,
        "other_model": other.other,
        "kinship": match other.kinship {
            Kinship::Newer => "newer",
            Kinship::Smaller => "smaller",
        },
        "tokenizer": match other.tokenizer {
            Tokenizer::Same => "same",
            Tokenizer::More => "more",
            Tokenizer::Fewer => "fewer",
        },
        "requests": other.requests,
        "input_tokens": other.tokens.input,
        "output_tokens": other.tokens.output,
        "cache_write_5m_tokens": other.tokens.cache_write_5m,
        "cache_write_1h_tokens": other.tokens.cache_write_1h,
        "cache_read_tokens": other.tokens.cache_read,
        "paid": by_kind(&other.paid),
        "instead": by_kind(&other.instead),
    })
}

fn cache_time_fields(time: &CacheTime) -> Value {
    json!({
        "written_for": match time.instead {
            WrittenFor::OneHour => "1h",
            WrittenFor::FiveMinutes => "5m",
        },
        "of_subagents": time.of_subagents,
        "sessions": time.sessions,
        "pauses": time.pauses,
        "rewritten_tokens": time.rewritten,
        "rewrites_usd": time.rewrites,
        "written_tokens": time.written,
        "premium_usd": time.premium,
    })
}

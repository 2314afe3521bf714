//! Renders totals for people and for programs.
//!
//! Pure: figures in, text or JSON out. The layouts of `costs show` and `costs enhancement` are a contract, byte
//! for byte (`fixtures/outputs`); everything beyond them stands behind a flag. Rounding happens here only.

pub mod advice_sheet;
pub mod anomaly_sheet;
pub mod banner;
pub mod cache_sheet;
pub mod cost_sheet;
pub mod explanation;
pub mod json;
pub mod price_sheet;
pub mod sheet;
pub mod table;

use crate::money::Usd;
use crate::money::grouped;
use crate::summary::Totals;
use crate::usage::TokenUsage;

/// Decimal places of an amount in `costs`.
pub const COST_PLACES: u32 = 4;

/// What the amounts are to their owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Billing {
    /// What the API charges for the requests.
    #[default]
    Api,
    /// The owner pays a flat fee: amounts are what the API would have charged, not a bill.
    Subscription,
}

impl Billing {
    /// Returns the name that is configured and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Subscription => "subscription",
        }
    }
}

/// How sure an amount is; people see it as `~$1.23` and `$1.23+`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Certainty {
    /// A price was guessed.
    pub estimated: bool,
    /// The true amount may be higher: a lower bound, or a part without a price.
    pub at_least: bool,
}

impl Certainty {
    /// Returns how sure the cost of `totals` is.
    pub fn of(totals: &Totals) -> Self {
        Self {
            estimated: totals.estimated,
            at_least: totals.lower_bound || !totals.unpriced_models.is_empty(),
        }
    }

    /// Returns whether the amount is exact.
    pub fn is_exact(self) -> bool {
        self == Self::default()
    }
}

/// Amounts below ten dollars are shown with all places, so that little is not shown as nothing.
const SMALL: Usd = Usd::from_pico(10_000_000_000_000);

/// Returns how many decimal places show amounts of which `largest` is the largest.
pub fn places(largest: Usd) -> u32 {
    if largest < SMALL { COST_PLACES } else { 2 }
}

/// Returns an amount with its marks: `$0.0789`, `~$0.0789`, `$0.0789+`.
pub fn amount(cost: Usd, certainty: Certainty) -> String {
    let tilde = if certainty.estimated { "~" } else { "" };
    let plus = if certainty.at_least { "+" } else { "" };
    format!("{tilde}${}{plus}", cost.rounded(COST_PLACES))
}

/// Returns an amount with its marks and as many places as its size asks for: `$0.0789`, `~$12.35`.
pub fn sized_amount(cost: Usd, certainty: Certainty) -> String {
    let tilde = if certainty.estimated { "~" } else { "" };
    let plus = if certainty.at_least { "+" } else { "" };
    format!("{tilde}${}{plus}", cost.rounded(places(cost)))
}

/// Returns an amount as it is shown where there is little room, in cents: `$4.12`, `~$0.84+`.
pub fn short_amount(cost: Usd, certainty: Certainty) -> String {
    let tilde = if certainty.estimated { "~" } else { "" };
    let plus = if certainty.at_least { "+" } else { "" };
    format!("{tilde}${}{plus}", cost.rounded(2))
}

/// Returns a model's id as it is shown where there is little room: `claude-opus-5-5[1m]` is `opus-5.5`.
pub fn short_model(id: &str) -> String {
    let id = id.split('[').next().unwrap_or(id);
    let id = id.strip_prefix("claude-").unwrap_or(id);
    let mut short = String::new();
    let mut after_number = false;
    for part in id.split('-') {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && part.len() == DATE_DIGITS {
            continue;
        }
        if !short.is_empty() {
            short.push(if is_number && after_number { '.' } else { '-' });
        }
        short.push_str(part);
        after_number = is_number;
    }
    short
}

/// Digits of the date that an id may end with.
const DATE_DIGITS: usize = 8;

/// Returns an amount with its certainty in words, for a breakdown: `at least $0.0789`.
pub fn amount_in_words(cost: Usd, certainty: Certainty) -> String {
    let at_least = if certainty.at_least { "at least " } else { "" };
    format!("{at_least}{}", amount(cost, Certainty { at_least: false, ..certainty }))
}

/// Returns what a person should know about the certainty of figures, one sentence each.
pub fn remarks(totals: &Totals) -> Vec<String> {
    let mut remarks = Vec::new();
    if totals.estimated {
        remarks.push("estimated: a model or a price table is missing, so another price was taken (`cmat models check`)".to_owned());
    }
    if totals.lower_bound {
        remarks.push(
            "at least: the transcript lacks an answer that was cut off, has a line that cannot be read, or does not fit \
             what its client counted (`cmat explain`)"
                .to_owned(),
        );
    }
    if !totals.unpriced_models.is_empty() {
        let models: Vec<String> = totals.unpriced_models.iter().map(ToString::to_string).collect();
        remarks.push(format!(
            "without a price: {} (`cmat models add`, or if it has a row: `cmat explain`)",
            models.join(", ")
        ));
    }
    remarks
}

/// Returns a count with the name of what was counted, in the plural unless it is one: `1 row`, `2 searches`.
pub fn counted(n: impl TryInto<u64>, one: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    let ending = match n {
        1 => "",
        _ if one.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {one}{ending}", grouped(n))
}

/// Returns the share of `part` in `whole` with one decimal place, such as `15.2 %`; `–` of nothing.
pub fn percentage(part: Usd, whole: Usd) -> String {
    if whole <= Usd::ZERO {
        return "–".to_owned();
    }
    let per_mille = (part.pico() * 1000 + whole.pico() / 2) / whole.pico();
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

/// Returns which part of the prompts was read from the cache, in percent with one decimal place; `None` of nothing.
pub fn hit_percent(tokens: &TokenUsage) -> Option<String> {
    let prompt = u128::from(tokens.prompt());
    let per_mille = (u128::from(tokens.cache_read) * 1000 + prompt / 2).checked_div(prompt)?;
    Some(format!("{}.{}", per_mille / 10, per_mille % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_what_is_not_certain() {
        let cost: Usd = "0.0789".parse().unwrap();
        let check = |estimated, at_least, mark: &str, words: &str| {
            let certainty = Certainty { estimated, at_least };
            assert_eq!(amount(cost, certainty), mark);
            assert_eq!(amount_in_words(cost, certainty), words);
        };
        check(false, false, "$0.0789", "$0.0789");
        check(true, false, "~$0.0789", "~$0.0789");
        check(false, true, "$0.0789+", "at least $0.0789");
        check(true, true, "~$0.0789+", "at least ~$0.0789");
    }

    #[test]
    fn names_a_model_in_little_room() {
        let check = |id, short| assert_eq!(short_model(id), short, "{id}");
        check("claude-opus-5-5[1m]", "opus-5.5");
        check("claude-haiku-4-5-20251001", "haiku-4.5");
        check("claude-3-5-sonnet-20241022", "3.5-sonnet");
        check("claude-sonnet-4-20250514", "sonnet-4");
        check("glm-4.5-air", "glm-4.5-air");
        check("", "");
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(0_u64, "row"), "0 rows");
        assert_eq!(counted(1_u64, "row"), "1 row");
        assert_eq!(counted(1234_u64, "row"), "1,234 rows");
        assert_eq!(counted(2_u64, "web search"), "2 web searches");
    }

    #[test]
    fn shares_are_rounded_to_a_tenth() {
        let usd = |text: &str| -> Usd { text.parse().unwrap() };
        assert_eq!(percentage(usd("1"), usd("3")), "33.3 %");
        assert_eq!(percentage(usd("2"), usd("3")), "66.7 %");
        assert_eq!(percentage(usd("1"), usd("0")), "–");
    }
}

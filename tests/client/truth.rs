//! What the served tokens cost, by a calculator that shares nothing with cmat's.
//!
//! Prices are whole pico-dollars per token, which is USD per million tokens × 10⁶, as of November 2026.

use std::collections::BTreeSet;
use std::ops::AddAssign;

use serde_json::Value;

/// Prices of one model in pico-dollars per token.
struct Prices {
    input: u128,
    output: u128,
    write_5m: u128,
    write_1h: u128,
    read: u128,
}

/// Sonnet 4.6: 3 / 15 / 3.75 / 6 / 0.30 USD per million.
const SONNET_4_6: Prices =
    Prices { input: 3_000_000, output: 15_000_000, write_5m: 3_750_000, write_1h: 6_000_000, read: 300_000 };
/// Haiku 5.5, prompts up to 100,000 tokens: 0.10 / 0.50 / 0.125 / 0.20 / 0.01 USD per million.
const HAIKU_5_5: Prices =
    Prices { input: 100_000, output: 500_000, write_5m: 125_000, write_1h: 200_000, read: 10_000 };

/// 10 USD per thousand searches, in pico-dollars each.
const SEARCH: u128 = 10_000_000_000;

/// The tokens of one response, and what is counted beside them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) write_5m: u64,
    pub(crate) write_1h: u64,
    pub(crate) read: u64,
    /// Web searches, which cost beside tokens.
    pub(crate) searches: u64,
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, more: Self) {
        self.input += more.input;
        self.output += more.output;
        self.write_5m += more.write_5m;
        self.write_1h += more.write_1h;
        self.read += more.read;
        self.searches += more.searches;
    }
}

/// One response as far as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) session: String,
    pub(crate) model: String,
    pub(crate) tokens: Tokens,
}

impl Served {
    pub(crate) fn pico_usd(&self) -> u128 {
        let prices = match self.model.as_str() {
            "claude-sonnet-4-6" => SONNET_4_6,
            "claude-haiku-5-5" => HAIKU_5_5,
            other => panic!("the client asked for `{other}`, which no scenario expects"),
        };
        let Tokens { input, output, write_5m, write_1h, read, searches } = self.tokens;
        u128::from(input) * prices.input
            + u128::from(output) * prices.output
            + u128::from(write_5m) * prices.write_5m
            + u128::from(write_1h) * prices.write_1h
            + u128::from(read) * prices.read
            + u128::from(searches) * SEARCH
    }
}

/// What a task, or one session of it, cost.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Bill {
    pub(crate) requests: u64,
    pub(crate) tokens: Tokens,
    pub(crate) pico_usd: u128,
    pub(crate) models: BTreeSet<String>,
}

impl Bill {
    /// Returns the bill for `served`.
    pub(crate) fn of(served: &[Served]) -> Self {
        let mut bill = Self::default();
        for response in served {
            bill.requests += 1;
            bill.tokens += response.tokens;
            bill.pico_usd += response.pico_usd();
            bill.models.insert(response.model.clone());
        }
        bill
    }

    /// Returns the bill that `cmat costs show --json` shows.
    pub(crate) fn shown(show: &Value) -> Self {
        let count = |key: &str| show[key].as_u64().unwrap_or_else(|| panic!("no count `{key}` in {show:#}"));
        Self {
            requests: count("requests"),
            tokens: Tokens {
                input: count("input_tokens"),
                output: count("output_tokens"),
                write_5m: count("cache_write_5m_tokens"),
                write_1h: count("cache_write_1h_tokens"),
                read: count("cache_read_tokens"),
                searches: count("web_search_requests"),
            },
            pico_usd: pico(&show["cost_usd"]),
            models: show["models"].as_array().into_iter().flatten().map(text).collect(),
        }
    }

    /// Returns the amount with four decimals, half to even, as the task queue has it.
    pub(crate) fn usd_4(&self) -> String {
        const UNIT: u128 = 100_000_000;
        let (units, rest) = (self.pico_usd / UNIT, self.pico_usd % UNIT);
        let up = rest > UNIT / 2 || (rest == UNIT / 2 && units % 2 == 1);
        let units = units + u128::from(up);
        format!("{}.{:04}", units / 10_000, units % 10_000)
    }
}

/// Returns the pico-dollars of a decimal string such as `"0.0915453"`.
pub(crate) fn pico(amount: &Value) -> u128 {
    let amount = text(amount);
    let (whole, fraction) = amount.split_once('.').unwrap_or((&amount, ""));
    assert!(fraction.len() <= 12, "`{amount}` is finer than a pico-dollar");
    format!("{whole}{fraction:0<12}").parse().unwrap_or_else(|_| panic!("`{amount}` is not an amount"))
}

/// Returns the string that `value` is.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string")).to_owned()
}

//! What the prompt cache saved and cost, as text and JSON.

use std::fmt::Write as _;

use serde_json::Value;
use serde_json::json;

use crate::money::Usd;
use crate::money::grouped;
use crate::period::Calendar;
use crate::printable::Printable;
use crate::query::CacheGroup;
use crate::query::Dimension;
use crate::report::Billing;
use crate::report::hit_percent;
use crate::report::places;
use crate::report::sheet::Asked;
use crate::report::sheet::Label;
use crate::report::table;
use crate::report::table::Side;
use crate::summary::CacheTotals;

/// Returns what all groups come to.
pub fn whole(groups: &[CacheGroup]) -> CacheTotals {
    groups.iter().fold(CacheTotals::default(), |mut whole, group| {
        whole.add(&group.totals);
        whole
    })
}

/// Returns the table and what it comes to.
pub fn render(by: &[Dimension], groups: &[CacheGroup], calendar: &Calendar) -> String {
    let names: Vec<String> = by.iter().map(|dimension| dimension.to_string().to_uppercase()).collect();
    let mut headings: Vec<(&str, Side)> = names.iter().map(|name| (name.as_str(), Side::Left)).collect();
    headings.extend(
        ["HIT %", "SAVED BY READS", "WRITE PREMIUM", "NET", "NEVER READ", "WASTED"]
            .map(|name| (name, Side::Right)),
    );
    let rows = groups.iter().map(|group| {
        let labels = group.keys.iter().zip(by).map(|(key, dimension)| Label::of(key, dimension, calendar));
        let mut row: Vec<String> = labels.map(|label| Printable(&label.text()).to_string()).collect();
        row.extend(figures(&group.totals));
        row
    });
    let mut total = vec![String::new(); by.len()];
    total[0] = "Total".to_owned();
    let whole = whole(groups);
    total.extend(figures(&whole));
    let mut text = table::render(&headings, rows.chain([total]));
    let _infallible = write!(
        text,
        "\n  without a cache {} · paid {} · caching saved {}\n  written for 5 minutes: {} tokens, {} more than as input\n  \
         written for 1 hour: {} tokens, {} more than as input\n",
        amount(whole.uncached()),
        amount(whole.paid),
        amount(whole.net()),
        grouped(whole.tokens.cache_write_5m),
        amount(whole.premium_5m),
        grouped(whole.tokens.cache_write_1h),
        amount(whole.premium_1h),
    );
    text
}

fn figures(totals: &CacheTotals) -> [String; 6] {
    [
        hit_percent(&totals.tokens).unwrap_or_else(|| "–".to_owned()),
        amount(totals.saved_by_reads),
        amount(totals.premium_5m + totals.premium_1h),
        amount(totals.net()),
        grouped(totals.unread_tokens),
        amount(totals.wasted),
    ]
}

fn amount(amount: Usd) -> String {
    let (sign, size) = if amount < Usd::ZERO { ("-", -amount) } else { ("", amount) };
    format!("{sign}${}", size.rounded(places(size)))
}

/// Returns `cmat.cache/1`.
pub fn document(
    by: &[Dimension],
    groups: &[CacheGroup],
    calendar: &Calendar,
    asked: &Asked<'_>,
    billing: Billing,
) -> Value {
    let mut document = asked.envelope("cmat.cache/1", billing);
    let names: Vec<String> = by.iter().map(ToString::to_string).collect();
    let rows = groups.iter().map(|group| {
        let mut row = fields(&group.totals);
        for ((key, dimension), name) in group.keys.iter().zip(by).zip(&names) {
            row[name] = match Label::of(key, dimension, calendar) {
                Label::Unattributed => Value::Null,
                label => label.text().into(),
            };
        }
        row
    });
    document.insert("rows".to_owned(), rows.collect());
    document.insert("by".to_owned(), names.into());
    document.insert("totals".to_owned(), fields(&whole(groups)));
    Value::Object(document)
}

fn fields(totals: &CacheTotals) -> Value {
    json!({
        "hit_percent": hit_percent(&totals.tokens),
        "input_tokens": totals.tokens.input,
        "output_tokens": totals.tokens.output,
        "cache_write_5m_tokens": totals.tokens.cache_write_5m,
        "cache_write_1h_tokens": totals.tokens.cache_write_1h,
        "cache_read_tokens": totals.tokens.cache_read,
        "never_read_tokens": totals.unread_tokens,
        "cost_usd": totals.paid,
        "uncached_usd": totals.uncached(),
        "saved_by_reads_usd": totals.saved_by_reads,
        "premium_5m_usd": totals.premium_5m,
        "premium_1h_usd": totals.premium_1h,
        "net_usd": totals.net(),
        "wasted_usd": totals.wasted,
    })
}

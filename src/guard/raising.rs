//! Alerts raised for the thresholds that are reached: what is sent, and to which channels.
//!
//! It writes to the ledger; who delivers it stands in `alerts`.

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::budget::standing::Standing;
use crate::guard;
use crate::guard::words;
use crate::ledger::Durability;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::notices::Notice;
use crate::ledger::notices::NoticeKind;

/// Raises an alert on each channel for the thresholds that are reached and were not raised there in their period: the
/// highest of each budget, the lower ones with it.
pub fn raise(
    ledger: &mut Ledger,
    standings: &[Standing],
    channels: &[String],
    now: Timestamp,
) -> Result<(), LedgerError> {
    let mut fresh: Vec<(&Standing, Notice, &String)> = Vec::new();
    for standing in standings {
        for notice in guard::notices(standing) {
            for channel in channels {
                if !ledger.is_raised(&notice, channel)? {
                    fresh.push((standing, notice.clone(), channel));
                }
            }
        }
    }
    if fresh.is_empty() {
        return Ok(());
    }
    let mut recording = ledger.record(Durability::Repeatable, now)?;
    for (n, (standing, notice, channel)) in fresh.iter().enumerate() {
        let same = |(_, other, on): &(&Standing, Notice, &String)| {
            (&other.budget, &other.name, other.kind) == (&notice.budget, &notice.name, notice.kind)
                && on == channel
        };
        let is_highest = !fresh[n + 1..].iter().any(same);
        let text = document(standing, notice, now).to_string();
        recording.raise_alert(notice, channel, &text, is_highest)?;
    }
    recording.commit()
}

/// Returns `cmat.alert/1`: all that an alert tells.
pub fn document(standing: &Standing, notice: &Notice, now: Timestamp) -> Value {
    let budget = &standing.budget;
    let what = match notice.kind {
        NoticeKind::Spent => "spent",
        NoticeKind::Expected => "expected",
    };
    json!({
        "schema": "cmat.alert/1",
        "at": now,
        "text": words::notice(standing, notice),
        "kind": what,
        "percent": notice.percent,
        "budget": budget.id(),
        "name": standing.name,
        "project": budget.within,
        "period": budget.span.as_str(),
        "period_begins": (notice.period > Timestamp::MIN).then_some(notice.period),
        "timezone": budget.calendar.zone_name(),
        "limit_usd": standing.limit(),
        "spent_usd": standing.spent.cost,
        "used_percent": standing.percent(),
        "expected_usd": standing.expected,
        "estimated": standing.spent.estimated,
        "unpriced_requests": standing.spent.n_unpriced,
        "on_exceed": budget.on_exceed.as_str(),
    })
}

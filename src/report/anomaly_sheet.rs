//! What stands out, as text and JSON: each finding with the figures that it rests on.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::anomaly;
use crate::anomaly::ENOUGH_HOURS;
use crate::anomaly::ENOUGH_SESSIONS;
use crate::anomaly::Fence;
use crate::anomaly::Misses;
use crate::money::Usd;
use crate::money::grouped;
use crate::period::Calendar;
use crate::printable::Printable;
use crate::report::Billing;
use crate::report::COST_PLACES;
use crate::report::Certainty;
use crate::report::amount;
use crate::report::counted;
use crate::report::hit_percent;
use crate::report::json::warnings;
use crate::report::sheet::Asked;
use crate::summary::Totals;

/// Something that stands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// When it begins.
    pub first: Timestamp,
    /// Its last request.
    pub last: Timestamp,
    /// The session that it is about, or that spent most in the hour.
    pub session: Option<String>,
    /// The agent; `None`: the session itself, or several.
    pub agent: Option<String>,
    /// What it is.
    pub what: What,
}

/// What stands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// What a session spent by one agent is far above its other sessions.
    DearSession {
        /// What its requests come to.
        totals: Totals,
        /// What the others make far above.
        fence: Fence,
    },
    /// An hour is far above the other hours.
    DearHour {
        /// What its requests come to.
        totals: Totals,
        /// How many sessions spent in it.
        n_sessions: usize,
        /// What the dearest of them did.
        of_session: Usd,
        /// What the others make far above.
        fence: Fence,
    },
    /// Requests in a row did not read what the cache held.
    ColdCache {
        /// Id of the model's price row.
        model: String,
        /// They.
        misses: Misses,
    },
}

impl What {
    /// Returns the word for it in JSON.
    fn as_str(&self) -> &'static str {
        match self {
            Self::DearSession { .. } => "dear_session",
            Self::DearHour { .. } => "dear_hour",
            Self::ColdCache { .. } => "cold_cache",
        }
    }
}

/// Returns what is said where an agent has too few sessions.
pub fn too_few_sessions(agent: Option<&str>, n: usize) -> String {
    let whose =
        agent.map_or_else(|| "without an agent".to_owned(), |agent| format!("of {}", Printable(agent)));
    let needed = ENOUGH_SESSIONS + 1;
    format!("too little is known to compare sessions {whose}: {needed} with a cost are needed, there are {n}")
}

/// Returns what is said where there are too few hours.
pub fn too_few_hours(n: usize) -> String {
    let needed = ENOUGH_HOURS + 1;
    format!("too little is known to compare hours: {needed} with a cost are needed, there are {n}")
}

/// Returns two lines for each finding: what it is, and what it rests on.
pub fn render(findings: &[Finding], calendar: &Calendar) -> String {
    let mut text = String::new();
    for finding in findings {
        let when = finding.first.to_zoned(calendar.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
        let (head, figures) = words(finding);
        let _infallible = write!(text, "{when}  {head}\n                  {figures}");
        if let Some(session) = &finding.session {
            let _infallible = write!(text, " → cmat explain {}", Printable(session));
        }
        text.push('\n');
    }
    text
}

fn words(finding: &Finding) -> (String, String) {
    let session = finding.session.as_deref().unwrap_or("–");
    let session = Printable(session);
    let by = finding.agent.as_ref().map_or_else(String::new, |agent| format!(", {}", Printable(agent)));
    match &finding.what {
        What::DearSession { totals, fence } => {
            let minutes = finding.last.duration_since(finding.first).as_mins() + 1;
            let cost = totals.cost.total();
            (
                format!(
                    "session {session}{by}  {} in {minutes} min, {}× the median of {} like it",
                    amount(cost, Certainty::of(totals)),
                    anomaly::times(cost, fence.median),
                    fence.n_others,
                ),
                format!("{}; {}", basis(fence), figures(totals)),
            )
        }
        What::DearHour { totals, n_sessions, of_session, fence } => {
            let cost = totals.cost.total();
            (
                format!(
                    "an hour  {}, {}× the median of {} others",
                    amount(cost, Certainty::of(totals)),
                    anomaly::times(cost, fence.median),
                    fence.n_others,
                ),
                format!(
                    "{}; {}; {}, ${} of it session {session}",
                    basis(fence),
                    figures(totals),
                    counted(u64::try_from(*n_sessions).unwrap_or(u64::MAX), "session"),
                    of_session.rounded(COST_PLACES),
                ),
            )
        }
        What::ColdCache { model, misses } => (
            format!(
                "session {session}{by}  the cache stopped hitting: {} in a row on {}",
                counted(misses.requests, "request"),
                Printable(model),
            ),
            format!(
                "read {} of {} tokens that it held, sent {} again: ${} more than reading them, of ${}",
                grouped(misses.read),
                grouped(misses.held),
                grouped(misses.sent_again),
                misses.extra.rounded(COST_PLACES),
                misses.cost.rounded(COST_PLACES),
            ),
        ),
    }
}

fn basis(fence: &Fence) -> String {
    format!(
        "median ${}, upper quartile ${}, far above begins at ${}",
        fence.median.rounded(COST_PLACES),
        fence.upper_quartile.rounded(COST_PLACES),
        fence.limit.rounded(COST_PLACES),
    )
}

fn figures(totals: &Totals) -> String {
    let mut text = counted(totals.requests, "request");
    if let Some(percent) = hit_percent(&totals.tokens) {
        let _infallible = write!(text, ", cache hits {percent} %");
    }
    if let Some(prompt) = totals.tokens.prompt().checked_div(totals.requests).filter(|prompt| *prompt > 0) {
        let _infallible = write!(text, ", {} prompt tokens each", grouped(prompt));
    }
    text
}

/// Returns `cmat.anomalies/1`; `too_few` says what could not be compared, `looked_at` what was looked at.
pub fn document(
    findings: &[Finding],
    too_few: &[String],
    looked_at: &Totals,
    asked: &Asked<'_>,
    billing: Billing,
) -> Value {
    let mut document = asked.envelope("cmat.anomalies/1", billing);
    document.insert("rows".to_owned(), findings.iter().map(row).collect());
    let few = too_few.iter().map(|message| json!({ "code": "too_little_history", "message": message }));
    document.insert("warnings".to_owned(), warnings(looked_at).into_iter().chain(few).collect());
    Value::Object(document)
}

fn row(finding: &Finding) -> Value {
    let mut row = json!({
        "kind": finding.what.as_str(),
        "first": finding.first,
        "last": finding.last,
        "session": finding.session,
        "agent": finding.agent,
    });
    let more = match &finding.what {
        What::DearSession { totals, fence } => compared(totals, fence),
        What::DearHour { totals, n_sessions, of_session, fence } => {
            let mut more = compared(totals, fence);
            more["sessions"] = json!(n_sessions);
            more["session_cost_usd"] = json!(of_session);
            more
        }
        What::ColdCache { model, misses } => json!({
            "model": model,
            "requests": misses.requests,
            "held_tokens": misses.held,
            "read_tokens": misses.read,
            "sent_again_tokens": misses.sent_again,
            "extra_cost_usd": misses.extra,
            "cost_usd": misses.cost,
        }),
    };
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    row
}

fn compared(totals: &Totals, fence: &Fence) -> Value {
    let certainty = Certainty::of(totals);
    json!({
        "cost_usd": totals.cost.total(),
        "estimated": certainty.estimated,
        "lower_bound": certainty.at_least,
        "requests": totals.requests,
        "hit_percent": hit_percent(&totals.tokens),
        "prompt_tokens": totals.tokens.prompt(),
        "others": fence.n_others,
        "median_usd": fence.median,
        "upper_quartile_usd": fence.upper_quartile,
        "limit_usd": fence.limit,
        "times_median": anomaly::times(totals.cost.total(), fence.median),
    })
}

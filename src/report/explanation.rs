//! `explain`: each request × its price = its cost, so that anybody can compute it again.

use std::fmt::Write as _;

use rust_decimal::Decimal;
use serde_json::Value;
use serde_json::json;

use crate::money::grouped;
use crate::period::Calendar;
use crate::pricing::Price;
use crate::pricing::PriceSource;
use crate::printable::Printable;
use crate::report::COST_PLACES;
use crate::report::Certainty;
use crate::report::amount;
use crate::report::counted;
use crate::summary::ClientSays;
use crate::summary::Elsewhere;
use crate::summary::ExplainedCharge;
use crate::summary::ExplainedRequest;
use crate::summary::ExplainedRequests;
use crate::summary::ToldBy;
use crate::summary::Totals;

/// How many requests are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// The first 50.
    Short,
    /// All.
    Whole,
}

impl Length {
    /// Returns how many requests that are at most; `None`: as many as there are.
    pub fn limit(self) -> Option<u32> {
        match self {
            Self::Short => Some(50),
            Self::Whole => None,
        }
    }
}

/// What is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The requests.
    pub requests: ExplainedRequests,
    /// What the clients of their sessions say.
    pub clients_say: Vec<ClientSays>,
    /// What other writers recorded beside them.
    pub elsewhere: Elsewhere,
    /// What the requests come to, and how sure that is.
    pub totals: Totals,
}

/// Returns an explanation as text: the requests that are at hand, and what all of them come to.
pub fn render(explained: &Explained, calendar: &Calendar) -> String {
    let requests = &explained.requests;
    let mut text = format!("  times in {}, prices in USD per million tokens\n", calendar.zone_name());
    for request in &requests.first {
        explain_request(&mut text, request, calendar);
    }
    let total = explained.totals.cost.total();
    let n_requests = requests.n_all - requests.n_not_itemised;
    let n_more = requests.n_all.saturating_sub(requests.first.len() as u64);
    let more = if n_more > 0 { format!("… {} more (--all)   ", grouped(n_more)) } else { String::new() };
    let certainty = Certainty::of(&explained.totals);
    let n_repeats = requests.n_lines.saturating_sub(n_requests);
    let repeats = if n_repeats == 1 { "repeat" } else { "repeats" };
    let _infallible = writeln!(
        text,
        "  {more}Σ ${total} → {}   lines read {}, distinct requests {} ({} {repeats} ignored)",
        amount(total, certainty),
        grouped(requests.n_lines),
        grouped(n_requests),
        grouped(n_repeats),
    );
    for says in &explained.clients_say {
        let fit = if says.fits { "" } else { "; their tokens differ, so it may cost more than is known" };
        let _infallible = writeln!(
            text,
            "  session {}: its client reports ${}, cmat computes ${}{fit}",
            says.session,
            says.reported.rounded(COST_PLACES),
            says.computed.rounded(COST_PLACES),
        );
    }
    if explained.elsewhere.entries > 0 {
        let _infallible = writeln!(
            text,
            "  + ${} recorded elsewhere → {} in all",
            explained.elsewhere.cost.rounded(COST_PLACES),
            amount(total + explained.elsewhere.cost, certainty),
        );
    }
    text
}

fn explain_request(text: &mut String, request: &ExplainedRequest, calendar: &Calendar) {
    let at = request.at.to_zoned(calendar.zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
    let agent = request.agent.as_deref().map(|agent| format!("  {}", Printable(agent))).unwrap_or_default();
    let lower_bound = if request.complete { "" } else { "  at least: the answer was cut off" };
    // Almost always there is one charge; its row stands beside the model, which keeps the lines short.
    let row = match request.charges.as_slice() {
        [only] => row_of(only),
        _ => String::new(),
    };
    let id = if request.not_itemised { "not itemised" } else { &request.id };
    let id = Printable(id);
    let told = request.told.as_ref().map(told_by).unwrap_or_default();
    let _infallible = writeln!(text, "  {at}  {id}  {}{agent}{row}{lower_bound}{told}", request.model);
    for charge in &request.charges {
        let row = if request.charges.len() > 1 { row_of(charge) } else { String::new() };
        let _infallible = writeln!(text, "      {}{row}", equation(charge));
    }
}

/// Returns who told of a request and what they say it costs, behind a gap.
fn told_by(told: &ToldBy) -> String {
    let of =
        if told.requests == 1 { String::new() } else { format!(" of {}", counted(told.requests, "request")) };
    let operation =
        told.operation.as_deref().map(|operation| format!(", {}", Printable(operation))).unwrap_or_default();
    let reported = told.cost_reported.map(|cost| format!(", ${cost} as it says")).unwrap_or_default();
    format!("  told by {}{of}{operation}{reported}", Printable(&told.source))
}

fn equation(charge: &ExplainedCharge) -> String {
    let part = if ["message", "not_itemised"].contains(&charge.kind.as_str()) {
        String::new()
    } else {
        format!("{}: ", Printable(&charge.kind))
    };
    match (&charge.price, charge.unpriced.as_deref()) {
        (_, Some("too_large")) => format!("{part}its counts are too large to price"),
        (_, Some(_)) => format!("{part}no price row fits the model (`cmat models add`)"),
        (Some(price), None) => format!("{part}{} = ${}", terms(charge, price), charge.cost.total()),
        (None, None) => format!("{part}not billed: a refusal without an answer"),
    }
}

fn terms(charge: &ExplainedCharge, price: &Price) -> String {
    let (tokens, rates) = (&charge.tokens, &price.rates);
    let kinds = [
        ("in", tokens.input, rates.input),
        ("out", tokens.output, rates.output),
        ("write 5m", tokens.cache_write_5m, rates.cache_write_5m),
        ("write 1h", tokens.cache_write_1h, rates.cache_write_1h),
        ("read", tokens.cache_read, rates.cache_read),
    ];
    let terms: Vec<String> = kinds
        .into_iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(kind, count, rate)| format!("{kind} {} × ${}", grouped(count), rate.displayed()))
        .collect();
    let mut text = match (terms.len(), price.factor == Decimal::ONE) {
        (0, _) => "no tokens".to_owned(),
        (_, true) => terms.join(" + "),
        (_, false) => format!("({}) × {}", terms.join(" + "), price.factor.normalize()),
    };
    if charge.web_search_requests > 0 {
        let _infallible = write!(
            text,
            " + {} searches × ${} per 1,000",
            grouped(charge.web_search_requests),
            price.web_search_per_1000
        );
    }
    text
}

/// Returns the price row of a charge and what else made its price, behind a gap; nothing if it has no price.
fn row_of(charge: &ExplainedCharge) -> String {
    let Some(price) = &charge.price else { return String::new() };
    let mut notes = vec![format!("row {}", price.model)];
    if let Some(from) = price.effective_from {
        notes.push(format!("prices of {from}"));
    }
    notes.push(
        match price.source {
            PriceSource::Project => "the project's models.json",
            PriceSource::User => "the user's models.json",
            PriceSource::BuiltIn => "built-in",
        }
        .to_owned(),
    );
    if let Some(tokens) = price.tier_above {
        notes.push(format!("prompt above {}", grouped(tokens)));
    }
    for (applies, note) in [
        (price.fast, "fast mode"),
        (price.batch, "batch"),
        (price.us_inference, "US inference"),
        (!price.derived.is_empty(), "a cache price derived from the input price"),
        (charge.estimated, "estimated"),
    ] {
        if applies {
            notes.push(note.to_owned());
        }
    }
    format!("  ({})", notes.join(", "))
}

/// Returns `cmat.explain/1`: every request, every charge, the whole price row.
pub fn document(what: &str, explained: &Explained) -> Value {
    let requests = &explained.requests;
    json!({
        "schema": "cmat.explain/1",
        "what": what,
        "requests": requests.n_all - requests.n_not_itemised,
        "lines": requests.n_lines,
        "cost_usd": explained.totals.cost.total(),
        "recorded_elsewhere_usd": explained.elsewhere.cost,
        "clients_say": explained.clients_say.iter().map(|says| json!({
            "session": says.session,
            "reported_usd": says.reported,
            "computed_usd": says.computed,
            "not_itemised_usd": says.not_itemised,
            "fits": says.fits,
        })).collect::<Vec<_>>(),
        "estimated": explained.totals.estimated,
        "lower_bound": explained.totals.lower_bound,
        "unpriced_models": explained.totals.unpriced_models,
        "rows": requests.first.iter().map(request_row).collect::<Vec<_>>(),
    })
}

fn request_row(request: &ExplainedRequest) -> Value {
    json!({
        "request": request.id,
        "request_id": request.request_id,
        "not_itemised": request.not_itemised,
        "timestamp": request.at,
        "session": request.session,
        "agent": request.agent,
        "model": request.model,
        "lower_bound": !request.complete,
        "lines": request.n_lines,
        "source": request.told.as_ref().map(|told| &told.source),
        "requests": request.told.as_ref().map_or(1, |told| told.requests),
        "operation": request.told.as_ref().and_then(|told| told.operation.as_ref()),
        "cost_reported_usd": request.told.as_ref().and_then(|told| told.cost_reported),
        "cost_usd": request.cost(),
        "charges": request.charges.iter().map(charge_row).collect::<Vec<_>>(),
    })
}

fn charge_row(charge: &ExplainedCharge) -> Value {
    json!({
        "part": charge.kind,
        "price": charge.price,
        "unpriced": charge.unpriced,
        "estimated": charge.estimated,
        "input_tokens": charge.tokens.input,
        "output_tokens": charge.tokens.output,
        "cache_write_5m_tokens": charge.tokens.cache_write_5m,
        "cache_write_1h_tokens": charge.tokens.cache_write_1h,
        "cache_read_tokens": charge.tokens.cache_read,
        "web_search_requests": charge.web_search_requests,
        "cost_usd": charge.cost.total(),
        "cost_input_usd": charge.cost.input,
        "cost_output_usd": charge.cost.output,
        "cost_cache_write_5m_usd": charge.cost.cache_write_5m,
        "cost_cache_write_1h_usd": charge.cost.cache_write_1h,
        "cost_cache_read_usd": charge.cost.cache_read,
        "cost_web_search_usd": charge.cost.web_search,
    })
}

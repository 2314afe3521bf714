//! A report as a JSON document: `cmat.report/1`.

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;
use serde_json::json as document;

use crate::period::Days;
use crate::period::Period;
use crate::query::Filter;
use crate::report::Billing;
use crate::report::json::warnings;
use crate::report::sheet::Label;
use crate::report::sheet::Row;
use crate::report::sheet::Sheet;
use crate::summary::Totals;

/// A figure of a row.
pub(super) type Figure = fn(&Totals) -> Value;

/// The figures of a row, in the order of the columns of CSV.
pub(super) const FIGURES: [(&str, Figure); 15] = [
    ("requests", |totals| totals.requests.into()),
    ("input_tokens", |totals| totals.tokens.input.into()),
    ("output_tokens", |totals| totals.tokens.output.into()),
    ("cache_write_5m_tokens", |totals| totals.tokens.cache_write_5m.into()),
    ("cache_write_1h_tokens", |totals| totals.tokens.cache_write_1h.into()),
    ("cache_read_tokens", |totals| totals.tokens.cache_read.into()),
    ("web_search_requests", |totals| totals.web_search_requests.into()),
    ("cost_usd", |totals| document!(totals.cost.total())),
    ("cost_input_usd", |totals| document!(totals.cost.input)),
    ("cost_output_usd", |totals| document!(totals.cost.output)),
    ("cost_cache_write_usd", |totals| document!(totals.cost.cache_write_5m + totals.cost.cache_write_1h)),
    ("cost_cache_read_usd", |totals| document!(totals.cost.cache_read)),
    ("cost_web_search_usd", |totals| document!(totals.cost.web_search)),
    ("estimated", |totals| totals.estimated.into()),
    ("lower_bound", |totals| totals.lower_bound.into()),
];

/// What was asked, and when.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Which requests.
    pub filter: &'a Filter,
    /// Their days, where both ends are named or known.
    pub days: Option<Days>,
    /// The days to compare with.
    pub compared: Option<Days>,
    /// Name of the zone whose days they are.
    pub timezone: String,
    /// When it was answered, UTC.
    pub now: Timestamp,
}

impl Asked<'_> {
    /// Returns the beginning of every document of rows: all keys but `rows` and `totals`.
    pub fn envelope(&self, schema: &str, billing: Billing) -> Map<String, Value> {
        let Period { begins, ends } = self.filter.period;
        let conditions: Vec<String> = self.filter.conditions.iter().map(ToString::to_string).collect();
        let mut filter = document!({
            "since": (begins > Timestamp::MIN).then_some(begins),
            "before": (ends < Timestamp::MAX).then_some(ends),
            "where": conditions,
        });
        if let Some(days) = self.days {
            filter["days"] = document!([days.first, days.last]);
        }
        if let Some(days) = self.compared {
            filter["compared_days"] = document!([days.first, days.last]);
        }
        let mut envelope = Map::new();
        envelope.insert("schema".to_owned(), schema.into());
        envelope.insert("generated_at".to_owned(), document!(self.now));
        envelope.insert("timezone".to_owned(), self.timezone.clone().into());
        envelope.insert("currency".to_owned(), "USD".into());
        envelope.insert("billing".to_owned(), billing.as_str().into());
        envelope.insert("filter".to_owned(), filter);
        envelope
    }
}

/// Returns `cmat.report/1`.
pub fn json(sheet: &Sheet, asked: &Asked<'_>) -> Value {
    let mut document = asked.envelope("cmat.report/1", sheet.billing);
    let by: Vec<String> = sheet.by.iter().map(ToString::to_string).collect();
    document.insert("by".to_owned(), by.into());
    let rows: Vec<Value> = sheet.rows.iter().map(|row| Value::Object(labelled(sheet, row))).collect();
    document.insert("rows".to_owned(), rows.into());
    document.insert("totals".to_owned(), figures(&sheet.total).into());
    document.insert("warnings".to_owned(), warnings(&sheet.total.totals).into());
    Value::Object(document)
}

fn labelled(sheet: &Sheet, row: &Row) -> Map<String, Value> {
    let mut object = Map::new();
    for (dimension, label) in sheet.by.iter().zip(&row.labels) {
        let value = match label {
            Label::Period { name, .. } | Label::Name(name) => name.clone().into(),
            Label::Unattributed | Label::Any | Label::Others(_) => Value::Null,
        };
        object.insert(dimension.to_string(), value);
        if let Label::Others(n) = label {
            object.insert("others".to_owned(), (*n).into());
        }
    }
    object.extend(figures(row));
    object
}

/// Returns the figures of a row; `cost_before_usd` and `cost_change_usd` in a comparison.
pub(super) fn figures(row: &Row) -> Map<String, Value> {
    let figure = |(name, figure): &(&str, Figure)| ((*name).to_owned(), figure(&row.totals));
    let mut object: Map<String, Value> = FIGURES.iter().map(figure).collect();
    object.insert("unpriced_models".to_owned(), document!(row.totals.unpriced_models));
    let models: Vec<&str> = row.models.iter().map(|model| model.as_str()).collect();
    object.insert("models".to_owned(), models.into());
    if let Some(before) = &row.before {
        object.insert("requests_before".to_owned(), before.requests.into());
        object.insert("cost_before_usd".to_owned(), document!(before.cost.total()));
        let change = row.totals.cost.total() - before.cost.total();
        object.insert("cost_change_usd".to_owned(), document!(change));
    }
    object
}

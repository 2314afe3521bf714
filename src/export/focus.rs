//! FOCUS, the FinOps cost and usage format: version 1.2 with the two provider columns of 1.3, as CSV.
//!
//! One row for each day (UTC), project, price, kind of token and tags. What is there is an estimate from list prices,
//! not an invoice; what has no price is left out, because the format knows no unknown cost.

use std::collections::BTreeMap;
use std::io;
use std::io::Write;
use std::path::Path;

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::Map;
use serde_json::json;

use crate::export::AGENT;
use crate::export::BRANCH;
use crate::export::ENHANCEMENT;
use crate::export::Export;
use crate::export::OPERATION;
use crate::export::PROJECT;
use crate::export::PriceId;
use crate::export::Row;
use crate::export::TASK;
use crate::export::USER;
use crate::export::column::bearable;
use crate::export::column::kinds;
use crate::export::csv::io_error;
use crate::money::Usd;
use crate::report::Billing;
use crate::report::sheet::cell_for_spreadsheets;

/// The columns.
pub const COLUMNS: [&str; 58] = [
    "BilledCost",
    "EffectiveCost",
    "ListCost",
    "ContractedCost",
    "ListUnitPrice",
    "ContractedUnitPrice",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ConsumedQuantity",
    "ConsumedUnit",
    "PricingQuantity",
    "PricingUnit",
    "PricingCategory",
    "ProviderName",
    "PublisherName",
    "InvoiceIssuerName",
    "ServiceProviderName",
    "HostProviderName",
    "ServiceCategory",
    "ServiceSubcategory",
    "ServiceName",
    "SkuId",
    "SkuPriceId",
    "SkuMeter",
    "SkuPriceDetails",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "RegionId",
    "RegionName",
    "PricingCurrency",
    "PricingCurrencyListUnitPrice",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "CommitmentDiscountStatus",
    "InvoiceId",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "Tags",
    "x_Task",
    "x_Enhancement",
    "x_Branch",
    "x_Operation",
    "x_Model",
    "x_TokenType",
    "x_Estimated",
    "x_BillingBasis",
];

/// Kinds of tokens as rows name them, in the order of [`kinds`], and web searches.
const METERS: [&str; 6] = ["input", "output", "cache_write_5m", "cache_write_1h", "cache_read", "web_search"];

/// Place of web searches in [`METERS`].
const SEARCH: usize = 5;

/// Names that become tags, by their place in [`Row::names`].
const TAGS: [(&str, usize); 6] = [
    ("task", TASK),
    ("enhancement", ENHANCEMENT),
    ("branch", BRANCH),
    ("operation", OPERATION),
    ("agent", AGENT),
    ("user", USER),
];

/// What the charges of a row have in common.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Common {
    day: Date,
    project: Option<String>,
    model: String,
    price: String,
    tags: [Option<String>; TAGS.len()],
    estimated: bool,
}

#[derive(Debug)]
struct Sum {
    price: PriceId,
    counts: [u64; METERS.len()],
    costs: [Usd; METERS.len()],
}

/// Writes what requests cost as FOCUS rows.
pub struct Focus<W: Write> {
    writer: csv::Writer<W>,
    basis: Billing,
    sums: BTreeMap<Common, Sum>,
}

impl<W: Write> std::fmt::Debug for Focus<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Focus").field("sums", &self.sums.len()).finish_non_exhaustive()
    }
}

impl<W: Write> Focus<W> {
    /// Begins with the headings.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn new(out: W, basis: Billing) -> io::Result<Self> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        writer.write_record(COLUMNS).map_err(io_error)?;
        Ok(Self { writer, basis, sums: BTreeMap::new() })
    }
}

impl<W: Write> Export for Focus<W> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let (Some(price), Some(at)) = (row.price, row.at) else { return Ok(()) };
        let name = |n: usize| row.names[n].as_deref().map(str::to_owned);
        let common = Common {
            day: at.to_zoned(TimeZone::UTC).date(),
            project: name(PROJECT),
            model: row.model.to_owned(),
            price: price.hash.clone(),
            tags: TAGS.map(|(_, n)| name(n)),
            estimated: row.estimated,
        };
        let sum = self.sums.entry(common).or_insert_with(|| Sum {
            price: price.clone(),
            counts: [0; METERS.len()],
            costs: [Usd::ZERO; METERS.len()],
        });
        let [input, output, write_5m, write_1h, read] = kinds(row);
        let counts = [input, output, write_5m, write_1h, read, row.web_search_requests];
        let cost = &row.cost;
        let costs = [
            cost.input,
            cost.output,
            cost.cache_write_5m,
            cost.cache_write_1h,
            cost.cache_read,
            cost.web_search,
        ];
        for meter in 0..METERS.len() {
            sum.counts[meter] = sum.counts[meter].saturating_add(counts[meter]);
            sum.costs[meter] += costs[meter];
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        for (common, sum) in &self.sums {
            for meter in (0..METERS.len()).filter(|meter| sum.counts[*meter] > 0) {
                let row = cells(common, sum, meter, self.basis);
                self.writer
                    .write_record(row.iter().map(|cell| cell_for_spreadsheets(&bearable(cell)).into_owned()))
                    .map_err(io_error)?;
            }
        }
        self.writer.flush()
    }
}

/// Returns the cells of a row, in the order of [`COLUMNS`].
fn cells(common: &Common, sum: &Sum, meter: usize, basis: Billing) -> [String; COLUMNS.len()] {
    let Common { day, project, model, tags, estimated, .. } = common;
    let kind = METERS[meter];
    let price = &sum.price;
    // A price is for a million tokens, a thousand searches.
    let (per, unit, contracted, list) = match meter {
        SEARCH => (1000, "Requests", price.web_search_per_1000, price.list_web_search_per_1000),
        _ => (1_000_000, "Tokens", price.rates[meter], price.list_rates[meter]),
    };
    let quantity = Decimal::from(sum.counts[meter]) / Decimal::from(per);
    let cost = pointed(sum.costs[meter].to_string());
    let list_cost = decimal(quantity * list);
    let billed = match basis {
        Billing::Api => cost.clone(),
        Billing::Subscription => "0.0".to_owned(),
    };
    let basis = match basis {
        Billing::Api => "estimate from list prices, not an invoice",
        Billing::Subscription => "subscription: costs are API value, not billed",
    };
    let instant = |day: Date| format!("{day}T00:00:00Z");
    let next = |day: Date| day.tomorrow().unwrap_or(day);
    let month = day.first_of_month();
    let details = json!({ "x_TokenType": kind, "x_Model": model, "x_Terms": price.terms });
    let tag_object: Map<String, serde_json::Value> = TAGS
        .iter()
        .zip(tags)
        .filter_map(|((name, _), value)| Some(((*name).to_owned(), value.clone()?.into())))
        .collect();
    let tag = |name: &str| {
        let at = TAGS.iter().position(|(known, _)| *known == name);
        at.and_then(|at| tags[at].clone()).unwrap_or_default()
    };
    let account = project.as_deref().and_then(|path| Path::new(path).file_name()?.to_str());
    let text = str::to_owned;
    let anthropic = || text("Anthropic");
    [
        billed,
        cost.clone(),
        list_cost,
        cost.clone(),
        decimal(list),
        decimal(contracted),
        text("unknown"),
        text("Anthropic organization"),
        text("Organization"),
        text("USD"),
        instant(month),
        instant(month.checked_add(1.month()).unwrap_or(month)),
        instant(*day),
        instant(next(*day)),
        text("Usage"),
        String::new(),
        format!("{model} {} ({basis})", label(meter)),
        text("Usage-Based"),
        decimal(Decimal::from(sum.counts[meter])),
        text(unit),
        decimal(quantity),
        format!("{per} {unit}"),
        text("Standard"),
        anthropic(),
        anthropic(),
        anthropic(),
        anthropic(),
        anthropic(),
        text("AI and Machine Learning"),
        text("Generative AI"),
        text("Claude API"),
        format!("{model}/{kind}"),
        format!("{model}/{kind}/{}/{}", price.terms, price.hash),
        text(label(meter)),
        details.to_string(),
        project.clone().unwrap_or_else(|| text("unattributed")),
        text(account.unwrap_or("unattributed")),
        text("Project"),
        String::new(),
        String::new(),
        text("USD"),
        decimal(list),
        decimal(contracted),
        cost,
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        serde_json::Value::Object(tag_object).to_string(),
        tag("task"),
        tag("enhancement"),
        tag("branch"),
        tag("operation"),
        model.clone(),
        text(kind),
        estimated.to_string(),
        text(basis),
    ]
}

fn label(meter: usize) -> &'static str {
    match METERS[meter] {
        "input" => "input tokens",
        "output" => "output tokens",
        "cache_write_5m" => "cache write tokens (5 minutes)",
        "cache_write_1h" => "cache write tokens (1 hour)",
        "cache_read" => "cache read tokens",
        _ => "web searches",
    }
}

fn decimal(number: Decimal) -> String {
    pointed(number.normalize().to_string())
}

/// Decimals have a point, so that nobody takes a column of them for whole numbers.
fn pointed(number: String) -> String {
    if number.contains('.') { number } else { format!("{number}.0") }
}

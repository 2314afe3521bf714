//! `cmat export`: what requests cost, written out for other programs.

mod destination;
mod rates;

use std::borrow::Cow;
use std::ops::ControlFlow;

use jiff::civil::Date;
use serde_json::Value;
use serde_json::json;

use crate::cli::ExportArgs;
use crate::cli::ExportForm;
use crate::cli::ExportLevel;
use crate::cli::SelectionArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::Usage;
use crate::commands::budget::Stands;
use crate::commands::complain;
use crate::commands::export::destination::Destination;
use crate::commands::export::rates::Rates;
use crate::commands::selection::Selection;
use crate::export;
use crate::export::DIMENSIONS;
use crate::export::Export;
use crate::export::Exported;
use crate::export::Row;
use crate::export::accounting::Journal;
use crate::export::column;
use crate::export::column::Column;
use crate::export::column::Columns;
use crate::export::column::Content;
use crate::export::column::Level;
use crate::export::csv::Csv;
use crate::export::daily::Daily;
use crate::export::focus::Focus;
use crate::export::json::JsonDocument;
use crate::export::parquet::Parquet;
use crate::ledger::LedgerError;
use crate::ledger::rows::ChargedRequest;
use crate::money::Usd;
use crate::period::Calendar;
use crate::period::DayWords;
use crate::period::Period;
use crate::period::Unit;
use crate::query::Dimension;
use crate::report;
use crate::report::Billing;
use crate::report::Certainty;
use crate::report::counted;
use crate::report::json::Amounts;

/// What an export begins with where its form has room for a remark.
const REMARK: &str = "Written by cmat: an estimate from list prices, not an invoice.";
const REMARK_SUBSCRIPTION: &str =
    "Written by cmat: what the API would charge at list prices. A subscription bills none of it.";

pub(super) fn run(args: &ExportArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let columns = columns(args)?;
    let mut destination = Destination::of(args, context)?;
    let mut books = context.settled_books()?;
    let selection_args = match args.days {
        Some(n) => SelectionArgs { since: Some(DayWords::Last(n)), ..args.selection.clone() },
        None => args.selection.clone(),
    };
    let selection = context.selection(&selection_args, &books)?;
    let budgets = match args.form {
        ExportForm::Json => Stands::read(&mut books, context)?.json(),
        _ => Vec::new(),
    };
    let billing = context.config.billing;
    let (before, amounts) = (before(&selection, context), context.amounts());
    let writing = Writing { args, columns, before, budgets, billing, amounts };
    destination.begin(&writing)?;
    let exported = stream(&mut destination, &books, &selection, &writing.columns, &context.config.calendar)?;
    let name = destination.end()?;
    tell(args, &exported, &name, context);
    let certainty =
        Certainty { estimated: exported.estimated, at_least: exported.lower_bound || exported.unpriced };
    Ok(if context.global.strict && !certainty.is_exact() { Exit::Uncertain } else { Exit::Done })
}

/// Returns the columns of the export, after the flags were checked against its form.
fn columns(args: &ExportArgs) -> anyhow::Result<Vec<Column>> {
    let has_columns = matches!(args.form, ExportForm::Csv | ExportForm::Json | ExportForm::Parquet);
    if !has_columns && (args.columns.is_some() || args.level == ExportLevel::Daily) {
        return Err(Usage("`--columns` and `--level` are for csv, json and parquet".to_owned()).into());
    }
    if args.partition && args.form != ExportForm::Parquet {
        return Err(Usage("`--partition` is for parquet".to_owned()).into());
    }
    let usual = match args.form {
        ExportForm::Json | ExportForm::Parquet => Columns::All,
        _ => Columns::Usual,
    };
    let columns = args.columns.clone().unwrap_or(usual);
    if level(args) == Level::Daily
        && let Some(column) = columns.of_request_only()
    {
        return Err(Usage(format!(
            "a sum of a day has no `{}`: leave it out of `--columns`, or name `date`",
            column.name
        ))
        .into());
    }
    Ok(columns.at(level(args)))
}

fn level(args: &ExportArgs) -> Level {
    match args.level {
        ExportLevel::Request => Level::Request,
        ExportLevel::Daily => Level::Daily,
    }
}

/// Returns the members of a JSON document before its rows.
fn before(selection: &Selection, context: &Context<'_>) -> Value {
    let asked = context.asked(&selection.filter, selection.days);
    Value::Object(asked.envelope("cmat.export/1", context.config.billing))
}

/// What is needed to begin a file.
struct Writing<'a> {
    args: &'a ExportArgs,
    columns: Vec<Column>,
    before: Value,
    /// How each budget stands.
    budgets: Vec<Value>,
    billing: Billing,
    amounts: Amounts,
}

impl Writing<'_> {
    fn export<W: std::io::Write + Send + 'static>(&self, out: W) -> anyhow::Result<Box<dyn Export>> {
        let columns = self.columns.clone();
        let remark = match self.billing {
            Billing::Api => REMARK,
            Billing::Subscription => REMARK_SUBSCRIPTION,
        };
        let export: Box<dyn Export> = match self.args.form {
            ExportForm::Csv => Box::new(Csv::new(out, columns)?),
            ExportForm::Json => {
                let after = json!({ "remark": remark, "budgets": self.budgets });
                let level = level(self.args);
                Box::new(JsonDocument::new(out, level, columns, self.amounts, &self.before, after)?)
            }
            ExportForm::Parquet => Box::new(Parquet::new(out, columns)?),
            ExportForm::Focus => Box::new(Focus::new(out, self.billing)?),
            ExportForm::Ledger => Box::new(Journal::new(out, remark)),
        };
        Ok(match self.args.level {
            ExportLevel::Request => export,
            ExportLevel::Daily => Box::new(Daily::new(export, &self.columns)),
        })
    }
}

/// Writes all charges that are meant.
fn stream(
    destination: &mut Destination<'_>,
    books: &crate::booking::Books,
    selection: &Selection,
    columns: &[Column],
    calendar: &Calendar,
) -> anyhow::Result<Exported> {
    let mut told = export::dimensions();
    let is_column = |place: usize| columns.iter().any(|column| column.content == Content::Name(place));
    told.retain(|(place, _)| column::is_usual(*place) || is_column(*place));
    let dimensions: Vec<Dimension> = told.iter().map(|(_, dimension)| dimension.clone()).collect();
    let places: Vec<usize> = told.iter().map(|(place, _)| *place).collect();
    let mut rates = Rates::new(books.ledger.prices()?);
    let mut days = Days {
        calendar,
        period: Period { begins: jiff::Timestamp::MAX, ends: jiff::Timestamp::MIN },
        day: Date::MIN,
    };
    let mut exported = Exported::default();
    books.ledger.each_charge(&selection.filter, &dimensions, calendar, |charge| {
        let mut row = row(charge, &places, days.day(charge.at))?;
        rates.price(charge, &mut row);
        exported.add(&row);
        destination.row(&row)?;
        Ok::<_, anyhow::Error>(ControlFlow::Continue(()))
    })?;
    Ok(exported)
}

/// Days of instants; those that follow each other are mostly of one.
struct Days<'a> {
    calendar: &'a Calendar,
    period: Period,
    day: Date,
}

impl Days<'_> {
    fn day(&mut self, at: jiff::Timestamp) -> Date {
        if !self.period.contains(at) {
            self.period = self.calendar.period(Unit::Day, at);
            self.day = self.calendar.day(at);
        }
        self.day
    }
}

fn row<'row>(charge: &ChargedRequest<'row>, places: &[usize], day: Date) -> Result<Row<'row>, LedgerError> {
    let mut names: [Option<Cow<'row, str>>; DIMENSIONS.len()] = Default::default();
    for (n, place) in places.iter().enumerate() {
        names[*place] = charge.key(n)?;
    }
    Ok(Row {
        at: Some(charge.at),
        day,
        names,
        request: Some(charge.request),
        model: charge.model,
        price: None,
        requests: if charge.part == 0 { charge.requests } else { 0 },
        tokens: charge.tokens,
        web_search_requests: charge.web_search_requests,
        cost: charge.cost,
        list_cost: Usd::ZERO,
        estimated: charge.estimated,
        lower_bound: !charge.complete,
        unpriced: charge.unpriced.is_some(),
        source: charge.source,
        cost_reported: charge.cost_reported.filter(|_| charge.part == 0),
    })
}

fn tell(args: &ExportArgs, exported: &Exported, name: &str, context: &Context<'_>) {
    let tilde = if exported.estimated { "~" } else { "" };
    let plus = if exported.lower_bound || exported.unpriced { "+" } else { "" };
    let value = match context.config.billing {
        Billing::Api => "",
        Billing::Subscription => " of API value",
    };
    complain(&format!(
        "{}, {tilde}${}{plus}{value} → {name}",
        counted(exported.requests, "request"),
        exported.cost.rounded(report::places(exported.cost))
    ));
    if args.form == ExportForm::Focus {
        complain("an estimate from list prices, not an invoice");
        if exported.unpriced {
            complain(
                "requests without a price are left out: FOCUS knows no unknown cost (`cmat models check`)",
            );
        }
    }
    if exported.rows == 0 {
        complain("no requests are recorded that this asks for");
    }
}

//! `cmat summary`: some days summed up.

use serde_json::Value;
use serde_json::json;

use crate::cli::SummaryArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::budget::Stands;
use crate::money::Usd;
use crate::money::grouped;
use crate::period::DayWords;
use crate::query::Dimension;
use crate::query::Filter;
use crate::report;
use crate::report::Certainty;
use crate::report::sheet;
use crate::report::sheet::Repeats;
use crate::report::sheet::Sheet;

pub(super) fn run(args: &SummaryArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut books = context.asked_books()?;
    let calendar = context.config.calendar.clone();
    let days = context.days(DayWords::Last(args.days), DayWords::DaysAgo(0))?;
    let filter = Filter { period: calendar.period_of(days), ..Filter::ALL };
    let sheet = |dimension: Dimension| -> anyhow::Result<Sheet> {
        let by = [dimension];
        let groups = books.ledger.groups(&filter, &by, &calendar)?;
        Ok(Sheet::new(&by, groups, None, &calendar, context.config.billing))
    };
    let (models, operations) = (sheet(Dimension::Model)?, sheet(Dimension::Operation)?);
    let totals = models.total.totals.clone();
    let budgets = Stands::read(&mut books, context)?;
    let daily = totals.cost.total().average(args.days.into()).unwrap_or_default();
    if context.global.json {
        let asked = context.asked(&filter, Some(days));
        let mut document = Value::Object(asked.envelope("cmat.summary/1", context.config.billing));
        document["daily_average_usd"] = json!(daily);
        document["models"] = sheet::json(&models, &asked)["rows"].take();
        document["operations"] = sheet::json(&operations, &asked)["rows"].take();
        document["budgets"] = budgets.json().into();
        document["totals"] = sheet::json(&models, &asked)["totals"].take();
        document["warnings"] = report::json::warnings(&totals).into();
        context.print_json(&document)?;
    } else {
        let certainty = Certainty::of(&totals);
        let per_request = |tokens: u64| grouped(tokens.checked_div(totals.requests).unwrap_or_default());
        writeln!(context.out, "{days} ({})", calendar.zone_name())?;
        for (label, value) in [
            ("Total Cost:", report::amount(totals.cost.total(), certainty)),
            ("Daily Average:", report::amount(daily, certainty)),
            ("Requests:", grouped(totals.requests)),
            ("Input Tokens:", grouped(totals.tokens.input)),
            ("Output Tokens:", grouped(totals.tokens.output)),
            ("Cache Creation:", grouped(totals.tokens.cache_write())),
            ("Cache Read:", grouped(totals.tokens.cache_read)),
            ("Prompt/Request:", per_request(totals.tokens.prompt())),
            ("Output/Request:", per_request(totals.tokens.output)),
        ] {
            writeln!(context.out, "  {label:<15} {value:>16}")?;
        }
        if totals.requests > 0 || totals.cost.total() > Usd::ZERO {
            for part in [&models, &operations] {
                write!(context.out, "\n{}", sheet::text(part, Repeats::Written, None))?;
            }
        }
        if !budgets.is_empty() {
            write!(context.out, "\n{}", budgets.table(&books)?)?;
        }
    }
    context.remark(&totals);
    Ok(context.certain_exit(&totals))
}

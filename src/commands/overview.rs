//! `cmat` alone, and `cmat status`: what was spent today, in seven days and this month, how the budgets stand, and the
//! dearest tasks.

use serde_json::Value;
use serde_json::json;

use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::budget::Stands;
use crate::commands::complain;
use crate::commands::report::NOTHING_RECORDED;
use crate::period::DayWords;
use crate::period::Days;
use crate::period::WholeUnit;
use crate::query;
use crate::query::Dimension;
use crate::query::Filter;
use crate::report::cost_sheet;
use crate::report::json;
use crate::report::sheet;
use crate::report::sheet::Order;
use crate::report::sheet::Repeats;
use crate::report::sheet::Sheet;
use crate::summary::Elsewhere;
use crate::summary::Totals;

/// How many tasks are shown.
const TOP_TASKS: usize = 5;

/// The periods that are shown, each with its name and the words for it.
const PERIODS: [(&str, DayWords); 3] = [
    ("today", DayWords::DaysAgo(0)),
    ("7 days", DayWords::Last(7)),
    ("this month", DayWords::Ago(WholeUnit::Month, 0)),
];

pub(super) fn run(context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut books = context.asked_books()?;
    let calendar = context.config.calendar.clone();
    let mut periods: Vec<(&str, Days, Totals)> = Vec::new();
    for (name, words) in PERIODS {
        let days = context.days(words, words)?;
        let filter = Filter { period: calendar.period_of(days), ..Filter::ALL };
        periods.push((name, days, query::whole(&books.ledger.groups(&filter, &[], &calendar)?)));
    }
    let by = [Dimension::Task];
    let longest = context.days(DayWords::Last(30), DayWords::DaysAgo(0))?;
    let filter = Filter { period: calendar.period_of(longest), ..Filter::ALL };
    let groups = books.ledger.groups(&filter, &by, &calendar)?;
    let is_empty = books.ledger.is_empty()?;
    let mut tasks = Sheet::new(&by, groups, None, &calendar, context.config.billing);
    tasks.sort(Order::Cost);
    tasks.keep_top(TOP_TASKS);
    let budgets = Stands::read(&mut books, context)?;
    if context.global.json {
        let document = document(&periods, &budgets, &tasks, longest, context);
        context.print_json(&document)?;
    } else {
        let rows = periods.iter().map(|(name, _, totals)| ((*name).to_owned(), totals));
        write!(context.out, "{}", cost_sheet::totals_table("SPENT", rows))?;
        if !budgets.is_empty() {
            write!(context.out, "\n{}", budgets.table(&books)?)?;
        }
        if !tasks.rows.is_empty() {
            let text = sheet::text(&tasks, Repeats::Written, None);
            write!(context.out, "\n  30 days, dearest tasks\n{text}")?;
        }
        if is_empty {
            complain(NOTHING_RECORDED);
        }
    }
    let mut whole = tasks.total.totals.clone();
    periods.iter().for_each(|(_, _, totals)| whole.add(totals));
    context.remark(&whole);
    Ok(context.certain_exit(&whole))
}

/// Returns `cmat.overview/1`.
fn document(
    periods: &[(&str, Days, Totals)],
    budgets: &Stands,
    tasks: &Sheet,
    days_of_tasks: Days,
    context: &Context<'_>,
) -> Value {
    let rows = periods.iter().map(|(name, days, totals)| {
        let mut row = json!({ "period": name, "days": [days.first, days.last] });
        json::extend(&mut row, json::figures(totals, &Elsewhere::default()));
        row
    });
    let top = tasks.rows.iter().map(|row| {
        let name = match row.labels.first() {
            Some(sheet::Label::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        let others = match row.labels.first() {
            Some(sheet::Label::Others(n)) => Some(*n),
            _ => None,
        };
        let mut document = json!({ "task": name, "others": others });
        json::extend(&mut document, json::figures(&row.totals, &Elsewhere::default()));
        document
    });
    let calendar = &context.config.calendar;
    json!({
        "schema": "cmat.overview/1",
        "generated_at": context.config.now(),
        "timezone": calendar.zone_name(),
        "currency": "USD",
        "billing": context.config.billing.as_str(),
        "rows": rows.collect::<Vec<_>>(),
        "budgets": budgets.json(),
        "tasks": { "days": [days_of_tasks.first, days_of_tasks.last], "rows": top.collect::<Vec<_>>() },
    })
}

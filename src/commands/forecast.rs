//! `cmat forecast`: what today, this week and this month are expected to come to.

use jiff::Timestamp;
use jiff::ToSpan as _;
use serde_json::json;

use crate::budget::forecast;
use crate::budget::forecast::Forecast;
use crate::budget::forecast::HISTORY_DAYS;
use crate::budget::forecast::Habit;
use crate::cli::ForecastArgs;
use crate::cli::SelectionArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::complain;
use crate::money::Usd;
use crate::period::Days;
use crate::period::Period;
use crate::period::Unit;
use crate::query;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Key;
use crate::report;
use crate::report::Certainty;
use crate::report::table;
use crate::report::table::Side;
use crate::summary::Totals;

/// The periods that are told of, shortest first.
const PERIODS: [(&str, Unit); 3] =
    [("today", Unit::Day), ("this week", Unit::Week), ("this month", Unit::Month)];

/// A period, what was spent in it and what it is expected to come to.
struct Row {
    period: &'static str,
    days: Days,
    spent: Usd,
    certainty: Certainty,
    forecast: Option<Forecast>,
}

pub(super) fn run(args: &ForecastArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let asked = SelectionArgs { conditions: args.conditions.clone(), ..SelectionArgs::default() };
    let conditions = context.selection(&asked, &books)?.filter.conditions;
    let calendar = context.config.calendar.clone();
    let now = books.now;
    let today = calendar.day(now);
    // A month reaches back less far than the history.
    let begins = calendar.start_of_day(forecast::history_begins(today));
    let filter = Filter { period: Period { begins, ends: Timestamp::MAX }, conditions };
    let groups = books.ledger.groups(&filter, &[Dimension::Time(Unit::Day)], &calendar)?;
    let (mut days, mut totals) = (Vec::new(), Vec::new());
    for group in &groups {
        if let [Key::Begins(at)] = group.keys.as_slice() {
            days.push((calendar.day(*at), group.totals.cost.total()));
            totals.push((calendar.day(*at), &group.totals));
        }
    }
    let habit = Habit::of(&days, today);
    let rows = PERIODS.map(|(period, unit)| {
        let times = calendar.period(unit, now);
        let last = times.ends.saturating_sub(1.millisecond()).unwrap_or(times.ends);
        let within = Days { first: calendar.day(times.begins), last: calendar.day(last) };
        let spent = days.iter().filter(|(day, _)| within.first <= *day && *day <= within.last);
        let spent = spent.map(|(_, cost)| *cost).sum();
        let mut sure = Totals::default();
        let in_it = totals.iter().filter(|(day, _)| within.first <= *day && *day <= within.last);
        in_it.for_each(|(_, totals)| sure.add(totals));
        let forecast = habit.as_ref().ok().map(|habit| habit.forecast(spent, now, times.ends, &calendar));
        Row { period, days: within, spent, certainty: Certainty::of(&sure), forecast }
    });
    let whole = query::whole(&groups);
    if context.global.json {
        let shown = rows.iter().map(|row| {
            let amount = |part: fn(&Forecast) -> Usd| row.forecast.as_ref().map(part);
            json!({
                "period": row.period,
                "first_day": row.days.first,
                "last_day": row.days.last,
                "spent_usd": row.spent,
                "expected_usd": amount(|forecast| forecast.expected),
                "low_usd": amount(|forecast| forecast.low),
                "high_usd": amount(|forecast| forecast.high),
            })
        });
        let too_few =
            habit.as_ref().err().map(|few| json!({ "code": "too_few_days", "message": few.to_string() }));
        let (n_active, n_days) = match &habit {
            Ok(habit) => (habit.n_active, habit.n_days),
            Err(few) => (few.n_active, HISTORY_DAYS),
        };
        context.print_json(&json!({
            "schema": "cmat.forecast/1",
            "generated_at": now,
            "timezone": calendar.zone_name(),
            "currency": "USD",
            "billing": context.config.billing.as_str(),
            "days": n_days,
            "active_days": n_active,
            "rows": shown.collect::<Vec<_>>(),
            "warnings": report::json::warnings(&whole).into_iter().chain(too_few).collect::<Vec<_>>(),
        }))?;
    } else {
        let certainty = Certainty::of(&whole);
        let headings = [
            ("PERIOD", Side::Left),
            ("ENDS", Side::Left),
            ("SPENT", Side::Right),
            ("EXPECTED", Side::Right),
            ("80 % RANGE", Side::Left),
        ];
        let cells = rows.iter().map(|row| {
            let (expected, range) = match &row.forecast {
                Some(forecast) => (
                    report::sized_amount(forecast.expected, certainty),
                    format!(
                        "${} – ${}",
                        forecast.low.rounded(report::places(forecast.high)),
                        forecast.high.rounded(report::places(forecast.high))
                    ),
                ),
                None => ("–".to_owned(), "–".to_owned()),
            };
            let spent = report::sized_amount(row.spent, row.certainty);
            vec![row.period.to_owned(), row.days.last.to_string(), spent, expected, range]
        });
        write!(context.out, "{}", table::render(&headings, cells))?;
        match &habit {
            Ok(habit) => {
                let (n_active, n_days) = (habit.n_active, habit.n_days);
                writeln!(context.out, "  from {n_days} days before today, {n_active} of them active")?;
            }
            Err(few) => complain(&few.to_string()),
        }
    }
    context.remark(&whole);
    Ok(context.certain_exit(&whole))
}

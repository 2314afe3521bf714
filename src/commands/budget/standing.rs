//! `cmat budget list | status | check`: which budgets hold, how they stand, what may be spent.

use serde_json::Value;
use serde_json::json;

use crate::booking::Books;
use crate::budget::Budget;
use crate::budget::OnExceed;
use crate::budget::scope::Subject;
use crate::budget::standing::Standing;
use crate::budget::standing::Verdict;
use crate::budget::standing::strictest;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::chain;
use crate::commands::complain;
use crate::config::budgets::Budgets;
use crate::config::budgets::Fail;
use crate::guard;
use crate::guard::Known;
use crate::guard::words;
use crate::guard::words::Stopped;
use crate::ledger::notices::NoticeKind;
use crate::money::Usd;
use crate::printable::Printable;
use crate::report::table;
use crate::report::table::Side;
use crate::task_file;

/// What is shown where there is nothing to say.
const NOTHING: &str = "–";

pub(super) fn list(context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let budgets = read(context);
    if context.global.json {
        let rows: Vec<_> = budgets.all.iter().map(row_of_budget).collect();
        context.print_json(&json!({
            "schema": "cmat.budget.list/1", "rows": rows, "warnings": budgets.faults,
        }))?;
    } else if budgets.all.is_empty() {
        tell_of_none(context)?;
    } else {
        let headings = [
            ("BUDGET", Side::Left),
            ("LIMIT", Side::Right),
            ("WARN", Side::Left),
            ("WHEN USED UP", Side::Left),
            ("ZONE", Side::Left),
            ("FILE", Side::Left),
        ];
        let rows = budgets.all.iter().map(|budget| {
            vec![
                Printable(&budget.id()).to_string(),
                words::dollars(budget.limit, budget.limit),
                percents(&budget.warn),
                when_used_up(budget),
                budget.calendar.zone_name(),
                budget.origin.as_str().to_owned(),
            ]
        });
        write!(context.out, "{}", table::render(&headings, rows))?;
    }
    Ok(Exit::Done)
}

pub(super) fn status(context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut books = context.asked_books()?;
    let stands = Stands::read(&mut books, context)?;
    if context.global.json {
        context.print_json(&json!({
            "schema": "cmat.budget.status/1",
            "at": books.now,
            "rows": stands.json(),
            "warnings": stands.faults,
        }))?;
    } else if stands.is_empty() {
        tell_of_none(context)?;
    } else {
        write!(context.out, "{}", stands.table(&books)?)?;
        context.remark_billing();
    }
    Ok(Exit::Done)
}

/// All budgets, each as it stands.
pub(in crate::commands) struct Stands {
    /// A budget that is about nothing at hand has no standing.
    rows: Vec<(Budget, Option<Standing>)>,
    faults: Vec<String>,
}

impl Stands {
    /// Reads the budgets, says what of them could not be understood, and sums up what was spent of them.
    pub(in crate::commands) fn read(books: &mut Books, context: &Context<'_>) -> anyhow::Result<Self> {
        let mut budgets = read(context);
        if budgets.all.is_empty() {
            return Ok(Self { rows: Vec::new(), faults: budgets.faults });
        }
        books.ledger.roll_up()?;
        guard::name_rows(&mut budgets, &mut books.prices, &context.config.project);
        let subject = subject(&Known::default(), books, context)?;
        let overrides = books.ledger.overrides(books.now)?;
        let mut rows = Vec::new();
        for budget in &budgets.all {
            // One that is about something else than what is at hand is shown by its own name.
            let name = budget.scope.name_of(&subject).or(budget.scope.name.as_deref());
            let trusted = &budgets.trusted;
            let standing = match name {
                Some(name) => {
                    let mut standing =
                        guard::standing(&books.ledger, budget, name, &overrides, trusted, books.now)?;
                    guard::look_ahead(&books.ledger, &mut standing, trusted, books.now)?;
                    Some(standing)
                }
                None => None,
            };
            rows.push((budget.clone(), standing));
        }
        Ok(Self { rows, faults: budgets.faults })
    }

    pub(in crate::commands) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns them as JSON, a row each.
    pub(in crate::commands) fn json(&self) -> Vec<Value> {
        let row = |(budget, standing): &(Budget, Option<Standing>)| match standing {
            Some(standing) => row_of_standing(standing),
            None => row_of_budget(budget),
        };
        self.rows.iter().map(row).collect()
    }

    /// Returns them as a table.
    pub(in crate::commands) fn table(&self, books: &Books) -> anyhow::Result<String> {
        let headings = [
            ("SCOPE", Side::Left),
            ("PERIOD", Side::Left),
            ("SPENT", Side::Right),
            ("LIMIT", Side::Right),
            ("USED", Side::Right),
            ("FORECAST", Side::Right),
            ("STATE", Side::Left),
        ];
        let mut cells = Vec::new();
        for (budget, standing) in &self.rows {
            cells.push(line(budget, standing.as_ref(), books)?);
        }
        Ok(table::render(&headings, cells))
    }
}

fn line(budget: &Budget, standing: Option<&Standing>, books: &Books) -> anyhow::Result<Vec<String>> {
    let period = budget.span.to_string();
    let Some(standing) = standing else {
        let nothing = || NOTHING.to_owned();
        let scope = Printable(&budget.scope.to_string()).to_string();
        let limit = words::dollars(budget.limit, budget.limit);
        return Ok(vec![scope, period, nothing(), limit, nothing(), nothing(), "each on its own".to_owned()]);
    };
    let limit = standing.limit();
    let scope = match budget.scope.name {
        None if !standing.name.is_empty() => {
            format!("{}:{}", budget.scope.dimension.as_str(), Printable(&standing.name))
        }
        _ => Printable(&budget.scope.to_string()).to_string(),
    };
    let tilde = if standing.spent.estimated { "~" } else { "" };
    let plus = if standing.spent.n_unpriced > 0 { "+" } else { "" };
    Ok(vec![
        scope,
        period,
        format!("{tilde}{}{plus}", words::dollars(standing.spent.cost, limit)),
        words::dollars(limit, limit),
        format!("{} %", standing.percent()),
        standing.expected.map_or_else(|| NOTHING.to_owned(), |expected| words::dollars(expected, limit)),
        state(standing, books)?,
    ])
}

/// Returns what happens next, and what was told.
fn state(standing: &Standing, books: &Books) -> anyhow::Result<String> {
    let mut state = match (standing.cause(Usd::ZERO), standing.verdict(Usd::ZERO, &mut |_| false)) {
        (None, _) => match told(standing, books)? {
            Some(told) => format!("! {told}"),
            None => "ok".to_owned(),
        },
        (Some(_), Verdict::Go) => "! used up, goes on".to_owned(),
        (Some(_), Verdict::Ask) => "x asks before tools".to_owned(),
        (Some(_), Verdict::Downgrade(model)) => format!("x goes on with {} only", Printable(&model)),
        (Some(_), Verdict::Block) => "x blocks at next prompt".to_owned(),
    };
    if standing.added > Usd::ZERO {
        state.push_str(&format!(", {} of it by override", words::dollars(standing.added, standing.limit())));
    }
    Ok(state)
}

/// Returns the highest threshold that was told in the period, and when.
fn told(standing: &Standing, books: &Books) -> anyhow::Result<Option<String>> {
    let mut words = None;
    for notice in guard::notices(standing) {
        if let Some(at) = books.ledger.told(&notice)? {
            let clock = at.to_zoned(standing.budget.calendar.zone.clone()).strftime("%H:%M").to_string();
            match notice.kind {
                NoticeKind::Spent => words = Some(format!("warned {} % {clock}", notice.percent)),
                NoticeKind::Expected if words.is_none() => {
                    words = Some(format!("forecast {} % told {clock}", notice.percent));
                }
                NoticeKind::Expected => {}
            }
        }
    }
    Ok(words)
}

pub(super) fn check(estimate: Option<Usd>, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut budgets = read(context);
    let mut books = context.asked_books()?;
    guard::name_rows(&mut budgets, &mut books.prices, &context.config.project);
    let subject = subject(&Known::default(), &books, context)?;
    let mut standings = guard::standings(&books.ledger, &budgets, &subject, books.now)?;
    for standing in &mut standings {
        guard::look_ahead(&books.ledger, standing, &budgets.trusted, books.now)?;
    }
    let estimate = estimate.unwrap_or_default();
    let (prices, project) = (&mut books.prices, &context.config.project.root);
    let row = |name: &str| prices.row_of(Some(project), name);
    let stop = strictest(&standings, estimate, &mut guard::uses(subject.model.as_deref(), row));
    let unchecked = budgets.faults.first().filter(|_| budgets.fail == Fail::Closed);
    if context.global.json {
        let warnings = standings.iter().filter(|standing| standing.warnings().next().is_some());
        let warnings =
            warnings.map(|standing| format!("{} {}", words::about(standing), words::usage(standing)));
        context.print_json(&json!({
            "schema": "cmat.budget.check/1",
            "ok": stop.is_none() && unchecked.is_none(),
            "estimate_usd": estimate,
            "stopped_by": stop.as_ref().map(|(standing, _)| standing.budget.id()),
            "rows": standings.iter().map(row_of_standing).collect::<Vec<_>>(),
            "warnings": warnings.chain(budgets.faults.iter().cloned()).collect::<Vec<_>>(),
        }))?;
    } else if let Some((standing, verdict)) = &stop {
        complain(&words::refusal(standing, verdict, estimate, Stopped::Nothing));
    } else if let Some(fault) = unchecked {
        complain(&format!(
            "cmat: the budgets could not be checked, and `hook = {{ fail = \"closed\" }}` holds: {fault}"
        ));
    } else {
        match standings.iter().min_by_key(|standing| standing.left()) {
            Some(tightest) => {
                let left = words::dollars(tightest.left(), tightest.limit());
                let (about, usage) = (words::about(tightest), words::usage(tightest));
                writeln!(context.out, "ok: {left} left – {about} {usage}")?;
                context.remark_billing();
            }
            None => writeln!(context.out, "ok: no budget holds here")?,
        }
    }
    Ok(if stop.is_some() || unchecked.is_some() { Exit::OverBudget } else { Exit::Done })
}

/// Reads the budgets and says what of them could not be understood.
pub(super) fn read(context: &Context<'_>) -> Budgets {
    let budgets = Budgets::read(&context.config);
    for fault in &budgets.faults {
        complain(&format!("Warning: {fault}; this budget is not enforced"));
    }
    budgets
}

/// Returns what a session that is started here would be counted for, as far as `known` does not say.
pub(super) fn subject(known: &Known<'_>, books: &Books, context: &Context<'_>) -> anyhow::Result<Subject> {
    let config = &context.config;
    let task_file = task_file::read(&config.project.worktree).unwrap_or_else(|fault| {
        complain(&format!("Warning: {}", chain(&fault)));
        None
    });
    let known = Known {
        task: known.task.or(config.hook.task.as_deref()),
        task_file: task_file.as_ref().map(crate::id::TaskId::as_str),
        enhancement: known.enhancement.or(config.hook.enhancement.as_deref()),
        tags: known.tags.or(Some(&config.hook.tags)),
        ..known.clone()
    };
    Ok(guard::subject(&books.ledger, &config.project, &known)?)
}

fn tell_of_none(context: &mut Context<'_>) -> anyhow::Result<()> {
    writeln!(
        context.out,
        "no budget holds here; one is set with, for example:  cmat budget set --monthly 50"
    )?;
    Ok(())
}

fn row_of_budget(budget: &Budget) -> Value {
    let downgrade_to = match &budget.on_exceed {
        OnExceed::Downgrade(model) => Some(model.as_str()),
        _ => None,
    };
    json!({
        "id": budget.id(),
        "scope": budget.scope.to_string(),
        "project": budget.within,
        "period": budget.span.as_str(),
        "limit_usd": budget.limit,
        "warn": budget.warn,
        "forecast": budget.forecast,
        "on_exceed": budget.on_exceed.as_str(),
        "downgrade_to": downgrade_to,
        "timezone": budget.calendar.zone_name(),
        "origin": budget.origin.as_str(),
        "overridable": budget.overridable,
    })
}

fn row_of_standing(standing: &Standing) -> Value {
    let mut row = row_of_budget(&standing.budget);
    let begins = (standing.period != crate::period::Period::ALL).then_some(standing.period.begins);
    let ends = begins.map(|_| standing.period.ends);
    row["name"] = json!(standing.name);
    row["period_begins"] = json!(begins);
    row["period_ends"] = json!(ends);
    row["spent_usd"] = json!(standing.spent.cost);
    row["override_usd"] = json!(standing.added);
    row["left_usd"] = json!(standing.left());
    row["used_percent"] = json!(standing.percent());
    row["expected_usd"] = json!(standing.expected);
    row["estimated"] = json!(standing.spent.estimated);
    row["unpriced_requests"] = json!(standing.spent.n_unpriced);
    row["exceeded"] = json!(standing.cause(Usd::ZERO).is_some());
    row
}

fn percents(percents: &[u32]) -> String {
    let each: Vec<String> = percents.iter().map(u32::to_string).collect();
    if each.is_empty() { NOTHING.to_owned() } else { format!("{} %", each.join(",")) }
}

fn when_used_up(budget: &Budget) -> String {
    match &budget.on_exceed {
        OnExceed::Downgrade(model) => format!("only {}", Printable(model.as_str())),
        other => other.as_str().to_owned(),
    }
}

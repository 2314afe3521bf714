//! `cmat explain TASK|SESSION|REQUEST|DIMENSION:VALUE`.

use jiff::Timestamp;

use crate::booking::Books;
use crate::booking::encoding;
use crate::cli::ExplainArgs;
use crate::cli::SelectionArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::Usage;
use crate::commands::complain;
use crate::commands::costs;
use crate::commands::reconcile;
use crate::commands::report;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::totals::Scope;
use crate::period::Calendar;
use crate::period::Period;
use crate::period::RangeWords;
use crate::period::Unit;
use crate::printable::Printable;
use crate::query;
use crate::query::Condition;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::PullRequestName;
use crate::query::split_name;
use crate::report::explanation;
use crate::report::explanation::Explained;
use crate::report::explanation::Length;
use crate::summary::Elsewhere;

pub(super) fn run(args: &ExplainArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let length = if args.all || context.global.json { Length::Whole } else { Length::Short };
    let explained = match filter(args, &books, context)? {
        Some(filter) => Some(passing(&filter, length, &books, context)?),
        None => find(&args.what, length, &books, context)?,
    };
    let Some(explained) = explained else {
        if args.what.contains(':') && split_name(&args.what).is_none() {
            let dimensions = Dimension::all().iter().map(ToString::to_string).collect::<Vec<_>>();
            return Err(NotFound(format!(
                "`{}` names no dimension: expected one of {}, tag:KEY before a colon",
                Printable(&args.what),
                dimensions.join(", ")
            ))
            .into());
        }
        return Err(NotFound(format!(
            "no task, session or request `{}` has a recorded cost{}; others are named as in branch:main, day:today",
            Printable(&args.what),
            foreign_transcript(&args.what, context)
        ))
        .into());
    };
    if explained.requests.n_all == 0 && explained.elsewhere.entries == 0 {
        complain("no requests are recorded that this asks for");
    }
    if context.global.json {
        context.print_json(&explanation::document(&args.what, &explained))?;
    } else {
        write!(context.out, "{}", explanation::render(&explained, &context.config.calendar))?;
    }
    context.remark_billing();
    Ok(context.certain_exit(&explained.totals))
}

/// Returns a half-sentence on the transcripts of that name in which nothing can be found.
fn foreign_transcript(session: &str, context: &Context<'_>) -> String {
    let mut named = reconcile::transcripts(context)
        .into_iter()
        .filter(|path| path.file_stem().is_some_and(|stem| stem == session))
        .filter_map(|path| Some((encoding::foreign(&path).ok()??, path)));
    named.next().map(|(foreign, path)| format!(" (`{}`: {foreign})", path.display())).unwrap_or_default()
}

/// Returns which requests are meant, where that is told by a dimension, by days or by conditions.
fn filter(args: &ExplainArgs, books: &Books, context: &Context<'_>) -> anyhow::Result<Option<Filter>> {
    let with = |dimension: Dimension, value: &str| {
        let mut selection = args.selection.clone();
        let value = (!value.is_empty()).then(|| value.to_owned());
        selection.conditions.push(Condition { dimension, value });
        selection
    };
    let selection = match split_name(&args.what) {
        Some((Dimension::Time(unit), value)) => return in_time(unit, value, args, books, context).map(Some),
        Some((Dimension::PullRequest, value)) if value.parse::<PullRequestName>().is_ok() => {
            let name = value.parse()?;
            return Ok(Some(report::of_pull_request(&name, &args.selection, books, context)?.filter));
        }
        Some((dimension, value)) => with(dimension, value),
        None if is_everything(&args.selection) => return Ok(None),
        None => match costs::find_task(&TaskId::new(args.what.as_str())?, books, context)? {
            Some(_) => with(Dimension::Task, &args.what),
            None => with(Dimension::Session, &args.what),
        },
    };
    Ok(Some(context.selection(&selection, books)?.filter))
}

fn is_everything(selection: &SelectionArgs) -> bool {
    let SelectionArgs { since, until, during, conditions } = selection;
    since.is_none() && until.is_none() && during.is_none() && conditions.is_empty()
}

/// Returns the requests of the hours, days, weeks or months that hold what `value` names.
fn in_time(
    unit: Unit,
    value: &str,
    args: &ExplainArgs,
    books: &Books,
    context: &Context<'_>,
) -> anyhow::Result<Filter> {
    let SelectionArgs { since, until, during, .. } = args.selection;
    if since.is_some() || until.is_some() || during.is_some() {
        return Err(Usage(format!("`{}` names the days already", Printable(&args.what))).into());
    }
    let calendar = &context.config.calendar;
    let named = match (unit, value.parse::<Timestamp>()) {
        (Unit::Hour, Ok(at)) => Period { begins: at, ends: at },
        _ => {
            let RangeWords { since, until } =
                value.parse().map_err(|error: crate::period::PeriodError| Usage(error.to_string()))?;
            calendar.period_of(context.days(since, until)?)
        }
    };
    let conditions = context.selection(&args.selection, books)?.filter.conditions;
    Ok(Filter { period: whole(calendar, unit, named), conditions })
}

/// Returns the period that begins and ends with whole units, and holds `named`.
fn whole(calendar: &Calendar, unit: Unit, named: Period) -> Period {
    let last = named.ends.as_millisecond().saturating_sub(1).max(named.begins.as_millisecond());
    let last = Timestamp::from_millisecond(last).unwrap_or(named.begins);
    Period { begins: calendar.period(unit, named.begins).begins, ends: calendar.period(unit, last).ends }
}

fn passing(
    filter: &Filter,
    length: Length,
    books: &Books,
    context: &Context<'_>,
) -> anyhow::Result<Explained> {
    Ok(Explained {
        requests: books.ledger.explain_passing(filter, length.limit())?,
        clients_say: Vec::new(),
        elsewhere: books.ledger.elsewhere_passing(filter)?,
        totals: query::whole(&books.ledger.groups(filter, &[], &context.config.calendar)?),
    })
}

/// Takes the text for a task, else for a session, else for a request.
fn find(
    what: &str,
    length: Length,
    books: &Books,
    context: &Context<'_>,
) -> anyhow::Result<Option<Explained>> {
    if let Some(task) = costs::find_task(&TaskId::new(what)?, books, context)? {
        let summary = books.ledger.task_summary(task)?;
        if summary.is_recorded() {
            let scope = Scope::Task(task);
            return Ok(Some(Explained {
                requests: books.ledger.explain(scope, length.limit())?,
                clients_say: books.ledger.clients_say(Some(scope))?,
                elsewhere: summary.elsewhere,
                totals: summary.totals,
            }));
        }
    }
    for scope in [Scope::Session(&SessionId::new(what)?), Scope::Request(what)] {
        if let Some(totals) = books.ledger.totals(scope)? {
            let clients_say = match scope {
                Scope::Session(_) => books.ledger.clients_say(Some(scope))?,
                _ => Vec::new(),
            };
            let requests = books.ledger.explain(scope, length.limit())?;
            return Ok(Some(Explained { requests, clients_say, elsewhere: Elsewhere::default(), totals }));
        }
    }
    Ok(None)
}

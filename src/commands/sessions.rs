//! `cmat sessions`: the sessions that are recorded, and what one of them cost.

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::cli::SessionFormat;
use crate::cli::SessionsArgs;
use crate::cli::SessionsCommand;
use crate::cli::SessionsListArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::complain;
use crate::commands::report::nothing_found;
use crate::commands::run::spent;
use crate::money::grouped;
use crate::printable::Printable;
use crate::query;
use crate::query::Condition;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Group;
use crate::report;
use crate::report::Certainty;
use crate::report::banner::Banner;
use crate::report::sheet;
use crate::report::sheet::Label;
use crate::report::sheet::Repeats;
use crate::report::sheet::Sheet;
use crate::report::table;
use crate::report::table::Side;
use crate::summary::Elsewhere;

pub(super) fn run(args: &SessionsArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    match &args.command {
        None => list(&args.list, context),
        Some(SessionsCommand::List(args)) => list(args, context),
        Some(SessionsCommand::Show { id, format }) => show(id, *format, context),
    }
}

fn list(args: &SessionsListArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let selection = context.selection(&args.selection, &books)?;
    let calendar = context.config.calendar.clone();
    let by = [Dimension::Session, Dimension::Project];
    let mut groups = books.ledger.groups(&selection.filter, &by, &calendar)?;
    groups.sort_by_key(|group| std::cmp::Reverse(group.last));
    if let Some(n) = args.top {
        groups.truncate(n as usize);
    }
    let whole = query::whole(&groups);
    if context.global.json {
        let asked = context.asked(&selection.filter, selection.days);
        let mut document = Value::Object(asked.envelope("cmat.sessions/1", context.config.billing));
        document["rows"] = groups.iter().map(|group| row_document(group, context)).collect();
        document["totals"] = report::json::figures(&whole, &Elsewhere::default());
        document["warnings"] = report::json::warnings(&whole).into();
        context.print_json(&document)?;
    } else if groups.is_empty() {
        complain(nothing_found(&books)?);
    } else {
        let headings = [
            ("SESSION", Side::Left),
            ("PROJECT", Side::Left),
            ("FIRST", Side::Left),
            ("LAST", Side::Left),
            ("REQUESTS", Side::Right),
            ("COST", Side::Right),
        ];
        let rows = groups.iter().map(|group| row(group, context));
        let text = table::render(&headings, rows.collect::<Vec<_>>());
        write!(context.out, "{text}")?;
    }
    context.remark(&whole);
    Ok(context.certain_exit(&whole))
}

fn row(group: &Group, context: &Context<'_>) -> Vec<String> {
    let [session, project] = labels(group, context);
    let folder = project.rsplit('/').next().unwrap_or_default();
    let cost = report::amount(group.totals.cost.total(), Certainty::of(&group.totals));
    let minute = |at: Timestamp| {
        at.to_zoned(context.config.calendar.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    };
    vec![
        Printable(&session).to_string(),
        Printable(folder).to_string(),
        minute(group.first),
        minute(group.last),
        grouped(group.totals.requests),
        cost,
    ]
}

fn row_document(group: &Group, context: &Context<'_>) -> Value {
    let [session, project] = labels(group, context);
    let mut row = json!({ "session": session, "project": project, "first": group.first, "last": group.last });
    report::json::extend(&mut row, report::json::figures(&group.totals, &Elsewhere::default()));
    let models: Vec<&str> = group.models.iter().map(|model| model.as_str()).collect();
    row["models"] = models.into();
    row
}

fn labels(group: &Group, context: &Context<'_>) -> [String; 2] {
    let label = |place: usize, dimension: Dimension| {
        let key = group.keys.get(place).unwrap_or(&query::Key::Unattributed);
        Label::of(key, &dimension, &context.config.calendar).text()
    };
    [label(0, Dimension::Session), label(1, Dimension::Project)]
}

fn show(id: &str, format: SessionFormat, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let calendar = context.config.calendar.clone();
    let conditions = vec![Condition { dimension: Dimension::Session, value: Some(id.to_owned()) }];
    let filter = Filter { conditions, ..Filter::ALL };
    let whole = books.ledger.groups(&filter, &[Dimension::Session, Dimension::Project], &calendar)?;
    let [whole] = whole.as_slice() else {
        let message = format!("no session `{id}` has a recorded request; `cmat sessions` lists them");
        return Err(NotFound(message).into());
    };
    let by = [Dimension::Task, Dimension::Branch, Dimension::Model];
    let groups = books.ledger.groups(&filter, &by, &calendar)?;
    let sheet = Sheet::new(&by, groups, None, &calendar, context.config.billing);
    if context.global.json || format == SessionFormat::Json {
        let asked = context.asked(&filter, None);
        let mut document = Value::Object(asked.envelope("cmat.session/1", context.config.billing));
        report::json::extend(&mut document, row_document(whole, context));
        document["rows"] = sheet::json(&sheet, &asked)["rows"].take();
        document["warnings"] = report::json::warnings(&whole.totals).into();
        context.print_json(&document)?;
    } else if format == SessionFormat::Banner {
        let (_, prices) = spent(&books, &filter, context)?;
        let all = query::whole(&books.ledger.groups(&Filter::ALL, &[], &calendar)?);
        let banner = Banner { name: id, prices: &prices, run: &whole.totals, all: &all }.render();
        write!(context.out, "{}", banner.trim_start())?;
    } else {
        let [_, project] = labels(whole, context);
        let clock =
            |at: Timestamp| at.to_zoned(calendar.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
        writeln!(context.out, "Session {}:", Printable(id))?;
        writeln!(context.out, "  Project: {}", Printable(&project))?;
        writeln!(context.out, "  First:   {}\n  Last:    {}\n", clock(whole.first), clock(whole.last))?;
        write!(context.out, "{}", sheet::text(&sheet, Repeats::Blank, None))?;
    }
    context.remark(&whole.totals);
    Ok(context.certain_exit(&whole.totals))
}

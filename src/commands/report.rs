//! `cmat report`: what requests come to, by anything.

use std::ffi::OsStr;
use std::path::Path;

use crate::booking::Books;
use crate::cli::Comparison;
use crate::cli::Format;
use crate::cli::ReportArgs;
use crate::cli::SelectionArgs;
use crate::cli::SortBy;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::Usage;
use crate::commands::complain;
use crate::commands::selection::Selection;
use crate::config;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::disk::replace::ReplaceError;
use crate::ledger::LedgerError;
use crate::period::Days;
use crate::period::Period;
use crate::period::Unit;
use crate::printable::Printable;
use crate::query::Condition;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Key;
use crate::query::PullRequestName;
use crate::report;
use crate::report::Billing;
use crate::report::sheet;
use crate::report::sheet::Asked;
use crate::report::sheet::Order;
use crate::report::sheet::Repeats;
use crate::report::sheet::Sheet;
use crate::summary::Elsewhere;

/// What is said where nothing is recorded at all.
pub(super) const NOTHING_RECORDED: &str = "nothing is recorded yet: `cmat init` installs the hook, `cmat reconcile --all` reads the transcripts that are there, `cmat demo` shows all of it on a made-up project";

pub(super) fn run(args: &ReportArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let by = dimensions(args)?;
    let format = format(args, context)?;
    if let Some(path) = file(args) {
        refuse_existing(&context.config.cwd.join(path), args.force)?;
    }
    let books = context.asked_books()?;
    let calendar = context.config.calendar.clone();
    let selection = match &args.pr {
        Some(name) => of_pull_request(name, &args.selection, &books, context)?,
        None => context.selection(&args.selection, &books)?,
    };
    let compared = compared_days(args, &selection, context)?;
    let groups = books.ledger.groups(&selection.filter, &by, &calendar)?;
    let before = match compared {
        Some(days) => {
            let filter = Filter { period: calendar.period_of(days), ..selection.filter.clone() };
            Some(books.ledger.groups(&filter, &by, &calendar)?)
        }
        None => None,
    };
    let mut sheet = Sheet::new(&by, groups, before, &calendar, context.config.billing);
    match (args.sort, args.top) {
        (Some(order), _) => sheet.sort(order_of(order)),
        (None, Some(_)) => sheet.sort(Order::Cost),
        (None, None) => {}
    }
    if let Some(n) = args.top {
        sheet.keep_top(n as usize);
    }
    let asked = Asked { compared, ..context.asked(&selection.filter, selection.days) };
    if sheet.rows.is_empty() {
        complain(nothing_found(&books)?);
    }
    let text = rendered(args, format, &sheet, &asked, context)?;
    write(&text, args, context)?;
    let elsewhere = books.ledger.elsewhere_passing(&selection.filter)?;
    if elsewhere.entries > 0 {
        complain(&not_in_report(&elsewhere));
    }
    context.remark(&sheet.total.totals);
    Ok(context.certain_exit(&sheet.total.totals))
}

/// Returns what to say where no request passes.
pub(super) fn nothing_found(books: &Books) -> Result<&'static str, LedgerError> {
    Ok(if books.ledger.is_empty()? {
        NOTHING_RECORDED
    } else {
        "no requests are recorded that this asks for"
    })
}

/// Returns what a person should know of figures that are of no requests.
fn not_in_report(elsewhere: &Elsewhere) -> String {
    format!(
        "not in this report: ${} that other writers of task queues recorded (`cmat costs show`)",
        elsewhere.cost.rounded(report::COST_PLACES)
    )
}

/// Returns which requests are meant of those that went into a pull request.
///
/// A number alone is one of the project at hand, whether its repository was recorded with it or not.
pub(super) fn of_pull_request(
    name: &PullRequestName,
    selection: &SelectionArgs,
    books: &Books,
    context: &Context<'_>,
) -> anyhow::Result<Selection> {
    let by = Dimension::PullRequest;
    let mut selection = selection.clone();
    if name.repository.is_some() {
        selection.conditions.push(Condition { dimension: by, value: Some(name.to_string()) });
        return context.selection(&selection, books);
    }
    if !selection.conditions.iter().any(|condition| condition.dimension == Dimension::Project) {
        selection.conditions.push(here());
    }
    let mut selected = context.selection(&selection, books)?;
    let all_days = Filter { period: Period::ALL, ..selected.filter.clone() };
    let found = books.ledger.groups(&all_days, std::slice::from_ref(&by), &context.config.calendar)?;
    let mut names: Vec<String> = found
        .into_iter()
        .filter_map(|group| match group.keys.into_iter().next() {
            Some(Key::Name(name)) => Some(name),
            _ => None,
        })
        .collect();
    names.retain(|found| found.parse().is_ok_and(|found: PullRequestName| found.number == name.number));
    let mut of_repositories = names.iter().filter(|name| !name.starts_with('#'));
    match (of_repositories.next(), of_repositories.next()) {
        (Some(first), Some(second)) => Err(Usage(format!(
            "several repositories have a pull request {name}: name one of {}, {} …",
            Printable(first),
            Printable(second)
        ))
        .into()),
        _ if names.is_empty() => Err(NotFound(format!(
            "no request of this project went into pull request {name}; `cmat report --by pr` shows all"
        ))
        .into()),
        _ => {
            let values = names.into_iter().map(Some);
            selected.filter.conditions.extend(values.map(|value| Condition { dimension: by.clone(), value }));
            Ok(selected)
        }
    }
}

fn here() -> Condition {
    Condition { dimension: Dimension::Project, value: Some(".".to_owned()) }
}

/// Returns the question for all tasks of the project at hand.
pub(super) fn of_project(selection: &SelectionArgs) -> ReportArgs {
    let mut selection = selection.clone();
    selection.conditions.push(here());
    question(vec![Dimension::Enhancement, Dimension::Task], None, &selection)
}

/// Returns the question for the dearest `n` tasks.
pub(super) fn top_tasks(n: u32, selection: &SelectionArgs) -> ReportArgs {
    question(vec![Dimension::Task], Some(n), selection)
}

fn question(by: Vec<Dimension>, top: Option<u32>, selection: &SelectionArgs) -> ReportArgs {
    ReportArgs {
        by,
        selection: selection.clone(),
        pr: None,
        breakdown: false,
        compare: None,
        top,
        sort: None,
        format: None,
        output: None,
        force: false,
    }
}

fn dimensions(args: &ReportArgs) -> anyhow::Result<Vec<Dimension>> {
    let mut by = Vec::new();
    for dimension in &args.by {
        if !by.contains(dimension) {
            by.push(dimension.clone());
        }
    }
    if by.is_empty() {
        let is_of_models = args.compare.is_some() || args.pr.is_some();
        by.push(if is_of_models { Dimension::Model } else { Dimension::Time(Unit::Day) });
    }
    if args.breakdown && !by.contains(&Dimension::Model) {
        by.push(Dimension::Model);
    }
    let is_time = |dimension: &&Dimension| matches!(dimension, Dimension::Time(_));
    match by.iter().find(is_time) {
        Some(time) if args.compare.is_some() => Err(Usage(format!(
            "no {time} is in both periods: compare by something else, such as --by model or --by branch"
        ))
        .into()),
        _ => Ok(by),
    }
}

fn compared_days(
    args: &ReportArgs,
    selection: &Selection,
    context: &Context<'_>,
) -> anyhow::Result<Option<Days>> {
    match args.compare {
        None => Ok(None),
        Some(Comparison::Days(_)) if selection.days.is_none() => {
            Err(Usage("which days are compared? Name them with --since or --during".to_owned()).into())
        }
        Some(Comparison::Days(range)) => context.days(range.since, range.until).map(Some),
        Some(Comparison::Previous) => {
            let days = selection.days.ok_or_else(|| {
                Usage("previous to which days? Name them with --since or --during".to_owned())
            })?;
            days.previous().map(Some).map_err(|error| Usage(error.to_string()).into())
        }
    }
}

fn order_of(order: SortBy) -> Order {
    match order {
        SortBy::Cost => Order::Cost,
        SortBy::Requests => Order::Requests,
        SortBy::Tokens => Order::Tokens,
        SortBy::Change => Order::Change,
        SortBy::Name => Order::Name,
    }
}

/// Returns the form that is asked for: by `--json`, `--format` or the ending of the file's name.
fn format(args: &ReportArgs, context: &Context<'_>) -> anyhow::Result<Format> {
    let ending = file(args).and_then(Path::extension).map(|ending| ending.to_ascii_lowercase());
    let of_file = match ending.as_deref().and_then(OsStr::to_str) {
        Some("csv") => Some(Format::Csv),
        Some("html" | "htm") => Some(Format::Html),
        Some("json") => Some(Format::Json),
        Some("md" | "markdown") => Some(Format::Markdown),
        _ => None,
    };
    let is_for_a_person = file(args).is_none() && config::stdout_is_terminal();
    let usual = if is_for_a_person { Format::Table } else { Format::Plain };
    match args.format {
        Some(form) if context.global.json && form != Format::Json => {
            Err(Usage("`--json` and `--format` name different forms: leave one out".to_owned()).into())
        }
        _ if context.global.json => Ok(Format::Json),
        named => Ok(named.or(of_file).unwrap_or(usual)),
    }
}

fn rendered(
    args: &ReportArgs,
    format: Format,
    sheet: &Sheet,
    asked: &Asked<'_>,
    context: &Context<'_>,
) -> anyhow::Result<String> {
    Ok(match format {
        // There is not even a total.
        Format::Table | Format::Plain if sheet.rows.is_empty() => String::new(),
        Format::Table => sheet::text(sheet, Repeats::Blank, config::width()),
        Format::Plain => sheet::text(sheet, Repeats::Written, None),
        Format::Json => format!("{}\n", context.json_text(&sheet::json(sheet, asked))),
        Format::Csv => sheet::csv(sheet),
        Format::Markdown => sheet::markdown(sheet, args.pr.as_ref().map(|name| name.number)),
        Format::Html => sheet::html(sheet, &caption(asked, context)),
    })
}

/// Returns what a page says above the report.
fn caption(asked: &Asked<'_>, context: &Context<'_>) -> String {
    let mut caption = "Cost of Claude Code requests".to_owned();
    if let Some(days) = asked.days {
        caption.push_str(&format!(", {days}"));
    }
    for condition in &asked.filter.conditions {
        caption.push_str(&format!(", {condition}"));
    }
    if context.config.billing == Billing::Subscription {
        caption.push_str(" (API value, not a bill)");
    }
    caption
}

fn write(text: &str, args: &ReportArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let Some(path) = file(args) else {
        context.out.write_all(text.as_bytes())?;
        return Ok(());
    };
    let path = context.config.cwd.join(path);
    let written = match args.force {
        true => replace::write(&path, text.as_bytes(), Access::Shared),
        false => replace::create_new(&path, text.as_bytes(), Access::Shared),
    };
    written.map_err(not_written)
}

/// Returns the file that is asked for; `-` is stdout, as without one.
fn file(args: &ReportArgs) -> Option<&Path> {
    args.output.as_deref().filter(|path| *path != Path::new("-"))
}

/// Tells what stands in the way before the work.
fn refuse_existing(path: &Path, force: bool) -> anyhow::Result<()> {
    let path_of = || path.to_owned();
    match path.metadata() {
        Ok(found) if !found.is_file() => Err(not_written(ReplaceError::NotRegular { path: path_of() })),
        _ if !force && path.symlink_metadata().is_ok() => {
            Err(not_written(ReplaceError::Exists { path: path_of() }))
        }
        _ => Ok(()),
    }
}

/// Returns why a file that a person named was not written, and what to do.
pub(super) fn not_written(error: ReplaceError) -> anyhow::Error {
    match error {
        ReplaceError::Exists { path } => {
            anyhow::anyhow!("`{}` already exists; `--force` replaces it", path.display())
        }
        ReplaceError::NotRegular { path } => {
            anyhow::anyhow!("`{}` is not a regular file; `-` is stdout", path.display())
        }
        other => other.into(),
    }
}
